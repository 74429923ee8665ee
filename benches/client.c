/*
 * See client.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#include "contest.h"
#include "larder_use.h"

uint64_t stamp_of_key(size_t i)
{
    return (i % KEYS + 1) * 0x0101010101010101u;
}

redisContext *connect_to(const struct server *server, bool over_tcp)
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

void verify_gets(struct client *c, size_t n, uint64_t sum, const void *last)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < n; i++) {
        expected += stamp_of_key(i);
    }
    put_stamp(c->value, stamp_of(last));
    if (sum != expected || memcmp(last, c->value, c->size) != 0) {
        die("a get answered a wrong value");
    }
}

void check_sets(struct client *c, size_t n)
{
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

void *memory(size_t size)
{
    void *got = calloc(1, size);
    if (got == NULL) {
        die("out of memory");
    }
    return got;
}

void client_open(struct client *c, const struct server *server, const larder_store *store, bool over_tcp, size_t size,
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

void client_close(struct client *c)
{
    redisFree(c->hiredis);
    redisFree(c->checker);
    free(c->value);
    free(c->stored);
    free(c->copy);
}
