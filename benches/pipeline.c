/*
 * Pyot's pipeline: a hit in the first and in the second store against the same stores used by hand.
 *
 * A hit in the second store writes the value back to the first, from which every entrant takes it out again, so that the next
 * one finds it in the second, too. By hand that is: get from memory, get from the other store, set in memory, delete in memory.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "larder_use.h"

enum { TOKENS = 64, SIZE = 1024, TOKEN_SIZE = 64 };

/** Memory in front of another store, under tokens of its own. */
struct stores {
    larder_store *memory;
    larder_store *behind;
    larder_pipeline *pipeline;
    char tokens[TOKENS][TOKEN_SIZE];
    unsigned char value[SIZE];
};

/* --- one operation --------------------------------------------------------------------------------------------- */

/* Looks at a value as a host does, and lets go of it. */
static void look(const struct stores *s, larder_value *value, const char *what)
{
    const void *bytes = NULL;
    size_t size = 0;
    larder_error *error = NULL;
    larder_must(larder_value_bytes(value, &bytes, &size, &error), error, what);
    if (size != SIZE || memcmp(bytes, s->value, 16) != 0) {
        die("%s: another value", what);
    }
    larder_value_release(value);
}

static void get_alone(const struct stores *s, const larder_store *store, const char *token)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    larder_must(larder_get(store, token, strlen(token), NULL, &value, &error), error, "larder_get");
    look(s, value, "larder_get");
}

static void get_by_pipeline(const struct stores *s, const char *token, int32_t wanted)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    int32_t level = LARDER_LEVEL_NONE;
    larder_must(larder_pipeline_get(s->pipeline, token, strlen(token), NULL, &value, &level, &error), error,
                "larder_pipeline_get");
    if (level != wanted) {
        die("larder_pipeline_get: it was in store %d", (int)level);
    }
    look(s, value, "larder_pipeline_get");
}

static void put(const struct stores *s, const larder_store *store, const char *token)
{
    larder_error *error = NULL;
    larder_must(larder_set(store, token, strlen(token), s->value, SIZE, LARDER_BYTES, 3600000, NULL, &error), error,
                "larder_set");
}

static void take_out(const struct stores *s, const char *token)
{
    larder_error *error = NULL;
    larder_must(larder_delete(s->memory, token, strlen(token), NULL, &error), error, "larder_delete");
}

static void get_by_hand(const struct stores *s, const char *token)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    if (larder_get(s->memory, token, strlen(token), NULL, &value, &error) != LARDER_MISS) {
        die("it is still in memory");
    }
    get_alone(s, s->behind, token);
    put(s, s->memory, token);
}

/* --- blocks of them -------------------------------------------------------------------------------------------- */

static uint64_t first_alone(void *self, size_t n)
{
    const struct stores *s = self;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        get_alone(s, s->memory, s->tokens[i % TOKENS]);
    }
    return now_ns() - start;
}

static uint64_t first_by_pipeline(void *self, size_t n)
{
    const struct stores *s = self;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        get_by_pipeline(s, s->tokens[i % TOKENS], 0);
    }
    return now_ns() - start;
}

static uint64_t second_by_hand(void *self, size_t n)
{
    const struct stores *s = self;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        get_by_hand(s, s->tokens[i % TOKENS]);
        take_out(s, s->tokens[i % TOKENS]);
    }
    return now_ns() - start;
}

static uint64_t second_by_pipeline(void *self, size_t n)
{
    const struct stores *s = self;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        get_by_pipeline(s, s->tokens[i % TOKENS], 1);
        take_out(s, s->tokens[i % TOKENS]);
    }
    return now_ns() - start;
}

static uint64_t second_alone(void *self, size_t n)
{
    const struct stores *s = self;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        get_alone(s, s->behind, s->tokens[i % TOKENS]);
    }
    return now_ns() - start;
}

/* --- the contests ---------------------------------------------------------------------------------------------- */

