/*
 * The operations of a pipeline in all three faces: the same scenario by synchronous calls, by callbacks and through a
 * queue; all three have to say the same, word for word. So do the loads of a single store.
 */
#include "pipelines.h"

enum { LINE = 600, LINES = 100, MANY = 4 };

typedef enum { SYNC, CALLBACK, QUEUE, PACKED, FACES } face;

typedef struct {
    int count;
    char lines[LINES][LINE];
} protocol;

static protocol protocols[FACES];

static struct {
    face face;
    larder_context *context;
    larder_pipeline *pipeline;
    larder_store *store;
    larder_queue *queue;
    protocol *protocol;
} run;

static _Thread_local int is_submitting;

/* ---- what is said ---- */

__attribute__((format(printf, 2, 3))) static void say(char *line, const char *format, ...)
{
    va_list arguments;
    size_t len = strlen(line);
    va_start(arguments, format);
    vsnprintf(line + len, LINE - len, format, arguments);
    va_end(arguments);
}

static void say_value(char *line, const larder_value *value)
{
    const char *json = "nothing";
    size_t len = strlen(json);
    if (value != NULL)
        CHECK(larder_value_json(value, &json, &len, NULL) >= 0);
    say(line, " [%.*s]", (int)len, json);
}

static void say_end(char *line, larder_status status, const larder_error *error)
{
    CHECK((status < 0) == (error != NULL));
    say(line, " %s %s", larder_status_name(status), larder_error_message(error));
}

static void say_event(char *line, const larder_event *event)
{
    CHECK_NUMBER(LARDER_EVENT_DONE, event->kind);
    CHECK((event->values == NULL) == (event->levels == NULL));
    switch (event->operation) {
    case LARDER_OP_PIPELINE_GET:
        say(line, " store %d", (int)event->level);
        /* fall through */
    case LARDER_OP_GET_OR_LOAD:
        say_value(line, event->value);
        break;
    case LARDER_OP_PIPELINE_GET_MANY:
        for (uint32_t i = 0; i < event->n; i++) {
            say(line, " store %d", (int)event->levels[i]);
            say_value(line, event->values[i]);
        }
        say(line, " %d found", (int)event->number);
        break;
    case LARDER_OP_PIPELINE_EXPIRE:
        say(line, " %d removed", (int)event->number);
        break;
    default:
        CHECK(event->value == NULL && event->n == 0 && event->number == 0 && event->level == 0);
    }
    say_end(line, event->status, event->error);
}

/* ---- one step, in every face ---- */

typedef struct {
    counter ended;
    char *line;
} step;

static void on_event(void *user_data, const larder_event *event)
{
    step *step = user_data;
    CHECK(!is_submitting && event->op != 0 && event->tag == 0);
    say_event(step->line, event);
    count_one(&step->ended);
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    step *step = user_data;
    CHECK(!is_submitting && op != 0);
    say_value(step->line, value);
    say_end(step->line, status, error);
    count_one(&step->ended);
}

static char *next_line(const char *name)
{
    CHECK(run.protocol->count < LINES);
    char *line = run.protocol->lines[run.protocol->count++];
    snprintf(line, LINE, "%s:", name);
    return line;
}

