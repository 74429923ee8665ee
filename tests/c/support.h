/*
 * What the C test programs share: checks that say where they failed, configurations, threads, the little RESP server.
 *
 * Every program is called as `program <folder of its own> <URL of a Redis database, or "-"> [more]`, prints what it
 * did, and ends with status 0 only if every check held.
 */
#ifndef LARDER_TESTS_SUPPORT_H
#define LARDER_TESTS_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"

/* ---- checks ---- */

#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)

__attribute__((noreturn, format(printf, 3, 4))) static inline void fail(const char *file, int line, const char *text,
                                                                        ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, text);
    vfprintf(stderr, text, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(1);
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            FAIL("does not hold: %s", #condition);                                                                     \
    } while (0)

#define CHECK_NUMBER(wanted, expression)                                                                               \
    do {                                                                                                               \
        long long wanted_number = (long long)(wanted), got_number = (long long)(expression);                           \
        if (wanted_number != got_number)                                                                               \
            FAIL("%s is %lld, not %lld", #expression, got_number, wanted_number);                                      \
    } while (0)

/* The place for an error of this thread. EXPECT looks at it, checks the rules of errors, and releases it. */
static _Thread_local struct {
    larder_error *error;
    int used;
} problem;

static inline larder_error **problem_place(void)
{
    problem.error = NULL;
    problem.used = 1;
    return &problem.error;
}

/* To be given as the last argument of a call inside EXPECT. */
#define ERR problem_place()

/* Checks the status of a call, and that an error came exactly when it failed, with the same status and some words. */
#define EXPECT(wanted, call)                                                                                           \
    do {                                                                                                               \
        problem.error = NULL;                                                                                          \
        problem.used = 0;                                                                                              \
        larder_status got_status = (call);                                                                             \
        expect(__FILE__, __LINE__, #call, (wanted), got_status);                                                       \
    } while (0)

static inline void expect(const char *file, int line, const char *call, larder_status wanted, larder_status got)
{
    larder_error *error = problem.error;
    const char *message = larder_error_message(error);
    if (got != wanted)
        fail(file, line, "%s: %s, not %s %s", call, larder_status_name(got), larder_status_name(wanted), message);
    if (problem.used && (error != NULL) != (got < 0))
        fail(file, line, "%s: %s with error %p", call, larder_status_name(got), (void *)error);
    if (error != NULL && (larder_error_status(error) != got || message[0] == '\0' || strchr(message, '\n') != NULL))
        fail(file, line, "%s: %s with an error that says %d \"%s\"", call, larder_status_name(got),
             (int)larder_error_status(error), message);
    larder_error_release(error);
    problem.error = NULL;
}

#define IS_FAILURE(status) ((status) < 0)

/* ---- how hard to try ---- */

/* Whether no checking tool looks on. */
static inline int is_plain(void)
{
    const char *under = getenv("LARDER_C_UNDER");
    return under == NULL || strcmp(under, "plain") == 0;
}

/* Before a fork: gcc 12's AddressSanitizer has locks of its own that a child inherits locked, so threads must rest. */
static inline void let_threads_rest(void)
{
    const char *under = getenv("LARDER_C_UNDER");
    if (under != NULL && strcmp(under, "asan") == 0)
        usleep(50000);
}

/* `full` repetitions; fewer where a checking tool makes everything slow. */
static inline int times(int full)
{
    return !is_plain() && full >= 20 ? full / 10 : full;
}

/* ---- time ---- */

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps, whatever signals come. */
static inline void sleep_ms(int64_t ms)
{
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* ---- configurations ---- */

static inline int has_redis(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[2], "-") != 0;
}

/*
 * Opens "memory", "file" (in `folder`), "dummy", and, where there is a URL, "redis" (django-redis) and "core-redis".
 * Values larger than 100,000 bytes are refused.
 */
static inline larder_context *open_all(const char *folder, const char *url)
{
    static const char local[] =
        "\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\","
        "  \"OPTIONS\": {\"MAX_ENTRIES\": 1000000}, \"LARDER\": {\"MAX_VALUE_BYTES\": 100000}},"
        "\"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\", \"LOCATION\": \"%s/files\","
        "  \"OPTIONS\": {\"MAX_ENTRIES\": 1000000}, \"LARDER\": {\"TIMEOUT_MS\": 30000, \"MAX_VALUE_BYTES\": 100000}},"
        "\"dummy\": {\"BACKEND\": \"django.core.cache.backends.dummy.DummyCache\"}";
    static const char remote[] =
        ",\"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
        "  \"LARDER\": {\"TIMEOUT_MS\": 30000, \"MAX_VALUE_BYTES\": 100000}},"
        "\"core-redis\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\", \"LOCATION\": \"%s\","
        "  \"KEY_PREFIX\": \"core\", \"LARDER\": {\"TIMEOUT_MS\": 30000, \"MAX_VALUE_BYTES\": 100000}}";
    char text[8192];
    size_t at = (size_t)snprintf(text, sizeof text, "{\"CACHES\": {");
    at += (size_t)snprintf(text + at, sizeof text - at, local, folder);
    if (url != NULL && strcmp(url, "-") != 0)
        at += (size_t)snprintf(text + at, sizeof text - at, remote, url, url);
    at += (size_t)snprintf(text + at, sizeof text - at, "}}");
    CHECK(at < sizeof text);
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    CHECK(context != NULL);
    return context;
}

static inline larder_store *open_store(const larder_context *context, const char *alias)
{
    larder_store *store = NULL;
    EXPECT(LARDER_OK, larder_store_open(context, alias, &store, ERR));
    CHECK(store != NULL);
    return store;
}

/*
 * Aliases that the test around the program gives it instead of its own: a configuration in LARDER_TEST_CONFIG, and the
 * names in LARDER_TEST_ALIASES with blanks between them.
 */
enum { GIVEN_MOST = 8 };

typedef struct {
    int n; /* 0: none are given */
    char names[GIVEN_MOST][32];
} given_aliases;

static inline given_aliases find_given(void)
{
    given_aliases given = {0};
    const char *names = getenv("LARDER_TEST_ALIASES");
    for (int used = 0; names != NULL && sscanf(names, "%31s%n", given.names[given.n], &used) == 1; names += used) {
        given.n++;
        CHECK(given.n < GIVEN_MOST);
    }
    return given;
}

static inline larder_context *open_given(void)
{
    const char *text = getenv("LARDER_TEST_CONFIG");
    larder_context *context = NULL;
    CHECK(text != NULL);
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

/* Makes the table of an alias that has one. */
static inline void make_table(const larder_store *store)
{
    larder_status status = larder_create_table(store, NULL, NULL);
    CHECK(status == LARDER_OK || status == LARDER_EUNSUPPORTED);
}

/* Nothing is open any more: leak checkers cannot see handles. */
static inline void check_nothing_is_open(void)
{
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_CONTEXTS));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_STORES));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_CURSORS));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_VALUES));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_ERRORS));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_QUEUES));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_PIPELINES));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_TOKENS));
}

