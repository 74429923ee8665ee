/*
 * callbacks: operations that don't block. Each is answered exactly once, later, on one thread of larder's; here the
 * main thread waits for the answers with a condition variable.
 *
 *     cc callbacks.c -llarder -lpthread -o callbacks
 *     ./callbacks [caches.json [alias]]     without arguments: in memory
 */
#include <larder.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* What the callbacks and the main thread share. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answers;
    larder_value *kept;
} answers;

static void wait_for(answers *answers, int wanted)
{
    pthread_mutex_lock(&answers->lock);
    while (answers->answers < wanted)
        pthread_cond_wait(&answers->changed, &answers->lock);
    pthread_mutex_unlock(&answers->lock);
}

/*
 * Runs on the callback thread. `value` and `error` are borrowed: they live until it returns, unless they are retained.
 * It may call larder, synchronously too, but not larder_shutdown.
 */
static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    answers *answers = user_data;
    (void)op; /* the id that the call handed out, where one function serves many operations */

    if (status < 0)
        printf("failed: %s\n", larder_error_message(error));
    else
        printf("answered: %s\n", larder_status_name(status));

    pthread_mutex_lock(&answers->lock);
    if (value != NULL)
        answers->kept = larder_value_retain(value); /* keep it: then it is ours to release */
    answers->answers++;
    pthread_cond_signal(&answers->changed);
    pthread_mutex_unlock(&answers->lock);
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    answers answers = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL};
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    const char *text = NULL;
    size_t len = 0;

    if (argc > 1)
        check(larder_open_file(argv[1], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 2 ? argv[2] : "default", &store, &error), &error);

    /* Operations on one key, from one thread, take effect in the order in which they were begun. */
    check(larder_set_cb(store, LARDER_LIT("callbacks:word"), LARDER_LIT("later"), LARDER_TEXT, LARDER_TTL_DEFAULT, NULL,
                        answered, &answers, NULL, &error),
          &error);
    check(larder_expire_cb(store, LARDER_LIT("callbacks:word"), 60000, NULL, answered, &answers, NULL, &error), &error);
    check(larder_get_cb(store, LARDER_LIT("callbacks:word"), NULL, answered, &answers, NULL, &error), &error);
    check(larder_get_cb(store, LARDER_LIT("callbacks:none"), NULL, answered, &answers, NULL, &error), &error);
    wait_for(&answers, 4);

    if (answers.kept != NULL) {
        check(larder_value_text(answers.kept, &text, &len, &error), &error);
        printf("the word is \"%.*s\"\n", (int)len, text);
        larder_value_release(answers.kept);
    }

    /* After LARDER_OK no callback runs any more, and no thread of larder's is left. */
    larder_store_close(store);
    check(larder_shutdown(context, 5000, &error), &error);
    puts("shut down");
    return 0;
}
