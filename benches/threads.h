/*
 * Contests with many threads that call synchronously.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <larder.h>

#include "server.h"

/** All of them. The context has the aliases "tcp" and "unix", both django-redis on the server's database 0. */
void threads_contests(const struct server *server, const larder_context *context);

#endif
