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

enum { MAX_VERDICTS = 256, TITLE_SIZE = 96, ENOUGH_QUIET_ROUNDS = 5 };

/* A round is quiet when others used less than this many cores during it. */
static const double quiet_cores = 0.15;
/* An A/A control further off than this judges nothing: on one core, and where an idle core has to be woken. */
static const double control_tolerance = 0.03;
static const double rough_tolerance = 0.10;

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
    bool on_one_core;
    const char *word;
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

static struct spread client_ratio(const struct rounds *rounds, size_t entrant)
{
    return ratio_of(rounds->records[entrant].client, rounds->records[0].client, rounds->count);
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
                rounds->records[j].client[kept] = rounds->records[j].client[i];
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
           " | client CPU us/op | its ratio (p10..p90) | voluntary switches/op |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < contest->entrant_count; i++) {
        const struct record *record = &rounds->records[i];
        struct spread ns = spread_of(record->ns, rounds->count);
        struct spread time = time_ratio(rounds, i);
        struct spread cpu = cpu_ratio(rounds, i);
        struct spread client = client_ratio(rounds, i);
        printf("| %s%s | %.1f | %.1f..%.1f | **%.3f** (%.3f..%.3f) | %.3f (%.3f..%.3f) | %.3f | %.3f (%.3f..%.3f) | %.3f |\n",
               contest->entrants[i].name, i == 0 ? " (baseline)" : i == 1 ? " (A/A control)" : "", ns.median, ns.low,
               ns.high, time.median, time.low, time.high, cpu.median, cpu.low, cpu.high, record->client_cpu_us / all,
               client.median, client.low, client.high, record->switches / all);
    }
}

/* Near enough to 1, and sure enough that it is. */
static bool control_judges(struct spread control, bool on_one_core)
{
    double tolerance = on_one_core ? control_tolerance : rough_tolerance;
    return fabs(control.median - 1) <= tolerance && control.error <= tolerance;
}

static struct spread measured_ratio(const struct rounds *rounds, enum measure measure, size_t entrant)
{
    switch (measure) {
    case SWITCHES:
        return switch_ratio(rounds, entrant);
    case CLIENT_CPU:
        return client_ratio(rounds, entrant);
    default:
        return time_ratio(rounds, entrant);
    }
}

static const char *word_for(const struct measured *m, double limit)
{
    if (fabs(m->larder.median - limit) < fmax(fabs(m->control.median - 1), m->larder.error)) {
        return "too close to call";
    }
    return m->larder.median <= limit ? "met" : "missed";
}

/* On one core the time of an operation is the CPU time of both ends: where others spoil the one, the other tells. */
static const char *judged(const struct verdict *v)
{
    /* CPU time differs by more than its control does only where something really differs. */
    bool strict = v->on_one_core && v->aim.measure == TIME;
    if (v->aim.measure == SWITCHES || control_judges(v->told.control, strict)) {
        return word_for(&v->told, v->aim.limit);
    }
    if (v->aim.measure == TIME && v->on_one_core && control_judges(v->cpu.control, true)) {
        return word_for(&v->cpu, v->aim.limit);
    }
    return "cannot be judged";
}

static void remember(const struct contest *contest, const struct rounds *rounds, bool quiet)
{
    for (size_t i = 0; i < contest->aim_count && verdict_count < MAX_VERDICTS; i++) {
        const struct aim *aim = &contest->aims[i];
        struct verdict *v = &verdicts[verdict_count++];
        snprintf(v->title, sizeof v->title, "%s", contest->title);
        v->aim = *aim;
        v->quiet = quiet;
        v->on_one_core = contest->placement == ONE_CORE;
        v->cpu = (struct measured){cpu_ratio(rounds, aim->entrant), cpu_ratio(rounds, 1)};
        v->told = (struct measured){measured_ratio(rounds, aim->measure, aim->entrant), measured_ratio(rounds, aim->measure, 1)};
        v->word = judged(v);
    }
}

static void print_control(const char *what, struct spread control, bool on_one_core)
{
    printf("A/A control of %s: %.3f, give or take %.3f: %s. ", what, control.median, control.error,
           control_judges(control, on_one_core) ? "it allows judging" : "it does not allow judging; a report, not a proof");
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
    bool on_one_core = contest->placement == ONE_CORE;
    print_control("times", time_ratio(rounds, 1), on_one_core);
    print_control("CPU", cpu_ratio(rounds, 1), on_one_core);
    printf("\n");
    remember(contest, rounds, quiet);
    fflush(stdout);
}

