/*
 * Synchronous GET and SET. hiredis gets the final key and the serialised bytes ready made, so that the same bytes
 * travel; larder makes the key and the pickle itself, as a host has it do.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "redis.h"

#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "larder_use.h"

enum { KEYS = 16, KEY_SIZE = 64, TTL_MS = 300000 };

/* One user of the server: a connection of hiredis, or a store of larder. Both have the fields that they need. */
struct client {
    redisContext *hiredis;
    const larder_store *store;
    redisContext *checker; /* looks at what was set */
    size_t size;           /* of the value */
    unsigned char *value;  /* the value; its first eight bytes are its stamp */
    unsigned char *stored; /* its serialised form */
    size_t stored_size;
    size_t offset;         /* where the value begins in it */
    unsigned char *copy;   /* receives what is got */
    uint64_t stamp;        /* of the last value that was set */
    char keys[KEYS][KEY_SIZE];
    char final_keys[KEYS][KEY_SIZE];
};

static uint64_t stamp_of(const unsigned char *value)
{
    uint64_t stamp;
    memcpy(&stamp, value, sizeof stamp);
    return stamp;
}

static void put_stamp(unsigned char *value, uint64_t stamp)
{
    memcpy(value, &stamp, sizeof stamp);
}

/* Each of the keys that are got holds a value with a stamp of its own. */
static uint64_t stamp_of_key(size_t i)
{
    return (i % KEYS + 1) * 0x0101010101010101u;
}

static redisContext *connect_to(const struct server *server, bool over_tcp)
{
    redisContext *context = over_tcp ? redisConnect("127.0.0.1", server->port) : redisConnectUnix(server->socket);
    if (context == NULL || context->err != 0) {
        die("hiredis cannot connect: %s", context == NULL ? "out of memory" : context->errstr);
    }
    return context;
}

static redisReply *command(redisContext *context, int count, const char **words, const size_t *lengths)
{
    redisReply *reply = redisCommandArgv(context, count, words, lengths);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        die("hiredis: %s: %s", words[0], reply == NULL ? context->errstr : reply->str);
    }
    return reply;
}

static redisReply *get_reply(redisContext *context, const char *key)
{
    const char *words[] = {"GET", key};
    size_t lengths[] = {3, strlen(key)};
    redisReply *reply = command(context, 2, words, lengths);
    if (reply->type != REDIS_REPLY_STRING) {
        die("%s is not there", key);
    }
    return reply;
}

/* --- get ------------------------------------------------------------------------------------------------------- */

/* After the clock has stopped: every get found its key's own value, and the last copy is right to the last byte. */
static void verify_gets(struct client *c, size_t n, uint64_t sum, const unsigned char *last)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < n; i++) {
        expected += stamp_of_key(i);
    }
    put_stamp(c->value, stamp_of_key(n - 1));
    if (sum != expected || memcmp(last, c->value, c->size) != 0) {
        die("a get answered a wrong value");
    }
}

static uint64_t hiredis_get(void *self, size_t n)
{
    struct client *c = self;
    size_t lengths[] = {3, strlen(c->final_keys[0])};
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        const char *words[] = {"GET", c->final_keys[i % KEYS]};
        redisReply *reply = redisCommandArgv(c->hiredis, 2, words, lengths);
        if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != c->stored_size) {
            die("hiredis: a get went wrong: %s", c->hiredis->errstr);
        }
        memcpy(c->copy, reply->str, reply->len);
        freeReplyObject(reply);
        sum += stamp_of(c->copy + c->offset);
    }
    uint64_t took = now_ns() - start;
    verify_gets(c, n, sum, c->copy + c->offset);
    return took;
}

static uint64_t larder_copy(void *self, size_t n)
{
    struct client *c = self;
    size_t key_size = strlen(c->keys[0]);
    larder_error *error = NULL;
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        size_t needed = 0;
        larder_status status =
            larder_get_into(c->store, c->keys[i % KEYS], key_size, NULL, c->copy, c->stored_size, &needed, &error);
        if (status != LARDER_OK || needed != c->size) {
            die("larder_get_into: %s: %s", larder_status_name(status), larder_error_message(error));
        }
        sum += stamp_of(c->copy);
    }
    uint64_t took = now_ns() - start;
    verify_gets(c, n, sum, c->copy);
    return took;
}

