/*
 * What the contests on Redis share: keys and values that tell whether an answer is right, and who uses the server.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <hiredis.h>
#include <larder.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "server.h"

enum { KEYS = 16, KEY_SIZE = 64, TTL_MS = 300000 };

/** One user of the server: a connection of hiredis, or a store of larder. Both have the fields that they need. */
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

/** The stamp of a value. */
static inline uint64_t stamp_of(const void *value)
{
    uint64_t stamp;
    memcpy(&stamp, value, sizeof stamp);
    return stamp;
}

/** Gives a value a stamp. */
static inline void put_stamp(void *value, uint64_t stamp)
{
    memcpy(value, &stamp, sizeof stamp);
}

/** Each of the keys that are got holds a value with a stamp of its own: that of key `i % KEYS`. */
uint64_t stamp_of_key(size_t i);

/** Fills the client's keys, whose names end in `family`, through larder; learns from the server what the serialised form
 * looks like. */
void client_open(struct client *c, const struct server *server, const larder_store *store, bool over_tcp, size_t size,
                 const char *family);

void client_close(struct client *c);

/** A connection of hiredis. */
redisContext *connect_to(const struct server *server, bool over_tcp);

/** Zeroed memory, or the end of the program. */
void *memory(size_t size);

/** After the clock has stopped: the stamps of `n` gets, key after key, add up to `sum`, and `last`, one of the values, is
 * right to the last byte. */
void verify_gets(struct client *c, size_t n, uint64_t sum, const void *last);

/** Whoever set them, key after key with rising stamps: the server has the last values, serialised as Django does, with
 * the alias's time to live. */
void check_sets(struct client *c, size_t n);

#endif