/* A request in one flat buffer, as languages without pointers give it. */
static larder_status submit_packed(const larder_request *request, larder_error **error)
{
    struct {
        larder_packed packed;
        larder_load_options options;
        uint64_t table[2 * MANY];
        char bytes[2000];
    } flat;
    memset(&flat, 0, sizeof flat);
    const char *begin = (const char *)&flat;
    char *at = flat.bytes;
    flat.packed.operation = request->operation, flat.packed.format = request->format;
    flat.packed.store = (uint64_t)(uintptr_t)request->store;
    flat.packed.pipeline = (uint64_t)(uintptr_t)request->pipeline;
    flat.packed.tag = request->tag, flat.packed.ttl_ms = request->ttl_ms, flat.packed.flags = request->flags;
    flat.packed.n = request->n;
    if (request->n > 0) {
        flat.packed.key = (uint64_t)((const char *)flat.table - begin);
        for (uint32_t i = 0; i < request->n; i++) {
            flat.table[2 * i] = (uint64_t)(at - begin), flat.table[2 * i + 1] = request->key_lens[i];
            memcpy(at, request->keys[i], request->key_lens[i]);
            at += request->key_lens[i];
        }
    } else if (request->key_len > 0) {
        flat.packed.key = (uint64_t)(at - begin), flat.packed.key_len = request->key_len;
        memcpy(at, request->key, request->key_len);
        at += request->key_len;
    }
    if (request->value_len > 0 && request->value != NULL) {
        flat.packed.value = (uint64_t)(at - begin), flat.packed.value_len = request->value_len;
        memcpy(at, request->value, request->value_len);
    }
    if (request->load_options != NULL) {
        flat.packed.load_options = (uint64_t)((const char *)&flat.options - begin);
        flat.options = *request->load_options;
    }
    return larder_submit_packed(run.queue, &flat, sizeof flat, 1, sizeof flat.packed, NULL, NULL, error);
}

/* Submits, and takes what comes: loads are answered as the loader by function does. */
static void by_queue(larder_request *request, char *line, larder_status (*load)(void *, const larder_load_request *),
                     void *user_data)
{
    larder_error *error = NULL;
    larder_status status;
    request->tag = 4711;
    if (request->operation != LARDER_OP_GET_OR_LOAD)
        request->pipeline = run.pipeline;
    else
        request->store = run.store;
    if (run.face == PACKED) {
        if (load != NULL)
            request->flags |= LARDER_CALL_LOAD_EVENT;
        status = submit_packed(request, &error);
    } else {
        request->load = load, request->load_user_data = user_data;
        status = larder_submit(run.queue, request, 1, sizeof *request, NULL, &error);
    }
    if (status < 0) {
        say_end(line, status, error);
        larder_error_release(error);
        return;
    }
    for (int is_done = 0; !is_done;) {
        larder_event event;
        size_t n = 0;
        EXPECT(LARDER_OK, larder_queue_poll(run.queue, &event, 1, sizeof event, 20000, &n, ERR));
        CHECK(n == 1 && event.tag == 4711);
        if (event.kind == LARDER_EVENT_LOAD) {
            CHECK(run.face == PACKED && event.operation == request->operation && event.timeout_ms > 0);
            larder_load_request asked = {sizeof asked, 0, (uint64_t)event.number, event.text, event.text_len, "queue",
                                         event.timeout_ms, event.token};
            status = load(user_data, &asked);
            if (status != LARDER_OK)
                CHECK(larder_load_done(asked.load, status, NULL, 0, 0, 0, NULL, NULL) != LARDER_EINVAL);
        } else {
            CHECK(event.op != 0);
            say_event(line, &event);
            is_done = 1;
        }
        larder_events_clear(&event, 1, sizeof event);
    }
}

/* `sync` and `begin` use `line`, `error` and `a`; `fill` fills `request`. */
#define STEP(name, sync, begin, fill, load, user_data)                                                                 \
    do {                                                                                                               \
        char *line = next_line(name);                                                                                  \
        larder_error *error = NULL;                                                                                    \
        larder_status status = LARDER_OK;                                                                              \
        step a = {COUNTER_INIT, line};                                                                                 \
        larder_request request = LARDER_REQUEST_INIT;                                                                  \
        switch (run.face) {                                                                                            \
        case SYNC:                                                                                                     \
            status = (sync);                                                                                           \
            say_end(line, status, error);                                                                              \
            break;                                                                                                     \
        case CALLBACK:                                                                                                 \
            is_submitting = 1;                                                                                         \
            status = (begin);                                                                                          \
            is_submitting = 0;                                                                                         \
            if (status == LARDER_OK)                                                                                   \
                wait_for(&a.ended, 1);                                                                                 \
            else                                                                                                       \
                say_end(line, status, error);                                                                          \
            break;                                                                                                     \
        default:                                                                                                       \
            fill;                                                                                                      \
            by_queue(&request, line, (load), (user_data));                                                             \
        }                                                                                                              \
        larder_error_release(error);                                                                                   \
    } while (0)

