/*
 * A backend as a program would write it: a hash table with times to live, a listing in the order of writing, counting, locks.
 * Every function of the table is there. Aliases with the same LOCATION share their data; one lock for each of these.
 *
 * tests/conformance.rs loads it as a shared object, which knows larder only by the two functions that it is given;
 * tests/c/plugins.c includes it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "larder.h"

/* What the functions write with. */
typedef larder_status (*write_fn)(larder_sink *sink, const void *data, size_t len);
typedef larder_status (*write_key_fn)(larder_sink *sink, const char *key, size_t key_len);

static write_fn table_write;
static write_key_fn table_write_key;

enum { BUCKETS = 256, PAGE = 10, LONGEST_LOCATION = 200 };

struct entry {
    struct entry *in_bucket;         /* the next one with the same hash */
    struct entry *before, *after;    /* in the order of writing */
    uint64_t number;                 /* grows along that order; a key keeps its number while it is there */
    int64_t ends;                    /* a moment in ms, or LARDER_TTL_FOREVER */
    size_t key_len, value_len;
    char *value;
    char key[];
};

struct table {
    struct table *next;
    char location[LONGEST_LOCATION];
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS], *first, *last;
    uint64_t numbers;
};

/* What `user_data` is: all tables. They stay until it is freed. */
struct universe {
    pthread_mutex_t lock;
    struct table *tables;
};

/* ---- the hash table; all of this under its lock ---- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t moment(int64_t ttl_ms)
{
    return ttl_ms == LARDER_TTL_FOREVER ? ttl_ms : now() + ttl_ms;
}

static struct entry **place_of(struct table *table, const char *key, size_t len)
{
    uint32_t hash = 2166136261u;
    struct entry **place;
    size_t i;

    for (i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    place = &table->buckets[hash % BUCKETS];
    while (*place != NULL && ((*place)->key_len != len || memcmp((*place)->key, key, len) != 0))
        place = &(*place)->in_bucket;
    return place;
}

static int is_alive(const struct entry *entry)
{
    return entry != NULL && entry->ends > now();
}

static void take_out(struct table *table, struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->in_bucket;
    *(entry->before != NULL ? &entry->before->after : &table->first) = entry->after;
    *(entry->after != NULL ? &entry->after->before : &table->last) = entry->before;
    free(entry->value);
    free(entry);
}

/* What is alive; what has expired is taken out. */
static struct entry *look_up(struct table *table, const char *key, size_t len)
{
    struct entry **place = place_of(table, key, len);

    if (*place == NULL || is_alive(*place))
        return *place;
    take_out(table, place);
    return NULL;
}

static larder_status put(struct table *table, const char *key, size_t key_len, const void *value, size_t value_len,
                         int64_t ends)
{
    struct entry **place = place_of(table, key, key_len), *entry = *place;
    char *copy = malloc(value_len + 1);

    if (copy == NULL)
        return LARDER_EMEMORY;
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry + key_len + 1);
        if (entry == NULL) {
            free(copy);
            return LARDER_EMEMORY;
        }
        memcpy(entry->key, key, key_len);
        entry->key_len = key_len;
        entry->number = ++table->numbers;
        entry->before = table->last;
        *(table->last != NULL ? &table->last->after : &table->first) = entry;
        table->last = *place = entry;
    }
    memcpy(copy, value, value_len);
    copy[value_len] = '\0'; /* for strtoll */
    free(entry->value);
    entry->value = copy;
    entry->value_len = value_len;
    entry->ends = ends;
    return LARDER_OK;
}

static void remove_all(struct table *table, const char *prefix, size_t prefix_len, int only_dead, uint64_t *removed)
{
    struct entry *entry = table->first, *after;

    for (; entry != NULL; entry = after) {
        after = entry->after;
        if ((only_dead && is_alive(entry)) || entry->key_len < prefix_len || memcmp(entry->key, prefix, prefix_len) != 0)
            continue;
        take_out(table, place_of(table, entry->key, entry->key_len));
        *removed += 1;
    }
}

/* ---- the functions ---- */

#define LOCKED(table, statement)                                                                                       \
    do {                                                                                                               \
        pthread_mutex_lock(&(table)->lock);                                                                            \
        statement;                                                                                                     \
        pthread_mutex_unlock(&(table)->lock);                                                                          \
    } while (0)

