/*
 * Ten thousand operations in flight on one queue, while the server stands still: more are refused, memory does not
 * grow, and all events come, once each, when it goes on. Cancelling does not make room for more memory. Two queues of
 * one context do not see each other's events.
 */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum { IN_FLIGHT = 10000, KEYS = 100, EVENTS = 256 };

static larder_context *context;
static uint8_t seen[IN_FLIGHT];

/* ---- the process and the server ---- */

static int64_t resident_bytes(void)
{
    long long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lld %lld", &all, &pages) == 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Memory may have grown since `before` by so many MiB; checking tools have another idea of memory. */
static void check_growth(const char *what, int64_t before, int64_t mib)
{
    int64_t grown = (resident_bytes() - before) / (1 << 20);
    if (is_plain() && grown > mib)
        FAIL("%s: memory grew by %" PRId64 " MiB", what, grown);
}

/* Lets the server of a URL stand still for a while. */
static void pause_server(const char *url, int ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char command[64], reply[16];
    const char *port = strrchr(url, ':');
    CHECK(port != NULL);
    address.sin_port = htons((uint16_t)atoi(port + 1));
    int len = snprintf(command, sizeof command, "CLIENT PAUSE %d ALL\r\n", ms);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_NUMBER(0, connect(client, (struct sockaddr *)&address, sizeof address));
    CHECK_NUMBER(len, send(client, command, (size_t)len, MSG_NOSIGNAL));
    CHECK(recv(client, reply, sizeof reply, 0) >= 3 && memcmp(reply, "+OK", 3) == 0);
    close(client);
}

/* ---- requests ---- */

/* `n` requests: a set and a get of the same key in turn, with values of `size` bytes that begin with the key. */
static larder_request *make_requests(const larder_store *store, int n, size_t size)
{
    static char keys[KEYS][16];
    static char *values[KEYS];
    larder_request *requests = calloc((size_t)n, sizeof *requests);
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%03d", i);
        values[i] = realloc(values[i], size);
        memset(values[i], 'x', size);
        memcpy(values[i], keys[i], 7);
    }
    for (int i = 0; i < n; i++) {
        int key = i / 2 % KEYS;
        requests[i] = (larder_request){.operation = i % 2 == 0 ? LARDER_OP_SET : LARDER_OP_GET, .store = store};
        requests[i].tag = (uint64_t)i, requests[i].key = keys[key], requests[i].key_len = 7;
        requests[i].format = LARDER_TEXT, requests[i].value = values[key], requests[i].value_len = size;
        requests[i].ttl_ms = 600000, requests[i].timeout_ms = 120000;
    }
    return requests;
}

static larder_queue *open_queue(size_t capacity)
{
    larder_queue *queue = NULL;
    EXPECT(LARDER_OK, larder_queue_open(context, capacity, 0, &queue, ERR));
    return queue;
}

static void check_event(const larder_event *event, larder_status wanted)
{
    char key[16];
    const char *text = NULL;
    size_t len = 0;
    CHECK(event->tag < IN_FLIGHT && seen[event->tag]++ == 0);
    if (event->status != wanted)
        FAIL("%d: %s %s", (int)event->tag, larder_status_name(event->status), larder_error_message(event->error));
    CHECK((event->value != NULL) == (wanted == LARDER_OK && event->operation == LARDER_OP_GET));
    if (event->value != NULL) {
        snprintf(key, sizeof key, "key-%03d", (int)event->tag / 2 % KEYS);
        EXPECT(LARDER_OK, larder_value_text(event->value, &text, &len, ERR));
        CHECK(len >= 7 && memcmp(text, key, 7) == 0);
    }
}

