/*
 * Synchronous GET and SET. hiredis gets the final key and the serialised bytes ready made, so that the same bytes
 * travel; larder makes the key and the pickle itself, as a host has it do.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "redis.h"

#include <stdio.h>

#include "client.h"
#include "contest.h"
#include "larder_use.h"

/* --- get ------------------------------------------------------------------------------------------------------- */

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

static void check_all_sets(void *self, size_t n)
{
    check_sets(self, n);
}

/* --- a contest ------------------------------------------------------------------------------------------------- */

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
    const struct entrant sets[] = {{"hiredis SET PX", hiredis_set, check_all_sets, &baseline},
                                   {"hiredis SET PX", hiredis_set, check_all_sets, &control},
                                   {"larder_set", larder_put, check_all_sets, &copying}};
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
