/*
 * larder_stats, larder_stats_errors and larder_prometheus as C sees them: by all three faces, from threads that hammer one
 * store, for programs that were built with a shorter struct, and with everything that can be done wrong.
 */
#include "support.h"

#define VALUE LARDER_LIT("value"), LARDER_TEXT, LARDER_TTL_DEFAULT

enum { FIRST_SIZE = 96, THREADS = 40 };

static larder_store_stats stats_of(const larder_store *store)
{
    larder_store_stats stats = LARDER_STATS_INIT;
    EXPECT(LARDER_OK, larder_stats(store, &stats, ERR));
    return stats;
}

static uint64_t errors_of(const larder_store *store, larder_status status)
{
    uint64_t count = 77;
    EXPECT(LARDER_OK, larder_stats_errors(store, status, &count, ERR));
    return count;
}

/* The context's text, to be freed. */
static char *prometheus(const larder_context *context)
{
    size_t needed = 0;
    char one;
    EXPECT(LARDER_TRUNCATED, larder_prometheus(context, NULL, 0, &needed, ERR));
    one = 'x';
    EXPECT(LARDER_TRUNCATED, larder_prometheus(context, &one, 1, NULL, ERR));
    CHECK(one == 'x' && needed > 100);
    size_t capacity = needed + 64;
    char *text = malloc(capacity + 1);
    CHECK(text != NULL);
    EXPECT(LARDER_OK, larder_prometheus(context, text, capacity, &needed, ERR));
    text[needed] = '\0';
    return text;
}

/* A program of larder 0.1 brings 96 bytes, and nothing behind them is written. */
static void older_programs(const larder_store *store)
{
    CHECK_NUMBER(FIRST_SIZE, offsetof(larder_store_stats, sets));
    unsigned char room[sizeof(larder_store_stats) + 16];
    for (size_t size = FIRST_SIZE; size <= sizeof room; size += 8) {
        const uint32_t told = (uint32_t)size;
        memset(room, 0xAA, sizeof room);
        memcpy(room, &told, sizeof told);
        EXPECT(LARDER_OK, larder_stats(store, (larder_store_stats *)(void *)room, ERR));
        larder_store_stats known;
        memcpy(&known, room, sizeof known);
        CHECK(known.struct_size == told && known.hits == 1 && known.misses == 1);
        if (size > offsetof(larder_store_stats, bytes_written))
            CHECK(known.sets == 1 && known.bytes_read > 0);
        for (size_t i = size; i < sizeof room; i++)
            CHECK(room[i] == 0xAA);
        for (size_t i = sizeof known; i < size; i++)
            CHECK(room[i] == 0);
    }
    const uint32_t small = FIRST_SIZE - 1;
    memcpy(room, &small, sizeof small);
    EXPECT(LARDER_EINVAL, larder_stats(store, (larder_store_stats *)(void *)room, ERR));
}

static void misuse(const larder_context *context, const larder_store *store)
{
    uint64_t count = 77;
    size_t needed = 77;
    char room[8];
    EXPECT(LARDER_EINVAL, larder_stats_errors(store, LARDER_OK, &count, ERR));
    CHECK(count == 0);
    EXPECT(LARDER_EINVAL, larder_stats_errors(store, -99, &count, ERR));
    EXPECT(LARDER_EINVAL, larder_stats_errors(store, LARDER_ETIMEOUT, NULL, ERR));
    EXPECT(LARDER_EHANDLE, larder_stats_errors(NULL, LARDER_ETIMEOUT, &count, ERR));
    EXPECT(LARDER_EHANDLE, larder_prometheus(NULL, room, sizeof room, &needed, ERR));
    CHECK(needed == 0);
    EXPECT(LARDER_EHANDLE, larder_prometheus((const larder_context *)(const void *)store, NULL, 0, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_prometheus(context, NULL, 8, NULL, ERR));
    CHECK(larder_prometheus(context, NULL, 0, NULL, NULL) == LARDER_TRUNCATED);
}

typedef struct {
    larder_store *store;
    int rounds;
} work;

static void *hammer(void *argument)
{
    const larder_store *store = ((const work *)argument)->store;
    const int rounds = ((const work *)argument)->rounds;
    char buffer[16];
    size_t needed;
    for (int i = 0; i < rounds; i++) {
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), VALUE, NULL, ERR));
        EXPECT(LARDER_OK, larder_get_into(store, LARDER_LIT("k"), NULL, buffer, sizeof buffer, &needed, ERR));
        EXPECT(LARDER_MISS, larder_get_into(store, LARDER_LIT("none"), NULL, buffer, sizeof buffer, &needed, ERR));
    }
    return NULL;
}