void report_aims(void)
{
    static const char *const measures[] = {"time", "switches", "client CPU"};
    printf("\n## Aims (design/performance.md), contest by contest\n\n| aim | contest | what | aim | larder | A/A control | load |"
           " verdict | CPU ratio (its control) |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < verdict_count; i++) {
        const struct verdict *v = &verdicts[i];
        printf("| %s | %s | %s | <= %.2f | **%.3f** | %.3f | %s | %s | %.3f (%.3f) |\n", v->aim.id, v->title,
               measures[v->aim.measure], v->aim.limit, v->told.larder.median, v->told.control.median,
               v->quiet ? "QUIET" : "CONTENDED", v->word, v->cpu.larder.median, v->cpu.control.median);
    }
}

/* --- the short form -------------------------------------------------------------------------------------------- */

/* One path of the summary: the verdicts with this id, measure and limit. */
struct path {
    const char *id;
    enum measure measure;
    double limit;
    const char *text;
};

static const struct path paths[] = {
    {"A1", TIME, 1.05, "A1: synchronous GET and SET up to 1 KiB, one core"},
    {"A3", SWITCHES, 1.5, "A3: the same, voluntary switches"},
    {"A3", SWITCHES, 1.1, "A3: synchronous GET and SET of 1 KiB, two cores, voluntary switches"},
    {"A2", TIME, 0.90, "A2: synchronous GET of 64 KiB, one core"},
    {"A6", TIME, 0.95, "A6: 256 and 1,024 GETs in flight, one connection, through the queue in batches"},
    {"A7", CLIENT_CPU, 0.5, "A7: the same, the client's CPU"},
    {"A6 packed", TIME, 0.95, "A6: through the queue with packed requests"},
    {"A7 packed", CLIENT_CPU, 0.5, "A7: the same, the client's CPU"},
    {"A6 callback", TIME, 0.95, "A6: by callbacks, one call for each operation (not asked for)"},
    {"A7 callback", CLIENT_CPU, 0.5, "A7: the same, the client's CPU (not asked for)"},
    {"A10", TIME, 0.80, "A10: 32 threads that get synchronously"},
    {"A10", TIME, 1.05, "A10: 2 and 8 threads that get synchronously"},
    {"A11", TIME, 0.45, "A11: near-cache hit of 1 KiB, against redis-rs cache-aio through block_on"},
    {"A11", TIME, 1.00, "A11: the same, no more than a hit of the memory backend"},
    {"C1", TIME, 0.95, "C1: hit in memory among 64 keys, against a C++ map"},
    {"B1", TIME, 1.05, "B1: synchronous memcached get and set up to 1 KiB, one core, against libmemcached"},
    {"B1", TIME, 0.85, "B1: the same, 64 KiB"},
    {"E1", TIME, 1.25, "E1: SQLite get up to 1 KiB, against a prepared select in C"},
    {"E1", TIME, 1.15, "E1: the same, 64 KiB"},
    {"E2", TIME, 1.05, "E2: SQLite set, against a prepared upsert in C"},
    {"F1", TIME, 0.15, "F1: pickle to JSON text, against CPython"},
};

/* The verdicts of a path; how many that are. */
static size_t verdicts_of(const struct path *path, const struct verdict **found)
{
    size_t count = 0;
    for (size_t i = 0; i < verdict_count; i++) {
        const struct aim *aim = &verdicts[i].aim;
        if (strcmp(aim->id, path->id) == 0 && aim->measure == path->measure && fabs(aim->limit - path->limit) < 1e-9) {
            found[count++] = &verdicts[i];
        }
    }
    return count;
}

static void print_words(FILE *out, const struct verdict **found, size_t count)
{
    static const char *const words[] = {"met", "missed", "too close to call", "cannot be judged"};
    const char *between = "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t times = 0;
        for (size_t j = 0; j < count; j++) {
            times += strcmp(found[j]->word, words[i]) == 0;
        }
        if (times == count) {
            fprintf(out, "%s", words[i]);
            return;
        }
        if (times > 0) {
            fprintf(out, "%s%zu %s", between, times, words[i]);
            between = ", ";
        }
    }
}

void report_summary(FILE *out)
{
    fprintf(out, "| path | aim | this machine (range over its contests) | A/A control | met? |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct verdict *found[MAX_VERDICTS];
        double ratios[MAX_VERDICTS], controls[MAX_VERDICTS];
        size_t count = verdicts_of(&paths[i], found);
        if (count == 0) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            ratios[j] = found[j]->told.larder.median;
            controls[j] = found[j]->told.control.median;
        }
        qsort(ratios, count, sizeof *ratios, by_number);
        qsort(controls, count, sizeof *controls, by_number);
        fprintf(out, "| %s | <= %.2f x | **%.2f** (%.2f..%.2f of %zu) | %.2f..%.2f | ", paths[i].text, paths[i].limit,
                ratios[count / 2], ratios[0], ratios[count - 1], count, controls[0], controls[count - 1]);
        print_words(out, found, count);
        fprintf(out, " |\n");
    }
}
