/*
 * The process ends while operations are in flight: harmless, whatever they are doing. Run as `exit <how>`; a silent
 * server keeps every operation waiting.
 */
#include "support.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A port on which connections are taken by the system, and nobody ever answers. */
static int silent_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 16) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    return ntohs(address.sin_port);
}

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)user_data, (void)op, (void)status, (void)value, (void)error;
}

/* Ends the process from the callback thread. */
static void leave(void *user_data, larder_op op, larder_status status, const larder_value *value,
                  const larder_error *error)
{
    (void)user_data, (void)op, (void)status, (void)value, (void)error;
    exit(0);
}

static void *wait_for_an_answer(void *store)
{
    larder_value *value = NULL;
    larder_get(store, LARDER_LIT("k"), NULL, &value, NULL);
    return NULL;
}

static void *poll_for_ever(void *queue)
{
    larder_event event;
    size_t n;
    larder_queue_poll(queue, &event, 1, sizeof event, -1, &n, NULL);
    return NULL;
}

static void in_flight(const char *how)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:%d/0\"},"
             "\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}",
             silent_port());
    larder_context *context = NULL;
    larder_queue *queue = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    larder_store *store = open_store(context, "default"), *memory = open_store(context, "memory");
    EXPECT(LARDER_OK, larder_queue_open(context, 100, LARDER_LOG_DEBUG, &queue, ERR));
    for (int i = 0; i < 50; i++) {
        larder_request get = {.operation = LARDER_OP_GET, .store = store, .key = "k", .key_len = 1};
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, NULL, NULL, ERR));
        EXPECT(LARDER_OK, larder_submit(queue, &get, 1, sizeof get, NULL, ERR));
    }
    start(wait_for_an_answer, store);
    start(poll_for_ever, queue);
    sleep_ms(20);
    if (strcmp(how, "exit") == 0)
        exit(0);
    if (strcmp(how, "quick") == 0)
        _exit(0);
    EXPECT(LARDER_OK, larder_get_cb(memory, LARDER_LIT("k"), NULL, leave, NULL, NULL, ERR));
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {"exit", "quick", "callback"};
    CHECK(argc > 2 && argv[2] != NULL);
    for (int i = 0; i < times(30); i++) {
        const char *how = ways[i % 3];
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60); /* a hang would be a failure */
            in_flight(how);
        }
        int status = 0;
        CHECK_NUMBER(child, waitpid(child, &status, 0));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            FAIL("%s ended with status %#x", how, (unsigned)status);
    }
    printf("exit: gone, and nothing fell over\n");
    return 0;
}
