/*
 * The promises of the callback face: exactly once for each accepted operation, never inside the call that began it,
 * always on one and the same thread, never after a refusal; what is legal inside a callback, and what is refused there.
 */
#include "support.h"

#include <stdatomic.h>

#define OPERATIONS 4000

/* One accepted operation. */
typedef struct {
    _Atomic larder_op op;
    _Atomic int answers;
    _Atomic int submitted; /* the call that began it has returned */
    larder_status status;
} operation;

static operation operations[OPERATIONS];
static counter answers = COUNTER_INIT;
static pthread_t callback_thread;
static _Atomic int has_callback_thread;
static _Thread_local int is_submitting;

static void check_thread(void)
{
    if (is_submitting)
        FAIL("a callback ran inside the call that began it");
    if (!atomic_exchange(&has_callback_thread, 1))
        callback_thread = pthread_self();
    CHECK(pthread_equal(callback_thread, pthread_self()));
}

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    operation *operation = user_data;
    check_thread();
    CHECK(op != 0 && atomic_load(&operation->op) == op); /* told before the callback can run */
    CHECK((status < 0) == (error != NULL));
    CHECK(error == NULL || larder_error_status(error) == status);
    CHECK(value == NULL || status == LARDER_OK);
    operation->status = status;
    CHECK_NUMBER(0, atomic_fetch_add(&operation->answers, 1));
    count_one(&answers);
}

static larder_status begin(const larder_store *store, int number)
{
    operation *operation = &operations[number];
    char key[32];
    int len = snprintf(key, sizeof key, "k%d", number % 100);
    larder_op op = 0;
    larder_status status;
    atomic_store(&operation->answers, 0);
    atomic_store(&operation->op, 0);
    is_submitting = 1;
    switch (number % 3) {
    case 0:
        status = larder_set_cb(store, key, (size_t)len, key, (size_t)len, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL,
                               answered, operation, (larder_op *)&operation->op, NULL);
        break;
    case 1:
        status = larder_get_cb(store, key, (size_t)len, NULL, answered, operation, (larder_op *)&operation->op, NULL);
        break;
    default:
        status = larder_expire_cb(store, key, (size_t)len, 60000, NULL, answered, operation,
                                  (larder_op *)&operation->op, NULL);
    }
    is_submitting = 0;
    op = atomic_load(&operation->op);
    CHECK((status == LARDER_OK) == (op != 0));
    atomic_store(&operation->submitted, 1);
    return status;
}

typedef struct {
    const larder_store *store;
    int from, to;
} part;

static void *begin_part(void *argument)
{
    const part *part = argument;
    for (int i = part->from; i < part->to; i++) {
        larder_status status = begin(part->store, i);
        CHECK_NUMBER(LARDER_OK, status);
    }
    return NULL;
}

/* Thousands from four threads; each is answered exactly once, and their ids are all different. */
static int by_number(const void *left, const void *right)
{
    larder_op a = *(const larder_op *)left, b = *(const larder_op *)right;
    return (a > b) - (a < b);
}

static void exactly_once(const larder_context *context, const char *alias, int count)
{
    larder_store *store = open_store(context, alias);
    int64_t before = answers.count;
    part parts[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        parts[i] = (part){store, count / 4 * i, count / 4 * (i + 1)};
        threads[i] = start(begin_part, &parts[i]);
    }
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    wait_for(&answers, before + count);
    sleep_ms(20); /* a second answer would come now */
    static larder_op ops[OPERATIONS];
    for (int i = 0; i < count; i++) {
        CHECK_NUMBER(1, atomic_load(&operations[i].answers));
        CHECK(operations[i].status == LARDER_OK || operations[i].status == LARDER_MISS);
        ops[i] = atomic_load(&operations[i].op);
    }
    qsort(ops, (size_t)count, sizeof *ops, by_number);
    for (int i = 1; i < count; i++)
        CHECK(ops[i - 1] != ops[i]);
    CHECK_NUMBER(before + count, answers.count);
    EXPECT(LARDER_OK, larder_store_close(store));
    printf("%s: %d operations, each answered once\n", alias, count);
}

/* Inside a callback: synchronous calls, further operations, keeping the value; but no shutdown. */
typedef struct {
    larder_context *context;
    larder_store *store;
    larder_value *kept;
    int left;
    counter ended;
} chain;

static void next_of_chain(void *user_data, larder_op op, larder_status status, const larder_value *value,
                          const larder_error *error)
{
    chain *chain = user_data;
    (void)op, (void)error;
    check_thread();
    CHECK_NUMBER(LARDER_OK, status);
    int64_t number = 0;
    EXPECT(LARDER_OK, larder_value_int64(value, &number, ERR));
    CHECK_NUMBER(chain->left, number);
    EXPECT(LARDER_EDEADLOCK, larder_shutdown(chain->context, 1000, ERR)); /* and nothing has been done */
    EXPECT(LARDER_OK, larder_incr(chain->store, LARDER_LIT("chain"), -1, NULL, &number, NULL, ERR));
    chain->left--;
    if (chain->left > 0) {
        is_submitting = 1;
        EXPECT(LARDER_OK, larder_get_cb(chain->store, LARDER_LIT("chain"), NULL, next_of_chain, chain, NULL, ERR));
        is_submitting = 0;
        return;
    }
    chain->kept = larder_value_retain(value);
    EXPECT(LARDER_OK, larder_store_close(chain->store)); /* closing is fine, wherever */
    count_one(&chain->ended);
}

