/*
 * Plug-ins: on which thread they are called by each face, what they may call themselves, what becomes of one that takes too
 * long, many threads, forks.
 */
#include "plugins.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static larder_context *context;
static larder_store *first, *second, *memory;
static counter done = COUNTER_INIT;

#define OPEN_THREE                                                                                                     \
    "{\"first\": {\"BACKEND\": \"test.Backend\", \"LOCATION\": \"1\"},"                                                \
    " \"second\": {\"BACKEND\": \"test.Backend\", \"LOCATION\": \"2\"},"                                               \
    " \"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}"

static void open_three(void)
{
    context = open_text(OPEN_THREE);
    first = open_store(context, "first");
    second = open_store(context, "second");
    memory = open_store(context, "memory");
}

static void close_three(void)
{
    larder_store_close(first);
    larder_store_close(second);
    larder_store_close(memory);
    shut_down(context);
}

static larder_status put_text(const larder_store *store, const char *key)
{
    return larder_set(store, key, strlen(key), LARDER_LIT("a text of some length"), LARDER_TEXT, 60000, NULL, ERR);
}

static larder_status ask(const larder_store *store)
{
    larder_value *value = NULL;
    larder_status status = larder_get(store, LARDER_LIT("k"), NULL, &value, ERR);
    larder_value_release(value);
    return status;
}

/* ---- threads of the faces ---- */

static larder_status answered_with;
static pthread_t callback_thread;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    const char *json = NULL;
    size_t len = 0;
    (void)op, (void)error;
    answered_with = status;
    callback_thread = pthread_self();
    if (value != NULL)
        CHECK_NUMBER(LARDER_OK, larder_value_json(value, &json, &len, NULL));
    count_one(user_data);
}

/* Tells the status to who asked. */
static void told(void *user_data, larder_op op, larder_status status, const larder_value *value,
                 const larder_error *error)
{
    (void)op, (void)value, (void)error;
    *(larder_status *)user_data = status;
    count_one(&done);
}

static int on(const own_data *own, pthread_t thread)
{
    return pthread_equal(__atomic_load_n(&own->thread, __ATOMIC_SEQ_CST), thread);
}

