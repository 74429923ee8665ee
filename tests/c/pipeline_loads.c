/*
 * Loads: on whose thread they run, that many who want one token share one, that one who waits for himself is told so, and
 * that everything ends exactly once when a load never does: by deadline, cancel, a queue that is closed, a shutdown.
 */
#include "pipelines.h"

enum { MANY = 64 };

static larder_context *context;
static const char *folder;

static void begin(const char *load)
{
    context = open_pipelines(folder, load);
}

static void end(void)
{
    EXPECT(LARDER_OK, larder_shutdown(context, 20000, ERR));
    check_nothing_is_open();
}

static void empty(larder_pipeline *pipeline)
{
    EXPECT(LARDER_OK, larder_pipeline_clear(pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
}

/* ---- threads ---- */

static pthread_t callback_thread;
static counter answers = COUNTER_INIT;

static void on_event(void *user_data, const larder_event *event)
{
    larder_status *wanted = user_data;
    callback_thread = pthread_self();
    if (event->status != *wanted)
        FAIL("%s: %s", larder_status_name(event->status), larder_error_message(event->error));
    count_one(&answers);
}

static void whose_thread(void)
{
    loader loader = {.way = NOW}, own = {.way = NOW};
    larder_status wanted = LARDER_OK;
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    empty(pipeline);
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("mine"), NULL);
    CHECK(pthread_equal(loader.caller, pthread_self()));
    EXPECT_GET(LARDER_OK, 0, pipeline, SUMMONER("mine"), NULL);
    /* the call's own loader comes before the pipeline's */
    call.load = load_by_way, call.load_user_data = &own;
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("own"), &call);
    CHECK(atomic_load(&own.calls) == 1 && atomic_load(&loader.calls) == 1);
    call.load = NULL, call.flags = LARDER_CALL_NO_LOAD;
    EXPECT_GET(LARDER_MISS, LARDER_LEVEL_NONE, pipeline, SUMMONER("not loaded"), &call);
    CHECK_NUMBER(1, atomic_load(&loader.calls));
    int64_t before = answers.count;
    token theirs = SUMMONER("theirs");
    EXPECT(LARDER_OK, larder_pipeline_get_cb(pipeline, TOKEN(theirs), NULL, on_event, &wanted, NULL, ERR));
    wait_for(&answers, before + 1);
    CHECK(!pthread_equal(loader.caller, pthread_self()) && !pthread_equal(loader.caller, callback_thread));
    CHECK_NUMBER(0, atomic_load(&loader.releases));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    wait_for_releases(&loader, 1);
}

/* ---- one load for many ---- */

typedef struct {
    const larder_pipeline *pipeline;
    pthread_barrier_t *barrier;
    token token;
    larder_status status;
} want;

static void *get_it(void *argument)
{
    want *want = argument;
    larder_value *value = NULL;
    pthread_barrier_wait(want->barrier);
    want->status = larder_pipeline_get(want->pipeline, TOKEN(want->token), NULL, &value, NULL, NULL);
    if (value != NULL)
        check_loaded(value, &want->token);
    return NULL;
}

static void many_at_once(way way, larder_status wanted)
{
    static int round;
    char name[32];
    pthread_t threads[MANY];
    pthread_barrier_t barrier;
    want wants[MANY];
    loader loader = {.way = way};
    larder_pipeline *one = open_pipeline(context, &loader), *other = open_pipeline(context, &loader);
    empty(one);
    snprintf(name, sizeof name, "wanted %d", round++);
    pthread_barrier_init(&barrier, NULL, MANY);
    for (int i = 0; i < MANY; i++) {
        wants[i] = (want){i % 2 ? one : other, &barrier, SUMMONER(name), 0}; /* two handles of one pipeline */
        threads[i] = start(get_it, &wants[i]);
    }
    for (int i = 0; i < MANY; i++) {
        join(threads[i]);
        CHECK_NUMBER(wanted, wants[i].status);
    }
    pthread_barrier_destroy(&barrier);
    if (way == SLOWLY)
        CHECK_NUMBER(1, atomic_load(&loader.calls));
    EXPECT(LARDER_OK, larder_pipeline_close(one));
    EXPECT(LARDER_OK, larder_pipeline_close(other));
    wait_for_releases(&loader, 2);
}

/* ---- waiting for oneself ---- */

static larder_pipeline *inner;
static larder_store *inner_store;