static larder_status get_now(const token *token, const larder_pipeline_call *call, char *line, larder_error **error)
{
    larder_value *value = NULL;
    int32_t level = 77;
    larder_status status = larder_pipeline_get(run.pipeline, token->text, token->len, call, &value, &level, error);
    say(line, " store %d", (int)level);
    say_value(line, value);
    larder_value_release(value);
    return status;
}

static void get(token token, loader *loader)
{
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    call.load = loader == NULL ? NULL : load_by_way, call.load_user_data = loader;
    STEP("get", get_now(&token, &call, line, &error),
         larder_pipeline_get_cb(run.pipeline, TOKEN(token), &call, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_GET, request.key = token.text, request.key_len = token.len), call.load,
         loader);
}

static larder_status get_many_now(const char *const *texts, const size_t *lens, uint32_t n,
                                  const larder_pipeline_call *call, char *line, larder_error **error)
{
    larder_value *values[MANY];
    int32_t levels[MANY];
    size_t found = 77;
    larder_status status =
        larder_pipeline_get_many(run.pipeline, texts, lens, n, call, values, levels, &found, error);
    for (uint32_t i = 0; i < n && status == LARDER_OK; i++) {
        say(line, " store %d", (int)levels[i]);
        say_value(line, values[i]);
        larder_value_release(values[i]);
    }
    say(line, " %d found", (int)found);
    return status;
}

static void get_many(const token *tokens, uint32_t n, loader *loader)
{
    const char *texts[MANY];
    size_t lens[MANY];
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    for (uint32_t i = 0; i < n; i++)
        texts[i] = tokens[i].text, lens[i] = tokens[i].len;
    call.load = loader == NULL ? NULL : load_by_way, call.load_user_data = loader;
    STEP("get_many", get_many_now(texts, lens, n, &call, line, &error),
         larder_pipeline_get_many_cb(run.pipeline, texts, lens, n, &call, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_GET_MANY, request.keys = texts, request.key_lens = lens,
          request.n = n),
         call.load, loader);
}

static void set(token token, const char *value, int32_t format)
{
    size_t len = strlen(value);
    STEP("set", larder_pipeline_set(run.pipeline, TOKEN(token), value, len, format, NULL, &error),
         larder_pipeline_set_cb(run.pipeline, TOKEN(token), value, len, format, NULL, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_SET, request.key = token.text, request.key_len = token.len,
          request.value = value, request.value_len = len, request.format = format),
         NULL, NULL);
}

static void del(token token)
{
    STEP("delete", larder_pipeline_delete(run.pipeline, TOKEN(token), NULL, &error),
         larder_pipeline_delete_cb(run.pipeline, TOKEN(token), NULL, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_DELETE, request.key = token.text, request.key_len = token.len), NULL,
         NULL);
}

static void contains(token token)
{
    STEP("contains", larder_pipeline_contains(run.pipeline, TOKEN(token), NULL, &error),
         larder_pipeline_contains_cb(run.pipeline, TOKEN(token), NULL, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_CONTAINS, request.key = token.text, request.key_len = token.len), NULL,
         NULL);
}

static void clear(int32_t scope)
{
    int32_t operation = scope == LARDER_CLEAR_EVERYTHING ? LARDER_OP_PIPELINE_CLEAR_EVERYTHING
                                                         : LARDER_OP_PIPELINE_CLEAR_PREFIX;
    STEP("clear", larder_pipeline_clear(run.pipeline, scope, NULL, &error),
         larder_pipeline_clear_cb(run.pipeline, scope, NULL, on_event, &a, NULL, &error),
         (request.operation = operation), NULL, NULL);
}

static larder_status expire_now(char *line, larder_error **error)
{
    uint64_t removed = 77;
    larder_status status = larder_pipeline_expire(run.pipeline, NULL, &removed, error);
    say(line, " %d removed", (int)removed);
    return status;
}