static void chained(larder_context *context, const char *alias)
{
    chain chain = {context, open_store(context, alias), NULL, 50, COUNTER_INIT};
    int64_t number = 0;
    EXPECT(LARDER_OK, larder_set(chain.store, LARDER_LIT("chain"), LARDER_LIT("50"), LARDER_JSON, LARDER_TTL_DEFAULT,
                                 NULL, ERR));
    EXPECT(LARDER_OK, larder_get_cb(chain.store, LARDER_LIT("chain"), NULL, next_of_chain, &chain, NULL, ERR));
    wait_for(&chain.ended, 1);
    EXPECT(LARDER_OK, larder_value_int64(chain.kept, &number, ERR)); /* a kept value outlives its callback */
    CHECK_NUMBER(1, number);
    larder_value_release(chain.kept);
}

/* Failures are answered with an error that can be kept. */
typedef struct {
    larder_error *kept;
    counter ended;
} failure;

static void failed(void *user_data, larder_op op, larder_status status, const larder_value *value,
                   const larder_error *error)
{
    failure *failure = user_data;
    (void)op;
    check_thread();
    CHECK(value == NULL && error != NULL);
    CHECK_NUMBER(LARDER_ECONNECTION, status);
    failure->kept = larder_error_retain(error);
    count_one(&failure->ended);
}

static void dead_server(void)
{
    static const char text[] = "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\","
                               " \"LOCATION\": \"redis://:secret@127.0.0.1:1/0\", \"LARDER\": {\"TIMEOUT_MS\": 2000}}}";
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(TEXT_OF(text), NULL, &context, ERR));
    larder_store *store = open_store(context, "default");
    failure failure = {NULL, COUNTER_INIT};
    atomic_store(&has_callback_thread, 0); /* another context, another thread */
    EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, failed, &failure, NULL, ERR));
    wait_for(&failure.ended, 1);
    printf("dead server: %s\n", larder_error_message(failure.kept));
    CHECK_NUMBER(LARDER_ECONNECTION, larder_error_status(failure.kept));
    CHECK(strstr(larder_error_message(failure.kept), "secret") == NULL);
    larder_error_release(failure.kept);
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 5000, ERR));
}

/* A shutdown with operations under way: every accepted one is answered, none after it, the refused ones never. */
typedef struct {
    const larder_store *store;
    _Atomic int accepted, refused;
} flood;

static void *submit_until_refused(void *argument)
{
    flood *flood = argument;
    for (;;) {
        int number = atomic_fetch_add(&flood->accepted, 1);
        if (number >= OPERATIONS) {
            atomic_fetch_sub(&flood->accepted, 1);
            return NULL;
        }
        larder_status status = begin(flood->store, number);
        if (status != LARDER_OK) {
            CHECK(status == LARDER_ESHUTDOWN || status == LARDER_EBUSY);
            atomic_store(&operations[number].answers, -1000); /* an answer to this one fails its check */
            atomic_fetch_add(&flood->refused, 1);
            if (status == LARDER_ESHUTDOWN)
                return NULL;
        }
    }
}

static void shut_down_under_way(const char *folder, const char *url, const char *alias)
{
    larder_context *context = open_all(folder, url);
    larder_store *store = open_store(context, alias);
    flood flood = {store, 0, 0};
    pthread_t threads[4];
    int64_t before = answers.count;
    atomic_store(&has_callback_thread, 0);
    for (int i = 0; i < 4; i++)
        threads[i] = start(submit_until_refused, &flood);
    while (answers.count == before)
        sleep_ms(1);
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
    int64_t at_shutdown = answers.count;
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    sleep_ms(50);
    CHECK_NUMBER(at_shutdown, answers.count); /* no callback after the shutdown */
    CHECK_NUMBER(atomic_load(&flood.accepted) - atomic_load(&flood.refused), at_shutdown - before);
    larder_op op = 0;
    EXPECT(LARDER_ESHUTDOWN, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, &operations[0], &op, ERR));
    CHECK(op == 0);
    EXPECT(LARDER_OK, larder_store_close(store));
    printf("%s: shut down after %d accepted, %d refused\n", alias,
           atomic_load(&flood.accepted) - atomic_load(&flood.refused), atomic_load(&flood.refused));
}

/* A shutdown that cannot end in its time says so, starts no new callback, and can be tried again. */
static counter entered = COUNTER_INIT;
static counter may_leave = COUNTER_INIT;

static void hold_up(void *user_data, larder_op op, larder_status status, const larder_value *value,
                    const larder_error *error)
{
    (void)user_data, (void)op, (void)status, (void)value, (void)error;
    count_one(&entered);
    wait_for(&may_leave, 1);
}

static void shut_down_twice(const char *folder)
{
    larder_context *context = open_all(folder, "-");
    larder_store *store = open_store(context, "memory");
    for (int i = 0; i < 3; i++)
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, hold_up, NULL, NULL, ERR));
    wait_for(&entered, 1);
    int64_t began = now_ms();
    EXPECT(LARDER_ETIMEOUT, larder_shutdown(context, 200, ERR));
    CHECK(now_ms() - began < 5000);
    count_one(&may_leave);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    CHECK_NUMBER(1, entered.count); /* the other two were not started any more */
    EXPECT(LARDER_OK, larder_store_close(store));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    const char *aliases[] = {"memory", "file", "redis", "core-redis", "dummy"};
    for (int i = 0; i < 5; i++) {
        if (strstr(aliases[i], "redis") != NULL && !has_redis(argc, argv))
            continue;
        exactly_once(context, aliases[i], times(OPERATIONS) / 4 * 4);
        if (strcmp(aliases[i], "dummy") != 0)
            chained(context, aliases[i]);
    }
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    dead_server();
    for (int i = 0; i < (has_redis(argc, argv) ? 4 : 2); i++)
        shut_down_under_way(argv[1], argv[2], aliases[i]);
    shut_down_twice(argv[1]);
    check_nothing_is_open();
    puts("callbacks: exactly once");
    return 0;
}
