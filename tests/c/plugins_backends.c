/*
 * Plug-ins and backends: a complete backend in C, whose every function is used, with larder's own serializers; and a
 * program's own key function, serializer and compressor with Redis.
 */
#include "plugins.h"

/* ---- a complete backend ---- */

static void every_function(void)
{
    static const char *const keys[] = {"a", "b", "c"};
    static const size_t lens[] = {1, 1, 1};
    static const void *const values[] = {"1", "\"two\"", "3.5"};
    static const size_t value_lens[] = {1, 5, 3};
    void *universe = NULL;
    const larder_backend_table *table = backend_table(larder_sink_write, larder_sink_write_key, &universe);
    larder_value *found[3], *token = NULL;
    larder_cursor *cursor = NULL;
    larder_context *own;
    larder_store *store, *other;
    larder_call nx = LARDER_CALL_INIT, xx = LARDER_CALL_INIT;
    uint8_t failed[3];
    int64_t number = 0;
    uint64_t removed = 0;
    size_t count = 0, len = 0;
    const char *text = NULL;
    char key[32];

    EXPECT(LARDER_OK, larder_register_backend("test.Table", table, universe, ERR));
    own = open_text("{\"default\": {\"BACKEND\": \"test.Table\", \"LOCATION\": \"one\", \"KEY_PREFIX\": \"[p]*\"},"
                    " \"other\": {\"BACKEND\": \"test.Table\", \"LOCATION\": \"one\", \"KEY_PREFIX\": \"q\","
                    "  \"OPTIONS\": {\"SERIALIZER\": \"django_redis.serializers.json.JSONSerializer\","
                    "  \"COMPRESSOR\": \"django_redis.compressors.zlib.ZlibCompressor\"}}}");
    store = open_store(own, "default");
    other = open_store(own, "other");
    nx.flags = LARDER_CALL_NX;
    xx.flags = LARDER_CALL_XX;
    EXPECT(LARDER_OK, larder_set_many(store, keys, lens, values, value_lens, 3, LARDER_JSON, 60000, NULL, failed, ERR));
    EXPECT(LARDER_OK, larder_get_many(store, keys, lens, 3, NULL, found, &count, ERR));
    CHECK_NUMBER(3, count);
    for (int i = 0; i < 3; i++)
        larder_value_release(found[i]);
    EXPECT(LARDER_NOT_STORED, larder_set(store, "a", 1, "9", 1, LARDER_JSON, 60000, &nx, ERR));
    EXPECT(LARDER_NOT_STORED, larder_set(store, "x", 1, "9", 1, LARDER_JSON, 60000, &xx, ERR));
    EXPECT(LARDER_OK, larder_set(store, "a", 1, "9", 1, LARDER_JSON, 60000, &xx, ERR));
    EXPECT(LARDER_NOT_KEPT, larder_set(store, "x", 1, "9", 1, LARDER_JSON, 0, NULL, ERR));
    EXPECT(LARDER_NOT_STORED, larder_set(store, "a", 1, "9", 1, LARDER_JSON, 0, &nx, ERR));
    EXPECT(LARDER_NOT_STORED, larder_set(store, "x", 1, "9", 1, LARDER_JSON, -1, &xx, ERR));
    EXPECT(LARDER_OK, larder_incr(store, "a", 1, 5, NULL, &number, NULL, ERR));
    CHECK_NUMBER(14, number);
    EXPECT(LARDER_OK, larder_ttl(store, "a", 1, NULL, &number, ERR));
    CHECK(number > 0 && number <= 60000); /* as it was */
    EXPECT(LARDER_OK, larder_set(store, "a", 1, "9223372036854775807", 19, LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_LOSSY, larder_incr(store, "a", 1, 1, NULL, &number, NULL, ERR)); /* beyond 64 bits larder adds */
    CHECK_JSON("9223372036854775808", store, "a");
    EXPECT(LARDER_ETYPE, larder_incr(store, "b", 1, 1, NULL, &number, NULL, ERR));
    EXPECT(LARDER_OK, larder_persist(store, "a", 1, NULL, ERR));
    EXPECT(LARDER_OK, larder_ttl(store, "a", 1, NULL, &number, ERR));
    CHECK_NUMBER(LARDER_TTL_FOREVER, number);
    EXPECT(LARDER_OK, larder_expire(store, "b", 1, 20, NULL, ERR));
    EXPECT(LARDER_NOT_KEPT, larder_expire(store, "c", 1, 0, NULL, ERR));
    sleep_ms(40);
    EXPECT(LARDER_OK, larder_purge_expired(store, NULL, &removed, ERR));
    CHECK_NUMBER(1, removed);

    EXPECT(LARDER_OK, larder_lock(store, LARDER_LIT("lock"), 60000, 0, NULL, &token, ERR));
    EXPECT(LARDER_OK, larder_value_text(token, &text, &len, ERR));
    EXPECT(LARDER_OK, larder_lock_extend(store, LARDER_LIT("lock"), text, len, 5000, LARDER_EXTEND_ADD, NULL, ERR));
    EXPECT(LARDER_OK, larder_ttl(store, LARDER_LIT("lock"), NULL, &number, ERR));
    CHECK(number > 60000);
    EXPECT(LARDER_MISS, larder_unlock(store, LARDER_LIT("lock"), LARDER_LIT("another"), NULL, ERR));
    EXPECT(LARDER_OK, larder_unlock(store, LARDER_LIT("lock"), text, len, NULL, ERR));
    larder_value_release(token);

    /* pages of ten; other aliases' keys are left alone */
    EXPECT(LARDER_OK, larder_set(other, LARDER_LIT("k"), LARDER_LIT("[\"with the settings of django-redis\"]"), LARDER_JSON,
                                 60000, NULL, ERR));
    CHECK_JSON("[\"with the settings of django-redis\"]", other, "k");
    for (int i = 0; i < 35; i++)
        EXPECT(LARDER_OK, larder_set(store, key, (size_t)snprintf(key, sizeof key, "k%d", i), "1", 1, LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("k?*"), NULL, &cursor, ERR));
    for (count = 0; larder_cursor_next(cursor, key, sizeof key, &len, NULL) == LARDER_OK; count++)
        CHECK(key[0] == 'k' && len <= 3);
    CHECK_NUMBER(35, count);
    larder_cursor_close(cursor);
    EXPECT(LARDER_OK, larder_delete_pattern(store, LARDER_LIT("k1*"), NULL, &removed, ERR));
    CHECK_NUMBER(11, removed);
    EXPECT(LARDER_OK, larder_delete_many(store, keys, lens, 3, NULL, &removed, ERR));
    CHECK_NUMBER(1, removed);
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_PREFIX, NULL, ERR));
    EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("k2"), NULL, ERR));
    EXPECT(LARDER_OK, larder_has(other, LARDER_LIT("k"), NULL, ERR));
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    EXPECT(LARDER_MISS, larder_has(other, LARDER_LIT("k"), NULL, ERR));
    EXPECT(LARDER_OK, larder_store_ping(store, NULL, ERR));
    for (int operation = LARDER_OP_KEYS; operation <= LARDER_OP_KEEP; operation++)
        CHECK_NUMBER(LARDER_OK, larder_store_supports(store, operation));
    larder_store_close(store);
    larder_store_close(other);
    shut_down(own);
    EXPECT(LARDER_OK, larder_unregister("test.Table", ERR));
}

