/*
 * Everything that can be done wrong with the callback face, with larder_stats and with larder_cancel: refused with a
 * status and an error, never a callback, never a crash. The queue's own misuse is in queue.c.
 */
#include "support.h"

#define KEY LARDER_LIT("key")
#define VALUE LARDER_LIT("value"), LARDER_TEXT, LARDER_TTL_DEFAULT

static void nobody(void *user_data, larder_op op, larder_status status, const larder_value *value,
                   const larder_error *error)
{
    (void)user_data, (void)op, (void)value, (void)error;
    FAIL("a refused operation was answered: %s", larder_status_name(status));
}

static void no_event(void *user_data, const larder_event *event)
{
    (void)user_data;
    FAIL("a refused operation was answered: %s", larder_status_name(event->status));
}

/* Every operation, with these handles, keys, calls and callbacks. */
static void refused(larder_status wanted, const larder_store *store, const char *key, size_t len,
                    const larder_call *call, larder_completion_fn fn, larder_event_fn event)
{
    const char *keys[] = {key};
    const size_t lens[] = {len};
    const void *values[] = {"v"};
    const size_t value_lens[] = {1};
    larder_op op;
#define REFUSED(...)                                                                                                   \
    do {                                                                                                               \
        op = 77;                                                                                                       \
        EXPECT(wanted, __VA_ARGS__);                                                                                   \
        CHECK(op == 0);                                                                                                \
    } while (0)
    REFUSED(larder_get_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_set_cb(store, key, len, VALUE, call, fn, NULL, &op, ERR));
    REFUSED(larder_add_cb(store, key, len, VALUE, call, fn, NULL, &op, ERR));
    REFUSED(larder_expire_cb(store, key, len, 1000, call, fn, NULL, &op, ERR));
    REFUSED(larder_persist_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_ttl_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_delete_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_has_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_incr_cb(store, key, len, 1, call, fn, NULL, &op, ERR));
    REFUSED(larder_incr_version_cb(store, key, len, 1, call, fn, NULL, &op, ERR));
    REFUSED(larder_expire_at_cb(store, key, len, 1000, call, fn, NULL, &op, ERR));
    REFUSED(larder_lock_cb(store, key, len, 1000, 0, call, fn, NULL, &op, ERR));
    REFUSED(larder_unlock_cb(store, key, len, LARDER_LIT("token"), call, fn, NULL, &op, ERR));
    REFUSED(larder_lock_extend_cb(store, key, len, LARDER_LIT("token"), 1, LARDER_EXTEND_ADD, call, fn, NULL, &op, ERR));
    REFUSED(larder_delete_pattern_cb(store, key, len, call, fn, NULL, &op, ERR));
    REFUSED(larder_get_many_cb(store, keys, lens, 1, call, event, NULL, &op, ERR));
    REFUSED(larder_set_many_cb(store, keys, lens, values, value_lens, 1, LARDER_BYTES, 1000, call, event, NULL, &op, ERR));
    REFUSED(larder_delete_many_cb(store, keys, lens, 1, call, fn, NULL, &op, ERR));
    REFUSED(larder_keys_cb(store, key, len, 0, call, event, NULL, &op, ERR));
}

static void refused_without_key(larder_status wanted, const larder_store *store, const larder_call *call,
                                larder_completion_fn fn)
{
    larder_op op;
    REFUSED(larder_clear_cb(store, LARDER_CLEAR_PREFIX, call, fn, NULL, &op, ERR));
    REFUSED(larder_purge_expired_cb(store, call, fn, NULL, &op, ERR));
    REFUSED(larder_store_ping_cb(store, call, fn, NULL, &op, ERR));
    REFUSED(larder_create_table_cb(store, call, fn, NULL, &op, ERR));
    REFUSED(larder_session_cb(store, LARDER_LIT("0123456789abcdef"), call, fn, NULL, &op, ERR));
    CHECK_NUMBER(wanted, larder_store_ping_cb(store, call, fn, NULL, NULL, NULL)); /* nobody has to ask for anything */
}

static void statistics(const larder_context *context)
{
    larder_store *store = open_store(context, "memory");
    larder_store_stats stats = LARDER_STATS_INIT;
    larder_value *value = NULL;
    EXPECT(LARDER_OK, larder_set(store, KEY, VALUE, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, KEY, NULL, &value, ERR));
    larder_value_release(value);
    EXPECT(LARDER_MISS, larder_get(store, LARDER_LIT("none"), NULL, &value, ERR));
    EXPECT(LARDER_MISS, larder_get(store, LARDER_LIT("none"), NULL, &value, ERR));
    EXPECT(LARDER_OK, larder_stats(store, &stats, ERR));
    CHECK(stats.hits == 1 && stats.misses == 2 && stats.failures == 0 && stats.servers == 0);
    EXPECT(LARDER_EINVAL, larder_stats(store, NULL, ERR));
    stats.struct_size = 8;
    EXPECT(LARDER_EINVAL, larder_stats(store, &stats, ERR));
    struct {
        larder_store_stats known;
        uint64_t more;
    } grown = {LARDER_STATS_INIT, 7};
    grown.known.struct_size = sizeof grown;
    EXPECT(LARDER_OK, larder_stats(store, &grown.known, ERR));
    CHECK(grown.known.hits == 1 && grown.more == 0 && grown.known.struct_size == sizeof grown);
    EXPECT(LARDER_OK, larder_store_close(store));
    grown.known.struct_size = sizeof(larder_store_stats);
    EXPECT(LARDER_EHANDLE, larder_stats(store, &grown.known, ERR));
}

