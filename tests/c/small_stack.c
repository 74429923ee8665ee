/* Every operation on threads with 128 KiB of stack, as fibers and Ruby threads have. */
#include "support.h"

#include <limits.h>

/* AddressSanitizer makes the frames of all functions several times as large, those of the standard library included. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK (512 * 1024)
#else
#define STACK (128 * 1024)
#endif

static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)user_data, (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    count_one(&answers);
}

/* A value that is deep, and one with many kinds of items. */
static char *deep_list(int depth)
{
    char *json = malloc((size_t)depth * 2 + 1);
    CHECK(json != NULL);
    memset(json, '[', (size_t)depth);
    memset(json + depth, ']', (size_t)depth);
    json[depth * 2] = '\0';
    return json;
}

static void values(const larder_store *store)
{
    static const char mixed[] =
        "{\"a\": [1, 2.5, null, true, \"\\u00e9\", 123456789012345678901234567890], \"b\": {\"c\": {}}}";
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("mixed"), TEXT_OF(mixed), LARDER_JSON, 60000, NULL, ERR));
    CHECK_JSON(mixed, store, "mixed");
    char *deep = deep_list(500);
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("deep"), deep, strlen(deep), LARDER_JSON, 60000, NULL, ERR));
    CHECK_JSON(deep, store, "deep");
    free(deep);
    static const char bad[] = "this is no pickle";
    larder_value *value = NULL;
    const char *json = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("bad"), TEXT_OF(bad), LARDER_STORED, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("bad"), NULL, &value, ERR));
    EXPECT(LARDER_EUNDECODABLE, larder_value_json(value, &json, &len, ERR));
    larder_value_release(value);
}

static void operations(const larder_store *store, const char *alias)
{
    const char *keys[] = {"a", "b", "n"};
    const void *several[] = {"1", "2"};
    const size_t lens[] = {1, 1, 1};
    larder_value *found_values[3] = {NULL, NULL, NULL};
    char buffer[64];
    size_t needed = 0, found = 0;
    int64_t number = 0;
    uint64_t removed = 0;
    EXPECT(LARDER_OK, larder_set(store, "a", 1, LARDER_LIT("text"), LARDER_TEXT, 60000, NULL, ERR));
    EXPECT(LARDER_NOT_STORED, larder_add(store, "a", 1, LARDER_LIT("text"), LARDER_TEXT, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_get_into(store, "a", 1, NULL, buffer, sizeof buffer, &needed, ERR));
    EXPECT(LARDER_OK, larder_expire(store, "a", 1, 60000, NULL, ERR));
    if (larder_store_supports(store, LARDER_OP_TTL) == LARDER_OK)
        EXPECT(LARDER_OK, larder_ttl(store, "a", 1, NULL, &number, ERR));
    if (larder_store_supports(store, LARDER_OP_PERSIST) == LARDER_OK)
        EXPECT(LARDER_OK, larder_persist(store, "a", 1, NULL, ERR));
    EXPECT(LARDER_OK, larder_has(store, "a", 1, NULL, ERR));
    EXPECT(LARDER_OK, larder_incr_version(store, "a", 1, 1, NULL, &number, ERR));
    EXPECT(LARDER_MISS, larder_delete(store, "a", 1, NULL, ERR));
    EXPECT(LARDER_OK, larder_set(store, "n", 1, "41", 2, LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_incr(store, "n", 1, 1, NULL, &number, NULL, ERR));
    CHECK_NUMBER(42, number);
    EXPECT(LARDER_OK, larder_set_many(store, keys, lens, several, lens, 2, LARDER_JSON, 60000, NULL, NULL, ERR));
    EXPECT(LARDER_OK, larder_get_many(store, keys, lens, 3, NULL, found_values, &found, ERR));
    CHECK_NUMBER(3, found);
    for (int i = 0; i < 3; i++)
        larder_value_release(found_values[i]);
    EXPECT(LARDER_OK, larder_delete_many(store, keys, lens, 3, NULL, &removed, ERR));
    CHECK_NUMBER(3, removed);
    values(store);
    int64_t before = answers.count;
    EXPECT(LARDER_OK, larder_set_cb(store, "c", 1, "1", 1, LARDER_JSON, 60000, NULL, answered, NULL, NULL, ERR));
    EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("mixed"), NULL, answered, NULL, NULL, ERR));
    EXPECT(LARDER_OK, larder_expire_cb(store, LARDER_LIT("mixed"), 60000, NULL, answered, NULL, NULL, ERR));
    wait_for(&answers, before + 3);
    if (larder_store_supports(store, LARDER_OP_KEYS) == LARDER_OK) {
        larder_cursor *cursor = NULL;
        EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("*"), NULL, &cursor, ERR));
        larder_status status;
        while ((status = larder_cursor_next(cursor, buffer, sizeof buffer, &needed, NULL)) == LARDER_OK)
            found++;
        CHECK_NUMBER(LARDER_EMPTY, status);
        EXPECT(LARDER_OK, larder_cursor_close(cursor));
        EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_PREFIX, NULL, ERR));
    }
    EXPECT(LARDER_OK, larder_store_ping(store, NULL, ERR));
    EXPECT(LARDER_OK, larder_purge_expired(store, NULL, &removed, ERR));
    larder_check_key(store, "a key", 5, NULL, buffer, sizeof buffer, &needed, NULL);
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    printf("%s: every operation\n", alias);
}

typedef struct {
    char **argv;
    int has_redis;
} arguments;

/* Opening, failing and shutting down are operations too. */
static void *everything(void *argument)
{
    const arguments *arguments = argument;
    larder_context *context = NULL;
    EXPECT(LARDER_ECONFIG, larder_open(LARDER_LIT("{\"default\": {\"BACKEND\": \"locmen\"}}"), NULL, &context, ERR));
    context = open_all(arguments->argv[1], arguments->argv[2]);
    const char *aliases[] = {"memory", "file", "redis", "core-redis"};
    for (int i = 0; i < (arguments->has_redis ? 4 : 2); i++) {
        larder_store *store = open_store(context, aliases[i]);
        operations(store, aliases[i]);
        EXPECT(LARDER_OK, larder_store_close(store));
    }
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    arguments arguments = {argv, has_redis(argc, argv)};
    pthread_attr_t attributes;
    CHECK_NUMBER(0, pthread_attr_init(&attributes));
    CHECK_NUMBER(0, pthread_attr_setstacksize(&attributes, STACK));
    pthread_t thread;
    CHECK_NUMBER(0, pthread_create(&thread, &attributes, everything, &arguments));
    join(thread);
    pthread_attr_destroy(&attributes);
    check_nothing_is_open();
    printf("small_stack: %d KiB were enough\n", STACK / 1024);
    return 0;
}
