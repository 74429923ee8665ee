/*
 * hiredis async on an epoll loop: what a C program has today for many requests in flight on one connection.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <async.h>
#include <stdbool.h>

#include "server.h"

/** A connection and its loop. */
struct peer {
    redisAsyncContext *context;
    int loop;
    unsigned wanted; /* epoll's events that hiredis asked for */
    unsigned told;   /* those that epoll knows */
};

/** Connects, or ends the program. `peer` must stay where it is. */
void peer_open(struct peer *peer, const struct server *server, bool over_tcp);

/** Waits for the socket once and lets hiredis work: callbacks run in here. */
void peer_turn(struct peer *peer);

void peer_close(struct peer *peer);

#endif
