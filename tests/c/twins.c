/*
 * Every callback function and its synchronous twin: the same scenario with the one and with the other, on every
 * backend, on a server that is down, and on one whose failures are hidden; both have to say the same, word for word.
 * Where the test around it gives aliases, on those instead.
 * Callbacks come once each, on one thread, and never inside the call that began them.
 */
#include "support.h"

#include <stdatomic.h>

enum { LINE = 1000, LINES = 160, MANY = 4 };

/* What one run of the scenario said. */
typedef struct {
    int count;
    char lines[LINES][LINE];
} protocol;

static protocol protocols[2];

/* How the scenario is run just now. */
static struct {
    const larder_store *store;
    int by_callback;
    int statuses_only; /* words about a server that is down may differ, by what was tried before */
    protocol *protocol;
} run;

static pthread_t callback_thread;
static _Atomic int has_callback_thread;
static _Thread_local int is_submitting;

/* ---- what is said ---- */

static void say(char *line, const char *format, ...)
{
    va_list arguments;
    size_t len = strlen(line);
    va_start(arguments, format);
    vsnprintf(line + len, LINE - len, format, arguments);
    va_end(arguments);
}

static void say_value(char *line, const larder_value *value)
{
    const char *json = "nothing";
    size_t len = strlen(json);
    if (value != NULL) {
        larder_status status = larder_value_json(value, &json, &len, NULL);
        CHECK(status == LARDER_OK || status == LARDER_LOSSY);
    }
    say(line, " [%.*s]", (int)len, json);
}

static void say_end(char *line, larder_status status, const larder_error *error)
{
    CHECK((status < 0) == (error != NULL));
    CHECK(error == NULL || larder_error_status(error) == status);
    say(line, " %s", larder_status_name(status));
    if (!run.statuses_only)
        say(line, " %s%s", larder_error_message(error), larder_error_retriable(error) ? " again" : "");
}

/* ---- callbacks ---- */

/* One operation that was begun. */
typedef struct {
    counter ended;
    char line[LINE];
    int64_t next; /* of a listing */
    char keys[LINE];
    int n;
} answer;

static void check_thread(void)
{
    CHECK(!is_submitting);
    if (!atomic_exchange(&has_callback_thread, 1))
        callback_thread = pthread_self();
    CHECK(pthread_equal(callback_thread, pthread_self()));
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    answer *answer = user_data;
    check_thread();
    CHECK(op != 0);
    if (value != NULL)
        say_value(answer->line, value);
    say_end(answer->line, status, error);
    count_one(&answer->ended);
}

/* A lock's token is another one each time: it is kept, and not said. */
static struct {
    char text[64];
    size_t len;
} token;

static void keep_token(const larder_value *value, char *line)
{
    const char *text = NULL;
    token.len = 0;
    if (value == NULL)
        return;
    EXPECT(LARDER_OK, larder_value_text(value, &text, &token.len, ERR));
    CHECK_NUMBER(32, token.len);
    memcpy(token.text, text, token.len);
    say(line, " [token]");
}

static void on_token(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    answer *answer = user_data;
    keep_token(value, answer->line);
    on_answer(user_data, op, status, NULL, error);
}

static void on_event(void *user_data, const larder_event *event)
{
    answer *answer = user_data;
    check_thread();
    CHECK(event->op != 0 && event->tag == 0 && event->kind == LARDER_EVENT_DONE);
    if (event->operation == LARDER_OP_KEYS) {
        for (uint32_t i = 0; i < event->n; i++, answer->n++)
            say_value(answer->keys, event->values[i]);
        answer->next = event->number;
    } else if (event->operation == LARDER_OP_GET_MANY) {
        for (uint32_t i = 0; i < event->n; i++)
            say_value(answer->line, event->values[i]);
        say(answer->line, " %d found", (int)event->number);
    } else {
        for (uint32_t i = 0; i < event->n; i++)
            say(answer->line, " %d", event->failed[i]);
    }
    say_end(answer->line, event->status, event->error);
    count_one(&answer->ended);
}

