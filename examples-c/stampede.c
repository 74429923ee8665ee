/*
 * stampede: a thousand threads want what nobody has yet. One of them loads it, the others wait for that one load and get
 * the same value: the service behind the cache is asked once.
 *
 *     cc stampede.c -llarder -lpthread -o stampede
 *     ./stampede [threads [caches.json alias]]     without a configuration: in memory
 */
#define _POSIX_C_SOURCE 200809L /* barriers and nanosleep, where the compiler is asked for plain C */

#include <larder.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of each thread, in bytes. Small ones do: what larder needs fits into 128 KiB. AddressSanitizer makes frames larger. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK (1024 * 1024)
#else
#define STACK (128 * 1024)
#endif

static larder_store *store;
static pthread_barrier_t all_are_there;
static atomic_int loads, fresh, failed;

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* What takes long. It runs on the thread that came first. */
static larder_status load(void *user_data, const larder_load_request *request)
{
    static const char answer[] = "{\"name\": \"Ahri\", \"level\": 678}";
    struct timespec pause = {0, 200 * 1000 * 1000};

    (void)user_data;
    atomic_fetch_add(&loads, 1);
    nanosleep(&pause, NULL);
    return larder_load_done(request->load, LARDER_OK, answer, sizeof answer - 1, LARDER_JSON, LARDER_TTL_DEFAULT, NULL,
                            NULL);
}

static void *want(void *nothing)
{
    larder_value *value = NULL;
    larder_error *error = NULL;
    larder_call call = LARDER_CALL_INIT;
    const char *json = NULL;
    size_t len = 0;
    larder_status status;

    call.timeout_ms = LARDER_SECONDS(60); /* each who waits has a deadline of its own */
    pthread_barrier_wait(&all_are_there);
    status = larder_get_or_load(store, LARDER_LIT("stampede:summoner"), load, NULL, LARDER_SECONDS(60), NULL, &call,
                                &value, &error);
    if (status == LARDER_OK && larder_value_json(value, &json, &len, NULL) == LARDER_OK
        && strncmp(json, "{\"name\": \"Ahri\"", 15) == 0) {
        atomic_fetch_add(&fresh, 1);
    } else {
        atomic_fetch_add(&failed, 1);
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(error));
    }
    larder_value_release(value);
    larder_error_release(error);
    return nothing;
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    int n = argc > 1 ? atoi(argv[1]) : 1000, i;
    pthread_t *threads = calloc(n > 0 ? (size_t)n : 1, sizeof *threads);
    larder_context *context = NULL;
    larder_error *error = NULL;
    pthread_attr_t small;

    if (n < 1 || threads == NULL || argc == 3) {
        fprintf(stderr, "usage: %s [threads [caches.json alias]]\n", argv[0]);
        return 2;
    }
    if (argc > 3)
        check(larder_open_file(argv[2], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 3 ? argv[3] : "default", &store, &error), &error);
    check(larder_delete(store, LARDER_LIT("stampede:summoner"), NULL, &error), &error);

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_barrier_init(&all_are_there, NULL, (unsigned)n);
    for (i = 0; i < n; i++) {
        if (pthread_create(&threads[i], &small, want, NULL) != 0) {
            fprintf(stderr, "the system refuses thread %d\n", i);
            return 1;
        }
    }
    for (i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&small);
    pthread_barrier_destroy(&all_are_there);
    free(threads);
    printf("%d threads: %d have the value, %d failed, loads: %d\n", n, atomic_load(&fresh), atomic_load(&failed),
           atomic_load(&loads));

    check(larder_delete(store, LARDER_LIT("stampede:summoner"), NULL, &error), &error);
    larder_store_close(store);
    check(larder_shutdown(context, 5000, &error), &error);
    return atomic_load(&loads) == 1 && atomic_load(&failed) == 0 ? 0 : 1;
}
