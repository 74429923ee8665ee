/* Open, use, shut down, a hundred times: no thread and no descriptor stays behind. */
#include "support.h"

static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s: %s %s", (const char *)user_data, larder_status_name(status), larder_error_message(error));
    count_one(&answers);
}

static void use(const larder_context *context, const char *alias)
{
    larder_store *store = open_store(context, alias);
    int64_t before = answers.count;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), LARDER_LIT("v"), LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, ERR));
    CHECK_JSON("\"v\"", store, "k");
    if (answers.count == 0)
        CHECK_NUMBER(1, count_threads()); /* who is only used synchronously needs none */
    EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, (void *)(uintptr_t)alias, NULL, ERR));
    wait_for(&answers, before + 1);
    EXPECT(LARDER_OK, larder_store_close(store));
}

static void once(const char *folder, const char *url)
{
    larder_context *context = open_all(folder, url);
    if (strcmp(url, "-") != 0) {
        use(context, "redis");
        use(context, "core-redis");
    }
    use(context, "memory");
    use(context, "file");
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
}

/* /proc shows a thread for a moment longer than it runs, even one that was joined. */
static void check_we_are_alone(void)
{
    for (int64_t end = now_ms() + 5000; count_threads() != 1 && now_ms() < end;)
        sleep_ms(1);
    CHECK_NUMBER(1, count_threads());
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    check_we_are_alone();
    once(argv[1], argv[2]);
    int descriptors = count_descriptors();
    for (int i = 0; i < times(100); i++) {
        once(argv[1], argv[2]);
        check_we_are_alone();
        CHECK_NUMBER(descriptors, count_descriptors());
    }

    /* the in-memory data lives as long as any context */
    larder_context *first = open_all(argv[1], "-");
    larder_store *store = open_store(first, "memory");
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), "1", 1, LARDER_JSON, LARDER_TTL_DEFAULT, NULL, ERR));
    larder_context *second = open_all(argv[1], "-");
    EXPECT(LARDER_OK, larder_shutdown(first, 10000, ERR));
    EXPECT(LARDER_OK, larder_store_close(store));
    store = open_store(second, "memory");
    CHECK_JSON("1", store, "k");
    EXPECT(LARDER_OK, larder_shutdown(second, 10000, ERR));
    EXPECT(LARDER_OK, larder_store_close(store));
    larder_context *third = open_all(argv[1], "-");
    store = open_store(third, "memory");
    EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("k"), NULL, ERR));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(third, 10000, ERR));
    check_nothing_is_open();
    printf("reopen: one thread and %d descriptors, before and after\n", descriptors);
    return 0;
}
