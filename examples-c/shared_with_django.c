/*
 * shared_with_django: one cache, two languages. Reads what a Django process has put into a cache directory and a Redis
 * database, and puts in what Django reads: run django_side.py, this program, and django_side.py again.
 *
 *     python django_side.py shared.json fill
 *     ./shared_with_django shared.json
 *     python django_side.py shared.json check
 *
 * The configuration is the same file for both, with the aliases "files" and "redis"; it needs a Redis on this machine.
 * All three run in one working directory, from which the relative LOCATION of "files" is taken.
 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* Shows a value that Django has set, whatever it is. */
static void show(larder_store *store, const char *key, size_t key_len)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    const char *json = NULL;
    size_t len = 0;
    larder_status status = larder_get(store, key, key_len, NULL, &value, &error);

    check(status, &error);
    if (status == LARDER_MISS) {
        printf("  %s is not there: has django_side.py filled the cache?\n", key);
        exit(1);
    }
    /* LARDER_LOSSY: JSON cannot show all of it, such as that a tuple is no list, or a date no text */
    status = larder_value_json(value, &json, &len, &error);
    check(status, &error);
    printf("  %-18s %.*s%s\n", key, (int)len, json, status == LARDER_LOSSY ? "   (as near as JSON gets)" : "");
    larder_value_release(value);
}

static void read_from_django(larder_store *store)
{
    show(store, LARDER_LIT("django:text"));
    show(store, LARDER_LIT("django:number"));
    show(store, LARDER_LIT("django:dict"));
    show(store, LARDER_LIT("django:tuple"));
    show(store, LARDER_LIT("django:date"));
    show(store, LARDER_LIT("django:decimal"));
}

static void write_for_django(larder_store *store)
{
    larder_error *error = NULL;
    int64_t number = 0;

    check(larder_set(store, LARDER_LIT("larder:text"), LARDER_LIT("from C"), LARDER_TEXT, 600000, NULL, &error),
          &error);
    check(larder_set(store, LARDER_LIT("larder:bytes"), "\x00\xff", 2, LARDER_BYTES, LARDER_TTL_FOREVER, NULL, &error),
          &error);
    check(larder_set(store, LARDER_LIT("larder:dict"),
                     LARDER_LIT("{\"ids\": [1, 2, 3], \"rate\": 0.5, \"none\": null, \"ok\": true}"), LARDER_JSON,
                     600000, NULL, &error),
          &error);
    /* what Django counts, we count further */
    check(larder_incr(store, LARDER_LIT("django:number"), 1, NULL, &number, NULL, &error), &error);
    printf("  django:number is   %lld now\n", (long long)number);
}

int main(int argc, char **argv)
{
    static const char *const aliases[] = {"files", "redis"};
    larder_context *context = NULL;
    larder_error *error = NULL;

    check(larder_open_file(argc > 1 ? argv[1] : "shared.json", NULL, &context, &error), &error);
    for (int i = 0; i < 2; i++) {
        larder_store *store = NULL;
        check(larder_store_open(context, aliases[i], &store, &error), &error);
        puts(aliases[i]);
        read_from_django(store);
        write_for_django(store);
        larder_store_close(store);
    }
    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