/* Runs one step, either way: `sync` and `begin` use `call`, `error`, `line` and `a`. */
#define STEP(name, sync, begin)                                                                                        \
    do {                                                                                                               \
        larder_error *error = NULL;                                                                                    \
        larder_status status;                                                                                          \
        CHECK(run.protocol->count < LINES);                                                                            \
        char *line = run.protocol->lines[run.protocol->count++];                                                       \
        answer a = {COUNTER_INIT, "", 0, "", 0};                                                                       \
        snprintf(line, LINE, "%s:", name);                                                                             \
        if (!run.by_callback) {                                                                                        \
            status = (sync);                                                                                           \
            say_end(line, status, error);                                                                              \
        } else {                                                                                                       \
            larder_op op = 77;                                                                                         \
            is_submitting = 1;                                                                                         \
            status = (begin);                                                                                          \
            is_submitting = 0;                                                                                         \
            CHECK((status == LARDER_OK) == (op != 0));                                                                 \
            if (status == LARDER_OK)                                                                                   \
                wait_for(&a.ended, 1);                                                                                 \
            else                                                                                                       \
                say_end(line, status, error);                                                                          \
            say(line, "%s", a.line);                                                                                   \
            CHECK_NUMBER(status == LARDER_OK, a.ended.count);                                                          \
        }                                                                                                              \
        larder_error_release(error);                                                                                   \
    } while (0)

/* ---- the operations ---- */

#define KEY key, strlen(key)

static larder_status get_now(const char *key, char *line, larder_error **error)
{
    larder_value *value = NULL;
    larder_status status = larder_get(run.store, KEY, NULL, &value, error);
    if (value != NULL)
        say_value(line, value);
    larder_value_release(value);
    return status;
}

