/*
 * Synchronous get and set of a database cache on SQLite. The baseline is given the final key and the text of the column
 * ready made, and keeps two prepared statements: a select by key, and an upsert. Larder makes key, pickle, base64 and
 * expiry itself, and looks after culling. Each entrant has a database of its own, with the same rows, in the same journal
 * mode and with the same `synchronous`.
 *
 * This program has two copies of SQLite: larder's own and the baseline's. In one process they would not see each other's
 * locks on a file, and each would break the other's: so no database is ever open in both.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "table.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "larder_use.h"

enum { ROWS = 500, ROW_KEY = 48, FORMS = 2 };

/* How a database is written: the names are those of PRAGMA journal_mode and synchronous. */
struct durability {
    const char *journal;
    const char *synchronous;
};

/* One user of a database of its own: statements in C, or a store. */
struct table {
    sqlite3 *database;
    sqlite3_stmt *get, *set;
    larder_context *context;
    larder_store *store;
    size_t size;
    unsigned char *values[FORMS]; /* key i holds value i % 2 first; each set changes it */
    char *texts[FORMS];           /* what the column holds for them */
    size_t text_size;
    char *copy;
    unsigned turn;   /* which value the last block of sets ended with */
    size_t last_row; /* and where */
    char path[256];
    struct durability how;
    char keys[ROWS][ROW_KEY];
    char final_keys[ROWS][ROW_KEY];
};

const char *table_version(void)
{
    return sqlite3_libversion();
}

static void sql_must(sqlite3 *database, int wanted, int got)
{
    if (got != wanted) {
        die("SQLite: %s", sqlite3_errmsg(database));
    }
}

static void execute(sqlite3 *database, const char *format, const char *word)
{
    char text[128];
    snprintf(text, sizeof text, format, word);
    sql_must(database, SQLITE_OK, sqlite3_exec(database, text, NULL, NULL, NULL));
}

/* --- get ------------------------------------------------------------------------------------------------------- */

static uint64_t sqlite_get(void *self, size_t n)
{
    struct table *t = self;
    size_t key_size = strlen(t->final_keys[0]);
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_text(t->get, 1, t->final_keys[i % ROWS], (int)key_size, SQLITE_STATIC);
        sql_must(t->database, SQLITE_ROW, sqlite3_step(t->get));
        const unsigned char *text = sqlite3_column_text(t->get, 0);
        const unsigned char *expires = sqlite3_column_text(t->get, 1);
        if ((size_t)sqlite3_column_bytes(t->get, 0) != t->text_size || memcmp(expires, "2020", 4) < 0) {
            die("SQLite: a get went wrong");
        }
        memcpy(t->copy, text, t->text_size);
        sqlite3_reset(t->get);
    }
    uint64_t took = now_ns() - start;
    if (memcmp(t->copy, t->texts[(n - 1) % ROWS % FORMS], t->text_size) != 0) {
        die("SQLite: a get answered a wrong value");
    }
    return took;
}

static uint64_t larder_copy(void *self, size_t n)
{
    struct table *t = self;
    size_t key_size = strlen(t->keys[0]);
    larder_error *error = NULL;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        size_t needed = 0;
        larder_must(larder_get_into(t->store, t->keys[i % ROWS], key_size, NULL, t->copy, t->size, &needed, &error), error,
                    "larder_get_into");
        if (needed != t->size) {
            die("larder_get_into: a value of a wrong size");
        }
    }
    uint64_t took = now_ns() - start;
    if (memcmp(t->copy, t->values[(n - 1) % ROWS % FORMS], t->size) != 0) {
        die("larder_get_into answered a wrong value");
    }
    return took;
}

