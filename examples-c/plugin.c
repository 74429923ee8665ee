/*
 * plugin: what only this program knows, plugged into larder: a key function, a serializer, a compressor and a backend,
 * each a small table of functions under a dotted name that CACHES can then use.
 *
 *     cc plugin.c -llarder -pthread -o plugin
 *     ./plugin
 *
 * docs/plugins.md says on which thread each function is called, and what it may do there.
 */
#define _POSIX_C_SOURCE 200809L /* the clock, where the compiler is asked for plain C */

#include <larder.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* ---- KEY_FUNCTION: prefix/version/key instead of prefix:version:key ---- */

static larder_status make_key(void *user_data, const char *key, size_t key_len, const char *prefix, size_t prefix_len,
                              const char *version, size_t version_len, larder_sink *made)
{
    (void)user_data;
    /* A write that fails makes the whole call fail: its status need not be looked at each time. */
    larder_sink_write(made, prefix, prefix_len);
    larder_sink_write(made, "/", 1);
    larder_sink_write(made, version, version_len);
    larder_sink_write(made, "/", 1);
    return larder_sink_write(made, key, key_len);
}

/* The way back, for larder_keys: what is behind the second slash. */
static larder_status user_key(void *user_data, const char *made, size_t made_len, larder_sink *key)
{
    const char *first = memchr(made, '/', made_len), *second;
    size_t left;

    (void)user_data;
    if (first == NULL)
        return LARDER_MISS; /* not one of ours: it is left out */
    left = made_len - (size_t)(first + 1 - made);
    second = memchr(first + 1, '/', left);
    if (second == NULL)
        return LARDER_MISS;
    return larder_sink_write(key, second + 1, made_len - (size_t)(second + 1 - made));
}

static const larder_key_function_table slashes = {
    .struct_size = sizeof(larder_key_function_table), .make = make_key, .reverse = user_key};

/* ---- SERIALIZER: a letter for the format, and the bytes as they came ---- */

static larder_status dumps(void *user_data, int32_t format, const void *data, size_t len, larder_sink *stored)
{
    (void)user_data;
    larder_sink_write(stored, format == LARDER_BYTES ? "B" : format == LARDER_TEXT ? "T" : "J", 1);
    return larder_sink_write(stored, data, len);
}

static larder_status loads(void *user_data, const void *stored, size_t len, larder_sink *value, int32_t *format)
{
    const char *letter = stored;

    (void)user_data;
    if (len == 0)
        return LARDER_EUNDECODABLE;
    switch (letter[0]) {
    case 'B': *format = LARDER_BYTES; break;
    case 'T': *format = LARDER_TEXT; break;
    case 'J': *format = LARDER_JSON; break;
    default: larder_plugin_reason(LARDER_LIT("no letter that this serializer writes")); return LARDER_EUNDECODABLE;
    }
    return larder_sink_write(value, letter + 1, len - 1);
}

static const larder_serializer_table letters = {
    .struct_size = sizeof(larder_serializer_table), .dumps = dumps, .loads = loads};

/* ---- COMPRESSOR: runs of one byte, behind a mark ---- */

static larder_status compress(void *user_data, const void *data, size_t len, larder_sink *compressed)
{
    const unsigned char *bytes = data;
    size_t i, run;

    (void)user_data;
    larder_sink_write(compressed, "~RUN", 4);
    for (i = 0; i < len; i += run) {
        unsigned char pair[2];
        for (run = 1; run < 255 && i + run < len && bytes[i + run] == bytes[i]; run++)
            ;
        pair[0] = (unsigned char)run;
        pair[1] = bytes[i];
        larder_sink_write(compressed, pair, 2);
    }
    return LARDER_OK;
}

static larder_status decompress(void *user_data, const void *data, size_t len, size_t limit, larder_sink *plain)
{
    const unsigned char *bytes = data;
    unsigned char run[255];
    size_t i;

    (void)user_data;
    (void)limit; /* the sink takes no more than that anyway */
    if (len < 4 || memcmp(data, "~RUN", 4) != 0)
        return LARDER_MISS; /* it was not compressed: larder takes it as it is */
    for (i = 4; i + 1 < len; i += 2) {
        memset(run, bytes[i + 1], bytes[i]);
        larder_sink_write(plain, run, bytes[i]);
    }
    return LARDER_OK;
}

static const larder_compressor_table runs = {.struct_size = sizeof(larder_compressor_table),
                                             .min_length = 16,
                                             .compress = compress,
                                             .decompress = decompress};