static void expire(void)
{
    STEP("expire", expire_now(line, &error), larder_pipeline_expire_cb(run.pipeline, NULL, on_event, &a, NULL, &error),
         (request.operation = LARDER_OP_PIPELINE_EXPIRE), NULL, NULL);
}

static larder_status get_or_load_now(const char *key, loader *loader, const larder_load_options *options, char *line,
                                     larder_error **error)
{
    larder_value *value = NULL;
    larder_status status = larder_get_or_load(run.store, key, strlen(key), load_by_way, loader, 60000, options, NULL,
                                              &value, error);
    say_value(line, value);
    larder_value_release(value);
    return status;
}

static void get_or_load(const char *key, loader *loader, const larder_load_options *options)
{
    STEP("get_or_load", get_or_load_now(key, loader, options, line, &error),
         larder_get_or_load_cb(run.store, key, strlen(key), load_by_way, loader, 60000, options, NULL, on_answer, &a,
                               NULL, &error),
         (request.operation = LARDER_OP_GET_OR_LOAD, request.key = key, request.key_len = strlen(key),
          request.ttl_ms = 60000, request.load_options = options),
         load_by_way, loader);
}

/* ---- the scenario ---- */

static void loaders(void)
{
    static const way ways[] = {NOW,  LATER,     TWICE,   NOT_FOUND,  NONE_DONE,
                               FAIL, FAIL_DONE, STRANGE, CONTRADICT, BROKEN};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        loader one = {.way = ways[i]}, other = {.way = ways[i]};
        char name[32];
        snprintf(name, sizeof name, "way %d", (int)ways[i]);
        if (run.face == PACKED && ways[i] == STRANGE)
            one.way = other.way = FAIL; /* larder_load_done refuses it: the loader is told, and not the caller */
        get(SUMMONER(name), &one);
        CHECK_NUMBER(1, atomic_load(&one.calls));
        get(SUMMONER(name), NULL);
        get_or_load(name, &other, NULL);
        CHECK_NUMBER(1, atomic_load(&other.calls));
        for (int64_t end = now_ms() + 20000; ways[i] == LATER && atomic_load(&one.late_answers) == 0; sleep_ms(1))
            CHECK(now_ms() < end);
        for (int64_t end = now_ms() + 20000; ways[i] == LATER && atomic_load(&other.late_answers) == 0; sleep_ms(1))
            CHECK(now_ms() < end);
        if (run.face == PACKED && ways[i] == STRANGE) { /* what came instead is not compared */
            strcpy(run.protocol->lines[run.protocol->count - 3], protocols[SYNC].lines[run.protocol->count - 3]);
            strcpy(run.protocol->lines[run.protocol->count - 1], protocols[SYNC].lines[run.protocol->count - 1]);
        }
    }
}

static void scenario(void)
{
    loader now = {.way = NOW};
    larder_load_options spread = LARDER_LOAD_OPTIONS_INIT;
    token league = token_of("league_v4_challenger_league", "solo"), match = token_of("match_v4_match", "1");
    token timeline = token_of("match_v4_timeline", "1");
    clear(LARDER_CLEAR_EVERYTHING);
    get(SUMMONER("nobody"), NULL), contains(SUMMONER("nobody")), del(SUMMONER("nobody"));
    set(SUMMONER("Ahri"), "{\"level\": 678}", LARDER_JSON), get(SUMMONER("Ahri"), NULL);
    set(league, "league", LARDER_TEXT), get(league, NULL), contains(league);
    set(match, "\x01\x02", LARDER_BYTES), get(match, NULL), contains(match), get(match, &now);
    set(timeline, "none", LARDER_TEXT), get(timeline, NULL), contains(timeline), get(timeline, &now);
    set(SUMMONER("wrong"), "{", LARDER_JSON), set(SUMMONER("wrong"), "x", 99), set(SUMMONER("wrong"), "\xff", LARDER_TEXT);
    EXPECT(LARDER_MISS, larder_delete(run.store, LARDER_LIT("way 0"), NULL, ERR));
    token several[MANY] = {SUMMONER("Ahri"), SUMMONER("new"), match, timeline};
    get_many(several, MANY, NULL), get_many(several, MANY, &now), get_many(several, MANY, NULL), get_many(several, 0, NULL);
    del(SUMMONER("Ahri")), get(SUMMONER("Ahri"), NULL), contains(SUMMONER("Ahri")), del(match), contains(match);
    loaders();
    spread.jitter = 0.2, spread.early = 1, spread.timeout_ms = 5000, spread.grace_ms = 1000;
    get_or_load("spread", &now, &spread), get_or_load("spread", &now, &spread);
    expire();
    clear(LARDER_CLEAR_PREFIX), get(league, NULL);
    clear(LARDER_CLEAR_EVERYTHING), get(league, NULL);
}