static uint64_t larder_borrow(void *self, size_t n)
{
    struct table *t = self;
    size_t key_size = strlen(t->keys[0]);
    larder_error *error = NULL;
    larder_value *value = NULL;
    const void *bytes = NULL;
    size_t size = 0;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        larder_value_release(value);
        larder_must(larder_get(t->store, t->keys[i % ROWS], key_size, NULL, &value, &error), error, "larder_get");
        larder_must(larder_value_bytes(value, &bytes, &size, &error), error, "larder_value_bytes");
        if (size != t->size) {
            die("larder_get: a value of a wrong size");
        }
    }
    uint64_t took = now_ns() - start;
    if (memcmp(bytes, t->values[(n - 1) % ROWS % FORMS], size) != 0) {
        die("larder_get answered a wrong value");
    }
    larder_value_release(value);
    return took;
}

/* --- set ------------------------------------------------------------------------------------------------------- */

static uint64_t sqlite_set(void *self, size_t n)
{
    struct table *t = self;
    size_t key_size = strlen(t->final_keys[0]);
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_text(t->set, 1, t->final_keys[i % ROWS], (int)key_size, SQLITE_STATIC);
        sqlite3_bind_text(t->set, 2, t->texts[++t->turn % FORMS], (int)t->text_size, SQLITE_STATIC);
        sqlite3_bind_text(t->set, 3, "2099-12-31 23:59:59", -1, SQLITE_STATIC);
        sql_must(t->database, SQLITE_DONE, sqlite3_step(t->set));
        sqlite3_reset(t->set);
    }
    return now_ns() - start;
}

static uint64_t larder_put(void *self, size_t n)
{
    struct table *t = self;
    size_t key_size = strlen(t->keys[0]);
    larder_error *error = NULL;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        larder_must(larder_set(t->store, t->keys[i % ROWS], key_size, t->values[++t->turn % FORMS], t->size, LARDER_BYTES,
                               LARDER_TTL_DEFAULT, NULL, &error),
                    error, "larder_set");
    }
    return now_ns() - start;
}

/* The row of the last set has what it should, read by a statement in C. */
static void check_row(struct table *t, size_t row)
{
    sqlite3_bind_text(t->get, 1, t->final_keys[row], -1, SQLITE_STATIC);
    sql_must(t->database, SQLITE_ROW, sqlite3_step(t->get));
    if ((size_t)sqlite3_column_bytes(t->get, 0) != t->text_size ||
        memcmp(sqlite3_column_text(t->get, 0), t->texts[t->turn % FORMS], t->text_size) != 0 ||
        sqlite3_column_bytes(t->get, 1) < 19 || memcmp(sqlite3_column_text(t->get, 1), "2020", 4) < 0) {
        die("a set left a wrong row");
    }
    sqlite3_reset(t->get);
}

static void check_sqlite_set(void *self, size_t n)
{
    check_row(self, (n - 1) % ROWS);
}

/* While the store has the file, larder itself has to tell; when it is closed, the row is looked at. */
static void check_larder_set(void *self, size_t n)
{
    struct table *t = self;
    larder_error *error = NULL;
    size_t needed = 0;
    t->last_row = (n - 1) % ROWS;
    larder_must(larder_get_into(t->store, t->keys[t->last_row], strlen(t->keys[t->last_row]), NULL, t->copy, t->size, &needed,
                                &error),
                error, "larder_get_into");
    if (needed != t->size || memcmp(t->copy, t->values[t->turn % FORMS], t->size) != 0) {
        die("a set left a wrong value");
    }
}

/* --- a database ------------------------------------------------------------------------------------------------ */

static void open_store(struct table *t)
{
    char text[1024];
    larder_error *error = NULL;
    snprintf(text, sizeof text,
             "{\"CACHES\": {\"table\": {\"BACKEND\": \"django.core.cache.backends.db.DatabaseCache\", \"LOCATION\": \"cache\","
             " \"TIMEOUT\": 86400, \"OPTIONS\": {\"MAX_ENTRIES\": 1000000}}},"
             " \"DATABASES\": {\"default\": {\"ENGINE\": \"django.db.backends.sqlite3\", \"NAME\": \"%s\","
             " \"OPTIONS\": {\"init_command\": \"PRAGMA synchronous=%s;\"}}}}",
             t->path, t->how.synchronous);
    larder_must(larder_open(text, strlen(text), NULL, &t->context, &error), error, "larder_open");
    t->store = larder_must_open(t->context, "table");
}

