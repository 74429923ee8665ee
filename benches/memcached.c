/*
 * Synchronous get and set on memcached. libmemcached gets the final key, and the bytes as they are: those of a `bytes`
 * value are stored without a pickle, so the same bytes travel.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "memcached.h"

#include <libmemcached/memcached.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "larder_use.h"
#include "mc_server.h"

enum { ITEMS = 16, ITEM_KEY = 64, SECONDS = 300 };

/* One user of the server: a connection of libmemcached, or a store of larder. Both have the fields that they need. */
struct user {
    memcached_st *peer;
    const larder_store *store;
    size_t size;
    unsigned char *value; /* its first eight bytes are its stamp */
    unsigned char *copy;
    uint64_t stamp; /* of the last value that was set */
    char keys[ITEMS][ITEM_KEY];
    char final_keys[ITEMS][ITEM_KEY];
};

static struct mc_server running;

const char *memcached_peer_version(void)
{
    return memcached_lib_version();
}

static uint64_t stamp_in(const void *value)
{
    uint64_t stamp;
    memcpy(&stamp, value, sizeof stamp);
    return stamp;
}

static uint64_t first_stamp(size_t i)
{
    return (i % ITEMS + 1) * 0x0101010101010101u;
}

static void put_stamp(struct user *u, uint64_t stamp)
{
    memcpy(u->value, &stamp, sizeof stamp);
}

/* After the clock has stopped: all values were right by their stamps, and the last one to the last byte. */
static void verify(struct user *u, size_t n, uint64_t sum, const void *last)
{
    uint64_t wanted = 0;
    for (size_t i = 0; i < n; i++) {
        wanted += first_stamp(i);
    }
    put_stamp(u, first_stamp(n - 1));
    if (sum != wanted || memcmp(last, u->value, u->size) != 0) {
        die("a get answered a wrong value");
    }
}

static uint64_t peer_get(void *self, size_t n)
{
    struct user *u = self;
    size_t key_size = strlen(u->final_keys[0]);
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        size_t size = 0;
        uint32_t flags = 0;
        memcached_return_t status;
        char *value = memcached_get(u->peer, u->final_keys[i % ITEMS], key_size, &size, &flags, &status);
        if (value == NULL || size != u->size) {
            die("libmemcached: a get went wrong: %s", memcached_strerror(u->peer, status));
        }
        memcpy(u->copy, value, size);
        free(value);
        sum += stamp_in(u->copy);
    }
    uint64_t took = now_ns() - start;
    verify(u, n, sum, u->copy);
    return took;
}

static uint64_t larder_copy(void *self, size_t n)
{
    struct user *u = self;
    size_t key_size = strlen(u->keys[0]);
    larder_error *error = NULL;
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        size_t needed = 0;
        larder_must(larder_get_into(u->store, u->keys[i % ITEMS], key_size, NULL, u->copy, u->size, &needed, &error), error,
                    "larder_get_into");
        if (needed != u->size) {
            die("larder_get_into: a value of a wrong size");
        }
        sum += stamp_in(u->copy);
    }
    uint64_t took = now_ns() - start;
    verify(u, n, sum, u->copy);
    return took;
}

static uint64_t larder_borrow(void *self, size_t n)
{
    struct user *u = self;
    size_t key_size = strlen(u->keys[0]);
    larder_error *error = NULL;
    larder_value *value = NULL;
    const void *bytes = NULL;
    size_t size = 0;
    uint64_t sum = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        larder_value_release(value);
        larder_must(larder_get(u->store, u->keys[i % ITEMS], key_size, NULL, &value, &error), error, "larder_get");
        larder_must(larder_value_bytes(value, &bytes, &size, &error), error, "larder_value_bytes");
        if (size != u->size) {
            die("larder_get: a value of a wrong size");
        }
        sum += stamp_in(bytes);
    }
    uint64_t took = now_ns() - start;
    verify(u, n, sum, bytes);
    larder_value_release(value);
    return took;
}

static uint64_t peer_set(void *self, size_t n)
{
    struct user *u = self;
    size_t key_size = strlen(u->final_keys[0]);
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        put_stamp(u, ++u->stamp);
        memcached_return_t status =
            memcached_set(u->peer, u->final_keys[i % ITEMS], key_size, (const char *)u->value, u->size, SECONDS, 0);
        if (status != MEMCACHED_SUCCESS) {
            die("libmemcached: a set went wrong: %s", memcached_strerror(u->peer, status));
        }
    }
    return now_ns() - start;
}

static uint64_t larder_put(void *self, size_t n)
{
    struct user *u = self;
    size_t key_size = strlen(u->keys[0]);
    larder_error *error = NULL;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        put_stamp(u, ++u->stamp);
        larder_must(larder_set(u->store, u->keys[i % ITEMS], key_size, u->value, u->size, LARDER_BYTES, LARDER_TTL_DEFAULT,
                               NULL, &error),
                    error, "larder_set");
    }
    return now_ns() - start;
}

