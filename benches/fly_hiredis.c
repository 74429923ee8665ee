/*
 * hiredis async: every callback sends one more.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "flyer.h"

static void hiredis_get_one(struct flight *f);

static void hiredis_got(redisAsyncContext *context, void *answer, void *self)
{
    struct flight *f = self;
    const redisReply *reply = answer;
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != f->client.stored_size) {
        die("hiredis async: a get went wrong: %s", context->errstr);
    }
    take_value(f, reply->str + f->client.offset, f->client.size);
    hiredis_get_one(f);
}

static void hiredis_get_one(struct flight *f)
{
    if (f->sent == f->total) {
        return;
    }
    const char *words[] = {"GET", f->client.final_keys[f->sent % KEYS]};
    size_t lengths[] = {3, f->key_size};
    f->sent++;
    if (redisAsyncCommandArgv(f->peer.context, hiredis_got, f, 2, words, lengths) != REDIS_OK) {
        die("hiredis async does not take a get");
    }
}

uint64_t hiredis_gets(void *self, size_t n)
{
    struct flight *f = self;
    f->key_size = strlen(f->client.final_keys[0]);
    begin_block(f, n);
    uint64_t start = now_ns();
    for (size_t i = 0; i < f->depth; i++) {
        hiredis_get_one(f);
    }
    while (f->answered < n) {
        peer_turn(&f->peer);
    }
    return end_block(f, start);
}

static void hiredis_put_one(struct flight *f);

static void hiredis_stored(redisAsyncContext *context, void *answer, void *self)
{
    struct flight *f = self;
    const redisReply *reply = answer;
    if (reply == NULL || reply->type != REDIS_REPLY_STATUS) {
        die("hiredis async: a set went wrong: %s", context->errstr);
    }
    f->answered++;
    hiredis_put_one(f);
}

static void hiredis_put_one(struct flight *f)
{
    if (f->sent == f->total) {
        return;
    }
    struct client *c = &f->client;
    char *value = (char *)f->values + f->sent % BATCH * c->stored_size;
    put_stamp(value + c->offset, ++c->stamp);
    const char *words[] = {"SET", c->final_keys[f->sent % KEYS], value, "PX", "300000"};
    size_t lengths[] = {3, f->key_size, c->stored_size, 2, 6};
    f->sent++;
    if (redisAsyncCommandArgv(f->peer.context, hiredis_stored, f, 5, words, lengths) != REDIS_OK) {
        die("hiredis async does not take a set");
    }
}

uint64_t hiredis_puts(void *self, size_t n)
{
    struct flight *f = self;
    f->key_size = strlen(f->client.final_keys[0]);
    for (size_t i = 0; i < BATCH; i++) {
        memcpy(f->values + i * f->client.stored_size, f->client.stored, f->client.stored_size);
    }
    begin_block(f, n);
    uint64_t start = now_ns();
    for (size_t i = 0; i < f->depth; i++) {
        hiredis_put_one(f);
    }
    while (f->answered < n) {
        peer_turn(&f->peer);
    }
    return now_ns() - start;
}
