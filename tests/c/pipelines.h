/*
 * What the programs about pipelines share: a configuration, tokens, and a loader whose ways can be chosen.
 */
#ifndef LARDER_TESTS_PIPELINES_H
#define LARDER_TESTS_PIPELINES_H

#include "support.h"

#include <stdatomic.h>

/*
 * "LOL" over memory and files. summoner_v4_by_name is kept by both, league_v4_challenger_league by the first,
 * match_v4_match by the second, and match_v4_timeline by none.
 */
static inline larder_context *open_pipelines(const char *folder, const char *load)
{
    static const char pattern[] =
        "{\"CACHES\": {"
        " \"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"LOCATION\": \"first\"},"
        " \"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\", \"LOCATION\": \"%s/files\"}},"
        "\"PIPELINES\": {\"LOL\": {\"PIPELINE\": ["
        " {\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"default\", \"LOG_LEVEL\": 30, \"EXPIRATIONS\":"
        "  {\"summoner_v4_by_name\": 120, \"league_v4_challenger_league\": \"10m\"}},"
        " {\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"file\", \"EXPIRATIONS\":"
        "  {\"summoner_v4_by_name\": 600, \"match_v4_match\": -1}}], \"LOAD\": {\"TIMEOUT_MS\": %s}}}}";
    char text[4096];
    int len = snprintf(text, sizeof text, pattern, folder, load);
    larder_context *context = NULL;
    CHECK(len > 0 && (size_t)len < sizeof text);
    EXPECT(LARDER_OK, larder_open(text, (size_t)len, NULL, &context, ERR));
    return context;
}

typedef struct {
    char text[128];
    size_t len;
} token;

static inline token token_of(const char *endpoint, const char *name)
{
    token made;
    made.len = (size_t)snprintf(made.text, sizeof made.text, "lolna1%s{'name':_'%s'}{}", endpoint, name);
    CHECK(made.len < sizeof made.text);
    return made;
}

#define SUMMONER(name) token_of("summoner_v4_by_name", (name))
#define TOKEN(token) (token).text, (token).len

/* How a loader answers. What it loads is the token's text as JSON. */
typedef enum {
    NOW,        /* by larder_load_done, inside the call */
    LATER,      /* the same, from another thread, after the call */
    NEVER,      /* not at all */
    TWICE,      /* a second time, which is refused */
    NOT_FOUND,  /* by its status */
    NONE_DONE,  /* by larder_load_done */
    FAIL,       /* by its status */
    FAIL_DONE,  /* by larder_load_done, with a message */
    STRANGE,    /* by a status that means nothing */
    BROKEN,     /* with arguments that are refused, and then with good ones */
    SLOWLY,     /* now, after 100 ms */
    CONTRADICT, /* by larder_load_done, and then by a status that says otherwise */
} way;

typedef struct {
    way way;
    _Atomic int calls, releases, late_answers;
    _Atomic uint64_t load; /* the last one */
    pthread_t caller;      /* of the last one */
    int32_t wanted_level;
} loader;

static inline larder_status answer_with_token(uint64_t load, const char *text, size_t len)
{
    char json[160];
    int n = snprintf(json, sizeof json, "{\"token\": \"%.*s\"}", (int)len, text);
    CHECK(n > 0 && (size_t)n < sizeof json);
    return larder_load_done(load, LARDER_OK, json, (size_t)n, LARDER_JSON, LARDER_TTL_DEFAULT, NULL, NULL);
}

typedef struct {
    loader *loader;
    uint64_t load;
    token token;
} late;

static inline void *answer_late(void *argument)
{
    late *late = argument;
    sleep_ms(50);
    larder_status status = answer_with_token(late->load, late->token.text, late->token.len);
    CHECK(status == LARDER_OK || status == LARDER_EHANDLE);
    atomic_fetch_add(&late->loader->late_answers, 1);
    free(late);
    return NULL;
}

