/* What the two programs about plug-ins share: plug-ins that count how often they are freed, and do as they are told. */
#ifndef LARDER_TESTS_PLUGINS_H
#define LARDER_TESTS_PLUGINS_H

#include "support.h"

#include "backend_table.c"

/* What a plug-in's functions are given. */
typedef struct {
    int calls, freed, opened, closed;
    larder_status answer;      /* what the functions answer; 0: they work */
    const char *reason;        /* what they say about that */
    const char *written;       /* written instead of what is right */
    size_t written_len;
    int32_t format;            /* what loads says instead */
    larder_status (*hook)(larder_sink *sink); /* called in the midst; its answer is the function's */
    pthread_t thread;          /* on which it was called last */
} own_data;

static void own_free(void *user_data)
{
    __atomic_add_fetch(&((own_data *)user_data)->freed, 1, __ATOMIC_SEQ_CST);
}

/* Whether the function is to do something else than its work; then `status` is its answer. */
static int is_told_otherwise(own_data *own, larder_sink *sink, larder_status *status)
{
    __atomic_add_fetch(&own->calls, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&own->thread, pthread_self(), __ATOMIC_SEQ_CST);
    if (own->reason != NULL)
        CHECK_NUMBER(LARDER_OK, larder_plugin_reason(own->reason, strlen(own->reason)));
    if (own->written != NULL)
        larder_sink_write(sink, own->written, own->written_len);
    *status = own->hook != NULL ? own->hook(sink) : own->answer;
    return own->hook != NULL || own->answer != 0 || own->written != NULL;
}

/* version!prefix!key */
static larder_status own_make(void *user_data, const char *key, size_t key_len, const char *prefix, size_t prefix_len,
                              const char *version, size_t version_len, larder_sink *sink)
{
    larder_status status;
    CHECK(key != NULL && prefix != NULL && version != NULL); /* also where they are empty */
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    larder_sink_write(sink, version, version_len);
    larder_sink_write(sink, "!", 1);
    larder_sink_write(sink, prefix, prefix_len);
    larder_sink_write(sink, "!", 1);
    return larder_sink_write(sink, key, key_len);
}

static larder_status own_reverse(void *user_data, const char *made, size_t made_len, larder_sink *sink)
{
    larder_status status;
    const char *first = memchr(made, '!', made_len), *second;
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    if (first == NULL || (second = memchr(first + 1, '!', made_len - (size_t)(first + 1 - made))) == NULL)
        return LARDER_MISS;
    return larder_sink_write(sink, second + 1, made_len - (size_t)(second + 1 - made));
}

/* The format's digit, and the value. */
static larder_status own_dumps(void *user_data, int32_t format, const void *data, size_t len, larder_sink *sink)
{
    larder_status status;
    char digit = (char)('0' + format);
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    larder_sink_write(sink, &digit, 1);
    return larder_sink_write(sink, data, len);
}

static larder_status own_loads(void *user_data, const void *stored, size_t len, larder_sink *sink, int32_t *format)
{
    larder_status status;
    CHECK_NUMBER(LARDER_BYTES, *format);
    if (((own_data *)user_data)->format != 0)
        *format = ((own_data *)user_data)->format;
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    if (len == 0 || ((const char *)stored)[0] < '1' || ((const char *)stored)[0] > '3')
        return LARDER_EUNDECODABLE;
    if (((own_data *)user_data)->format == 0)
        *format = ((const char *)stored)[0] - '0';
    return larder_sink_write(sink, (const char *)stored + 1, len - 1);
}

/* Not fewer bytes, but others. */
static larder_status own_compress(void *user_data, const void *data, size_t len, larder_sink *sink)
{
    larder_status status;
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    larder_sink_write(sink, "<<", 2);
    return larder_sink_write(sink, data, len);
}

static larder_status own_decompress(void *user_data, const void *data, size_t len, size_t limit, larder_sink *sink)
{
    larder_status status;
    CHECK(limit > 0);
    if (is_told_otherwise(user_data, sink, &status))
        return status;
    if (len < 2 || memcmp(data, "<<", 2) != 0)
        return LARDER_MISS;
    return larder_sink_write(sink, (const char *)data + 2, len - 2);
}

/* A backend that is the one of backend_table.c, with a look at what it is told before. */
typedef struct {
    own_data *own;
    void *table;
} own_instance;

static struct universe everything = {PTHREAD_MUTEX_INITIALIZER, NULL};

static larder_status own_open(void *user_data, const char *alias, size_t alias_len, const char *entry_json,
                              size_t entry_json_len, void **instance)
{
    own_data *own = user_data;
    own_instance *opened = calloc(1, sizeof *opened);
    larder_status status;
    CHECK(opened != NULL && *instance == NULL);
    if (own->answer != 0) {
        free(opened);
        return own->answer;
    }
    opened->own = own;
    status = table_open(&everything, alias, alias_len, entry_json, entry_json_len, &opened->table);
    *instance = opened;
    __atomic_add_fetch(&own->opened, 1, __ATOMIC_SEQ_CST);
    return status;
}

static void own_close(void *instance)
{
    own_instance *own = instance;
    __atomic_add_fetch(&own->own->closed, 1, __ATOMIC_SEQ_CST);
    free(own);
}

#define OWN(function, ...)                                                                                             \
    own_instance *own = instance;                                                                                      \
    larder_status status;                                                                                              \
    CHECK(left_ms >= 1);                                                                                               \
    return is_told_otherwise(own->own, NULL, &status) ? status : function(own->table, __VA_ARGS__)

