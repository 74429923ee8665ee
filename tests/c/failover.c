/*
 * A failover as a C program sees it: workers of all three faces set and get over Sentinels while the test around them
 * kills the primary. No value is ever wrong, no call is late, and service is back when the Sentinels have a new primary.
 *
 * The test and the program tell each other by files in the program's folder: "ready" (each worker is at work), "killed"
 * (the primary is about to be), "over" (the Sentinels name another one).
 *
 * Redis copies to its replicas behind the callers' backs, so what was acknowledged just before can be lost: that is not
 * larder's to prevent. Wrong is a value that was never written under its key; one that is older than what was
 * acknowledged, once all has settled; and a number that counts more than was asked for.
 */
#include "support.h"

#include <stdatomic.h>

enum { TEXT = 64, MESSAGE = 512 };
enum { SYNCHRONOUS, CALLBACK, QUEUE, FACES };
/* Long enough for every failover; and so short that some calls have to fail. In ms. */
enum { PATIENT = 40000, HASTY = 300 };
/* RESTS_MS: the longest that a breaker rests, and making a connection, when the failover is over. */
enum { WORKERS = 8, ROUNDS = 20, RESTS_MS = 1500 };

/* How much later than its deadline a call may end on a machine that does much else; and half of those that failed. */
static int64_t slack_ms(void)
{
    return is_plain() ? 3000 : 20000;
}

static int64_t half_ms(void)
{
    return is_plain() ? 500 : 2000;
}

/* What a call answered. */
typedef struct {
    larder_status status;
    int retriable;
    char text[TEXT]; /* of a get */
    char message[MESSAGE];
} answer;

typedef struct {
    const larder_store *store;
    larder_queue *queue;
    const char *key;
    int face, reads_replicas;
    int64_t limit;
    /* the call that is under way by callback */
    counter answers;
    int asked;
    answer later;
    /* how far the values are that were written, and those that were acknowledged after all had settled */
    int written, firm;
    /* what was seen */
    int failures, late; /* those that took notably longer than they may, by half_ms() */
    int64_t longest_gap, last_write; /* between writes that went well */
    char last_failure[MESSAGE];
    _Atomic int rounds, settled_rounds;
} worker;

static _Atomic int settled, stop;

/* ---- the faces ---- */

static void take(answer *answer, larder_status status, const larder_value *value, const larder_error *error)
{
    const char *text = NULL;
    size_t len = 0;
    CHECK((status < 0) == (error != NULL));
    answer->status = status;
    answer->retriable = larder_error_retriable(error);
    answer->text[0] = '\0';
    snprintf(answer->message, MESSAGE, "%s", larder_error_message(error));
    if (value == NULL)
        return;
    EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
    CHECK(len < TEXT);
    memcpy(answer->text, text, len);
    answer->text[len] = '\0';
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    worker *worker = user_data;
    CHECK(op != 0);
    take(&worker->later, status, value, error);
    count_one(&worker->answers);
}

/* Sets `value`, or gets where that is NULL; and sees that it ends in time. */
static answer ask(worker *worker, const char *value)
{
    answer answer;
    larder_call call = LARDER_CALL_INIT;
    size_t key_len = strlen(worker->key), len = value == NULL ? 0 : strlen(value);
    int64_t begun = now_ms();
    call.timeout_ms = worker->limit;
    if (worker->face == SYNCHRONOUS) {
        larder_value *found = NULL;
        larder_error *error = NULL;
        larder_status status =
            value == NULL
                ? larder_get(worker->store, worker->key, key_len, &call, &found, &error)
                : larder_set(worker->store, worker->key, key_len, value, len, LARDER_TEXT, 600000, &call, &error);
        take(&answer, status, found, error);
        larder_value_release(found);
        larder_error_release(error);
    } else if (worker->face == CALLBACK) {
        if (value == NULL)
            EXPECT(LARDER_OK, larder_get_cb(worker->store, worker->key, key_len, &call, on_answer, worker, NULL, ERR));
        else
            EXPECT(LARDER_OK, larder_set_cb(worker->store, worker->key, key_len, value, len, LARDER_TEXT, 600000, &call,
                                            on_answer, worker, NULL, ERR));
        wait_for(&worker->answers, ++worker->asked);
        answer = worker->later;
    } else {
        larder_request request = LARDER_REQUEST_INIT;
        larder_event event;
        size_t n = 0;
        request.operation = value == NULL ? LARDER_OP_GET : LARDER_OP_SET;
        request.store = worker->store;
        request.key = worker->key;
        request.key_len = key_len;
        request.value = value;
        request.value_len = len;
        request.format = LARDER_TEXT;
        request.ttl_ms = 600000;
        request.timeout_ms = worker->limit;
        EXPECT(LARDER_OK, larder_submit(worker->queue, &request, 1, sizeof request, NULL, ERR));
        EXPECT(LARDER_OK, larder_queue_poll(worker->queue, &event, 1, sizeof event, 2 * PATIENT, &n, ERR));
        CHECK_NUMBER(1, n);
        take(&answer, event.status, event.value, event.error);
        larder_events_clear(&event, 1, sizeof event);
    }
    int64_t took = now_ms() - begun;
    if (took > worker->limit + slack_ms())
        FAIL("%s took %" PRId64 " of %" PRId64 " ms: %s", worker->key, took, worker->limit, answer.message);
    if (answer.status < 0)
        worker->late += took > worker->limit + half_ms();
    return answer;
}

