/*
 * A queue and callbacks beside a server that misbehaves in every way: each operation is answered once, in its time,
 * with a failure that says so, and the queue goes on. Then closing, cancelling and shutting down while nothing is
 * answered.
 */
#include "fake_redis.h"

#include <poll.h>

enum { OPERATIONS = 60, TIMEOUT_MS = 500, LATE_MS = 10000 };

static counter answers = COUNTER_INIT;
static int seen[OPERATIONS];

/* The breaker is off, since each operation is to meet the fault itself. */
static larder_context *open_at(const fake_redis *server)
{
    char url[128], text[700];
    snprintf(text, sizeof text,
             "{\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"},"
             " \"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
             "            \"LARDER\": {\"TIMEOUT_MS\": 60000, \"BREAKER\": false}}}",
             fake_redis_url(server, url, sizeof url));
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

static larder_queue *open_queue(const larder_context *context)
{
    larder_queue *queue = NULL;
    EXPECT(LARDER_OK, larder_queue_open(context, OPERATIONS, 0, &queue, ERR));
    return queue;
}

static larder_request request(const larder_store *store, int number, int64_t timeout_ms)
{
    static const int32_t operations[] = {LARDER_OP_GET,      LARDER_OP_SET,  LARDER_OP_INCR,
                                         LARDER_OP_GET_MANY, LARDER_OP_HAS,  LARDER_OP_DELETE,
                                         LARDER_OP_EXPIRE,   LARDER_OP_PING, LARDER_OP_KEYS,
                                         LARDER_OP_PERSIST};
    static const char *const keys[] = {"a", "b"};
    static const size_t lens[] = {1, 1};
    larder_request request = {.operation = operations[number % 10], .store = store, .tag = (uint64_t)number};
    if (request.operation == LARDER_OP_GET_MANY)
        request.n = 2, request.keys = keys, request.key_lens = lens;
    else
        request.key = "k", request.key_len = 1;
    request.format = LARDER_TEXT, request.value = "v", request.value_len = 1;
    request.ttl_ms = 60000, request.timeout_ms = timeout_ms;
    request.delta = request.operation == LARDER_OP_INCR;
    return request;
}

static void submit(const larder_queue *queue, const larder_store *store, int64_t timeout_ms, larder_op *ops)
{
    larder_request requests[OPERATIONS];
    for (int i = 0; i < OPERATIONS; i++) {
        requests[i] = request(store, i, timeout_ms);
        requests[i].op = ops == NULL ? NULL : &ops[i];
    }
    memset(seen, 0, sizeof seen);
    EXPECT(LARDER_OK, larder_submit(queue, requests, OPERATIONS, sizeof *requests, NULL, ERR));
}

/* Takes an event of each operation, within their time and what a busy machine needs. */
static void take_all(const larder_queue *queue, int64_t end, int (*is_expected)(const larder_event *))
{
    for (int taken = 0; taken < OPERATIONS;) {
        larder_event events[7];
        size_t n = 0;
        EXPECT(LARDER_OK, larder_queue_poll(queue, events, 7, sizeof *events, end - now_ms(), &n, ERR));
        for (size_t i = 0; i < n; i++) {
            CHECK(events[i].tag < OPERATIONS && seen[events[i].tag]++ == 0);
            CHECK((events[i].status < 0) == (events[i].error != NULL));
            /* the fake server answers a ping that comes first on a connection, as it answers what sets one up */
            int is_set_up = events[i].operation == LARDER_OP_PING && events[i].status == LARDER_OK;
            if (!is_expected(&events[i]) && !is_set_up)
                FAIL("operation %d: %s %s", (int)events[i].operation, larder_status_name(events[i].status),
                     larder_error_message(events[i].error));
        }
        larder_events_clear(events, n, sizeof *events);
        taken += (int)n;
    }
}

