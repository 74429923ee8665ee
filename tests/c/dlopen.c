/*
 * A plugin host: larder is loaded, used with callbacks, shut down and unloaded, several times; and unloaded without a
 * shutdown, with its callback thread alive. Called with the library's path as third argument, and not linked with it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "larder.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The functions that this host uses. */
static struct {
    void *library;
    larder_status (*open)(const char *, size_t, const larder_options *, larder_context **, larder_error **);
    larder_status (*shutdown)(larder_context *, int64_t, larder_error **);
    larder_status (*store_open)(const larder_context *, const char *, larder_store **, larder_error **);
    larder_status (*store_close)(larder_store *);
    larder_status (*set_cb)(const larder_store *, const char *, size_t, const void *, size_t, int32_t, int64_t,
                            const larder_call *, larder_completion_fn, void *, larder_op *, larder_error **);
    larder_status (*get_cb)(const larder_store *, const char *, size_t, const larder_call *, larder_completion_fn,
                            void *, larder_op *, larder_error **);
    int64_t (*live)(int32_t);
} larder;

static void load(const char *path)
{
    larder.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (larder.library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(larder.library != NULL);
    /* the way POSIX recommends, since C has no conversion from object to function pointers */
#define LOAD(name) *(void **)&larder.name = dlsym(larder.library, "larder_" #name)
    LOAD(open);
    LOAD(shutdown);
    LOAD(store_open);
    LOAD(store_close);
    LOAD(set_cb);
    LOAD(get_cb);
    LOAD(live);
    CHECK(larder.open && larder.shutdown && larder.store_open && larder.store_close && larder.set_cb && larder.get_cb);
    CHECK(larder.live);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int answers;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)value, (void)error;
    CHECK(status == *(const larder_status *)user_data);
    pthread_mutex_lock(&lock);
    answers++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for_answers(int wanted)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    pthread_mutex_lock(&lock);
    while (answers < wanted)
        CHECK(pthread_cond_timedwait(&changed, &lock, &end) == 0);
    pthread_mutex_unlock(&lock);
}

static const larder_status ok = LARDER_OK, miss = LARDER_MISS;

/* Opens the aliases and leaves operations behind on each, answered or not. */
static larder_context *use(const char *folder, const char *url)
{
    char text[4096];
    int has_redis = strcmp(url, "-") != 0;
    snprintf(text, sizeof text,
             "{\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"},"
             " \"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\","
             " \"LOCATION\": \"%s/files\"},"
             " \"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\"}}",
             folder, has_redis ? url : "redis://127.0.0.1:6379/0");
    larder_context *context = NULL;
    CHECK(larder.open(text, strlen(text), NULL, &context, NULL) == LARDER_OK);
    const char *aliases[] = {"memory", "file", "redis"};
    for (int i = 0; i < 2 + has_redis; i++) {
        larder_store *store = NULL;
        CHECK(larder.store_open(context, aliases[i], &store, NULL) == LARDER_OK);
        for (int n = 0; n < 20; n++) {
            CHECK(larder.set_cb(store, "k", 1, "v", 1, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, answered,
                                (void *)(uintptr_t)&ok, NULL, NULL) == LARDER_OK);
            CHECK(larder.get_cb(store, "none", 4, NULL, answered, (void *)(uintptr_t)&miss, NULL, NULL) == LARDER_OK);
        }
        CHECK(larder.store_close(store) == LARDER_OK);
    }
    return context;
}

int main(int argc, char **argv)
{
    CHECK(argc > 3);
    const char *folder = argv[1], *url = argv[2], *path = argv[3];
    int each = strcmp(url, "-") == 0 ? 80 : 120;
    for (int round = 0; round < 5; round++) {
        load(path);
        answers = 0;
        larder_context *context = use(folder, url);
        wait_for_answers(each);
        CHECK(larder.shutdown(context, 10000, NULL) == LARDER_OK);
        CHECK(larder.live(LARDER_LIVE_CONTEXTS) == 0 && larder.live(LARDER_LIVE_STORES) == 0);
        CHECK(dlclose(larder.library) == 0);
    }

    /* unloaded while operations are under way: they are answered all the same, since the code stays mapped */
    load(path);
    answers = 0;
    larder_context *context = use(folder, url);
    CHECK(dlclose(larder.library) == 0);
    wait_for_answers(each);

    /* and the plugin that comes back can end what it left behind */
    load(path);
    CHECK(larder.live(LARDER_LIVE_CONTEXTS) == 1);
    CHECK(larder.shutdown(context, 10000, NULL) == LARDER_OK);
    CHECK(larder.live(LARDER_LIVE_CONTEXTS) == 0);
    CHECK(dlclose(larder.library) == 0);
    puts("dlopen: loaded and unloaded 7 times");
    return 0;
}