static void get(const char *key)
{
    STEP(key, get_now(key, line, &error), larder_get_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
}

static void set(const char *key, const char *text, int32_t format, int64_t ttl_ms, uint32_t flags)
{
    larder_call call = LARDER_CALL_INIT;
    call.flags = flags;
    STEP("set", larder_set(run.store, KEY, text, strlen(text), format, ttl_ms, &call, &error),
         larder_set_cb(run.store, KEY, text, strlen(text), format, ttl_ms, &call, on_answer, &a, &op, &error));
    get(key);
}

static void add(const char *key, const char *text)
{
    STEP("add", larder_add(run.store, KEY, text, strlen(text), LARDER_TEXT, 60000, NULL, &error),
         larder_add_cb(run.store, KEY, text, strlen(text), LARDER_TEXT, 60000, NULL, on_answer, &a, &op, &error));
}

static void expire(const char *key, int64_t ttl_ms)
{
    STEP("expire", larder_expire(run.store, KEY, ttl_ms, NULL, &error),
         larder_expire_cb(run.store, KEY, ttl_ms, NULL, on_answer, &a, &op, &error));
}

static void persist(const char *key)
{
    STEP("persist", larder_persist(run.store, KEY, NULL, &error),
         larder_persist_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
}

static void del(const char *key)
{
    STEP("delete", larder_delete(run.store, KEY, NULL, &error),
         larder_delete_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
}

static void has(const char *key)
{
    STEP("has", larder_has(run.store, KEY, NULL, &error),
         larder_has_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
}

static void expire_at(const char *key, int64_t at_ms)
{
    STEP("expire_at", larder_expire_at(run.store, KEY, at_ms, NULL, &error),
         larder_expire_at_cb(run.store, KEY, at_ms, NULL, on_answer, &a, &op, &error));
}

static larder_status lock_now(const char *key, int64_t ttl_ms, int64_t wait_ms, char *line, larder_error **error)
{
    larder_value *value = NULL;
    larder_status status = larder_lock(run.store, KEY, ttl_ms, wait_ms, NULL, &value, error);
    CHECK((status == LARDER_OK) == (value != NULL));
    keep_token(value, line);
    larder_value_release(value);
    return status;
}

static void lock(const char *key, int64_t ttl_ms, int64_t wait_ms)
{
    STEP("lock", lock_now(key, ttl_ms, wait_ms, line, &error),
         larder_lock_cb(run.store, KEY, ttl_ms, wait_ms, NULL, on_token, &a, &op, &error));
}

static void unlock(const char *key)
{
    STEP("unlock", larder_unlock(run.store, KEY, token.text, token.len, NULL, &error),
         larder_unlock_cb(run.store, KEY, token.text, token.len, NULL, on_answer, &a, &op, &error));
}

static void lock_extend(const char *key, int64_t ttl_ms, int32_t how)
{
    STEP("lock_extend", larder_lock_extend(run.store, KEY, token.text, token.len, ttl_ms, how, NULL, &error),
         larder_lock_extend_cb(run.store, KEY, token.text, token.len, ttl_ms, how, NULL, on_answer, &a, &op, &error));
}

static larder_status ttl_now(const char *key, char *line, larder_error **error)
{
    int64_t left = 0;
    larder_status status = larder_ttl(run.store, KEY, NULL, &left, error);
    if (status == LARDER_OK)
        say(line, " [%" PRId64 "]", left);
    return status;
}

static void ttl(const char *key)
{
    STEP("ttl", ttl_now(key, line, &error), larder_ttl_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
    /* what is left is not the same to the millisecond */
    char *line = run.protocol->lines[run.protocol->count - 1], *number = strchr(line, '[');
    long long left = number == NULL ? 0 : atoll(number + 1);
    if (left > 590000 && left <= 600000)
        snprintf(line, LINE, "ttl: ten minutes at the most");
}

static larder_status incr_now(const char *key, int64_t delta, char *line, larder_error **error)
{
    larder_value *value = NULL;
    int64_t nearest = 0;
    larder_status status = larder_incr(run.store, KEY, delta, NULL, &nearest, &value, error);
    if (value != NULL)
        say_value(line, value);
    larder_value_release(value);
    return status;
}

static void incr(const char *key, int64_t delta)
{
    STEP("incr", incr_now(key, delta, line, &error),
         larder_incr_cb(run.store, KEY, delta, NULL, on_answer, &a, &op, &error));
}

static larder_status incr_version_now(const char *key, int64_t delta, char *line, larder_error **error)
{
    int64_t version = 0;
    larder_status status = larder_incr_version(run.store, KEY, delta, NULL, &version, error);
    if (status == LARDER_OK)
        say(line, " [%" PRId64 "]", version);
    return status;
}

static void incr_version(const char *key, int64_t delta)
{
    STEP("incr_version", incr_version_now(key, delta, line, &error),
         larder_incr_version_cb(run.store, KEY, delta, NULL, on_answer, &a, &op, &error));
}

static const char *const keys[MANY] = {"m1", "m2", "m3", "m4"};
static const void *const values[MANY] = {"1", "2.5", "\"three\"", "[4]"};
static const size_t key_lens[MANY] = {2, 2, 2, 2}, value_lens[MANY] = {1, 3, 7, 3};

static larder_status get_many_now(uint32_t n, char *line, larder_error **error)
{
    larder_value *found[MANY];
    size_t count = 0;
    larder_status status = larder_get_many(run.store, keys, key_lens, n, NULL, found, &count, error);
    for (uint32_t i = 0; i < n && status == LARDER_OK; i++) {
        say_value(line, found[i]);
        larder_value_release(found[i]);
    }
    say(line, " %d found", (int)count);
    return status;
}

static void get_many(uint32_t n)
{
    STEP("get_many", get_many_now(n, line, &error),
         larder_get_many_cb(run.store, keys, key_lens, n, NULL, on_event, &a, &op, &error));
}

static larder_status set_many_now(uint32_t n, int64_t ttl_ms, char *line, larder_error **error)
{
    uint8_t failed[MANY] = {0};
    larder_status status = larder_set_many(run.store, keys, key_lens, values, value_lens, n, LARDER_JSON, ttl_ms, NULL,
                                           failed, error);
    int all = n > 0;
    for (uint32_t i = 0; i < n; i++)
        all = all && failed[i];
    for (uint32_t i = 0; i < n && !all; i++) /* an event of a call that failed as a whole has no marks */
        say(line, " %d", failed[i]);
    return status;
}

static void set_many(uint32_t n, int64_t ttl_ms)
{
    STEP("set_many", set_many_now(n, ttl_ms, line, &error),
         larder_set_many_cb(run.store, keys, key_lens, values, value_lens, n, LARDER_JSON, ttl_ms, NULL, on_event, &a,
                            &op, &error));
}

static larder_status delete_many_now(uint32_t n, char *line, larder_error **error)
{
    uint64_t removed = 0;
    larder_status status = larder_delete_many(run.store, keys, key_lens, n, NULL, &removed, error);
    if (status == LARDER_OK)
        say(line, " [%d]", (int)removed);
    return status;
}

static void delete_many(uint32_t n)
{
    STEP("delete_many", delete_many_now(n, line, &error),
         larder_delete_many_cb(run.store, keys, key_lens, n, NULL, on_answer, &a, &op, &error));
}

static void clear(int32_t scope)
{
    STEP("clear", larder_clear(run.store, scope, NULL, &error),
         larder_clear_cb(run.store, scope, NULL, on_answer, &a, &op, &error));
}

static larder_status delete_pattern_now(const char *pattern, char *line, larder_error **error)
{
    uint64_t removed = 0;
    larder_status status = larder_delete_pattern(run.store, pattern, strlen(pattern), NULL, &removed, error);
    if (status == LARDER_OK)
        say(line, " [%d]", (int)removed);
    return status;
}

static void delete_pattern(const char *pattern)
{
    STEP("delete_pattern", delete_pattern_now(pattern, line, &error),
         larder_delete_pattern_cb(run.store, pattern, strlen(pattern), NULL, on_answer, &a, &op, &error));
}

static larder_status purge_now(char *line, larder_error **error)
{
    uint64_t removed = 0;
    larder_status status = larder_purge_expired(run.store, NULL, &removed, error);
    if (status == LARDER_OK)
        say(line, " [%d]", (int)removed);
    return status;
}

static void purge_expired(void)
{
    STEP("purge_expired", purge_now(line, &error),
         larder_purge_expired_cb(run.store, NULL, on_answer, &a, &op, &error));
}

static void ping(void)
{
    STEP("ping", larder_store_ping(run.store, NULL, &error),
         larder_store_ping_cb(run.store, NULL, on_answer, &a, &op, &error));
}

static larder_status session_now(const char *key, char *line, larder_error **error)
{
    larder_value *value = NULL;
    larder_status status = larder_session(run.store, KEY, NULL, &value, error);
    if (value != NULL)
        say_value(line, value);
    larder_value_release(value);
    return status;
}

static void session(const char *key)
{
    STEP("session", session_now(key, line, &error),
         larder_session_cb(run.store, KEY, NULL, on_answer, &a, &op, &error));
}

static void create_table(void)
{
    STEP("create_table", larder_create_table(run.store, NULL, &error),
         larder_create_table_cb(run.store, NULL, on_answer, &a, &op, &error));
}

/* How many keys a listing tells; their order is nobody's promise. */
static larder_status keys_now(int *count, larder_error **error)
{
    larder_cursor *cursor = NULL;
    char key[64];
    size_t len = 0;
    larder_status status = larder_keys(run.store, LARDER_LIT("m*"), NULL, &cursor, error);
    if (status != LARDER_OK)
        return status;
    while ((status = larder_cursor_next(cursor, key, sizeof key, &len, error)) == LARDER_OK) {
        CHECK(len == 2 && key[0] == 'm');
        ++*count;
    }
    larder_cursor_close(cursor);
    return status == LARDER_EMPTY ? LARDER_OK : status;
}

/* The same by callbacks, page by page. */
static void keys_later(int *count, char *line)
{
    int64_t at = 0;
    do {
        larder_error *error = NULL;
        answer a = {COUNTER_INIT, "", 0, "", 0};
        is_submitting = 1;
        larder_status status = larder_keys_cb(run.store, LARDER_LIT("m*"), at, NULL, on_event, &a, NULL, &error);
        is_submitting = 0;
        if (status == LARDER_OK)
            wait_for(&a.ended, 1);
        else
            say_end(a.line, status, error);
        larder_error_release(error);
        at = status == LARDER_OK ? a.next : 0;
        *count += a.n;
        if (at == 0)
            say(line, "%s", a.line);
    } while (at != 0);
}

static void list(void)
{
    int count = 0;
    larder_error *error = NULL;
    CHECK(run.protocol->count < LINES);
    char *line = run.protocol->lines[run.protocol->count++];
    snprintf(line, LINE, "keys:");
    if (run.by_callback) {
        keys_later(&count, line);
    } else {
        larder_status status = keys_now(&count, &error);
        say_end(line, status, error);
    }
    larder_error_release(error);
    say(line, " %d keys", count);
}

/* ---- the scenario ---- */

static void scenario(void)
{
    clear(LARDER_CLEAR_EVERYTHING);
    ping();
    get("nothing");
    set("text", "\xec\xa0\x84\xec\xa0\x81", LARDER_TEXT, 600000, 0);
    set("json", "{\"name\": \"Ahri\", \"list\": [1, 2.5, null, true]}", LARDER_JSON, LARDER_TTL_FOREVER, 0);
    set("bytes", "\x01\x02", LARDER_BYTES, LARDER_TTL_DEFAULT, 0);
    set("text", "new", LARDER_TEXT, 600000, LARDER_CALL_NX);
    set("text", "old", LARDER_TEXT, 600000, LARDER_CALL_XX);
    set("none", "none", LARDER_TEXT, 600000, LARDER_CALL_XX);
    set("wrong", "wrong", 99, 600000, 0);
    set("wrong", "{", LARDER_JSON, 600000, 0);
    set("\xff", "wrong", LARDER_TEXT, 600000, 0);
    set("gone", "gone", LARDER_TEXT, 0, 0);
    add("text", "second");
    add("added", "first");
    ttl("text"), ttl("json"), ttl("none");
    expire("json", 600000), expire("none", 600000), expire("added", 0), expire("text", LARDER_TTL_FOREVER);
    ttl("json"), ttl("text"), has("added");
    persist("json"), persist("none"), ttl("json");
    del("json"), del("json"), has("json"), has("text");
    set("number", "41", LARDER_JSON, 600000, 0);
    incr("number", 1), incr("number", -50), incr("none", 1), incr("text", 1);
    set("number", "9223372036854775807", LARDER_JSON, 600000, 0);
    incr("number", 1);
    set("number", "7", LARDER_JSON, 600000, 0);
    incr_version("number", 1), incr_version("number", 1), get("number");
    set_many(3, 600000), get_many(MANY), list(), set_many(2, 0), get_many(MANY);
    set_many(0, 600000), get_many(0), delete_many(0);
    set_many(MANY, 600000), delete_many(3), delete_many(3), list();
    delete_pattern("m[12]"), delete_pattern("m*"), delete_pattern("\xff"), list();
    set_many(MANY, 600000), clear(LARDER_CLEAR_PREFIX), clear(77), get_many(MANY);
    set("moment", "x", LARDER_TEXT, LARDER_TTL_FOREVER, 0), expire_at("moment", LARDER_SECONDS(time(NULL) + 600));
    ttl("moment"), expire_at("none", LARDER_SECONDS(time(NULL) + 600));
    expire_at("moment", LARDER_SECONDS(time(NULL) - 5)), has("moment");
    lock("lock", 600000, 0), ttl("lock"), lock("lock", 600000, 30), lock_extend("lock", 600000, LARDER_EXTEND_ADD);
    lock("free", 600000, -1), lock_extend("free", 600000, LARDER_EXTEND_REPLACE), ttl("free"), unlock("free");
    unlock("free"), unlock("lock"), lock_extend("free", 600000, LARDER_EXTEND_REPLACE), del("lock");
    lock("ever", LARDER_TTL_FOREVER, 0), ttl("ever"), lock_extend("ever", 1, LARDER_EXTEND_ADD), unlock("ever");
    lock("bad", 0, 0), lock("bad", -1, 0), lock("bad", LARDER_TTL_DEFAULT, 0), lock("\xff", 1, 0), unlock("\xff");
    lock_extend("bad", LARDER_TTL_FOREVER, LARDER_EXTEND_ADD), lock_extend("bad", 1, 2), lock("bad", INT64_MAX - 1, 0);
    set("soon", "over", LARDER_TEXT, 600000, 0), expire("soon", 1500);
    for (int64_t end = now_ms() + 20000; larder_has(run.store, LARDER_LIT("soon"), NULL, NULL) == LARDER_OK;) {
        CHECK(now_ms() < end);
        sleep_ms(20);
    }
    purge_expired(), purge_expired();
    create_table();
    set("django.contrib.sessions.cache0123456789abcdef", "{\"_auth_user_id\": \"7\"}", LARDER_JSON, 600000, 0);
    set("django.contrib.sessions.cachenonenone", "null", LARDER_JSON, 600000, 0);
    session("0123456789abcdef"), session("0123456789abcdeg"), session("nonenone");
    session(""), session("1234567"), session("0123456789abcdef\r\n"), session("\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    clear(LARDER_CLEAR_EVERYTHING), get("text");
}

/* Both ways; each line has to be the same. */
static void both(const larder_context *context, const char *alias, int statuses_only)
{
    larder_store *store = open_store(context, alias);
    make_table(store);
    run.store = store, run.statuses_only = statuses_only;
    for (int way = 0; way < 2; way++) {
        run.by_callback = way, run.protocol = &protocols[way];
        memset(run.protocol, 0, sizeof *run.protocol);
        scenario();
    }
    CHECK_NUMBER(protocols[0].count, protocols[1].count);
    for (int i = 0; i < protocols[0].count; i++) {
        if (strcmp(protocols[0].lines[i], protocols[1].lines[i]) != 0)
            FAIL("%s, line %d:\n  %s\n  by callback:\n  %s", alias, i, protocols[0].lines[i], protocols[1].lines[i]);
    }
    printf("%s: %d answers, the same both ways\n", alias, protocols[0].count);
    if (getenv("LARDER_TWINS_SHOW") != NULL) {
        for (int i = 0; i < protocols[0].count; i++)
            printf("  %s\n", protocols[0].lines[i]);
    }
    EXPECT(LARDER_OK, larder_store_close(store));
}

static void on_a_server_that_is_down(void)
{
    static const char text[] =
        "{\"down\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:1/0\"},"
        " \"hidden\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:1/0\","
        "              \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": true}}}";
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(TEXT_OF(text), NULL, &context, ERR));
    atomic_store(&has_callback_thread, 0); /* another context, another thread */
    both(context, "down", 1);
    both(context, "hidden", 1);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

/* On the aliases that are given. */
static void on_given(const given_aliases *given)
{
    larder_context *context = open_given();
    for (int i = 0; i < given->n; i++)
        both(context, given->names[i], 0);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

static void on_own(int argc, char **argv)
{
    static const char *const aliases[] = {"memory", "file", "dummy", "redis", "core-redis"};
    larder_context *context = open_all(argv[1], argv[2]);
    for (int i = 0; i < (has_redis(argc, argv) ? 5 : 3); i++)
        both(context, aliases[i], 0);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    on_a_server_that_is_down();
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    given_aliases given = find_given();
    if (given.n > 0)
        on_given(&given);
    else
        on_own(argc, argv);
    check_nothing_is_open();
    printf("twins: word for word\n");
    return 0;
}
