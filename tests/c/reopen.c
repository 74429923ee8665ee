/* Open, use, shut down, a hundred times: no thread, no descriptor and no memory stays behind. */
#include "support.h"

#include <malloc.h>

static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s: %s %s", (const char *)user_data, larder_status_name(status), larder_error_message(error));
    count_one(&answers);
}

/* The other asynchronous face, with its descriptor. */
static void use_queue(const larder_context *context, const larder_store *store)
{
    larder_request get = {.operation = LARDER_OP_GET, .store = store, .key = "k", .key_len = 1};
    larder_queue *queue = NULL;
    larder_event event;
    int32_t handle = -1;
    size_t n = 0;
    EXPECT(LARDER_OK, larder_queue_open(context, 4, LARDER_LOG_WARNING, &queue, ERR));
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &handle, ERR));
    EXPECT(LARDER_OK, larder_submit(queue, &get, 1, sizeof get, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 10000, &n, ERR));
    CHECK(event.status == LARDER_OK && event.value != NULL);
    larder_events_clear(&event, 1, sizeof event);
    EXPECT(LARDER_OK, larder_submit(queue, &get, 1, sizeof get, NULL, ERR)); /* this one nobody polls */
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
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
    use_queue(context, store);
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
    size_t bytes = 0;
    for (int i = 0; i < times(100); i++) {
        once(argv[1], argv[2]);
        check_we_are_alone();
        CHECK_NUMBER(descriptors, count_descriptors());
        if (i < 20)
            bytes = mallinfo2().uordblks; /* what is kept for the next time is there by now */
    }
    if (is_plain() && mallinfo2().uordblks > bytes + 65536)
        FAIL("%zu bytes were in use after 20 rounds, %zu after all", bytes, mallinfo2().uordblks);

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
