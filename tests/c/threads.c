/* Eight threads on one store: own keys are never mixed up, one of eight adds wins, no increment is lost. */
#include "support.h"

#define THREADS 8

typedef struct {
    larder_store *store;
    pthread_barrier_t begin;
    int rounds;
    int counts_atomically; /* the file backend reads, adds and sets, as Django does */
    int winners[1000];     /* of each round's add; under `lock` */
    int64_t sums[1000];    /* of each round's increments */
    pthread_mutex_t lock;
} race;

typedef struct {
    race *race;
    int number;
} runner;

static void own_keys(const runner *self, int round)
{
    const larder_store *store = self->race->store;
    char key[32], value[64], got[64];
    size_t needed = 0;
    int key_len = snprintf(key, sizeof key, "own:%d:%d", self->number, round % 7);
    int value_len = snprintf(value, sizeof value, "thread %d in round %d", self->number, round);
    EXPECT(LARDER_OK, larder_set(store, key, (size_t)key_len, value, (size_t)value_len, LARDER_TEXT, LARDER_TTL_DEFAULT,
                                 NULL, ERR));
    EXPECT(LARDER_OK, larder_get_into(store, key, (size_t)key_len, NULL, got, sizeof got, &needed, ERR));
    CHECK(needed == (size_t)value_len && memcmp(got, value, needed) == 0);

    larder_value *shown = NULL;
    const char *text = NULL;
    EXPECT(LARDER_OK, larder_get(store, key, (size_t)key_len, NULL, &shown, ERR));
    EXPECT(LARDER_OK, larder_value_text(shown, &text, &needed, ERR));
    CHECK(needed == (size_t)value_len && memcmp(text, value, needed) == 0);
    larder_value_release(shown);
}

/* What all threads write is always whole: one of the values that were written. */
static void shared_key(const runner *self, int round)
{
    const larder_store *store = self->race->store;
    char value[3000], got[3000];
    size_t len = 1000 + (size_t)self->number * 200, needed = 0;
    memset(value, 'a' + self->number, len);
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("shared"), value, len, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, ERR));
    larder_status status = larder_get_into(store, LARDER_LIT("shared"), NULL, got, sizeof got, &needed, NULL);
    CHECK_NUMBER(LARDER_OK, status);
    CHECK(needed == 1000 + (size_t)(got[0] - 'a') * 200);
    for (size_t i = 1; i < needed; i++)
        CHECK(got[i] == got[0]);
    (void)round;
}

static void race_for_one(const runner *self, int round)
{
    race *race = self->race;
    char key[32];
    int len = snprintf(key, sizeof key, "winner:%d", round);
    larder_status status =
        larder_add(race->store, key, (size_t)len, "mine", 4, LARDER_BYTES, LARDER_TTL_DEFAULT, NULL, NULL);
    CHECK(status == LARDER_OK || status == LARDER_NOT_STORED);
    int64_t number = 0;
    if (race->counts_atomically) {
        len = snprintf(key, sizeof key, "sum:%d", round % 5);
        EXPECT(LARDER_OK, larder_incr(race->store, key, (size_t)len, self->number + 1, NULL, &number, NULL, ERR));
    }
    pthread_mutex_lock(&race->lock);
    race->winners[round] += status == LARDER_OK;
    pthread_mutex_unlock(&race->lock);
}

static void *run(void *argument)
{
    const runner *self = argument;
    pthread_barrier_wait(&self->race->begin);
    for (int round = 0; round < self->race->rounds; round++) {
        own_keys(self, round);
        shared_key(self, round);
        race_for_one(self, round);
    }
    return NULL;
}

