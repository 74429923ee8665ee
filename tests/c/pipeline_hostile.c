/*
 * Loaders and pipelines that are up to no good: circles of loaders, crowds behind one that fails, forks inside, values that
 * are none, times at their extremes. Every call ends by its time, and every load once.
 */
#include "pipelines.h"

#include <sys/wait.h>

enum { CROWD = 400 };

static larder_context *context;

static larder_pipeline *open_with(larder_load_fn load, void *user_data)
{
    larder_pipeline *pipeline = NULL;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    options.load = load, options.load_user_data = user_data;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", &options, &pipeline, ERR));
    EXPECT(LARDER_OK, larder_pipeline_clear(pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    return pipeline;
}

/* ---- circles ---- */

static larder_pipeline *circle;
static pthread_barrier_t both_inside;
static _Atomic int circled;

/* A waits for B, on another thread B waits for A: neither is waiting for itself, so only time ends it. */
static larder_status waits_for_the_other(void *user_data, const larder_load_request *request)
{
    (void)user_data;
    token other = strstr(request->token, "'A'") != NULL ? SUMMONER("B") : SUMMONER("A");
    larder_value *value = NULL;
    if (atomic_fetch_add(&circled, 1) < 2)
        pthread_barrier_wait(&both_inside);
    larder_status status = larder_pipeline_get(circle, TOKEN(other), NULL, &value, NULL, NULL);
    larder_value_release(value);
    return status < 0 ? status : LARDER_MISS;
}

static void *get_in_circle(void *argument)
{
    const token *wanted = argument;
    larder_value *value = NULL;
    larder_status status = larder_pipeline_get(circle, TOKEN(*wanted), NULL, &value, NULL, NULL);
    CHECK(status == LARDER_ETIMEOUT || status == LARDER_EDEADLOCK);
    CHECK(value == NULL);
    return NULL;
}

static void a_circle_of_loaders(void)
{
    token tokens[] = {SUMMONER("A"), SUMMONER("B")};
    pthread_t threads[2];
    int64_t began = now_ms();
    circle = open_with(waits_for_the_other, NULL);
    pthread_barrier_init(&both_inside, NULL, 2);
    for (int i = 0; i < 2; i++)
        threads[i] = start(get_in_circle, &tokens[i]);
    for (int i = 0; i < 2; i++)
        join(threads[i]);
    CHECK(now_ms() - began < 20000);
    pthread_barrier_destroy(&both_inside);
    EXPECT(LARDER_OK, larder_pipeline_close(circle));
}

/* ---- a crowd behind a loader that fails ---- */

typedef struct {
    larder_pipeline *pipeline;
    int64_t timeout_ms;
    _Atomic int *ended;
} visitor;

static larder_status fails_slowly(void *user_data, const larder_load_request *request)
{
    _Atomic int *calls = user_data;
    (void)request;
    atomic_fetch_add(calls, 1);
    sleep_ms(20);
    return LARDER_EIO;
}

static void *visit(void *argument)
{
    visitor *visitor = argument;
    larder_value *value = NULL;
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    token wanted = SUMMONER("nobody");
    call.timeout_ms = visitor->timeout_ms;
    larder_status status = larder_pipeline_get(visitor->pipeline, TOKEN(wanted), &call, &value, NULL, NULL);
    CHECK(status == LARDER_EIO || status == LARDER_ETIMEOUT);
    CHECK(value == NULL);
    atomic_fetch_add(visitor->ended, 1);
    return NULL;
}

static void a_crowd(int64_t timeout_ms)
{
    static pthread_t threads[CROWD];
    _Atomic int calls = 0, ended = 0;
    int n = times(CROWD);
    visitor visitor = {open_with(fails_slowly, &calls), timeout_ms, &ended};
    for (int i = 0; i < n; i++)
        threads[i] = start(visit, &visitor);
    for (int i = 0; i < n; i++)
        join(threads[i]);
    CHECK_NUMBER(n, atomic_load(&ended));
    CHECK(atomic_load(&calls) >= 1 && atomic_load(&calls) <= n);
    printf("a crowd of %d with %lld ms: %d calls of the loader\n", n, (long long)timeout_ms, atomic_load(&calls));
    EXPECT(LARDER_OK, larder_pipeline_close(visitor.pipeline));
    sleep_ms(60); /* one that was left to a task may still be inside */
}

/* ---- loads that wait for a thread ---- */

static _Atomic int busy_calls;

static larder_status takes_a_thread(void *user_data, const larder_load_request *request)
{
    (void)user_data;
    CHECK(request->timeout_ms >= 1 && request->timeout_ms <= 300);
    atomic_fetch_add(&busy_calls, 1);
    sleep_ms(1000); /* longer than LOAD.TIMEOUT_MS */
    return LARDER_MISS;
}

static counter ended = COUNTER_INIT;

static void is_late(void *user_data, const larder_event *event)
{
    (void)user_data;
    CHECK_NUMBER(LARDER_ETIMEOUT, event->status);
    count_one(&ended);
}

/* What nobody waits for any more is not begun when a thread is free at last: those behind it would wait as well. */
static void more_loads_than_threads(void)
{
    larder_pipeline *pipeline = open_with(takes_a_thread, NULL);
    for (int i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "busy %d", i);
        token wanted = SUMMONER(name);
        EXPECT(LARDER_OK, larder_pipeline_get_cb(pipeline, TOKEN(wanted), NULL, is_late, NULL, NULL, ERR));
    }
    wait_for(&ended, 64);
    sleep_ms(1200);
    CHECK(atomic_load(&busy_calls) >= 1 && atomic_load(&busy_calls) <= 16);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* ---- forks ---- */

static _Atomic int pid_of_child;
static int64_t time_in_child;

static larder_status forks(void *user_data, const larder_load_request *request)
{
    (void)user_data;
    let_threads_rest();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child > 0) {
        atomic_store(&pid_of_child, child);
        return answer_with_token(request->load, request->token, request->token_len);
    }
    /* in the child there is no such load */
    CHECK_NUMBER(LARDER_EHANDLE, answer_with_token(request->load, request->token, request->token_len));
    sleep_ms(time_in_child);
    return LARDER_OK;
}

static void a_loader_that_forks(int64_t ms)
{
    time_in_child = ms;
    int status = 0;
    larder_value *value = NULL;
    larder_pipeline *pipeline = open_with(forks, NULL);
    token wanted = SUMMONER("forked");
    pid_t parent = getpid();
    larder_status got = larder_pipeline_get(pipeline, TOKEN(wanted), NULL, &value, NULL, NULL);
    if (getpid() != parent) {
        /* whoever returns in the child neither hangs nor gets a value that is not there */
        if (got != LARDER_EFORKED || value != NULL) {
            fprintf(stderr, "in the child: %s, %s\n", larder_status_name(got), value == NULL ? "no value" : "a value");
            _exit(1);
        }
        if (!is_plain()) /* what was inherited stays unfreed on purpose: end as another program, at which no tool looks */
            execl("/bin/true", "true", (char *)NULL);
        _exit(0);
    }
    if (ms == 0)
        CHECK_NUMBER(LARDER_OK, got);
    if (got == LARDER_OK)
        check_loaded(value, &wanted);
    else
        CHECK_NUMBER(LARDER_ETIMEOUT, got); /* on a busy machine */
    CHECK(waitpid((pid_t)atomic_load(&pid_of_child), &status, 0) > 0);
    CHECK_NUMBER(0, status);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* ---- strange answers ---- */

typedef struct {
    const void *data;
    size_t len;
    int32_t format;
    int64_t ttl_ms;
    larder_status answer;
} strange;

static larder_status answers_strangely(void *user_data, const larder_load_request *request)
{
    const strange *strange = user_data;
    larder_status status = larder_load_done(request->load, LARDER_OK, strange->data, strange->len, strange->format,
                                            strange->ttl_ms, NULL, NULL);
    CHECK_NUMBER(strange->answer, status);
    return status;
}

static larder_status get_strange(strange *strange)
{
    larder_pipeline *pipeline = open_with(answers_strangely, strange);
    larder_value *value = NULL;
    token wanted = SUMMONER("strange");
    larder_status status = LARDER_OK;
    for (int i = 0; i < 2; i++) { /* loaded, and perhaps stored */
        status = larder_pipeline_get(pipeline, TOKEN(wanted), NULL, &value, NULL, NULL);
        CHECK((value != NULL) == (status == LARDER_OK));
        if (value != NULL) {
            const char *json = NULL;
            size_t len = 0;
            (void)larder_value_json(value, &json, &len, NULL);
            larder_value_release(value);
            value = NULL;
        }
    }
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    return status;
}

static void strange_values(void)
{
    size_t size = is_plain() ? (size_t)96 << 20 : (size_t)8 << 20;
    char *huge = malloc(size), deep[20000];
    CHECK(huge != NULL);
    memset(huge, 'x', size);
    memset(deep, '[', sizeof deep);
    strange all[] = {
        {"garbage that is no pickle", 25, LARDER_STORED, LARDER_TTL_DEFAULT, LARDER_OK},
        {"\x80\x05]\x94(", 5, LARDER_STORED, LARDER_TTL_DEFAULT, LARDER_OK},
        {"", 0, LARDER_STORED, LARDER_TTL_DEFAULT, LARDER_OK},
        {NULL, 0, LARDER_BYTES, LARDER_TTL_DEFAULT, LARDER_OK},
        {"{\"a\": 1", 7, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {"\"\\ud800\"", 8, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {"1\0" "2", 3, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {"", 0, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {"null", 4, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {deep, sizeof deep, LARDER_JSON, LARDER_TTL_DEFAULT, LARDER_OK},
        {huge, size, LARDER_BYTES, LARDER_TTL_DEFAULT, LARDER_OK},
        {"1", SIZE_MAX, LARDER_BYTES, LARDER_TTL_DEFAULT, LARDER_EINVAL},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        larder_status status = get_strange(&all[i]);
        printf("strange value %d: %s\n", (int)i, larder_status_name(status));
    }
    static const int64_t times[] = {0, -1, 1, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1, LARDER_TTL_FOREVER};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        strange one = {"7", 1, LARDER_JSON, times[i], LARDER_OK};
        CHECK_NUMBER(LARDER_OK, get_strange(&one));
    }
    free(huge);
}

/* ---- one store ---- */

static larder_status seven(void *user_data, const larder_load_request *request)
{
    (void)user_data;
    return larder_load_done(request->load, LARDER_OK, "7", 1, LARDER_JSON, LARDER_TTL_DEFAULT, NULL, NULL);
}

static void extremes_of_one_store(void)
{
    static const int64_t many[] = {0, -1, 1, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1, LARDER_TTL_DEFAULT,
                                   LARDER_TTL_FOREVER};
    larder_store *store = open_store(context, "default");
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        for (size_t j = 0; j < sizeof many / sizeof *many; j++) {
            larder_load_options options = LARDER_LOAD_OPTIONS_INIT;
            larder_value *value = NULL;
            options.timeout_ms = options.grace_ms = many[j] < 0 ? 0 : many[j];
            options.early = 1e300, options.jitter = 0.5;
            larder_status status = larder_get_or_load(store, LARDER_LIT("extreme"), seven, NULL, many[i], &options, NULL,
                                                      &value, NULL);
            CHECK(status == LARDER_OK || status == LARDER_STALE || status == LARDER_ETIMEOUT);
            CHECK((value != NULL) == (status >= 0));
            larder_value_release(value);
        }
    }
    EXPECT(LARDER_OK, larder_store_close(store));
}

/* ---- the pipeline goes away under its loader ---- */

static larder_status clears_all(void *user_data, const larder_load_request *request)
{
    larder_pipeline **pipeline = user_data;
    EXPECT(LARDER_OK, larder_pipeline_clear(*pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    EXPECT(LARDER_OK, larder_pipeline_set(*pipeline, request->token, request->token_len, "1", 1, LARDER_JSON, NULL, ERR));
    EXPECT(LARDER_OK, larder_pipeline_delete(*pipeline, request->token, request->token_len, NULL, ERR));
    return answer_with_token(request->load, request->token, request->token_len);
}

static void cleared_inside(void)
{
    larder_pipeline *pipeline = NULL;
    pipeline = open_with(clears_all, &pipeline);
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("cleared"), NULL);
    EXPECT_GET(LARDER_OK, 0, pipeline, SUMMONER("cleared"), NULL);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* ---- the release of the user data uses larder ---- */

static counter released = COUNTER_INIT;

static void releases_hostilely(void *user_data)
{
    (void)user_data;
    EXPECT(LARDER_EDEADLOCK, larder_shutdown(context, 1000, ERR));
    larder_pipeline *another = NULL;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", NULL, &another, ERR));
    EXPECT(LARDER_OK, larder_pipeline_close(another));
    count_one(&released);
}

static void a_hostile_release(void)
{
    larder_pipeline *pipeline = NULL;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    options.load = seven, options.load_release = releases_hostilely;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", &options, &pipeline, ERR));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    wait_for(&released, 1);
}

/* ---- tokens ---- */

static larder_status token_of_json(const char *json, size_t len, int32_t form)
{
    larder_token *token = NULL;
    larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;
    options.form = form;
    larder_status status =
        larder_token_new("lol", "na1", "summoner_v4_by_name", json, len, json, len, &options, &token, NULL);
    CHECK((token != NULL) == (status == LARDER_OK));
    larder_token_release(token);
    return status;
}

static void hostile_tokens(void)
{
    enum { SIZE = 1 << 20 };
    char *deep = malloc(SIZE);
    CHECK(deep != NULL);
    static const int32_t forms[] = {LARDER_PYOT_3, LARDER_PYOT_6};
    for (int i = 0; i < 2; i++) {
        memset(deep, '[', SIZE);
        memcpy(deep, "{\"a\":", 5);
        CHECK(token_of_json(deep, SIZE, forms[i]) < 0);
        CHECK(token_of_json("{\"a\": \"\\ud800\"}", 15, forms[i]) == (i == 0 ? LARDER_OK : LARDER_EINVAL));
        CHECK_NUMBER(LARDER_OK, token_of_json("{\"\\u0000\": \"\\u0000\"}", 20, forms[i]));
        CHECK_NUMBER(LARDER_EINVAL, token_of_json("{\"a\": \"\0\"}", 10, forms[i]));
        CHECK(token_of_json("{\"a\": 1}\0", 9, forms[i]) < 0);
        CHECK(token_of_json("{\"\xff\": 1}", 9, forms[i]) < 0);
        CHECK_NUMBER(LARDER_EINVAL, token_of_json("[]", 2, forms[i]));
        CHECK_NUMBER(LARDER_EINVAL, token_of_json(NULL, 2, forms[i]));
        CHECK(token_of_json("{}", SIZE_MAX, forms[i]) < 0);
        /* digits beyond what Python takes */
        memset(deep, '9', SIZE);
        memcpy(deep, "{\"a\":", 5), deep[SIZE - 1] = '}';
        CHECK(token_of_json(deep, SIZE, forms[i]) < 0);
    }
    free(deep);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    context = open_pipelines(argv[1], "300");
    a_circle_of_loaders();
    a_crowd(0);
    a_crowd(1);
    more_loads_than_threads();
    a_loader_that_forks(500); /* longer than LOAD.TIMEOUT_MS */
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
    context = open_pipelines(argv[1], "20000"); /* what follows is not about time */
    a_loader_that_forks(0);
    strange_values();
    extremes_of_one_store();
    cleared_inside();
    a_hostile_release();
    hostile_tokens();
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
    check_nothing_is_open();
    printf("pipeline hostile: all of it ended\n");
    return 0;
}
