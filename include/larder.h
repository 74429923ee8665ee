/*
 * larder: Django's cache framework for every language.
 *
 * Opens any alias of a Django-style CACHES configuration, and reads and writes what Django, django-redis and Pyot
 * processes share: same keys, same pickles, same files. Nothing in a pickle is ever executed.
 *
 * Three calls to a working cache:
 *
 *     larder_context *context = NULL;
 *     larder_store *store = NULL;
 *     larder_open_file("caches.json", NULL, &context, NULL);
 *     larder_store_open(context, "default", &store, NULL);
 *     larder_set(store, LARDER_LIT("greeting"), LARDER_LIT("hello"), LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, NULL);
 *
 * Pyot's pipeline, several stores in order with the program's own loader behind them, is larder_pipeline_open and
 * larder_pipeline_get; one store with a loader is larder_get_or_load.
 *
 * Rules that every function keeps:
 *
 *   - It answers a larder_status: 0 done, more a normal outcome, less a failure. On a failure the optional last
 *     parameter receives a larder_error that says what was being done, to which alias and server, and what to do.
 *   - You free what you got through a pointer to a pointer, you borrow what you got through a pointer to const, and
 *     values and errors are shared by retain and release. Inputs are only read during the call.
 *   - Any function on any thread, on stacks as small as 128 KiB. Exceptions are written at the function.
 *   - NULL, closed and stale handles are LARDER_EHANDLE, closing twice is harmless, NULL with length 0 is empty.
 *   - A forked child uses contexts and stores as if it had opened them; its in-memory data starts empty. Only queues,
 *     cursors and operations stay the parent's: LARDER_EFORKED.
 *   - Nothing is printed, no signal handler is installed, no SIGPIPE is raised, nothing happens at exit.
 *
 * What larder_value_json makes of Python's types; LARDER_LOSSY says that setting the text again stores another value:
 *
 *   | Python                                    | JSON                                                     | lossy |
 *   |-------------------------------------------|----------------------------------------------------------|-------|
 *   | None, bool, int up to 4300 digits, float  | itself; NaN, Infinity and -Infinity as Python writes them| no    |
 *   | str                                       | a string, escaped to ASCII; a lone surrogate as \udXXX   | no    |
 *   | list, dict with str keys                  | an array, an object                                      | no    |
 *   | tuple, set, frozenset, deque              | an array                                                 | yes   |
 *   | OrderedDict, defaultdict, Counter         | an object                                                | yes   |
 *   | dict with other keys                      | an object; keys as json.dumps has them, or their JSON    | yes   |
 *   | bytes, bytearray                          | {"$bytes": "<base64>"}                                   | yes   |
 *   | datetime, date, time                      | a string as isoformat() makes it                         | yes   |
 *   | timedelta, Decimal, UUID, SafeString      | a string                                                 | yes   |
 *   | everything else: instances, enum members, | {"$object": "module.name", "args": [...],                | yes   |
 *   | classes, functions, exceptions, complex   |  "kwargs": {...}, "state": ..., "items": [...],          |       |
 *   |                                           |  "pairs": [[key, value], ...]} with the members there are|       |
 *   | a list, dict or object inside itself      | {"$cycle": true}                                         | yes   |
 *
 * Made by `make header` from src/capi; do not edit.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */


#ifndef LARDER_H
#define LARDER_H

#include <stddef.h>
#include <stdint.h>

/**
 * `level` of a log record: for people who look for a fault. The numbers are those of Python's `logging`.
 */
#define LARDER_LOG_DEBUG 10

/**
 * `level` of a log record: for the record.
 */
#define LARDER_LOG_INFO 20

/**
 * `level` of a log record: something is not as it was probably meant.
 */
#define LARDER_LOG_WARNING 30

/**
 * `level` of a log record: something failed.
 */
#define LARDER_LOG_ERROR 40

/**
 * An operation: larder_keys, one page at a time. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_KEYS 1

/**
 * An operation: larder_clear with LARDER_CLEAR_PREFIX. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_CLEAR_PREFIX 2

/**
 * An operation: larder_ttl. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_TTL 3

/**
 * An operation: larder_persist. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_PERSIST 4

/**
 * For `larder_store_supports` alone: keeping values at all, which the dummy does not.
 */
#define LARDER_OP_KEEP 5

/**
 * An operation: larder_get.
 */
#define LARDER_OP_GET 16

/**
 * An operation: larder_set.
 */
#define LARDER_OP_SET 17

/**
 * An operation: larder_add.
 */
#define LARDER_OP_ADD 18

/**
 * An operation: larder_expire.
 */
#define LARDER_OP_EXPIRE 19

/**
 * An operation: larder_delete.
 */
#define LARDER_OP_DELETE 20

/**
 * An operation: larder_has.
 */
#define LARDER_OP_HAS 21

/**
 * An operation: larder_incr.
 */
#define LARDER_OP_INCR 22

/**
 * An operation: larder_incr_version.
 */
#define LARDER_OP_INCR_VERSION 23

/**
 * An operation: larder_get_many.
 */
#define LARDER_OP_GET_MANY 24

/**
 * An operation: larder_set_many.
 */
#define LARDER_OP_SET_MANY 25

/**
 * An operation: larder_delete_many.
 */
#define LARDER_OP_DELETE_MANY 26

/**
 * An operation: larder_clear with LARDER_CLEAR_EVERYTHING.
 */
#define LARDER_OP_CLEAR_EVERYTHING 27

/**
 * An operation: larder_purge_expired.
 */
#define LARDER_OP_PURGE_EXPIRED 28

/**
 * An operation: larder_store_ping.
 */
#define LARDER_OP_PING 29

/**
 * An operation: larder_session.
 */
#define LARDER_OP_SESSION 30

/**
 * An operation: larder_create_table. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_CREATE_TABLE 31

/**
 * An operation: larder_expire_at.
 */
#define LARDER_OP_EXPIRE_AT 32

/**
 * An operation: larder_lock. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_LOCK 33

/**
 * An operation: larder_unlock. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_UNLOCK 34

/**
 * An operation: larder_lock_extend. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_LOCK_EXTEND 35

/**
 * An operation: larder_delete_pattern. `larder_store_supports` tells whether a store has it.
 */
#define LARDER_OP_DELETE_PATTERN 36

/**
 * An operation: larder_pipeline_get.
 */
#define LARDER_OP_PIPELINE_GET 48

/**
 * An operation: larder_pipeline_get_many.
 */
#define LARDER_OP_PIPELINE_GET_MANY 49

/**
 * An operation: larder_pipeline_set.
 */
#define LARDER_OP_PIPELINE_SET 50

/**
 * An operation: larder_pipeline_delete.
 */
#define LARDER_OP_PIPELINE_DELETE 51

/**
 * An operation: larder_pipeline_contains.
 */
#define LARDER_OP_PIPELINE_CONTAINS 52

/**
 * An operation: larder_pipeline_clear with LARDER_CLEAR_PREFIX.
 */
#define LARDER_OP_PIPELINE_CLEAR_PREFIX 53

/**
 * An operation: larder_pipeline_clear with LARDER_CLEAR_EVERYTHING.
 */
#define LARDER_OP_PIPELINE_CLEAR_EVERYTHING 54

/**
 * An operation: larder_pipeline_expire.
 */
#define LARDER_OP_PIPELINE_EXPIRE 55

/**
 * An operation: larder_get_or_load, on a store.
 */
#define LARDER_OP_GET_OR_LOAD 56

/**
 * `ttl_ms`: the alias's TIMEOUT.
 */
#define LARDER_TTL_DEFAULT INT64_MIN

/**
 * `ttl_ms`: never expires.
 */
#define LARDER_TTL_FOREVER INT64_MAX

/**
 * `format`: Python `bytes`.
 */
#define LARDER_BYTES 1

/**
 * `format`: UTF-8 text, becomes Python `str`.
 */
#define LARDER_TEXT 2

/**
 * `format`: JSON text, becomes dict, list, str, int, float, bool or None.
 */
#define LARDER_JSON 3

/**
 * `format`: bytes that the caller has serialised already; stored as they are. With memcached and diskcache,
 * which keep beside each value what it is, they are stored as a pickle.
 */
#define LARDER_STORED 4

/**
 * `flags` of a `larder_call`: the key is final, as the server has it; no prefix and no version are added.
 */
#define LARDER_CALL_FINAL_KEY 1

/**
 * `flags` of a `larder_call` for a set: only where there is no such key.
 */
#define LARDER_CALL_NX 2

/**
 * `flags` of a `larder_call` for a set: only over a key that is there.
 */
#define LARDER_CALL_XX 4

/**
 * `flags` of a `larder_pipeline_call`, or of a request: only the stores are asked, nothing is loaded.
 */
#define LARDER_CALL_NO_LOAD 8

/**
 * `flags` of a request for larder_submit: whoever polls the queue is the loader. What no store has becomes an event
 * LARDER_EVENT_LOAD with the tag of the request, to be answered with larder_load_done. Such events do not count
 * against the queue's capacity.
 */
#define LARDER_CALL_LOAD_EVENT 16

/**
 * `scope` of larder_clear: the keys under this alias's KEY_PREFIX and the call's version.
 */
#define LARDER_CLEAR_PREFIX 1

/**
 * `scope` of larder_clear: everything that the backend holds, whoever wrote it (a whole Redis database, a whole
 * directory or table, all of the memcached servers), as Django's clear() does.
 */
#define LARDER_CLEAR_EVERYTHING 2

/**
 * Kind of a value: Python's `None`.
 */
#define LARDER_KIND_NULL 1

/**
 * Kind of a value: `bool`.
 */
#define LARDER_KIND_BOOL 2

/**
 * Kind of a value: `int` of any size (as JSON up to 4300 digits, Python's own limit).
 */
#define LARDER_KIND_INT 3

/**
 * Kind of a value: `float`.
 */
#define LARDER_KIND_FLOAT 4

/**
 * Kind of a value: `str`, and Django's `SafeString`.
 */
#define LARDER_KIND_TEXT 5

/**
 * Kind of a value: `bytes` and `bytearray`.
 */
#define LARDER_KIND_BYTES 6

/**
 * Kind of a value: `list`, `tuple`, `set`, `frozenset`, `deque`.
 */
#define LARDER_KIND_LIST 7

/**
 * Kind of a value: `dict`, `OrderedDict`, `defaultdict`, `Counter`.
 */
#define LARDER_KIND_DICT 8

/**
 * Kind of a value: anything else, such as dates, decimals, UUIDs, instances of classes. Shown as data, never made.
 */
#define LARDER_KIND_OTHER 9

/**
 * `how` of larder_lock_extend: so much longer than what is left.
 */
#define LARDER_EXTEND_ADD 0

/**
 * `how` of larder_lock_extend: so long from now on.
 */
#define LARDER_EXTEND_REPLACE 1

/**
 * `level` of an answer: no store had the value, it was loaded.
 */
#define LARDER_LEVEL_LOADED -1

/**
 * `level` of an answer: there is no value.
 */
#define LARDER_LEVEL_NONE -2

/**
 * `level` of one of several values: a store had it, but it is over, and is being loaded anew (GRACE_MS). A get of one
 * value answers LARDER_STALE instead, and tells the store.
 */
#define LARDER_LEVEL_STALE -3

/**
 * `kind` of an event: an operation has ended.
 */
#define LARDER_EVENT_DONE 1

/**
 * `kind` of an event: a log record.
 */
#define LARDER_EVENT_LOG 2

/**
 * `kind` of an event: something is to be loaded, and answered with larder_load_done; for requests with
 * LARDER_CALL_LOAD_EVENT. The event LARDER_EVENT_DONE of the request follows.
 */
#define LARDER_EVENT_LOAD 3

/**
 * `action` of a backend's `lock`: take it for `ttl_ms`, also where this token holds it already.
 */
#define LARDER_LOCK_TAKE 1

/**
 * `action` of a backend's `lock`: let go of it, where this token holds it.
 */
#define LARDER_LOCK_RELEASE 2

/**
 * `action` of a backend's `lock`: `ttl_ms` more than what is left, where this token holds it and it expires at all.
 */
#define LARDER_LOCK_EXTEND 3

/**
 * `action` of a backend's `lock`: `ttl_ms` from now on, where this token holds it.
 */
#define LARDER_LOCK_RENEW 4

/**
 * `form` of `larder_token_options`: as Pyot 3 writes tokens, `lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}`.
 */
#define LARDER_PYOT_3 3

/**
 * `form` of `larder_token_options`: as Pyot 6 writes tokens, `lol/na1/summoner_v4_by_name/Hide on bush`.
 */
#define LARDER_PYOT_6 6

/**
 * What larder_live counts: open contexts.
 */
#define LARDER_LIVE_CONTEXTS 1

/**
 * What larder_live counts: open stores.
 */
#define LARDER_LIVE_STORES 2

/**
 * What larder_live counts: open cursors.
 */
#define LARDER_LIVE_CURSORS 3

/**
 * What larder_live counts: values that are not released.
 */
#define LARDER_LIVE_VALUES 4

/**
 * What larder_live counts: errors that are not released.
 */
#define LARDER_LIVE_ERRORS 5

/**
 * What larder_live counts: open completion queues.
 */
#define LARDER_LIVE_QUEUES 6

/**
 * What larder_live counts: tokens that are not released.
 */
#define LARDER_LIVE_TOKENS 7

/**
 * What larder_live counts: open pipelines.
 */
#define LARDER_LIVE_PIPELINES 8

/**
 * A read configuration and what its stores share. A checked handle: never read through it.
 */
typedef struct larder_context larder_context;

/**
 * A listing of keys under way. A checked handle: never read through it.
 */
typedef struct larder_cursor larder_cursor;

/**
 * Why a call failed. Read by any thread; shared by retain and release.
 */
typedef struct larder_error larder_error;

/**
 * An open pipeline. A checked handle: never read through it.
 */
typedef struct larder_pipeline larder_pipeline;

/**
 * A completion queue. A checked handle: never read through it.
 */
typedef struct larder_queue larder_queue;

/**
 * Where a function of a plug-in writes. It belongs to that one call, on the thread on which the call is made: a sink of a
 * call that has returned is recognised. Never read through it.
 */
typedef struct larder_sink larder_sink;

/**
 * An open alias. A checked handle: never read through it.
 */
typedef struct larder_store larder_store;

/**
 * The name of a call to a service, by which pipelines keep its answer: what Pyot makes of model, server, method,
 * parameters and queries, so that it finds what we stored, and we what it stored.
 *
 * ```c
 * larder_token *token = NULL;
 * larder_token_begin("lol", "na1", "summoner_v4_by_name", NULL, &token, NULL);
 * larder_token_param_text(token, "name", LARDER_LIT("Hide on bush"), NULL);
 * larder_token_text(token, &text, &len, &error); // lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}
 * larder_token_release(token);
 * ```
 *
 * The order of parameters is part of the name. A begun token is finished by its first use; nothing can be added from
 * then on, and any number of threads may read it. What goes wrong while it is built stays with it: whoever looks only at
 * the status of the first use is told of the first failure.
 */
typedef struct larder_token larder_token;

/**
 * A Python value as a cache holds it. Read by any thread; shared by retain and release.
 */
typedef struct larder_value larder_value;

/**
 * What a function answers: 0 is done, more is a normal outcome that is not an error, less is a failure. An unknown
 * negative number is a failure too.
 */
typedef int32_t larder_status;

/**
 * Takes one log record. `message` is a NUL-terminated UTF-8 line that lives during the call only, and never holds a
 * password or a stored value. Records of pipelines name the parameters of tokens, which can be names of players, as
 * Pyot's records do (LOG_LEVEL). Called on any thread that uses larder and on larder's own, sometimes on several at
 * once, never under a lock, and not any more once larder_shutdown has answered LARDER_OK. It may call larder, but not
 * shut the context down; what would be recorded during such a call is not told to it. It must return: longjmp and
 * exceptions through it are undefined.
 */
typedef void (*larder_log_fn)(void *user_data, int32_t level, const char *message);

/**
 * Options of a context. Start from `LARDER_OPTIONS_INIT`.
 */
typedef struct larder_options {
    /**
     * `sizeof(larder_options)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * The least level that is told, `LARDER_LOG_…`; 0 tells everything.
     */
    int32_t log_level;
    /**
     * Who takes log records; NULL: nobody.
     */
    larder_log_fn log;
    /**
     * Handed to `log`.
     */
    void *log_user_data;
} larder_options;

/**
 * What one call asks for besides its arguments. Start from `LARDER_CALL_INIT`; NULL in place of a call means the
 * alias's own settings.
 */
typedef struct larder_call {
    /**
     * `sizeof(larder_call)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * `LARDER_CALL_…`, or 0.
     */
    uint32_t flags;
    /**
     * The total time that the call may take, in ms: waiting, connecting, trying again. 0: the alias's own.
     */
    int64_t timeout_ms;
    /**
     * The version of the key as UTF-8 text, such as "2"; NULL: the alias's own.
     */
    const char *version;
    /**
     * The length of `version` in bytes.
     */
    size_t version_len;
} larder_call;

/**
 * What a store has seen since it was opened, and how its servers are. Start from `LARDER_STATS_INIT`; the struct only
 * grows at its end.
 */
