/*
 * Faults on purpose: the proof that the tools under which the other programs run would find one.
 *
 *   overflow  larder is told a value of 33 bytes in an allocation of 32
 *   write     larder is told a buffer of 64 bytes in an allocation of 32, and writes it
 *   leak      a value is never released
 */
#include "support.h"

int main(int argc, char **argv)
{
    CHECK(argc > 3);
    const char *fault = argv[3];
    larder_context *context = open_all(argv[1], "-");
    larder_store *store = open_store(context, "memory");
    char *small = malloc(32);
    CHECK(small != NULL);
    memset(small, 'x', 32);
    if (strcmp(fault, "overflow") == 0) {
        larder_set(store, LARDER_LIT("k"), small, 33, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, NULL);
    } else if (strcmp(fault, "write") == 0) {
        char large[64] = {0};
        size_t needed = 0;
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), large, 64, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
        EXPECT(LARDER_OK, larder_get_into(store, LARDER_LIT("k"), NULL, small, 64, &needed, ERR));
    } else if (strcmp(fault, "leak") == 0) {
        larder_value *value = NULL;
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), "v", 1, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, ERR));
        EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("k"), NULL, &value, ERR));
        value = NULL;
    }
    free(small);
    larder_store_close(store);
    EXPECT(LARDER_OK, larder_shutdown(context, 5000, ERR));
    puts("broken: nobody noticed");
    return 0;
}
