/*
 * Callbacks that misbehave within their rights: a child that comes back from the callback in which it was forked, a log
 * function that writes its records to a cache that fails, and one that reads where many others do.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support.h"

#define CALLS 200
#define FORKS_AT 3
#define READERS 16

/* ---- a child that comes back ---- */

typedef struct {
    pid_t parent;
    atomic_int child, in_parent, in_child;
} seen;

static seen *shared;

static void forks_and_returns(void *user_data, larder_op op, larder_status status, const larder_value *value,
                              const larder_error *error)
{
    (void)op, (void)status, (void)value, (void)error;
    if (getpid() != shared->parent) {
        shared->in_child++;
        return;
    }
    if ((intptr_t)user_data == FORKS_AT) {
        pid_t child = fork();
        if (child == 0)
            return;
        shared->child = child;
    }
    shared->in_parent++;
}

static void a_child_comes_back(void)
{
    static const char memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    larder_context *context = NULL;
    larder_store *store = NULL;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    shared->parent = getpid();
    EXPECT(LARDER_OK, larder_open(memory, strlen(memory), NULL, &context, ERR));
    EXPECT(LARDER_OK, larder_store_open(context, "default", &store, ERR));
    for (intptr_t i = 0; i < CALLS; i++)
        EXPECT(LARDER_OK, larder_get_cb(store, "k", 1, NULL, forks_and_returns, (void *)i, NULL, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
    CHECK_NUMBER(CALLS, shared->in_parent);
    int status = 0;
    for (int waited = 0; waitpid(shared->child, &status, WNOHANG) == 0; waited++) {
        CHECK(waited < 2000); /* it hangs */
        usleep(10000);
    }
    CHECK_NUMBER(0, shared->in_child); /* they are the parent's */
}

/* ---- log functions that use the cache ---- */

static larder_store *logged;
static atomic_int depth, deepest, records;
static atomic_int failed;

static void logs_to_the_cache(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level;
    int now = ++depth;
    if (now > deepest)
        deepest = now;
    records++;
    if (now < 100)
        larder_set(logged, "last", 4, message, strlen(message), LARDER_TEXT, 1000, NULL, NULL);
    depth--;
}

static void a_log_in_a_cache_that_fails(void)
{
    static const char away[] = "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": "
                               "\"redis://127.0.0.1:1\", \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": true}}}";
    larder_options options = LARDER_OPTIONS_INIT;
    larder_context *context = NULL;
    larder_value *value = NULL;
    options.log = logs_to_the_cache;
    EXPECT(LARDER_OK, larder_open(away, strlen(away), &options, &context, ERR));
    EXPECT(LARDER_OK, larder_store_open(context, "default", &logged, ERR));
    EXPECT(LARDER_IGNORED, larder_get(logged, "k", 1, NULL, &value, ERR));
    CHECK(records > 0);
    CHECK_NUMBER(1, deepest);
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
}

static atomic_int stop, reads_there;

static void reads(void *user_data, int32_t level, const char *message)
{
    larder_value *value = NULL;
    (void)user_data, (void)level;
    if (strstr(message, "connected") == NULL)
        return;
    if (larder_get(logged, "k", 1, NULL, &value, NULL) < 0)
        failed++;
    larder_value_release(value);
    reads_there++;
}

static void *reader(void *unused)
{
    while (!stop) {
        larder_value *value = NULL;
        if (larder_get(logged, "k", 1, NULL, &value, NULL) < 0)
            failed++;
        larder_value_release(value);
    }
    return unused;
}

static void a_log_function_reads_with_others(const char *url)
{
    char text[512];
    larder_options options = LARDER_OPTIONS_INIT;
    larder_context *context = NULL;
    pthread_t threads[READERS];
    options.log = reads;
    snprintf(text, sizeof text,
             "{\"default\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\", \"LOCATION\": \"%s\"}}", url);
    EXPECT(LARDER_OK, larder_open(text, strlen(text), &options, &context, ERR));
    EXPECT(LARDER_OK, larder_store_open(context, "default", &logged, ERR));
    for (int i = 0; i < READERS; i++)
        CHECK_NUMBER(0, pthread_create(&threads[i], NULL, reader, NULL));
    for (int waited = 0; reads_there == 0; waited++) {
        CHECK(waited < 6000); /* the shared connection is made when there are many readers */
        usleep(10000);
    }
    stop = 1;
    for (int i = 0; i < READERS; i++)
        CHECK_NUMBER(0, pthread_join(threads[i], NULL));
    CHECK_NUMBER(0, failed); /* nobody waited for the thread that waited for him */
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    /* That child ends with its one thread, which was not the one that main runs on: checking tools do not follow. */
    if (is_plain())
        a_child_comes_back();
    a_log_in_a_cache_that_fails();
    a_log_function_reads_with_others(argv[2]);
    printf("hostile: nobody waited for himself\n");
    return 0;
}