/* The server has broken off, or not answered. What it did answer was "nothing there". */
static int is_fault(const larder_event *event)
{
    if (event->status == LARDER_ECONNECTION || event->status == LARDER_ETIMEOUT)
        return larder_error_retriable(event->error) || strstr(larder_error_message(event->error), "may have") != NULL;
    return event->status == LARDER_MISS || event->status == LARDER_NOT_STORED || event->status == LARDER_ESERVER;
}

static int is_late(const larder_event *event)
{
    return event->status == LARDER_ETIMEOUT;
}

static int is_cancelled(const larder_event *event)
{
    return event->status == LARDER_ECANCELLED;
}

static int is_shut_down(const larder_event *event)
{
    return event->status == LARDER_ESHUTDOWN;
}

/* What never meets the server is not disturbed. */
static void still_works(const larder_context *context, const larder_queue *queue)
{
    larder_store *memory = open_store(context, "memory");
    larder_request ping = {.operation = LARDER_OP_PING, .store = memory, .tag = 1};
    larder_event event;
    size_t n = 0;
    EXPECT(LARDER_OK, larder_submit(queue, &ping, 1, sizeof ping, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 10000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_OK);
    EXPECT(LARDER_EMPTY, larder_queue_poll(queue, &event, 1, sizeof event, 0, &n, ERR));
    EXPECT(LARDER_OK, larder_store_close(memory));
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    larder_event event = {.status = status, .error = larder_error_retain(error)};
    (void)user_data, (void)op, (void)value;
    if (!is_fault(&event))
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    larder_error_release(event.error);
    count_one(&answers);
}

static void each_fault(fake_redis *server)
{
    for (int behaviour = 0; behaviour < BEHAVIOURS; behaviour++) {
        larder_context *context = open_at(server);
        larder_store *store = open_store(context, "redis");
        larder_queue *queue = open_queue(context);
        larder_call call = LARDER_CALL_INIT;
        int64_t before = answers.count;
        call.timeout_ms = TIMEOUT_MS;
        atomic_store(&server->behaviour, behaviour);
        for (int round = 0; round < 3; round++) {
            int64_t end = now_ms() + TIMEOUT_MS + LATE_MS;
            submit(queue, store, TIMEOUT_MS, NULL);
            for (int i = 0; i < OPERATIONS; i++)
                EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), &call, on_answer, NULL, NULL, ERR));
            take_all(queue, end, behaviour == ANSWER_NOTHING ? is_late : is_fault);
            wait_for(&answers, before + (round + 1) * OPERATIONS);
            CHECK(now_ms() < end);
            still_works(context, queue);
        }
        CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
        EXPECT(LARDER_OK, larder_store_close(store));
        EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
        printf("%s: answered\n", behaviour_names[behaviour]);
        fflush(stdout);
    }
}

/* With a minute for each operation, and a server that says nothing. */
static void nothing_is_answered(fake_redis *server)
{
    larder_op ops[OPERATIONS];
    int32_t handle = -1;
    int64_t end = now_ms() + LATE_MS;
    atomic_store(&server->behaviour, ANSWER_NOTHING);
    larder_context *context = open_at(server);
    larder_store *store = open_store(context, "redis");
    larder_queue *queue = open_queue(context), *other = open_queue(context);
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &handle, ERR));

    submit(queue, store, 0, ops);
    CHECK_NUMBER(0, poll(&(struct pollfd){handle, POLLIN, 0}, 1, 20));
    for (int i = 0; i < OPERATIONS; i++)
        CHECK_NUMBER(LARDER_OK, larder_cancel(context, ops[i]));
    CHECK_NUMBER(1, poll(&(struct pollfd){handle, POLLIN, 0}, 1, 0)); /* they are there at once */
    take_all(queue, end, is_cancelled);
    for (int i = 0; i < OPERATIONS; i++)
        CHECK_NUMBER(LARDER_MISS, larder_cancel(context, ops[i]));
    still_works(context, queue);

    submit(other, store, 0, ops); /* a queue that is closed takes no event, and its operations with it */
    CHECK_NUMBER(LARDER_OK, larder_queue_close(other));
    still_works(context, queue);

    submit(queue, store, 0, ops); /* the store that is closed leaves them under way; the shutdown ends them */
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 800, ERR));
    for (int i = 0; i < OPERATIONS; i++) {
        larder_status status = larder_cancel(context, ops[i]);
        CHECK(status == LARDER_EHANDLE);
    }
    take_all(queue, end, is_shut_down);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    CHECK(now_ms() < end);
}

