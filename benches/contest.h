/*
 * A contest: entrants that do the same work, one block after the other, in an order that is shuffled for every round,
 * so that a noisy neighbour hits all of them alike. What counts is the ratio to the baseline within a round.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MAX_ENTRANTS = 6 };

/** Where the client (this process) and the server run. */
enum placement {
    ONE_CORE,  /* both on the same core */
    TWO_CORES, /* each on a core of its own */
    ANYWHERE   /* as the scheduler likes */
};

/** One way to do the work. */
struct entrant {
    const char *name;
    /** Does `n` operations, ends the program on a wrong answer, and tells how many ns they took. */
    uint64_t (*run)(void *self, size_t n);
    /** NULL, or looks at what the last block left behind; its time does not count. */
    void (*check)(void *self, size_t n);
    void *self;
};

/** What an aim of design/performance.md limits. */
enum measure { TIME, SWITCHES, CLIENT_CPU };

/** An aim: entrant `entrant` of the contest against the baseline. */
struct aim {
    const char *id;
    enum measure measure;
    double limit;
    size_t entrant;
};

/** The baseline is entrant 0; entrant 1 is the A/A control: the same code on a connection or map of its own. */
struct contest {
    const char *title;
    enum placement placement;
    const struct entrant *entrants;
    size_t entrant_count;
    /** May be empty: the contest is a report then. */
    const struct aim *aims;
    size_t aim_count;
    /** A block has at least this many operations; 0: a few. */
    size_t least_block;
};

/** Reads ROUNDS and ONLY, and which cores there are. `server` is the process that does the other half of the work. */
void contest_begin(pid_t server);

/** From now on this process does the other half of the work. */
void contest_server(pid_t server);

/** Whether ONLY lets a contest run. Ask before making what it needs. */
bool contest_wanted(const char *title);

/** Runs a contest and prints its table. */
void contest_run(const struct contest *contest);

/** Prints the aims beside what was measured; to `summary` the short form. */
void contest_end(FILE *summary);

/** Whether the machine has a second core for TWO_CORES. */
bool contest_two_cores(void);

/** The monotonic clock in ns. */
uint64_t now_ns(void);

/** Ends the program: a wrong answer is never timed. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/** The next number of a repeatable sequence (xorshift). */
uint64_t random_next(uint64_t *state);

#ifdef __cplusplus
}
#endif

#endif
