/*
 * memcached: larder against libmemcached.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_MEMCACHED_H
#define BENCH_MEMCACHED_H

/** Which libmemcached the baseline is. */
const char *memcached_peer_version(void);

/** Runs the contests, with servers of their own, whose sockets are in `folder`. */
void memcached_contests(const char *folder);

#endif