typedef struct larder_store_stats {
    /**
     * `sizeof(larder_store_stats)`.
     */
    uint32_t struct_size;
    /**
     * How many servers the store has; 0 where there are none.
     */
    uint32_t servers;
    /**
     * Servers to which calls fail at once now, because they failed again and again.
     */
    uint32_t breakers_open;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Values that were found.
     */
    uint64_t hits;
    /**
     * Values that were asked for and not found.
     */
    uint64_t misses;
    /**
     * Operations that failed, the next two included.
     */
    uint64_t failures;
    /**
     * Those whose deadline passed.
     */
    uint64_t timeouts;
    /**
     * Those that IGNORE_EXCEPTIONS or ignore_exc hid.
     */
    uint64_t ignored;
    /**
     * How often a server's breaker opened.
     */
    uint64_t breaker_opened;
    /**
     * Calls that failed at once for it.
     */
    uint64_t breaker_refused;
    /**
     * Connections that are open now.
     */
    uint64_t connections;
    /**
     * Connections that were made.
     */
    uint64_t connected;
    /**
     * Attempts to connect that failed.
     */
    uint64_t connect_failures;
    /**
     * Values that were stored.
     */
    uint64_t sets;
    /**
     * Keys that were removed, by name or by a pattern.
     */
    uint64_t deletes;
    /**
     * Values that were found after their soft deadline. Each is a hit or a miss too, by what its reader got.
     */
    uint64_t stale;
    /**
     * Operations that policy left out.
     */
    uint64_t skipped;
    /**
     * Serialised bytes of the values that were found.
     */
    uint64_t bytes_read;
    /**
     * Serialised bytes of the values that were handed over to be stored, whatever became of that.
     */
    uint64_t bytes_written;
    /**
     * Hits that the near cache answered. They are hits too.
     */
    uint64_t near_hits;
    /**
     * Loads that were begun on a miss.
     */
    uint64_t loads;
    /**
     * Callers who shared the load of another.
     */
    uint64_t shared_loads;
    /**
     * Operations whose time was measured: all on keys that are named; of stores in memory one in 251.
     */
    uint64_t latency_count;
    /**
     * Half of those took at most so many ns, off by at most 6.25 %. Asynchronous ones: until the answer came.
     */
    uint64_t latency_p50_ns;
    /**
     * The same for nine of ten.
     */
    uint64_t latency_p90_ns;
    /**
     * The same for 99 of 100.
     */
    uint64_t latency_p99_ns;
    /**
     * The same for 999 of 1,000.
     */
    uint64_t latency_p999_ns;
    /**
     * The longest, exactly, in ns.
     */
    uint64_t latency_max_ns;
} larder_store_stats;

/**
 * The id of an asynchronous operation; never reused in a process, nothing to free.
 */
typedef uint64_t larder_op;

/**
 * Takes the answer to an operation: exactly once, later, on the context's one callback thread, never inside the call
 * that began it. `value` (of a get that found something; of an operation that answers a number, the number) and `error`
 * (for a negative status) are borrowed: they live during the call only, unless they are retained. It may use larder
 * synchronously and begin further operations, but not shut the context down. It must return: longjmp and exceptions
 * through it are undefined. All signals are blocked on its thread, which a process that is started there inherits. A
 * child that is forked there ends its thread, and with it itself, when it returns: what is left is its parent's. The
 * one exception to "exactly once" is a larder_shutdown that answers LARDER_ETIMEOUT: callbacks that have not begun by
 * then never run.
 */
typedef void (*larder_completion_fn)(void *user_data,
                                     larder_op op,
                                     larder_status status,
                                     const struct larder_value *value,
                                     const struct larder_error *error);

/**
 * How an operation ended, a log record, or a load to be answered. Fields that an event has no use for are 0 or NULL.
 * What the pointers lead to belongs to the event: larder_events_clear releases it. To keep a value or an error longer,
 * retain it, or take it out and put NULL in its place. The struct only grows at its end.
 */
typedef struct larder_event {
    /**
     * `LARDER_EVENT_…`.
     */
    int32_t kind;
    /**
     * Which operation, `LARDER_OP_…`; of a log record its level, `LARDER_LOG_…`.
     */
    int32_t operation;
    /**
     * The tag of the request.
     */
    uint64_t tag;
    /**
     * The id of the operation; of a load 0.
     */
    larder_op op;
    /**
     * How it ended: as the function of the same name answers.
     */
    larder_status status;
    /**
     * How many `values` there are, and marks in `failed`; 0 when the operation failed as a whole.
     */
    uint32_t n;
    /**
     * LARDER_OP_TTL: what is left in ms, or LARDER_TTL_FOREVER. LARDER_OP_INCR: the new number, or the nearest with
     * LARDER_LOSSY. LARDER_OP_INCR_VERSION: the new version. LARDER_OP_GET_MANY: how many were found.
     * LARDER_OP_SET_MANY: how many failed. LARDER_OP_DELETE_MANY, _DELETE_PATTERN, _PURGE_EXPIRED: how many were removed.
     * LARDER_OP_KEYS: where the next page begins, 0 at the end. LARDER_OP_PIPELINE_GET_MANY: how many were found.
     * LARDER_OP_PIPELINE_EXPIRE: how many were removed. LARDER_OP_PIPELINE_GET, _GET_OR_LOAD: 1 where this operation has
     * begun to have the value loaded anew (GRACE_MS, EARLY), so that with LARDER_CALL_LOAD_EVENT a load can still come;
     * else 0. Of a load: which, for larder_load_done.
     */
    int64_t number;
    /**
     * LARDER_OP_GET, LARDER_OP_SESSION, LARDER_OP_PIPELINE_GET, LARDER_OP_GET_OR_LOAD: the value. LARDER_OP_INCR: the
     * new number, whatever its size. LARDER_OP_LOCK: the token.
     */
    struct larder_value *value;
    /**
     * LARDER_OP_GET_MANY, _PIPELINE_GET_MANY: the values in the order of the keys, NULL for a miss. LARDER_OP_KEYS:
     * the keys of this page, as texts.
     */
    struct larder_value **values;
    /**
     * LARDER_OP_SET_MANY: 1 for each value that is not known to be stored, else 0.
     */
    uint8_t *failed;
    /**
     * Why it failed, for a negative status.
     */
    struct larder_error *error;
    /**
     * A log record's line, or the token or key to be loaded, in UTF-8 and NUL-terminated.
     */
    char *text;
    /**
     * Its length in bytes.
     */
    size_t text_len;
    /**
     * LARDER_OP_PIPELINE_GET, LARDER_OP_GET_OR_LOAD: the store that had the value, from 0, or LARDER_LEVEL_LOADED, or
     * LARDER_LEVEL_NONE. Otherwise 0.
     */
    int32_t level;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * LARDER_OP_PIPELINE_GET_MANY: the same for each of the `values`; LARDER_LEVEL_STALE for one that is over.
     */
    int32_t *levels;
    /**
     * Of a load: the time in ms that is left for it; nobody waits any longer.
     */
    int64_t timeout_ms;
    /**
     * Of a load: the token itself, for larder_token_server, larder_token_param and the like; NULL where larder was given a
     * text.
     */
    struct larder_token *token;
} larder_event;

/**
 * Takes the answer to an operation on several keys, as an event of a completion queue has it (its tag is 0). Otherwise
 * as larder_completion_fn: all that the event holds is borrowed.
 */
typedef void (*larder_event_fn)(void *user_data, const struct larder_event *event);

/**
 * What a loader is asked for. It lives during the call only, but for the number.
 */
typedef struct larder_load_request {
    /**
     * `sizeof(larder_load_request)` of the library; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The load, for larder_load_done. Never used again.
     */
    uint64_t load;
    /**
     * The token, or the key of larder_get_or_load, in UTF-8 and NUL-terminated.
     */
    const char *token;
    /**
     * Its length in bytes.
     */
    size_t token_len;
    /**
     * The pipeline, or the alias of larder_get_or_load, as in the configuration, NUL-terminated.
     */
    const char *name;
    /**
     * The time in ms that is left for it. Nobody waits any longer.
     */
    int64_t timeout_ms;
    /**
     * The token itself, for larder_token_server, larder_token_param and the like; retain it to keep it longer. NULL where
     * larder was given a text.
     */
    const struct larder_token *made;
} larder_load_request;

/**
 * A program's own source, the last one of a pipeline (Pyot's "service"): called when no store has a token.
 *
 * It answers by larder_load_done, exactly once, before it returns or later, from any thread. Or it says it itself:
 * LARDER_OK is "answered, or will be", LARDER_MISS "there is no such thing", which is final, a negative status "failed"
 * (which one of larder's statuses tells callers why). Where it has answered both ways, the first counts. A load that is
 * never answered frees its waiters when its time is over.
 *
 * A synchronous call runs it on the caller's own thread; operations by callback and queue run it on a thread of larder's
 * that may wait, never on the callback thread. All who want the same token at the same time share one load, so it runs once
 * for them; for different tokens it can run on several threads at once. It may use larder, but not shut the context down,
 * and not wait for what it is loading itself (LARDER_EDEADLOCK). It must return: longjmp and exceptions through it are
 * undefined. It may outlast the call that it is for, when that is cancelled or its time is over.
 *
 * A pipeline's own loader may begin after that call, too. That of a synchronous call never does: what grace or early have
 * loaded anew is loaded within the call, which then has the new value. One of an operation by callback or queue may begin
 * later, with grace and early, and where the operation was cancelled or its time is over. With these give user data that
 * lives until larder_shutdown has answered LARDER_OK, or use a pipeline's loader, whose user data is released when nothing
 * needs it any more.
 */
typedef larder_status (*larder_load_fn)(void *user_data, const struct larder_load_request *request);

/**
 * How larder_get_or_load loads. Start from `LARDER_LOAD_OPTIONS_INIT`.
 */
typedef struct larder_load_options {
    /**
     * `sizeof(larder_load_options)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * What a load may take in ms, however short the call's own time is; 0: 30 s.
     */
    int64_t timeout_ms;
    /**
     * More than 0: processes load one after the other. Whoever loads holds redis-py's lock on the key `lock:<key>` for so
     * many ms at the most: Python keeps larder out by `cache.lock("lock:" + key)` of django-redis. Only on backends with
     * locks.
     */
    int64_t lock_ms;
    /**
     * More than 0: a value is kept so many ms longer, and handed out (LARDER_STALE) while one caller loads it anew.
     */
    int64_t grace_ms;
    /**
     * More than 0: values are loaded anew before they expire, with a chance that grows towards the end; 1 is usual, more is
     * earlier.
     */
    double early;
    /**
     * 0 to 0.5: times to live are lengthened or shortened at random, by this part at most, so that what was stored together
     * does not expire together.
     */
    double jitter;
} larder_load_options;

/**
 * Frees the user data of a loader: called once, on any thread, when the pipeline is closed and nothing of it runs any more.
 */
typedef void (*larder_release_fn)(void *user_data);

/**
 * Options of a pipeline. Start from `LARDER_PIPELINE_OPTIONS_INIT`.
 */
typedef struct larder_pipeline_options {
    /**
     * `sizeof(larder_pipeline_options)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The last source of every get; NULL: none.
     */
    larder_load_fn load;
    /**
     * Handed to `load`.
     */
    void *load_user_data;
    /**
     * NULL, or frees the user data.
     */
    larder_release_fn load_release;
} larder_pipeline_options;

/**
 * What one call on a pipeline asks for. Start from `LARDER_PIPELINE_CALL_INIT`; NULL in place of a call means the
 * pipeline's own settings.
 */
typedef struct larder_pipeline_call {
    /**
     * `sizeof(larder_pipeline_call)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * LARDER_CALL_NO_LOAD, or 0.
     */
    uint32_t flags;
    /**
     * The total time that the call may take, in ms: all stores, waiting for a load. 0: the times of all stores' aliases
     * together, and for a get that may load what LOAD.TIMEOUT_MS says besides.
     */
    int64_t timeout_ms;
    /**
     * Another loader than the pipeline's; NULL: the pipeline's own. A load that is under way already is shared, whoever
     * began it.
     */
    larder_load_fn load;
    /**
     * Handed to `load`. It has to live as long as that can be called, and until it has returned and answered: both can be
     * after the call. See larder_load_fn.
     */
    void *load_user_data;
    /**
     * NULL, or the token itself in place of its text, of larder_pipeline_get_many `n` of them; then the text is NULL with
     * a length of 0. What the token leaves open is written as PYOT and UNICODE of the pipeline say, and log records name
     * its parameters.
     */
    const struct larder_token *const *tokens;
} larder_pipeline_call;

/**
 * What a pipeline has seen since its handle was opened. Start from `LARDER_PIPELINE_NUMBERS_INIT`; the struct only grows at
 * its end. What its stores have seen is told by larder_pipeline_level_stats.
 */
typedef struct larder_pipeline_numbers {
    /**
     * `sizeof(larder_pipeline_numbers)`.
     */
    uint32_t struct_size;
    /**
     * How many stores it has.
     */
    uint32_t levels;
    /**
     * Values that a store had, stale ones included.
     */
    uint64_t hits;
    /**
     * Values that no store had, nor the loader.
     */
    uint64_t misses;
    /**
     * Values that were handed out after their time, while they were loaded anew; each is a hit too.
     */
    uint64_t stale;
    /**
     * Times that a store was not asked, or not written to, since its EXPIRATIONS are 0 for the endpoint.
     */
    uint64_t skipped;
    /**
     * Values that were written back to a store before the one that had them.
     */
    uint64_t written_back;
    /**
     * Sets that a store has taken.
     */
    uint64_t sets;
    /**
     * Deletes of what a store had.
     */
    uint64_t deletes;
    /**
     * Operations that failed.
     */
    uint64_t failures;
    /**
     * Those whose time was over.
     */
    uint64_t timeouts;
    /**
     * Failures of stores that were passed over (ON_STORE_ERROR).
     */
    uint64_t errors_skipped;
    /**
     * Loads that were begun.
     */
    uint64_t loads;
    /**
     * Calls that shared the load of another.
     */
    uint64_t shared_loads;
    /**
     * Loads that failed, or took too long.
     */
    uint64_t load_failures;
    /**
     * Loads that found that there is none.
     */
    uint64_t not_found;
    /**
     * Loads of values that were handed out meanwhile (GRACE_MS, EARLY).
     */
    uint64_t refreshes;
    /**
     * Operations on named tokens whose time was measured: all; where the first store is in memory one in 251.
     */
    uint64_t latency_count;
    /**
     * Half of those took at most so many ns, loads included, off by at most 6.25 %.
     */
    uint64_t latency_p50_ns;
    /**
     * The same for nine of ten.
     */
    uint64_t latency_p90_ns;
    /**
     * The same for 99 of 100.
     */
    uint64_t latency_p99_ns;
    /**
     * The same for 999 of 1,000.
     */
    uint64_t latency_p999_ns;
    /**
     * The longest, exactly, in ns.
     */
    uint64_t latency_max_ns;
} larder_pipeline_numbers;

/**
 * One operation for larder_submit. Start from `LARDER_REQUEST_INIT`, or from all zero bytes: then `ttl_ms` has to be set
 * where a time to live is needed, since 0 means expired at once. The struct only grows at its end.
 */