/* The value of "LOCATION" in an entry, which larder writes without blanks. */
static void read_location(const char *json, size_t len, char *location)
{
    static const char name[] = "\"LOCATION\":\"";
    size_t i, n = 0;

    location[0] = '\0';
    for (i = 0; i + sizeof name - 1 <= len; i++) {
        if (memcmp(json + i, name, sizeof name - 1) != 0)
            continue;
        for (i += sizeof name - 1; i < len && json[i] != '"' && n + 1 < LONGEST_LOCATION; i++)
            location[n++] = json[i];
        location[n] = '\0';
        return;
    }
}

static larder_status table_open(void *user_data, const char *alias, size_t alias_len, const char *entry_json,
                                size_t entry_json_len, void **instance)
{
    struct universe *universe = user_data;
    char location[LONGEST_LOCATION];
    struct table *table;

    (void)alias, (void)alias_len;
    read_location(entry_json, entry_json_len, location);
    pthread_mutex_lock(&universe->lock);
    for (table = universe->tables; table != NULL && strcmp(table->location, location) != 0; table = table->next)
        ;
    if (table == NULL && (table = calloc(1, sizeof *table)) != NULL) {
        strcpy(table->location, location);
        pthread_mutex_init(&table->lock, NULL);
        table->next = universe->tables;
        universe->tables = table;
    }
    pthread_mutex_unlock(&universe->lock);
    *instance = table;
    return table != NULL ? LARDER_OK : LARDER_EMEMORY;
}

static void table_close(void *instance)
{
    (void)instance; /* the data stays, as that of Django's in-memory cache */
}

static larder_status get(struct table *table, const char *key, size_t key_len, larder_sink *sink)
{
    struct entry *entry = look_up(table, key, key_len);
    return entry != NULL ? table_write(sink, entry->value, entry->value_len) : LARDER_MISS;
}

static larder_status table_get(void *instance, const char *key, size_t key_len, int64_t left_ms, larder_sink *sink)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    LOCKED(table, status = get(table, key, key_len, sink));
    return status;
}

static larder_status set(struct table *table, const char *key, size_t key_len, const void *value, size_t value_len,
                         int64_t ttl_ms, uint32_t flags)
{
    int is_there = look_up(table, key, key_len) != NULL;

    if ((is_there && (flags & LARDER_CALL_NX)) || (!is_there && (flags & LARDER_CALL_XX)))
        return LARDER_NOT_STORED;
    return put(table, key, key_len, value, value_len, moment(ttl_ms));
}

static larder_status table_set(void *instance, const char *key, size_t key_len, const void *value, size_t value_len,
                               int64_t ttl_ms, uint32_t flags, int64_t left_ms)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    if ((flags & ~(uint32_t)(LARDER_CALL_NX | LARDER_CALL_XX)) != 0 || ttl_ms <= 0)
        return LARDER_EUNSUPPORTED;
    LOCKED(table, status = set(table, key, key_len, value, value_len, ttl_ms, flags));
    return status;
}

static larder_status change_end(struct table *table, const char *key, size_t key_len, int64_t ends)
{
    struct entry *entry = look_up(table, key, key_len);

    if (entry == NULL)
        return LARDER_MISS;
    entry->ends = ends;
    return LARDER_OK;
}

static larder_status table_touch(void *instance, const char *key, size_t key_len, int64_t ttl_ms, int64_t left_ms)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    if (ttl_ms <= 0)
        return LARDER_EUNSUPPORTED;
    LOCKED(table, status = change_end(table, key, key_len, moment(ttl_ms)));
    return status;
}

/* As Django's in-memory cache: one that has expired, and that nobody has looked at since, was there. */
static larder_status drop(struct table *table, const char *key, size_t key_len)
{
    struct entry **place = place_of(table, key, key_len);

    if (*place == NULL)
        return LARDER_MISS;
    take_out(table, place);
    return LARDER_OK;
}

static larder_status table_delete(void *instance, const char *key, size_t key_len, int64_t left_ms)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    LOCKED(table, status = drop(table, key, key_len));
    return status;
}

