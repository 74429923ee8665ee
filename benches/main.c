/*
 * larder beside what a C or C++ host would use without it. See README.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include <hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contest.h"
#include "flight.h"
#include "larder_use.h"
#include "memcached.h"
#include "memory.h"
#include "pickle.h"
#include "pipeline.h"
#include "redis.h"
#include "server.h"
#include "table.h"
#include "threads.h"

/* glibc leaves the atomic operations out of a mutex while a process has one thread. Who needs a mutex has more. */
static void *idle(void *nothing)
{
    pause();
    return nothing;
}

static larder_context *open_context(const struct server *server)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"CACHES\": {"
             "\"tcp\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:%d/0\"},"
             "\"unix\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"unix://%s?db=0\"},"
             "\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"TIMEOUT\": 3600,"
             " \"OPTIONS\": {\"MAX_ENTRIES\": 1000000}},"
             "\"memory again\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"TIMEOUT\": 3600,"
             " \"LOCATION\": \"again\", \"OPTIONS\": {\"MAX_ENTRIES\": 1000000}},"
             "\"near\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:%d/1\","
             " \"KEY_PREFIX\": \"near\", \"LARDER\": {\"NEAR_CACHE\": {\"TIMEOUT\": 3600}}}}}",
             server->port, server->socket, server->port);
    larder_context *context = NULL;
    larder_error *error = NULL;
    larder_must(larder_open(text, strlen(text), NULL, &context, &error), error, "larder_open");
    return context;
}

static struct server running;

/* die() exits too: the server never stays behind. */
static void stop_server(void)
{
    server_stop(&running);
}

int main(int count, char **arguments)
{
    if (count != 4) {
        die("usage: bench PRIVATE-FOLDER SUMMARY-FILE PYTHON (benches/run.sh makes them)");
    }
    FILE *summary = fopen(arguments[2], "w");
    if (summary == NULL) {
        die("cannot write %s", arguments[2]);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, idle, NULL) != 0) {
        die("cannot start a thread");
    }
    running = server_start(arguments[1]);
    atexit(stop_server);
    contest_begin(running.pid);
    larder_context *context = open_context(&running);
    printf("\n## Redis: larder %s against hiredis %d.%d.%d\n", larder_version(), HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    redis_contests(&running, context);
    printf("\n## Many requests in flight on one connection\n");
    flight_contests(&running, context);
    printf("\n## Many threads\n");
    threads_contests(&running, context);
    printf("\n## In memory: larder against std::unordered_map under std::mutex\n");
    memory_contests(context);
    printf("\n## Near cache: larder against redis-rs with cache-aio, and against its memory backend\n");
    near_contests(context, running.port);
    printf("\n## memcached: larder against libmemcached %s\n", memcached_peer_version());
    memcached_contests(arguments[1]);
    contest_server(running.pid);
    printf("\n## SQLite: larder against prepared statements in C, SQLite %s\n", table_version());
    table_contests(arguments[1]);
    printf("\n## From a pickle to JSON text: larder against CPython\n");
    pickle_contests(arguments[3], "benches/pickles.py");
    contest_server(running.pid);
    printf("\n## Pyot's pipeline: against its stores used by hand\n");
    pipeline_contests(&running, arguments[1]);
    contest_end(summary);
    fclose(summary);
    larder_error *error = NULL;
    larder_must(larder_shutdown(context, 5000, &error), error, "larder_shutdown");
    return 0;
}