static void close_store(struct table *t)
{
    larder_error *error = NULL;
    larder_store_close(t->store);
    larder_must(larder_shutdown(t->context, 5000, &error), error, "larder_shutdown");
    t->store = NULL;
}

/* Opens the database in C, and prepares the statements where there is a table for them. */
static void open_in_c(struct table *t, bool has_table)
{
    static const char get[] = "SELECT value, expires FROM cache WHERE cache_key = ?1";
    static const char set[] = "INSERT INTO cache (cache_key, value, expires) VALUES (?1, ?2, ?3) ON CONFLICT (cache_key) DO"
                              " UPDATE SET value = excluded.value, expires = excluded.expires";
    sql_must(t->database, SQLITE_OK, sqlite3_open(t->path, &t->database));
    sqlite3_busy_timeout(t->database, 5000);
    execute(t->database, "PRAGMA journal_mode=%s", t->how.journal);
    execute(t->database, "PRAGMA synchronous=%s", t->how.synchronous);
    if (!has_table) {
        return;
    }
    sql_must(t->database, SQLITE_OK, sqlite3_prepare_v3(t->database, get, -1, SQLITE_PREPARE_PERSISTENT, &t->get, NULL));
    sql_must(t->database, SQLITE_OK, sqlite3_prepare_v3(t->database, set, -1, SQLITE_PREPARE_PERSISTENT, &t->set, NULL));
}

static void close_in_c(struct table *t)
{
    sqlite3_finalize(t->get);
    sqlite3_finalize(t->set);
    sql_must(t->database, SQLITE_OK, sqlite3_close(t->database));
    t->get = t->set = NULL;
    t->database = NULL;
}

static void set_row(struct table *t, size_t i)
{
    larder_error *error = NULL;
    larder_must(larder_set(t->store, t->keys[i], strlen(t->keys[i]), t->values[i % FORMS], t->size, LARDER_BYTES,
                           LARDER_TTL_DEFAULT, NULL, &error),
                error, "larder_set");
}

/* What the column holds for a value, as larder wrote it. */
static void learn_text(struct table *t, size_t i)
{
    sqlite3_bind_text(t->get, 1, t->final_keys[i], -1, SQLITE_STATIC);
    sql_must(t->database, SQLITE_ROW, sqlite3_step(t->get));
    t->text_size = (size_t)sqlite3_column_bytes(t->get, 0);
    t->texts[i % FORMS] = malloc(t->text_size);
    if (t->texts[i % FORMS] == NULL) {
        die("out of memory");
    }
    memcpy(t->texts[i % FORMS], sqlite3_column_text(t->get, 0), t->text_size);
    sqlite3_reset(t->get);
}

static void make_values(struct table *t, size_t size)
{
    uint64_t seed = 77;
    t->size = size;
    for (size_t form = 0; form < FORMS; form++) {
        t->values[form] = malloc(size);
        if (t->values[form] == NULL) {
            die("out of memory");
        }
        for (size_t i = 0; i < size; i++) {
            t->values[form][i] = (unsigned char)(random_next(&seed) >> 56);
        }
    }
}

/* All tables are filled by larder, so that they are alike. In the end the database is open in the store or in C. */
static void table_open(struct table *t, const char *folder, const char *name, struct durability how, size_t size,
                       bool by_larder)
{
    larder_error *error = NULL;
    memset(t, 0, sizeof *t);
    t->how = how;
    snprintf(t->path, sizeof t->path, "%s/table-%s.sqlite3", folder, name);
    make_values(t, size);
    open_in_c(t, false);
    close_in_c(t);
    open_store(t);
    larder_must(larder_create_table(t->store, NULL, &error), error, "larder_create_table");
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(t->keys[i], ROW_KEY, "match:EUW1_%010zu:timeline", i);
        snprintf(t->final_keys[i], ROW_KEY, ":1:match:EUW1_%010zu:timeline", i); /* no KEY_PREFIX, version 1 */
        set_row(t, i);
    }
    close_store(t);
    open_in_c(t, true);
    for (size_t i = 0; i < FORMS; i++) {
        learn_text(t, i);
    }
    t->copy = malloc(t->text_size);
    if (t->copy == NULL) {
        die("out of memory");
    }
    if (by_larder) {
        close_in_c(t);
        open_store(t);
    }
}