/* Takes exactly `n` events, in portions of all sizes. */
static void take_all(const larder_queue *queue, int n, larder_status wanted)
{
    static larder_event events[EVENTS];
    memset(seen, 0, sizeof seen);
    for (int taken = 0; taken < n;) {
        size_t count = 0;
        size_t capacity = 1 + (size_t)taken % EVENTS;
        EXPECT(LARDER_OK, larder_queue_poll(queue, events, capacity, sizeof *events, 60000, &count, ERR));
        for (size_t i = 0; i < count; i++)
            check_event(&events[i], wanted);
        larder_events_clear(events, count, sizeof *events);
        taken += (int)count;
    }
    size_t count = 7;
    EXPECT(LARDER_EMPTY, larder_queue_poll(queue, events, 1, sizeof *events, 0, &count, ERR));
    for (int tag = 0; tag < n; tag++)
        CHECK_NUMBER(1, seen[tag]);
}

/* ---- the tests ---- */

/* As many as the queue takes; the rest is refused and costs nothing. */
static void full(const larder_store *store, const char *url, int rounds)
{
    int n = times(IN_FLIGHT);
    larder_queue *queue = open_queue((size_t)n);
    larder_request *requests = make_requests(store, n, 200);
    int32_t handle = -1;
    int64_t first = 0;
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &handle, ERR));
    for (int round = 0; round < rounds; round++) {
        size_t accepted = 0;
        int64_t before = resident_bytes();
        if (url != NULL)
            pause_server(url, 800);
        EXPECT(LARDER_OK, larder_submit(queue, requests, (size_t)n, sizeof *requests, &accepted, ERR));
        CHECK_NUMBER(n, accepted);
        check_growth("ten thousand in flight", before, 64);
        before = resident_bytes();
        for (int i = 0; i < times(200); i++) {
            EXPECT(LARDER_EBUSY, larder_submit(queue, requests, (size_t)n, sizeof *requests, &accepted, ERR));
            CHECK_NUMBER(0, accepted);
        }
        check_growth("refused operations", before, 4);
        take_all(queue, n, LARDER_OK);
        CHECK_NUMBER(0, poll(&(struct pollfd){handle, POLLIN, 0}, 1, 0));
        if (round == 0)
            first = resident_bytes();
    }
    check_growth("rounds", first, 32);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    free(requests);
}

/* What was cancelled keeps its place until its reply comes; new operations do not heap up behind it for ever. */
static void cancelled(const larder_store *store, const char *url)
{
    static larder_op ops[IN_FLIGHT];
    static larder_event events[EVENTS];
    int n = times(IN_FLIGHT), counts[2] = {0, 0};
    larder_queue *queue = open_queue((size_t)n);
    larder_request *requests = make_requests(store, n, 4000);
    int64_t before = resident_bytes();
    for (int i = 0; i < n; i++)
        requests[i].op = &ops[i];
    pause_server(url, 3000);
    for (int round = 0; round < 15; round++) {
        EXPECT(LARDER_OK, larder_submit(queue, requests, (size_t)n, sizeof *requests, NULL, ERR));
        for (int i = 0; i < n; i++) {
            larder_status status = larder_cancel(context, ops[i]);
            CHECK(status == LARDER_OK || status == LARDER_MISS);
            CHECK_NUMBER(LARDER_MISS, larder_cancel(context, ops[i]));
        }
        for (int taken = 0; taken < n;) {
            size_t count = 0;
            EXPECT(LARDER_OK, larder_queue_poll(queue, events, EVENTS, sizeof *events, 60000, &count, ERR));
            for (size_t i = 0; i < count; i++) {
                CHECK(events[i].status == LARDER_ECANCELLED || events[i].status == LARDER_EBUSY ||
                      events[i].status == LARDER_OK || events[i].status == LARDER_MISS);
                counts[0] += events[i].status == LARDER_ECANCELLED;
                counts[1] += events[i].status == LARDER_EBUSY;
            }
            larder_events_clear(events, count, sizeof *events);
            taken += (int)count;
        }
        check_growth("cancelled operations", before, 200); /* they were 300 MiB and more */
    }
    CHECK(counts[0] > 0);
    EXPECT(LARDER_OK, larder_store_ping(store, NULL, ERR));
    for (int i = 0; i < n; i++)
        requests[i].op = NULL;
    for (int64_t end = now_ms() + 30000;;) { /* once the server has worked that off, all is as before */
        larder_event event;
        size_t count = 0;
        EXPECT(LARDER_OK, larder_submit(queue, requests, 1, sizeof *requests, NULL, ERR));
        EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 60000, &count, ERR));
        larder_status status = event.status;
        larder_events_clear(&event, 1, sizeof event);
        if (status == LARDER_OK)
            break;
        CHECK(status == LARDER_EBUSY && now_ms() < end);
        sleep_ms(10);
    }
    EXPECT(LARDER_OK, larder_submit(queue, requests, (size_t)n, sizeof *requests, NULL, ERR));
    take_all(queue, n, LARDER_OK);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    free(requests);
    printf("  %d cancelled, %d without room\n", counts[0], counts[1]);
}