static void race_on(const larder_context *context, const char *alias, int rounds)
{
    race *race = calloc(1, sizeof *race);
    CHECK(race != NULL);
    race->store = open_store(context, alias);
    race->rounds = rounds;
    race->counts_atomically = strcmp(alias, "file") != 0;
    pthread_mutex_init(&race->lock, NULL);
    pthread_barrier_init(&race->begin, NULL, THREADS);
    for (int i = 0; i < 5; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "sum:%d", i);
        EXPECT(LARDER_OK,
               larder_set(race->store, key, (size_t)len, "0", 1, LARDER_JSON, LARDER_TTL_FOREVER, NULL, ERR));
    }
    int64_t began = now_ms();
    pthread_t threads[THREADS];
    runner runners[THREADS];
    for (int i = 0; i < THREADS; i++) {
        runners[i] = (runner){race, i};
        threads[i] = start(run, &runners[i]);
    }
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int round = 0; round < rounds; round++)
        CHECK_NUMBER(1, race->winners[round]);
    int64_t sum = 0;
    for (int i = 0; i < 5 && race->counts_atomically; i++) {
        char key[32];
        int64_t number = 0;
        int len = snprintf(key, sizeof key, "sum:%d", i);
        EXPECT(LARDER_OK, larder_incr(race->store, key, (size_t)len, 0, NULL, &number, NULL, ERR));
        sum += number;
    }
    if (race->counts_atomically)
        CHECK_NUMBER((int64_t)rounds * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8), sum);
    printf("%s: %d threads, %d rounds in %" PRId64 " ms\n", alias, THREADS, rounds, now_ms() - began);
    EXPECT(LARDER_OK, larder_store_close(race->store));
    pthread_barrier_destroy(&race->begin);
    pthread_mutex_destroy(&race->lock);
    free(race);
}

/* A store that is closed while others use it: they get an answer or "closed", never anything else. */
static void *use_until_closed(void *argument)
{
    larder_store *store = argument;
    for (;;) {
        larder_value *value = NULL;
        larder_status status = larder_get(store, LARDER_LIT("shared"), NULL, &value, NULL);
        larder_value_release(value);
        if (status == LARDER_EHANDLE)
            return NULL;
        CHECK(status == LARDER_OK || status == LARDER_MISS);
    }
}

static void close_under_way(const larder_context *context, const char *alias)
{
    for (int i = 0; i < times(50); i++) {
        larder_store *store = open_store(context, alias);
        pthread_t threads[THREADS];
        for (int t = 0; t < THREADS; t++)
            threads[t] = start(use_until_closed, store);
        sleep_ms(1);
        EXPECT(LARDER_OK, larder_store_close(store));
        for (int t = 0; t < THREADS; t++)
            join(threads[t]);
    }
}

/* One value, read for the first time by eight threads at once. */
static void *read_value(void *argument)
{
    larder_value *value = larder_value_retain(argument);
    const char *json = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_value_json(value, &json, &len, ERR));
    CHECK(len == strlen("{\"a\": [1, 2, 3]}") && memcmp(json, "{\"a\": [1, 2, 3]}", len) == 0);
    CHECK_NUMBER(LARDER_KIND_DICT, larder_value_kind(value));
    larder_value_release(value);
    return NULL;
}

static void share_a_value(const larder_context *context)
{
    larder_store *store = open_store(context, "memory");
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("dict"), LARDER_LIT("{\"a\":[1,2,3]}"), LARDER_JSON,
                                 LARDER_TTL_DEFAULT, NULL, ERR));
    for (int i = 0; i < times(50); i++) {
        larder_value *value = NULL;
        EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("dict"), NULL, &value, ERR));
        pthread_t threads[THREADS];
        for (int t = 0; t < THREADS; t++)
            threads[t] = start(read_value, value);
        for (int t = 0; t < THREADS; t++)
            join(threads[t]);
        larder_value_release(value);
    }
    EXPECT(LARDER_OK, larder_store_close(store));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    race_on(context, "memory", times(1000));
    race_on(context, "file", times(100));
    if (has_redis(argc, argv)) {
        race_on(context, "redis", times(300));
        race_on(context, "core-redis", times(100));
        close_under_way(context, "redis");
    }
    close_under_way(context, "memory");
    close_under_way(context, "file");
    share_a_value(context);
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    puts("threads: nothing was mixed up");
    return 0;
}