/* ---- BACKEND: a shelf with a few places ---- */

enum { PLACES = 16, LONGEST = 256 };

struct shelf {
    pthread_mutex_t lock; /* larder calls from as many threads as use the store */
    struct {
        char key[LONGEST], value[LONGEST];
        size_t key_len, value_len;
        int64_t ends; /* LARDER_TTL_FOREVER, or a moment in ms; 0: the place is free */
    } places[PLACES];
};

static int64_t moment(int64_t ttl_ms)
{
    struct timespec now;

    if (ttl_ms == LARDER_TTL_FOREVER)
        return ttl_ms;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ttl_ms; /* what larder hands over never overflows */
}

/* The place of a key that is alive; else a free one where one is asked for; else -1. */
static int find(struct shelf *shelf, const char *key, size_t len, int or_free)
{
    int64_t now = moment(0);
    int i, free_place = -1;

    for (i = 0; i < PLACES; i++) {
        if (shelf->places[i].ends <= now)
            shelf->places[i].ends = 0, free_place = i;
        else if (shelf->places[i].key_len == len && memcmp(shelf->places[i].key, key, len) == 0)
            return i;
    }
    return or_free ? free_place : -1;
}

static larder_status shelf_open(void *user_data, const char *alias, size_t alias_len, const char *entry,
                                size_t entry_len, void **instance)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);

    (void)user_data;
    if (shelf == NULL)
        return LARDER_EMEMORY;
    pthread_mutex_init(&shelf->lock, NULL);
    printf("open:       %.*s, %.*s\n", (int)alias_len, alias, (int)entry_len, entry);
    *instance = shelf;
    return LARDER_OK;
}

static void shelf_close(void *instance)
{
    struct shelf *shelf = instance;

    pthread_mutex_destroy(&shelf->lock);
    free(shelf);
    printf("close:      the shelf\n");
}

static larder_status shelf_get(void *instance, const char *key, size_t key_len, int64_t left_ms, larder_sink *value)
{
    struct shelf *shelf = instance;
    larder_status status = LARDER_MISS;
    int place;

    (void)left_ms; /* nothing here waits */
    pthread_mutex_lock(&shelf->lock);
    place = find(shelf, key, key_len, 0);
    if (place >= 0)
        status = larder_sink_write(value, shelf->places[place].value, shelf->places[place].value_len);
    pthread_mutex_unlock(&shelf->lock);
    return status;
}

static larder_status shelf_set(void *instance, const char *key, size_t key_len, const void *value, size_t value_len,
                               int64_t ttl_ms, uint32_t flags, int64_t left_ms)
{
    struct shelf *shelf = instance;
    larder_status status = LARDER_OK;
    int place;

    (void)left_ms;
    if (key_len > LONGEST || value_len > LONGEST)
        return LARDER_ETOOBIG;
    pthread_mutex_lock(&shelf->lock);
    place = find(shelf, key, key_len, 0);
    if ((place >= 0 && (flags & LARDER_CALL_NX)) || (place < 0 && (flags & LARDER_CALL_XX))) {
        status = LARDER_NOT_STORED;
    } else if ((place = find(shelf, key, key_len, 1)) < 0) {
        larder_plugin_reason(LARDER_LIT("the shelf is full"));
        status = LARDER_ESERVER;
    } else {
        memcpy(shelf->places[place].key, key, key_len);
        memcpy(shelf->places[place].value, value, value_len);
        shelf->places[place].key_len = key_len;
        shelf->places[place].value_len = value_len;
        shelf->places[place].ends = moment(ttl_ms);
    }
    pthread_mutex_unlock(&shelf->lock);
    return status;
}

/* Gives the key of a place another end; 0 frees it. */
static larder_status change_end(struct shelf *shelf, const char *key, size_t key_len, int64_t ends)
{
    int place;

    pthread_mutex_lock(&shelf->lock);
    place = find(shelf, key, key_len, 0);
    if (place >= 0)
        shelf->places[place].ends = ends;
    pthread_mutex_unlock(&shelf->lock);
    return place >= 0 ? LARDER_OK : LARDER_MISS;
}

static larder_status shelf_touch(void *instance, const char *key, size_t key_len, int64_t ttl_ms, int64_t left_ms)
{
    (void)left_ms;
    return change_end(instance, key, key_len, moment(ttl_ms));
}

