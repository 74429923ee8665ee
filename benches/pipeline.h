/*
 * Pyot's pipeline: a hit in the first and in the second store against the same stores used by hand.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_PIPELINE_H
#define BENCH_PIPELINE_H

#include "server.h"

/** Runs the contests, on the server's database 2 and with files in `folder`, which exists and is ours. */
void pipeline_contests(const struct server *server, const char *folder);

#endif
