/*
 * The end of a context: one at a time, not from its own functions, nothing called afterwards; and what the system
 * refuses at the beginning.
 */
#include "fake_redis.h"

#include <dlfcn.h>
#include <errno.h>

static _Atomic int records, inside, refuse_threads;
static _Atomic(larder_context *) logging_context;
static counter answers = COUNTER_INIT;

/* Stands before the C library's: fails on demand, as a system without room for threads does. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    if (atomic_load(&refuse_threads))
        return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, body, argument);
}

static void count_record(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
    atomic_fetch_add(&records, 1);
    larder_context *context = atomic_load(&logging_context);
    if (context != NULL) {
        atomic_fetch_add(&inside, 1);
        EXPECT(LARDER_EDEADLOCK, larder_shutdown(context, 1000, ERR));
    }
}

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)value, (void)error;
    CHECK_NUMBER(*(const larder_status *)user_data, status);
    count_one(&answers);
}

static larder_context *open_with_log(const fake_redis *server, int ignore)
{
    char url[128], text[512];
    larder_options options = LARDER_OPTIONS_INIT;
    options.log = count_record;
    snprintf(text, sizeof text,
             "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
             " \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": %s}, \"LARDER\": {\"TIMEOUT_MS\": 1500}}}",
             fake_redis_url(server, url, sizeof url), ignore ? "true" : "false");
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), &options, &context, ERR));
    return context;
}

typedef struct {
    larder_context *context;
    const larder_store *store;
    larder_status status;
} task;

static void *shut_down(void *argument)
{
    task *task = argument;
    task->status = larder_shutdown(task->context, 20000, NULL);
    return NULL;
}

static void *get_ignored(void *argument)
{
    task *task = argument;
    larder_value *value = NULL;
    task->status = larder_get(task->store, LARDER_LIT("k"), NULL, &value, NULL);
    return NULL;
}

/* A second shutdown does not take away what the first one waits for. */
static void one_at_a_time(const fake_redis *server)
{
    static const larder_status late = LARDER_ETIMEOUT;
    task task = {open_with_log(server, 0), NULL, 1};
    larder_store *store = open_store(task.context, "default");
    for (int i = 0; i < 5; i++)
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, (void *)(uintptr_t)&late, NULL, ERR));
    pthread_t thread = start(shut_down, &task);
    sleep_ms(300);
    EXPECT(LARDER_EBUSY, larder_shutdown(task.context, 0, ERR));
    join(thread);
    CHECK_NUMBER(LARDER_OK, task.status);
    CHECK_NUMBER(5, answers.count);
    EXPECT(LARDER_OK, larder_store_close(store));
}

/* A synchronous call that outlives its context tells its failure to nobody. */
static void silent_afterwards(const fake_redis *server)
{
    larder_context *context = open_with_log(server, 1);
    larder_store *store = open_store(context, "default");
    task task = {context, store, 1};
    pthread_t thread = start(get_ignored, &task);
    sleep_ms(300);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    int before = atomic_load(&records);
    join(thread);
    CHECK_NUMBER(LARDER_IGNORED, task.status);
    CHECK_NUMBER(before, atomic_load(&records));
    EXPECT(LARDER_OK, larder_store_close(store));
}

/* A log function cannot wait for itself to return. */
static void not_from_a_log_function(const fake_redis *server)
{
    larder_context *context = open_with_log(server, 1);
    larder_store *store = open_store(context, "default");
    larder_value *value = NULL;
    atomic_store(&logging_context, context);
    EXPECT(LARDER_IGNORED, larder_get(store, LARDER_LIT("k"), NULL, &value, ERR));
    atomic_store(&logging_context, NULL);
    CHECK_NUMBER(1, atomic_load(&inside));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

/* Waits for one more answer, which has to be `wanted`. */
static void expire_later(larder_status begun, larder_status wanted, const larder_store *store)
{
    static larder_status status;
    int64_t before = answers.count;
    status = wanted;
    larder_error *error = NULL;
    CHECK_NUMBER(begun, larder_expire_cb(store, LARDER_LIT("k"), 1000, NULL, answered, &status, NULL, &error));
    larder_error_release(error);
    if (begun == LARDER_OK)
        wait_for(&answers, before + 1);
    CHECK_NUMBER(before + (begun == LARDER_OK), answers.count);
}

/* Where the system has no threads an operation is refused, or accepted and answered; and later all is well again. */
static void without_threads(const fake_redis *server, const char *folder)
{
    char url[128], text[1024];
    snprintf(text, sizeof text,
             "{\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"},"
             " \"files\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\","
             "            \"LOCATION\": \"%s/f\"},"
             " \"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
             "            \"LARDER\": {\"TIMEOUT_MS\": 500}}}",
             folder, fake_redis_url(server, url, sizeof url));
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    larder_store *memory = open_store(context, "memory"), *files = open_store(context, "files");
    larder_store *redis = open_store(context, "redis");

    atomic_store(&refuse_threads, 1);
    expire_later(LARDER_EMEMORY, 0, memory); /* not even the callback thread */
    atomic_store(&refuse_threads, 0);
    expire_later(LARDER_OK, LARDER_MISS, memory);
    atomic_store(&refuse_threads, 1); /* the callback thread is there, the runtime's are not */
    expire_later(LARDER_OK, LARDER_EMEMORY, files);
    expire_later(LARDER_OK, LARDER_EMEMORY, redis);
    expire_later(LARDER_OK, LARDER_EMEMORY, files);
    atomic_store(&refuse_threads, 0);
    expire_later(LARDER_OK, LARDER_MISS, files);
    expire_later(LARDER_OK, LARDER_ETIMEOUT, redis);

    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    EXPECT(LARDER_OK, larder_store_close(memory));
    EXPECT(LARDER_OK, larder_store_close(files));
    EXPECT(LARDER_OK, larder_store_close(redis));
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    fake_redis server;
    fake_redis_start(&server, NULL);
    atomic_store(&server.behaviour, ANSWER_NOTHING);
    one_at_a_time(&server);
    silent_afterwards(&server);
    not_from_a_log_function(&server);
    if (is_plain()) /* Tokio leaks half a runtime where the system refuses it a thread: leak checkers would find that */
        without_threads(&server, argv[1]);
    fake_redis_stop(&server);
    check_nothing_is_open();
    printf("shutdown: one at a time, and silence\n");
    return 0;
}