/* ---- what workers do ---- */

static void failed(worker *worker, const answer *answer)
{
    int known = answer->status == LARDER_ECONNECTION || answer->status == LARDER_ETIMEOUT ||
                answer->status == LARDER_ESERVER;
    if (!known || !answer->retriable)
        FAIL("%s: %s %s", worker->key, larder_status_name(answer->status), answer->message);
    if (worker->limit == PATIENT)
        FAIL("%s had time enough: %s %s", worker->key, larder_status_name(answer->status), answer->message);
    worker->failures++;
    snprintf(worker->last_failure, MESSAGE, "%s", answer->message);
}

static void wrote(worker *worker)
{
    int64_t now = now_ms();
    if (worker->last_write > 0 && now - worker->last_write > worker->longest_gap)
        worker->longest_gap = now - worker->last_write;
    worker->last_write = now;
}

static void *work(void *argument)
{
    worker *worker = argument;
    while (!stop) {
        char value[TEXT], key[TEXT];
        int number = 0, used = 0;
        int strict = settled; /* before the write: what comes is checked by what held when it began */
        snprintf(value, sizeof value, "%s %d", worker->key, ++worker->written);
        answer set = ask(worker, value);
        if (set.status == LARDER_OK)
            wrote(worker);
        else
            failed(worker, &set);
        if (set.status == LARDER_OK && strict && !worker->reads_replicas)
            worker->firm = worker->written;
        answer got = ask(worker, NULL);
        if (got.status == LARDER_OK) {
            if (sscanf(got.text, "%31s %d%n", key, &number, &used) != 2 || got.text[used] != '\0' ||
                strcmp(key, worker->key) != 0)
                FAIL("%s holds \"%s\"", worker->key, got.text);
            if (number > worker->written || number < worker->firm)
                FAIL("%s holds %d: %d were written, and %d is firm", worker->key, number, worker->written,
                     worker->firm);
        } else if (got.status == LARDER_MISS) {
            if (worker->firm > 0)
                FAIL("%s is gone, and %d was firm", worker->key, worker->firm);
        } else {
            failed(worker, &got);
        }
        worker->rounds++;
        worker->settled_rounds += strict && set.status == LARDER_OK && got.status >= 0;
        sleep_ms(3);
    }
    return NULL;
}

/* Counts by a call that must not be made twice where it may have been carried out. */
static void *count(void *argument)
{
    const larder_store *store = argument;
    larder_call call = LARDER_CALL_INIT;
    int64_t asked = 0, now = 0, highest = 0;
    call.timeout_ms = PATIENT;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("counter"), "0", 1, LARDER_JSON, 600000, &call, ERR));
    while (!stop) {
        larder_error *error = NULL;
        asked++;
        larder_status status = larder_incr(store, LARDER_LIT("counter"), 1, &call, &now, NULL, &error);
        const char *message = larder_error_message(error);
        if (status == LARDER_OK) {
            if (now > asked)
                FAIL("%" PRId64 " after %" PRId64 " calls", now, asked);
            highest = now > highest ? now : highest;
        } else if (status == LARDER_MISS) { /* lost in the failover */
            EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("counter"), "0", 1, LARDER_JSON, 600000, &call, ERR));
        } else if (!larder_error_retriable(error) || strstr(message, "may have been carried out") == NULL) {
            FAIL("counting: %s %s", larder_status_name(status), message);
        }
        larder_error_release(error);
        sleep_ms(5);
    }
    CHECK(highest > 10);
    return NULL;
}