static void many_threads(const larder_context *context, const char *alias, int rounds)
{
    larder_store *store = open_store(context, alias);
    work work = {store, rounds};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(hammer, &work);
    for (int i = 0; i < 50; i++)
        free(prometheus(context)); /* while they count */
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    const larder_store_stats stats = stats_of(store);
    const uint64_t all = (uint64_t)rounds * THREADS;
    CHECK(stats.hits == all && stats.misses == all && stats.sets == all && stats.failures == 0);
    CHECK(stats.bytes_read == stats.bytes_written && stats.bytes_read >= 5 * all);
    CHECK(stats.latency_count > 0 && stats.latency_p50_ns > 0 && stats.latency_p50_ns <= stats.latency_p999_ns);
    CHECK(stats.latency_p999_ns <= stats.latency_max_ns);
    printf("%s: half of them within %" PRIu64 " ns, %" PRIu64 " measured\n", alias, stats.latency_p50_ns,
           stats.latency_count);
    EXPECT(LARDER_OK, larder_store_close(store));
}

static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)user_data, (void)op, (void)value, (void)error;
    CHECK(status == LARDER_OK);
    count_one(&answers);
}

/* What is begun and answered elsewhere counts the same, and is measured until the answer comes, not until it is polled. */
static void later(const larder_context *context, const char *alias, int measures_all)
{
    larder_store *store = open_store(context, alias);
    larder_queue *queue = NULL;
    larder_event events[4];
    size_t n = 0;
    answers.count = 0;
    EXPECT(LARDER_OK, larder_set_cb(store, LARDER_LIT("later"), VALUE, NULL, answered, NULL, NULL, ERR));
    wait_for(&answers, 1);
    EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("later"), NULL, answered, NULL, NULL, ERR));
    wait_for(&answers, 2);
    EXPECT(LARDER_OK, larder_queue_open(context, 4, 0, &queue, ERR));
    larder_request request = LARDER_REQUEST_INIT;
    request.operation = LARDER_OP_DELETE;
    request.store = store;
    request.key = "later";
    request.key_len = 5;
    EXPECT(LARDER_OK, larder_submit(queue, &request, 1, sizeof request, NULL, ERR));
    sleep_ms(1000);
    EXPECT(LARDER_OK, larder_queue_poll(queue, events, 4, sizeof events[0], 30000, &n, ERR));
    CHECK(n == 1 && events[0].status == LARDER_OK);
    larder_events_clear(events, n, sizeof events[0]);
    EXPECT(LARDER_OK, larder_queue_close(queue));
    const larder_store_stats stats = stats_of(store);
    CHECK(stats.sets == 1 && stats.hits == 1 && stats.deletes == 1 && stats.bytes_read == stats.bytes_written);
    CHECK(stats.bytes_read > 5);
    CHECK(measures_all ? stats.latency_count == 3 : stats.latency_count <= 3);
    CHECK(!is_plain() || stats.latency_max_ns < 990000000);
    EXPECT(LARDER_OK, larder_store_close(store));
}

static void errors_by_kind(const larder_context *context)
{
    larder_store *store = open_store(context, "memory");
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("text"), VALUE, NULL, ERR));
    EXPECT(LARDER_ETYPE, larder_incr(store, LARDER_LIT("text"), 1, NULL, NULL, NULL, ERR));
    larder_value *token = NULL;
    EXPECT(LARDER_EUNSUPPORTED, larder_lock(store, LARDER_LIT("lock"), 1000, 0, NULL, &token, ERR));
    CHECK_NUMBER(1, errors_of(store, LARDER_ETYPE));
    CHECK_NUMBER(0, errors_of(store, LARDER_ETIMEOUT));
    CHECK_NUMBER(1, stats_of(store).failures);
    EXPECT(LARDER_OK, larder_store_close(store));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    larder_store *store = open_store(context, "memory");
    char buffer[16];
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("one"), VALUE, NULL, ERR));
    EXPECT(LARDER_OK, larder_get_into(store, LARDER_LIT("one"), NULL, buffer, sizeof buffer, NULL, ERR));
    EXPECT(LARDER_MISS, larder_get_into(store, LARDER_LIT("none"), NULL, buffer, sizeof buffer, NULL, ERR));
    older_programs(store);
    misuse(context, store);
    char *text = prometheus(context);
    CHECK(strstr(text, "\nlarder_hits_total{alias=\"memory\"} 1\n") != NULL);
    CHECK(strncmp(text, "# HELP larder_hits_total ", 25) == 0 && text[strlen(text) - 1] == '\n');
    free(text);
    EXPECT(LARDER_OK, larder_store_close(store));
    many_threads(context, "memory", times(1000));
    later(context, "memory", 0);
    later(context, "file", 1);
    if (has_redis(argc, argv)) {
        many_threads(context, "redis", times(100));
        later(context, "redis", 1);
    }
    errors_by_kind(context);
    text = prometheus(context);
    CHECK(strstr(text, "\nlarder_deletes_total{alias=\"memory\"} 1\n") != NULL); /* of stores that are closed */
    free(text);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    EXPECT(LARDER_EHANDLE, larder_prometheus(context, NULL, 0, NULL, ERR));
    check_nothing_is_open();
    printf("each was counted once\n");
    return 0;
}
