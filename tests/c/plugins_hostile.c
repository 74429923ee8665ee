/*
 * Plug-ins that do what no plug-in should: look at the value that they are just decoding, leave it half decoded over a fork,
 * tell numbers that cannot be, list without an end, register while they are freed.
 */
#include "plugins.h"

#include <sys/wait.h>

#define TEXT LARDER_LIT("a text of some length"), LARDER_TEXT
#define NOTHING "{\"default\": {\"BACKEND\": \"django.core.cache.backends.dummy.DummyCache\"}}"
#define ONE(more) "{\"default\": {\"BACKEND\": \"test.Backend\"" more "}}"

static larder_context *context;
static larder_store *store;

static void open_one(const char *text)
{
    context = open_text(text);
    store = open_store(context, "default");
}

static void close_one(void)
{
    larder_store_close(store);
    shut_down(context);
}

/* ---- values that are looked at while they are decoded ---- */

static larder_value *shared;
static int looks;

/* What decompress does: looks at the value that it is to unpack. */
static larder_status look_at_itself(larder_sink *sink)
{
    const char *text = NULL;
    size_t len = 0;
    larder_error *error = NULL;
    if (shared == NULL)
        return LARDER_MISS;
    looks++;
    CHECK_NUMBER(LARDER_EDEADLOCK, larder_value_json(shared, &text, &len, &error));
    CHECK(strstr(larder_error_message(error), "before it has returned") != NULL);
    larder_error_release(error);
    CHECK_NUMBER(LARDER_EDEADLOCK, larder_value_kind(shared));
    return larder_sink_write(sink, "\x80\x05K\x07.", 5);
}

static counter decoding = COUNTER_INIT, may_end = COUNTER_INIT;

static larder_status stay(larder_sink *sink)
{
    count_one(&decoding);
    wait_for(&may_end, 1);
    return larder_sink_write(sink, "\x80\x05K\x07.", 5);
}

static void *look(void *value)
{
    const char *json = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_value_json(value, &json, &len, ERR));
    CHECK(len == 1 && json[0] == '7');
    return NULL;
}

