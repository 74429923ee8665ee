/*
 * Who uses the processor: this program, its server, or others.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "contest.h"

/** What this process used so far. */
struct usage {
    double cpu_us;
    int64_t switches; /* voluntary ones: it slept */
};

struct usage usage_now(void);

/** CPU time that a process used so far, all threads. */
double process_cpu_ns(pid_t pid);

/** CPU seconds that all but this process and `server` used since the machine started, stolen time included. */
double others_seconds(pid_t server);

/** Remembers which cores this process may use. Returns how many. */
int cores_find(void);

/** Moves this process and `server`, all threads of both. */
void cores_place(enum placement placement, pid_t server);

#endif