static larder_status own_get(void *instance, const char *key, size_t key_len, int64_t left_ms, larder_sink *sink)
{
    own_instance *own = instance;
    larder_status status;
    CHECK(key != NULL && left_ms >= 1);
    return is_told_otherwise(own->own, sink, &status) ? status : table_get(own->table, key, key_len, left_ms, sink);
}

static larder_status own_set(void *instance, const char *key, size_t key_len, const void *value, size_t value_len,
                             int64_t ttl_ms, uint32_t flags, int64_t left_ms)
{
    CHECK(value != NULL && ttl_ms > 0);
    OWN(table_set, key, key_len, value, value_len, ttl_ms, flags, left_ms);
}

static larder_status own_touch(void *instance, const char *key, size_t key_len, int64_t ttl_ms, int64_t left_ms)
{
    CHECK(ttl_ms > 0);
    OWN(table_touch, key, key_len, ttl_ms, left_ms);
}

static larder_status own_delete(void *instance, const char *key, size_t key_len, int64_t left_ms)
{
    OWN(table_delete, key, key_len, left_ms);
}

static larder_status own_scan(void *instance, const char *pattern, size_t pattern_len, uint64_t at, int64_t left_ms,
                              larder_sink *sink, uint64_t *next)
{
    OWN(table_scan, pattern, pattern_len, at, left_ms, sink, next);
}

static const larder_key_function_table own_keys = {sizeof own_keys, 0, own_free, own_make, own_reverse};
static const larder_serializer_table own_serializer = {sizeof own_serializer, 0, own_free, own_dumps, own_loads};
static const larder_compressor_table own_compressor = {sizeof own_compressor, 0,           own_free, 8,
                                                       own_compress,          own_decompress};

/* The smallest table, and a listing. */
static inline larder_backend_table own_backend(void)
{
    larder_backend_table table = LARDER_BACKEND_TABLE_INIT;
    table_write = larder_sink_write;
    table_write_key = larder_sink_write_key;
    table.free_user_data = own_free;
    table.open = own_open;
    table.close = own_close;
    table.get = own_get;
    table.set = own_set;
    table.touch = own_touch;
    table.delete_key = own_delete;
    table.scan = own_scan;
    return table;
}

/* All four, under the names below, with data of their own. */
typedef struct {
    own_data keys, serializer, compressor, backend;
} own_all;

static inline void register_all(own_all *all)
{
    larder_backend_table backend = own_backend();
    memset(all, 0, sizeof *all);
    EXPECT(LARDER_OK, larder_register_key_function("test.keys", &own_keys, &all->keys, ERR));
    EXPECT(LARDER_OK, larder_register_serializer("test.Serializer", &own_serializer, &all->serializer, ERR));
    EXPECT(LARDER_OK, larder_register_compressor("test.Compressor", &own_compressor, &all->compressor, ERR));
    EXPECT(LARDER_OK, larder_register_backend("test.Backend", &backend, &all->backend, ERR));
}

static inline void unregister_all(void)
{
    EXPECT(LARDER_OK, larder_unregister("test.keys", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Serializer", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Compressor", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
}

static inline void check_all_freed(const own_all *all)
{
    CHECK_NUMBER(1, all->keys.freed);
    CHECK_NUMBER(1, all->serializer.freed);
    CHECK_NUMBER(1, all->compressor.freed);
    CHECK_NUMBER(1, all->backend.freed);
    CHECK_NUMBER(all->backend.opened, all->backend.closed);
}

#define ALL_OF_THEM                                                                                                    \
    "\"BACKEND\": \"test.Backend\", \"KEY_FUNCTION\": \"test.keys\", \"KEY_PREFIX\": \"p*\","                           \
    "\"OPTIONS\": {\"SERIALIZER\": \"test.Serializer\", \"COMPRESSOR\": \"test.Compressor\"},"                         \
    "\"LARDER\": {\"MAX_VALUE_BYTES\": 1000}"

static inline larder_context *open_text(const char *text)
{
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

static inline larder_context *open_own(void)
{
    return open_text("{\"default\": {" ALL_OF_THEM ", \"LOCATION\": \"a\"}, \"other\": {" ALL_OF_THEM
                     ", \"LOCATION\": \"b\"}}");
}

static inline void shut_down(larder_context *context)
{
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

/* Empties what the backends hold between tests, for the leak checker. */
static inline void forget_everything(void)
{
    struct table *table = everything.tables, *next;
    uint64_t removed = 0;
    for (everything.tables = NULL; table != NULL; table = next) {
        next = table->next;
        remove_all(table, "", 0, 0, &removed);
        pthread_mutex_destroy(&table->lock);
        free(table);
    }
}

/* Checks a status, and that the message of its error has these words. */
#define EXPECT_WORDS(wanted, words, call)                                                                              \
    do {                                                                                                               \
        problem.error = NULL;                                                                                          \
        larder_status got_status = (call);                                                                             \
        const char *got_message = larder_error_message(problem.error);                                                 \
        if (got_status != (wanted) || strstr(got_message, (words)) == NULL)                                            \
            FAIL("%s: %s \"%s\", not %s \"%s\"", #call, larder_status_name(got_status), got_message,                  \
                 larder_status_name(wanted), (words));                                                                 \
        larder_error_release(problem.error);                                                                           \
        problem.error = NULL;                                                                                          \
    } while (0)

#endif