static void half_decoded(void)
{
    own_data own = {0}, compressor = {0};
    larder_backend_table table = own_backend();
    pthread_t thread;
    pid_t child;
    int status = 0;

    EXPECT(LARDER_OK, larder_register_backend("test.Backend", &table, &own, ERR));
    EXPECT(LARDER_OK, larder_register_compressor("test.Compressor", &own_compressor, &compressor, ERR));
    open_one(ONE(", \"OPTIONS\": {\"COMPRESSOR\": \"test.Compressor\"}"));
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), TEXT, 60000, NULL, ERR));

    /* on one thread: no waiting for itself, and the value is there afterwards */
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("k"), NULL, &shared, ERR));
    compressor.hook = look_at_itself;
    look(shared);
    CHECK_NUMBER(1, looks);
    look(shared); /* kept */
    CHECK_NUMBER(1, looks);
    larder_value_release(shared);

    /* a child that is forked while another thread decodes does not wait for that thread */
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("k"), NULL, &shared, ERR));
    compressor.hook = stay;
    thread = start(look, shared);
    wait_for(&decoding, 1);
    if (is_plain()) { /* the tools' own locks */
        child = fork();
        if (child == 0) {
            alarm(20);
            compressor.hook = NULL;
            compressor.written = "\x80\x05K\x07.";
            compressor.written_len = 5;
            look(shared);
            _exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK_NUMBER(0, status);
    }
    /* nor does another thread, which may be who is waited for: it decodes for itself */
    count_one(&may_end);
    look(shared);
    join(thread);
    larder_value_release(shared);
    shared = NULL;
    close_one();
    EXPECT(LARDER_OK, larder_unregister("test.Compressor", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
    CHECK(own.freed == 1 && compressor.freed == 1);
    forget_everything();
}

/* ---- numbers that cannot be ---- */

static larder_status told_status;
static int64_t told_number;

static larder_status lying_delete_many(void *instance, const char *const *keys, const size_t *key_lens, size_t n,
                                       int64_t left_ms, uint64_t *removed)
{
    (void)instance, (void)keys, (void)key_lens, (void)n, (void)left_ms;
    *removed = (uint64_t)told_number;
    return told_status;
}

static larder_status lying_scan(void *instance, const char *pattern, size_t pattern_len, uint64_t at, int64_t left_ms,
                                larder_sink *sink, uint64_t *next)
{
    (void)instance, (void)pattern, (void)pattern_len, (void)left_ms;
    *next = at < 5 ? at + 1 : 0;
    if (told_status == LARDER_SKIPPED)
        *next = UINT64_MAX; /* without an end */
    return larder_sink_write_key(sink, ":1:k", 4);
}

static larder_status lying_ttl(void *instance, const char *key, size_t key_len, int64_t left_ms, int64_t *ttl_ms)
{
    (void)instance, (void)key, (void)key_len, (void)left_ms;
    *ttl_ms = told_number;
    return told_status;
}

static larder_status lying_incr(void *instance, const char *key, size_t key_len, int64_t delta, int64_t left_ms,
                                int64_t *sum)
{
    (void)instance, (void)key, (void)key_len, (void)delta, (void)left_ms;
    *sum = told_number;
    return told_status;
}

static larder_status lying_purge(void *instance, int64_t left_ms, uint64_t *removed)
{
    (void)instance, (void)left_ms;
    *removed = (uint64_t)told_number;
    return told_status;
}

static larder_status lying_get_many(void *instance, const char *const *keys, const size_t *key_lens, size_t n,
                                    int64_t left_ms, larder_sink *const *sinks, larder_status *statuses)
{
    (void)instance, (void)keys, (void)key_lens, (void)left_ms;
    for (size_t i = 0; i < n; i++) {
        larder_sink_write(sinks[n - 1 - i], "\x80\x05K\x07.", 5);
        statuses[i] = (larder_status)told_number;
    }
    return told_status;
}

static larder_status lying_set(void *instance, const char *key, size_t key_len, const void *value, size_t value_len,
                               int64_t ttl_ms, uint32_t flags, int64_t left_ms)
{
    (void)instance, (void)key, (void)key_len, (void)value, (void)value_len, (void)ttl_ms, (void)flags, (void)left_ms;
    return told_status;
}

/* Says it of the second key only. */
static larder_status lying_set_many(void *instance, const char *const *keys, const size_t *key_lens,
                                    const void *const *values, const size_t *value_lens, size_t n, int64_t ttl_ms,
                                    int64_t left_ms, larder_status *statuses)
{
    (void)instance, (void)keys, (void)key_lens, (void)values, (void)value_lens, (void)ttl_ms, (void)left_ms;
    CHECK_NUMBER(2, n);
    statuses[1] = told_status;
    return LARDER_OK;
}

static larder_status lying_lock(void *instance, const char *key, size_t key_len, const char *token, size_t token_len,
                                int32_t action, int64_t ttl_ms, int64_t left_ms)
{
    (void)instance, (void)key, (void)key_len, (void)token, (void)token_len, (void)action, (void)ttl_ms, (void)left_ms;
    return told_status;
}

/* What a set answers that means nothing is a failure, also of one of many keys: else it would be taken for stored. */
static void lies_about_sets(larder_status told)
{
    static const char *const keys[] = {"a", "b"};
    static const void *const values[] = {"1", "2"};
    static const size_t lens[] = {1, 1};
    uint8_t failed[2] = {7, 7};
    int is_fine = told == LARDER_OK || told == LARDER_NOT_KEPT;
    larder_call only_new = LARDER_CALL_INIT;
    told_status = told;
    larder_status answer = larder_set(store, LARDER_LIT("k"), LARDER_LIT("1"), LARDER_JSON, 60000, NULL, NULL);
    CHECK(is_fine ? answer == told : answer < 0);
    only_new.flags = LARDER_CALL_NX;
    answer = larder_set(store, LARDER_LIT("k"), LARDER_LIT("1"), LARDER_JSON, 60000, &only_new, NULL);
    CHECK(is_fine || told == LARDER_NOT_STORED ? answer == told : answer < 0);
    answer = larder_set_many(store, keys, lens, values, lens, 2, LARDER_JSON, 60000, NULL, failed, NULL);
    CHECK(is_fine ? answer == LARDER_OK : answer < 0);
    CHECK(failed[0] == 0 && failed[1] == !is_fine);
}

static void lies(void)
{
    static const char *const keys[] = {"a", "b"};
    static const size_t lens[] = {1, 1};
    own_data own = {0};
    larder_backend_table table = own_backend();
    larder_call brief = LARDER_CALL_INIT;
    larder_value *values[2], *token = NULL;
    uint64_t removed = 0;
    int64_t number = 0, begin;
    size_t count = 0;

    table.delete_many = lying_delete_many;
    table.scan = lying_scan;
    table.ttl = lying_ttl;
    table.incr = lying_incr;
    table.purge_expired = lying_purge;
    table.get_many = lying_get_many;
    table.set = lying_set;
    table.set_many = lying_set_many;
    table.lock = lying_lock;
    EXPECT(LARDER_OK, larder_register_backend("test.Backend", &table, &own, ERR));
    open_one(ONE(""));

    told_status = LARDER_OK;
    told_number = -1;
    EXPECT(LARDER_OK, larder_delete_many(store, keys, lens, 2, NULL, &removed, ERR));
    CHECK_NUMBER(2, removed); /* no more than there were keys */
    EXPECT(LARDER_OK, larder_delete_pattern(store, LARDER_LIT("*"), NULL, &removed, ERR));
    CHECK_NUMBER(6, removed);
    EXPECT(LARDER_OK, larder_purge_expired(store, NULL, &removed, ERR));
    for (int64_t told = INT64_MIN; told < 0; told /= 2) {
        told_number = told;
        EXPECT(LARDER_OK, larder_ttl(store, LARDER_LIT("k"), NULL, &number, ERR));
        CHECK_NUMBER(0, number);
        EXPECT(LARDER_OK, larder_incr(store, LARDER_LIT("k"), 1, NULL, &number, NULL, ERR));
        CHECK_NUMBER(told, number);
    }
    for (int32_t status = -200; status < 200; status++) {
        told_status = LARDER_OK;
        told_number = status;
        larder_status answer = larder_get_many(store, keys, lens, 2, NULL, values, &count, NULL);
        CHECK_NUMBER(status == LARDER_OK || status == LARDER_MISS, answer == LARDER_OK);
        for (int i = 0; i < 2; i++)
            larder_value_release(values[i]);
        lies_about_sets(status);
        if (status == LARDER_SKIPPED)
            continue;
        answer = larder_delete_many(store, keys, lens, 2, NULL, &removed, NULL);
        CHECK_NUMBER(status == LARDER_OK, answer == LARDER_OK);
        answer = larder_lock(store, LARDER_LIT("l"), 1000, 0, NULL, &token, NULL);
        CHECK(answer == LARDER_OK ? status == LARDER_OK : answer < 0 || status == LARDER_NOT_STORED);
        CHECK_NUMBER(status == LARDER_OK, token != NULL);
        larder_value_release(token);
        answer = larder_unlock(store, LARDER_LIT("l"), "x", 1, NULL, NULL);
        CHECK(answer == LARDER_OK ? status == LARDER_OK : answer < 0 || status == LARDER_NOT_STORED);
    }

    /* a listing without an end ends with the call's time */
    told_status = LARDER_SKIPPED;
    brief.timeout_ms = 200;
    begin = now_ms();
    EXPECT(LARDER_ESERVER, larder_delete_pattern(store, LARDER_LIT("*"), &brief, &removed, ERR));
    EXPECT(LARDER_ETIMEOUT, larder_delete_pattern(store, LARDER_LIT("z*"), &brief, &removed, ERR));
    CHECK(now_ms() - begin < 10000);
    close_one();
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
    CHECK_NUMBER(1, own.freed);
    forget_everything();
}

/* ---- registering while being freed ---- */

static int frees;

static void register_again(void *user_data)
{
    larder_key_function_table keys = own_keys;
    larder_error *error = NULL;
    larder_context *another = NULL;
    keys.free_user_data = register_again;
    (void)user_data;
    if (++frees < 5)
        EXPECT(LARDER_OK, larder_register_key_function("test.again", &keys, user_data, ERR));
    CHECK_NUMBER(LARDER_EHANDLE, larder_plugin_reason(LARDER_LIT("nothing runs")));
    CHECK_NUMBER(LARDER_EHANDLE, larder_sink_write(NULL, "x", 1));
    EXPECT(LARDER_OK, larder_open(NOTHING, strlen(NOTHING), NULL, &another, ERR));
    CHECK_NUMBER(LARDER_EDEADLOCK, larder_shutdown(another, 1000, &error));
    larder_error_release(error);
    *(larder_context **)user_data = another;
}

static void *shut_down_there(void *argument)
{
    shut_down(argument);
    return NULL;
}

static void freed_into_life(void)
{
    larder_context *left[1] = {NULL};
    larder_key_function_table keys = own_keys;
    keys.free_user_data = register_again;
    EXPECT(LARDER_OK, larder_register_key_function("test.again", &keys, left, ERR));
    for (int i = 1; i < 6; i++) {
        EXPECT(LARDER_OK, larder_unregister("test.again", ERR));
        CHECK_NUMBER(i, frees);
        join(start(shut_down_there, left[0]));
    }
    EXPECT(LARDER_MISS, larder_unregister("test.again", ERR));
}

/* ---- closing what it is called through ---- */

static larder_status close_all(larder_sink *sink)
{
    (void)sink;
    EXPECT(LARDER_OK, larder_unregister("test.keys", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Serializer", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Compressor", ERR));
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
    CHECK_NUMBER(LARDER_OK, larder_store_close(store));
    CHECK_NUMBER(LARDER_EHANDLE, larder_store_close(store));
    larder_value_release(shared);
    return LARDER_EIO;
}

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)error;
    CHECK(status != LARDER_OK || value != NULL);
    if (value != NULL) {
        const char *json = NULL;
        size_t len = 0;
        CHECK(larder_value_json(value, &json, &len, NULL) == LARDER_EIO);
    }
    count_one(user_data);
}

static void closed_from_inside(void)
{
    counter done = COUNTER_INIT;
    for (int round = 0; round < 7; round++) {
        own_all all;
        own_data *closers[] = {&all.keys, &all.serializer, &all.compressor, &all.backend};
        larder_value *value = NULL;
        const char *json = NULL;
        size_t len = 0;

        register_all(&all);
        context = open_own();
        store = open_store(context, "default");
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), TEXT, 60000, NULL, ERR));
        closers[round % 4]->hook = close_all;
        if (round < 4) {
            larder_status status = larder_get(store, LARDER_LIT("k"), NULL, &value, NULL);
            if (status == LARDER_OK)
                CHECK_NUMBER(LARDER_EIO, larder_value_json(value, &json, &len, NULL));
            else
                CHECK_NUMBER(LARDER_EIO, status);
            larder_value_release(value);
        } else {
            EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR));
            wait_for(&done, round - 3);
        }
        shut_down(context);
        check_all_freed(&all);
    }
    forget_everything();
}

int main(void)
{
    closed_from_inside();
    half_decoded();
    lies();
    freed_into_life();
    check_nothing_is_open();
    printf("plugins: nothing that they do hurts\n");
    return 0;
}
