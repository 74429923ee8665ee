/*
 * Contests with many requests in flight on one connection.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_FLIGHT_H
#define BENCH_FLIGHT_H

#include <larder.h>

#include "server.h"

/** All of them. The context has the aliases "tcp" and "unix", both django-redis on the server's database 0. */
void flight_contests(const struct server *server, const larder_context *context);

#endif