static larder_status table_has(void *instance, const char *key, size_t key_len, int64_t left_ms)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    LOCKED(table, status = look_up(table, key, key_len) != NULL ? LARDER_OK : LARDER_MISS);
    return status;
}

static larder_status table_get_many(void *instance, const char *const *keys, const size_t *key_lens, size_t n,
                                    int64_t left_ms, larder_sink *const *sinks, larder_status *statuses)
{
    struct table *table = instance;
    size_t i;

    (void)left_ms;
    LOCKED(table, for (i = 0; i < n; i++) statuses[i] = get(table, keys[i], key_lens[i], sinks[i]));
    return LARDER_OK;
}

static larder_status table_set_many(void *instance, const char *const *keys, const size_t *key_lens,
                                    const void *const *values, const size_t *value_lens, size_t n, int64_t ttl_ms,
                                    int64_t left_ms, larder_status *statuses)
{
    struct table *table = instance;
    size_t i;

    (void)left_ms;
    if (ttl_ms <= 0)
        return LARDER_EUNSUPPORTED;
    LOCKED(table, for (i = 0; i < n; i++) statuses[i] =
                      set(table, keys[i], key_lens[i], values[i], value_lens[i], ttl_ms, 0));
    return LARDER_OK;
}

static larder_status table_delete_many(void *instance, const char *const *keys, const size_t *key_lens, size_t n,
                                       int64_t left_ms, uint64_t *removed)
{
    struct table *table = instance;
    size_t i;

    (void)left_ms;
    LOCKED(table, for (i = 0; i < n; i++) *removed += drop(table, keys[i], key_lens[i]) == LARDER_OK);
    return LARDER_OK;
}

static larder_status table_ttl(void *instance, const char *key, size_t key_len, int64_t left_ms, int64_t *ttl_ms)
{
    struct table *table = instance;
    struct entry *entry;
    larder_status status;

    (void)left_ms;
    pthread_mutex_lock(&table->lock);
    entry = look_up(table, key, key_len);
    status = entry != NULL ? LARDER_OK : LARDER_MISS;
    if (entry != NULL)
        *ttl_ms = entry->ends == LARDER_TTL_FOREVER ? entry->ends : entry->ends - now();
    pthread_mutex_unlock(&table->lock);
    return status;
}

static larder_status table_persist(void *instance, const char *key, size_t key_len, int64_t left_ms)
{
    return table_touch(instance, key, key_len, LARDER_TTL_FOREVER, left_ms);
}

static larder_status add_up(struct table *table, const char *key, size_t key_len, int64_t delta, int64_t *sum)
{
    struct entry *entry = look_up(table, key, key_len);
    char digits[24], *end;
    long long number, total;
    int len;

    if (entry == NULL)
        return LARDER_MISS;
    errno = 0;
    number = strtoll(entry->value, &end, 10);
    len = snprintf(digits, sizeof digits, "%lld", number);
    if (errno != 0 || entry->value_len != (size_t)len || memcmp(digits, entry->value, (size_t)len) != 0)
        return LARDER_SKIPPED; /* no digits, as larder writes them */
    if (__builtin_add_overflow(number, (long long)delta, &total))
        return LARDER_SKIPPED;
    *sum = total;
    len = snprintf(digits, sizeof digits, "%lld", total);
    return put(table, key, key_len, digits, (size_t)len, entry->ends);
}

static larder_status table_incr(void *instance, const char *key, size_t key_len, int64_t delta, int64_t left_ms,
                                int64_t *sum)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    LOCKED(table, status = add_up(table, key, key_len, delta, sum));
    return status;
}

static larder_status table_scan(void *instance, const char *pattern, size_t pattern_len, uint64_t at, int64_t left_ms,
                                larder_sink *sink, uint64_t *next)
{
    struct table *table = instance;
    struct entry *entry;
    int told = 0;

    (void)pattern, (void)pattern_len, (void)left_ms; /* larder looks whether they match */
    pthread_mutex_lock(&table->lock);
    for (entry = table->first; entry != NULL; entry = entry->after) {
        if (entry->number <= at || !is_alive(entry))
            continue;
        table_write_key(sink, entry->key, entry->key_len);
        if (++told == PAGE) {
            *next = entry->number;
            break;
        }
    }
    pthread_mutex_unlock(&table->lock);
    return LARDER_OK;
}

