/*
 * One entrant of a contest with many requests in flight: who asks, what it has under way, and the ways to fly.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_FLYER_H
#define BENCH_FLYER_H

#include <larder.h>
#include <pthread.h>
#include <stdatomic.h>

#include "client.h"
#include "contest.h"
#include "peer.h"

/** A batch is what one poll brings at the most. */
enum { BATCH = 256 };

/** One entrant. */
struct flight {
    struct client client;
    size_t depth;
    struct peer peer; /* hiredis only */
    larder_queue *queue;
    larder_request requests[BATCH];
    larder_event events[BATCH];
    struct {
        larder_packed requests[BATCH];
        char keys[BATCH][KEY_SIZE];
    } packed;
    unsigned char *values; /* of sets: BATCH of them, since those of one batch are read together */
    size_t key_size;
    /* Of the block that runs. */
    size_t total;
    size_t sent;
    atomic_size_t taken; /* in place of `sent` where callbacks and the block's own thread take numbers at once */
    size_t answered;
    uint64_t sum;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
};

/** Begins a block of `n` operations. */
static inline void begin_block(struct flight *f, size_t n)
{
    f->total = n;
    f->sent = 0;
    atomic_store(&f->taken, 0);
    f->answered = 0;
    f->sum = 0;
    f->is_over = false;
}

/** One value has come; of the last one a copy is kept, to be looked at when the clock has stopped. */
static inline void take_value(struct flight *f, const void *bytes, size_t size)
{
    if (size != f->client.size) {
        die("a value of a wrong size");
    }
    f->sum += stamp_of(bytes);
    if (++f->answered == f->total) {
        memcpy(f->client.copy, bytes, size);
    }
}

/** Stops the clock of a block of gets, and looks at what came. Returns the ns that it took. */
static inline uint64_t end_block(struct flight *f, uint64_t start)
{
    uint64_t took = now_ns() - start;
    verify_gets(&f->client, f->total, f->sum, f->client.copy);
    return took;
}

/* What an entrant runs: `self` is a struct flight. */
uint64_t hiredis_gets(void *self, size_t n);
uint64_t hiredis_puts(void *self, size_t n);
uint64_t queue_gets(void *self, size_t n);
uint64_t queue_packed_gets(void *self, size_t n);
uint64_t queue_puts(void *self, size_t n);
uint64_t callback_gets(void *self, size_t n);

#endif
