/*
 * Deadlines through the whole library: `resolver <folder> <LOCATION> <fate>`, where the fate of a call is "late" (it
 * ends by its deadline: a name is never found, a server never answers or drips) or "well" (a name is found in time).
 * With resolver_slow.c loaded before the C library.
 */
#include "support.h"

#include <dlfcn.h>

#define DEADLINE 300
/* What every call may need beyond its deadline. */
#define GATE 1000
/* What a call that succeeds is given. */
#define LONG 20000
#define SHUTDOWN 2000
#define MANY 16

static counter answers = COUNTER_INIT;
static int64_t deadline;
static larder_status wanted[2];

typedef struct {
    int64_t begun;
    int64_t times;
} asked;

static int is_wanted(larder_status status)
{
    return status == wanted[0] || status == wanted[1];
}

static void check_end(const char *what, int64_t begun, larder_status status, const larder_error *error)
{
    int64_t took = now_ms() - begun;
    if (!is_wanted(status))
        FAIL("%s: %s %s", what, larder_status_name(status), larder_error_message(error));
    if (took > deadline + GATE)
        FAIL("%s took %" PRId64 " ms, not %" PRId64, what, took, deadline);
    if (status == LARDER_ETIMEOUT)
        CHECK_NUMBER(1, larder_error_retriable(error));
}

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    asked *asked = user_data;
    (void)op, (void)value;
    check_end("a callback", asked->begun, status, error);
    asked->times++;
    count_one(&answers);
}

/* Runs one call and checks its end. */
#define ENDS(call_of_it)                                                                                               \
    do {                                                                                                               \
        larder_error *error = NULL, **err = &error;                                                                    \
        int64_t begun = now_ms();                                                                                      \
        larder_status status = (call_of_it);                                                                           \
        check_end(#call_of_it, begun, status, error);                                                                  \
        larder_error_release(error);                                                                                   \
    } while (0)

static void synchronously(const larder_store *store)
{
    larder_call call = LARDER_CALL_INIT;
    const char *keys[] = {"a", "b"};
    size_t lens[] = {1, 1};
    larder_value *value = NULL, *several[2] = {NULL, NULL};
    call.timeout_ms = deadline;
    ENDS(larder_get(store, LARDER_LIT("k"), &call, &value, err));
    CHECK(value == NULL);
    ENDS(larder_get_many(store, keys, lens, 2, &call, several, NULL, err));
    CHECK(several[0] == NULL && several[1] == NULL);
    ENDS(larder_has(store, LARDER_LIT("k"), &call, err));
    ENDS(larder_expire(store, LARDER_LIT("k"), 1000, &call, err));
}

static void *synchronously_too(void *store)
{
    synchronously(store);
    return NULL;
}

static void later(const larder_store *store)
{
    larder_call call = LARDER_CALL_INIT;
    asked all[MANY];
    int64_t before = answers.count;
    call.timeout_ms = deadline;
    for (int i = 0; i < MANY; i++) {
        all[i] = (asked){now_ms(), 0};
        if (i % 2 == 0)
            EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), &call, answered, &all[i], NULL, ERR));
        else
            EXPECT(LARDER_OK, larder_expire_cb(store, LARDER_LIT("k"), 1000, &call, answered, &all[i], NULL, ERR));
        CHECK(now_ms() - all[i].begun < GATE); /* beginning an operation never blocks */
    }
    wait_for(&answers, before + MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_NUMBER(1, all[i].times);
}

/* How many slow look-ups there were; 0 without the library that makes them slow. */
static int lookups(void)
{
    int (*slow_lookups)(void) = NULL;
    *(void **)&slow_lookups = dlsym(RTLD_DEFAULT, "slow_lookups");
    CHECK(slow_lookups != NULL);
    return slow_lookups();
}

/* Both Redis caches, and no breaker: it would let calls fail sooner. */
static larder_context *open_without_breaker(const char *location)
{
    static const char form[] =
        "{\"django\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
        "  \"LARDER\": {\"BREAKER\": false}},"
        " \"core\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\", \"LOCATION\": \"%s\","
        "  \"LARDER\": {\"BREAKER\": false}}}";
    char text[1024];
    larder_context *context = NULL;
    snprintf(text, sizeof text, form, location, location);
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

int main(int argc, char **argv)
{
    CHECK(argc > 3);
    int is_late = strcmp(argv[3], "late") == 0, is_name = strstr(argv[2], ".test") != NULL;
    deadline = is_late ? DEADLINE : LONG;
    wanted[0] = is_late ? LARDER_ETIMEOUT : LARDER_MISS;
    wanted[1] = is_late ? LARDER_ETIMEOUT : LARDER_OK; /* get_many */
    larder_context *context = open_without_breaker(argv[2]);
    larder_store *stores[] = {open_store(context, "django"), open_store(context, "core")};

    for (int i = 0; i < 2; i++) {
        pthread_t threads[4];
        for (int j = 0; j < 4; j++)
            threads[j] = start(synchronously_too, stores[i]);
        later(stores[i]);
        synchronously(stores[i]);
        for (int j = 0; j < 4; j++)
            join(threads[j]);
        later(stores[i]);
    }

    /* One look-up for all callers of a store, not a thread for each: its end is not in our hands. */
    if (is_name)
        CHECK(lookups() > 0);
    if (is_name && is_late)
        CHECK(lookups() <= 2);

    /* What still waits is told so, and shutting down keeps its limit. */
    larder_call patient = LARDER_CALL_INIT;
    patient.timeout_ms = LONG;
    asked last = {now_ms(), 0};
    int64_t before = answers.count;
    wanted[1] = is_late ? LARDER_ESHUTDOWN : LARDER_MISS;
    deadline = LONG;
    EXPECT(LARDER_OK, larder_get_cb(stores[0], LARDER_LIT("k"), &patient, answered, &last, NULL, ERR));
    int64_t begun = now_ms();
    EXPECT(LARDER_OK, larder_shutdown(context, SHUTDOWN, ERR));
    CHECK(now_ms() - begun <= SHUTDOWN + GATE);
    CHECK_NUMBER(before + 1, answers.count);
    CHECK_NUMBER(1, last.times);
    EXPECT(LARDER_OK, larder_store_close(stores[0]));
    EXPECT(LARDER_OK, larder_store_close(stores[1]));
    check_nothing_is_open();
    /* Only look-ups that the system does not end are left; exit does not wait for them. */
    int left = count_threads() - 1;
    if (left > (is_name && is_late ? 2 : 0))
        FAIL("%d threads are left", left);
    printf("resolver: every call ended in time; %d look-ups, %d threads left\n", lookups(), left);
    return 0;
}
