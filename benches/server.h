/*
 * A redis-server of our own: loopback, private folder, ended afterwards.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <sys/types.h>

struct server {
    pid_t pid;
    int port;
    char socket[108]; /* what a unix address can hold */
};

/** Starts it in `folder`, which exists and is ours, and waits until it answers. It ends with this process. */
struct server server_start(const char *folder);

/** Ends it and waits until it is gone. */
void server_stop(const struct server *server);

#endif
