/*
 * What the rounds of a contest left to report. Between contest.c, which runs them, and report.c, which tells.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "contest.h"

enum { MAX_ROUNDS = 400 };

/** What one entrant did. */
struct record {
    double ns[MAX_ROUNDS];  /* wall time per operation, by round */
    double cpu[MAX_ROUNDS]; /* CPU ns per operation, client and server together, by round */
    double client[MAX_ROUNDS]; /* CPU ns per operation, client alone, by round */
    double client_cpu_us;   /* over all rounds, as are the switches: neither depends much on noise */
    double switches;
};

struct rounds {
    size_t count;
    size_t operations;         /* of each entrant in each round */
    double others[MAX_ROUNDS]; /* how many cores others used */
    struct record records[MAX_ENTRANTS];
};

/** Prints a contest's table, and remembers how it did against its aims. Drops the rounds that do not count. */
void report_contest(const struct contest *contest, struct rounds *rounds);

/** Prints the aims beside what was measured, contest by contest. */
void report_aims(void);

/** Prints one line for each path that has an aim, over all of its contests. */
void report_summary(FILE *out);

#endif
