/*
 * A thousand forks of a busy parent with many threads: synchronous calls, callbacks, a queue, stores and contexts that
 * are opened and closed, forks from two threads and from the callback thread. Each child uses the inherited stores by
 * both ways and leaves. Nobody hangs, nobody is given another key's value, and each of the parent's operations is
 * answered once.
 */
#include "support.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { FORKS = 1000, FORKERS = 2, STORES = 3, CHILD_LIMIT_S = 60, IN_FLIGHT = 64 };

static larder_context *context;
static larder_store *stores[STORES]; /* memory, file, redis */
static int n_stores;
static larder_queue *queue;
static const char *folder, *url;
static _Atomic int is_over, forks, children, accepted, answered, begun, called_back, synchronous, opened;

/* ---- children ---- */

typedef struct {
    counter ended;
    char wanted[32];
} expected;

static void check_text(const larder_value *value, const char *wanted)
{
    const char *text = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
    if (len != strlen(wanted) || memcmp(text, wanted, len) != 0)
        FAIL("a value is \"%.*s\", not \"%s\"", (int)len, text, wanted);
}

static void on_child_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                            const larder_error *error)
{
    expected *expected = user_data;
    (void)op;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    check_text(value, expected->wanted);
    count_one(&expected->ended);
}

/* A hang is a failure, also where signals are blocked, as they are on the callback thread. */
static void set_alarm(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    alarm(CHILD_LIMIT_S);
}

static void use(const larder_store *store)
{
    expected expected = {COUNTER_INIT, ""};
    larder_value *value = NULL;
    size_t len = (size_t)snprintf(expected.wanted, sizeof expected.wanted, "child-%d", (int)getpid());
    EXPECT(LARDER_OK, larder_set(store, expected.wanted, len, expected.wanted, len, LARDER_TEXT, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, expected.wanted, len, NULL, &value, ERR));
    check_text(value, expected.wanted);
    larder_value_release(value);
    EXPECT(LARDER_OK, larder_get_cb(store, expected.wanted, len, NULL, on_child_answer, &expected, NULL, ERR));
    wait_for(&expected.ended, 1);
    EXPECT(LARDER_OK, larder_delete(store, expected.wanted, len, NULL, ERR));
}

static pid_t fork_child(void)
{
    int number = atomic_fetch_add(&forks, 1);
    let_threads_rest();
    pid_t child = fork();
    if (child == 0) {
        set_alarm();
        for (int i = 0; i < n_stores; i++)
            use(stores[i]);
        larder_event event;
        size_t n = 0;
        EXPECT(LARDER_EFORKED, larder_queue_poll(queue, &event, 1, sizeof event, 0, &n, ERR));
        if (number % 5 == 0)
            EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
        if (is_plain() && number % 2 == 0)
            exit(0); /* with everything open: harmless */
        /* what was inherited stays unfreed on purpose: end as another program, at which no leak checker looks */
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK(child > 0);
    return child;
}

static void wait_for_child(pid_t child)
{
    int status = 0;
    CHECK_NUMBER(child, waitpid(child, &status, 0));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("the child ended with status %#x", (unsigned)status);
    atomic_fetch_add(&children, 1);
}

static void *fork_often(void *unused)
{
    while (atomic_load(&forks) < times(FORKS))
        wait_for_child(fork_child());
    return unused;
}

/* ---- what the parent is busy with ---- */

static larder_status busy_set(const larder_store *store, int number, larder_completion_fn callback)
{
    char key[32];
    size_t len = (size_t)snprintf(key, sizeof key, "busy-%d", number % 50);
    return callback == NULL
               ? larder_set(store, key, len, key, len, LARDER_TEXT, 60000, NULL, NULL)
               : larder_set_cb(store, key, len, key, len, LARDER_TEXT, 60000, NULL, callback, NULL, NULL, NULL);
}

static void *call(void *argument)
{
    const larder_store *store = argument;
    for (int number = 0; !atomic_load(&is_over); number++) {
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof key, "busy-%d", number % 50);
        larder_value *value = NULL;
        CHECK_NUMBER(LARDER_OK, busy_set(store, number, NULL));
        EXPECT(LARDER_OK, larder_get(store, key, len, NULL, &value, ERR));
        check_text(value, key);
        larder_value_release(value);
        atomic_fetch_add(&synchronous, 1);
        usleep(500);
    }
    return NULL;
}

/* Some callbacks fork, too. */
static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    (void)user_data, (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    if (atomic_fetch_add(&called_back, 1) % 200 == 0 && !atomic_load(&is_over))
        wait_for_child(fork_child());
}

static void *begin_callbacks(void *unused)
{
    for (int number = 0; !atomic_load(&is_over); number++) {
        while (atomic_load(&begun) - atomic_load(&called_back) > IN_FLIGHT)
            usleep(100);
        CHECK_NUMBER(LARDER_OK, busy_set(stores[number % n_stores], number, on_answer));
        atomic_fetch_add(&begun, 1);
    }
    return unused;
}