static uint64_t larder_borrow(void *self, size_t n)
{
    struct client *c = self;
    size_t key_size = strlen(c->keys[0]);
    larder_error *error = NULL;
    larder_value *value = NULL;
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        const void *bytes = NULL;
        size_t size = 0;
        larder_value_release(value);
        larder_must(larder_get(c->store, c->keys[i % KEYS], key_size, NULL, &value, &error), error, "larder_get");
        larder_must(larder_value_bytes(value, &bytes, &size, &error), error, "larder_value_bytes");
        if (size != c->size) {
            die("larder_get: a value of a wrong size");
        }
        sum += stamp_of(bytes);
    }
    uint64_t took = now_ns() - start;
    const void *last = NULL;
    size_t size = 0;
    larder_must(larder_value_bytes(value, &last, &size, &error), error, "larder_value_bytes");
    verify_gets(c, n, sum, last);
    larder_value_release(value);
    return took;
}

/* --- set ------------------------------------------------------------------------------------------------------- */

static uint64_t hiredis_set(void *self, size_t n)
{
    struct client *c = self;
    size_t lengths[] = {3, strlen(c->final_keys[0]), c->stored_size, 2, 6};
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        put_stamp(c->stored + c->offset, ++c->stamp);
        const char *words[] = {"SET", c->final_keys[i % KEYS], (const char *)c->stored, "PX", "300000"};
        redisReply *reply = redisCommandArgv(c->hiredis, 5, words, lengths);
        if (reply == NULL || reply->type != REDIS_REPLY_STATUS) {
            die("hiredis: a set went wrong: %s", c->hiredis->errstr);
        }
        freeReplyObject(reply);
    }
    return now_ns() - start;
}

static uint64_t larder_put(void *self, size_t n)
{
    struct client *c = self;
    size_t key_size = strlen(c->keys[0]);
    larder_error *error = NULL;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        put_stamp(c->value, ++c->stamp);
        larder_must(larder_set(c->store, c->keys[i % KEYS], key_size, c->value, c->size, LARDER_BYTES, LARDER_TTL_DEFAULT,
                               NULL, &error),
                    error, "larder_set");
    }
    return now_ns() - start;
}

/* Whoever set them: the server has the last values, serialised as Django does, with the alias's time to live. */
static void check_sets(void *self, size_t n)
{
    struct client *c = self;
    for (size_t i = n - KEYS; i < n; i++) {
        const char *key = c->final_keys[i % KEYS];
        put_stamp(c->stored + c->offset, c->stamp - (n - 1 - i));
        redisReply *reply = get_reply(c->checker, key);
        if (reply->len != c->stored_size || memcmp(reply->str, c->stored, c->stored_size) != 0) {
            die("a set left a wrong value");
        }
        freeReplyObject(reply);
        const char *words[] = {"PTTL", key};
        size_t lengths[] = {4, strlen(key)};
        reply = command(c->checker, 2, words, lengths);
        if (reply->integer <= 0 || reply->integer > TTL_MS) {
            die("a set left a wrong time to live: %lld ms", reply->integer);
        }
        freeReplyObject(reply);
    }
}

/* --- a contest ------------------------------------------------------------------------------------------------- */

static void *memory(size_t size)
{
    void *got = calloc(1, size);
    if (got == NULL) {
        die("out of memory");
    }
    return got;
}

/* Fills the client's keys through larder, and learns from the server what the serialised form looks like. */
static void client_open(struct client *c, const struct server *server, const larder_store *store, bool over_tcp, size_t size,
                        const char *family)
{
    memset(c, 0, sizeof *c);
    c->store = store;
    c->size = size;
    c->hiredis = connect_to(server, over_tcp);
    c->checker = connect_to(server, false);
    c->value = memory(size);
    uint64_t seed = 77;
    for (size_t i = 0; i < size; i++) {
        c->value[i] = (unsigned char)(random_next(&seed) >> 56);
    }
    larder_error *error = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(c->keys[i], KEY_SIZE, "match:EUW1_%010zu:%s", i, family);
        /* No KEY_PREFIX, version 1. */
        snprintf(c->final_keys[i], KEY_SIZE, ":1:match:EUW1_%010zu:%s", i, family);
        put_stamp(c->value, stamp_of_key(i));
        larder_must(larder_set(store, c->keys[i], strlen(c->keys[i]), c->value, size, LARDER_BYTES, LARDER_TTL_FOREVER, NULL,
                               &error),
                    error, "larder_set");
    }
    redisReply *reply = get_reply(c->checker, c->final_keys[KEYS - 1]);
    const unsigned char *found = memmem(reply->str, reply->len, c->value, size);
    if (found == NULL) {
        die("the value is not in its serialised form");
    }
    c->offset = (size_t)(found - (const unsigned char *)reply->str);
    c->stored_size = reply->len;
    c->stored = memory(reply->len);
    memcpy(c->stored, reply->str, reply->len);
    c->copy = memory(reply->len);
    freeReplyObject(reply);
}