typedef struct larder_request {
    /**
     * `LARDER_OP_…`.
     */
    int32_t operation;
    /**
     * LARDER_OP_SET, _ADD, _SET_MANY, _PIPELINE_SET: LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED.
     */
    int32_t format;
    /**
     * The store, of the queue's own context; of an operation on a pipeline NULL.
     */
    const struct larder_store *store;
    /**
     * Comes back in the event.
     */
    uint64_t tag;
    /**
     * The key, UTF-8 text; LARDER_OP_KEYS, _DELETE_PATTERN: the pattern; LARDER_OP_SESSION: the session key; of an
     * operation on a pipeline the token's text.
     */
    const char *key;
    /**
     * Its length in bytes.
     */
    size_t key_len;
    /**
     * LARDER_OP_SET, _ADD, _PIPELINE_SET: the value's bytes, by `format`. LARDER_OP_UNLOCK, _LOCK_EXTEND: the token.
     */
    const void *value;
    /**
     * Their length.
     */
    size_t value_len;
    /**
     * LARDER_OP_SET, _ADD, _EXPIRE, _SET_MANY, _GET_OR_LOAD: the time to live in ms, LARDER_TTL_DEFAULT or
     * LARDER_TTL_FOREVER; 0 or less: expired at once. LARDER_OP_LOCK, _LOCK_EXTEND: the time in ms, more than 0;
     * LARDER_OP_LOCK also LARDER_TTL_FOREVER.
     */
    int64_t ttl_ms;
    /**
     * LARDER_OP_INCR, _INCR_VERSION: what to add. LARDER_OP_KEYS: where to begin, 0 or the `number` of the event before.
     * LARDER_OP_EXPIRE_AT: the moment in ms since 1970. LARDER_OP_LOCK: how long to wait in ms (`wait_ms`).
     * LARDER_OP_LOCK_EXTEND: LARDER_EXTEND_ADD or LARDER_EXTEND_REPLACE.
     */
    int64_t delta;
    /**
     * The total time that the operation may take, in ms, as in `larder_call`; 0: the alias's own.
     */
    int64_t timeout_ms;
    /**
     * `LARDER_CALL_…`, as in `larder_call`; for what loads LARDER_CALL_NO_LOAD and LARDER_CALL_LOAD_EVENT.
     */
    uint32_t flags;
    /**
     * LARDER_OP_GET_MANY, _SET_MANY, _DELETE_MANY, _PIPELINE_GET_MANY: how many keys or tokens.
     */
    uint32_t n;
    /**
     * The version of the key as UTF-8 text; NULL: the alias's own.
     */
    const char *version;
    /**
     * The length of `version` in bytes.
     */
    size_t version_len;
    /**
     * `n` keys, where there are several.
     */
    const char *const *keys;
    /**
     * Their lengths in bytes.
     */
    const size_t *key_lens;
    /**
     * LARDER_OP_SET_MANY: `n` values.
     */
    const void *const *values;
    /**
     * Their lengths.
     */
    const size_t *value_lens;
    /**
     * NULL, or receives the operation's id, for larder_cancel, before there can be an answer; untouched on refusal.
     */
    larder_op *op;
    /**
     * LARDER_OP_PIPELINE_…: the pipeline, of the queue's own context.
     */
    const struct larder_pipeline *pipeline;
    /**
     * LARDER_OP_PIPELINE_GET, _PIPELINE_GET_MANY, _GET_OR_LOAD: NULL, or a loader for this request; the last needs one,
     * or LARDER_CALL_LOAD_EVENT.
     */
    larder_load_fn load;
    /**
     * Handed to `load`.
     */
    void *load_user_data;
    /**
     * LARDER_OP_GET_OR_LOAD: NULL, or how it is loaded.
     */
    const struct larder_load_options *load_options;
    /**
     * LARDER_OP_PIPELINE_…: NULL, or the token itself in place of `key`, of LARDER_OP_PIPELINE_GET_MANY `n` of them in place of
     * `keys`. See larder_pipeline_call.
     */
    const struct larder_token *const *tokens;
} larder_request;

/**
 * A key function, for KEY_FUNCTION (K-4) and REVERSE_KEY_FUNCTION. Start from `LARDER_KEY_FUNCTION_TABLE_INIT`.
 *
 * Threads: `make` is called on the thread that begins an operation (with incr_version also on a thread of larder's that
 * may wait), `reverse` on the thread that reads the answer of a listing: the caller's, the one that polls a queue, or the
 * callback thread. From several threads at once, never under a lock of larder's. They must be quick and always give the
 * same answer to the same question. They may call larder, but what would call the same key function again on that thread
 * answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and exceptions through them are
 * undefined.
 */
typedef struct larder_key_function_table {
    /**
     * `sizeof(larder_key_function_table)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
     * or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
     * is kept for ever.
     */
    void (*free_user_data)(void *user_data);
    /**
     * Writes the made key, in UTF-8, of a user's key, KEY_PREFIX and a version. For a listing it is given the pattern for
     * the key, and prefix and version with their wild cards escaped (DR-26): what it makes of these has to match what it
     * makes of the keys. Answers LARDER_OK or a failure.
     */
    larder_status (*make)(void *user_data,
                          const char *key,
                          size_t key_len,
                          const char *prefix,
                          size_t prefix_len,
                          const char *version,
                          size_t version_len,
                          struct larder_sink *sink);
    /**
     * Writes the user's key of a made one. Answers LARDER_OK, LARDER_MISS for a key that it has not made, which is left out
     * of the listing, or a failure. NULL: there is no way back, and larder_keys tells only final keys.
     */
    larder_status (*reverse)(void *user_data, const char *made, size_t made_len, struct larder_sink *sink);
} larder_key_function_table;

/**
 * A serializer, for SERIALIZER in OPTIONS. Start from `LARDER_SERIALIZER_TABLE_INIT`.
 *
 * Threads: `dumps` is called on the thread that submits a write (after an incr also on a thread of larder's that may wait),
 * `loads` on the thread that first looks into a value: the caller's, the one that polls a queue, or the callback thread.
 * From several threads at once, never under a lock of larder's. They may call larder, but what would call the same
 * serializer again on that thread answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and
 * exceptions through them are undefined.
 */
typedef struct larder_serializer_table {
    /**
     * `sizeof(larder_serializer_table)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
     * or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
     * is kept for ever.
     */
    void (*free_user_data)(void *user_data);
    /**
     * Writes the bytes that are stored for a value. `format` says what the value is: LARDER_BYTES, LARDER_TEXT (UTF-8) or
     * LARDER_JSON (as Python's `json.dumps` writes it; numbers come so, too). On Redis whole numbers are stored as bare
     * digits and never come here (DR-10). Answers LARDER_OK or a failure (LARDER_ETYPE where none is better).
     */
    larder_status (*dumps)(void *user_data, int32_t format, const void *data, size_t len, struct larder_sink *sink);
    /**
     * Writes the value of stored bytes, and says in `format` what it has written: LARDER_BYTES, LARDER_TEXT (UTF-8) or
     * LARDER_JSON. `format` is LARDER_BYTES before the call. The bytes may be anybody's: trust nothing in them. Answers
     * LARDER_OK or a failure (LARDER_EUNDECODABLE where none is better).
     */
    larder_status (*loads)(void *user_data, const void *stored, size_t len, struct larder_sink *sink, int32_t *format);
} larder_serializer_table;

/**
 * A compressor, for COMPRESSOR in OPTIONS. Start from `LARDER_COMPRESSOR_TABLE_INIT`.
 *
 * Threads: `compress` is called on the thread that submits a write (after an incr also on a thread of larder's that may
 * wait), `decompress` on the thread that first looks into a value: the caller's, the one that polls a queue, or the
 * callback thread. From several threads at once, never under a lock of larder's. They may call larder, but what would call
 * the same compressor again on that thread answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp
 * and exceptions through them are undefined.
 */
typedef struct larder_compressor_table {
    /**
     * `sizeof(larder_compressor_table)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
     * or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
     * is kept for ever.
     */
    void (*free_user_data)(void *user_data);
    /**
     * Only what is longer, in bytes, is compressed. django-redis's compressors have 15 here.
     */
    size_t min_length;
    /**
     * Writes the compressed bytes. Answers LARDER_OK or a failure.
     */
    larder_status (*compress)(void *user_data, const void *data, size_t len, struct larder_sink *sink);
    /**
     * Writes the bytes that were compressed: at most `limit`, beyond which the sink refuses them. The bytes may be anybody's:
     * trust nothing in them. Answers LARDER_OK; LARDER_MISS when these were not compressed, and are taken as they are
     * (DR-11: values that are shorter than `min_length`, or were written before there was a compressor); or a failure.
     */
    larder_status (*decompress)(void *user_data, const void *data, size_t len, size_t limit, struct larder_sink *sink);
} larder_compressor_table;

/**
 * A backend, for BACKEND. Start from `LARDER_BACKEND_TABLE_INIT`. What is NULL the backend has not: larder does it with the
 * others, or answers LARDER_EUNSUPPORTED; `open`, `get`, `set`, `touch` and `delete_key` are needed.
 *
 * A backend knows made keys, in UTF-8, and stored bytes, and nothing of what they mean. A key whose time to live is over
 * is not there.
 *
 * Threads: a synchronous call of larder's is one, or a few, of these functions on the caller's own thread. Asynchronous
 * ones (callbacks and completion queues) are made on a thread of larder's that may wait, one at a time for each store, in
 * the order in which they were submitted; never on the callback thread. So the functions are called from several threads
 * at once, also for one instance, and have to see to their own locks; never under a lock of larder's. `open` and `close` are
 * called once for each store, on the thread that opens it and on the one that lets go of it last.
 *
 * They may call larder, also the stores of others, but what would call the same instance again on that thread answers
 * LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and exceptions through them are undefined.
 *
 * `left_ms` is what is left of the time that the whole call may take, 1 at least. larder cannot end a function that takes
 * longer: its answer counts when it comes, and larder_shutdown answers LARDER_ETIMEOUT where it has to wait too long. A
 * function that gives up answers LARDER_ETIMEOUT.
 *
 * Fork: a child opens its own instance, by `open` with the child's copy of `user_data`, when it first uses the store. The
 * parent's is never used nor closed there. If `open` needs a lock that a thread of the parent may hold, the program has to
 * see to that (pthread_atfork).
 */
typedef struct larder_backend_table {
    /**
     * `sizeof(larder_backend_table)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context or store
     * uses it any more, behind the last `close`; on whatever thread lets go of it last. In a forked child what the parent's
     * contexts used is kept for ever.
     */
    void (*free_user_data)(void *user_data);
    /**
     * Opens an alias. `entry_json` is its entry of CACHES, as JSON, with the environment's texts filled in: it may hold a
     * password. `instance` receives what the other functions are given. Should not connect. Answers LARDER_OK or a failure.
     */
    larder_status (*open)(void *user_data,
                          const char *alias,
                          size_t alias_len,
                          const char *entry_json,
                          size_t entry_json_len,
                          void **instance);
    /**
     * NULL, or ends an instance: called once for each that was opened, when its store is closed and nothing of it runs any
     * more.
     */
    void (*close)(void *instance);
    /**
     * Writes the bytes of a key. Answers LARDER_OK, LARDER_MISS or a failure.
     */
    larder_status (*get)(void *instance, const char *key, size_t key_len, int64_t left_ms, struct larder_sink *sink);
    /**
     * Stores the bytes of a key. `ttl_ms` is more than 0, or LARDER_TTL_FOREVER; adding it to a clock in ms or us overflows
     * nothing. With LARDER_CALL_NX in `flags` only where there is no such key, with LARDER_CALL_XX only over one; unknown
     * bits are to be refused (LARDER_EUNSUPPORTED). Answers LARDER_OK; LARDER_NOT_STORED where the condition did not hold;
     * LARDER_NOT_KEPT where the time to live rounds to nothing, and the key is gone; or a failure: then the old bytes stay.
     */
    larder_status (*set)(void *instance,
                         const char *key,
                         size_t key_len,
                         const void *value,
                         size_t value_len,
                         int64_t ttl_ms,
                         uint32_t flags,
                         int64_t left_ms);
    /**
     * Gives a key another time to live, as for `set`. Answers LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT or a failure.
     */
    larder_status (*touch)(void *instance, const char *key, size_t key_len, int64_t ttl_ms, int64_t left_ms);
    /**
     * Removes a key. Answers LARDER_OK, LARDER_MISS or a failure.
     */
    larder_status (*delete_key)(void *instance, const char *key, size_t key_len, int64_t left_ms);
    /**
     * Whether a key is there. Answers LARDER_OK, LARDER_MISS or a failure. NULL: `get`.
     */
    larder_status (*has)(void *instance, const char *key, size_t key_len, int64_t left_ms);
    /**
     * Writes the bytes of several keys, each to the sink in its place, and LARDER_OK to the place in `statuses`, which are
     * LARDER_MISS before the call. Answers LARDER_OK or a failure. NULL: one `get` after the other.
     */
    larder_status (*get_many)(void *instance,
                              const char *const *keys,
                              const size_t *key_lens,
                              size_t n,
                              int64_t left_ms,
                              struct larder_sink *const *sinks,
                              larder_status *statuses);
    /**
     * Stores the bytes of several keys; a failure of one, or LARDER_NOT_KEPT, goes to its place in `statuses`, which are
     * LARDER_OK before the call. Answers LARDER_OK, or a failure where none is known to be stored. NULL: one `set` after the
     * other.
     */
    larder_status (*set_many)(void *instance,
                              const char *const *keys,
                              const size_t *key_lens,
                              const void *const *values,
                              const size_t *value_lens,
                              size_t n,
                              int64_t ttl_ms,
                              int64_t left_ms,
                              larder_status *statuses);
    /**
     * Removes several keys; `removed` receives how many there were. Answers LARDER_OK or a failure. NULL: one `delete_key`
     * after the other.
     */
    larder_status (*delete_many)(void *instance,
                                 const char *const *keys,
                                 const size_t *key_lens,
                                 size_t n,
                                 int64_t left_ms,
                                 uint64_t *removed);
    /**
     * Tells what is left of a key's time to live: milliseconds or LARDER_TTL_FOREVER. Answers LARDER_OK, LARDER_MISS or a
     * failure. NULL: larder_ttl answers LARDER_EUNSUPPORTED.
     */
    larder_status (*ttl)(void *instance, const char *key, size_t key_len, int64_t left_ms, int64_t *ttl_ms);
    /**
     * Removes a key's expiry. Answers LARDER_OK, LARDER_MISS or a failure. NULL: `touch` with LARDER_TTL_FOREVER.
     */
    larder_status (*persist)(void *instance, const char *key, size_t key_len, int64_t left_ms);
    /**
     * Adds to the decimal digits that a key holds, in one step, keeping its expiry; `sum` receives the new number. With this
     * function whole numbers are stored as their digits, as on Redis (DR-10); without it they are serialised like other
     * values. Answers LARDER_OK; LARDER_MISS; LARDER_SKIPPED where the bytes are no whole number, or the sum is beyond 64
     * bits: then larder reads, adds and writes (DR-20), for which it needs `ttl`, or answers LARDER_ETYPE; or a failure.
     * NULL: larder reads, adds, and writes with the alias's TIMEOUT, as Django does (O-3).
     */
    larder_status (*incr)(void *instance, const char *key, size_t key_len, int64_t delta, int64_t left_ms, int64_t *sum);
    /**
     * Tells one page of keys, each with larder_sink_write_key, from `at`, which is 0 at the beginning; `next` receives where
     * the following page begins, and stays 0 where there is none. `pattern` is a glob pattern as Redis has it, to save work:
     * larder leaves out what does not match. Every key that is there all the time has to come, once at least. Answers
     * LARDER_OK or a failure. NULL: no listing, and no clearing by prefix without `clear_prefix`.
     */
    larder_status (*scan)(void *instance,
                          const char *pattern,
                          size_t pattern_len,
                          uint64_t at,
                          int64_t left_ms,
                          struct larder_sink *sink,
                          uint64_t *next);
    /**
     * Removes everything. Answers LARDER_OK or a failure. NULL: what `scan` finds is deleted.
     */
    larder_status (*clear)(void *instance, int64_t left_ms);
    /**
     * Removes the keys that begin with `prefix`. Answers LARDER_OK or a failure. NULL: what `scan` finds is deleted.
     */
    larder_status (*clear_prefix)(void *instance, const char *prefix, size_t prefix_len, int64_t left_ms);
    /**
     * Removes what has expired; `removed` receives how many. Answers LARDER_OK or a failure. NULL: there is nothing to do.
     */
    larder_status (*purge_expired)(void *instance, int64_t left_ms, uint64_t *removed);
    /**
     * Does `action` with a lock, in one step. A lock is a key that holds its owner's token, as `set` would have stored it.
     * Answers LARDER_OK; LARDER_NOT_STORED where it could not be done: another token holds the key, or none; or a failure.
     * NULL: larder_lock answers LARDER_EUNSUPPORTED.
     */
    larder_status (*lock)(void *instance,
                          const char *key,
                          size_t key_len,
                          const char *token,
                          size_t token_len,
                          int32_t action,
                          int64_t ttl_ms,
                          int64_t left_ms);
    /**
     * Answers LARDER_OK where the backend can be used now, or a failure. NULL: always.
     */
    larder_status (*ping)(void *instance, int64_t left_ms);
} larder_backend_table;

/**
 * How a token is written. Start from `LARDER_TOKEN_OPTIONS_INIT`; NULL in place of options leaves all of it to the
 * pipeline that the token is used with, and without one to the defaults.
 */
typedef struct larder_token_options {
    /**
     * `sizeof(larder_token_options)`; the struct only grows at its end.
     */
    uint32_t struct_size;
    /**
     * `LARDER_PYOT_…`; 0: the pipeline's, else LARDER_PYOT_3.
     */
    int32_t form;
    /**
     * The version of Unicode that decides which characters of texts are escaped, as a NUL-terminated text: that of the
     * Python that shares the cache, which `unicodedata.unidata_version` tells. "13.0", "14.0" (Python 3.11), "15.0" (3.12),
     * "15.1" (3.13), "16.0" (3.14) or "17.0" (3.15). NULL: the pipeline's, else "16.0".
     */
    const char *unicode;
} larder_token_options;

/**
 * One operation for larder_submit_packed: as `larder_request`, with offsets from the beginning of the buffer in place of
 * pointers. A text or value of length 0 may have any offset. The struct only grows at its end.
 */
