/*
 * The runner. See contest.h and README.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "contest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"
#include "rounds.h"

/* A round goes over all entrants several times, in short blocks, so that a burst of somebody else's work spreads. */
enum { DEFAULT_ROUNDS = 31, PASSES = 8, FEW = 32 };

/* What a block should take. A round has to be long enough to tell others' ticks (10 ms) apart from nothing. */
static const double block_ns = 6e6;
/* How long one contest may wait for the others to be quiet. */
static const double patience_seconds = 2.0;

static pid_t server_pid;
static int core_count;
static size_t round_count = DEFAULT_ROUNDS;
static const char *only;
/* Too large for the stack; contests run one at a time. */
static struct rounds rounds;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * 0x2545F4914F6CDD1Du;
}

void contest_begin(pid_t server)
{
    server_pid = server;
    core_count = cores_find();
    only = getenv("ONLY");
    const char *asked = getenv("ROUNDS");
    if (asked != NULL && asked[0] != 0) {
        long number = strtol(asked, NULL, 10);
        if (number < 1 || number > MAX_ROUNDS) {
            die("ROUNDS must be 1 to %d", MAX_ROUNDS);
        }
        round_count = (size_t)number;
    }
}

void contest_server(pid_t server)
{
    server_pid = server;
}

bool contest_two_cores(void)
{
    return core_count >= 2;
}

bool contest_wanted(const char *title)
{
    if (only == NULL || only[0] == 0) {
        return true;
    }
    char parts[512];
    snprintf(parts, sizeof parts, "%s", only);
    char *rest = NULL;
    for (char *part = strtok_r(parts, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        if (strstr(title, part) != NULL) {
            return true;
        }
    }
    return false;
}

/* Waits for 50 ms in which others used no more than a tick. */
static void wait_for_quiet(double *patience)
{
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 50000000};
    while (*patience > 0) {
        double before = others_seconds(server_pid);
        nanosleep(&pause, NULL);
        if (others_seconds(server_pid) - before < 0.015) {
            return;
        }
        *patience -= 0.05;
    }
}

static void check(const struct entrant *e, size_t n)
{
    if (e->check != NULL) {
        e->check(e->self, n);
    }
}

/* The best of three: a burst of somebody else's work must not make the blocks short. */
static double quickest_ns(const struct entrant *e, size_t n)
{
    double best = (double)e->run(e->self, n);
    for (int i = 0; i < 2; i++) {
        double ns = (double)e->run(e->self, n);
        best = ns < best ? ns : best;
    }
    return best;
}

/* How many operations make a block, by the slowest entrant's pace; warms everybody up on the way. */
static size_t block_size(const struct contest *contest)
{
    double slowest = 1;
    size_t least = contest->least_block > 0 ? contest->least_block : FEW;
    for (size_t i = 0; i < contest->entrant_count; i++) {
        const struct entrant *e = &contest->entrants[i];
        size_t n = least;
        double ns = quickest_ns(e, n);
        while (ns < block_ns) {
            n *= 2;
            ns = quickest_ns(e, n);
        }
        check(e, n);
        double each = ns / (double)n;
        slowest = each > slowest ? each : slowest;
    }
    size_t n = (size_t)(block_ns / slowest);
    return n < least ? least : n;
}

static void run_block(const struct entrant *e, struct record *record, size_t round, size_t n)
{
    struct usage before = usage_now();
    double server_before = process_cpu_ns(server_pid);
    double ns = (double)e->run(e->self, n);
    struct usage after = usage_now();
    double server_ns = process_cpu_ns(server_pid) - server_before;
    double client_us = after.cpu_us - before.cpu_us;
    double share = (double)(n * PASSES);
    record->ns[round] += ns / share;
    record->cpu[round] += (client_us * 1e3 + server_ns) / share;
    record->client[round] += client_us * 1e3 / share;
    record->client_cpu_us += client_us;
    record->switches += (double)(after.switches - before.switches);
}

/* No rotation: under rotation everybody always has the same predecessor, and inherits its after-effects. */
static void shuffle(size_t *order, size_t count, uint64_t *seed)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = (size_t)(random_next(seed) % (i + 1));
        size_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static void run_round(const struct contest *contest, size_t round, size_t n, uint64_t *seed)
{
    size_t order[MAX_ENTRANTS];
    for (size_t i = 0; i < contest->entrant_count; i++) {
        order[i] = i;
    }
    double others_before = others_seconds(server_pid);
    uint64_t start = now_ns();
    for (size_t pass = 0; pass < PASSES; pass++) {
        shuffle(order, contest->entrant_count, seed);
        for (size_t i = 0; i < contest->entrant_count; i++) {
            run_block(&contest->entrants[order[i]], &rounds.records[order[i]], round, n);
        }
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    rounds.others[round] = (others_seconds(server_pid) - others_before) / seconds;
    for (size_t i = 0; i < contest->entrant_count; i++) {
        check(&contest->entrants[i], n);
    }
}

void contest_run(const struct contest *contest)
{
    fprintf(stderr, "bench: %s\n", contest->title);
    cores_place(contest->placement, server_pid);
    memset(&rounds, 0, sizeof rounds);
    size_t n = block_size(contest);
    uint64_t seed = 0x9E3779B97F4A7C15u;
    double patience = patience_seconds;
    for (size_t round = 0; round < round_count; round++) {
        wait_for_quiet(&patience);
        run_round(contest, round, n, &seed);
    }
    cores_place(ANYWHERE, server_pid);
    rounds.count = round_count;
    rounds.operations = n * PASSES;
    report_contest(contest, &rounds);
}

void contest_end(FILE *summary)
{
    report_aims();
    report_summary(summary);
}