static larder_status loads_itself(void *user_data, const larder_load_request *request)
{
    larder_value *value = NULL;
    _Atomic int *calls = user_data;
    if (atomic_fetch_add(calls, 1) > 5)
        return LARDER_EBUSY;
    EXPECT(LARDER_EDEADLOCK, larder_pipeline_get(inner, request->token, request->token_len, NULL, &value, NULL, ERR));
    EXPECT(LARDER_EDEADLOCK, larder_shutdown(context, 1000, ERR));
    /* something else can be wanted, and stored */
    token other = SUMMONER("other");
    EXPECT(LARDER_OK, larder_pipeline_set(inner, TOKEN(other), "7", 1, LARDER_JSON, NULL, ERR));
    EXPECT(LARDER_OK, larder_pipeline_get(inner, TOKEN(other), NULL, &value, NULL, ERR));
    larder_value_release(value);
    return answer_with_token(request->load, request->token, request->token_len);
}

static larder_status store_loads_itself(void *user_data, const larder_load_request *request)
{
    larder_value *value = NULL;
    (void)user_data;
    EXPECT(LARDER_EDEADLOCK, larder_get_or_load(inner_store, request->token, request->token_len, store_loads_itself, NULL,
                                                1000, NULL, NULL, &value, ERR));
    EXPECT(LARDER_MISS, larder_get(inner_store, request->token, request->token_len, NULL, &value, ERR));
    return LARDER_EBUSY;
}

static void waits_for_itself(void)
{
    _Atomic int calls = 0;
    larder_value *value = NULL;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    options.load = loads_itself, options.load_user_data = &calls;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", &options, &inner, ERR));
    inner_store = open_store(context, "default");
    empty(inner);
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, inner, SUMMONER("itself"), NULL);
    CHECK_NUMBER(1, atomic_load(&calls));
    larder_status wanted = LARDER_OK;
    int64_t before = answers.count;
    token again = SUMMONER("itself again");
    EXPECT(LARDER_OK, larder_pipeline_get_cb(inner, TOKEN(again), NULL, on_event, &wanted, NULL, ERR));
    wait_for(&answers, before + 1);
    EXPECT(LARDER_EBUSY, larder_get_or_load(inner_store, LARDER_LIT("itself"), store_loads_itself, NULL, 1000, NULL, NULL,
                                            &value, ERR));
    EXPECT(LARDER_OK, larder_store_close(inner_store));
    EXPECT(LARDER_OK, larder_pipeline_close(inner));
}

/* A loader that closes what it is called through. */
static larder_status closes_itself(void *user_data, const larder_load_request *request)
{
    larder_pipeline **pipeline = user_data;
    EXPECT(LARDER_OK, larder_pipeline_close(*pipeline));
    return answer_with_token(request->load, request->token, request->token_len);
}

static void is_closed_inside(void)
{
    larder_pipeline *pipeline = NULL;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    options.load = closes_itself, options.load_user_data = &pipeline;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", &options, &pipeline, ERR));
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("closes itself"), NULL);
    EXPECT_GET(LARDER_EHANDLE, LARDER_LEVEL_NONE, pipeline, SUMMONER("closes itself"), NULL);
}

/* ---- loads that never end ---- */

