/*
 * One of the processes that contend for a lock (tests/redis_locks.rs): counts up under it, in two steps that are no
 * atomic step. Every other time it asks by callback.
 */
#include "support.h"

static struct {
    counter answers;
    char token[64];
    size_t len;
} later = {COUNTER_INIT, "", 0};

static void keep(const larder_value *value, char *token, size_t *len)
{
    const char *text = NULL;
    EXPECT(LARDER_OK, larder_value_text(value, &text, len, ERR));
    CHECK_NUMBER(32, *len);
    memcpy(token, text, *len);
}

static void on_lock(void *user_data, larder_op op, larder_status status, const larder_value *value,
                    const larder_error *error)
{
    CHECK(user_data == NULL && op != 0 && error == NULL);
    CHECK(status == LARDER_OK || status == LARDER_NOT_STORED);
    later.len = 0;
    if (status == LARDER_OK)
        keep(value, later.token, &later.len);
    count_one(&later.answers);
}

/* Whether the lock is held; its token. */
static int take(const larder_store *store, int by_callback, char *token, size_t *len)
{
    static int asked = 0;
    larder_call call = LARDER_CALL_INIT;
    larder_value *value = NULL;
    call.timeout_ms = 15000;
    if (by_callback) {
        EXPECT(LARDER_OK, larder_lock_cb(store, LARDER_LIT("contest"), LARDER_SECONDS(30), 5000, &call, on_lock, NULL,
                                         NULL, ERR));
        wait_for(&later.answers, ++asked);
        memcpy(token, later.token, later.len);
        *len = later.len;
        return later.len > 0;
    }
    larder_status status =
        larder_lock(store, LARDER_LIT("contest"), LARDER_SECONDS(30), 5000, &call, &value, ERR);
    CHECK(status == LARDER_OK || status == LARDER_NOT_STORED);
    if (status == LARDER_OK)
        keep(value, token, len);
    larder_value_release(value);
    return status == LARDER_OK;
}

static void count_up(const larder_store *store)
{
    larder_value *value = NULL;
    int64_t now = 0;
    char text[32];
    if (larder_get(store, LARDER_LIT("counter"), NULL, &value, NULL) == LARDER_OK)
        EXPECT(LARDER_OK, larder_value_int64(value, &now, ERR));
    larder_value_release(value);
    sleep_ms(1);
    snprintf(text, sizeof text, "%" PRId64, now + 1);
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("counter"), text, strlen(text), LARDER_JSON, LARDER_TTL_FOREVER,
                                 NULL, ERR));
}

int main(int argc, char **argv)
{
    char config[256], token[64];
    size_t len = 0;
    int counted = 0;
    larder_context *context = NULL;
    CHECK(argc == 3);
    snprintf(config, sizeof config,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\"}}", argv[1]);
    EXPECT(LARDER_OK, larder_open(config, strlen(config), NULL, &context, ERR));
    larder_store *store = open_store(context, "default");
    for (int64_t end = now_ms() + atoi(argv[2]) * 1000; now_ms() < end;) {
        if (!take(store, counted % 2, token, &len))
            continue;
        if (counted % 5 == 0)
            EXPECT(LARDER_OK, larder_lock_extend(store, LARDER_LIT("contest"), token, len, LARDER_SECONDS(5),
                                                 LARDER_EXTEND_ADD, NULL, ERR));
        count_up(store);
        counted++;
        EXPECT(LARDER_OK, larder_unlock(store, LARDER_LIT("contest"), token, len, NULL, ERR));
    }
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    printf("%d\n", counted);
    return 0;
}
