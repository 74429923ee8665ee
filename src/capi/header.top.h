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
