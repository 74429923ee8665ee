/* Nothing is undefined that can be checked: wrong handles, wrong numbers, wrong lengths, wrong text, large values. */
#include "support.h"

#define KEY LARDER_LIT("key")
#define VALUE LARDER_LIT("value"), LARDER_TEXT, LARDER_TTL_DEFAULT
static const char not_utf8[] = "a\xff\xfe";
#define BAD_KEY not_utf8, sizeof not_utf8 - 1

static void nobody(void *user_data, larder_op op, larder_status status, const larder_value *value,
                   const larder_error *error)
{
    (void)user_data, (void)op, (void)status, (void)value, (void)error;
    FAIL("a refused operation was answered");
}

/* Every operation on one store answers the same failure, and hands out nothing. */
static void every_operation_answers(larder_status wanted, const larder_store *store)
{
    const char *keys[] = {"a", "b"};
    const void *values[] = {"1", "2"};
    size_t lens[] = {1, 1};
    larder_value *several[] = {(larder_value *)1, (larder_value *)1};
    larder_value *value = (larder_value *)1;
    larder_cursor *cursor = (larder_cursor *)1;
    uint8_t failed[] = {0, 0};
    char buffer[16] = "untouched";
    size_t needed = 1, found = 1;
    int64_t number = 0;
    uint64_t count = 0;
    larder_op op = 77;

    EXPECT(wanted, larder_get(store, KEY, NULL, &value, ERR));
    CHECK(value == NULL);
    EXPECT(wanted, larder_get_into(store, KEY, NULL, buffer, sizeof buffer, &needed, ERR));
    CHECK(strcmp(buffer, "untouched") == 0);
    EXPECT(wanted, larder_set(store, KEY, VALUE, NULL, ERR));
    EXPECT(wanted, larder_add(store, KEY, VALUE, NULL, ERR));
    EXPECT(wanted, larder_expire(store, KEY, 1000, NULL, ERR));
    EXPECT(wanted, larder_persist(store, KEY, NULL, ERR));
    EXPECT(wanted, larder_ttl(store, KEY, NULL, &number, ERR));
    EXPECT(wanted, larder_delete(store, KEY, NULL, ERR));
    EXPECT(wanted, larder_has(store, KEY, NULL, ERR));
    EXPECT(wanted, larder_incr(store, KEY, 1, NULL, &number, &value, ERR));
    CHECK(value == NULL);
    EXPECT(wanted, larder_incr_version(store, KEY, 1, NULL, &number, ERR));
    EXPECT(wanted, larder_check_key(store, KEY, NULL, buffer, sizeof buffer, &needed, ERR));
    EXPECT(wanted, larder_clear(store, LARDER_CLEAR_PREFIX, NULL, ERR));
    EXPECT(wanted, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    EXPECT(wanted, larder_purge_expired(store, NULL, &count, ERR));
    EXPECT(wanted, larder_store_ping(store, NULL, ERR));
    EXPECT(wanted, larder_expire_at(store, KEY, 1000, NULL, ERR));
    count = 1;
    EXPECT(wanted, larder_delete_pattern(store, LARDER_LIT("*"), NULL, &count, ERR));
    CHECK(count == 0);
    value = (larder_value *)1;
    EXPECT(wanted, larder_lock(store, KEY, 1000, 0, NULL, &value, ERR));
    CHECK(value == NULL);
    EXPECT(wanted, larder_unlock(store, KEY, LARDER_LIT("token"), NULL, ERR));
    EXPECT(wanted, larder_lock_extend(store, KEY, LARDER_LIT("token"), 1000, LARDER_EXTEND_ADD, NULL, ERR));
    EXPECT(wanted, larder_create_table(store, NULL, ERR));
    EXPECT(wanted, larder_table_sql(store, buffer, sizeof buffer, &needed, ERR));
    CHECK(strcmp(buffer, "untouched") == 0 && needed == 0);
    EXPECT(wanted, larder_session(store, LARDER_LIT("0123456789abcdef"), NULL, &value, ERR));
    CHECK(value == NULL);
    EXPECT(wanted, larder_get_many(store, keys, lens, 2, NULL, several, &found, ERR));
    CHECK(several[0] == NULL && several[1] == NULL && found == 0);
    EXPECT(wanted, larder_set_many(store, keys, lens, values, lens, 2, LARDER_BYTES, 1000, NULL, failed, ERR));
    CHECK(failed[0] == 1 && failed[1] == 1);
    EXPECT(wanted, larder_delete_many(store, keys, lens, 2, NULL, &count, ERR));
    EXPECT(wanted, larder_keys(store, LARDER_LIT("*"), NULL, &cursor, ERR));
    CHECK(cursor == NULL);
    EXPECT(wanted, larder_get_cb(store, KEY, NULL, nobody, NULL, &op, ERR));
    CHECK(op == 0);
    EXPECT(wanted, larder_set_cb(store, KEY, VALUE, NULL, nobody, NULL, &op, ERR));
    EXPECT(wanted, larder_expire_cb(store, KEY, 1000, NULL, nobody, NULL, &op, ERR));
    /* and nobody has to ask for the error, the number, the count or the id */
    CHECK_NUMBER(wanted, larder_incr(store, KEY, 1, NULL, NULL, NULL, NULL));
    CHECK_NUMBER(wanted, larder_get_many(store, keys, lens, 2, NULL, several, NULL, NULL));
    CHECK_NUMBER(wanted, larder_set_many(store, keys, lens, values, lens, 2, LARDER_BYTES, 1, NULL, NULL, NULL));
    CHECK_NUMBER(wanted, larder_get_cb(store, KEY, NULL, nobody, NULL, NULL, NULL));
}

static void wrong_handles(larder_context *context)
{
    larder_store *closed = open_store(context, "memory");
    EXPECT(LARDER_OK, larder_store_close(closed));
    EXPECT(LARDER_EHANDLE, larder_store_close(closed)); /* twice is harmless */
    larder_store *next = open_store(context, "memory");  /* may live where the closed one lived */
    CHECK(next != closed);
    larder_cursor *cursor = NULL;
    EXPECT(LARDER_OK, larder_keys(next, LARDER_LIT("*"), NULL, &cursor, ERR));

    int local = 0;
    const void *wrong[] = {NULL,    closed,          context,          cursor,
                           &local,  (void *)1,       (void *)0xdead,   (void *)UINTPTR_MAX,
                           "store", (char *)next + 1, (char *)next - 1,
                           (void *)((uintptr_t)next ^ ((uintptr_t)1 << 40))};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        every_operation_answers(LARDER_EHANDLE, wrong[i]);
        EXPECT(LARDER_EHANDLE, larder_store_supports(wrong[i], LARDER_OP_KEYS));
        EXPECT(LARDER_EHANDLE, larder_store_close((larder_store *)(uintptr_t)wrong[i]));
    }
    EXPECT(LARDER_OK, larder_cursor_next(cursor, NULL, 0, NULL, ERR) == LARDER_EMPTY ? LARDER_OK : LARDER_EPANIC);
    const void *no_cursors[] = {NULL, next, context, &local, (char *)cursor + 1};
    for (size_t i = 0; i < sizeof no_cursors / sizeof *no_cursors; i++) {
        EXPECT(LARDER_EHANDLE, larder_cursor_next(no_cursors[i], NULL, 0, NULL, ERR));
        EXPECT(LARDER_EHANDLE, larder_cursor_close((larder_cursor *)(uintptr_t)no_cursors[i]));
    }
    const void *no_contexts[] = {NULL, next, cursor, &local, (char *)context + 1};
    for (size_t i = 0; i < sizeof no_contexts / sizeof *no_contexts; i++) {
        larder_store *store = (larder_store *)1;
        EXPECT(LARDER_EHANDLE, larder_store_open(no_contexts[i], "memory", &store, ERR));
        CHECK(store == NULL);
        EXPECT(LARDER_EHANDLE, larder_warning(no_contexts[i], 0, NULL, 0, NULL, ERR));
        EXPECT(LARDER_EHANDLE, larder_shutdown((larder_context *)(uintptr_t)no_contexts[i], 0, ERR));
    }
    /* a cursor outlives its store, and says so */
    EXPECT(LARDER_OK, larder_store_close(next));
    EXPECT(LARDER_EHANDLE, larder_cursor_next(cursor, NULL, 0, NULL, ERR));
    EXPECT(LARDER_OK, larder_cursor_close(cursor));
    EXPECT(LARDER_EHANDLE, larder_cursor_close(cursor));
}

