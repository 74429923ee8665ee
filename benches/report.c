/*
 * From rounds to ratios, tables and verdicts. See rounds.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rounds.h"

enum { MAX_VERDICTS = 128, TITLE_SIZE = 96, ENOUGH_QUIET_ROUNDS = 5 };

/* A round is quiet when others used less than this many cores during it. */
static const double quiet_cores = 0.15;
/* An A/A control further off than this judges no times. */
static const double control_tolerance = 0.03;

struct spread {
    double low, median, high;
    double error; /* how far the median may be off by chance: twice its standard error */
};

/* What larder did against the baseline, and what the baseline did against itself. */
struct measured {
    struct spread larder;
    struct spread control;
};

struct verdict {
    char title[TITLE_SIZE];
    struct aim aim;
    struct measured told; /* what the aim is about */
    struct measured cpu;
    bool quiet;
};

static struct verdict verdicts[MAX_VERDICTS];
static size_t verdict_count;

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* p10, median and p90. */
static struct spread spread_of(const double *numbers, size_t count)
{
    static double sorted[MAX_ROUNDS];
    memcpy(sorted, numbers, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_number);
    double last = (double)(count - 1);
    struct spread spread = {
        .low = sorted[lround(last * 0.1)], .median = sorted[lround(last * 0.5)], .high = sorted[lround(last * 0.9)]};
    /* For a normal distribution: p90 - p10 is 2.56 deviations, a median's standard error 1.25 of them over the root. */
    spread.error = 2 * 1.25 / 2.56 * (spread.high - spread.low) / sqrt((double)count);
    return spread;
}

/* The ratio is taken within each round, where both met the same conditions, and only then is the median. */
static struct spread ratio_of(const double *numbers, const double *baseline, size_t count)
{
    double ratios[MAX_ROUNDS];
    for (size_t i = 0; i < count; i++) {
        ratios[i] = numbers[i] / baseline[i];
    }
    return spread_of(ratios, count);
}

static struct spread time_ratio(const struct rounds *rounds, size_t entrant)
{
    return ratio_of(rounds->records[entrant].ns, rounds->records[0].ns, rounds->count);
}

static struct spread cpu_ratio(const struct rounds *rounds, size_t entrant)
{
    return ratio_of(rounds->records[entrant].cpu, rounds->records[0].cpu, rounds->count);
}

/* Counted over all rounds, as one number. */
static struct spread switch_ratio(const struct rounds *rounds, size_t entrant)
{
    double ratio = rounds->records[entrant].switches / rounds->records[0].switches;
    return (struct spread){.low = ratio, .median = ratio, .high = ratio, .error = 0};
}

/* With enough quiet rounds only those count, for all entrants alike. Answers how many were quiet. */
static size_t keep_quiet_rounds(struct rounds *rounds, size_t entrant_count)
{
    size_t quiet = 0;
    for (size_t i = 0; i < rounds->count; i++) {
        quiet += rounds->others[i] < quiet_cores;
    }
    if (quiet < ENOUGH_QUIET_ROUNDS) {
        return quiet;
    }
    size_t kept = 0;
    for (size_t i = 0; i < rounds->count; i++) {
        if (rounds->others[i] < quiet_cores) {
            for (size_t j = 0; j < entrant_count; j++) {
                rounds->records[j].ns[kept] = rounds->records[j].ns[i];
                rounds->records[j].cpu[kept] = rounds->records[j].cpu[i];
            }
            kept++;
        }
    }
    rounds->count = kept;
    return quiet;
}

static void print_table(const struct contest *contest, const struct rounds *rounds, double all)
{
    printf("| entrant | median ns/op | p10..p90 | ratio to the baseline (p10..p90) | CPU ratio, client + server (p10..p90)"
           " | client CPU us/op | voluntary switches/op |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < contest->entrant_count; i++) {
        const struct record *record = &rounds->records[i];
        struct spread ns = spread_of(record->ns, rounds->count);
        struct spread time = time_ratio(rounds, i);
        struct spread cpu = cpu_ratio(rounds, i);
        printf("| %s%s | %.1f | %.1f..%.1f | **%.3f** (%.3f..%.3f) | %.3f (%.3f..%.3f) | %.3f | %.3f |\n",
               contest->entrants[i].name, i == 0 ? " (baseline)" : i == 1 ? " (A/A control)" : "", ns.median, ns.low,
               ns.high, time.median, time.low, time.high, cpu.median, cpu.low, cpu.high, record->client_cpu_us / all,
               record->switches / all);
    }
}