/* ---- made tokens, in place of their texts ---- */

/* Looks into the token that it is to load. */
static larder_status load_made(void *user_data, const larder_load_request *request)
{
    const char *name = NULL, *server = NULL;
    size_t len = 0, server_len = 0;
    (void)user_data;
    CHECK(request->made != NULL);
    EXPECT(LARDER_OK, larder_token_param(request->made, "name", &name, &len, ERR));
    EXPECT(LARDER_OK, larder_token_server(request->made, &server, &server_len, ERR));
    CHECK(server_len == 3 && memcmp(server, "na1", 3) == 0);
    return larder_load_done(request->load, LARDER_OK, name, len, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, NULL);
}

static larder_token *made(const char *name)
{
    larder_token *token = NULL;
    EXPECT(LARDER_OK, larder_token_begin("LOL", "NA1", "summoner_v4_by_name", NULL, &token, ERR));
    EXPECT(LARDER_OK, larder_token_param_text(token, "name", name, strlen(name), ERR));
    return token;
}

static void made_tokens(void)
{
    loader now = {.way = NOW};
    larder_token *tokens[2] = {made("Hide on bush"), made("Azir")}, *bad = NULL;
    const larder_token *const borrowed[2] = {tokens[0], tokens[1]};
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    larder_value *values[2] = {NULL, NULL};
    int32_t levels[2];
    const char *text = NULL;
    size_t found = 0, len = 0;
    char line[LINE] = "", event[LINE] = "";
    step a = {COUNTER_INIT, event};
    token first = SUMMONER("Hide_on_bush"), second = SUMMONER("Azir");
    call.tokens = borrowed, call.load = load_by_way, call.load_user_data = &now;
    EXPECT(LARDER_OK, larder_pipeline_clear(run.pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    EXPECT(LARDER_OK, larder_pipeline_get(run.pipeline, NULL, 0, &call, &values[0], &levels[0], ERR));
    CHECK_NUMBER(LARDER_LEVEL_LOADED, levels[0]);
    check_loaded(values[0], &first);
    EXPECT_GET(LARDER_OK, 0, run.pipeline, first, NULL); /* the same, by its text */
    EXPECT(LARDER_OK, larder_pipeline_get_many(run.pipeline, NULL, NULL, 2, &call, values, levels, &found, ERR));
    CHECK(found == 2 && levels[0] == 0 && levels[1] == LARDER_LEVEL_LOADED);
    check_loaded(values[0], &first), check_loaded(values[1], &second);
    call.load = NULL;
    EXPECT(LARDER_OK, larder_pipeline_contains(run.pipeline, NULL, 0, &call, ERR));
    EXPECT(LARDER_OK, larder_pipeline_delete(run.pipeline, NULL, 0, &call, ERR));
    EXPECT(LARDER_OK, larder_pipeline_set(run.pipeline, NULL, 0, "7", 1, LARDER_JSON, &call, ERR));
    say(line, " store 0 [7] LARDER_OK ");
    EXPECT(LARDER_OK, larder_pipeline_get_cb(run.pipeline, NULL, 0, &call, on_event, &a, NULL, ERR));
    wait_for(&a.ended, 1);
    CHECK(strcmp(line, event) == 0);
    run.face = QUEUE, event[0] = '\0';
    larder_request request = LARDER_REQUEST_INIT;
    request.operation = LARDER_OP_PIPELINE_GET, request.tokens = borrowed;
    by_queue(&request, event, NULL, NULL);
    CHECK(strcmp(line, event) == 0);
    request.operation = LARDER_OP_PIPELINE_GET_MANY, request.n = 2, event[0] = '\0';
    by_queue(&request, event, NULL, NULL);
    CHECK(strstr(event, "2 found LARDER_OK") != NULL);
    request.n = 0, event[0] = '\0';
    by_queue(&request, event, NULL, NULL);
    CHECK(strstr(event, "0 found LARDER_OK") != NULL);
    for (run.face = QUEUE; run.face <= PACKED; run.face++) { /* loaded by function, and by event */
        EXPECT(LARDER_OK, larder_pipeline_delete(run.pipeline, TOKEN(first), NULL, ERR));
        request.operation = LARDER_OP_PIPELINE_GET, event[0] = '\0';
        request.load = run.face == QUEUE ? load_made : NULL;
        request.flags = run.face == QUEUE ? 0 : LARDER_CALL_LOAD_EVENT;
        EXPECT(LARDER_OK, larder_submit(run.queue, &request, 1, sizeof request, NULL, ERR));
        larder_event polled;
        size_t n = 0;
        EXPECT(LARDER_OK, larder_queue_poll(run.queue, &polled, 1, sizeof polled, 20000, &n, ERR));
        if (run.face == PACKED) {
            CHECK_NUMBER(LARDER_EVENT_LOAD, polled.kind);
            larder_load_request asked = {sizeof asked, 0, (uint64_t)polled.number, polled.text, polled.text_len, "queue",
                                         polled.timeout_ms, polled.token};
            EXPECT(LARDER_OK, load_made(NULL, &asked));
            larder_events_clear(&polled, 1, sizeof polled);
            EXPECT(LARDER_OK, larder_queue_poll(run.queue, &polled, 1, sizeof polled, 20000, &n, ERR));
        }
        say_event(event, &polled);
        larder_events_clear(&polled, 1, sizeof polled);
        CHECK(strcmp(event, " store -1 [\"Hide on bush\"] LARDER_OK ") == 0);
    }
    request.load = NULL, request.flags = 0;
    EXPECT(LARDER_OK, larder_pipeline_token(run.pipeline, tokens[0], &text, &len, ERR));
    CHECK(len == first.len && memcmp(text, first.text, len) == 0);
    EXPECT(LARDER_EHANDLE, larder_pipeline_token(run.pipeline, NULL, &text, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_pipeline_token(NULL, tokens[0], &text, &len, ERR));
    /* twice, none, and one that went wrong */
    EXPECT(LARDER_EINVAL, larder_pipeline_get(run.pipeline, TOKEN(first), &call, values, levels, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_get_many(run.pipeline, (const char *[]){"a"}, (size_t[]){1}, 1, &call, values,
                                                   levels, NULL, ERR));
    CHECK_NUMBER(LARDER_OK, larder_token_begin("LOL", "NA1", "summoner_v4_by_name", NULL, &bad, NULL));
    CHECK_NUMBER(LARDER_EINVAL, larder_token_param_text(bad, "name", "\xff", 1, NULL));
    call.tokens = (const larder_token *const[]){bad};
    EXPECT(LARDER_EINVAL, larder_pipeline_get(run.pipeline, NULL, 0, &call, values, levels, ERR));
    call.tokens = (const larder_token *const[]){NULL};
    EXPECT(LARDER_EHANDLE, larder_pipeline_get(run.pipeline, NULL, 0, &call, values, levels, ERR));
    request.operation = LARDER_OP_PIPELINE_GET, request.key = "a", request.key_len = 1, request.pipeline = run.pipeline;
    EXPECT(LARDER_EINVAL, larder_submit(run.queue, &request, 1, sizeof request, NULL, ERR));
    request.operation = LARDER_OP_GET, request.store = run.store;
    EXPECT(LARDER_EINVAL, larder_submit(run.queue, &request, 1, sizeof request, NULL, ERR));
    larder_token_release(bad), larder_token_release(tokens[0]), larder_token_release(tokens[1]);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    run.context = open_pipelines(argv[1], "20000");
    run.pipeline = open_pipeline(run.context, NULL);
    run.store = open_store(run.context, "default");
    EXPECT(LARDER_OK, larder_queue_open(run.context, 1, 0, &run.queue, ERR));
    for (int face = 0; face < FACES; face++) {
        run.face = face, run.protocol = &protocols[face];
        scenario();
    }
    for (int face = 1; face < FACES; face++) {
        CHECK_NUMBER(protocols[SYNC].count, protocols[face].count);
        for (int i = 0; i < protocols[SYNC].count; i++) {
            if (strcmp(protocols[SYNC].lines[i], protocols[face].lines[i]) != 0)
                FAIL("line %d:\n  %s\n  in face %d:\n  %s", i, protocols[SYNC].lines[i], face, protocols[face].lines[i]);
        }
    }
    if (getenv("LARDER_TWINS_SHOW") != NULL) {
        for (int i = 0; i < protocols[SYNC].count; i++)
            printf("  %s\n", protocols[SYNC].lines[i]);
    }
    made_tokens();
    char name[16];
    size_t len = 0;
    EXPECT(LARDER_OK, larder_pipeline_level(run.pipeline, 1, name, sizeof name, &len, ERR));
    CHECK(len == 4 && memcmp(name, "file", 4) == 0);
    EXPECT(LARDER_TRUNCATED, larder_pipeline_level(run.pipeline, 0, name, 6, &len, ERR));
    CHECK_NUMBER(7, len);
    EXPECT(LARDER_EMPTY, larder_pipeline_level(run.pipeline, 2, name, sizeof name, &len, ERR));
    EXPECT(LARDER_EMPTY, larder_pipeline_level(run.pipeline, LARDER_LEVEL_LOADED, name, sizeof name, &len, ERR));
    larder_pipeline_numbers numbers = LARDER_PIPELINE_NUMBERS_INIT;
    larder_store_stats stats = LARDER_STATS_INIT;
    char exposed[65536];
    EXPECT(LARDER_OK, larder_pipeline_stats(run.pipeline, &numbers, ERR));
    CHECK(numbers.levels == 2 && numbers.hits > 0 && numbers.misses > 0 && numbers.skipped > 0);
    CHECK(numbers.loads > numbers.not_found && numbers.load_failures > 0);
    EXPECT(LARDER_OK, larder_pipeline_level_stats(run.pipeline, 1, &stats, ERR));
    CHECK(stats.sets > 0 && stats.hits > 0);
    EXPECT(LARDER_EMPTY, larder_pipeline_level_stats(run.pipeline, 2, &stats, ERR));
    EXPECT(LARDER_EMPTY, larder_pipeline_level_stats(run.pipeline, -1, &stats, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_level_stats(run.pipeline, 0, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_stats(run.pipeline, NULL, ERR));
    numbers.struct_size = 8;
    EXPECT(LARDER_EINVAL, larder_pipeline_stats(run.pipeline, &numbers, ERR));
    numbers.struct_size = sizeof numbers;
    EXPECT(LARDER_EHANDLE, larder_pipeline_stats(NULL, &numbers, ERR));
    EXPECT(LARDER_OK, larder_prometheus(run.context, exposed, sizeof exposed - 1, &len, ERR));
    exposed[len] = '\0';
    CHECK(strstr(exposed, "larder_pipeline_loads_total{pipeline=\"LOL\"}") != NULL);
    CHECK(strstr(exposed, "larder_pipeline_hits_total{pipeline=\"LOL\",alias=\"file\"}") != NULL);
    CHECK(strstr(exposed, "larder_sets_total{alias=\"file\"}") != NULL);
    EXPECT(LARDER_OK, larder_queue_close(run.queue));
    EXPECT(LARDER_OK, larder_pipeline_close(run.pipeline));
    EXPECT(LARDER_OK, larder_store_close(run.store));
    EXPECT(LARDER_OK, larder_shutdown(run.context, 10000, ERR));
    check_nothing_is_open();
    printf("pipeline: %d answers, the same in all faces\n", protocols[SYNC].count);
    return 0;
}
