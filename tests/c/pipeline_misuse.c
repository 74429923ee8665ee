/*
 * Everything that can be done wrong with pipelines and loaders: refused with a status and an error, never a crash. And
 * what a forked child finds.
 */
#include "pipelines.h"

#include <sys/wait.h>

#define KEY LARDER_LIT("lolna1summoner_v4_by_name{'name':_'x'}{}")

static void no_event(void *user_data, const larder_event *event)
{
    (void)user_data;
    FAIL("a refused operation was answered: %s", larder_status_name(event->status));
}

static void no_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    (void)user_data, (void)op, (void)value, (void)error;
    FAIL("a refused operation was answered: %s", larder_status_name(status));
}

static larder_status no_load(void *user_data, const larder_load_request *request)
{
    (void)user_data;
    FAIL("%s was to be loaded", request->token);
}

/* Every synchronous operation. */
static void refused(larder_status wanted, const larder_pipeline *pipeline, const larder_pipeline_call *call)
{
    larder_value *value = (larder_value *)&value, *values[1] = {value};
    int32_t level = 77, levels[1] = {77};
    size_t found = 77;
    uint64_t removed = 77;
    const char *tokens[] = {"a"};
    size_t lens[] = {1};
    EXPECT(wanted, larder_pipeline_get(pipeline, KEY, call, &value, &level, ERR));
    CHECK(value == NULL && level == LARDER_LEVEL_NONE);
    EXPECT(wanted, larder_pipeline_get_many(pipeline, tokens, lens, 1, call, values, levels, &found, ERR));
    CHECK(values[0] == NULL && levels[0] == LARDER_LEVEL_NONE && found == 0);
    EXPECT(wanted, larder_pipeline_set(pipeline, KEY, "1", 1, LARDER_JSON, call, ERR));
    EXPECT(wanted, larder_pipeline_delete(pipeline, KEY, call, ERR));
    EXPECT(wanted, larder_pipeline_contains(pipeline, KEY, call, ERR));
    EXPECT(wanted, larder_pipeline_clear(pipeline, LARDER_CLEAR_PREFIX, call, ERR));
    EXPECT(wanted, larder_pipeline_expire(pipeline, call, &removed, ERR));
    CHECK_NUMBER(0, removed);
    CHECK_NUMBER(wanted, larder_pipeline_expire(pipeline, call, NULL, NULL)); /* nobody has to ask for anything */
}

