/*
 * epoll_queue: larder in an event loop. One thread, nothing blocks: requests go into a completion queue, and its wait
 * handle stands in epoll beside whatever else the loop looks after; here that is a timer.
 *
 *     cc epoll_queue.c -llarder -o epoll_queue
 *     ./epoll_queue [caches.json [alias]]     without arguments: in memory
 */
#define _POSIX_C_SOURCE 200809L /* the timer's clock, where the compiler is asked for plain C */

#include <larder.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { SQUARES = 20, REQUESTS = 2 * SQUARES, CAPACITY = 16, TICKS = 3 };

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

static void check_system(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

/* What we want done, and how far we are. The tag of a request comes back in its event. */
typedef struct {
    larder_queue *queue;
    larder_request requests[REQUESTS];
    char keys[SQUARES][24], values[SQUARES][24];
    size_t accepted, answered;
} work;

/* Two requests for each square: write it, read it back. On one key they take effect in the order of submission. */
static void prepare(work *work, const larder_store *store)
{
    for (int i = 0; i < SQUARES; i++) {
        larder_request request = {0}; /* what an operation has no use for stays zero */
        snprintf(work->keys[i], sizeof work->keys[i], "epoll:%d", i);
        snprintf(work->values[i], sizeof work->values[i], "%d", i * i);
        request.store = store;
        request.tag = (uint64_t)i;
        request.key = work->keys[i];
        request.key_len = strlen(request.key);

        request.operation = LARDER_OP_SET;
        request.format = LARDER_JSON;
        request.value = work->values[i];
        request.value_len = strlen(work->values[i]);
        request.ttl_ms = 60000;
        work->requests[2 * i] = request;

        request.operation = LARDER_OP_GET;
        work->requests[2 * i + 1] = request;
    }
}

/* Hands over as much as the queue takes. What it refuses with LARDER_EBUSY we keep until some events are polled. */
static void submit(work *work)
{
    larder_error *error = NULL;
    size_t accepted = 0;
    larder_status status = larder_submit(work->queue, work->requests + work->accepted, REQUESTS - work->accepted,
                                         sizeof(larder_request), &accepted, &error);
    work->accepted += accepted;
    if (status != LARDER_EBUSY)
        check(status, &error);
    larder_error_release(error); /* NULL is harmless */
}

static void show(const larder_event *event)
{
    larder_error *error = NULL;
    int64_t number = 0;
    if (event->status < 0) {
        printf("%d failed: %s\n", (int)event->tag, larder_error_message(event->error));
    } else if (event->operation == LARDER_OP_GET && event->status == LARDER_OK) {
        check(larder_value_int64(event->value, &number, &error), &error);
        printf("%d squared is %lld\n", (int)event->tag, (long long)number);
    }
}

/* The wait handle is readable: take events until there are none. */
static void take(work *work)
{
    larder_event events[8];
    larder_error *error = NULL;
    size_t n = 0;
    larder_status status;
    while ((status = larder_queue_poll(work->queue, events, 8, sizeof *events, 0, &n, &error)) == LARDER_OK) {
        for (size_t i = 0; i < n; i++)
            show(&events[i]);
        work->answered += n;
        larder_events_clear(events, n, sizeof *events); /* releases their values and errors */
    }
    check(status, &error); /* LARDER_EMPTY */
    if (work->accepted < REQUESTS)
        submit(work);
}

static void watch(int loop, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    check_system(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    static work work;
    const struct itimerspec every_10_ms = {{0, 10000000}, {0, 10000000}};
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    int32_t answers = -1;
    int ticks = 0;

    if (argc > 1)
        check(larder_open_file(argv[1], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 2 ? argv[2] : "default", &store, &error), &error);
    check(larder_queue_open(context, CAPACITY, 0, &work.queue, &error), &error);
    check(larder_queue_wait_handle(work.queue, &answers, &error), &error);

    int loop = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    check_system(loop, "epoll_create1");
    check_system(timer, "timerfd_create");
    check_system(timerfd_settime(timer, 0, &every_10_ms, NULL), "timerfd_settime");
    watch(loop, answers); /* lent: never read, write or close it */
    watch(loop, timer);

    prepare(&work, store);
    submit(&work);
    while (work.answered < REQUESTS || ticks < TICKS) {
        struct epoll_event ready[4];
        int n = epoll_wait(loop, ready, 4, -1);
        if (n < 0 && errno == EINTR)
            continue;
        check_system(n, "epoll_wait");
        for (int i = 0; i < n; i++) {
            uint64_t expired = 0;
            if (ready[i].data.fd == answers)
                take(&work);
            else if (read(timer, &expired, sizeof expired) == (ssize_t)sizeof expired)
                ticks++; /* the loop's other business */
        }
    }
    printf("%zu answers to %zu requests, and the timer ticked\n", work.answered, work.accepted);

    /* The handle leaves the loop before the queue is closed. */
    check_system(epoll_ctl(loop, EPOLL_CTL_DEL, answers, NULL), "epoll_ctl");
    close(timer);
    close(loop);
    larder_queue_close(work.queue);
    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
