/*
 * From a pickle to JSON text: json.dumps(pickle.loads(data)) in CPython, which times itself in a process of its own,
 * against larder_get, larder_value_json and release of a value in memory: larder also looks the value up.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "pickle.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contest.h"
#include "larder_use.h"

/* CPython, which answers requests. */
struct python {
    pid_t pid;
    FILE *requests;
    FILE *answers;
};

/* An entrant: CPython with a copy of the pickle, or a store that holds it. */
struct reader {
    struct python *python;
    const larder_store *store;
    const char *name;
    const char *copy;
    const char *json; /* what has to come out */
    size_t json_size;
};

static struct python python_start(const char *interpreter, const char *script)
{
    int in[2], out[2];
    struct python python = {0};
    if (pipe(in) != 0 || pipe(out) != 0) {
        die("cannot make a pipe");
    }
    python.pid = fork();
    if (python.pid < 0) {
        die("cannot fork");
    }
    if (python.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) {
            _exit(126);
        }
        close(in[1]);
        close(out[0]);
        execlp(interpreter, interpreter, script, (char *)NULL);
        perror("bench: python");
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    python.requests = fdopen(in[1], "w");
    python.answers = fdopen(out[0], "r");
    if (python.requests == NULL || python.answers == NULL) {
        die("out of memory");
    }
    return python;
}

static void python_stop(struct python *python)
{
    int status = 0;
    fclose(python->requests);
    fclose(python->answers);
    waitpid(python->pid, &status, 0);
}

/* Asks for a number: a time, or the length of what follows. */
__attribute__((format(printf, 2, 3))) static uint64_t python_ask(struct python *python, const char *format, ...)
{
    va_list arguments;
    char line[64];
    va_start(arguments, format);
    vfprintf(python->requests, format, arguments);
    va_end(arguments);
    fputc('\n', python->requests);
    fflush(python->requests);
    if (fgets(line, sizeof line, python->answers) == NULL) {
        die("Python has ended");
    }
    return strtoull(line, NULL, 10);
}

static char *python_bytes(struct python *python, const char *what, const char *name, size_t *size)
{
    *size = (size_t)python_ask(python, "%s %s", what, name);
    char *bytes = malloc(*size + 1);
    if (bytes == NULL || fread(bytes, 1, *size, python->answers) != *size) {
        die("Python did not answer all of it");
    }
    return bytes;
}

static uint64_t python_run(void *self, size_t n)
{
    struct reader *reader = self;
    return python_ask(reader->python, "run %s %s %zu", reader->name, reader->copy, n);
}

static uint64_t larder_run(void *self, size_t n)
{
    struct reader *reader = self;
    larder_error *error = NULL;
    larder_value *value = NULL;
    const char *json = NULL;
    size_t size = 0;
    size_t name_size = strlen(reader->name);
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++) {
        larder_value_release(value);
        larder_must(larder_get(reader->store, reader->name, name_size, NULL, &value, &error), error, "larder_get");
        larder_must(larder_value_json(value, &json, &size, &error), error, "larder_value_json");
        if (size != reader->json_size) {
            die("larder_value_json: JSON of %zu bytes, CPython's has %zu", size, reader->json_size);
        }
    }
    uint64_t took = now_ns() - start;
    if (memcmp(json, reader->json, size) != 0) {
        die("larder's JSON is not CPython's");
    }
    larder_value_release(value);
    return took;
}

static void run_value(struct python *python, const larder_store *store, const char *name)
{
    size_t pickle_size = 0, json_size = 0;
    char title[96];
    char *pickle = python_bytes(python, "pickle", name, &pickle_size);
    char *json = python_bytes(python, "json", name, &json_size);
    larder_error *error = NULL;
    snprintf(title, sizeof title, "pickle to JSON: %s of %zu B", name, pickle_size);
    if (contest_wanted(title)) {
        larder_must(larder_set(store, name, strlen(name), pickle, pickle_size, LARDER_STORED, LARDER_TTL_FOREVER, NULL, &error),
                    error, "larder_set");
        struct reader baseline = {python, NULL, name, "a", json, json_size};
        struct reader control = {python, NULL, name, "b", json, json_size};
        struct reader ours = {NULL, store, name, NULL, json, json_size};
        const struct entrant entrants[] = {{"CPython pickle.loads + json.dumps", python_run, NULL, &baseline},
                                           {"CPython pickle.loads + json.dumps", python_run, NULL, &control},
                                           {"larder_get + larder_value_json", larder_run, NULL, &ours}};
        const struct aim aim = {"F1", TIME, 0.15, 2};
        const struct contest contest = {title, ONE_CORE, entrants, 3, &aim, 1, 0};
        contest_run(&contest);
    }
    free(pickle);
    free(json);
}

void pickle_contests(const char *interpreter, const char *script)
{
    static const char *const names[] = {"player", "match", "timeline"};
    static const char caches[] = "{\"CACHES\": {\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}}";
    larder_context *context = NULL;
    larder_error *error = NULL;
    struct python python = python_start(interpreter, script);
    larder_must(larder_open(caches, sizeof caches - 1, NULL, &context, &error), error, "larder_open");
    larder_store *store = larder_must_open(context, "memory");
    contest_server(python.pid);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        run_value(&python, store, names[i]);
    }
    larder_store_close(store);
    larder_must(larder_shutdown(context, 5000, &error), error, "larder_shutdown");
    python_stop(&python);
}