static larder_status shelf_delete(void *instance, const char *key, size_t key_len, int64_t left_ms)
{
    (void)left_ms;
    return change_end(instance, key, key_len, 0);
}

/* All keys in one page; larder itself looks which of them match the pattern. */
static larder_status shelf_scan(void *instance, const char *pattern, size_t pattern_len, uint64_t at, int64_t left_ms,
                                larder_sink *keys, uint64_t *next)
{
    struct shelf *shelf = instance;
    int64_t now = moment(0);
    int i;

    (void)pattern, (void)pattern_len, (void)at, (void)left_ms, (void)next;
    pthread_mutex_lock(&shelf->lock);
    for (i = 0; i < PLACES; i++)
        if (shelf->places[i].ends > now)
            larder_sink_write_key(keys, shelf->places[i].key, shelf->places[i].key_len);
    pthread_mutex_unlock(&shelf->lock);
    return LARDER_OK;
}

/* What is NULL the backend has not: larder does without, or answers LARDER_EUNSUPPORTED. */
static const larder_backend_table shelves = {.struct_size = sizeof(larder_backend_table),
                                             .open = shelf_open,
                                             .close = shelf_close,
                                             .get = shelf_get,
                                             .set = shelf_set,
                                             .touch = shelf_touch,
                                             .delete_key = shelf_delete,
                                             .scan = shelf_scan};

/* ---- the program ---- */

static const char caches[] = "{\"default\": {\"BACKEND\": \"shop.Shelf\", \"LOCATION\": \"by the door\","
                             " \"KEY_PREFIX\": \"shop\", \"KEY_FUNCTION\": \"shop.slashes\","
                             " \"OPTIONS\": {\"SERIALIZER\": \"shop.Letters\", \"COMPRESSOR\": \"shop.Runs\"}}}";

static void show(const larder_store *store, const char *key)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    const char *json = "";
    const void *stored = "";
    size_t json_len = 0, stored_len = 0;

    check(larder_get(store, key, strlen(key), NULL, &value, &error), &error);
    check(larder_value_json(value, &json, &json_len, &error), &error);
    check(larder_value_stored(value, &stored, &stored_len, &error), &error);
    printf("%-11s %.*s, stored in %zu bytes\n", key, (int)json_len, json, stored_len);
    larder_value_release(value);
}

static void list(const larder_store *store)
{
    larder_error *error = NULL;
    larder_cursor *cursor = NULL;
    larder_status status;
    char key[LONGEST];
    size_t len = 0;

    check(larder_keys(store, LARDER_LIT("*"), NULL, &cursor, &error), &error);
    while ((status = larder_cursor_next(cursor, key, sizeof key, &len, &error)) == LARDER_OK)
        printf("key:        %.*s\n", (int)len, key);
    check(status, &error);
    larder_cursor_close(cursor);
}

int main(void)
{
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    larder_status status;
    int64_t number = 0;

    /* Before the configuration is opened. Nobody knows the names yet: */
    status = larder_open(caches, strlen(caches), NULL, &context, &error);
    printf("%s: %s\n", larder_status_name(status), larder_error_message(error));
    larder_error_release(error);
    error = NULL;

    check(larder_register_key_function("shop.slashes", &slashes, NULL, &error), &error);
    check(larder_register_serializer("shop.Letters", &letters, NULL, &error), &error);
    check(larder_register_compressor("shop.Runs", &runs, NULL, &error), &error);
    check(larder_register_backend("shop.Shelf", &shelves, NULL, &error), &error);

    check(larder_open(caches, strlen(caches), NULL, &context, &error), &error);
    check(larder_store_open(context, "default", &store, &error), &error);
    check(larder_set(store, LARDER_LIT("greeting"), LARDER_LIT("hello"), LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, &error),
          &error);
    check(larder_set(store, LARDER_LIT("line"), LARDER_LIT("----------------------------------------"), LARDER_TEXT,
                     LARDER_TTL_FOREVER, NULL, &error),
          &error);
    check(larder_set(store, LARDER_LIT("visits"), LARDER_LIT("41"), LARDER_JSON, 60000, NULL, &error), &error);
    check(larder_incr(store, LARDER_LIT("visits"), 1, NULL, &number, NULL, &error), &error);
    show(store, "greeting");
    show(store, "line");
    show(store, "visits");
    list(store);

    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    check(larder_unregister("shop.Shelf", &error), &error);
    return 0;
}