/* Whoever set them, the server has the last values, byte for byte, with the flags of `bytes`. */
static void check_sets(void *self, size_t n)
{
    struct user *u = self;
    for (size_t i = n - ITEMS; i < n; i++) {
        const char *key = u->final_keys[i % ITEMS];
        size_t size = 0;
        uint32_t flags = 77;
        memcached_return_t status;
        char *value = memcached_get(u->peer, key, strlen(key), &size, &flags, &status);
        put_stamp(u, u->stamp - (n - 1 - i));
        if (value == NULL || size != u->size || memcmp(value, u->value, size) != 0 || flags != 0) {
            die("a set left a wrong value");
        }
        free(value);
    }
}

static void user_open(struct user *u, const larder_store *store, size_t size, const char *family)
{
    larder_error *error = NULL;
    uint64_t seed = 77;
    memset(u, 0, sizeof *u);
    u->store = store;
    u->size = size;
    u->peer = memcached_create(NULL);
    u->value = malloc(size);
    u->copy = malloc(size);
    if (u->peer == NULL || u->value == NULL || u->copy == NULL) {
        die("out of memory");
    }
    if (running.port > 0) {
        memcached_server_add(u->peer, "127.0.0.1", (in_port_t)running.port);
        memcached_behavior_set(u->peer, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    } else {
        memcached_server_add_unix_socket(u->peer, running.socket);
    }
    for (size_t i = 0; i < size; i++) {
        u->value[i] = (unsigned char)(random_next(&seed) >> 56);
    }
    for (size_t i = 0; i < ITEMS; i++) {
        snprintf(u->keys[i], ITEM_KEY, "match:EUW1_%010zu:%s", i, family);
        snprintf(u->final_keys[i], ITEM_KEY, ":1:match:EUW1_%010zu:%s", i, family); /* no KEY_PREFIX, version 1 */
        put_stamp(u, first_stamp(i));
        larder_must(larder_set(store, u->keys[i], strlen(u->keys[i]), u->value, size, LARDER_BYTES, LARDER_TTL_FOREVER, NULL,
                               &error),
                    error, "larder_set");
    }
}

static void user_close(struct user *u)
{
    memcached_free(u->peer);
    free(u->value);
    free(u->copy);
}

static larder_context *open_context(void)
{
    char place[160], text[512];
    larder_context *context = NULL;
    larder_error *error = NULL;
    if (running.port > 0) {
        snprintf(place, sizeof place, "127.0.0.1:%d", running.port);
    } else {
        snprintf(place, sizeof place, "unix:%s", running.socket);
    }
    snprintf(text, sizeof text,
             "{\"CACHES\": {\"memcached\": {\"BACKEND\": \"django.core.cache.backends.memcached.PyMemcacheCache\","
             " \"LOCATION\": \"%s\", \"TIMEOUT\": %d}}}",
             place, SECONDS);
    larder_must(larder_open(text, strlen(text), NULL, &context, &error), error, "larder_open");
    return context;
}

static void run_plan(const char *title, const larder_store *store, bool get, size_t size)
{
    struct user baseline, control, copying, borrowing;
    user_open(&baseline, store, size, "a");
    user_open(&control, store, size, "b");
    user_open(&copying, store, size, "c");
    user_open(&borrowing, store, size, "d");
    const struct entrant gets[] = {{"libmemcached get, copied out", peer_get, NULL, &baseline},
                                   {"libmemcached get, copied out", peer_get, NULL, &control},
                                   {"larder_get_into", larder_copy, NULL, &copying},
                                   {"larder_get, bytes, release", larder_borrow, NULL, &borrowing}};
    const struct entrant sets[] = {{"libmemcached set", peer_set, check_sets, &baseline},
                                   {"libmemcached set", peer_set, check_sets, &control},
                                   {"larder_set", larder_put, check_sets, &copying}};
    const struct aim aim = {"B1", TIME, size <= 1024 ? 1.05 : 0.85, 2};
    const struct contest contest = {.title = title,
                                    .placement = ONE_CORE,
                                    .entrants = get ? gets : sets,
                                    .entrant_count = get ? 4 : 3,
                                    .aims = &aim,
                                    .aim_count = 1};
    contest_run(&contest);
    user_close(&baseline);
    user_close(&control);
    user_close(&copying);
    user_close(&borrowing);
}

/* The contests on one server; it is started when one is wanted. */
static void run_server_plans(const char *folder, bool over_tcp)
{
    static const struct {
        bool get;
        size_t size;
    } plans[] = {{true, 100}, {true, 1024}, {false, 100}, {false, 1024}, {true, 65536}, {false, 65536}};
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        char title[96];
        snprintf(title, sizeof title, "memcached %s %zu B over %s on one core", plans[i].get ? "get" : "set", plans[i].size,
                 over_tcp ? "tcp" : "unix");
        if (!contest_wanted(title)) {
            continue;
        }
        if (store == NULL) {
            running = mc_server_start(folder, over_tcp);
            contest_server(running.pid);
            context = open_context();
            store = larder_must_open(context, "memcached");
        }
        run_plan(title, store, plans[i].get, plans[i].size);
    }
    if (store != NULL) {
        larder_store_close(store);
        larder_must(larder_shutdown(context, 5000, &error), error, "larder_shutdown");
        mc_server_stop(&running);
    }
}

void memcached_contests(const char *folder)
{
    run_server_plans(folder, true);
    run_server_plans(folder, false);
}