typedef struct larder_packed {
    /**
     * `LARDER_OP_…`.
     */
    int32_t operation;
    /**
     * As in `larder_request`.
     */
    int32_t format;
    /**
     * The store's handle as a number; of an operation on a pipeline 0.
     */
    uint64_t store;
    /**
     * Comes back in the event.
     */
    uint64_t tag;
    /**
     * Where the key begins; what it is as in `larder_request`; of several keys: a
     * table of `n` pairs of 64-bit numbers, offset and length of each key.
     */
    uint64_t key;
    /**
     * The key's length in bytes; of several keys 0.
     */
    uint64_t key_len;
    /**
     * Where the value begins; LARDER_OP_SET_MANY: such a table of `n` values.
     */
    uint64_t value;
    /**
     * The value's length in bytes; of several values 0.
     */
    uint64_t value_len;
    /**
     * As in `larder_request`.
     */
    int64_t ttl_ms;
    /**
     * As in `larder_request`.
     */
    int64_t delta;
    /**
     * As in `larder_request`.
     */
    int64_t timeout_ms;
    /**
     * As in `larder_request`.
     */
    uint32_t flags;
    /**
     * As in `larder_request`.
     */
    uint32_t n;
    /**
     * Where the version begins.
     */
    uint64_t version;
    /**
     * Its length in bytes; 0: the alias's own.
     */
    uint64_t version_len;
    /**
     * The pipeline's handle as a number.
     */
    uint64_t pipeline;
    /**
     * Where a `larder_load_options` stands for LARDER_OP_GET_OR_LOAD; 0: there is none.
     */
    uint64_t load_options;
} larder_packed;

/**
 * Done.
 */
#define LARDER_OK 0

/**
 * There is no such key, or it has expired.
 */
#define LARDER_MISS 1

/**
 * Not written: the condition (add, NX, XX) did not hold. On django-redis also: a time to live of zero or less, over a
 * key that was not there, where Django answers False. A lock: somebody else holds it.
 */
#define LARDER_NOT_STORED 2

/**
 * Nothing (more) to hand out.
 */
#define LARDER_EMPTY 3

/**
 * The buffer is too small; the needed size is told, and nothing is lost.
 */
#define LARDER_TRUNCATED 4

/**
 * Skipped by policy: no store of the pipeline keeps this endpoint (a time to live of 0 in its EXPIRATIONS). The `incr` of a
 * plug-in's backend may answer it too, to larder.
 */
#define LARDER_SKIPPED 5

/**
 * An old value while a new one is being loaded.
 */
#define LARDER_STALE 6

/**
 * Done, but nothing is kept: the time to live is zero or less, or rounds to nothing on this backend (core redis and
 * memcached count whole seconds). A key that was there is gone.
 */
#define LARDER_NOT_KEPT 7

/**
 * It failed, and IGNORE_EXCEPTIONS or ignore_exc of the alias hides that: treat it as a miss. The failure was logged.
 */
#define LARDER_IGNORED 8

/**
 * Done, but what is shown has lost something of the Python value; setting it again would store another value.
 */
#define LARDER_LOSSY 9

/**
 * The configuration is wrong, or names what is not built in.
 */
#define LARDER_ECONFIG -1

/**
 * An argument is wrong: NULL where something is needed, an unknown number, text that is not UTF-8.
 */
#define LARDER_EINVAL -2

/**
 * A handle is NULL, closed, stale, or of another kind.
 */
#define LARDER_EHANDLE -3

/**
 * The backend of this store cannot do this; `larder_store_supports` tells beforehand.
 */
#define LARDER_EUNSUPPORTED -4

/**
 * The stored value is of a type that this does not work on.
 */
#define LARDER_ETYPE -5

/**
 * The stored bytes cannot be decoded. Nothing of them was executed.
 */
#define LARDER_EUNDECODABLE -6

/**
 * Larger than a limit.
 */
#define LARDER_ETOOBIG -7

/**
 * The operating system refused a local operation.
 */
#define LARDER_EIO -8

/**
 * The server could not be reached, or the connection broke.
 */
#define LARDER_ECONNECTION -9

/**
 * The deadline passed. A write may have been carried out all the same; the message says so.
 */
#define LARDER_ETIMEOUT -10

/**
 * The server answered with an error.
 */
#define LARDER_ESERVER -11

/**
 * Memory or a thread could not be had.
 */
#define LARDER_EMEMORY -12

/**
 * Too many operations are under way.
 */
#define LARDER_EBUSY -13

/**
 * The call would wait for itself.
 */
#define LARDER_EDEADLOCK -14

/**
 * A queue, a cursor or an operation belongs to the parent process. Closing it in the child is harmless.
 */
#define LARDER_EFORKED -15

/**
 * The context is shut down.
 */
#define LARDER_ESHUTDOWN -16

/**
 * The operation was cancelled. A write may have been carried out all the same.
 */
#define LARDER_ECANCELLED -17

/**
 * A panic was caught: a bug in larder. Nothing crossed into the host.
 */
#define LARDER_EPANIC -18

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status, such as "LARDER_MISS".
 *
 * @param status any number
 * @return a text with static lifetime; "unknown status" for a number that is none
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
const char *larder_status_name(larder_status status);

/**
 * The version of this library, such as "0.1.0".
 *
 * @return a text with static lifetime
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
const char *larder_version(void);

/**
 * The status of a failure: the same number that the failing call answered.
 *
 * @param error borrowed; NULL gives LARDER_EHANDLE
 * @return a negative status
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_error_status(const struct larder_error *error);

/**
 * What was being done, to which alias and server, why it failed, whether a retry can help: one line for people.
 * It never holds a password or a value.
 *
 * @param error borrowed; NULL gives an empty text
 * @return a text that lives as long as the error
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
const char *larder_error_message(const struct larder_error *error);

/**
 * Whether trying the same again can help.
 *
 * @param error borrowed; NULL gives 0
 * @return 1 or 0
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
int32_t larder_error_retriable(const struct larder_error *error);

/**
 * Shares an error: one more release is needed. For callbacks, which only borrow theirs.
 *
 * @param error borrowed; NULL is harmless
 * @return the same error, to be released by the caller; NULL for NULL
 *
 * Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
 */
struct larder_error *larder_error_retain(const struct larder_error *error);

/**
 * Releases an error; with the last release it is gone.
 *
 * @param error taken; NULL is harmless
 *
 * Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
 */
void larder_error_release(struct larder_error *error);

/**
 * Reads a configuration: `{"CACHES": {...}}` with optional siblings, or the bare map of aliases. Never connects.
 *
 * Strings may hold `${NAME}`, replaced from the environment; `$${` is a literal `${`. larder's own settings live in an
 * alias's "LARDER" object. As everything that reads the environment it must not run beside setenv.
 *
 * @param text JSON, `text_len` bytes of UTF-8; only read during the call
 * @param text_len its length in bytes
 * @param options NULL, or who takes log records
 * @param context receives a handle, to be given to larder_shutdown; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_ECONFIG with the JSON path in the message; LARDER_EINVAL; LARDER_EMEMORY
 *
 * Blocks: never. Threads: any. Owns: the caller owns the context. Since: 0.1
 */
larder_status larder_open(const char *text,
                          size_t text_len,
                          const struct larder_options *options,
                          struct larder_context **context,
                          struct larder_error **err);

/**
 * Reads a configuration from a file. As larder_open.
 *
 * @param path NUL-terminated UTF-8
 * @param options NULL, or who takes log records
 * @param context receives a handle, to be given to larder_shutdown; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return as larder_open; LARDER_EIO when the file cannot be read
 *
 * Blocks: while the file is read. Threads: any. Owns: the caller owns the context. Since: 0.1
 */
larder_status larder_open_file(const char *path,
                               const struct larder_options *options,
                               struct larder_context **context,
                               struct larder_error **err);

/**
 * Tells a warning about the configuration: what Django would silently ignore or misread.
 *
 * @param context the context
 * @param index 0 for the first
 * @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the text in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EMPTY when there are no more; LARDER_TRUNCATED when the buffer is too small;
 *         LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_warning(const struct larder_context *context,
                             size_t index,
                             char *buffer,
                             size_t capacity,
                             size_t *needed,
                             struct larder_error **err);

/**
 * Ends a context: nothing is accepted any more, what runs may end within three quarters of the time, the rest is
 * answered with LARDER_ESHUTDOWN. After LARDER_OK no callback and no log function runs ever again, and no thread of the
 * context is left (but for name look-ups that the system does not end; they touch nothing of the context).
 *
 * Stores of the context answer LARDER_ESHUTDOWN from then on; closing them is harmless, before or after. The last
 * shutdown of the process frees the in-memory data. `exit()` without it is harmless. In completion queues what was
 * accepted can still be polled until they are closed. In a forked child it ends what the child has used, and leaves
 * the parent's alone.
 *
 * @param context the context; closed by LARDER_OK
 * @param timeout_ms the time that this may take; negative counts as 0
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_ETIMEOUT when something still ran at the end: callbacks that have not begun never run (so
 *         free their data yourself), and shutting down can be tried again; LARDER_EBUSY while another thread shuts it
 *         down; LARDER_EDEADLOCK inside a callback, a log function or a plug-in's, with nothing done; LARDER_EHANDLE
 *
 * Blocks: up to `timeout_ms`. Threads: any but the callback thread. Owns: takes the context. Since: 0.1
 */
larder_status larder_shutdown(struct larder_context *context, int64_t timeout_ms, struct larder_error **err);

/**
 * Opens an alias. Never connects: a server that is down shows with the first operation. The directory of a file alias is
 * made, for this user alone, as Django makes it; where that fails the first operation says so.
 *
 * @param context the context
 * @param alias its name in CACHES, NUL-terminated UTF-8; there is no default: NULL and "" are errors
 * @param store receives a handle, to be given to larder_store_close; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_ECONFIG for an unknown alias or a backend that is not built in; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN
 *
 * Blocks: while a directory is made. Threads: any. Owns: the caller owns the store. Since: 0.1
 */
larder_status larder_store_open(const struct larder_context *context,
                                const char *alias,
                                struct larder_store **store,
                                struct larder_error **err);

/**
 * Closes a store. Operations that still run end by themselves.
 *
 * @param store taken; NULL is harmless, and so is a store that is closed already
 * @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
 *
 * Blocks: never. Threads: any. Owns: takes the store. Since: 0.1
 */
larder_status larder_store_close(struct larder_store *store);

/**
 * Whether a store has an operation: LARDER_OP_KEYS, _DELETE_PATTERN, _CLEAR_PREFIX, _TTL, _PERSIST, _LOCK, _UNLOCK,
 * _LOCK_EXTEND and _CREATE_TABLE not every backend has, and LARDER_OP_INCR not HerdClient; the others all have.
 *
 * @param store the store
 * @param operation LARDER_OP_…
 * @return LARDER_OK if it has; LARDER_EUNSUPPORTED if not; LARDER_EINVAL for an unknown number; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_store_supports(const struct larder_store *store, int32_t operation);

/**
 * Gets a value.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param value receives the value, to be released; NULL on a miss and on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
 *         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_ETOOBIG; LARDER_EUNDECODABLE
 *         for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
 */
larder_status larder_get(const struct larder_store *store,
                         const char *key,
                         size_t key_len,
                         const struct larder_call *call,
                         struct larder_value **value,
                         struct larder_error **err);

/**
 * Copies the bytes of a `bytes` value, or the UTF-8 text of a `str`, into a buffer of the caller's: the fastest way to
 * read a small value.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param buffer receives the bytes, without a terminator; NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the value in bytes; 0 on a miss
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_LOSSY as larder_value_bytes and larder_value_text; LARDER_TRUNCATED when
 *         the buffer is too small, with nothing written to it; LARDER_IGNORED; LARDER_ETYPE for other kinds of
 *         values; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
 *         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_get_into(const struct larder_store *store,
                              const char *key,
                              size_t key_len,
                              const struct larder_call *call,
                              void *buffer,
                              size_t capacity,
                              size_t *needed,
                              struct larder_error **err);

/**
 * Sets a value. Where it fails the old value stays, unless the server carried it out without telling; memcached also
 * removes the old value where the new one is larger than it takes (LARDER_ETOOBIG).
 *
 * The flags LARDER_CALL_NX and LARDER_CALL_XX make it conditional.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param value the value's bytes, by `format`; only read during the call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_NOT_STORED; LARDER_NOT_KEPT; LARDER_IGNORED; LARDER_ETOOBIG; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_set(const struct larder_store *store,
                         const char *key,
                         size_t key_len,
                         const void *value,
                         size_t value_len,
                         int32_t format,
                         int64_t ttl_ms,
                         const struct larder_call *call,
                         struct larder_error **err);

/**
 * Sets a value where there is none: one of several callers wins.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param value the value's bytes, by `format`; only read during the call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_NOT_STORED; LARDER_NOT_KEPT; LARDER_IGNORED; LARDER_ETOOBIG; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_add(const struct larder_store *store,
                         const char *key,
                         size_t key_len,
                         const void *value,
                         size_t value_len,
                         int32_t format,
                         int64_t ttl_ms,
                         const struct larder_call *call,
                         struct larder_error **err);

/**
 * Gives a key another time to live, counted from now (Django's touch).
 *
 * As in Django: on Redis LARDER_TTL_FOREVER answers LARDER_MISS for a key that already never expires, and a database
 * cache revives a row that is over and has not been removed yet.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_NOT_KEPT when the key was there and is gone; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_expire(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            int64_t ttl_ms,
                            const struct larder_call *call,
                            struct larder_error **err);

/**
 * Makes a key never expire.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS, on Redis also when the key already never expires; LARDER_EUNSUPPORTED;
 *         LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT;
 *         LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_persist(const struct larder_store *store,
                             const char *key,
                             size_t key_len,
                             const struct larder_call *call,
                             struct larder_error **err);

/**
 * Tells what is left of a key's time to live.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param ttl_ms receives it in ms, LARDER_TTL_FOREVER for a key that never expires, 0 on a miss
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_EUNSUPPORTED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
 *         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken
 *         file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_ttl(const struct larder_store *store,
                         const char *key,
                         size_t key_len,
                         const struct larder_call *call,
                         int64_t *ttl_ms,
                         struct larder_error **err);

/**
 * Removes a key. As in Django, the in-memory, the file and the database backend count an expired entry that is still
 * lying there.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
 *         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_delete(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const struct larder_call *call,
                            struct larder_error **err);

/**
 * Whether a key is there.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EUNDECODABLE for a broken file or row; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_has(const struct larder_store *store,
                         const char *key,
                         size_t key_len,
                         const struct larder_call *call,
                         struct larder_error **err);

/**
 * Adds to a number; a negative delta subtracts.
 *
 * Redis and memcached add in the server and keep the time to live; so do the in-memory backend and diskcache, atomically.
 * The file and the database backend read, add and set with the alias's TIMEOUT, as Django does: not atomic. Where Python
 * adds, the number may be a float or larger than 64 bits. memcached only knows 0 to 2**64 - 1: below 0 it stops at 0,
 * beyond the end it begins anew.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param delta what to add
 * @param call NULL, or version, deadline and flags of this call
 * @param result NULL, or receives the new number; 0 unless there is one
 * @param value NULL, or receives the new number as a value, to be released: whole, whatever its size
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_LOSSY when `result` cannot hold the new number (a float, or more than 64
 *         bits): it then has the nearest; LARDER_IGNORED; LARDER_ETYPE when the stored value is no number (core
 *         redis: no whole number of 64 bits; memcached: no digits); LARDER_EINVAL; LARDER_EHANDLE;
 *         LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY;
 *         LARDER_EUNDECODABLE for a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
 */
larder_status larder_incr(const struct larder_store *store,
                          const char *key,
                          size_t key_len,
                          int64_t delta,
                          const struct larder_call *call,
                          int64_t *result,
                          struct larder_value **value,
                          struct larder_error **err);

/**
 * Moves a value to another version: `delta` further than the call's version, or the alias's. The old key stays until
 * the new one is written. django-redis keeps the time to live, the others set the alias's TIMEOUT anew, as in Django.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param delta what to add to the version; negative goes back
 * @param call NULL, or version, deadline and flags of this call
 * @param version NULL, or receives the new version; 0 unless there is one
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL when the version is no number, or the key the same;
 *         LARDER_EHANDLE; LARDER_EUNDECODABLE;
 *         LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_incr_version(const struct larder_store *store,
                                  const char *key,
                                  size_t key_len,
                                  int64_t delta,
                                  const struct larder_call *call,
                                  int64_t *version,
                                  struct larder_error **err);

/**
 * Tells what Django would warn about a key, without touching the cache: that memcached would refuse it. One warning a
 * line. django-redis and diskcache never check keys, so there is nothing to warn about; memcached aliases do not
 * warn either, they refuse such keys with LARDER_EINVAL.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the text in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK with a text; LARDER_EMPTY when there is nothing to warn about; LARDER_TRUNCATED; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_check_key(const struct larder_store *store,
                               const char *key,
                               size_t key_len,
                               const struct larder_call *call,
                               char *buffer,
                               size_t capacity,
                               size_t *needed,
                               struct larder_error **err);

/**
 * Removes keys, by an explicit scope.
 *
 * @param store the store
 * @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_IGNORED; LARDER_EUNSUPPORTED when the backend cannot tell its keys apart (files, whose
 *         names are hashes, and memcached); LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
 *         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_clear(const struct larder_store *store,
                           int32_t scope,
                           const struct larder_call *call,
                           struct larder_error **err);

/**
 * Removes expired entries, and what crashed writers left behind. Redis and memcached expire by themselves: there it does
 * nothing.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param removed NULL, or receives how many were removed
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION;
 *         LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_purge_expired(const struct larder_store *store,
                                   const struct larder_call *call,
                                   uint64_t *removed,
                                   struct larder_error **err);

/**
 * Whether the backend can be used now: one round trip to a server, a look at a directory.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION;
 *         LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_store_ping(const struct larder_store *store,
                                const struct larder_call *call,
                                struct larder_error **err);

/**
 * Tells what a store has seen in this process, and how its servers are.
 *
 * @param store the store
 * @param stats begins with its size; receives the rest
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_stats(const struct larder_store *store,
                           struct larder_store_stats *stats,
                           struct larder_error **err);

/**
 * Tells how often operations of a store failed with a status. All failures together are `failures` of larder_stats; those
 * that IGNORE_EXCEPTIONS or ignore_exc hid count under what they were.
 *
 * @param store the store
 * @param status a failure, such as LARDER_ETIMEOUT
 * @param count receives how often
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL, also for a status that is no failure of this version; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_stats_errors(const struct larder_store *store,
                                  larder_status status,
                                  uint64_t *count,
                                  struct larder_error **err);

/**
 * Tells what the stores and pipelines of a context have seen in this process, as text for Prometheus: the text format 0.0.4,
 * whose content type is `text/plain; version=0.0.4; charset=utf-8`.
 *
 * Stores of the same alias are added up, and what a store has counted is told on when it is closed, so that no counter
 * goes back; the same with pipelines. Labels are aliases, pipelines, servers (never with credentials) and kinds of errors.
 * docs/statistics.md lists the metrics.
 *
 * @param context the context
 * @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the text in bytes; the next text can be some bytes longer
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_TRUNCATED when the buffer is too small, with nothing written to it; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN in a child of a process that had shut the context down
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_prometheus(const struct larder_context *context,
                                char *buffer,
                                size_t capacity,
                                size_t *needed,
                                struct larder_error **err);

/**
 * Gets several values, in one round trip to each server.
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts
 * @param key_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or version, deadline and flags of this call
 * @param values `n` places; each receives a value, to be released, or NULL on a miss; all NULL on failure
 * @param found NULL, or receives how many there were
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK, however many there were; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN;
 *         LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for
 *         a broken file or row
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the values. Since: 0.1
 */