/* Each has its own room, its own events and its own end. */
static void two_queues(const larder_store *store, const char *url)
{
    enum { SOME = 500 };
    larder_queue *first = open_queue(SOME), *second = open_queue(SOME);
    larder_request *requests = make_requests(store, SOME, 50);
    larder_event event;
    larder_op op = 0;
    size_t n = 0;
    if (url != NULL)
        pause_server(url, 300);
    EXPECT(LARDER_OK, larder_submit(first, requests, SOME, sizeof *requests, NULL, ERR));
    EXPECT(LARDER_EBUSY, larder_submit(first, requests, 1, sizeof *requests, NULL, ERR));
    EXPECT(LARDER_EMPTY, larder_queue_poll(second, &event, 1, sizeof event, 0, &n, ERR));
    EXPECT(LARDER_OK, larder_submit(second, requests, SOME, sizeof *requests, NULL, ERR));
    take_all(second, SOME, LARDER_OK);
    take_all(first, SOME, LARDER_OK);
    if (url != NULL) { /* cancelling finds the queue */
        pause_server(url, 300);
        requests[0].op = &op;
        EXPECT(LARDER_OK, larder_submit(second, requests, 1, sizeof *requests, NULL, ERR));
        CHECK_NUMBER(LARDER_OK, larder_cancel(context, op));
        memset(seen, 0, sizeof seen);
        EXPECT(LARDER_OK, larder_queue_poll(second, &event, 1, sizeof event, 1000, &n, ERR));
        check_event(&event, LARDER_ECANCELLED);
        larder_events_clear(&event, 1, sizeof event);
        requests[0].op = NULL;
    }
    /* one is closed with its operations under way: the other gets all of its events */
    EXPECT(LARDER_OK, larder_submit(first, requests, SOME, sizeof *requests, NULL, ERR));
    EXPECT(LARDER_OK, larder_submit(second, requests, SOME, sizeof *requests, NULL, ERR));
    CHECK_NUMBER(LARDER_OK, larder_queue_close(first));
    EXPECT(LARDER_EHANDLE, larder_queue_poll(first, &event, 1, sizeof event, 0, &n, ERR));
    take_all(second, SOME, LARDER_OK);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(second));
    free(requests);
}

int main(int argc, char **argv)
{
    static const char *const aliases[] = {"memory", "file", "redis", "core-redis"};
    CHECK(argc > 2);
    context = open_all(argv[1], argv[2]);
    for (int i = 0; i < (has_redis(argc, argv) ? 4 : 2); i++) {
        larder_store *store = open_store(context, aliases[i]);
        const char *url = i >= 2 ? argv[2] : NULL;
        int64_t began = now_ms();
        full(store, url, i == 1 ? 1 : 4);
        two_queues(store, url);
        if (url != NULL)
            cancelled(store, url);
        EXPECT(LARDER_OK, larder_store_close(store));
        printf("%s: %d ms\n", aliases[i], (int)(now_ms() - began));
    }
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    printf("many in flight: all came, and there was room for them\n");
    return 0;
}