/* ---- values ---- */

/* An array of characters that ends with NUL, and its length; LARDER_LIT is for literals. */
#define TEXT_OF(array) (array), (sizeof(array) - 1)

/* The JSON of a stored value, in a buffer of this thread. */
static inline const char *json_of(const larder_store *store, const char *key)
{
    static _Thread_local char shown[4096];
    larder_value *value = NULL;
    const char *json = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_get(store, key, strlen(key), NULL, &value, ERR));
    larder_status status = larder_value_json(value, &json, &len, NULL);
    CHECK(status == LARDER_OK || status == LARDER_LOSSY);
    CHECK(len < sizeof shown);
    memcpy(shown, json, len);
    shown[len] = '\0';
    larder_value_release(value);
    return shown;
}

#define CHECK_JSON(wanted, store, key)                                                                                 \
    do {                                                                                                               \
        const char *shown_json = json_of((store), (key));                                                              \
        if (strcmp(shown_json, (wanted)) != 0)                                                                         \
            FAIL("%s is %s, not %s", (key), shown_json, (wanted));                                                     \
    } while (0)

/* ---- the process ---- */

/* How many entries a folder of /proc/self has. */
static inline int count_entries(const char *folder)
{
    int count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static inline int count_threads(void)
{
    return count_entries("/proc/self/task");
}

static inline int count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

/* ---- threads ---- */

static inline pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK_NUMBER(0, pthread_create(&thread, NULL, body, argument));
    return thread;
}

static inline void join(pthread_t thread)
{
    CHECK_NUMBER(0, pthread_join(thread, NULL));
}

/* A count that another thread waits for. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t count;
} counter;

#define COUNTER_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void count_one(counter *counter)
{
    pthread_mutex_lock(&counter->lock);
    counter->count++;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->lock);
}

/* Waits for a count for a minute at most. */
static inline void wait_for(counter *counter, int64_t wanted)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    pthread_mutex_lock(&counter->lock);
    while (counter->count < wanted) {
        if (pthread_cond_timedwait(&counter->changed, &counter->lock, &end) != 0)
            FAIL("%" PRId64 " of %" PRId64 " came within a minute", counter->count, wanted);
    }
    pthread_mutex_unlock(&counter->lock);
}

#endif