larder_status larder_get_many(const struct larder_store *store,
                              const char *const *keys,
                              const size_t *key_lens,
                              size_t n,
                              const struct larder_call *call,
                              struct larder_value **values,
                              size_t *found,
                              struct larder_error **err);

/**
 * Sets several values with one time to live, in one round trip to each server (to a database in few).
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts
 * @param key_lens their lengths in bytes
 * @param values `n` pointers to the values' bytes, by `format`; only read during the call
 * @param value_lens their lengths
 * @param n how many
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED, for all of them
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call; NX and XX are refused
 * @param failed NULL, or `n` places; each receives 1 when that value is not known to be stored, else 0
 * @param err NULL, or receives the first failure, to be released
 * @return LARDER_OK when all are stored; LARDER_NOT_KEPT for a time to live of 0 or less; LARDER_IGNORED; otherwise
 *         the status of the first failure, while the values that are not marked in `failed` are stored
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_set_many(const struct larder_store *store,
                              const char *const *keys,
                              const size_t *key_lens,
                              const void *const *values,
                              const size_t *value_lens,
                              size_t n,
                              int32_t format,
                              int64_t ttl_ms,
                              const struct larder_call *call,
                              uint8_t *failed,
                              struct larder_error **err);

/**
 * Removes several keys, in one round trip to each server.
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts
 * @param key_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or version, deadline and flags of this call
 * @param removed NULL, or receives how many there were
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK, however many there were; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN;
 *         LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_delete_many(const struct larder_store *store,
                                 const char *const *keys,
                                 const size_t *key_lens,
                                 size_t n,
                                 const struct larder_call *call,
                                 uint64_t *removed,
                                 struct larder_error **err);

/**
 * What a value is.
 *
 * @param value borrowed
 * @return LARDER_KIND_…; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EHANDLE for NULL
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
int32_t larder_value_kind(const struct larder_value *value);

/**
 * The content of `bytes` or `bytearray` (lossy), without a copy.
 *
 * @param value borrowed
 * @param bytes receives a pointer that lives as long as the value
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_LOSSY; LARDER_ETYPE for other kinds; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL;
 *         LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_bytes(const struct larder_value *value,
                                 const void **bytes,
                                 size_t *len,
                                 struct larder_error **err);

/**
 * A text as UTF-8, without a copy where the stored form allows; dates, decimals and UUIDs as text too (lossy).
 *
 * @param value borrowed
 * @param text receives a pointer that lives as long as the value; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return as larder_value_bytes
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_text(const struct larder_value *value,
                                const char **text,
                                size_t *len,
                                struct larder_error **err);

/**
 * A whole number; a bool counts as 0 or 1 (lossy).
 *
 * @param value borrowed
 * @param number receives it
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_LOSSY; LARDER_ETOOBIG beyond 64 bits (larder_value_json has all digits); LARDER_ETYPE for
 *         other kinds; LARDER_EUNDECODABLE; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_int64(const struct larder_value *value, int64_t *number, struct larder_error **err);

/**
 * A number as a double; an int that a double cannot hold exactly is rounded (lossy), and so are ints in kind (lossy).
 *
 * @param value borrowed
 * @param number receives it
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_LOSSY; LARDER_ETYPE for other kinds; LARDER_EUNDECODABLE; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_double(const struct larder_value *value, double *number, struct larder_error **err);

/**
 * Any value as JSON text, in the form of Python's `json.dumps`; the table above says what becomes of types that JSON
 * lacks.
 *
 * @param value borrowed
 * @param json receives a pointer that lives as long as the value; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK when setting this text as LARDER_JSON would store an equal value; LARDER_LOSSY otherwise;
 *         LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_json(const struct larder_value *value,
                                const char **json,
                                size_t *len,
                                struct larder_error **err);

/**
 * The serialised bytes of a value as the backend has them (from a file: without its header and compression). Setting
 * them again as LARDER_STORED on a store with the same serializer stores the same value. On memcached and diskcache only
 * where larder_value_flags says that they are a pickle: texts, bytes and numbers are kept there as they are.
 *
 * @param value borrowed
 * @param bytes receives a pointer that lives as long as the value
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_stored(const struct larder_value *value,
                                  const void **bytes,
                                  size_t *len,
                                  struct larder_error **err);

/**
 * What is kept beside the serialised bytes to say what they are. On memcached the flags of its Python clients: 0 bytes,
 * 1 a pickle, 2 or 4 digits (2 also a bool of pylibmc's), 16 a text, and 8 more for zlib. On diskcache larder's own numbers: 0 a pickle, 1 an int and 2 a
 * float as digits, 3 a text, 4 bytes, 5 nothing. 0 on other backends, which keep no such thing.
 *
 * @param value borrowed
 * @param flags receives them
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_flags(const struct larder_value *value,
                                 uint32_t *flags,
                                 struct larder_error **err);

/**
 * The text under a name of a dict, without a copy: `_auth_user_id` of a session. As in Python the last of equal names
 * counts.
 *
 * @param value borrowed
 * @param name UTF-8 text
 * @param name_len its length in bytes
 * @param text receives a pointer that lives as long as the value; there is no terminator; NULL on a miss
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_LOSSY for a SafeString; LARDER_MISS when the dict has no such name; LARDER_ETYPE when the
 *         value is no dict, or what is there is no text of UTF-8; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL;
 *         LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_value_item_text(const struct larder_value *value,
                                     const char *name,
                                     size_t name_len,
                                     const char **text,
                                     size_t *len,
                                     struct larder_error **err);

/**
 * Shares a value: one more release is needed. For callbacks, which only borrow theirs, and for other threads.
 *
 * @param value borrowed; NULL is harmless
 * @return the same value, to be released by the caller; NULL for NULL
 *
 * Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
 */
struct larder_value *larder_value_retain(const struct larder_value *value);

/**
 * Releases a value; with the last release it and all that it showed is gone.
 *
 * @param value taken; NULL is harmless
 *
 * Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
 */
void larder_value_release(struct larder_value *value);

/**
 * Lists the keys that match a pattern: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\` before a character that means
 * itself, as Redis has it. Fetches the first page.
 *
 * On Redis (SCAN) a key can come twice, and one that is added or removed meanwhile may come or not; every key that is
 * there all the time comes.
 *
 * @param store the store
 * @param pattern UTF-8 text; what it matches is the key without prefix and version
 * @param pattern_len its length in bytes
 * @param call NULL, or version, deadline (of each fetch) and flags; with LARDER_CALL_FINAL_KEY the pattern and the keys
 *        are those of the server
 * @param cursor receives a handle, to be given to larder_cursor_close; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EUNSUPPORTED (files, whose names are hashes, and memcached); LARDER_IGNORED; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the cursor. Since: 0.1
 */
larder_status larder_keys(const struct larder_store *store,
                          const char *pattern,
                          size_t pattern_len,
                          const struct larder_call *call,
                          struct larder_cursor **cursor,
                          struct larder_error **err);

/**
 * Hands out the next key of a listing; go on until it answers anything but LARDER_OK. A key that does not fit stays the
 * next one.
 *
 * @param cursor the cursor
 * @param buffer receives the key without a terminator; NULL only with a capacity of 0. On Redis a key that another
 *        program wrote need not be UTF-8
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the key in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EMPTY at the end; LARDER_TRUNCATED; LARDER_EBUSY while another thread is at it;
 *         LARDER_EHANDLE, also when the store is closed; LARDER_EFORKED for a cursor of the parent process; and as
 *         larder_keys, when a page has to be fetched
 *
 * Blocks: up to the deadline of the listing when a page has to be fetched. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_cursor_next(const struct larder_cursor *cursor,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *needed,
                                 struct larder_error **err);

/**
 * Closes a listing, at its end or before.
 *
 * @param cursor taken; NULL is harmless, and so is a cursor that is closed already
 * @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
 *
 * Blocks: never. Threads: any. Owns: takes the cursor. Since: 0.1
 */
larder_status larder_cursor_close(struct larder_cursor *cursor);

/**
 * Gets a value later. See larder_get.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with a value, LARDER_MISS, LARDER_IGNORED, or a failure of larder_get
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return LARDER_OK: accepted, the callback runs exactly once. Negative: refused, it never runs: LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_EBUSY; LARDER_ESHUTDOWN; LARDER_EMEMORY
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_get_cb(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const struct larder_call *call,
                            larder_completion_fn callback,
                            void *user_data,
                            larder_op *op,
                            struct larder_error **err);

/**
 * Sets a value later. See larder_set.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param value the value's bytes, by `format`; only read during the call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_NOT_STORED, LARDER_NOT_KEPT, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_ETOOBIG
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_set_cb(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const void *value,
                            size_t value_len,
                            int32_t format,
                            int64_t ttl_ms,
                            const struct larder_call *call,
                            larder_completion_fn callback,
                            void *user_data,
                            larder_op *op,
                            struct larder_error **err);

/**
 * Sets a value later, where there is none. See larder_add.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param value the value's bytes, by `format`; only read during the call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_NOT_STORED, LARDER_NOT_KEPT, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_ETOOBIG
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_add_cb(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const void *value,
                            size_t value_len,
                            int32_t format,
                            int64_t ttl_ms,
                            const struct larder_call *call,
                            larder_completion_fn callback,
                            void *user_data,
                            larder_op *op,
                            struct larder_error **err);

/**
 * Gives a key another time to live later. See larder_expire.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_expire_cb(const struct larder_store *store,
                               const char *key,
                               size_t key_len,
                               int64_t ttl_ms,
                               const struct larder_call *call,
                               larder_completion_fn callback,
                               void *user_data,
                               larder_op *op,
                               struct larder_error **err);

/**
 * Makes a key never expire, later. See larder_persist.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_persist_cb(const struct larder_store *store,
                                const char *key,
                                size_t key_len,
                                const struct larder_call *call,
                                larder_completion_fn callback,
                                void *user_data,
                                larder_op *op,
                                struct larder_error **err);

/**
 * Tells later what is left of a key's time to live. See larder_ttl.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with the time in ms as a value (LARDER_TTL_FOREVER for a key that never
 *         expires), LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_ttl_cb(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const struct larder_call *call,
                            larder_completion_fn callback,
                            void *user_data,
                            larder_op *op,
                            struct larder_error **err);

/**
 * Removes a key later. See larder_delete.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_delete_cb(const struct larder_store *store,
                               const char *key,
                               size_t key_len,
                               const struct larder_call *call,
                               larder_completion_fn callback,
                               void *user_data,
                               larder_op *op,
                               struct larder_error **err);

/**
 * Whether a key is there, told later. See larder_has.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_has_cb(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const struct larder_call *call,
                            larder_completion_fn callback,
                            void *user_data,
                            larder_op *op,
                            struct larder_error **err);

/**
 * Adds to a number later. See larder_incr.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param delta what to add
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with the new number as a value, LARDER_LOSSY with it when it has more
 *         than 64 bits or is a float, LARDER_MISS, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_incr_cb(const struct larder_store *store,
                             const char *key,
                             size_t key_len,
                             int64_t delta,
                             const struct larder_call *call,
                             larder_completion_fn callback,
                             void *user_data,
                             larder_op *op,
                             struct larder_error **err);

/**
 * Moves a value to another version later. See larder_incr_version.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param delta what to add to the version
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with the new version as a value, LARDER_MISS, LARDER_IGNORED, or a
 *         failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_incr_version_cb(const struct larder_store *store,
                                     const char *key,
                                     size_t key_len,
                                     int64_t delta,
                                     const struct larder_call *call,
                                     larder_completion_fn callback,
                                     void *user_data,
                                     larder_op *op,
                                     struct larder_error **err);

/**
 * Gets several values later. See larder_get_many.
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts; only read during the call
 * @param key_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: an event with the values
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_get_many_cb(const struct larder_store *store,
                                 const char *const *keys,
                                 const size_t *key_lens,
                                 size_t n,
                                 const struct larder_call *call,
                                 larder_event_fn callback,
                                 void *user_data,
                                 larder_op *op,
                                 struct larder_error **err);

/**
 * Sets several values later, with one time to live. Unlike larder_set_many it refuses all of them when one cannot be
 * encoded. See larder_set_many.
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts; only read during the call
 * @param key_lens their lengths in bytes
 * @param values `n` pointers to the values' bytes, by `format`; only read during the call
 * @param value_lens their lengths
 * @param n how many
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED, for all of them
 * @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: an event that says which ones failed
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_set_many_cb(const struct larder_store *store,
                                 const char *const *keys,
                                 const size_t *key_lens,
                                 const void *const *values,
                                 const size_t *value_lens,
                                 size_t n,
                                 int32_t format,
                                 int64_t ttl_ms,
                                 const struct larder_call *call,
                                 larder_event_fn callback,
                                 void *user_data,
                                 larder_op *op,
                                 struct larder_error **err);

/**
 * Removes several keys later. See larder_delete_many.
 *
 * @param store the store
 * @param keys `n` pointers to UTF-8 texts; only read during the call
 * @param key_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with how many there were as a value, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_delete_many_cb(const struct larder_store *store,
                                    const char *const *keys,
                                    const size_t *key_lens,
                                    size_t n,
                                    const struct larder_call *call,
                                    larder_completion_fn callback,
                                    void *user_data,
                                    larder_op *op,
                                    struct larder_error **err);

/**
 * Lists the keys that match a pattern later, one page. See larder_keys.
 *
 * @param store the store
 * @param pattern UTF-8 text, as of larder_keys; only read during the call
 * @param pattern_len its length in bytes
 * @param at where to begin: 0, or the `number` of the page before
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: an event with the keys of this page, which can be none, and where the next one
 *         begins (0: this was the last)
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_keys_cb(const struct larder_store *store,
                             const char *pattern,
                             size_t pattern_len,
                             int64_t at,
                             const struct larder_call *call,
                             larder_event_fn callback,
                             void *user_data,
                             larder_op *op,
                             struct larder_error **err);

/**
 * Removes the keys of a scope later. See larder_clear.
 *
 * @param store the store
 * @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_clear_cb(const struct larder_store *store,
                              int32_t scope,
                              const struct larder_call *call,
                              larder_completion_fn callback,
                              void *user_data,
                              larder_op *op,
                              struct larder_error **err);

/**
 * Removes expired entries later. See larder_purge_expired.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with how many were removed as a value, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_purge_expired_cb(const struct larder_store *store,
                                      const struct larder_call *call,
                                      larder_completion_fn callback,
                                      void *user_data,
                                      larder_op *op,
                                      struct larder_error **err);

/**
 * Tells later whether the backend can be used. See larder_store_ping.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_store_ping_cb(const struct larder_store *store,
                                   const struct larder_call *call,
                                   larder_completion_fn callback,
                                   void *user_data,
                                   larder_op *op,
                                   struct larder_error **err);

/**
 * Takes a lock: the same that cache.lock(...) of django-redis and Lock of redis-py take, so that their processes and
 * these keep each other out. The key is made like any other. Only Redis has locks, and a plug-in's backend that brings
 * its own.
 *
 * The token is what makes the lock the caller's: larder_unlock and larder_lock_extend want it. Whoever has it may use
 * it, in any thread or process.
 *
 * A lock keeps others out until it is unlocked or its time is over. Give it a time: one that never expires stays for ever
 * when its owner dies. Whoever works longer than that has to extend it, or has lost it. And a server that loses data, as
 * when a replica takes over, loses locks too.
 *
 * When a call fails although the server may have taken the lock for it, larder lets go of it again, if need be
 * after the call has ended.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param ttl_ms for how long, in ms, more than 0; LARDER_TTL_FOREVER: until it is unlocked. There is no default:
 *        LARDER_TTL_DEFAULT is LARDER_EINVAL
 * @param wait_ms how long to wait while somebody else holds it, trying again every 100 ms at the latest; 0: one attempt;
 *        negative: as long as the call may take, which is the limit in any case. The deadline of the alias is
 *        mostly too short for that: give the call one of its own
 * @param call NULL, or version, deadline and flags of this call
 * @param token receives the token, a text of 32 hexadecimal digits, to be released; NULL when it is not held
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_NOT_STORED while somebody else holds it; LARDER_EUNSUPPORTED; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY;
 *         never LARDER_IGNORED
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the token. Since: 0.1
 */