static void client_close(struct client *c)
{
    redisFree(c->hiredis);
    redisFree(c->checker);
    free(c->value);
    free(c->stored);
    free(c->copy);
}

struct plan {
    bool get;
    size_t size;
    enum placement placement;
    struct aim aims[4];
    size_t aim_count;
};

static const struct plan plans[] = {
    {true, 100, ONE_CORE, {{"A1", TIME, 1.05, 2}, {"A3", SWITCHES, 1.5, 2}}, 2},
    {true, 1024, ONE_CORE, {{"A1", TIME, 1.05, 2}, {"A3", SWITCHES, 1.5, 2}}, 2},
    {false, 100, ONE_CORE, {{"A1", TIME, 1.05, 2}, {"A3", SWITCHES, 1.5, 2}}, 2},
    {false, 1024, ONE_CORE, {{"A1", TIME, 1.05, 2}, {"A3", SWITCHES, 1.5, 2}}, 2},
    {true, 65536, ONE_CORE, {{"A2", TIME, 0.90, 2}}, 1},
    {true, 1024, TWO_CORES, {{"A3", SWITCHES, 1.1, 2}}, 1},
    {false, 1024, TWO_CORES, {{"A3", SWITCHES, 1.1, 2}}, 1},
    {true, 1024, ANYWHERE, {{0}}, 0},
    {false, 1024, ANYWHERE, {{0}}, 0},
};

static void run_plan(const struct plan *plan, const char *title, const struct server *server, const larder_context *context,
                     bool over_tcp)
{
    struct client baseline, control, copying, borrowing;
    larder_store *store = larder_must_open(context, over_tcp ? "tcp" : "unix");
    /* Each entrant has keys of its own, and names of one length. */
    client_open(&baseline, server, store, over_tcp, plan->size, "a");
    client_open(&control, server, store, over_tcp, plan->size, "b");
    client_open(&copying, server, store, over_tcp, plan->size, "c");
    client_open(&borrowing, server, store, over_tcp, plan->size, "d");
    const struct entrant gets[] = {{"hiredis GET, copied out", hiredis_get, NULL, &baseline},
                                   {"hiredis GET, copied out", hiredis_get, NULL, &control},
                                   {"larder_get_into", larder_copy, NULL, &copying},
                                   {"larder_get, bytes, release", larder_borrow, NULL, &borrowing}};
    const struct entrant sets[] = {{"hiredis SET PX", hiredis_set, check_sets, &baseline},
                                   {"hiredis SET PX", hiredis_set, check_sets, &control},
                                   {"larder_set", larder_put, check_sets, &copying}};
    struct contest contest = {.title = title,
                              .placement = plan->placement,
                              .entrants = plan->get ? gets : sets,
                              .entrant_count = plan->get ? 4 : 3,
                              .aims = plan->aims,
                              .aim_count = plan->aim_count};
    contest_run(&contest);
    client_close(&baseline);
    client_close(&control);
    client_close(&copying);
    client_close(&borrowing);
    larder_store_close(store);
}

void redis_contests(const struct server *server, const larder_context *context)
{
    static const char *const places[] = {"on one core", "on two cores", "unpinned"};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        for (int over_tcp = 1; over_tcp >= 0; over_tcp--) {
            char title[96];
            snprintf(title, sizeof title, "%s %zu B over %s %s", plans[i].get ? "GET" : "SET", plans[i].size,
                     over_tcp ? "tcp" : "unix", places[plans[i].placement]);
            if (!contest_wanted(title)) {
                continue;
            }
            if (plans[i].placement == TWO_CORES && !contest_two_cores()) {
                printf("\n### %s\n\nLeft out: there is one core only.\n", title);
                continue;
            }
            run_plan(&plans[i], title, server, context, over_tcp == 1);
        }
    }
}
