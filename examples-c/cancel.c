/*
 * cancel: ends an operation that takes too long, by hand and by its own deadline. For that it has a server that never
 * answers: a socket that listens and accepts nobody.
 *
 *     cc cancel.c -llarder -o cancel
 *     ./cancel
 */
#include <larder.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* The system completes connections to it, but nobody ever reads what is sent. Its port. */
static int listen_and_never_answer(int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listener < 0 || bind(*listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(*listener, 8) != 0 || getsockname(*listener, (struct sockaddr *)&address, &len) != 0) {
        perror("socket");
        exit(1);
    }
    return ntohs(address.sin_port);
}

/* Begins a get; `op` receives its id, for larder_cancel. Ids are never used twice, and there is nothing to free. */
static void begin(larder_queue *queue, const larder_store *store, uint64_t tag, int64_t timeout_ms, larder_op *op)
{
    larder_request request = {0};
    larder_error *error = NULL;
    request.operation = LARDER_OP_GET;
    request.store = store;
    request.tag = tag;
    request.key = "cancel:me";
    request.key_len = strlen(request.key);
    request.timeout_ms = timeout_ms; /* 0: the alias's own */
    request.op = op;
    check(larder_submit(queue, &request, 1, sizeof request, NULL, &error), &error);
}

/* Every accepted request gives exactly one event, also when it is cancelled. */
static void show_one(larder_queue *queue, int64_t patience_ms)
{
    larder_event event;
    larder_error *error = NULL;
    size_t n = 0;
    larder_status status = larder_queue_poll(queue, &event, 1, sizeof event, patience_ms, &n, &error);
    check(status, &error);
    if (status == LARDER_EMPTY) {
        puts("nothing more");
        return;
    }
    printf("request %d: %s\n  %s\n", (int)event.tag, larder_status_name(event.status),
           larder_error_message(event.error));
    larder_events_clear(&event, 1, sizeof event);
}

int main(void)
{
    char config[256];
    int listener = -1, port = listen_and_never_answer(&listener);
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_queue *queue = NULL;
    larder_error *error = NULL;
    larder_op op = 0;

    snprintf(config, sizeof config,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:%d/0\","
             " \"LARDER\": {\"TIMEOUT_MS\": 60000}}}",
             port);
    check(larder_open(config, strlen(config), NULL, &context, &error), &error);
    check(larder_store_open(context, "default", &store, &error), &error);
    check(larder_queue_open(context, 16, 0, &queue, &error), &error);

    /* This one would wait for a minute. */
    begin(queue, store, 1, 0, &op);
    printf("cancel: %s\n", larder_status_name(larder_cancel(context, op)));
    show_one(queue, 10000);
    /* Cancelling what has ended is harmless. What was sent to a server may be carried out all the same. */
    printf("cancel again: %s\n", larder_status_name(larder_cancel(context, op)));

    /* This one has a deadline of its own. */
    begin(queue, store, 2, 200, &op);
    show_one(queue, 10000);
    show_one(queue, 100);

    larder_queue_close(queue);
    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    close(listener);
    return 0;
}