/* Near enough to 1, and sure enough that it is. */
static bool control_judges(struct spread control)
{
    return fabs(control.median - 1) <= control_tolerance && control.error <= control_tolerance;
}

static void remember(const struct contest *contest, const struct rounds *rounds, bool quiet)
{
    for (size_t i = 0; i < contest->aim_count && verdict_count < MAX_VERDICTS; i++) {
        const struct aim *aim = &contest->aims[i];
        struct verdict *v = &verdicts[verdict_count++];
        snprintf(v->title, sizeof v->title, "%s", contest->title);
        v->aim = *aim;
        v->quiet = quiet;
        v->cpu = (struct measured){cpu_ratio(rounds, aim->entrant), cpu_ratio(rounds, 1)};
        v->told = aim->measure == TIME ? (struct measured){time_ratio(rounds, aim->entrant), time_ratio(rounds, 1)}
                                       : (struct measured){switch_ratio(rounds, aim->entrant), switch_ratio(rounds, 1)};
    }
}

static void print_control(const char *what, struct spread control)
{
    printf("A/A control of %s: %.3f, give or take %.3f: %s. ", what, control.median, control.error,
           control_judges(control) ? "it allows judging" : "it does not allow judging; a report, not a proof");
}

void report_contest(const struct contest *contest, struct rounds *rounds)
{
    size_t all_rounds = rounds->count;
    double load = fmax(0, spread_of(rounds->others, all_rounds).median);
    size_t quiet_count = keep_quiet_rounds(rounds, contest->entrant_count);
    bool quiet = quiet_count >= ENOUGH_QUIET_ROUNDS;
    printf("\n### %s\n\n", contest->title);
    printf("%s: %zu quiet rounds of %zu, others used %.2f cores (median); %zu operations a round and entrant.\n\n",
           quiet ? "QUIET" : "CONTENDED", quiet_count, all_rounds, load, rounds->operations);
    print_table(contest, rounds, (double)(rounds->operations * all_rounds));
    printf("\n");
    print_control("times", time_ratio(rounds, 1));
    print_control("CPU", cpu_ratio(rounds, 1));
    printf("\n");
    remember(contest, rounds, quiet);
    fflush(stdout);
}

static const char *word_for(const struct measured *m, double limit)
{
    if (fabs(m->larder.median - limit) < fmax(fabs(m->control.median - 1), m->larder.error)) {
        return "too close to call";
    }
    return m->larder.median <= limit ? "met" : "missed";
}

/* On one core the time of an operation is the CPU time of both ends: where others spoil the one, the other tells. */
static void print_verdict(const struct verdict *v)
{
    if (v->aim.measure != TIME || control_judges(v->told.control)) {
        printf("%s", word_for(&v->told, v->aim.limit));
    } else if (control_judges(v->cpu.control)) {
        printf("by CPU: %s", word_for(&v->cpu, v->aim.limit));
    } else {
        printf("cannot be judged");
    }
}

void report_aims(void)
{
    printf("\n## Aims (design/performance.md)\n\n| aim | contest | what | aim | larder | A/A control | load | verdict |"
           " CPU ratio (its control) |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < verdict_count; i++) {
        const struct verdict *v = &verdicts[i];
        printf("| %s | %s | %s | <= %.2f | **%.3f** | %.3f | %s | ", v->aim.id, v->title,
               v->aim.measure == TIME ? "time" : "switches", v->aim.limit, v->told.larder.median, v->told.control.median,
               v->quiet ? "QUIET" : "CONTENDED");
        print_verdict(v);
        printf(" | %.3f (%.3f) |\n", v->cpu.larder.median, v->cpu.control.median);
    }
}