static void table_close(struct table *t, bool was_set)
{
    if (t->store != NULL) {
        close_store(t);
        open_in_c(t, true);
        if (was_set) {
            check_row(t, t->last_row);
        }
    }
    close_in_c(t);
    for (size_t form = 0; form < FORMS; form++) {
        free(t->values[form]);
        free(t->texts[form]);
    }
    free(t->copy);
    if (remove(t->path) != 0) {
        die("cannot remove %s", t->path);
    }
}

/* --- a contest ------------------------------------------------------------------------------------------------- */

struct plan {
    bool get;
    size_t size;
    struct durability how;
    struct aim aims[1];
    size_t aim_count;
};

static const struct plan plans[] = {
    {true, 100, {"wal", "normal"}, {{"E1", TIME, 1.25, 2}}, 1},
    {true, 1024, {"wal", "normal"}, {{"E1", TIME, 1.25, 2}}, 1},
    {true, 65536, {"wal", "normal"}, {{"E1", TIME, 1.15, 2}}, 1},
    {true, 100, {"delete", "full"}, {{"E1", TIME, 1.25, 2}}, 1},
    {true, 1024, {"delete", "full"}, {{"E1", TIME, 1.25, 2}}, 1},
    {true, 65536, {"delete", "full"}, {{"E1", TIME, 1.15, 2}}, 1},
    {false, 100, {"wal", "normal"}, {{"E2", TIME, 1.05, 2}}, 1},
    {false, 1024, {"wal", "normal"}, {{"E2", TIME, 1.05, 2}}, 1},
    {false, 65536, {"wal", "normal"}, {{"E2", TIME, 1.05, 2}}, 1},
    {false, 1024, {"delete", "full"}, {{"E2", TIME, 1.05, 2}}, 1},
    {false, 65536, {"delete", "full"}, {{"E2", TIME, 1.05, 2}}, 1},
};

static void run_plan(const struct plan *plan, const char *title, const char *folder)
{
    static struct table baseline, control, ours; /* too large for the stack; contests run one at a time */
    table_open(&baseline, folder, "a", plan->how, plan->size, false);
    table_open(&control, folder, "b", plan->how, plan->size, false);
    table_open(&ours, folder, "c", plan->how, plan->size, true);
    const struct entrant gets[] = {{"C, prepared select, copied out", sqlite_get, NULL, &baseline},
                                   {"C, prepared select, copied out", sqlite_get, NULL, &control},
                                   {"larder_get_into", larder_copy, NULL, &ours},
                                   {"larder_get, bytes, release", larder_borrow, NULL, &ours}};
    const struct entrant sets[] = {{"C, prepared upsert", sqlite_set, check_sqlite_set, &baseline},
                                   {"C, prepared upsert", sqlite_set, check_sqlite_set, &control},
                                   {"larder_set", larder_put, check_larder_set, &ours}};
    const struct contest contest = {.title = title,
                                    .placement = ONE_CORE,
                                    .entrants = plan->get ? gets : sets,
                                    .entrant_count = plan->get ? 4 : 3,
                                    .aims = plan->aims,
                                    .aim_count = plan->aim_count};
    contest_run(&contest);
    table_close(&baseline, !plan->get);
    table_close(&control, !plan->get);
    table_close(&ours, !plan->get);
}

void table_contests(const char *folder)
{
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        char title[96];
        snprintf(title, sizeof title, "SQLite %s %zu B in mode %s with synchronous %s", plans[i].get ? "get" : "set",
                 plans[i].size, plans[i].how.journal, plans[i].how.synchronous);
        if (contest_wanted(title)) {
            run_plan(&plans[i], title, folder);
        }
    }
}