larder_status larder_lock(const struct larder_store *store,
                          const char *key,
                          size_t key_len,
                          int64_t ttl_ms,
                          int64_t wait_ms,
                          const struct larder_call *call,
                          struct larder_value **token,
                          struct larder_error **err);

/**
 * Lets go of a lock.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param token the token of larder_lock, or of a Python process; any bytes
 * @param token_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS when this token does not hold the lock (any more): its time was over, and
 *         perhaps somebody else has it, who keeps it; LARDER_EUNSUPPORTED; LARDER_EINVAL; LARDER_EHANDLE;
 *         LARDER_ESHUTDOWN; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; never LARDER_IGNORED
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_unlock(const struct larder_store *store,
                            const char *key,
                            size_t key_len,
                            const char *token,
                            size_t token_len,
                            const struct larder_call *call,
                            struct larder_error **err);

/**
 * Gives a lock that is held more time.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param token the token of larder_lock, or of a Python process; any bytes
 * @param token_len its length in bytes
 * @param ttl_ms the time in ms, more than 0
 * @param how LARDER_EXTEND_ADD: so much longer than what is left, as redis-py's extend(); LARDER_EXTEND_REPLACE: so long
 *        from now on, as reacquire()
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS when this token does not hold the lock (any more), and for LARDER_EXTEND_ADD when the
 *         lock never expires, as in redis-py; otherwise as larder_unlock
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_lock_extend(const struct larder_store *store,
                                 const char *key,
                                 size_t key_len,
                                 const char *token,
                                 size_t token_len,
                                 int64_t ttl_ms,
                                 int32_t how,
                                 const struct larder_call *call,
                                 struct larder_error **err);

/**
 * Takes a lock later. Waiting for it costs no thread, and holds up no other operation on the key; larder_cancel and
 * larder_shutdown end it. A lock that is taken although nobody waits for it any more is let go of again. See larder_lock.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param ttl_ms for how long, in ms, more than 0; LARDER_TTL_FOREVER: until it is unlocked
 * @param wait_ms how long to wait while somebody else holds it; 0: one attempt; negative: as long as the call may take
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with the token as a value, LARDER_NOT_STORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_EUNSUPPORTED
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_lock_cb(const struct larder_store *store,
                             const char *key,
                             size_t key_len,
                             int64_t ttl_ms,
                             int64_t wait_ms,
                             const struct larder_call *call,
                             larder_completion_fn callback,
                             void *user_data,
                             larder_op *op,
                             struct larder_error **err);

/**
 * Lets go of a lock later. See larder_unlock.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param token the token; only read during this call
 * @param token_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_EUNSUPPORTED
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_unlock_cb(const struct larder_store *store,
                               const char *key,
                               size_t key_len,
                               const char *token,
                               size_t token_len,
                               const struct larder_call *call,
                               larder_completion_fn callback,
                               void *user_data,
                               larder_op *op,
                               struct larder_error **err);

/**
 * Gives a lock that is held more time, later. See larder_lock_extend.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param token the token; only read during this call
 * @param token_len its length in bytes
 * @param ttl_ms the time in ms, more than 0
 * @param how LARDER_EXTEND_ADD or LARDER_EXTEND_REPLACE
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_EUNSUPPORTED
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_lock_extend_cb(const struct larder_store *store,
                                    const char *key,
                                    size_t key_len,
                                    const char *token,
                                    size_t token_len,
                                    int64_t ttl_ms,
                                    int32_t how,
                                    const struct larder_call *call,
                                    larder_completion_fn callback,
                                    void *user_data,
                                    larder_op *op,
                                    struct larder_error **err);

/**
 * Makes a key expire at a moment, as expire_at() and pexpire_at() of django-redis. On Redis the server's clock decides, to
 * the millisecond in both flavours; elsewhere it is larder_expire with the time that is left by this machine's clock.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param at_ms the moment in ms since 1970 (Unix time, which has no time zone): `LARDER_SECONDS(time(NULL)) + 500`
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS when there is no such key; LARDER_NOT_KEPT when the moment is past and the key gone;
 *         otherwise as larder_expire
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_expire_at(const struct larder_store *store,
                               const char *key,
                               size_t key_len,
                               int64_t at_ms,
                               const struct larder_call *call,
                               struct larder_error **err);

/**
 * Makes a key expire at a moment, later. See larder_expire_at.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param at_ms the moment in ms since 1970
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_expire_at_cb(const struct larder_store *store,
                                  const char *key,
                                  size_t key_len,
                                  int64_t at_ms,
                                  const struct larder_call *call,
                                  larder_completion_fn callback,
                                  void *user_data,
                                  larder_op *op,
                                  struct larder_error **err);

/**
 * Removes the keys of this alias's prefix and the call's version that match a pattern, as larder_keys would list them.
 * A Redis server is never blocked: it is asked for about 1000 keys at a time, and those that match are unlinked, while
 * others' commands come in between. What is written meanwhile may stay or go.
 *
 * A large key space takes longer than the alias's deadline mostly allows: give the call one of its own. What was removed
 * before a failure stays removed, and the same call again removes the others.
 *
 * @param store the store
 * @param pattern UTF-8 text, as larder_keys takes it; with LARDER_CALL_FINAL_KEY over the keys as the server has them
 * @param pattern_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param deleted NULL, or receives how many keys were removed, 0 on failure (django-redis tells how many were listed,
 *        which can be more). A connection that breaks meanwhile can make it less than it was
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK, also when nothing matched; LARDER_IGNORED; LARDER_EUNSUPPORTED when the backend cannot list keys;
 *         LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT;
 *         LARDER_ESERVER; LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_delete_pattern(const struct larder_store *store,
                                    const char *pattern,
                                    size_t pattern_len,
                                    const struct larder_call *call,
                                    uint64_t *deleted,
                                    struct larder_error **err);

/**
 * Removes the keys that match a pattern, later. See larder_delete_pattern.
 *
 * @param store the store
 * @param pattern a Redis glob pattern; only read during this call
 * @param pattern_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with how many were removed as a value, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_delete_pattern_cb(const struct larder_store *store,
                                       const char *pattern,
                                       size_t pattern_len,
                                       const struct larder_call *call,
                                       larder_completion_fn callback,
                                       void *user_data,
                                       larder_op *op,
                                       struct larder_error **err);

/**
 * Gets a session of django.contrib.sessions (SESSION_ENGINE django.contrib.sessions.backends.cache) by its session key,
 * which is the value of the browser's `sessionid` cookie. The store is the alias that SESSION_CACHE_ALIAS names, in
 * Django by default "default". Nothing is ever made or prolonged.
 *
 * The value is the session's dict. `larder_value_item_text(value, LARDER_LIT("_auth_user_id"), …)` tells whose login it
 * is, LARDER_MISS that nobody is logged in; larder_value_json shows all of it. A session whose time is up is a miss: the
 * cache forgets it, whatever `_session_expiry` in the dict says.
 *
 * The session key comes from outside, so nothing in it is an error: what is not 8 to 128 ASCII letters and digits is a
 * miss without a question to the cache. Django makes 32 such characters and itself checks the length alone.
 *
 * A session is no proof that its user may still log in. Django also compares `_auth_user_hash` in it with an HMAC of the
 * user's password under SECRET_KEY, which ends a user's sessions when the password changes, and looks whether the user
 * is active. larder knows neither; docs/sessions.md says what a gateway can do.
 *
 * @param store the store
 * @param session_key the cookie's value, any bytes; NULL with length 0 is the empty one
 * @param session_key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param value receives the session, to be released; NULL on a miss and on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS: there is no such session; LARDER_IGNORED: not known, treat it as a miss; failures as
 *         larder_get
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
 */
larder_status larder_session(const struct larder_store *store,
                             const char *session_key,
                             size_t session_key_len,
                             const struct larder_call *call,
                             struct larder_value **value,
                             struct larder_error **err);

/**
 * Gets a session later. See larder_session.
 *
 * @param store the store
 * @param session_key the cookie's value, any bytes; only read during this call
 * @param session_key_len its length in bytes
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK with the session as a value, LARDER_MISS, LARDER_IGNORED, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_session_cb(const struct larder_store *store,
                                const char *session_key,
                                size_t session_key_len,
                                const struct larder_call *call,
                                larder_completion_fn callback,
                                void *user_data,
                                larder_op *op,
                                struct larder_error **err);

/**
 * Makes the table of a database cache, and its index, as Django's `createcachetable` does, where they are not there.
 * Nothing else ever makes them: without the table every operation fails and says so.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK: they are there now; LARDER_EUNSUPPORTED when this is no database cache; LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
 *         LARDER_EMEMORY
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_create_table(const struct larder_store *store,
                                  const struct larder_call *call,
                                  struct larder_error **err);

/**
 * Makes the table of a database cache later. See larder_create_table.
 *
 * @param store the store
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_create_table_cb(const struct larder_store *store,
                                     const struct larder_call *call,
                                     larder_completion_fn callback,
                                     void *user_data,
                                     larder_op *op,
                                     struct larder_error **err);

/**
 * The SQL with which larder_create_table makes the table, as `createcachetable --dry-run` prints it: for who wants to
 * look at it, or hand it to an administrator. It does not ask the database.
 *
 * @param store the store
 * @param buffer receives UTF-8 text without a terminator: statements that end with a semicolon and a line break each;
 *        NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the text in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_TRUNCATED when the buffer is too small, with nothing written to it; LARDER_EUNSUPPORTED when
 *         this is no database cache; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_table_sql(const struct larder_store *store,
                               char *buffer,
                               size_t capacity,
                               size_t *needed,
                               struct larder_error **err);

/**
 * Answers a load: exactly once, from any thread, during the call of the loader or after it.
 *
 * @param load the number in the larder_load_request, or the `number` of a LARDER_EVENT_LOAD
 * @param status LARDER_OK with a value; LARDER_MISS: there is no such thing, which is final; negative: it failed
 * @param value the value's bytes, by `format`; only read during this call; NULL without a value
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON, or LARDER_STORED: serialised already, as the first store has it;
 *        0 without a value
 * @param ttl_ms LARDER_TTL_DEFAULT: what the pipeline's EXPIRATIONS (for larder_get_or_load its `ttl_ms`) say; otherwise the
 *        time to live in ms, or LARDER_TTL_FOREVER, which EXPIRATIONS still bound; 0 or less: the value is handed out
 *        and kept nowhere
 * @param message NULL, or why it failed, NUL-terminated UTF-8, for the error that callers get; never with a password, a
 *        key or a value in it
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE when there is no such load: it was answered, its time is over, the context was shut
 *         down; LARDER_EINVAL, LARDER_EMEMORY: it is not answered, and can still be
 *
 * Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
 */
larder_status larder_load_done(uint64_t load,
                               larder_status status,
                               const void *value,
                               size_t value_len,
                               int32_t format,
                               int64_t ttl_ms,
                               const char *message,
                               struct larder_error **err);

/**
 * Gets a value; where there is none it is loaded and set. Whoever wants it meanwhile, in this context, waits for that one load,
 * no longer than his own call may take. A loader that says that there is none, or fails, sets nothing.
 *
 * @param store the store
 * @param key UTF-8 text; NULL with length 0 is the empty key
 * @param key_len its length in bytes
 * @param load the loader; it runs on this thread, within the call
 * @param load_user_data handed to the loader. It has to live until that has returned and answered, which can be after the
 *        call. See larder_load_fn
 * @param ttl_ms for what is loaded, unless the loader says another: the time to live in ms; LARDER_TTL_DEFAULT;
 *        LARDER_TTL_FOREVER; 0 or less: it is not kept
 * @param options NULL, or how it is loaded: under a lock, with grace, early, with jitter
 * @param call NULL, or version, deadline and flags of this call
 * @param value receives the value, to be released; NULL on a miss and on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_STALE: it is over, and being loaded anew; LARDER_MISS: the loader says that there is none;
 *         LARDER_EDEADLOCK inside the loader of the same key; what the loader failed with; LARDER_EUNSUPPORTED for a lock on
 *         a backend that has none; otherwise as larder_get
 *
 * Blocks: up to the call's deadline (the alias's own: its time and that of a load together), and as long as the loader takes
 * where it runs on this thread. Threads: any.
 * Owns: the caller owns the value. Since: 0.1
 */
larder_status larder_get_or_load(const struct larder_store *store,
                                 const char *key,
                                 size_t key_len,
                                 larder_load_fn load,
                                 void *load_user_data,
                                 int64_t ttl_ms,
                                 const struct larder_load_options *options,
                                 const struct larder_call *call,
                                 struct larder_value **value,
                                 struct larder_error **err);

/**
 * Gets a value later; where there is none it is loaded, on a thread of larder's that may wait, and set. See
 * larder_get_or_load.
 *
 * @param store the store
 * @param key UTF-8 text; only read during this call
 * @param key_len its length in bytes
 * @param load the loader
 * @param load_user_data handed to the loader. It has to live as long as that can be called, and until it has returned and
 *        answered: both can be after the operation has ended. See larder_load_fn
 * @param ttl_ms for what is loaded, as of larder_get_or_load
 * @param options NULL, or how it is loaded; only read during this call
 * @param call NULL, or version, deadline and flags of this call
 * @param callback takes the answer: LARDER_OK or LARDER_STALE with a value, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_get_cb; LARDER_EUNSUPPORTED
 *
 * Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
 */
larder_status larder_get_or_load_cb(const struct larder_store *store,
                                    const char *key,
                                    size_t key_len,
                                    larder_load_fn load,
                                    void *load_user_data,
                                    int64_t ttl_ms,
                                    const struct larder_load_options *options,
                                    const struct larder_call *call,
                                    larder_completion_fn callback,
                                    void *user_data,
                                    larder_op *op,
                                    struct larder_error **err);

/**
 * Opens a pipeline. Never connects. Handles of one pipeline share their loads.
 *
 * @param context the context
 * @param name its name in PIPELINES, in any case, NUL-terminated UTF-8, such as "LOL"
 * @param options NULL, or its loader
 * @param pipeline receives a handle, to be given to larder_pipeline_close; NULL on failure
 * @param err NULL, or receives an error on failure, to be released; then the loader's user data stays the caller's
 * @return LARDER_OK; LARDER_ECONFIG for an unknown pipeline or a store that is not built in; LARDER_EUNSUPPORTED for a
 *         LOAD.LOCK whose backend is plugged in and has no locks; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY
 *
 * Blocks: while a directory is made. Threads: any. Owns: the caller owns the pipeline, which owns the user data. Since: 0.1
 */
larder_status larder_pipeline_open(const struct larder_context *context,
                                   const char *name,
                                   const struct larder_pipeline_options *options,
                                   struct larder_pipeline **pipeline,
                                   struct larder_error **err);

/**
 * Closes a pipeline. Operations and loads that still run end by themselves; with the last of them the loader's user data is
 * released.
 *
 * @param pipeline taken; NULL is harmless, and so is a pipeline that is closed already
 * @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
 *
 * Blocks: never. Threads: any. Owns: takes the pipeline. Since: 0.1
 */
larder_status larder_pipeline_close(struct larder_pipeline *pipeline);

