/*
 * larder's faces: the completion queue, polled for many events at once and given as many new requests in one batch; the
 * same with packed requests; and callbacks, each of which begins one more.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "flyer.h"
#include "larder_use.h"

/* --- larder's queue -------------------------------------------------------------------------------------------- */

/* Submits that many more, or what is left of the block. */
typedef void submit_fn(struct flight *f, size_t count);

static size_t at_most_left(const struct flight *f, size_t count)
{
    size_t left = f->total - f->sent;
    return count < left ? count : left;
}

static void submit_gets(struct flight *f, size_t count)
{
    count = at_most_left(f, count);
    for (size_t i = 0; i < count; i++) {
        size_t number = f->sent++;
        larder_request *request = &f->requests[i];
        request->operation = LARDER_OP_GET;
        request->store = f->client.store;
        request->tag = number;
        request->key = f->client.keys[number % KEYS];
        request->key_len = f->key_size;
    }
    larder_error *error = NULL;
    larder_must(larder_submit(f->queue, f->requests, count, sizeof *f->requests, NULL, &error), error, "larder_submit");
}

static void submit_packed_gets(struct flight *f, size_t count)
{
    count = at_most_left(f, count);
    for (size_t i = 0; i < count; i++) {
        size_t number = f->sent++;
        larder_packed *request = &f->packed.requests[i];
        request->operation = LARDER_OP_GET;
        request->store = (uint64_t)(uintptr_t)f->client.store;
        request->tag = number;
        request->key = (uint64_t)((char *)f->packed.keys[i] - (char *)&f->packed);
        request->key_len = f->key_size;
        memcpy(f->packed.keys[i], f->client.keys[number % KEYS], f->key_size);
    }
    larder_error *error = NULL;
    larder_must(larder_submit_packed(f->queue, &f->packed, sizeof f->packed, count, sizeof *f->packed.requests, NULL, NULL,
                                     &error),
                error, "larder_submit_packed");
}

static void submit_puts(struct flight *f, size_t count)
{
    struct client *c = &f->client;
    count = at_most_left(f, count);
    for (size_t i = 0; i < count; i++) {
        size_t number = f->sent++;
        unsigned char *value = f->values + i * c->size;
        put_stamp(value, ++c->stamp);
        f->requests[i] = (larder_request){.operation = LARDER_OP_SET,
                                          .format = LARDER_BYTES,
                                          .store = c->store,
                                          .tag = number,
                                          .key = c->keys[number % KEYS],
                                          .key_len = f->key_size,
                                          .value = value,
                                          .value_len = c->size,
                                          .ttl_ms = LARDER_TTL_DEFAULT};
    }
    larder_error *error = NULL;
    larder_must(larder_submit(f->queue, f->requests, count, sizeof *f->requests, NULL, &error), error, "larder_submit");
}

static void take_event(struct flight *f, const larder_event *event)
{
    const void *bytes = NULL;
    size_t size = 0;
    larder_error *error = NULL;
    if (event->kind != LARDER_EVENT_DONE || event->status != LARDER_OK) {
        die("an operation ended with %s: %s", larder_status_name(event->status), larder_error_message(event->error));
    }
    if (event->operation == LARDER_OP_SET) {
        f->answered++;
        return;
    }
    larder_must(larder_value_bytes(event->value, &bytes, &size, &error), error, "larder_value_bytes");
    take_value(f, bytes, size);
}

static void fly(struct flight *f, size_t n, submit_fn *submit)
{
    larder_error *error = NULL;
    for (size_t i = 0; i < f->depth; i += BATCH) {
        submit(f, BATCH);
    }
    while (f->answered < n) {
        size_t count = 0;
        larder_must(larder_queue_poll(f->queue, f->events, BATCH, sizeof *f->events, 10000, &count, &error), error,
                    "larder_queue_poll");
        for (size_t i = 0; i < count; i++) {
            take_event(f, &f->events[i]);
        }
        larder_events_clear(f->events, count, sizeof *f->events);
        submit(f, count);
    }
}

uint64_t queue_gets(void *self, size_t n)
{
    struct flight *f = self;
    begin_block(f, n);
    uint64_t start = now_ns();
    fly(f, n, submit_gets);
    return end_block(f, start);
}

uint64_t queue_packed_gets(void *self, size_t n)
{
    struct flight *f = self;
    begin_block(f, n);
    uint64_t start = now_ns();
    fly(f, n, submit_packed_gets);
    return end_block(f, start);
}

uint64_t queue_puts(void *self, size_t n)
{
    struct flight *f = self;
    for (size_t i = 0; i < BATCH; i++) {
        memcpy(f->values + i * f->client.size, f->client.value, f->client.size);
    }
    begin_block(f, n);
    uint64_t start = now_ns();
    fly(f, n, submit_puts);
    return now_ns() - start;
}

/* --- larder's callbacks ---------------------------------------------------------------------------------------- */

static void begin_get(struct flight *f);

static void got(void *self, larder_op op, larder_status status, const larder_value *value, const larder_error *why)
{
    struct flight *f = self;
    const void *bytes = NULL;
    size_t size = 0;
    larder_error *error = NULL;
    (void)op;
    larder_must(status, (larder_error *)(uintptr_t)why, "larder_get_cb");
    larder_must(larder_value_bytes(value, &bytes, &size, &error), error, "larder_value_bytes");
    take_value(f, bytes, size);
    begin_get(f);
    if (f->answered == f->total) {
        pthread_mutex_lock(&f->lock);
        f->is_over = true;
        pthread_cond_signal(&f->over);
        pthread_mutex_unlock(&f->lock);
    }
}

static void begin_get(struct flight *f)
{
    size_t number = atomic_fetch_add(&f->taken, 1);
    if (number >= f->total) {
        return;
    }
    larder_error *error = NULL;
    const char *key = f->client.keys[number % KEYS];
    larder_must(larder_get_cb(f->client.store, key, f->key_size, NULL, got, f, NULL, &error), error, "larder_get_cb");
}

uint64_t callback_gets(void *self, size_t n)
{
    struct flight *f = self;
    begin_block(f, n);
    uint64_t start = now_ns();
    for (size_t i = 0; i < f->depth; i++) {
        begin_get(f);
    }
    pthread_mutex_lock(&f->lock);
    while (!f->is_over) {
        pthread_cond_wait(&f->over, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return end_block(f, start);
}
