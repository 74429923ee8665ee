/*
 * A memcached of our own: on loopback or on a unix socket, ended afterwards.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_MC_SERVER_H
#define BENCH_MC_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct mc_server {
    pid_t pid;
    int port;         /* 0 on a unix socket */
    char socket[108]; /* what a unix address can hold; empty over tcp */
};

/** Starts it and waits until it answers. It ends with this process. */
struct mc_server mc_server_start(const char *folder, bool over_tcp);

/** Ends it and waits until it is gone. */
void mc_server_stop(const struct mc_server *server);

#endif