static void which_thread(void)
{
    own_all all;
    larder_context *own;
    larder_store *store;
    larder_queue *queue = NULL;
    larder_event event;
    larder_request request = LARDER_REQUEST_INIT;
    const pthread_t here = pthread_self();
    size_t n = 0;

    register_all(&all);
    own = open_own();
    store = open_store(own, "default");
    EXPECT(LARDER_OK, put_text(store, "k"));
    CHECK(on(&all.keys, here) && on(&all.serializer, here) && on(&all.compressor, here) && on(&all.backend, here));

    memset(&all.serializer.thread, 0, sizeof(pthread_t));
    EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR));
    wait_for(&done, 1);
    CHECK_NUMBER(LARDER_OK, answered_with);
    CHECK(!pthread_equal(callback_thread, here));
    CHECK(on(&all.keys, here));
    CHECK(!on(&all.backend, here) && !on(&all.backend, callback_thread));
    CHECK(on(&all.serializer, callback_thread) && on(&all.compressor, callback_thread)); /* where it was looked into */

    EXPECT(LARDER_OK, larder_queue_open(own, 10, 0, &queue, ERR));
    request.operation = LARDER_OP_SET;
    request.store = store;
    request.key = "k";
    request.key_len = 1;
    request.value = "[1, 2, 3, 4, 5, 6]";
    request.value_len = 18;
    request.format = LARDER_JSON;
    EXPECT(LARDER_OK, larder_submit(queue, &request, 1, sizeof request, &n, ERR));
    CHECK(on(&all.keys, here) && on(&all.serializer, here) && on(&all.compressor, here));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 60000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_OK);
    CHECK(!on(&all.backend, here) && !on(&all.backend, callback_thread));
    larder_events_clear(&event, 1, sizeof event);

    /* what fails says so in every face */
    all.backend.answer = LARDER_ECONNECTION;
    EXPECT(LARDER_OK, larder_submit(queue, &request, 1, sizeof request, &n, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 60000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_ECONNECTION);
    CHECK(strstr(larder_error_message(event.error), "set on alias 'default': the backend \"test.Backend\"") != NULL);
    larder_events_clear(&event, 1, sizeof event);
    all.backend.answer = 0;
    all.keys.answer = LARDER_EINVAL;
    request.operation = LARDER_OP_GET;
    EXPECT(LARDER_OK, larder_submit(queue, &request, 1, sizeof request, &n, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 60000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_EINVAL);
    larder_events_clear(&event, 1, sizeof event);
    all.keys.answer = 0;
    larder_queue_close(queue);
    larder_store_close(store);
    shut_down(own);
    unregister_all();
    check_all_freed(&all);
    forget_everything();
}

/* ---- calling larder ---- */

static int seen_in_hook;
static larder_context *opened_in_hook[2];

static larder_status use_larder(larder_sink *sink)
{
    larder_error *error = NULL;
    larder_context **another = &opened_in_hook[seen_in_hook++];
    (void)sink;
    CHECK_NUMBER(LARDER_OK, ask(memory));
    /* the same instance, from inside itself */
    CHECK_NUMBER(LARDER_EDEADLOCK, larder_has(first, LARDER_LIT("k"), NULL, &error));
    CHECK(strstr(larder_error_message(error), "before it has returned") != NULL);
    larder_error_release(error);
    error = NULL;
    CHECK_NUMBER(LARDER_EDEADLOCK, larder_shutdown(context, 0, &error));
    larder_error_release(error);
    /* later is fine */
    EXPECT(LARDER_OK, larder_get_cb(memory, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR));
    /* a context of its own, which it may not shut down here */
    EXPECT(LARDER_OK, larder_open(OPEN_THREE, strlen(OPEN_THREE), NULL, another, ERR));
    EXPECT(LARDER_EDEADLOCK, larder_shutdown(*another, 1000, ERR));
    return larder_plugin_reason(LARDER_LIT("nobody asks")) == LARDER_OK ? LARDER_MISS : LARDER_ESERVER;
}

/* Another instance of the same backend may be called. */
static larder_status use_second(larder_sink *sink)
{
    static int depth;
    (void)sink;
    if (depth++ == 0)
        CHECK_NUMBER(LARDER_MISS, larder_delete(second, LARDER_LIT("nothing"), NULL, NULL));
    depth--;
    return LARDER_MISS;
}

static own_data inner;

/* A backend whose get goes to another store: a cache in front of a cache. */
static larder_status forward(void *instance, const char *key, size_t key_len, int64_t left_ms, larder_sink *sink)
{
    char buffer[200];
    size_t len = 0;
    larder_call call = LARDER_CALL_INIT;
    larder_status status;
    (void)instance;
    call.timeout_ms = left_ms;
    status = larder_get_into(memory, key, key_len, &call, buffer, sizeof buffer, &len, NULL);
    if (status == LARDER_OK)
        larder_sink_write(sink, buffer, len);
    return status;
}

static void calling_larder(void)
{
    own_data own = {0};
    larder_backend_table table = own_backend();
    larder_store *chained;
    larder_context *layers;

    EXPECT(LARDER_OK, larder_register_backend("test.Backend", &table, &own, ERR));
    open_three();
    EXPECT(LARDER_OK, put_text(memory, "k"));
    int64_t answers = done.count;
    own.hook = use_larder;
    int live = (int)larder_live(LARDER_LIVE_CONTEXTS);
    EXPECT(LARDER_MISS, ask(first)); /* on this thread */
    EXPECT(LARDER_OK, larder_get_cb(first, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR)); /* on larder's */
    wait_for(&done, answers + 3);
    CHECK_NUMBER(2, seen_in_hook);
    CHECK_NUMBER(live + 2, larder_live(LARDER_LIVE_CONTEXTS));
    own.hook = NULL;

    shut_down(opened_in_hook[0]);
    shut_down(opened_in_hook[1]);
    own.calls = 0;
    own.hook = use_second;
    EXPECT(LARDER_MISS, ask(first));
    CHECK_NUMBER(2, own.calls);
    own.hook = NULL;

    /* layers */
    table.get = forward;
    EXPECT(LARDER_OK, larder_register_backend("test.Layer", &table, &inner, ERR));
    layers = open_text("{\"default\": {\"BACKEND\": \"test.Layer\", \"KEY_FUNCTION\": \"larder.as_is\"}}");
    chained = open_store(layers, "default");
    EXPECT(LARDER_OK, larder_set(memory, LARDER_LIT("deep"), "\x80\x05K\x07.", 5, LARDER_BYTES, 60000, NULL, ERR));
    CHECK_JSON("7", chained, "deep");
    larder_store_close(chained);
    shut_down(layers);
    EXPECT(LARDER_OK, larder_unregister("test.Layer", ERR));
    CHECK_NUMBER(1, inner.freed);
    close_three();
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
    CHECK_NUMBER(1, own.freed);
    forget_everything();
}

/* ---- too slow ---- */

static larder_status sleep_then_miss(larder_sink *sink)
{
    (void)sink;
    sleep_ms(300);
    return LARDER_MISS;
}

static counter inside = COUNTER_INIT, may_leave = COUNTER_INIT;

/* Stays until it is told to go: nobody has to guess when it is inside. */
static larder_status stay_then_miss(larder_sink *sink)
{
    static _Atomic int64_t entries;
    int64_t own = atomic_fetch_add(&entries, 1) + 1;
    (void)sink;
    count_one(&inside);
    wait_for(&may_leave, own);
    return LARDER_MISS;
}

static void too_slow(void)
{
    own_data own = {0};
    larder_backend_table table = own_backend();
    larder_call call = LARDER_CALL_INIT;
    larder_value *value = NULL;
    larder_status statuses[2] = {0};
    int64_t answers = done.count;

    EXPECT(LARDER_OK, larder_register_backend("test.Backend", &table, &own, ERR));
    open_three();
    call.timeout_ms = 100;
    own.hook = sleep_then_miss;
    EXPECT(LARDER_MISS, larder_get(first, LARDER_LIT("k"), &call, &value, ERR)); /* its answer counts when it comes */
    own.hook = stay_then_miss;
    EXPECT(LARDER_OK, larder_get_cb(first, LARDER_LIT("k"), NULL, told, &statuses[0], NULL, ERR));
    wait_for(&inside, 1);
    EXPECT(LARDER_OK, larder_get_cb(first, LARDER_LIT("k"), &call, told, &statuses[1], NULL, ERR)); /* behind that one */
    sleep_ms(call.timeout_ms + 50);
    count_one(&may_leave);
    wait_for(&done, answers + 2);
    CHECK_NUMBER(LARDER_MISS, statuses[0]);
    CHECK_NUMBER(LARDER_ETIMEOUT, statuses[1]);
    EXPECT(LARDER_OK, larder_get_cb(first, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR));
    wait_for(&inside, 2);
    EXPECT(LARDER_ETIMEOUT, larder_shutdown(context, 50, ERR)); /* somebody is still inside */
    count_one(&may_leave);
    larder_store_close(first);
    larder_store_close(second);
    larder_store_close(memory);
    shut_down(context);
    EXPECT(LARDER_OK, larder_unregister("test.Backend", ERR));
    CHECK_NUMBER(1, own.freed);
    CHECK_NUMBER(2, own.closed);
    forget_everything();
}

/* ---- many threads ---- */

enum { THREADS = 8 };
static volatile int stop;

static void *hammer(void *argument)
{
    larder_store *store = argument;
    char key[24];
    for (int i = 0; i < times(400); i++) {
        int len = snprintf(key, sizeof key, "k%d", i % 20);
        EXPECT(LARDER_OK, larder_set(store, key, (size_t)len, LARDER_LIT("a text of some length"), LARDER_TEXT, 60000, NULL, ERR));
        CHECK_JSON("\"a text of some length\"", store, key);
        EXPECT(LARDER_OK, larder_set_cb(store, key, (size_t)len, LARDER_LIT("a text of some length"), LARDER_TEXT, 60000,
                                        NULL, answered, &done, NULL, ERR));
    }
    return NULL;
}

/* Registers anew what the others use, and opens contexts with it. */
static void *replace(void *argument)
{
    own_all all;
    while (!stop) {
        register_all(&all);
        shut_down(open_own());
        unregister_all();
        CHECK(all.keys.freed == 1 && all.backend.freed == 1);
        *(int *)argument += 1;
    }
    return NULL;
}

static void many_threads(void)
{
    own_all all;
    pthread_t threads[THREADS], replacer;
    int replaced = 0;
    int64_t answers = done.count;
    larder_context *own;
    larder_store *store;

    register_all(&all);
    own = open_own();
    store = open_store(own, "default");
    stop = 0;
    replacer = start(replace, &replaced);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(hammer, store);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    wait_for(&done, answers + THREADS * times(400));
    stop = 1;
    join(replacer);
    CHECK(replaced > 0);
    larder_store_close(store);
    shut_down(own);
    check_all_freed(&all);
    forget_everything();
}

/* ---- fork ---- */

static void wait_for_child(pid_t child)
{
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_NUMBER(0, status);
}

static void forked(void)
{
    own_all all;
    own_data unused = {0};
    larder_context *own;
    larder_store *store;
    pid_t child;

    register_all(&all);
    EXPECT(LARDER_OK, larder_register_key_function("test.unused", &own_keys, &unused, ERR));
    own = open_own();
    store = open_store(own, "default");
    EXPECT(LARDER_OK, put_text(store, "k"));
    let_threads_rest();
    child = fork();
    if (child == 0) {
        int64_t answers = done.count;
        alarm(60);
        CHECK_NUMBER(1, all.backend.opened);
        EXPECT(LARDER_OK, ask(store)); /* the program's own copy of its data */
        CHECK_NUMBER(2, all.backend.opened);
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, &done, NULL, ERR));
        wait_for(&done, answers + 1);
        EXPECT(LARDER_OK, larder_unregister("test.unused", ERR));
        CHECK_NUMBER(1, unused.freed);
        larder_store_close(store);
        shut_down(own);
        CHECK_NUMBER(1, all.backend.closed); /* its own; the parent's never */
        unregister_all();
        CHECK_NUMBER(0, all.backend.freed + all.keys.freed); /* the parent's context has them too */
        _exit(0);
    }
    wait_for_child(child);
    CHECK_NUMBER(1, all.backend.opened);
    CHECK_NUMBER(0, all.backend.closed + unused.freed);
    EXPECT(LARDER_OK, ask(store));
    larder_store_close(store);
    shut_down(own);
    unregister_all();
    EXPECT(LARDER_OK, larder_unregister("test.unused", ERR));
    check_all_freed(&all);
    CHECK_NUMBER(1, unused.freed);
    forget_everything();
}

static void *register_often(void *argument)
{
    own_data own = {0};
    larder_key_function_table keys = own_keys;
    (void)argument;
    keys.free_user_data = NULL;
    while (!stop) {
        larder_register_key_function("test.often", &keys, &own, NULL);
        larder_unregister("test.often", NULL);
    }
    return NULL;
}

/* Children find the set whole, and no lock held, while a thread of the parent changes it. */
static void forks_while_registering(void)
{
    pthread_t thread;
    if (!is_plain())
        return; /* the tools' own locks */
    stop = 0;
    thread = start(register_often, NULL);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            own_data own = {0};
            alarm(60);
            EXPECT(LARDER_OK, larder_register_key_function("test.child", &own_keys, &own, ERR));
            EXPECT(LARDER_OK, larder_unregister("test.child", ERR));
            CHECK_NUMBER(1, own.freed);
            _exit(0);
        }
        wait_for_child(child);
    }
    stop = 1;
    join(thread);
}

int main(void)
{
    which_thread();
    calling_larder();
    too_slow();
    many_threads();
    forked();
    forks_while_registering();
    check_nothing_is_open();
    printf("plugins: called as it is said\n");
    return 0;
}
