/** A text literal and its length, for the pairs of parameters that keys and values are. Of an array it takes all bytes
 * but the last; a pointer it cannot measure. */
#define LARDER_LIT(text) (text), (sizeof(text) - 1)

/** A `larder_call` that asks for nothing special: `larder_call call = LARDER_CALL_INIT;` */
#define LARDER_CALL_INIT { sizeof(larder_call), 0, 0, NULL, 0 }

/** `larder_options` without a log function: `larder_options options = LARDER_OPTIONS_INIT;` */
#define LARDER_OPTIONS_INIT { sizeof(larder_options), 0, NULL, NULL }