static void time_is_over(void)
{
    static loader loader = {.way = NEVER}; /* until it is released, which is when all loads have ended */
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    int64_t began = now_ms();
    call.timeout_ms = 150;
    empty(pipeline);
    EXPECT_GET(LARDER_ETIMEOUT, LARDER_LEVEL_NONE, pipeline, SUMMONER("lost"), &call);
    CHECK(now_ms() - began >= 100 && now_ms() - began < 5000);
    larder_status wanted = LARDER_ETIMEOUT;
    int64_t before = answers.count;
    token lost = SUMMONER("lost too");
    EXPECT(LARDER_OK, larder_pipeline_get_cb(pipeline, TOKEN(lost), &call, on_event, &wanted, NULL, ERR));
    wait_for(&answers, before + 1);
    uint64_t load = atomic_load(&loader.load);
    /* nobody waits any more; it can still be answered, once */
    larder_status late = larder_load_done(load, LARDER_MISS, NULL, 0, 0, 0, NULL, NULL);
    CHECK(late == LARDER_OK || late == LARDER_EHANDLE);
    EXPECT(LARDER_EHANDLE, larder_load_done(load, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* The loader never answers, and LOAD.TIMEOUT_MS is over: whoever comes then loads anew. */
static void a_lost_load_keeps_nobody(void)
{
    static loader loader = {.way = NEVER}; /* until it is released, which is when all loads have ended */
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    empty(pipeline);
    EXPECT_GET(LARDER_ETIMEOUT, LARDER_LEVEL_NONE, pipeline, SUMMONER("lost"), NULL);
    loader.way = NOW;
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("lost"), NULL);
    CHECK_NUMBER(2, atomic_load(&loader.calls));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* ---- load events ---- */

static larder_event poll_one(larder_queue *queue, int32_t kind)
{
    larder_event event;
    size_t n = 0;
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 20000, &n, ERR));
    CHECK_NUMBER(1, n);
    if (event.kind != kind)
        FAIL("event of kind %d, tag %d, %s: %s", (int)event.kind, (int)event.tag, larder_status_name(event.status),
             larder_error_message(event.error));
    return event;
}

static void done(larder_queue *queue, uint64_t tag, larder_status status)
{
    larder_event event = poll_one(queue, LARDER_EVENT_DONE);
    CHECK_NUMBER(tag, event.tag);
    if (event.status != status)
        FAIL("%s: %s", larder_status_name(event.status), larder_error_message(event.error));
    larder_events_clear(&event, 1, sizeof event);
}

static larder_request request_for(larder_pipeline *pipeline, const token *token, uint64_t tag, larder_op *op)
{
    larder_request request = LARDER_REQUEST_INIT;
    request.operation = LARDER_OP_PIPELINE_GET, request.pipeline = pipeline, request.tag = tag, request.op = op;
    request.key = token->text, request.key_len = token->len, request.flags = LARDER_CALL_LOAD_EVENT;
    return request;
}

static larder_queue *open_queue(size_t capacity)
{
    larder_queue *queue = NULL;
    EXPECT(LARDER_OK, larder_queue_open(context, capacity, 0, &queue, ERR));
    return queue;
}

static void submit(larder_queue *queue, larder_request request)
{
    EXPECT(LARDER_OK, larder_submit(queue, &request, 1, sizeof request, NULL, ERR));
}

static void *wants_meanwhile(void *argument)
{
    want *want = argument;
    larder_value *value = NULL;
    want->status = larder_pipeline_get(want->pipeline, TOKEN(want->token), NULL, &value, NULL, NULL);
    if (value != NULL)
        check_loaded(value, &want->token);
    return NULL;
}

static void by_event(void)
{
    static loader never_called = {.way = FAIL}; /* until it is released, which is when all loads have ended */
    larder_pipeline *pipeline = open_pipeline(context, &never_called);
    larder_queue *queue = open_queue(2);
    token tokens[2] = {SUMMONER("by event"), SUMMONER("by another")};
    larder_op ops[3] = {0};
    empty(pipeline);
    submit(queue, request_for(pipeline, &tokens[0], 1, &ops[0]));
    submit(queue, request_for(pipeline, &tokens[0], 2, &ops[1])); /* waits for the first one's load */
    larder_request third = request_for(pipeline, &tokens[1], 3, &ops[2]);
    EXPECT(LARDER_EBUSY, larder_submit(queue, &third, 1, sizeof third, NULL, ERR));
    larder_event load = poll_one(queue, LARDER_EVENT_LOAD);
    CHECK(load.tag == 1 && load.op == 0 && load.operation == LARDER_OP_PIPELINE_GET && load.timeout_ms > 0);
    CHECK(load.text_len == tokens[0].len && strcmp(load.text, tokens[0].text) == 0);
    EXPECT(LARDER_EBUSY, larder_submit(queue, &third, 1, sizeof third, NULL, ERR)); /* an event is no room */
    want meanwhile = {pipeline, NULL, tokens[0], 77};
    pthread_t thread = start(wants_meanwhile, &meanwhile);
    sleep_ms(20);
    EXPECT(LARDER_OK, answer_with_token((uint64_t)load.number, load.text, load.text_len));
    EXPECT(LARDER_EHANDLE, answer_with_token((uint64_t)load.number, load.text, load.text_len));
    larder_events_clear(&load, 1, sizeof load);
    uint64_t tags = 0;
    for (int i = 0; i < 2; i++) {
        larder_event event = poll_one(queue, LARDER_EVENT_DONE);
        CHECK(event.status == LARDER_OK && event.operation == LARDER_OP_PIPELINE_GET);
        tags += event.tag;
        larder_value *value = event.value;
        event.value = NULL;
        check_loaded(value, &tokens[0]);
        larder_events_clear(&event, 1, sizeof event);
    }
    CHECK_NUMBER(3, tags);
    join(thread);
    CHECK_NUMBER(LARDER_OK, meanwhile.status);
    CHECK_NUMBER(0, atomic_load(&never_called.calls));

    /* a cancel answers the request; the load is there, for others that want it */
    submit(queue, request_for(pipeline, &tokens[1], 4, &ops[2]));
    load = poll_one(queue, LARDER_EVENT_LOAD);
    CHECK_NUMBER(LARDER_OK, larder_cancel(context, ops[2]));
    done(queue, 4, LARDER_ECANCELLED);
    larder_status late = larder_load_done((uint64_t)load.number, LARDER_MISS, NULL, 0, 0, 0, NULL, NULL);
    CHECK(late == LARDER_OK || late == LARDER_EHANDLE);
    larder_events_clear(&load, 1, sizeof load);

    /* its time: the load is lost, the request is answered */
    token slow = SUMMONER("too slow");
    larder_request request = request_for(pipeline, &slow, 5, NULL);
    request.timeout_ms = 1000; /* time enough to come to the load, also where a tool looks on */
    submit(queue, request);
    load = poll_one(queue, LARDER_EVENT_LOAD);
    done(queue, 5, LARDER_ETIMEOUT);
    larder_events_clear(&load, 1, sizeof load);

    /* an older program's events have no place for what came later */
    token several[2] = {SUMMONER("old 1"), SUMMONER("old 2")};
    const char *texts[2] = {several[0].text, several[1].text};
    size_t lens[2] = {several[0].len, several[1].len};
    request = request_for(pipeline, &slow, 6, NULL);
    request.operation = LARDER_OP_PIPELINE_GET_MANY, request.keys = texts, request.key_lens = lens, request.n = 2;
    request.flags = LARDER_CALL_NO_LOAD;
    submit(queue, request);
    _Alignas(larder_event) unsigned char old[88];
    size_t n = 0;
    EXPECT(LARDER_OK, larder_queue_poll(queue, (larder_event *)(void *)old, 1, sizeof old, 20000, &n, ERR));
    CHECK_NUMBER(1, n);
    larder_events_clear((larder_event *)(void *)old, 1, sizeof old);

    /* a queue that is closed fails its loads: told ones and others */
    token last = SUMMONER("last");
    submit(queue, request_for(pipeline, &last, 7, NULL));
    sleep_ms(20);
    want other = {pipeline, NULL, last, 77};
    thread = start(wants_meanwhile, &other);
    sleep_ms(30);
    EXPECT(LARDER_OK, larder_queue_close(queue));
    join(thread);
    CHECK(other.status < 0 || other.status == LARDER_OK);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
}

/* ---- the end ---- */

static void shut_down_with_loads(way way)
{
    loader loader = {.way = way};
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    larder_queue *queue = open_queue(8);
    larder_status wanted = LARDER_ESHUTDOWN;
    int64_t before = answers.count;
    token tokens[3] = {SUMMONER("end 1"), SUMMONER("end 2"), SUMMONER("end 3")};
    empty(pipeline);
    EXPECT(LARDER_OK, larder_pipeline_get_cb(pipeline, TOKEN(tokens[0]), NULL, on_event, &wanted, NULL, ERR));
    submit(queue, request_for(pipeline, &tokens[1], 1, NULL)); /* its load is told */
    larder_event load = poll_one(queue, LARDER_EVENT_LOAD);
    submit(queue, request_for(pipeline, &tokens[2], 2, NULL)); /* its load is not */
    want sync = {pipeline, NULL, tokens[1], 77};
    pthread_t thread = start(wants_meanwhile, &sync);
    sleep_ms(50);
    int64_t began = now_ms();
    EXPECT(LARDER_OK, larder_shutdown(context, 4000, ERR)); /* a quarter of it is for what was made to end */
    CHECK(now_ms() - began < 20000);
    CHECK_NUMBER(before + 1, answers.count);
    join(thread);
    CHECK_NUMBER(LARDER_ESHUTDOWN, sync.status);
    EXPECT(LARDER_EHANDLE, larder_load_done((uint64_t)load.number, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
    larder_events_clear(&load, 1, sizeof load);
    uint64_t tags = 0;
    for (;;) {
        larder_event event;
        size_t n = 0;
        larder_status status = larder_queue_poll(queue, &event, 1, sizeof event, 20000, &n, NULL);
        if (status == LARDER_ESHUTDOWN)
            break;
        CHECK(status == LARDER_OK && n == 1);
        if (event.kind == LARDER_EVENT_LOAD) {
            EXPECT(LARDER_EHANDLE, larder_load_done((uint64_t)event.number, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
        } else {
            CHECK_NUMBER(LARDER_ESHUTDOWN, event.status);
            tags += event.tag;
        }
        larder_events_clear(&event, 1, sizeof event);
    }
    CHECK_NUMBER(3, tags);
    EXPECT_GET(LARDER_ESHUTDOWN, LARDER_LEVEL_NONE, pipeline, tokens[0], NULL);
    EXPECT(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    CHECK_NUMBER(1, atomic_load(&loader.releases));
    check_nothing_is_open();
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    folder = argv[1];
    begin("20000");
    whose_thread();
    many_at_once(SLOWLY, LARDER_OK);
    many_at_once(LATER, LARDER_OK);
    many_at_once(FAIL, LARDER_ECONNECTION);
    waits_for_itself();
    is_closed_inside();
    time_is_over();
    by_event();
    end();
    begin("150");
    a_lost_load_keeps_nobody();
    end();
    begin("20000");
    shut_down_with_loads(NEVER);
    printf("pipeline loads: everything ended once\n");
    return 0;
}
