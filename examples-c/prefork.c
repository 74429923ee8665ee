/*
 * prefork: a server that forks. The parent opens configuration and store once and uses them; four workers use the same
 * handles without doing anything. What a worker must not share with the parent (connections, threads) larder makes anew
 * for it when it first needs it.
 *
 *     cc prefork.c -llarder -o prefork
 *     ./prefork [caches.json [alias]]     without arguments: files in ./prefork-cache
 *
 * Give it an alias that processes share: files, or a server. In-memory data is each process's own.
 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 4, VISITS = 25 };

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

static size_t name_of(int worker, char *key, size_t capacity)
{
    return (size_t)snprintf(key, capacity, "prefork:worker:%d", worker);
}

static void set_to_zero(const larder_store *store, const char *key, size_t key_len)
{
    larder_error *error = NULL;
    check(larder_set(store, key, key_len, LARDER_LIT("0"), LARDER_JSON, 60000, NULL, &error), &error);
}

static int64_t add_one(const larder_store *store, const char *key, size_t key_len)
{
    larder_error *error = NULL;
    int64_t number = 0;
    check(larder_incr(store, key, key_len, 1, NULL, &number, NULL, &error), &error);
    return number;
}

static int64_t read_number(const larder_store *store, const char *key, size_t key_len)
{
    larder_error *error = NULL;
    larder_value *value = NULL;
    int64_t number = 0;
    check(larder_get(store, key, key_len, NULL, &value, &error), &error);
    if (value != NULL)
        check(larder_value_int64(value, &number, &error), &error);
    larder_value_release(value);
    return number;
}

/* A worker: nothing is opened again, no handle is special. */
static void work(const larder_store *store, int worker)
{
    char key[32], greeting[64];
    size_t key_len = name_of(worker, key, sizeof key), len = 0;
    larder_error *error = NULL;

    for (int i = 0; i < VISITS; i++) {
        add_one(store, LARDER_LIT("prefork:all")); /* exact on a server; the file backend cannot add atomically */
        add_one(store, key, key_len);
    }
    check(larder_get_into(store, LARDER_LIT("prefork:greeting"), NULL, greeting, sizeof greeting, &len, &error),
          &error);
    printf("worker %d: \"%.*s\", counted to %lld\n", worker, (int)len, greeting,
           (long long)read_number(store, key, key_len));
    fflush(stdout);
    _exit(0); /* leaving with everything open is harmless; nothing of it reaches the parent */
}

int main(int argc, char **argv)
{
    static const char in_files[] =
        "{\"default\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\","
        " \"LOCATION\": \"prefork-cache\"}}";
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    char key[32];
    int failed = 0;

    if (argc > 1)
        check(larder_open_file(argv[1], NULL, &context, &error), &error);
    else
        check(larder_open(in_files, strlen(in_files), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 2 ? argv[2] : "default", &store, &error), &error);

    /* The parent uses the store before it forks, so there are connections and threads that a fork has to cope with. */
    check(larder_set(store, LARDER_LIT("prefork:greeting"), LARDER_LIT("hello, worker"), LARDER_TEXT, 60000, NULL,
                     &error),
          &error);
    set_to_zero(store, LARDER_LIT("prefork:all"));
    for (int i = 0; i < WORKERS; i++)
        set_to_zero(store, key, name_of(i, key, sizeof key));

    fflush(stdout); /* or each worker prints it once more */
    for (int i = 0; i < WORKERS; i++) {
        pid_t child = fork();
        if (child == 0)
            work(store, i);
        if (child < 0) {
            perror("fork");
            return 1;
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        failed += wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    printf("%d workers, %d failed\n", (int)WORKERS, failed);

    /* The parent goes on as if nothing had been. */
    for (int i = 0; i < WORKERS; i++)
        printf("parent: worker %d counted to %lld\n", i,
               (long long)read_number(store, key, name_of(i, key, sizeof key)));
    printf("parent: all together %lld\n", (long long)read_number(store, LARDER_LIT("prefork:all")));

    larder_store_close(store);
    check(larder_shutdown(context, 1000, &error), &error);
    return failed == 0 ? 0 : 1;
}