static larder_status no_load(void *user_data, const larder_load_request *request)
{
    (void)user_data, (void)request;
    FAIL("it was loaded");
}

/* A load under a lock of all processes, on a backend that has none: it is said, and nothing is loaded without one. */
static void without_locks(void)
{
    void *universe = NULL;
    larder_backend_table table = *backend_table(larder_sink_write, larder_sink_write_key, &universe);
    larder_load_options options = LARDER_LOAD_OPTIONS_INIT;
    larder_pipeline *pipeline = (larder_pipeline *)&options;
    larder_value *value = NULL;
    larder_context *own;
    larder_store *store;

    table.lock = NULL;
    EXPECT(LARDER_OK, larder_register_backend("test.NoLocks", &table, universe, ERR));
    own = open_text("{\"CACHES\": {\"default\": {\"BACKEND\": \"test.NoLocks\", \"LOCATION\": \"one\"}},"
                    " \"PIPELINES\": {\"OWN\": {\"LOAD\": {\"LOCK\": \"default\"}, \"PIPELINE\":"
                    "  [{\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"default\", \"EXPIRATIONS\": {\"*\": 60}}]}}}");
    EXPECT(LARDER_EUNSUPPORTED, larder_pipeline_open(own, "OWN", NULL, &pipeline, ERR));
    CHECK(pipeline == NULL);
    store = open_store(own, "default");
    options.lock_ms = 1000;
    EXPECT(LARDER_EUNSUPPORTED,
           larder_get_or_load(store, LARDER_LIT("k"), no_load, NULL, 60000, &options, NULL, &value, ERR));
    larder_store_close(store);
    shut_down(own);
    EXPECT(LARDER_OK, larder_unregister("test.NoLocks", ERR));
}