static void *submit(void *unused)
{
    for (int number = 0; !atomic_load(&is_over); number++) {
        char key[32];
        larder_request request = {.operation = number % 2 == 0 ? LARDER_OP_SET : LARDER_OP_GET, .key = key};
        request.key_len = (size_t)snprintf(key, sizeof key, "queued-%d", number / 2 % 50);
        request.store = stores[number / 2 % n_stores], request.tag = (uint64_t)(number / 2 % 50);
        request.format = LARDER_TEXT, request.ttl_ms = 60000;
        request.value = key, request.value_len = request.key_len;
        larder_error *error = NULL;
        larder_status status = larder_submit(queue, &request, 1, sizeof request, NULL, &error);
        larder_error_release(error);
        if (status == LARDER_EBUSY) {
            number--; /* once more */
            usleep(200);
            continue;
        }
        CHECK_NUMBER(LARDER_OK, status);
        atomic_fetch_add(&accepted, 1);
    }
    return unused;
}

static void *poll_queue(void *unused)
{
    larder_event events[16];
    while (!atomic_load(&is_over) || atomic_load(&answered) < atomic_load(&accepted)) {
        size_t n = 0;
        larder_status status = larder_queue_poll(queue, events, 16, sizeof *events, 50, &n, NULL);
        CHECK(status == LARDER_OK || status == LARDER_EMPTY);
        for (size_t i = 0; i < n; i++) {
            char wanted[32];
            snprintf(wanted, sizeof wanted, "queued-%d", (int)events[i].tag);
            if (events[i].status != LARDER_OK)
                FAIL("%s %s", larder_status_name(events[i].status), larder_error_message(events[i].error));
            if (events[i].value != NULL)
                check_text(events[i].value, wanted);
        }
        larder_events_clear(events, n, sizeof *events);
        atomic_fetch_add(&answered, (int)n);
    }
    return unused;
}

/* Handles, connections and threads that come and go. */
static void *open_and_close(void *unused)
{
    while (!atomic_load(&is_over)) {
        larder_store *store = open_store(context, n_stores > 2 ? "redis" : "file");
        CHECK_NUMBER(LARDER_OK, busy_set(store, 1, NULL));
        EXPECT(LARDER_OK, larder_store_close(store));
        larder_context *other = open_all(folder, url);
        store = open_store(other, "memory");
        CHECK_NUMBER(LARDER_OK, busy_set(store, 1, NULL));
        EXPECT(LARDER_OK, larder_shutdown(other, 20000, ERR));
        EXPECT(LARDER_OK, larder_store_close(store));
        atomic_fetch_add(&opened, 1);
        usleep(1000);
    }
    return unused;
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    /* The sanitizer's allocator has locks, and gcc 12's does not see to them in a fork: there the parent must rest. */
    const char *under = getenv("LARDER_C_UNDER");
    int is_busy = under == NULL || strcmp(under, "asan") != 0;
    pthread_t threads[16], forkers[FORKERS];
    int n = 0;
    int64_t began = now_ms();
    folder = argv[1], url = argv[2];
    context = open_all(folder, url);
    stores[n_stores++] = open_store(context, "memory");
    stores[n_stores++] = open_store(context, "file");
    if (has_redis(argc, argv))
        stores[n_stores++] = open_store(context, "redis");
    EXPECT(LARDER_OK, larder_queue_open(context, IN_FLIGHT, 0, &queue, ERR));
    for (int i = 0; i < n_stores; i++)
        CHECK_NUMBER(LARDER_OK, busy_set(stores[i], 0, NULL)); /* also where it rests there are connections */
    if (is_busy) {
        for (int i = 0; i < n_stores; i++)
            threads[n++] = start(call, stores[i]);
        threads[n++] = start(begin_callbacks, NULL);
        threads[n++] = start(submit, NULL);
        threads[n++] = start(poll_queue, NULL);
        threads[n++] = start(open_and_close, NULL);
    }
    for (int i = 0; i < (is_busy ? FORKERS : 1); i++)
        forkers[i] = start(fork_often, NULL);
    for (int i = 0; i < (is_busy ? FORKERS : 1); i++)
        join(forkers[i]);
    atomic_store(&is_over, 1);
    for (int i = 0; i < n; i++)
        join(threads[i]);
    EXPECT(LARDER_OK, larder_shutdown(context, 60000, ERR)); /* with it the last callbacks */
    CHECK_NUMBER(atomic_load(&begun), atomic_load(&called_back));
    CHECK_NUMBER(atomic_load(&accepted), atomic_load(&answered));
    CHECK_NUMBER(atomic_load(&forks), atomic_load(&children));
    CHECK(!is_busy || (atomic_load(&synchronous) > 0 && atomic_load(&begun) > 0 && atomic_load(&accepted) > 0 &&
                       atomic_load(&opened) > 0));
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    for (int i = 0; i < n_stores; i++)
        EXPECT(LARDER_OK, larder_store_close(stores[i]));
    check_nothing_is_open();
    printf("fork_many: %d children in %d s, beside %d calls, %d callbacks, %d events and %d openings: no hang\n",
           atomic_load(&children), (int)((now_ms() - began) / 1000), atomic_load(&synchronous), atomic_load(&begun),
           atomic_load(&accepted), atomic_load(&opened));
    return 0;
}
