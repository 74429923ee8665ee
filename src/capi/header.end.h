/** A text literal and its length, for the pairs of parameters that keys and values are. Of an array it takes all bytes
 * but the last; a pointer it cannot measure. */
#define LARDER_LIT(text) (text), (sizeof(text) - 1)

/** Seconds, where ms are asked for: `LARDER_SECONDS(30)`. */
#define LARDER_SECONDS(n) ((int64_t)(n) * 1000)

/** A `larder_call` that asks for nothing special: `larder_call call = LARDER_CALL_INIT;` */
#define LARDER_CALL_INIT { sizeof(larder_call), 0, 0, NULL, 0 }

/** `larder_options` without a log function: `larder_options options = LARDER_OPTIONS_INIT;` */
#define LARDER_OPTIONS_INIT { sizeof(larder_options), 0, NULL, NULL }

/** `larder_store_stats` for larder_stats: `larder_store_stats stats = LARDER_STATS_INIT;` */
#define LARDER_STATS_INIT                                                                                              \
    { sizeof(larder_store_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** `larder_pipeline_numbers` for larder_pipeline_stats: `larder_pipeline_numbers stats = LARDER_PIPELINE_NUMBERS_INIT;` */
#define LARDER_PIPELINE_NUMBERS_INIT                                                                                   \
    { sizeof(larder_pipeline_numbers), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** A `larder_request` for the alias's own TIMEOUT: `larder_request request = LARDER_REQUEST_INIT;` */
#define LARDER_REQUEST_INIT                                                                                            \
    { 0, 0, NULL, 0, NULL, 0, NULL, 0, LARDER_TTL_DEFAULT, 0, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL,    \
      NULL, NULL, NULL, NULL }

/** `larder_pipeline_options` without a loader: `larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;` */
#define LARDER_PIPELINE_OPTIONS_INIT { sizeof(larder_pipeline_options), 0, NULL, NULL, NULL }

/** A `larder_pipeline_call` that asks for nothing special: `larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;` */
#define LARDER_PIPELINE_CALL_INIT { sizeof(larder_pipeline_call), 0, 0, NULL, NULL, NULL }

/** `larder_load_options` for larder_get_or_load: `larder_load_options options = LARDER_LOAD_OPTIONS_INIT;` */
#define LARDER_LOAD_OPTIONS_INIT { sizeof(larder_load_options), 0, 0, 0, 0, 0, 0 }

/** `larder_token_options` that leave all to the pipeline: `larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;` */
#define LARDER_TOKEN_OPTIONS_INIT { sizeof(larder_token_options), 0, NULL }

/** A `larder_key_function_table` without functions: `larder_key_function_table table = LARDER_KEY_FUNCTION_TABLE_INIT;` */
#define LARDER_KEY_FUNCTION_TABLE_INIT { sizeof(larder_key_function_table), 0, NULL, NULL, NULL }

/** A `larder_serializer_table` without functions: `larder_serializer_table table = LARDER_SERIALIZER_TABLE_INIT;` */
#define LARDER_SERIALIZER_TABLE_INIT { sizeof(larder_serializer_table), 0, NULL, NULL, NULL }

/** A `larder_compressor_table` without functions: `larder_compressor_table table = LARDER_COMPRESSOR_TABLE_INIT;` */
#define LARDER_COMPRESSOR_TABLE_INIT { sizeof(larder_compressor_table), 0, NULL, 0, NULL, NULL }

/** A `larder_backend_table` without functions: `larder_backend_table table = LARDER_BACKEND_TABLE_INIT;` */
#define LARDER_BACKEND_TABLE_INIT                                                                                      \
    { sizeof(larder_backend_table), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,   \
      NULL, NULL, NULL, NULL, NULL, NULL, NULL }
