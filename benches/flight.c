/*
 * 256 and 1,024 requests in flight on one connection: hiredis async against larder's faces.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "flight.h"

#include <stdio.h>
#include <stdlib.h>

#include "flyer.h"
#include "larder_use.h"

static void check_all_sets(void *self, size_t n)
{
    check_sets(&((struct flight *)self)->client, n);
}

/* Each entrant has keys of its own, and a store or a connection of its own. */
static struct flight *flight_open(const struct server *server, const larder_context *context, bool over_tcp, size_t size,
                                  size_t depth, const char *family)
{
    struct flight *f = memory(sizeof *f);
    larder_error *error = NULL;
    client_open(&f->client, server, larder_must_open(context, over_tcp ? "tcp" : "unix"), over_tcp, size, family);
    f->depth = depth;
    f->key_size = strlen(f->client.keys[0]);
    f->values = memory(BATCH * f->client.stored_size);
    peer_open(&f->peer, server, over_tcp);
    larder_must(larder_queue_open(context, depth, 0, &f->queue, &error), error, "larder_queue_open");
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->over, NULL);
    return f;
}

static void flight_close(struct flight *f)
{
    larder_queue_close(f->queue);
    larder_store_close((larder_store *)(uintptr_t)f->client.store);
    peer_close(&f->peer);
    client_close(&f->client);
    pthread_cond_destroy(&f->over);
    pthread_mutex_destroy(&f->lock);
    free(f->values);
    free(f);
}

struct plan {
    bool get;
    size_t depth;
    size_t size;
    enum placement placement;
};

static const struct plan plans[] = {
    {true, 256, 100, ONE_CORE},   {true, 256, 1024, ONE_CORE},   {true, 1024, 100, ONE_CORE},  {true, 1024, 1024, ONE_CORE},
    {true, 256, 100, TWO_CORES},  {true, 256, 1024, TWO_CORES},  {true, 1024, 100, TWO_CORES}, {true, 1024, 1024, TWO_CORES},
    {true, 256, 1024, ANYWHERE},  {true, 1024, 1024, ANYWHERE},  {false, 256, 1024, ONE_CORE}, {false, 256, 1024, TWO_CORES},
};

enum { FACES = 3, ENTRANTS = 2 + FACES };

static void run_plan(const struct plan *plan, const char *title, const struct server *server, const larder_context *context,
                     bool over_tcp)
{
    static const char *const families[ENTRANTS] = {"a", "b", "c", "d", "e"};
    static const struct aim aims[] = {{"A6", TIME, 0.95, 2},          {"A7", CLIENT_CPU, 0.5, 2},
                                      {"A6 packed", TIME, 0.95, 3},   {"A7 packed", CLIENT_CPU, 0.5, 3},
                                      {"A6 callback", TIME, 0.95, 4}, {"A7 callback", CLIENT_CPU, 0.5, 4}};
    struct flight *flights[ENTRANTS];
    for (size_t i = 0; i < ENTRANTS; i++) {
        flights[i] = flight_open(server, context, over_tcp, plan->size, plan->depth, families[i]);
    }
    const struct entrant gets[] = {{"hiredis async GET", hiredis_gets, NULL, flights[0]},
                                   {"hiredis async GET", hiredis_gets, NULL, flights[1]},
                                   {"larder_submit, poll, bytes, clear", queue_gets, NULL, flights[2]},
                                   {"larder_submit_packed, poll, bytes, clear", queue_packed_gets, NULL, flights[3]},
                                   {"larder_get_cb, bytes", callback_gets, NULL, flights[4]}};
    const struct entrant sets[] = {{"hiredis async SET PX", hiredis_puts, check_all_sets, flights[0]},
                                   {"hiredis async SET PX", hiredis_puts, check_all_sets, flights[1]},
                                   {"larder_submit, poll, clear", queue_puts, check_all_sets, flights[2]}};
    struct contest contest = {.title = title,
                              .placement = plan->placement,
                              .entrants = plan->get ? gets : sets,
                              .entrant_count = plan->get ? ENTRANTS : 3,
                              .aims = aims,
                              .aim_count = plan->get ? sizeof aims / sizeof *aims : 0,
                              .least_block = 8 * plan->depth};
    contest_run(&contest);
    for (size_t i = 0; i < ENTRANTS; i++) {
        flight_close(flights[i]);
    }
}

void flight_contests(const struct server *server, const larder_context *context)
{
    static const char *const places[] = {"on one core", "on two cores", "unpinned"};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        for (int over_tcp = 1; over_tcp >= 0; over_tcp--) {
            char title[96];
            snprintf(title, sizeof title, "%zu %ss of %zu B in flight over %s %s", plans[i].depth, plans[i].get ? "GET" : "SET",
                     plans[i].size, over_tcp ? "tcp" : "unix", places[plans[i].placement]);
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