/* Every operation by callback. */
static void refused_later(larder_status wanted, const larder_pipeline *pipeline, const larder_pipeline_call *call,
                          larder_event_fn fn)
{
    const char *tokens[] = {"a"};
    size_t lens[] = {1};
    larder_op op;
#define REFUSED(...)                                                                                                   \
    do {                                                                                                               \
        op = 77;                                                                                                       \
        EXPECT(wanted, __VA_ARGS__);                                                                                   \
        CHECK(op == 0);                                                                                                \
    } while (0)
    REFUSED(larder_pipeline_get_cb(pipeline, KEY, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_get_many_cb(pipeline, tokens, lens, 1, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_set_cb(pipeline, KEY, "1", 1, LARDER_JSON, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_delete_cb(pipeline, KEY, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_contains_cb(pipeline, KEY, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_clear_cb(pipeline, LARDER_CLEAR_PREFIX, call, fn, NULL, &op, ERR));
    REFUSED(larder_pipeline_expire_cb(pipeline, call, fn, NULL, &op, ERR));
}

static void refused_by_queue(larder_status wanted, larder_queue *queue, larder_request request)
{
    size_t accepted = 77;
    request.tag = 7;
    EXPECT(wanted, larder_submit(queue, &request, 1, sizeof request, &accepted, ERR));
    CHECK_NUMBER(0, accepted);
}

static void opening(larder_context *context)
{
    larder_pipeline *pipeline = (larder_pipeline *)&pipeline;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    loader loader = {.way = NOW};
    options.load = load_by_way, options.load_user_data = &loader, options.load_release = release_loader;
    EXPECT(LARDER_EHANDLE, larder_pipeline_open(NULL, "LOL", NULL, &pipeline, ERR));
    CHECK(pipeline == NULL);
    EXPECT(LARDER_EINVAL, larder_pipeline_open(context, NULL, &options, &pipeline, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_open(context, "LOL", NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_open(context, "\xff", NULL, &pipeline, ERR));
    EXPECT(LARDER_ECONFIG, larder_pipeline_open(context, "LOI", &options, &pipeline, ERR));
    EXPECT(LARDER_ECONFIG, larder_pipeline_open(context, "", &options, &pipeline, ERR));
    larder_error *error = NULL;
    CHECK_NUMBER(LARDER_ECONFIG, larder_pipeline_open(context, "LOI", NULL, &pipeline, &error));
    CHECK(strstr(larder_error_message(error), "did you mean \"LOL\"?") != NULL);
    larder_error_release(error);
    options.struct_size = 8;
    EXPECT(LARDER_EINVAL, larder_pipeline_open(context, "LOL", &options, &pipeline, ERR));
    struct {
        larder_pipeline_options known;
        uint64_t more;
    } grown = {LARDER_PIPELINE_OPTIONS_INIT, 1};
    grown.known.struct_size = sizeof grown;
    EXPECT(LARDER_EINVAL, larder_pipeline_open(context, "LOL", &grown.known, &pipeline, ERR));
    grown.more = 0;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", &grown.known, &pipeline, ERR));
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    CHECK_NUMBER(0, atomic_load(&loader.releases)); /* it stayed ours */
    EXPECT(LARDER_EHANDLE, larder_pipeline_close(pipeline));
    EXPECT(LARDER_EHANDLE, larder_pipeline_close(NULL));
    larder_store *store = open_store(context, "default");
    EXPECT(LARDER_EHANDLE, larder_pipeline_close((larder_pipeline *)(void *)store));
    refused(LARDER_EHANDLE, (larder_pipeline *)(void *)store, NULL);
    EXPECT(LARDER_OK, larder_store_close(store));
    char name[8];
    EXPECT(LARDER_EHANDLE, larder_pipeline_level(pipeline, 0, name, sizeof name, NULL, ERR));
}

static void calling(larder_context *context, larder_pipeline *pipeline)
{
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    larder_value *value = NULL;
    call.flags = LARDER_CALL_LOAD_EVENT;
    refused(LARDER_EINVAL, pipeline, &call), refused_later(LARDER_EINVAL, pipeline, &call, no_event);
    call.flags = LARDER_CALL_NX;
    refused(LARDER_EINVAL, pipeline, &call), refused_later(LARDER_EINVAL, pipeline, &call, no_event);
    call.flags = LARDER_CALL_NO_LOAD, call.load = no_load;
    refused(LARDER_EINVAL, pipeline, &call), refused_later(LARDER_EINVAL, pipeline, &call, no_event);
    call.flags = 0, call.timeout_ms = -1;
    refused(LARDER_EINVAL, pipeline, &call), refused_later(LARDER_EINVAL, pipeline, &call, no_event);
    call.timeout_ms = 0, call.struct_size = 4;
    refused(LARDER_EINVAL, pipeline, &call), refused_later(LARDER_EINVAL, pipeline, &call, no_event);
    refused_later(LARDER_EINVAL, pipeline, NULL, NULL);
    EXPECT(LARDER_EINVAL, larder_pipeline_get(pipeline, KEY, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_get(pipeline, NULL, 1, NULL, &value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_get(pipeline, "\xff", 1, NULL, &value, NULL, ERR));
    EXPECT(LARDER_ETOOBIG, larder_pipeline_get(pipeline, "x", (size_t)100 << 20, NULL, &value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_get(pipeline, "x", SIZE_MAX, NULL, &value, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_get_many(pipeline, NULL, NULL, 1, NULL, &value, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_set(pipeline, KEY, NULL, 1, LARDER_JSON, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_clear(pipeline, 77, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_clear_cb(pipeline, 77, NULL, no_event, NULL, NULL, ERR));

    larder_store *store = open_store(context, "default");
    larder_call plain = LARDER_CALL_INIT;
    larder_load_options options = LARDER_LOAD_OPTIONS_INIT;
    larder_op op = 77;
#define LOADS(wanted, load, options, call)                                                                             \
    do {                                                                                                               \
        op = 77;                                                                                                       \
        EXPECT((wanted), larder_get_or_load(store, KEY, (load), NULL, 1000, (options), (call), &value, ERR));          \
        EXPECT((wanted), larder_get_or_load_cb(store, KEY, (load), NULL, 1000, (options), (call), no_answer, NULL,     \
                                               &op, ERR));                                                             \
        CHECK(op == 0 && value == NULL);                                                                               \
    } while (0)
    LOADS(LARDER_EINVAL, NULL, NULL, NULL);
    plain.flags = LARDER_CALL_NX;
    LOADS(LARDER_EINVAL, no_load, NULL, &plain);
    plain.flags = LARDER_CALL_LOAD_EVENT;
    LOADS(LARDER_EINVAL, no_load, NULL, &plain);
    options.grace_ms = -1;
    LOADS(LARDER_EINVAL, no_load, &options, NULL);
    options.grace_ms = 0, options.early = -1;
    LOADS(LARDER_EINVAL, no_load, &options, NULL);
    options.early = 0, options.jitter = 0.6;
    LOADS(LARDER_EINVAL, no_load, &options, NULL);
    options.jitter = 0, options.lock_ms = 1000; /* in memory: there are no locks */
    LOADS(LARDER_EUNSUPPORTED, no_load, &options, NULL);
    options.lock_ms = 0, options.struct_size = 40;
    LOADS(LARDER_EINVAL, no_load, &options, NULL);
    EXPECT(LARDER_EINVAL, larder_get_or_load(store, KEY, no_load, NULL, 1000, NULL, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_get_or_load_cb(store, KEY, no_load, NULL, 1000, NULL, NULL, NULL, NULL, &op, ERR));
    EXPECT(LARDER_OK, larder_store_close(store));
    LOADS(LARDER_EHANDLE, no_load, NULL, NULL);
}

static void by_queue(larder_context *context, larder_context *other, larder_pipeline *pipeline)
{
    larder_queue *queue = NULL;
    larder_request request = LARDER_REQUEST_INIT;
    larder_load_options options = LARDER_LOAD_OPTIONS_INIT;
    larder_pipeline *foreign = open_pipeline(other, NULL);
    larder_store *store = open_store(context, "default");
    EXPECT(LARDER_OK, larder_queue_open(context, 8, 0, &queue, ERR));
    request.operation = LARDER_OP_PIPELINE_GET;
    refused_by_queue(LARDER_EHANDLE, queue, request);
    request.pipeline = foreign;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.pipeline = pipeline, request.version = "2", request.version_len = 1;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.version = NULL, request.flags = LARDER_CALL_FINAL_KEY;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.flags = LARDER_CALL_LOAD_EVENT | LARDER_CALL_NO_LOAD;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.flags = LARDER_CALL_LOAD_EVENT, request.load = no_load;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.flags = 0, request.load_options = &options;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.load_options = NULL, request.operation = LARDER_OP_PIPELINE_DELETE;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.load = NULL, request.flags = LARDER_CALL_LOAD_EVENT;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.operation = LARDER_OP_GET, request.store = store;
    refused_by_queue(LARDER_EINVAL, queue, request);
    request.flags = 0, request.operation = LARDER_OP_GET_OR_LOAD;
    refused_by_queue(LARDER_EINVAL, queue, request); /* nobody loads */
    request.load = no_load, request.store = NULL;
    refused_by_queue(LARDER_EHANDLE, queue, request);
    request.store = store, options.lock_ms = 1000, request.load_options = &options;
    refused_by_queue(LARDER_EUNSUPPORTED, queue, request); /* in memory: there are no locks */
    request.load_options = NULL, request.operation = LARDER_OP_GET_OR_LOAD + 1;
    refused_by_queue(LARDER_EINVAL, queue, request);

    struct {
        larder_packed packed;
        char bytes[8];
    } flat = {{0}, "lol"};
    flat.packed.operation = LARDER_OP_GET_OR_LOAD, flat.packed.flags = LARDER_CALL_LOAD_EVENT;
    flat.packed.store = (uint64_t)(uintptr_t)store;
    static const uint64_t outside[] = {sizeof flat - 2, sizeof flat, UINT64_MAX, offsetof(larder_packed, tag), 1};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        flat.packed.load_options = outside[i];
        EXPECT(LARDER_EINVAL, larder_submit_packed(queue, &flat, sizeof flat, 1, sizeof flat.packed, NULL, NULL, ERR));
    }

    /* what was built with larder 0.1 brings smaller requests */
    larder_request old = LARDER_REQUEST_INIT;
    larder_event event;
    size_t n = 0;
    old.operation = LARDER_OP_PING, old.store = store;
    EXPECT(LARDER_OK, larder_submit(queue, &old, 1, 144, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 20000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_OK);
    memset(&flat, 0, sizeof flat);
    flat.packed.operation = LARDER_OP_PING, flat.packed.store = (uint64_t)(uintptr_t)store;
    EXPECT(LARDER_OK, larder_submit_packed(queue, &flat, 104, 1, 104, NULL, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 20000, &n, ERR));
    CHECK(n == 1 && event.status == LARDER_OK);
    EXPECT(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_pipeline_close(foreign));
}

/* A child goes on with the parent's pipeline, and has none of its loads. */
static void forking(larder_pipeline *pipeline, loader *loader)
{
    int status = 0;
    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("before"), NULL);
    loader->way = NEVER;
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    call.timeout_ms = 50;
    EXPECT_GET(LARDER_ETIMEOUT, LARDER_LEVEL_NONE, pipeline, SUMMONER("parent's"), &call);
    loader->way = NOW;
    let_threads_rest();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        EXPECT_GET(LARDER_OK, 1, pipeline, SUMMONER("before"), NULL); /* in the files; its memory starts empty */
        EXPECT_GET(LARDER_OK, 0, pipeline, SUMMONER("before"), NULL);
        EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("child's"), NULL);
        EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, SUMMONER("parent's"), NULL);
        EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
        CHECK_NUMBER(0, atomic_load(&loader->releases)); /* the parent's data is the parent's */
        execl("/bin/true", "true", (char *)NULL); /* what was inherited stays unfreed: no leak checker is to look */
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    EXPECT_GET(LARDER_OK, 1, pipeline, SUMMONER("child's"), NULL);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_pipelines(argv[1], "20000"), *other = open_pipelines(argv[1], "20000");
    loader loader = {.way = NOW};
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    EXPECT(LARDER_OK, larder_pipeline_clear(pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    opening(context);
    refused(LARDER_EHANDLE, NULL, NULL), refused_later(LARDER_EHANDLE, NULL, NULL, no_event);
    calling(context, pipeline);
    by_queue(context, other, pipeline);
    CHECK_NUMBER(0, atomic_load(&loader.calls));
    forking(pipeline, &loader);
    EXPECT(LARDER_OK, larder_shutdown(other, 10000, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    refused(LARDER_ESHUTDOWN, pipeline, NULL), refused_later(LARDER_ESHUTDOWN, pipeline, NULL, no_event);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    CHECK_NUMBER(1, atomic_load(&loader.releases));
    refused(LARDER_EHANDLE, pipeline, NULL), refused_later(LARDER_EHANDLE, pipeline, NULL, no_event);
    check_nothing_is_open();
    printf("pipeline misuse: every call was answered\n");
    return 0;
}