/**
 * Tells the name of a store of a pipeline: its alias, for the `level` of an answer.
 *
 * @param pipeline the pipeline
 * @param level the store, 0 for the first
 * @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
 * @param capacity its size in bytes
 * @param needed NULL, or receives the length of the text in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EMPTY when it has no such store; LARDER_TRUNCATED when the buffer is too small;
 *         LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_level(const struct larder_pipeline *pipeline,
                                    int32_t level,
                                    char *buffer,
                                    size_t capacity,
                                    size_t *needed,
                                    struct larder_error **err);

/**
 * Tells the text of a token as a pipeline writes it: by its PYOT and UNICODE, where the token leaves them open. For
 * languages that hand out texts rather than tokens.
 *
 * @param pipeline the pipeline
 * @param token borrowed; it is finished from now on
 * @param text receives a pointer that lives as long as the token; there is no terminator; NULL on failure
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; what went wrong while the token was built; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_token(const struct larder_pipeline *pipeline,
                                    const struct larder_token *token,
                                    const char **text,
                                    size_t *len,
                                    struct larder_error **err);

/**
 * Gets the value of a token: the stores are asked in order, then the loader. A value that a later store or the loader has
 * is written to the stores before it, for as long as each one's EXPIRATIONS say, and (WRITE_BACK_TTL) no longer than it
 * lives where it was. A store whose EXPIRATIONS are 0 for this endpoint is not asked. A store that fails is
 * skipped (ON_STORE_ERROR), and the log says so.
 *
 * Threads that get one token at the same time share one load; each waits for it no longer than its own call may take.
 *
 * @param pipeline the pipeline
 * @param token the token's text, ready-made or of larder_token_text; NULL where the call has the token itself
 * @param token_len its length in bytes
 * @param call NULL, or deadline, flags and loader of this call
 * @param value receives the value, to be released; NULL on a miss and on failure
 * @param level NULL, or receives which store had it, from 0; LARDER_LEVEL_LOADED; LARDER_LEVEL_NONE on a miss and on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_STALE: it is over, and being loaded anew; LARDER_MISS: no store has it, and the loader says that there
 *         is none, or there is no loader; LARDER_EDEADLOCK inside the loader of the same token; what the loader failed
 *         with; LARDER_ETIMEOUT; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY; LARDER_ETOOBIG; with
 *         ON_STORE_ERROR "fail", and when all stores fail and there is no loader, what a store failed with
 *
 * Blocks: up to the call's deadline, and as long as the loader takes where it runs on this thread. Threads: any.
 * Owns: the caller owns the value. Since: 0.1
 */
larder_status larder_pipeline_get(const struct larder_pipeline *pipeline,
                                  const char *token,
                                  size_t token_len,
                                  const struct larder_pipeline_call *call,
                                  struct larder_value **value,
                                  int32_t *level,
                                  struct larder_error **err);

/**
 * Gets the values of several tokens: one batch to each store for what is still missing, then the loader for each token that
 * no store has. See larder_pipeline_get.
 *
 * @param pipeline the pipeline
 * @param tokens `n` pointers to the tokens' texts
 * @param token_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or deadline, flags and loader of this call
 * @param values `n` places; each receives a value, to be released, or NULL on a miss; all NULL on failure
 * @param levels NULL, or `n` places; each receives which store had the value, from 0; LARDER_LEVEL_LOADED;
 *        LARDER_LEVEL_STALE: it is over, and being loaded anew; LARDER_LEVEL_NONE on a miss and on failure
 * @param found NULL, or receives how many there were
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK, however many there were; failures as larder_pipeline_get
 *
 * Blocks: up to the call's deadline, and as long as the loader takes where it runs on this thread. Threads: any.
 * Owns: the caller owns the values. Since: 0.1
 */
larder_status larder_pipeline_get_many(const struct larder_pipeline *pipeline,
                                       const char *const *tokens,
                                       const size_t *token_lens,
                                       size_t n,
                                       const struct larder_pipeline_call *call,
                                       struct larder_value **values,
                                       int32_t *levels,
                                       size_t *found,
                                       struct larder_error **err);

/**
 * Sets the value of a token in all stores, each for as long as its EXPIRATIONS say.
 *
 * @param pipeline the pipeline
 * @param token the token's text
 * @param token_len its length in bytes
 * @param value the value's bytes, by `format`; only read during the call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON, or LARDER_STORED: serialised already, as the first store has it
 * @param call NULL, or the deadline of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_SKIPPED when no store keeps this endpoint; LARDER_NOT_STORED when no store has taken it
 *         and the aliases say that why is ignored (IGNORE_EXCEPTIONS); LARDER_EINVAL; LARDER_EHANDLE; LARDER_ETOOBIG;
 *         LARDER_ETIMEOUT; LARDER_ESHUTDOWN; LARDER_EMEMORY; what a store failed with where no store has taken it, or
 *         with ON_STORE_ERROR "fail" the first one
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_set(const struct larder_pipeline *pipeline,
                                  const char *token,
                                  size_t token_len,
                                  const void *value,
                                  size_t value_len,
                                  int32_t format,
                                  const struct larder_pipeline_call *call,
                                  struct larder_error **err);

/**
 * Removes a token from all stores, whatever their EXPIRATIONS say.
 *
 * @param pipeline the pipeline
 * @param token the token's text
 * @param token_len its length in bytes
 * @param call NULL, or the deadline of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS when no store had it; failures as larder_pipeline_set
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_delete(const struct larder_pipeline *pipeline,
                                     const char *token,
                                     size_t token_len,
                                     const struct larder_pipeline_call *call,
                                     struct larder_error **err);

/**
 * Whether a store has a token, whatever its EXPIRATIONS say: so it can be there, and a get not see it. Nothing is loaded.
 *
 * @param pipeline the pipeline
 * @param token the token's text
 * @param token_len its length in bytes
 * @param call NULL, or the deadline of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS; failures as larder_pipeline_set
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_contains(const struct larder_pipeline *pipeline,
                                       const char *token,
                                       size_t token_len,
                                       const struct larder_pipeline_call *call,
                                       struct larder_error **err);

/**
 * Removes the keys of a scope from all stores. larder never sends FLUSHALL, as Pyot's RedisCache does.
 *
 * @param pipeline the pipeline
 * @param scope LARDER_CLEAR_PREFIX: what each alias's KEY_PREFIX and version begin, which stores with raw keys cannot tell
 *        apart (LARDER_EUNSUPPORTED); LARDER_CLEAR_EVERYTHING: all that each backend holds, whoever wrote it
 * @param call NULL, or the deadline of this call
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EUNSUPPORTED; otherwise as larder_pipeline_set
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_clear(const struct larder_pipeline *pipeline,
                                    int32_t scope,
                                    const struct larder_pipeline_call *call,
                                    struct larder_error **err);

/**
 * Removes what has expired from the stores that do not do that by themselves.
 *
 * @param pipeline the pipeline
 * @param call NULL, or the deadline of this call
 * @param removed NULL, or receives how many there were
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; failures as larder_pipeline_set
 *
 * Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_expire(const struct larder_pipeline *pipeline,
                                     const struct larder_pipeline_call *call,
                                     uint64_t *removed,
                                     struct larder_error **err);

/**
 * Gets the value of a token later. The loader runs on a thread of larder's that may wait. See larder_pipeline_get.
 *
 * @param pipeline the pipeline
 * @param token the token's text; only read during this call
 * @param token_len its length in bytes
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the value and the `level`: LARDER_OK, LARDER_STALE, LARDER_MISS, or a failure of
 *        larder_pipeline_get
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as LARDER_OK: accepted, the callback runs exactly once. Negative: refused, it never runs: LARDER_EINVAL;
 *         LARDER_EHANDLE; LARDER_EBUSY; LARDER_ESHUTDOWN; LARDER_ETOOBIG; LARDER_EMEMORY
 *
 * Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_get_cb(const struct larder_pipeline *pipeline,
                                     const char *token,
                                     size_t token_len,
                                     const struct larder_pipeline_call *call,
                                     larder_event_fn callback,
                                     void *user_data,
                                     larder_op *op,
                                     struct larder_error **err);

/**
 * Gets the values of several tokens later. See larder_pipeline_get_many.
 *
 * @param pipeline the pipeline
 * @param tokens `n` pointers to the tokens' texts; only read during this call
 * @param token_lens their lengths in bytes
 * @param n how many
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the `values` and `levels`
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_get_many_cb(const struct larder_pipeline *pipeline,
                                          const char *const *tokens,
                                          const size_t *token_lens,
                                          size_t n,
                                          const struct larder_pipeline_call *call,
                                          larder_event_fn callback,
                                          void *user_data,
                                          larder_op *op,
                                          struct larder_error **err);

/**
 * Sets the value of a token later. See larder_pipeline_set.
 *
 * @param pipeline the pipeline
 * @param token the token's text; only read during this call
 * @param token_len its length in bytes
 * @param value the value's bytes, by `format`; only read during this call
 * @param value_len their length
 * @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the status: LARDER_OK, LARDER_SKIPPED, LARDER_NOT_STORED, or a
 *        failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_set_cb(const struct larder_pipeline *pipeline,
                                     const char *token,
                                     size_t token_len,
                                     const void *value,
                                     size_t value_len,
                                     int32_t format,
                                     const struct larder_pipeline_call *call,
                                     larder_event_fn callback,
                                     void *user_data,
                                     larder_op *op,
                                     struct larder_error **err);

/**
 * Removes a token later. See larder_pipeline_delete.
 *
 * @param pipeline the pipeline
 * @param token the token's text; only read during this call
 * @param token_len its length in bytes
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the status: LARDER_OK, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_delete_cb(const struct larder_pipeline *pipeline,
                                        const char *token,
                                        size_t token_len,
                                        const struct larder_pipeline_call *call,
                                        larder_event_fn callback,
                                        void *user_data,
                                        larder_op *op,
                                        struct larder_error **err);

/**
 * Tells later whether a store has a token. See larder_pipeline_contains.
 *
 * @param pipeline the pipeline
 * @param token the token's text; only read during this call
 * @param token_len its length in bytes
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the status: LARDER_OK, LARDER_MISS, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_contains_cb(const struct larder_pipeline *pipeline,
                                          const char *token,
                                          size_t token_len,
                                          const struct larder_pipeline_call *call,
                                          larder_event_fn callback,
                                          void *user_data,
                                          larder_op *op,
                                          struct larder_error **err);

/**
 * Removes the keys of a scope later. See larder_pipeline_clear.
 *
 * @param pipeline the pipeline
 * @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with the status: LARDER_OK, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_clear_cb(const struct larder_pipeline *pipeline,
                                       int32_t scope,
                                       const struct larder_pipeline_call *call,
                                       larder_event_fn callback,
                                       void *user_data,
                                       larder_op *op,
                                       struct larder_error **err);

/**
 * Removes what has expired later. See larder_pipeline_expire.
 *
 * @param pipeline the pipeline
 * @param call NULL, or what this call asks for
 * @param callback takes the answer: an event with how many there were as its `number`, or a failure
 * @param user_data handed to the callback
 * @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
 * @param err NULL, or receives an error on refusal, to be released
 * @return as larder_pipeline_get_cb
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_expire_cb(const struct larder_pipeline *pipeline,
                                        const struct larder_pipeline_call *call,
                                        larder_event_fn callback,
                                        void *user_data,
                                        larder_op *op,
                                        struct larder_error **err);

/**
 * Tells what a pipeline has seen in this process, by this handle.
 *
 * @param pipeline the pipeline
 * @param stats begins with its size; receives the rest
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_stats(const struct larder_pipeline *pipeline,
                                    struct larder_pipeline_numbers *stats,
                                    struct larder_error **err);

/**
 * Tells how often operations of a pipeline failed with a status. What a store failed with and was passed over
 * (ON_STORE_ERROR) counts at the store.
 *
 * @param pipeline the pipeline
 * @param status a failure, such as LARDER_ETIMEOUT
 * @param count receives how often
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL, also for a status that is no failure of this version; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_stats_errors(const struct larder_pipeline *pipeline,
                                           larder_status status,
                                           uint64_t *count,
                                           struct larder_error **err);

/**
 * Tells what a store of a pipeline has seen by it, and how its servers are: what larder_stats tells of a store that the
 * program opened itself.
 *
 * @param pipeline the pipeline
 * @param level the store, 0 for the first
 * @param stats begins with its size; receives the rest
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EMPTY when it has no such store; LARDER_EINVAL; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_pipeline_level_stats(const struct larder_pipeline *pipeline,
                                          int32_t level,
                                          struct larder_store_stats *stats,
                                          struct larder_error **err);

/**
 * Releases what events hold: values, errors, texts. They are empty then; clearing them again is harmless.
 *
 * @param events `n` events that were polled, or all zero; NULL with 0 is harmless
 * @param n how many
 * @param event_size `sizeof(larder_event)`
 *
 * Blocks: never. Threads: any. Owns: takes what the events hold. Since: 0.1
 */
void larder_events_clear(struct larder_event *events, size_t n, size_t event_size);

/**
 * Makes a completion queue. Stores of the context answer there what is submitted there.
 *
 * A queue belongs to the process that made it: in a forked child it answers LARDER_EFORKED, and its events stay the
 * parent's.
 *
 * @param context the context
 * @param capacity how many operations may be accepted and not yet polled, at least 1; beyond that larder_submit answers
 *        LARDER_EBUSY
 * @param log_level the least level of log records that come as events, `LARDER_LOG_…`; 0: none. At most 1,024 of them
 *        wait, beside the capacity; lost ones are counted by a record
 * @param queue receives a handle, to be given to larder_queue_close; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY
 *
 * Blocks: never. Threads: any. Owns: the caller owns the queue. Since: 0.1
 */
larder_status larder_queue_open(const struct larder_context *context,
                                size_t capacity,
                                int32_t log_level,
                                struct larder_queue **queue,
                                struct larder_error **err);

/**
 * Submits operations: each that is accepted gives exactly one event, whatever happens (LARDER_CALL_LOAD_EVENT: and before
 * that one for each load). They are accepted from the first
 * on; one that is wrong, or has no room, ends that. Operations on one key of one store that one thread submits take
 * effect in their order; nothing else is ordered.
 *
 * @param queue the queue
 * @param requests `n` requests; only read during the call
 * @param n how many
 * @param request_size `sizeof(larder_request)`
 * @param accepted NULL, or receives how many are accepted: the first ones
 * @param err NULL, or receives an error, to be released: why the request behind the accepted ones is refused
 * @return LARDER_OK when all are accepted; otherwise why the first of the others is not: LARDER_EBUSY when the queue is
 *         full; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ETOOBIG; LARDER_ESHUTDOWN; LARDER_EFORKED; LARDER_EMEMORY
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_submit(const struct larder_queue *queue,
                            const struct larder_request *requests,
                            size_t n,
                            size_t request_size,
                            size_t *accepted,
                            struct larder_error **err);

/**
 * Submits operations that stand in one flat buffer, for languages that may not hand out pointers to pointers: first `n`
 * `larder_packed`, then the bytes that they point to by offsets. Otherwise as larder_submit.
 *
 * @param queue the queue
 * @param buffer the requests and their bytes; only read during the call
 * @param buffer_len its length in bytes
 * @param n how many requests it begins with
 * @param request_size `sizeof(larder_packed)`
 * @param ops NULL, or `n` places; each receives the id of an accepted operation, for larder_cancel, or 0
 * @param accepted NULL, or receives how many are accepted: the first ones
 * @param err NULL, or receives an error, to be released: why the request behind the accepted ones is refused
 * @return as larder_submit
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_submit_packed(const struct larder_queue *queue,
                                   const void *buffer,
                                   size_t buffer_len,
                                   size_t n,
                                   size_t request_size,
                                   larder_op *ops,
                                   size_t *accepted,
                                   struct larder_error **err);

/**
 * Takes events. The caller owns what they hold, and gives it back with larder_events_clear. Several threads may poll one
 * queue; each event goes to one of them.
 *
 * @param queue the queue
 * @param events receives events
 * @param capacity how many at the most, at least 1
 * @param event_size `sizeof(larder_event)`
 * @param timeout_ms how long to wait for the first one; 0: not at all; negative: as long as it takes
 * @param n receives how many came
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK with one event or more; LARDER_EMPTY with none: the time was over, or larder_queue_wake was called;
 *         LARDER_ESHUTDOWN when the context is shut down and nothing will come any more; LARDER_EINVAL;
 *         LARDER_EHANDLE, also when the queue is closed meanwhile; LARDER_EFORKED
 *
 * Blocks: up to `timeout_ms`. Threads: any. Owns: the caller owns what the events hold. Since: 0.1
 */
larder_status larder_queue_poll(const struct larder_queue *queue,
                                struct larder_event *events,
                                size_t capacity,
                                size_t event_size,
                                int64_t timeout_ms,
                                size_t *n,
                                struct larder_error **err);

/**
 * Lends a descriptor that is readable while larder_queue_poll would answer at once, for `epoll`, `poll` and the loops of
 * other libraries. Wait for readability (level-triggered, or poll until LARDER_EMPTY); never read, write or close it.
 * It lives as long as the queue; a language that insists on owning it must be given a duplicate.
 *
 * @param queue the queue
 * @param handle receives the descriptor's number; -1 on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_EFORKED; LARDER_EIO when there are no descriptors left
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_queue_wait_handle(const struct larder_queue *queue,
                                       int32_t *handle,
                                       struct larder_error **err);

/**
 * Lets one larder_queue_poll go that waits, or the next one, with whatever there is.
 *
 * @param queue the queue
 * @return LARDER_OK; LARDER_EHANDLE; LARDER_EFORKED
 *
 * Blocks: never. Threads: any, and signal handlers never. Owns: nothing. Since: 0.1
 */
larder_status larder_queue_wake(const struct larder_queue *queue);

/**
 * Closes a queue. Events that were not polled are dropped; operations that still run end without an event.
 *
 * @param queue taken; NULL is harmless, and so is a queue that is closed already
 * @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
 *
 * Blocks: never. Threads: any. Owns: takes the queue. Since: 0.1
 */
larder_status larder_queue_close(struct larder_queue *queue);