static larder_status table_clear(void *instance, int64_t left_ms)
{
    struct table *table = instance;
    uint64_t removed = 0;

    (void)left_ms;
    LOCKED(table, remove_all(table, "", 0, 0, &removed));
    return LARDER_OK;
}

static larder_status table_clear_prefix(void *instance, const char *prefix, size_t prefix_len, int64_t left_ms)
{
    struct table *table = instance;
    uint64_t removed = 0;

    (void)left_ms;
    LOCKED(table, remove_all(table, prefix, prefix_len, 0, &removed));
    return LARDER_OK;
}

static larder_status table_purge_expired(void *instance, int64_t left_ms, uint64_t *removed)
{
    struct table *table = instance;

    (void)left_ms;
    LOCKED(table, remove_all(table, "", 0, 1, removed));
    return LARDER_OK;
}

static larder_status lock(struct table *table, const char *key, size_t key_len, const char *token, size_t token_len,
                          int32_t action, int64_t ttl_ms)
{
    struct entry *entry = look_up(table, key, key_len);
    int is_ours = entry != NULL && entry->value_len == token_len && memcmp(entry->value, token, token_len) == 0;

    if (action == LARDER_LOCK_TAKE && entry == NULL)
        return put(table, key, key_len, token, token_len, moment(ttl_ms));
    if (!is_ours || (action == LARDER_LOCK_EXTEND && entry->ends == LARDER_TTL_FOREVER))
        return LARDER_NOT_STORED;
    switch (action) {
    case LARDER_LOCK_RELEASE: return drop(table, key, key_len);
    case LARDER_LOCK_EXTEND: entry->ends += ttl_ms; return LARDER_OK;
    case LARDER_LOCK_TAKE:
    case LARDER_LOCK_RENEW: entry->ends = moment(ttl_ms); return LARDER_OK;
    default: return LARDER_EUNSUPPORTED;
    }
}

static larder_status table_lock(void *instance, const char *key, size_t key_len, const char *token, size_t token_len,
                                int32_t action, int64_t ttl_ms, int64_t left_ms)
{
    struct table *table = instance;
    larder_status status;

    (void)left_ms;
    LOCKED(table, status = lock(table, key, key_len, token, token_len, action, ttl_ms));
    return status;
}

static larder_status table_ping(void *instance, int64_t left_ms)
{
    return instance != NULL && left_ms > 0 ? LARDER_OK : LARDER_EINVAL;
}

/* ---- what a program does with it ---- */

static void table_free(void *user_data)
{
    struct universe *universe = user_data;
    struct table *table = universe->tables, *next;
    uint64_t removed = 0;

    for (; table != NULL; table = next) {
        next = table->next;
        remove_all(table, "", 0, 0, &removed);
        pthread_mutex_destroy(&table->lock);
        free(table);
    }
    pthread_mutex_destroy(&universe->lock);
    free(universe);
}

static const larder_backend_table functions = {
    .struct_size = sizeof(larder_backend_table),
    .free_user_data = table_free,
    .open = table_open,
    .close = table_close,
    .get = table_get,
    .set = table_set,
    .touch = table_touch,
    .delete_key = table_delete,
    .has = table_has,
    .get_many = table_get_many,
    .set_many = table_set_many,
    .delete_many = table_delete_many,
    .ttl = table_ttl,
    .persist = table_persist,
    .incr = table_incr,
    .scan = table_scan,
    .clear = table_clear,
    .clear_prefix = table_clear_prefix,
    .purge_expired = table_purge_expired,
    .lock = table_lock,
    .ping = table_ping,
};

/* The table, and what to register it with; NULL without memory. */
const larder_backend_table *backend_table(write_fn write, write_key_fn write_key, void **user_data);

const larder_backend_table *backend_table(write_fn write, write_key_fn write_key, void **user_data)
{
    struct universe *universe = calloc(1, sizeof *universe);

    if (universe == NULL)
        return NULL;
    pthread_mutex_init(&universe->lock, NULL);
    table_write = write;
    table_write_key = write_key;
    *user_data = universe;
    return &functions;
}
