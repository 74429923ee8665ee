/*
 * many: several keys in one call. On a server that is one round trip; the answers stand where their keys stand.
 *
 *     cc many.c -llarder -o many
 *     ./many [caches.json [alias]]          without arguments: in memory
 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    /* Pointers and lengths stand side by side: keys may hold any UTF-8 text, values any bytes. */
    static const char *const keys[] = {"many:top", "many:jungle", "many:mid", "many:bottom"};
    static const size_t key_lens[] = {8, 11, 8, 11};
    static const void *const values[] = {"{\"champion\": \"Ornn\"}", "{\"champion\": \"Vi\"}",
                                         "{\"champion\": \"Ahri\"}"};
    static const size_t value_lens[] = {20, 18, 20};
    enum { written = 3, asked = 4 };

    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    larder_value *found[asked];
    uint8_t failed[written];
    size_t count = 0, i;
    uint64_t removed = 0;

    if (argc > 1)
        check(larder_open_file(argv[1], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 2 ? argv[2] : "default", &store, &error), &error);

    /* One time to live for all of them. Where some fail, `failed` says which. */
    check(larder_set_many(store, keys, key_lens, values, value_lens, written, LARDER_JSON, 60000, NULL, failed, &error),
          &error);
    for (i = 0; i < written; i++)
        printf("set  %-12s %s\n", keys[i], failed[i] ? "failed" : "stored");

    /* The last key was never set: its place is NULL, and the call is a success all the same. */
    check(larder_get_many(store, keys, key_lens, asked, NULL, found, &count, &error), &error);
    printf("%zu of %d found\n", count, (int)asked);
    for (i = 0; i < asked; i++) {
        const char *json = "nothing";
        size_t len = strlen(json);
        if (found[i] != NULL)
            check(larder_value_json(found[i], &json, &len, &error), &error);
        printf("get  %-12s %.*s\n", keys[i], (int)len, json);
        larder_value_release(found[i]); /* NULL is harmless */
    }

    check(larder_delete_many(store, keys, key_lens, asked, NULL, &removed, &error), &error);
    printf("%llu removed\n", (unsigned long long)removed);

    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