static void wrong_calls(const larder_store *store)
{
    char tail[64];
    memset(tail, 0x55, sizeof tail);
    struct {
        const char *what;
        larder_call call;
    } wrong[] = {
        {"size 0", {0, 0, 0, NULL, 0}},
        {"size too small", {sizeof(larder_call) - 1, 0, 0, NULL, 0}},
        {"unknown flag", {sizeof(larder_call), 1u << 31, 0, NULL, 0}},
        {"another unknown flag", {sizeof(larder_call), 8, 0, NULL, 0}},
        {"NX and XX", {sizeof(larder_call), LARDER_CALL_NX | LARDER_CALL_XX, 0, NULL, 0}},
        {"negative time", {sizeof(larder_call), 0, -1, NULL, 0}},
        {"most negative time", {sizeof(larder_call), 0, INT64_MIN, NULL, 0}},
        {"version not UTF-8", {sizeof(larder_call), 0, 0, BAD_KEY}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const larder_call *call = &wrong[i].call;
        larder_value *value = NULL;
        larder_cursor *cursor = NULL;
        int64_t number = 0;
        printf("  call with %s\n", wrong[i].what);
        EXPECT(LARDER_EINVAL, larder_get(store, KEY, call, &value, ERR));
        EXPECT(LARDER_EINVAL, larder_get_into(store, KEY, call, tail, sizeof tail, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_set(store, KEY, VALUE, call, ERR));
        EXPECT(LARDER_EINVAL, larder_add(store, KEY, VALUE, call, ERR));
        EXPECT(LARDER_EINVAL, larder_expire(store, KEY, 1, call, ERR));
        EXPECT(LARDER_EINVAL, larder_persist(store, KEY, call, ERR));
        EXPECT(LARDER_EINVAL, larder_ttl(store, KEY, call, &number, ERR));
        EXPECT(LARDER_EINVAL, larder_delete(store, KEY, call, ERR));
        EXPECT(LARDER_EINVAL, larder_has(store, KEY, call, ERR));
        EXPECT(LARDER_EINVAL, larder_incr(store, KEY, 1, call, NULL, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_incr_version(store, KEY, 1, call, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_check_key(store, KEY, call, NULL, 0, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_clear(store, LARDER_CLEAR_PREFIX, call, ERR));
        EXPECT(LARDER_EINVAL, larder_purge_expired(store, call, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_store_ping(store, call, ERR));
        EXPECT(LARDER_EINVAL, larder_create_table(store, call, ERR));
        EXPECT(LARDER_EINVAL, larder_expire_at(store, KEY, 1, call, ERR));
        EXPECT(LARDER_EINVAL, larder_delete_pattern(store, LARDER_LIT("*"), call, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_lock(store, KEY, 1000, 0, call, &value, ERR));
        EXPECT(LARDER_EINVAL, larder_unlock(store, KEY, LARDER_LIT("token"), call, ERR));
        EXPECT(LARDER_EINVAL, larder_lock_extend(store, KEY, LARDER_LIT("token"), 1, LARDER_EXTEND_ADD, call, ERR));
        EXPECT(LARDER_EINVAL, larder_session(store, LARDER_LIT("0123456789abcdef"), call, &value, ERR));
        EXPECT(LARDER_EINVAL, larder_get_many(store, NULL, NULL, 0, call, NULL, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_delete_many(store, NULL, NULL, 0, call, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_keys(store, LARDER_LIT("*"), call, &cursor, ERR));
        EXPECT(LARDER_EINVAL, larder_get_cb(store, KEY, call, nobody, NULL, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_set_cb(store, KEY, VALUE, call, nobody, NULL, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_expire_cb(store, KEY, 1, call, nobody, NULL, NULL, ERR));
    }
    larder_call endless = {sizeof(larder_call), 0, 0, tail, SIZE_MAX};
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, VALUE, &endless, ERR));
    endless.version_len = (size_t)1 << 40; /* more than any version has, and nobody looks at it */
    EXPECT(LARDER_ETOOBIG, larder_set(store, KEY, VALUE, &endless, ERR));
    EXPECT(LARDER_MISS, larder_has(store, KEY, NULL, ERR)); /* none of these wrote */
    /* a struct of a later version is larger, and fine */
    struct {
        larder_call call;
        char more[32];
    } later = {LARDER_CALL_INIT, {0}};
    later.call.struct_size = sizeof later;
    EXPECT(LARDER_OK, larder_set(store, KEY, VALUE, &later.call, ERR));
    /* what cannot be conditional says so */
    larder_call nx = LARDER_CALL_INIT;
    nx.flags = LARDER_CALL_NX;
    const char *keys[] = {"a"};
    const void *values[] = {"1"};
    size_t lens[] = {1};
    EXPECT(LARDER_EINVAL, larder_set_many(store, keys, lens, values, lens, 1, LARDER_BYTES, 1, &nx, NULL, ERR));
    nx.flags = LARDER_CALL_XX;
    EXPECT(LARDER_EINVAL, larder_add(store, KEY, VALUE, &nx, ERR));
    EXPECT(LARDER_OK, larder_delete(store, KEY, NULL, ERR));
}

static void wrong_arguments(const larder_store *store)
{
    larder_value *value = NULL;
    larder_cursor *cursor = NULL;
    int64_t number = 0;
    char buffer[8];
    EXPECT(LARDER_EINVAL, larder_get(store, NULL, 3, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_get(store, "key", SIZE_MAX, NULL, &value, ERR));
    EXPECT(LARDER_ETOOBIG, larder_get(store, "key", (size_t)1 << 40, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_get(store, KEY, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_ttl(store, KEY, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_keys(store, LARDER_LIT("*"), NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_cb(store, KEY, NULL, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set_cb(store, KEY, VALUE, NULL, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_expire_cb(store, KEY, 1, NULL, NULL, NULL, NULL, ERR));

    EXPECT(LARDER_EINVAL, larder_session(store, NULL, 8, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_session(store, "0123456789abcdef", SIZE_MAX, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_session(store, LARDER_LIT("0123456789abcdef"), NULL, NULL, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_create_table(store, NULL, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_table_sql(store, buffer, sizeof buffer, NULL, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_CREATE_TABLE));
    EXPECT(LARDER_OK, larder_store_supports(store, LARDER_OP_SESSION));
    EXPECT(LARDER_EINVAL, larder_store_supports(store, LARDER_OP_DELETE_PATTERN + 1));
    EXPECT(LARDER_OK, larder_store_supports(store, LARDER_OP_DELETE_PATTERN));
    EXPECT(LARDER_OK, larder_store_supports(store, LARDER_OP_EXPIRE_AT));
    EXPECT(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_LOCK));
    EXPECT(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_UNLOCK));
    EXPECT(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_LOCK_EXTEND));
    EXPECT(LARDER_EUNSUPPORTED, larder_lock(store, KEY, 1000, 0, NULL, &value, ERR));
    EXPECT(LARDER_EUNSUPPORTED, larder_unlock(store, KEY, NULL, 0, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock(store, KEY, 1000, 0, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_unlock(store, KEY, NULL, 3, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_unlock(store, KEY, "token", SIZE_MAX, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock_extend(store, KEY, NULL, 3, 1, LARDER_EXTEND_ADD, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_lock_extend(store, KEY, LARDER_LIT("token"), 1, 2, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_delete_pattern(store, NULL, 3, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_delete_pattern(store, "\xff", 1, NULL, NULL, ERR));

    EXPECT(LARDER_EINVAL, larder_get(store, BAD_KEY, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_get_into(store, BAD_KEY, NULL, buffer, sizeof buffer, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set(store, BAD_KEY, VALUE, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_add(store, BAD_KEY, VALUE, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_expire(store, BAD_KEY, 1, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_persist(store, BAD_KEY, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_ttl(store, BAD_KEY, NULL, &number, ERR));
    EXPECT(LARDER_EINVAL, larder_delete(store, BAD_KEY, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_has(store, BAD_KEY, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_incr(store, BAD_KEY, 1, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_incr_version(store, BAD_KEY, 1, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_check_key(store, BAD_KEY, NULL, NULL, 0, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_keys(store, BAD_KEY, NULL, &cursor, ERR));
    EXPECT(LARDER_EINVAL, larder_get_cb(store, BAD_KEY, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set_cb(store, BAD_KEY, VALUE, NULL, nobody, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_expire_cb(store, BAD_KEY, 1, NULL, nobody, NULL, NULL, ERR));

    const int32_t no_formats[] = {0, 5, -1, 99, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof no_formats / sizeof *no_formats; i++) {
        EXPECT(LARDER_EINVAL, larder_set(store, KEY, "1", 1, no_formats[i], 1, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_add(store, KEY, "1", 1, no_formats[i], 1, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_set_cb(store, KEY, "1", 1, no_formats[i], 1, NULL, nobody, NULL, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_clear(store, no_formats[i], NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_store_supports(store, no_formats[i] == 5 ? 77 : no_formats[i]));
        CHECK_NUMBER(LARDER_EINVAL, larder_live(no_formats[i] == 5 ? 77 : no_formats[i]));
    }
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, NULL, 3, LARDER_BYTES, 1, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, "v", SIZE_MAX, LARDER_BYTES, 1, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, BAD_KEY, LARDER_TEXT, 1, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, LARDER_LIT("{\"a\": "), LARDER_JSON, 1, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set(store, KEY, LARDER_LIT(""), LARDER_JSON, 1, NULL, ERR));

    const char *keys[] = {"a", NULL};
    const void *values[] = {"1", NULL};
    size_t one[] = {1, 1};
    larder_value *several[2];
    EXPECT(LARDER_EINVAL, larder_get_many(store, NULL, one, 2, NULL, several, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_many(store, keys, NULL, 2, NULL, several, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_many(store, keys, one, 2, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_many(store, keys, one, 2, NULL, several, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_many(store, keys, one, SIZE_MAX, NULL, several, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set_many(store, keys, one, values, one, 2, LARDER_BYTES, 1, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_set_many(store, keys, one, values, one, SIZE_MAX, LARDER_BYTES, 1, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_delete_many(store, keys, one, 2, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_delete_many(store, NULL, NULL, SIZE_MAX, NULL, NULL, ERR));
    EXPECT(LARDER_MISS, larder_has(store, KEY, NULL, ERR)); /* none of these wrote */
}

/* Zero lengths are lengths: the empty key, the empty value, no keys at all. */
static void zero_lengths(const larder_store *store)
{
    size_t needed = 77, found = 77;
    uint64_t removed = 77;
    char byte = 'x';
    EXPECT(LARDER_OK, larder_set(store, NULL, 0, NULL, 0, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_has(store, "", 0, NULL, ERR));
    EXPECT(LARDER_OK, larder_get_into(store, NULL, 0, NULL, NULL, 0, &needed, ERR));
    CHECK_NUMBER(0, needed);
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("empty"), "", 0, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, ERR));
    CHECK_JSON("\"\"", store, "empty");
    EXPECT(LARDER_OK, larder_get_many(store, NULL, NULL, 0, NULL, NULL, &found, ERR));
    CHECK_NUMBER(0, found);
    EXPECT(LARDER_OK, larder_set_many(store, NULL, NULL, NULL, NULL, 0, LARDER_TEXT, 1000, NULL, NULL, ERR));
    EXPECT(LARDER_OK, larder_delete_many(store, NULL, NULL, 0, NULL, &removed, ERR));
    CHECK_NUMBER(0, removed);

    /* buffers without room */
    EXPECT(LARDER_OK, larder_set(store, KEY, VALUE, NULL, ERR));
    EXPECT(LARDER_TRUNCATED, larder_get_into(store, KEY, NULL, NULL, 0, &needed, ERR));
    CHECK_NUMBER(5, needed);
    EXPECT(LARDER_TRUNCATED, larder_get_into(store, KEY, NULL, &byte, 0, NULL, ERR));
    CHECK(byte == 'x');
    /* a zero byte inside a key is a character like others */
    EXPECT(LARDER_OK, larder_set(store, "a\0b", 3, VALUE, NULL, ERR));
    EXPECT(LARDER_MISS, larder_has(store, "a", 1, NULL, ERR));
    EXPECT(LARDER_OK, larder_delete(store, "a\0b", 3, NULL, ERR));
    EXPECT(LARDER_OK, larder_delete(store, KEY, NULL, ERR));
}

static void too_large(const larder_store *store)
{
    enum { limit = 100000 };
    char *large = calloc(1, limit + 1);
    CHECK(large != NULL);
    EXPECT(LARDER_OK, larder_set(store, KEY, "old", 3, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_ETOOBIG, larder_set(store, KEY, large, limit + 1, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_ETOOBIG, larder_set(store, KEY, large, limit + 1, LARDER_STORED, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_ETOOBIG,
           larder_set_cb(store, KEY, large, limit + 1, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, nobody, NULL, NULL,
                         ERR));
    char buffer[3];
    EXPECT(LARDER_OK, larder_get_into(store, KEY, NULL, buffer, sizeof buffer, NULL, ERR)); /* the old value stays */
    CHECK(memcmp(buffer, "old", 3) == 0);
    EXPECT(LARDER_OK, larder_set(store, KEY, large, limit / 2, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_delete(store, KEY, NULL, ERR));
    free(large);
}

static void wrong_values(const larder_store *store)
{
    const void *bytes = NULL;
    const char *text = NULL;
    size_t len = 0;
    int64_t number = 0;
    double real = 0;
    uint32_t flags = 77;
    CHECK_NUMBER(LARDER_EHANDLE, larder_value_kind(NULL));
    EXPECT(LARDER_EHANDLE, larder_value_bytes(NULL, &bytes, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_text(NULL, &text, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_int64(NULL, &number, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_double(NULL, &real, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_json(NULL, &text, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_stored(NULL, &bytes, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_flags(NULL, &flags, ERR));
    EXPECT(LARDER_EHANDLE, larder_value_item_text(NULL, LARDER_LIT("a"), &text, &len, ERR));
    CHECK(larder_value_retain(NULL) == NULL);
    larder_value_release(NULL);

    larder_value *value = NULL;
    EXPECT(LARDER_OK, larder_set(store, KEY, LARDER_LIT("7"), LARDER_JSON, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, KEY, NULL, &value, ERR));
    EXPECT(LARDER_EINVAL, larder_value_int64(value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_double(value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_json(value, NULL, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_value_json(value, &text, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_stored(value, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_flags(value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_item_text(value, LARDER_LIT("a"), NULL, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_value_item_text(value, LARDER_LIT("a"), &text, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_value_item_text(value, NULL, 1, &text, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_value_item_text(value, BAD_KEY, &text, &len, ERR));
    EXPECT(LARDER_ETYPE, larder_value_item_text(value, LARDER_LIT("a"), &text, &len, ERR));
    EXPECT(LARDER_ETYPE, larder_value_bytes(value, &bytes, &len, ERR));
    EXPECT(LARDER_ETYPE, larder_value_text(value, &text, &len, ERR));
    larder_value_release(value);
    EXPECT(LARDER_OK, larder_delete(store, KEY, NULL, ERR));

    CHECK_NUMBER(LARDER_EHANDLE, larder_error_status(NULL));
    CHECK(strcmp(larder_error_message(NULL), "") == 0);
    CHECK_NUMBER(0, larder_error_retriable(NULL));
    CHECK(larder_error_retain(NULL) == NULL);
    larder_error_release(NULL);
    CHECK(strcmp(larder_status_name(LARDER_MISS), "LARDER_MISS") == 0);
    CHECK(strcmp(larder_status_name(12345), "unknown status") == 0);
    CHECK(strcmp(larder_status_name(INT32_MIN), "unknown status") == 0);
}

static void wrong_opening(const char *folder)
{
    larder_context *context = (larder_context *)1;
    larder_options small = LARDER_OPTIONS_INIT;
    small.struct_size = 4;
    const char good[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    EXPECT(LARDER_ECONFIG, larder_open(NULL, 0, NULL, &context, ERR));
    CHECK(context == NULL);
    EXPECT(LARDER_EINVAL, larder_open(NULL, 5, NULL, &context, ERR));
    EXPECT(LARDER_EINVAL, larder_open(good, SIZE_MAX, NULL, &context, ERR));
    EXPECT(LARDER_EINVAL, larder_open(BAD_KEY, NULL, &context, ERR));
    EXPECT(LARDER_EINVAL, larder_open(TEXT_OF(good), NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_open(TEXT_OF(good), &small, &context, ERR));
    EXPECT(LARDER_ECONFIG, larder_open(LARDER_LIT("[]"), NULL, &context, ERR));
    EXPECT(LARDER_ECONFIG, larder_open(LARDER_LIT("{"), NULL, &context, ERR));
    EXPECT(LARDER_EINVAL, larder_open_file(NULL, NULL, &context, ERR));
    EXPECT(LARDER_EINVAL, larder_open_file(not_utf8, NULL, &context, ERR));
    context = (larder_context *)1;
    EXPECT(LARDER_EIO, larder_open_file("/nowhere/caches.json", NULL, &context, ERR));
    CHECK(context == NULL);
    EXPECT(LARDER_EIO, larder_open_file(folder, NULL, &context, ERR)); /* a folder is no file */

    EXPECT(LARDER_OK, larder_open(TEXT_OF(good), NULL, &context, ERR));
    larder_store *store = (larder_store *)1;
    EXPECT(LARDER_EINVAL, larder_store_open(context, NULL, &store, ERR));
    CHECK(store == NULL);
    EXPECT(LARDER_EINVAL, larder_store_open(context, "", &store, ERR)); /* never a guess */
    EXPECT(LARDER_EINVAL, larder_store_open(context, not_utf8, &store, ERR));
    EXPECT(LARDER_EINVAL, larder_store_open(context, "default", NULL, ERR));
    EXPECT(LARDER_ECONFIG, larder_store_open(context, "defualt", &store, ERR));
    EXPECT(LARDER_EMPTY, larder_warning(context, SIZE_MAX, NULL, 0, NULL, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, INT64_MIN, ERR)); /* no time is enough where nothing runs */
    EXPECT(LARDER_EHANDLE, larder_shutdown(context, INT64_MAX, ERR));
}

/* After the shutdown the stores are there, and say so; closing them is harmless. */
static void after_shutdown(larder_context *context, larder_store *store)
{
    larder_cursor *cursor = NULL;
    EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("*"), NULL, &cursor, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, 5000, ERR));
    every_operation_answers(LARDER_ESHUTDOWN, store);
    EXPECT(LARDER_EHANDLE, larder_shutdown(context, 5000, ERR));
    larder_store *another = NULL;
    EXPECT(LARDER_EHANDLE, larder_store_open(context, "memory", &another, ERR));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_EHANDLE, larder_store_close(store));
    every_operation_answers(LARDER_EHANDLE, store);
    EXPECT(LARDER_OK, larder_cursor_close(cursor));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    wrong_opening(argv[1]);
    larder_context *context = open_all(argv[1], argv[2]);
    wrong_handles(context);
    const char *aliases[] = {"memory", "file", "redis", "core-redis"};
    for (size_t i = 0; i < (has_redis(argc, argv) ? 4u : 2u); i++) {
        larder_store *store = open_store(context, aliases[i]);
        printf("%s\n", aliases[i]);
        wrong_calls(store);
        wrong_values(store);
        zero_lengths(store);
        too_large(store);
        EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
        EXPECT(LARDER_OK, larder_store_close(store));
    }
    larder_store *memory = open_store(context, "memory");
    wrong_arguments(memory);
    after_shutdown(context, memory);
    check_nothing_is_open();
    puts("misuse: every call was answered");
    return 0;
}
