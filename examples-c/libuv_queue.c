/*
 * libuv_queue: larder in a libuv loop. The completion queue's wait handle is a uv_poll_t; a timer is the loop's other
 * business. All of it runs on the loop's one thread.
 *
 *     cc libuv_queue.c -llarder $(pkg-config --cflags --libs libuv) -o libuv_queue
 *     ./libuv_queue [caches.json [alias]]     without arguments: in memory
 */
#define _POSIX_C_SOURCE 200809L /* what uv.h needs, where the compiler is asked for plain C */

#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

static void check_uv(int result)
{
    if (result < 0) {
        fprintf(stderr, "libuv: %s\n", uv_strerror(result));
        exit(1);
    }
}

/* What the loop carries from one callback to the next. */
typedef struct {
    larder_queue *queue;
    uv_poll_t answers;
    uv_timer_t timer;
    int under_way, ticks;
} app;

/* Submits `n` requests; the queue is large enough for all that this program ever has under way. */
static void submit(app *app, const larder_request *requests, size_t n)
{
    larder_error *error = NULL;
    check(larder_submit(app->queue, requests, n, sizeof *requests, NULL, &error), &error);
    app->under_way += (int)n;
}

static larder_request request(int32_t operation, const larder_store *store, const char *key)
{
    larder_request request = {0}; /* what an operation has no use for stays zero */
    request.operation = operation;
    request.store = store;
    request.key = key;
    request.key_len = strlen(key);
    request.ttl_ms = 60000;
    return request;
}

/* A tag is 64 bits of your own, such as a pointer to what waits for the answer. */
static larder_request tagged(larder_request request, const char *name)
{
    request.tag = (uint64_t)(uintptr_t)name;
    return request;
}

/* When nothing is left to wait for, the loop may end: closing both handles lets uv_run return. */
static void end_if_done(app *app)
{
    if (app->under_way == 0 && app->ticks >= 3 && !uv_is_closing((uv_handle_t *)&app->answers)) {
        uv_close((uv_handle_t *)&app->answers, NULL); /* libuv does not close the descriptor: it stays larder's */
        uv_close((uv_handle_t *)&app->timer, NULL);
    }
}

static void show(const larder_event *event)
{
    const char *name = (const char *)(uintptr_t)event->tag;
    if (event->status < 0)
        printf("%s: %s\n", name, larder_error_message(event->error));
    else if (event->operation == LARDER_OP_INCR)
        printf("%s: %lld\n", name, (long long)event->number);
    else
        printf("%s: %s\n", name, larder_status_name(event->status));
}

static void on_answers(uv_poll_t *handle, int status, int events)
{
    app *app = handle->data;
    larder_event some[8];
    larder_error *error = NULL;
    larder_status polled;
    size_t n = 0;
    (void)events;
    check_uv(status);
    while ((polled = larder_queue_poll(app->queue, some, 8, sizeof *some, 0, &n, &error)) == LARDER_OK) {
        for (size_t i = 0; i < n; i++)
            show(&some[i]);
        larder_events_clear(some, n, sizeof *some); /* releases their values and errors */
        app->under_way -= (int)n;
    }
    check(polled, &error); /* LARDER_EMPTY */
    end_if_done(app);
}

static void on_tick(uv_timer_t *timer)
{
    app *app = timer->data;
    app->ticks++;
    end_if_done(app);
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    static app app;
    uv_loop_t *loop = uv_default_loop();
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    int32_t handle = -1;

    if (argc > 1)
        check(larder_open_file(argv[1], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 2 ? argv[2] : "default", &store, &error), &error);
    check(larder_queue_open(context, 64, 0, &app.queue, &error), &error);
    check(larder_queue_wait_handle(app.queue, &handle, &error), &error);

    check_uv(uv_poll_init(loop, &app.answers, handle));
    check_uv(uv_timer_init(loop, &app.timer));
    app.answers.data = &app;
    app.timer.data = &app;
    check_uv(uv_poll_start(&app.answers, UV_READABLE, on_answers));
    check_uv(uv_timer_start(&app.timer, on_tick, 10, 10));

    /* One thread's operations on one key take effect in the order of submission. */
    larder_request batch[4] = {
        tagged(request(LARDER_OP_SET, store, "uv:visits"), "set to 41"),
        tagged(request(LARDER_OP_INCR, store, "uv:visits"), "count"),
        tagged(request(LARDER_OP_DELETE, store, "uv:visits"), "delete"),
        tagged(request(LARDER_OP_GET, store, "uv:visits"), "get"),
    };
    batch[0].format = LARDER_JSON;
    batch[0].value = "41";
    batch[0].value_len = 2;
    batch[1].delta = 1;
    submit(&app, batch, 4);

    uv_run(loop, UV_RUN_DEFAULT);
    check_uv(uv_loop_close(loop));
    puts("the loop has ended");

    larder_queue_close(app.queue);
    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