/* Files are written one after the other: who has no time left when his turn comes is told so; nothing is done. */
static void behind_a_thousand_files(const char *folder)
{
    enum { FILES = 1000, LATE = 2 };
    larder_context *context = open_all(folder, "-");
    larder_store *store = open_store(context, "file");
    larder_queue *queue = NULL;
    larder_request requests[FILES + LATE];
    char value[2000];
    int late = 0;
    memset(value, 'x', sizeof value);
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("n"), LARDER_LIT("1"), LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_open(context, FILES + LATE, 0, &queue, ERR));
    for (int i = 0; i < FILES + LATE; i++) {
        int is_late = i >= FILES; /* a set and an incr at the end */
        requests[i] = request(store, is_late ? i - FILES + 1 : 1, is_late ? 1 : 60000);
        requests[i].tag = (uint64_t)(i - FILES), requests[i].value = value, requests[i].value_len = sizeof value;
        requests[i].key = i < FILES ? "k" : "n";
    }
    EXPECT(LARDER_OK, larder_submit(queue, requests, FILES + LATE, sizeof *requests, NULL, ERR));
    for (int taken = 0; taken < FILES + LATE; taken++) {
        larder_event event;
        size_t n = 0;
        EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 60000, &n, ERR));
        CHECK_NUMBER(event.tag < LATE ? LARDER_ETIMEOUT : LARDER_OK, event.status);
        late += event.tag < LATE && larder_error_retriable(event.error);
        larder_events_clear(&event, 1, sizeof event);
    }
    CHECK_NUMBER(LATE, late);
    CHECK_JSON("1", store, "n");
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

typedef struct {
    const larder_queue *queue;
    counter ended;
} poller;

static void *poll_to_the_end(void *argument)
{
    poller *poller = argument;
    for (;;) {
        larder_event event;
        size_t n = 0;
        larder_status status = larder_queue_poll(poller->queue, &event, 1, sizeof event, -1, &n, NULL);
        if (status == LARDER_ESHUTDOWN)
            return NULL;
        CHECK(status == LARDER_OK && n == 1);
        CHECK_NUMBER(LARDER_ESHUTDOWN, event.status);
        larder_events_clear(&event, 1, sizeof event);
        count_one(&poller->ended);
    }
}

/* Who waits for events gets them, and then the end. */
static void pollers_are_let_go(fake_redis *server)
{
    atomic_store(&server->behaviour, ANSWER_NOTHING);
    larder_context *context = open_at(server);
    larder_store *store = open_store(context, "redis");
    poller poller = {open_queue(context), COUNTER_INIT};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start(poll_to_the_end, &poller);
    submit(poller.queue, store, 0, NULL);
    EXPECT(LARDER_OK, larder_shutdown(context, 800, ERR));
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_NUMBER(OPERATIONS, poller.ended.count);
    CHECK_NUMBER(LARDER_OK, larder_queue_close((larder_queue *)(uintptr_t)poller.queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    fake_redis server;
    fake_redis_start(&server, NULL);
    each_fault(&server);
    nothing_is_answered(&server);
    pollers_are_let_go(&server);
    fake_redis_stop(&server);
    behind_a_thousand_files(argv[1]);
    check_nothing_is_open();
    printf("queue_faults: answered in time\n");
    return 0;
}
