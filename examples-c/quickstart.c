/*
 * quickstart: opens aliases of a CACHES configuration, sets, reads, expires, counts and lists.
 *
 *     cc quickstart.c -llarder -o quickstart
 *     ./quickstart [caches.json]
 *
 * It needs no server: what it does with files and in memory it also does with Redis, if one answers.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep, where the compiler is asked for plain C */

#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Stops the program where a call failed: a status below 0 is a failure, and the error says why. It takes the address of
 * the error, since C may look at arguments in any order: `error` itself could be read before the call has set it.
 */
static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* A text: set it, read it into a buffer of our own. */
static void set_and_read(larder_store *store)
{
    larder_error *error = NULL;
    char buffer[64];
    size_t len = 0;

    /* LARDER_LIT gives a literal text and its length; LARDER_TTL_DEFAULT is the alias's TIMEOUT. */
    check(larder_set(store, LARDER_LIT("quickstart:greeting"), LARDER_LIT("hello"), LARDER_TEXT, LARDER_TTL_DEFAULT,
                     NULL, &error),
          &error);
    check(larder_get_into(store, LARDER_LIT("quickstart:greeting"), NULL, buffer, sizeof buffer, &len, &error), &error);
    printf("  read back:      %.*s\n", (int)len, buffer);
}

/* Structured data: written as JSON, and in Python it is a dict. */
static void structured_data(larder_store *store)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    const char *json = NULL;
    size_t len = 0;

    check(larder_set(store, LARDER_LIT("quickstart:summoner"), LARDER_LIT("{\"name\": \"Ahri\", \"level\": 678}"),
                     LARDER_JSON, LARDER_TTL_DEFAULT, NULL, &error),
          &error);
    check(larder_get(store, LARDER_LIT("quickstart:summoner"), NULL, &value, &error), &error);
    check(larder_value_json(value, &json, &len, &error), &error); /* `json` lives as long as `value` */
    printf("  a dict:         %.*s\n", (int)len, json);
    larder_value_release(value);
}

/* Expiry, in milliseconds. A miss is no failure: it is the status LARDER_MISS. */
static void expire(larder_store *store)
{
    larder_error *error = NULL;
    larder_status status;

    check(larder_set(store, LARDER_LIT("quickstart:short"), LARDER_LIT("soon gone"), LARDER_TEXT, 60000, NULL, &error),
          &error);
    check(larder_expire(store, LARDER_LIT("quickstart:short"), 50, NULL, &error), &error);
    sleep_ms(100);
    status = larder_has(store, LARDER_LIT("quickstart:short"), NULL, &error);
    check(status, &error);
    printf("  after 100 ms:   %s\n", larder_status_name(status));
}

/* Counting. */
static void count(larder_store *store)
{
    larder_error *error = NULL;
    int64_t number = 0;

    check(larder_set(store, LARDER_LIT("quickstart:visits"), LARDER_LIT("41"), LARDER_JSON, LARDER_TTL_DEFAULT, NULL,
                     &error),
          &error);
    check(larder_incr(store, LARDER_LIT("quickstart:visits"), 1, NULL, &number, NULL, &error), &error);
    printf("  counted to:     %lld\n", (long long)number);
}

/* Listing, where the backend can: file names are hashes, so that a directory cannot tell its keys. */
static void list(larder_store *store)
{
    larder_error *error = NULL;
    larder_cursor *cursor = NULL;
    larder_status status = larder_keys(store, LARDER_LIT("quickstart:*"), NULL, &cursor, &error);
    char key[256];
    size_t len = 0;

    if (status == LARDER_EUNSUPPORTED) {
        printf("  keys:           unsupported (%s)\n", larder_error_message(error));
        larder_error_release(error);
        return;
    }
    check(status, &error);
    while ((status = larder_cursor_next(cursor, key, sizeof key, &len, &error)) == LARDER_OK)
        printf("  key:            %.*s\n", (int)len, key);
    check(status, &error); /* LARDER_EMPTY at the end */
    larder_cursor_close(cursor);
}

static void clean_up(larder_store *store)
{
    static const char *const keys[] = {"quickstart:greeting", "quickstart:summoner", "quickstart:visits"};
    static const size_t lens[] = {19, 19, 17};
    larder_error *error = NULL;

    check(larder_delete_many(store, keys, lens, 3, NULL, NULL, &error), &error);
}

static void show(larder_store *store, const char *alias)
{
    printf("%s\n", alias);
    set_and_read(store);
    structured_data(store);
    expire(store);
    count(store);
    list(store);
    clean_up(store);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "caches.json";
    const char *aliases[] = {"pyot-filebased", "scratch", "default"};
    larder_context *context = NULL;
    larder_error *error = NULL;
    char warning[512];
    size_t i, len = 0;

    /* Opening reads the configuration and never connects. */
    check(larder_open_file(path, NULL, &context, &error), &error);
    for (i = 0; larder_warning(context, i, warning, sizeof warning, &len, NULL) == LARDER_OK; i++)
        printf("warning: %.*s\n", (int)len, warning);

    for (i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        larder_store *store = NULL;
        larder_status status;
        check(larder_store_open(context, aliases[i], &store, &error), &error);
        status = larder_store_ping(store, NULL, &error);
        if (status == LARDER_OK) {
            show(store, aliases[i]);
        } else {
            printf("%s\n  nobody answers: %s\n", aliases[i], larder_error_message(error));
            larder_error_release(error);
            error = NULL;
        }
        larder_store_close(store);
    }

    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
