/*
 * A server that goes away in the middle of a request, under the default action of SIGPIPE, which kills the process:
 * every call says that the connection failed, on both faces, over TCP and over a unix socket, and the process lives.
 */
#include "fake_redis.h"

#include <signal.h>

#define LARGE (4 << 20)

static char *large;

static int is_connection_failure(larder_status status)
{
    return status == LARDER_ECONNECTION || status == LARDER_ETIMEOUT;
}

typedef struct {
    counter answers;
    int may_succeed;
} watched;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    watched *watched = user_data;
    (void)op, (void)value;
    if (!(is_connection_failure(status) || (watched->may_succeed && status >= 0)))
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    count_one(&watched->answers);
}

#define EXPECT_BROKEN(call)                                                                                            \
    do {                                                                                                               \
        larder_error *broken_error = NULL;                                                                             \
        larder_error **err = &broken_error;                                                                            \
        larder_status broken_status = (call);                                                                          \
        if (!(is_connection_failure(broken_status) || (may_succeed && broken_status >= 0)))                            \
            FAIL("%s: %s %s", #call, larder_status_name(broken_status), larder_error_message(broken_error));           \
        CHECK((broken_status < 0) == (broken_error != NULL));                                                          \
        larder_error_release(broken_error);                                                                            \
    } while (0)

static void talk(larder_store *store, int may_succeed)
{
    const char *keys[] = {"a", "b"};
    const void *values[] = {large, large};
    size_t lens[] = {1, 1}, value_lens[] = {LARGE, LARGE};
    larder_value *several[2] = {NULL, NULL}, *value = NULL;
    EXPECT_BROKEN(larder_get(store, LARDER_LIT("k"), NULL, &value, err));
    larder_value_release(value);
    EXPECT_BROKEN(larder_set(store, LARDER_LIT("k"), "v", 1, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, err));
    EXPECT_BROKEN(larder_set(store, LARDER_LIT("k"), large, LARGE, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, err));
    EXPECT_BROKEN(larder_get_many(store, keys, lens, 2, NULL, several, NULL, err));
    larder_value_release(several[0]);
    larder_value_release(several[1]);
    EXPECT_BROKEN(larder_set_many(store, keys, lens, values, value_lens, 2, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL,
                                  NULL, err));
    watched watched = {COUNTER_INIT, may_succeed};
    int64_t expected = 0;
    for (int i = 0; i < 3; i++) {
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, &watched, NULL, ERR));
        EXPECT(LARDER_OK, larder_set_cb(store, LARDER_LIT("k"), large, LARGE, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL,
                                        answered, &watched, NULL, ERR));
        EXPECT(LARDER_OK, larder_expire_cb(store, LARDER_LIT("k"), 1000, NULL, answered, &watched, NULL, ERR));
        expected += 3;
    }
    wait_for(&watched.answers, expected);
}

static void meet(fake_redis *server)
{
    char url[256], text[1024];
    snprintf(text, sizeof text,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
             " \"LARDER\": {\"TIMEOUT_MS\": 500, \"BREAKER\": false}}}",
             fake_redis_url(server, url, sizeof url));
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    larder_store *store = open_store(context, "default");
    for (int behaviour = 0; behaviour < BEHAVIOURS; behaviour++) {
        printf("%s: server %s\n", url, behaviour_names[behaviour]);
        atomic_store(&server->behaviour, behaviour);
        int connections = atomic_load(&server->connections);
        for (int i = 0; i < (behaviour == ANSWER_NOTHING ? 1 : 3); i++)
            talk(store, behaviour == CLOSE_AFTER_REPLY);
        CHECK(atomic_load(&server->connections) > connections);
    }
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

static void check_signals(void)
{
    struct sigaction action;
    sigset_t set;
    CHECK_NUMBER(0, sigaction(SIGPIPE, NULL, &action));
    CHECK(action.sa_handler == SIG_DFL);
    CHECK_NUMBER(0, pthread_sigmask(SIG_SETMASK, NULL, &set));
    CHECK(!sigismember(&set, SIGPIPE));
    CHECK_NUMBER(0, sigpending(&set));
    CHECK(!sigismember(&set, SIGPIPE));
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct sigaction kills = {.sa_handler = SIG_DFL};
    CHECK_NUMBER(0, sigaction(SIGPIPE, &kills, NULL)); /* a parent may have left it ignored */
    check_signals();
    large = calloc(1, LARGE);
    CHECK(large != NULL);

    fake_redis server;
    fake_redis_start(&server, NULL);
    meet(&server);
    fake_redis_stop(&server);

    /* the path of a unix socket is short, that of our own folder need not be */
    char folder[] = "/tmp/larder-sigpipe-XXXXXX", path[64];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    fake_redis_start(&server, path);
    meet(&server);
    fake_redis_stop(&server);
    unlink(path);
    rmdir(folder);

    check_signals();
    check_nothing_is_open();
    free(large);
    puts("sigpipe: alive");
    return 0;
}