static inline larder_status load_by_way(void *user_data, const larder_load_request *request)
{
    loader *loader = user_data;
    CHECK(request->struct_size >= sizeof *request && request->load != 0);
    CHECK(strlen(request->token) == request->token_len && strlen(request->name) > 0);
    CHECK(request->timeout_ms > 0);
    atomic_fetch_add(&loader->calls, 1);
    atomic_store(&loader->load, request->load);
    loader->caller = pthread_self();
    switch (loader->way) {
    case SLOWLY:
        sleep_ms(100);
        return answer_with_token(request->load, request->token, request->token_len);
    case NOW:
        return answer_with_token(request->load, request->token, request->token_len);
    case TWICE:
        EXPECT(LARDER_OK, answer_with_token(request->load, request->token, request->token_len));
        EXPECT(LARDER_EHANDLE, answer_with_token(request->load, request->token, request->token_len));
        EXPECT(LARDER_EHANDLE, larder_load_done(request->load, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
        return LARDER_OK;
    case CONTRADICT:
        EXPECT(LARDER_OK, answer_with_token(request->load, request->token, request->token_len));
        return LARDER_EIO;
    case LATER: {
        late *late = malloc(sizeof *late);
        pthread_t thread;
        late->loader = loader, late->load = request->load;
        late->token.len = request->token_len;
        memcpy(late->token.text, request->token, request->token_len + 1);
        CHECK_NUMBER(0, pthread_create(&thread, NULL, answer_late, late));
        pthread_detach(thread);
        return LARDER_OK;
    }
    case NEVER:
        return LARDER_OK;
    case NOT_FOUND:
        return LARDER_MISS;
    case NONE_DONE:
        EXPECT(LARDER_OK, larder_load_done(request->load, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
        return LARDER_OK;
    case FAIL:
        return LARDER_ECONNECTION;
    case FAIL_DONE:
        EXPECT(LARDER_OK, larder_load_done(request->load, LARDER_ETOOBIG, NULL, 0, 0, 0, "too\nmany summoners", ERR));
        return LARDER_OK;
    case STRANGE:
        return 77;
    case BROKEN:
        EXPECT(LARDER_EINVAL, larder_load_done(request->load, LARDER_OK, "x", 1, 99, 0, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_load_done(request->load, LARDER_OK, NULL, 1, LARDER_TEXT, 0, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_load_done(request->load, LARDER_OK, "\xff", 1, LARDER_TEXT, 0, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_load_done(request->load, LARDER_STALE, "x", 1, LARDER_TEXT, 0, NULL, ERR));
        EXPECT(LARDER_EINVAL, larder_load_done(request->load, LARDER_EIO, NULL, 0, 0, 0, "\xff", ERR));
        EXPECT(LARDER_EHANDLE, larder_load_done(request->load + 1000000, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
        EXPECT(LARDER_EHANDLE, larder_load_done(0, LARDER_MISS, NULL, 0, 0, 0, NULL, ERR));
        return answer_with_token(request->load, request->token, request->token_len);
    }
    return LARDER_EINVAL;
}

static inline void release_loader(void *user_data)
{
    loader *loader = user_data;
    atomic_fetch_add(&loader->releases, 1);
}

/* A loader is released when nothing runs any more that could call it, which can be after its pipeline was closed. */
static inline void wait_for_releases(loader *loader, int wanted)
{
    for (int64_t end = now_ms() + 20000; atomic_load(&loader->releases) < wanted; sleep_ms(1))
        CHECK(now_ms() < end);
    CHECK_NUMBER(wanted, atomic_load(&loader->releases));
}

static inline larder_pipeline *open_pipeline(const larder_context *context, loader *loader)
{
    larder_pipeline *pipeline = NULL;
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    if (loader != NULL)
        options.load = load_by_way, options.load_user_data = loader, options.load_release = release_loader;
    EXPECT(LARDER_OK, larder_pipeline_open(context, "LOL", loader == NULL ? NULL : &options, &pipeline, ERR));
    CHECK(pipeline != NULL);
    return pipeline;
}

/* Checks that a value is what the loader makes of a token, and releases it. */
static inline void check_loaded(larder_value *value, const token *token)
{
    char wanted[160];
    const char *json = NULL;
    size_t len = 0;
    snprintf(wanted, sizeof wanted, "{\"token\": \"%s\"}", token->text);
    CHECK(value != NULL);
    EXPECT(LARDER_OK, larder_value_json(value, &json, &len, ERR));
    if (strlen(wanted) != len || memcmp(json, wanted, len) != 0)
        FAIL("%.*s is not %s", (int)len, json, wanted);
    larder_value_release(value);
}

/* Gets a token now, and checks what comes. */
static inline void expect_get(const char *file, int line, larder_status wanted, int32_t wanted_level,
                              const larder_pipeline *pipeline, token token, const larder_pipeline_call *call)
{
    larder_value *value = (larder_value *)&value;
    larder_error *error = NULL;
    int32_t level = 77;
    larder_status status = larder_pipeline_get(pipeline, TOKEN(token), call, &value, &level, &error);
    if (status != wanted || level != wanted_level)
        fail(file, line, "%s in store %d, not %s in store %d: %s", larder_status_name(status), (int)level,
             larder_status_name(wanted), (int)wanted_level, larder_error_message(error));
    CHECK((error != NULL) == (status < 0) && (value != NULL) == (status == LARDER_OK || status == LARDER_STALE));
    if (value != NULL)
        check_loaded(value, &token);
    larder_error_release(error);
}

#define EXPECT_GET(wanted, level, ...) expect_get(__FILE__, __LINE__, (wanted), (level), __VA_ARGS__)

#endif
