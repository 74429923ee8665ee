/*
 * 2, 8 and 32 threads that get synchronously: hiredis with a connection for each thread, larder with one store for all.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "threads.h"

#include <pthread.h>
#include <stdio.h>

#include "client.h"
#include "contest.h"
#include "larder_use.h"

enum { MOST_THREADS = 32, SIZE = 1024 };

struct crowd;

/* One thread's part of a block. */
struct member {
    struct crowd *crowd;
    redisContext *hiredis;
    size_t n;
    uint64_t sum;
    unsigned char last[SIZE];
    uint64_t ended;
};

/* One entrant. */
struct crowd {
    struct client client;
    size_t count;
    struct member members[MOST_THREADS];
    pthread_barrier_t barrier;
};

static void hiredis_part(struct member *m)
{
    struct client *c = &m->crowd->client;
    size_t lengths[] = {3, strlen(c->final_keys[0])};
    for (size_t i = 0; i < m->n; i++) {
        const char *words[] = {"GET", c->final_keys[i % KEYS]};
        redisReply *reply = redisCommandArgv(m->hiredis, 2, words, lengths);
        if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != c->stored_size) {
            die("hiredis: a get went wrong: %s", m->hiredis->errstr);
        }
        m->sum += stamp_of(reply->str + c->offset);
        if (i + 1 == m->n) {
            memcpy(m->last, reply->str + c->offset, SIZE);
        }
        freeReplyObject(reply);
    }
}

static void larder_part(struct member *m)
{
    struct client *c = &m->crowd->client;
    size_t key_size = strlen(c->keys[0]);
    for (size_t i = 0; i < m->n; i++) {
        larder_error *error = NULL;
        larder_value *value = NULL;
        const void *bytes = NULL;
        size_t size = 0;
        larder_must(larder_get(c->store, c->keys[i % KEYS], key_size, NULL, &value, &error), error, "larder_get");
        larder_must(larder_value_bytes(value, &bytes, &size, &error), error, "larder_value_bytes");
        if (size != SIZE) {
            die("larder_get: a value of a wrong size");
        }
        m->sum += stamp_of(bytes);
        if (i + 1 == m->n) {
            memcpy(m->last, bytes, SIZE);
        }
        larder_value_release(value);
    }
}

static void *run_hiredis(void *member)
{
    struct member *m = member;
    pthread_barrier_wait(&m->crowd->barrier);
    hiredis_part(m);
    m->ended = now_ns();
    return NULL;
}

static void *run_larder(void *member)
{
    struct member *m = member;
    pthread_barrier_wait(&m->crowd->barrier);
    larder_part(m);
    m->ended = now_ns();
    return NULL;
}

/* About n operations in all, from the moment when all threads are there to the last one's end. */
static uint64_t run_all(struct crowd *crowd, size_t n, void *(*run)(void *))
{
    pthread_t threads[MOST_THREADS];
    pthread_barrier_init(&crowd->barrier, NULL, (unsigned)crowd->count + 1);
    for (size_t i = 0; i < crowd->count; i++) {
        struct member *m = &crowd->members[i];
        m->n = n / crowd->count;
        m->sum = 0;
        if (pthread_create(&threads[i], NULL, run, m) != 0) {
            die("cannot start a thread");
        }
    }
    uint64_t start = now_ns();
    pthread_barrier_wait(&crowd->barrier);
    uint64_t ended = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        pthread_join(threads[i], NULL);
        ended = crowd->members[i].ended > ended ? crowd->members[i].ended : ended;
    }
    pthread_barrier_destroy(&crowd->barrier);
    for (size_t i = 0; i < crowd->count; i++) {
        verify_gets(&crowd->client, crowd->members[i].n, crowd->members[i].sum, crowd->members[i].last);
    }
    return ended - start;
}

static uint64_t hiredis_all(void *self, size_t n)
{
    return run_all(self, n, run_hiredis);
}

static uint64_t larder_all(void *self, size_t n)
{
    return run_all(self, n, run_larder);
}

static void crowd_open(struct crowd *crowd, const struct server *server, const larder_store *store, bool over_tcp, size_t count,
                       const char *family)
{
    client_open(&crowd->client, server, store, over_tcp, SIZE, family);
    crowd->count = count;
    for (size_t i = 0; i < count; i++) {
        crowd->members[i].crowd = crowd;
        crowd->members[i].hiredis = connect_to(server, over_tcp);
    }
}

static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        redisFree(crowd->members[i].hiredis);
    }
    client_close(&crowd->client);
}

static void run_contest(const char *title, enum placement placement, const struct server *server, const larder_context *context,
                        bool over_tcp, size_t count)
{
    static struct crowd baseline, control, ours;
    larder_store *store = larder_must_open(context, over_tcp ? "tcp" : "unix");
    crowd_open(&baseline, server, store, over_tcp, count, "a");
    crowd_open(&control, server, store, over_tcp, count, "b");
    crowd_open(&ours, server, store, over_tcp, count, "c");
    const struct entrant entrants[] = {{"hiredis GET, a connection for each thread", hiredis_all, NULL, &baseline},
                                       {"hiredis GET, a connection for each thread", hiredis_all, NULL, &control},
                                       {"larder_get, bytes, release on one store", larder_all, NULL, &ours}};
    const struct aim aim = {"A10", TIME, count == MOST_THREADS ? 0.80 : 1.05, 2};
    const struct contest contest = {.title = title,
                                    .placement = placement,
                                    .entrants = entrants,
                                    .entrant_count = sizeof entrants / sizeof *entrants,
                                    .aims = &aim,
                                    .aim_count = 1,
                                    .least_block = 64 * count};
    contest_run(&contest);
    crowd_close(&baseline);
    crowd_close(&control);
    crowd_close(&ours);
    larder_store_close(store);
}

void threads_contests(const struct server *server, const larder_context *context)
{
    static const size_t counts[] = {2, 8, MOST_THREADS};
    static const char *const places[] = {"on one core", "on two cores", "unpinned"};
    static const enum placement placements[] = {ANYWHERE, TWO_CORES};
    for (size_t i = 0; i < sizeof counts / sizeof *counts * 4; i++) {
        size_t count = counts[i / 4];
        enum placement placement = placements[i / 2 % 2];
        bool over_tcp = i % 2 == 0;
        char title[96];
        snprintf(title, sizeof title, "GET %d B by %zu threads over %s %s", SIZE, count, over_tcp ? "tcp" : "unix",
                 places[placement]);
        if (!contest_wanted(title)) {
            continue;
        }
        if (placement == TWO_CORES && !contest_two_cores()) {
            printf("\n### %s\n\nLeft out: there is one core only.\n", title);
            continue;
        }
        run_contest(title, placement, server, context, over_tcp, count);
    }
}
