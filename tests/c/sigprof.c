/*
 * A sampling profiler: SIGPROF a thousand times a second, with a handler that does not ask for system calls to be taken
 * up again. Every call works all the same, and the handler never runs on a thread of larder's.
 */
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static _Thread_local volatile sig_atomic_t is_ours;
static _Atomic int64_t samples;
static _Atomic int64_t strange_samples;

static void sample(int signal)
{
    (void)signal;
    int kept = errno;
    atomic_fetch_add(is_ours ? &samples : &strange_samples, 1);
    errno = kept;
}

typedef struct {
    const larder_store *store;
    int64_t end;
    int64_t calls;
} work;

static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)user_data, (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    count_one(&answers);
}

/* A new thread begins with the signal blocked, until it has said that it is ours. */
static void take_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    CHECK_NUMBER(0, pthread_sigmask(how, &set, NULL));
}

static void *call_again_and_again(void *argument)
{
    is_ours = 1;
    take_signals(SIG_UNBLOCK);
    work *work = argument;
    const larder_store *store = work->store;
    char key[32], other_key[32], large[20000], got[20000];
    memset(large, 'x', sizeof large);
    int len = snprintf(key, sizeof key, "k%p", argument);
    int other_len = snprintf(other_key, sizeof other_key, "later%p", argument);
    int64_t submitted = 0;
    while (now_ms() < work->end) {
        size_t needed = 0;
        int64_t number = 0;
        EXPECT(LARDER_OK, larder_set(store, key, (size_t)len, large, sizeof large, LARDER_BYTES, LARDER_TTL_DEFAULT,
                                     NULL, ERR));
        EXPECT(LARDER_OK, larder_get_into(store, key, (size_t)len, NULL, got, sizeof got, &needed, ERR));
        CHECK(needed == sizeof large && memcmp(got, large, needed) == 0);
        EXPECT(LARDER_OK, larder_expire(store, key, (size_t)len, 100000, NULL, ERR));
        EXPECT(LARDER_OK, larder_set(store, key, (size_t)len, "1", 1, LARDER_JSON, LARDER_TTL_DEFAULT, NULL, ERR));
        EXPECT(LARDER_OK, larder_incr(store, key, (size_t)len, 41, NULL, &number, NULL, ERR));
        CHECK_NUMBER(42, number);
        EXPECT(LARDER_OK, larder_delete(store, key, (size_t)len, NULL, ERR));
        EXPECT(LARDER_OK, larder_set_cb(store, other_key, (size_t)other_len, large, sizeof large, LARDER_BYTES,
                                        LARDER_TTL_DEFAULT, NULL, answered, NULL, NULL, ERR));
        submitted++;
        work->calls += 7;
        if (submitted % 50 == 0)
            sleep_ms(1); /* processor time is what SIGPROF counts; the callback thread needs some of it */
    }
    return NULL;
}

static void profile(const larder_context *context, const char *alias, int64_t ms)
{
    larder_store *store = open_store(context, alias);
    work works[4];
    pthread_t threads[4];
    int64_t before = atomic_load(&samples), answered_before = answers.count, calls = 0;
    take_signals(SIG_BLOCK);
    for (int i = 0; i < 4; i++) {
        works[i] = (work){store, now_ms() + ms, 0};
        threads[i] = start(call_again_and_again, &works[i]);
    }
    take_signals(SIG_UNBLOCK);
    for (int i = 0; i < 4; i++) {
        join(threads[i]);
        calls += works[i].calls;
    }
    wait_for(&answers, answered_before + calls / 7);
    printf("%s: %" PRId64 " calls, %" PRId64 " signals\n", alias, calls, atomic_load(&samples) - before);
    CHECK(calls > 0);
    CHECK(atomic_load(&samples) > before);
    EXPECT(LARDER_OK, larder_store_close(store));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    is_ours = 1;
    struct sigaction action = {.sa_handler = sample}; /* no SA_RESTART */
    sigemptyset(&action.sa_mask);
    CHECK_NUMBER(0, sigaction(SIGPROF, &action, NULL));
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    CHECK_NUMBER(0, setitimer(ITIMER_PROF, &each_ms, NULL));

    larder_context *context = open_all(argv[1], argv[2]);
    profile(context, "memory", 700);
    profile(context, "file", 1000);
    if (has_redis(argc, argv)) {
        profile(context, "redis", 1500);
        profile(context, "core-redis", 700);
    }
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));

    struct itimerval off = {{0, 0}, {0, 0}};
    CHECK_NUMBER(0, setitimer(ITIMER_PROF, &off, NULL));
    CHECK_NUMBER(0, atomic_load(&strange_samples));
    check_nothing_is_open();
    printf("sigprof: %" PRId64 " signals, none of them on a thread of larder's\n", atomic_load(&samples));
    return 0;
}