/* ---- the test around this ---- */

static void wait_for_file(const char *name)
{
    for (int64_t end = now_ms() + 120000; access(name, F_OK) != 0; sleep_ms(2)) {
        if (now_ms() > end)
            FAIL("the test does not say \"%s\"", name);
    }
}

static void wait_for_rounds(worker *workers, int settled_ones)
{
    int64_t end = now_ms() + 60000;
    for (int i = 0; i < WORKERS; i++) {
        for (worker *one = &workers[i]; (settled_ones ? one->settled_rounds : one->rounds) < ROUNDS; sleep_ms(2)) {
            if (now_ms() > end)
                FAIL("%s did %d rounds, %d of them settled; %s", one->key, one->rounds, one->settled_rounds,
                     one->last_failure);
        }
    }
}

static void judge(const worker *worker, int64_t took)
{
    printf("%s: %d rounds, %d failures, %d of them late; %" PRId64 " ms without a write\n", worker->key, worker->rounds,
           worker->failures, worker->late, worker->longest_gap);
    /* its longest pause is the Sentinels' failover; then a breaker may rest a moment, and a connection is made */
    if (worker->longest_gap > took + RESTS_MS + slack_ms())
        FAIL("%s: the Sentinels took %" PRId64 " ms, and there was no write for %" PRId64, worker->key, took,
             worker->longest_gap);
    CHECK(2 * worker->late <= worker->failures);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *key;
        int alias, face;
    } plan[WORKERS] = {
        {"patient-0", 0, SYNCHRONOUS}, {"patient-1", 0, CALLBACK}, {"patient-2", 0, QUEUE},
        {"hasty-0", 1, SYNCHRONOUS},   {"hasty-1", 1, CALLBACK},   {"hasty-2", 1, QUEUE},
        {"both-0", 2, SYNCHRONOUS},    {"both-1", 2, CALLBACK},
    };
    /* those in a hurry have an alias of their own: its breaker opens, and that is for all who use it */
    static const char *const aliases[] = {"patient", "hasty", "both"};
    static worker workers[WORKERS];
    larder_store *stores[3];
    pthread_t threads[WORKERS], counting;
    int failures = 0;
    CHECK(argc > 2 && argv[1] != NULL);
    larder_context *context = open_given();
    for (int i = 0; i < 3; i++)
        stores[i] = open_store(context, aliases[i]);
    for (int i = 0; i < WORKERS; i++) {
        worker *one = &workers[i];
        one->store = stores[plan[i].alias];
        one->key = plan[i].key;
        one->face = plan[i].face;
        one->reads_replicas = plan[i].alias == 2;
        one->limit = plan[i].alias == 1 ? HASTY : PATIENT;
        one->answers = (counter)COUNTER_INIT;
        if (one->face == QUEUE)
            EXPECT(LARDER_OK, larder_queue_open(context, 8, 0, &one->queue, ERR));
        threads[i] = start(work, one);
    }
    counting = start(count, stores[0]);
    wait_for_rounds(workers, 0);
    fclose(fopen("ready", "w"));
    wait_for_file("killed");
    int64_t killed_at = now_ms();
    wait_for_file("over");
    int64_t took = now_ms() - killed_at;
    sleep_ms(RESTS_MS); /* the longest that a breaker rests, and a connection is made again */
    settled = 1;
    wait_for_rounds(workers, 1);
    stop = 1;
    join(counting);
    for (int i = 0; i < WORKERS; i++) {
        join(threads[i]);
        judge(&workers[i], took);
        failures += workers[i].failures;
        if (workers[i].queue != NULL)
            EXPECT(LARDER_OK, larder_queue_close(workers[i].queue));
    }
    CHECK(failures > 0); /* those in a hurry met it: else nothing was shown */
    for (int i = 0; i < 3; i++)
        EXPECT(LARDER_OK, larder_store_close(stores[i]));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    printf("failover: no wrong value, and service was back %" PRId64 " ms after the kill\n", took);
    return 0;
}
