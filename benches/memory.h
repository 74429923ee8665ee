/*
 * Contests in memory: a C++ map against larder's in-memory backend.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <larder.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All of them. The context has the alias "memory", with room for the largest. */
void memory_contests(const larder_context *context);

/** A hit of the near cache of the alias "near", whose Redis is on this port, against redis-rs and against "memory". */
void near_contests(const larder_context *context, int port);

#ifdef __cplusplus
}
#endif

#endif