/* What IGNORE_EXCEPTIONS hides is counted all the same. */
static void hidden_failures(void)
{
    static const char text[] = "{\"CACHES\": {\"down\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": "
                               "\"redis://127.0.0.1:1/0\", \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": true}}}}";
    larder_context *context = NULL;
    larder_value *value = NULL;
    larder_store_stats stats = LARDER_STATS_INIT;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    larder_store *store = open_store(context, "down");
    for (int i = 0; i < 3; i++)
        EXPECT(LARDER_IGNORED, larder_get(store, KEY, NULL, &value, ERR));
    EXPECT(LARDER_ECONNECTION, larder_expire(store, KEY, 1000, NULL, ERR)); /* never hidden */
    EXPECT(LARDER_OK, larder_stats(store, &stats, ERR));
    CHECK(stats.ignored == 3 && stats.failures == 4 && stats.timeouts == 0);
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 1000, ERR));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    larder_store *store = open_store(context, "memory");
    larder_call call = LARDER_CALL_INIT;

    refused(LARDER_EHANDLE, NULL, KEY, NULL, nobody, no_event);
    refused_without_key(LARDER_EHANDLE, NULL, NULL, nobody);
    refused(LARDER_EHANDLE, (const larder_store *)(const void *)context, KEY, NULL, nobody, no_event);
    refused(LARDER_EINVAL, store, "\xff", 1, NULL, nobody, no_event);
    refused(LARDER_EINVAL, store, NULL, 3, NULL, nobody, no_event);
    refused(LARDER_EINVAL, store, "k", SIZE_MAX, NULL, nobody, no_event);
    refused(LARDER_EINVAL, store, KEY, NULL, NULL, NULL);
    refused_without_key(LARDER_EINVAL, store, NULL, NULL);
    call.timeout_ms = -1;
    refused(LARDER_EINVAL, store, KEY, &call, nobody, no_event);
    refused_without_key(LARDER_EINVAL, store, &call, nobody);
    call.timeout_ms = 0, call.flags = LARDER_CALL_NX | LARDER_CALL_XX;
    refused(LARDER_EINVAL, store, KEY, &call, nobody, no_event);
    call.flags = LARDER_CALL_NX;
    EXPECT(LARDER_EINVAL, larder_get_cb(store, KEY, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_store_ping_cb(store, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_create_table_cb(store, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_session_cb(store, LARDER_LIT("0123456789abcdef"), &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_session_cb(store, NULL, 3, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_expire_at_cb(store, KEY, 1, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock_cb(store, KEY, 1, 0, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_delete_pattern_cb(store, KEY, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_lock_cb(store, KEY, 1, 0, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_unlock_cb(store, KEY, LARDER_LIT("token"), NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_unlock_cb(store, KEY, NULL, 3, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock_extend_cb(store, KEY, NULL, 3, 1, 0, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock_extend_cb(store, KEY, LARDER_LIT("t"), 1, 2, NULL, nobody, NULL, NULL, ERR));
    call.flags = LARDER_CALL_XX;
    EXPECT(LARDER_EINVAL, larder_add_cb(store, KEY, VALUE, &call, nobody, NULL, NULL, ERR));
    call.flags = LARDER_CALL_FINAL_KEY;
    EXPECT(LARDER_EINVAL, larder_incr_version_cb(store, KEY, 1, &call, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_clear_cb(store, 99, NULL, nobody, NULL, NULL, ERR));

    CHECK_NUMBER(LARDER_MISS, larder_cancel(context, 0));
    CHECK_NUMBER(LARDER_MISS, larder_cancel(context, UINT64_MAX));
    CHECK_NUMBER(LARDER_EHANDLE, larder_cancel(NULL, 1));
    CHECK_NUMBER(LARDER_EHANDLE, larder_cancel((const larder_context *)(const void *)store, 1));

    statistics(context);
    hidden_failures();
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 1000, ERR));
    refused(LARDER_EHANDLE, store, KEY, NULL, nobody, no_event);
    check_nothing_is_open();
    printf("misuse_async: every call was refused\n");
    return 0;
}