/* Two pipelines over each pair: one writes back for the whole time, as Pyot and the hand do, one for what is left. */
static larder_context *open_context(const struct server *server, const char *folder)
{
    static const char pair[] = "{\"WRITE_BACK_TTL\": \"%s\", \"PIPELINE\": ["
                               "{\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"memory\", \"EXPIRATIONS\": {\"*\": 3600}},"
                               "{\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"%s\", \"EXPIRATIONS\": {\"*\": 3600}}]}";
    char pairs[4][512];
    for (size_t i = 0; i < 4; i++) {
        snprintf(pairs[i], sizeof pairs[i], pair, i % 2 == 0 ? "full" : "remaining", i < 2 ? "redis" : "file");
    }
    char text[4096];
    snprintf(text, sizeof text,
             "{\"CACHES\": {"
             "\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"LOCATION\": \"pipeline\","
             " \"OPTIONS\": {\"MAX_ENTRIES\": 10000}},"
             "\"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"unix://%s?db=2\"},"
             "\"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\", \"LOCATION\": \"%s/pipeline\","
             " \"OPTIONS\": {\"MAX_ENTRIES\": 10000}}},"
             "\"PIPELINES\": {\"redis-full\": %s, \"redis-left\": %s, \"file-full\": %s, \"file-left\": %s}}",
             server->socket, folder, pairs[0], pairs[1], pairs[2], pairs[3]);
    larder_context *context = NULL;
    larder_error *error = NULL;
    larder_must(larder_open(text, strlen(text), NULL, &context, &error), error, "larder_open");
    return context;
}

static void stores_open(struct stores *s, const larder_context *context, const char *behind, const char *pipeline, char mark)
{
    larder_error *error = NULL;
    uint64_t seed = 5;
    s->memory = larder_must_open(context, "memory");
    s->behind = larder_must_open(context, behind);
    larder_must(larder_pipeline_open(context, pipeline, NULL, &s->pipeline, &error), error, pipeline);
    for (size_t i = 0; i < SIZE; i++) {
        s->value[i] = (unsigned char)(random_next(&seed) >> 56);
    }
    for (size_t i = 0; i < TOKENS; i++) {
        /* each entrant has tokens of its own; the model is the pipeline */
        snprintf(s->tokens[i], TOKEN_SIZE, "%sna1match_v4_match{'id':_%c%08zu}{}", pipeline, mark, i);
        put(s, s->memory, s->tokens[i]);
        put(s, s->behind, s->tokens[i]);
    }
}

static void empty_memory(const struct stores *s)
{
    for (size_t i = 0; i < TOKENS; i++) {
        take_out(s, s->tokens[i]);
    }
}

static void stores_close(struct stores *s)
{
    larder_pipeline_close(s->pipeline);
    larder_store_close(s->memory);
    larder_store_close(s->behind);
}

static void contest(const char *title, const struct entrant *entrants, size_t count)
{
    const struct contest contest = {
        .title = title, .placement = ONE_CORE, .entrants = entrants, .entrant_count = count, .aim_count = 0};
    contest_run(&contest);
}

static void first_store(const larder_context *context)
{
    static const char title[] = "pipeline: 1024 B in the first store (memory)";
    if (!contest_wanted(title)) {
        return;
    }
    struct stores alone, control, pipeline;
    stores_open(&alone, context, "redis", "redis-full", 'a');
    stores_open(&control, context, "redis", "redis-full", 'b');
    stores_open(&pipeline, context, "redis", "redis-full", 'c');
    const struct entrant entrants[] = {{"larder_get from memory", first_alone, NULL, &alone},
                                       {"larder_get from memory", first_alone, NULL, &control},
                                       {"larder_pipeline_get", first_by_pipeline, NULL, &pipeline}};
    contest(title, entrants, 3);
    stores_close(&alone);
    stores_close(&control);
    stores_close(&pipeline);
}

static void second_store(const larder_context *context, const char *behind, const char *full, const char *left)
{
    char title[96];
    snprintf(title, sizeof title, "pipeline: 1024 B in the second store (%s)", behind);
    if (!contest_wanted(title)) {
        return;
    }
    struct stores hand, control, whole, rest, bare;
    stores_open(&hand, context, behind, full, 'a');
    stores_open(&control, context, behind, full, 'b');
    stores_open(&whole, context, behind, full, 'c');
    stores_open(&rest, context, behind, left, 'd');
    stores_open(&bare, context, behind, full, 'e');
    struct stores *all[] = {&hand, &control, &whole, &rest, &bare};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        empty_memory(all[i]);
    }
    const struct entrant entrants[] = {{"by hand, written back", second_by_hand, NULL, &hand},
                                       {"by hand, written back", second_by_hand, NULL, &control},
                                       {"larder_pipeline_get, whole time", second_by_pipeline, NULL, &whole},
                                       {"larder_pipeline_get, time that is left", second_by_pipeline, NULL, &rest},
                                       {"larder_get of the second alone", second_alone, NULL, &bare}};
    contest(title, entrants, 5);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        stores_close(all[i]);
    }
}

void pipeline_contests(const struct server *server, const char *folder)
{
    larder_context *context = open_context(server, folder);
    larder_error *error = NULL;
    first_store(context);
    second_store(context, "redis", "redis-full", "redis-left");
    second_store(context, "file", "file-full", "file-left");
    larder_must(larder_shutdown(context, 5000, &error), error, "larder_shutdown");
}