/**
 * Ends an operation early, if it has not ended yet: its event or callback comes at once, with LARDER_ECANCELLED. What
 * was sent to a server may be carried out all the same.
 *
 * @param context the context that the operation was begun in
 * @param op the operation's id
 * @return LARDER_OK when the answer will be LARDER_ECANCELLED; LARDER_MISS when there is no such operation, or it has
 *         ended; LARDER_EHANDLE; LARDER_EFORKED for an operation of the parent process
 *
 * Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
 */
larder_status larder_cancel(const struct larder_context *context, larder_op op);

/**
 * Adds bytes to what a function of a plug-in writes.
 *
 * A write that fails makes the call fail whatever the function answers, so its status needs a look only where it saves
 * work.
 *
 * @param sink what the function was given
 * @param data the bytes; copied. NULL only with a length of 0
 * @param len their number
 * @return LARDER_OK; LARDER_ETOOBIG beyond the alias's MAX_VALUE_BYTES (for keys 16 MiB); LARDER_EMEMORY; LARDER_EINVAL, also
 *         where keys are wanted; LARDER_EHANDLE for NULL, another thread's sink, and one of a call that has returned
 *
 * Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
 */
larder_status larder_sink_write(struct larder_sink *sink,
                                const void *data,
                                size_t len);

/**
 * Tells one key: what the `scan` of a backend writes.
 *
 * @param sink what the function was given
 * @param key the made key, in UTF-8; copied
 * @param key_len its length in bytes
 * @return as larder_sink_write; LARDER_EINVAL where bytes are wanted
 *
 * Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
 */
larder_status larder_sink_write_key(struct larder_sink *sink, const char *key, size_t key_len);

/**
 * Says why the function of a plug-in that is running on this thread is going to fail: the error that larder's caller gets
 * then has these words in it. Never put a password, a key or a value into it.
 *
 * @param reason UTF-8 text, best without a capital letter and a full stop; copied, and cut after 1000 bytes
 * @param reason_len its length in bytes
 * @return LARDER_OK; LARDER_EINVAL for what is not UTF-8; LARDER_EHANDLE outside of a plug-in's function
 *
 * Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
 */
larder_status larder_plugin_reason(const char *reason,
                                   size_t reason_len);

/**
 * Takes back what is registered under a name, of every kind.
 *
 * Contexts that were opened before go on with it. Its `free_user_data` runs as soon as the last of them, of their
 * stores, and of the values that were read through it is gone: at once, inside this call, where there are none.
 *
 * @param name the name, NUL-terminated UTF-8
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS when nothing is registered under that name; LARDER_EINVAL
 *
 * Blocks: never. Threads: any, also inside a function of a plug-in. Owns: nothing. Since: 0.1
 */
larder_status larder_unregister(const char *name, struct larder_error **err);

/**
 * Registers a key function under a dotted name, for KEY_FUNCTION and REVERSE_KEY_FUNCTION in contexts that are opened later.
 * What was registered under that name is replaced; contexts that are open keep it.
 *
 * @param name a dotted name of your own, such as "shop.keys", NUL-terminated UTF-8
 * @param table the functions; copied
 * @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table without `make`
 *
 * Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
 */
larder_status larder_register_key_function(const char *name,
                                           const struct larder_key_function_table *table,
                                           void *user_data,
                                           struct larder_error **err);

/**
 * Registers a serializer under a dotted name, for SERIALIZER in contexts that are opened later. What was registered under
 * that name is replaced; contexts that are open keep it.
 *
 * @param name a dotted name of your own, such as "shop.Serializer", NUL-terminated UTF-8
 * @param table the functions; copied
 * @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
 *
 * Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
 */
larder_status larder_register_serializer(const char *name,
                                         const struct larder_serializer_table *table,
                                         void *user_data,
                                         struct larder_error **err);

/**
 * Registers a compressor under a dotted name, for COMPRESSOR in contexts that are opened later. What was registered under
 * that name is replaced; contexts that are open keep it.
 *
 * @param name a dotted name of your own, such as "shop.Compressor", NUL-terminated UTF-8
 * @param table the functions; copied
 * @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
 *
 * Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
 */
larder_status larder_register_compressor(const char *name,
                                         const struct larder_compressor_table *table,
                                         void *user_data,
                                         struct larder_error **err);

/**
 * Registers a backend under a dotted name, for BACKEND in contexts that are opened later. What was registered under that
 * name is replaced; contexts that are open keep it.
 *
 * In such an alias's entry LOCATION and what larder does not know in OPTIONS is the backend's own. OPTIONS may have
 * SERIALIZER, COMPRESSOR and PICKLE_VERSION, as with django-redis; without them values are pickled as Django does it.
 *
 * @param name a dotted name of your own, such as "shop.Backend", NUL-terminated UTF-8
 * @param table the functions; copied
 * @param user_data handed to `open`; taken by LARDER_OK, and given back to `free_user_data`
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
 *
 * Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
 */
larder_status larder_register_backend(const char *name,
                                      const struct larder_backend_table *table,
                                      void *user_data,
                                      struct larder_error **err);

/**
 * Makes a token of JSON.
 *
 * Both objects are JSON as Python's `json.loads` takes it, `NaN` and a lone `\ud800` included; numbers with a point or an
 * exponent are floats, others ints of up to 4300 digits; of equal names the last value counts, at the place of the first.
 * Order matters. Pyot leaves out queries whose value is None.
 *
 * @param model the game, such as "lol"; taken in lower case
 * @param server platform, region or locale, such as "na1"; taken in lower case; NULL or "" where there is none
 * @param method the endpoint's name, such as "summoner_v4_by_name"; it decides on the time to live
 * @param params_json a JSON object, the endpoint's parameters; NULL with 0: none
 * @param params_len its length in bytes
 * @param queries_json a JSON object, what stands behind the question mark; NULL with 0: none
 * @param queries_len its length in bytes
 * @param options NULL, or how it is written
 * @param token receives the token, to be released; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for what is no JSON object, an unknown form or version, or a lone surrogate that a
 *         token of Pyot 6 would have to hold; LARDER_ETOOBIG beyond 16 MiB, 1000 levels or 4300 digits
 *
 * Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
 */
larder_status larder_token_new(const char *model,
                               const char *server,
                               const char *method,
                               const char *params_json,
                               size_t params_len,
                               const char *queries_json,
                               size_t queries_len,
                               const struct larder_token_options *options,
                               struct larder_token **token,
                               struct larder_error **err);

/**
 * Takes a token that somebody else has made: its text is the key, as it is, whatever form the pipeline has. The method,
 * and so the time to live, is found in the text, where it must stand in a token of Pyot's.
 *
 * @param text UTF-8 text
 * @param len its length in bytes
 * @param token receives the token, to be released; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL when it is empty or not UTF-8; LARDER_ETOOBIG beyond 16 MiB
 *
 * Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
 */
larder_status larder_token_ready(const char *text, size_t len, struct larder_token **token, struct larder_error **err);

/**
 * Begins a token, to which parameters are then added one by one, in their order. Its first use finishes it.
 *
 * @param model the game, such as "lol"; taken in lower case
 * @param server platform, region or locale, such as "na1"; taken in lower case; NULL or "" where there is none
 * @param method the endpoint's name, such as "summoner_v4_by_name"; it decides on the time to live
 * @param options NULL, or how it is written
 * @param token receives the token, to be released; NULL on failure
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EINVAL for an unknown form or version, or names that are not UTF-8; LARDER_ETOOBIG
 *
 * Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
 */
larder_status larder_token_begin(const char *model,
                                 const char *server,
                                 const char *method,
                                 const struct larder_token_options *options,
                                 struct larder_token **token,
                                 struct larder_error **err);

/**
 * Shares a token: one more release is needed.
 *
 * @param token borrowed; NULL is harmless
 * @return the same token, to be released by the caller; NULL for NULL
 *
 * Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
 */
struct larder_token *larder_token_retain(const struct larder_token *token);

/**
 * Releases a token; with the last release it and all that it showed is gone.
 *
 * @param token taken; NULL is harmless
 *
 * Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
 */
void larder_token_release(struct larder_token *token);

/**
 * Adds a parameter to a token that was begun: a text, Python's `str`. One of the same name gets the new value, at its place.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param text UTF-8 text
 * @param len its length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_EINVAL also for a text that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_text(struct larder_token *token,
                                      const char *name,
                                      const char *text,
                                      size_t len,
                                      struct larder_error **err);

/**
 * Adds a parameter to a token that was begun: a whole number. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value the number
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_int(struct larder_token *token,
                                     const char *name,
                                     int64_t value,
                                     struct larder_error **err);

/**
 * Adds a parameter to a token that was begun: a float; a whole one shows as `1.0`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value the number; NaN and infinities are allowed
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_float(struct larder_token *token,
                                       const char *name,
                                       double value,
                                       struct larder_error **err);

/**
 * Adds a parameter to a token that was begun: a bool. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value 0 is False, anything else True
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_bool(struct larder_token *token,
                                      const char *name,
                                      int32_t value,
                                      struct larder_error **err);

/**
 * Adds a parameter to a token that was begun: Python's `None`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_null(struct larder_token *token, const char *name, struct larder_error **err);

/**
 * Adds a parameter to a token that was begun: anything that JSON has, such as a list: `[420, 440]`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param json JSON, as Python's `json.loads` takes it
 * @param len its length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_EINVAL also for what is no JSON;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param_json(struct larder_token *token,
                                      const char *name,
                                      const char *json,
                                      size_t len,
                                      struct larder_error **err);

/**
 * Adds a query to a token that was begun: a text, Python's `str`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param text UTF-8 text
 * @param len its length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_EINVAL also for a text that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_text(struct larder_token *token,
                                      const char *name,
                                      const char *text,
                                      size_t len,
                                      struct larder_error **err);

/**
 * Adds a query to a token that was begun: a whole number. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value the number
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_int(struct larder_token *token,
                                     const char *name,
                                     int64_t value,
                                     struct larder_error **err);

/**
 * Adds a query to a token that was begun: a float; a whole one shows as `1.0`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value the number; NaN and infinities are allowed
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_float(struct larder_token *token,
                                       const char *name,
                                       double value,
                                       struct larder_error **err);

/**
 * Adds a query to a token that was begun: a bool. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param value 0 is False, anything else True
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_bool(struct larder_token *token,
                                      const char *name,
                                      int32_t value,
                                      struct larder_error **err);

/**
 * Adds a query to a token that was begun: Python's `None`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_null(struct larder_token *token, const char *name, struct larder_error **err);

/**
 * Adds a query to a token that was begun: anything that JSON has, such as a list: `[420, 440]`. See larder_token_param_text.
 *
 * @param token borrowed; not used yet
 * @param name NUL-terminated UTF-8 text
 * @param json JSON, as Python's `json.loads` takes it
 * @param len its length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
 *         LARDER_EINVAL also for what is no JSON;
 *         LARDER_ETOOBIG; what failed before with this token
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query_json(struct larder_token *token,
                                      const char *name,
                                      const char *json,
                                      size_t len,
                                      struct larder_error **err);

/**
 * The token's text, which is the key: in the form that it was made with, else that of Pyot 3.
 *
 * @param token borrowed; finished from now on
 * @param text receives a pointer that lives as long as the token; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; what failed while the token was built;
 *         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_text(const struct larder_token *token,
                                const char **text,
                                size_t *len,
                                struct larder_error **err);

/**
 * The model of a token, in lower case.
 *
 * @param token borrowed; finished from now on
 * @param text receives a pointer that lives as long as the token; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
 *         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_model(const struct larder_token *token,
                                 const char **text,
                                 size_t *len,
                                 struct larder_error **err);

/**
 * The server of a token, in lower case; empty where it has none.
 *
 * @param token borrowed; finished from now on
 * @param text receives a pointer that lives as long as the token; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
 *         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_server(const struct larder_token *token,
                                  const char **text,
                                  size_t *len,
                                  struct larder_error **err);

/**
 * The method of a token.
 *
 * @param token borrowed; finished from now on
 * @param text receives a pointer that lives as long as the token; there is no terminator
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
 *         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_method(const struct larder_token *token,
                                  const char **text,
                                  size_t *len,
                                  struct larder_error **err);

/**
 * The value of a parameter as Python's `str()` shows it, for a loader that puts a request together: `Hide on bush`,
 * `420`, `True`, `[420, 440]`. Lone surrogates are U+FFFD.
 *
 * @param token borrowed; finished from now on
 * @param name NUL-terminated UTF-8 text
 * @param text receives a pointer that lives as long as the token; there is no terminator; NULL on a miss
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS where there is none of this name, or the token is ready-made; what failed while the
 *         token was built; LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_param(const struct larder_token *token,
                                 const char *name,
                                 const char **text,
                                 size_t *len,
                                 struct larder_error **err);

/**
 * The value of a query as Python's `str()` shows it, for a loader that puts a request together: `Hide on bush`,
 * `420`, `True`, `[420, 440]`. Lone surrogates are U+FFFD.
 *
 * @param token borrowed; finished from now on
 * @param name NUL-terminated UTF-8 text
 * @param text receives a pointer that lives as long as the token; there is no terminator; NULL on a miss
 * @param len receives the length in bytes
 * @param err NULL, or receives an error on failure, to be released
 * @return LARDER_OK; LARDER_MISS where there is none of this name, or the token is ready-made; what failed while the
 *         token was built; LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
larder_status larder_token_query(const struct larder_token *token,
                                 const char *name,
                                 const char **text,
                                 size_t *len,
                                 struct larder_error **err);

/**
 * How many objects of a kind are open in this process, for tests: leak checkers cannot see handles.
 *
 * @param kind LARDER_LIVE_…
 * @return the count; LARDER_EINVAL for an unknown kind
 *
 * Blocks: never. Threads: any. Owns: nothing. Since: 0.1
 */
int64_t larder_live(int32_t kind);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LARDER_H */

/** A text literal and its length, for the pairs of parameters that keys and values are. Of an array it takes all bytes
 * but the last; a pointer it cannot measure. */
#define LARDER_LIT(text) (text), (sizeof(text) - 1)

/** Seconds, where ms are asked for: `LARDER_SECONDS(30)`. */
#define LARDER_SECONDS(n) ((int64_t)(n) * 1000)

/** A `larder_call` that asks for nothing special: `larder_call call = LARDER_CALL_INIT;` */
#define LARDER_CALL_INIT { sizeof(larder_call), 0, 0, NULL, 0 }

/** `larder_options` without a log function: `larder_options options = LARDER_OPTIONS_INIT;` */
#define LARDER_OPTIONS_INIT { sizeof(larder_options), 0, NULL, NULL }

/** `larder_store_stats` for larder_stats: `larder_store_stats stats = LARDER_STATS_INIT;` */
#define LARDER_STATS_INIT                                                                                              \
    { sizeof(larder_store_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** `larder_pipeline_numbers` for larder_pipeline_stats: `larder_pipeline_numbers stats = LARDER_PIPELINE_NUMBERS_INIT;` */
#define LARDER_PIPELINE_NUMBERS_INIT                                                                                   \
    { sizeof(larder_pipeline_numbers), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** A `larder_request` for the alias's own TIMEOUT: `larder_request request = LARDER_REQUEST_INIT;` */
#define LARDER_REQUEST_INIT                                                                                            \
    { 0, 0, NULL, 0, NULL, 0, NULL, 0, LARDER_TTL_DEFAULT, 0, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL,    \
      NULL, NULL, NULL, NULL }

/** `larder_pipeline_options` without a loader: `larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;` */
#define LARDER_PIPELINE_OPTIONS_INIT { sizeof(larder_pipeline_options), 0, NULL, NULL, NULL }

/** A `larder_pipeline_call` that asks for nothing special: `larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;` */
#define LARDER_PIPELINE_CALL_INIT { sizeof(larder_pipeline_call), 0, 0, NULL, NULL, NULL }

/** `larder_load_options` for larder_get_or_load: `larder_load_options options = LARDER_LOAD_OPTIONS_INIT;` */
#define LARDER_LOAD_OPTIONS_INIT { sizeof(larder_load_options), 0, 0, 0, 0, 0, 0 }

/** `larder_token_options` that leave all to the pipeline: `larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;` */
#define LARDER_TOKEN_OPTIONS_INIT { sizeof(larder_token_options), 0, NULL }

/** A `larder_key_function_table` without functions: `larder_key_function_table table = LARDER_KEY_FUNCTION_TABLE_INIT;` */
#define LARDER_KEY_FUNCTION_TABLE_INIT { sizeof(larder_key_function_table), 0, NULL, NULL, NULL }

/** A `larder_serializer_table` without functions: `larder_serializer_table table = LARDER_SERIALIZER_TABLE_INIT;` */
#define LARDER_SERIALIZER_TABLE_INIT { sizeof(larder_serializer_table), 0, NULL, NULL, NULL }

/** A `larder_compressor_table` without functions: `larder_compressor_table table = LARDER_COMPRESSOR_TABLE_INIT;` */
#define LARDER_COMPRESSOR_TABLE_INIT { sizeof(larder_compressor_table), 0, NULL, 0, NULL, NULL }

/** A `larder_backend_table` without functions: `larder_backend_table table = LARDER_BACKEND_TABLE_INIT;` */
#define LARDER_BACKEND_TABLE_INIT                                                                                      \
    { sizeof(larder_backend_table), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,   \
      NULL, NULL, NULL, NULL, NULL, NULL, NULL }