/* ---- with the backends of others ---- */

static void stored_is(const larder_store *store, const char *key, const char *wanted)
{
    larder_call final_key = LARDER_CALL_INIT;
    larder_value *value = NULL;
    const void *stored = NULL;
    size_t len = 0;

    final_key.flags = LARDER_CALL_FINAL_KEY;
    EXPECT(LARDER_OK, larder_get(store, key, strlen(key), &final_key, &value, ERR));
    EXPECT(LARDER_OK, larder_value_stored(value, &stored, &len, ERR));
    if (len != strlen(wanted) || memcmp(stored, wanted, len) != 0)
        FAIL("%s holds %.*s, not %s", key, (int)len, (const char *)stored, wanted);
    larder_value_release(value);
}

static char told_token[64];
static counter told = COUNTER_INIT;

static void on_lock(void *user_data, larder_op op, larder_status status, const larder_value *value,
                    const larder_error *error)
{
    const char *text = NULL;
    size_t len = 0;
    (void)user_data, (void)op, (void)error;
    CHECK_NUMBER(LARDER_OK, status);
    EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
    CHECK_NUMBER(32, len);
    memcpy(told_token, text, len);
    count_one(&told);
}

/* A token and the keys of a listing are no values of the alias's: no serializer and no limit for values has a say in them. */
static void tokens_and_listed_keys_are_larders(const larder_context *context, const larder_store *store, own_all *all)
{
    larder_value *token = NULL;
    larder_queue *queue = NULL;
    larder_request keys = LARDER_REQUEST_INIT;
    larder_event event;
    const char *text = NULL;
    size_t len = 0, n = 0;
    int calls = all->serializer.calls + all->compressor.calls;

    all->serializer.answer = all->compressor.answer = LARDER_EIO;
    EXPECT(LARDER_OK, larder_lock(store, LARDER_LIT("l"), 60000, 0, NULL, &token, ERR));
    EXPECT(LARDER_OK, larder_value_text(token, &text, &len, ERR));
    CHECK_NUMBER(32, len);
    EXPECT(LARDER_OK, larder_unlock(store, LARDER_LIT("l"), text, len, NULL, ERR));
    larder_value_release(token);
    EXPECT(LARDER_OK, larder_lock_cb(store, LARDER_LIT("l"), 60000, 0, NULL, on_lock, NULL, NULL, ERR));
    wait_for(&told, 1);
    EXPECT(LARDER_OK, larder_queue_open(context, 8, 0, &queue, ERR));
    keys.operation = LARDER_OP_KEYS;
    keys.store = store;
    keys.key = "*";
    keys.key_len = 1;
    EXPECT(LARDER_OK, larder_submit(queue, &keys, 1, sizeof keys, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 10000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_OK && event.n == 1);
    EXPECT(LARDER_OK, larder_value_text(event.values[0], &text, &len, ERR));
    CHECK(len == 1 && text[0] == 'l');
    larder_events_clear(&event, 1, sizeof event);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_unlock(store, LARDER_LIT("l"), told_token, 32, NULL, ERR));
    CHECK_NUMBER(calls, all->serializer.calls + all->compressor.calls);
    all->serializer.answer = all->compressor.answer = 0;
}

static void on_redis(const char *url)
{
    own_all all;
    char text[2048], key[64];
    larder_cursor *cursor = NULL;
    larder_context *own;
    larder_store *store, *core;
    larder_call version = LARDER_CALL_INIT;
    int64_t number = 0;
    uint64_t removed = 0;
    size_t len = 0, count = 0;

    register_all(&all);
    snprintf(text, sizeof text,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
             "  \"KEY_FUNCTION\": \"test.keys\", \"KEY_PREFIX\": \"p*\","
             "  \"OPTIONS\": {\"SERIALIZER\": \"test.Serializer\", \"COMPRESSOR\": \"test.Compressor\"},"
             "  \"LARDER\": {\"MAX_VALUE_BYTES\": 30}},"
             " \"core\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\", \"LOCATION\": \"%s\","
             "  \"OPTIONS\": {\"serializer\": \"test.Serializer\"}}}",
             url, url);
    own = open_text(text);
    store = open_store(own, "default");
    core = open_store(own, "core");
    version.version = "7";
    version.version_len = 1;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("t"), LARDER_LIT("short"), LARDER_TEXT, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("t"), LARDER_LIT("[\"long enough\"]"), LARDER_JSON, 60000, &version, ERR));
    stored_is(store, "1!p*!t", "2short");
    stored_is(store, "7!p*!t", "<<3[\"long enough\"]");
    CHECK_JSON("\"short\"", store, "t");

    /* DR-10: integers are bare digits, which no serializer sees; floats are JSON */
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("n"), LARDER_LIT("41"), LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_incr(store, LARDER_LIT("n"), 1, NULL, &number, NULL, ERR));
    stored_is(store, "1!p*!n", "42");
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("n"), LARDER_LIT("1.5"), LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_LOSSY, larder_incr(store, LARDER_LIT("n"), 1, NULL, &number, NULL, ERR));
    stored_is(store, "1!p*!n", "32.5");

    /* the pattern is made like a key, with the prefix's wild card escaped (DR-26) */
    EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("*"), NULL, &cursor, ERR));
    while (larder_cursor_next(cursor, key, sizeof key, &len, NULL) == LARDER_OK) {
        CHECK(len == 1 && (key[0] == 't' || key[0] == 'n'));
        count++;
    }
    CHECK_NUMBER(2, count);
    larder_cursor_close(cursor);
    EXPECT(LARDER_EUNSUPPORTED, larder_clear(store, LARDER_CLEAR_PREFIX, NULL, ERR));
    EXPECT(LARDER_OK, larder_delete_pattern(store, LARDER_LIT("*"), NULL, &removed, ERR));
    CHECK_NUMBER(2, removed);
    EXPECT(LARDER_OK, larder_has(store, LARDER_LIT("t"), &version, ERR));

    EXPECT(LARDER_OK, larder_set(core, LARDER_LIT("t"), LARDER_LIT("short"), LARDER_TEXT, 60000, NULL, ERR));
    stored_is(core, ":1:t", "2short");
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    tokens_and_listed_keys_are_larders(own, store, &all);
    larder_store_close(store);
    larder_store_close(core);
    shut_down(own);
    unregister_all();
    check_all_freed(&all);
}

int main(int argc, char **argv)
{
    every_function();
    without_locks();
    if (has_redis(argc, argv))
        on_redis(argv[2]);
    check_nothing_is_open();
    printf("plugins: with larder's own\n");
    return 0;
}
