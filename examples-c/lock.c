/*
 * lock: one at a time, over processes and machines. A lock is a key on the Redis server, the same that django-redis'
 * cache.lock(...) takes: a Python process and this one keep each other out.
 *
 *     cc lock.c -llarder -o lock
 *     ./lock caches.json default
 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* Works on the report while nobody else does. */
static void work(const larder_store *store)
{
    larder_value *held = NULL, *other = NULL;
    larder_error *error = NULL;
    const char *token = NULL;
    size_t token_len = 0;
    larder_status status;

    /* For 30 seconds at the most, should this program die; others are waited for up to 2 seconds. */
    status = larder_lock(store, LARDER_LIT("lock:report"), LARDER_SECONDS(30), LARDER_SECONDS(2), NULL, &held, &error);
    check(status, &error);
    if (status == LARDER_NOT_STORED) {
        puts("somebody else has it");
        return;
    }
    /* The token is what makes the lock ours: keep it as long as the lock. */
    check(larder_value_text(held, &token, &token_len, &error), &error);
    printf("locked, with a token of %d digits\n", (int)token_len);

    /* Everybody else has to wait, here for 50 ms. */
    status = larder_lock(store, LARDER_LIT("lock:report"), LARDER_SECONDS(30), 50, NULL, &other, &error);
    check(status, &error);
    printf("a second time: %s\n", larder_status_name(status));

    /* The work takes longer than thought: a minute from now on. LARDER_MISS would say that the lock was lost. */
    status = larder_lock_extend(store, LARDER_LIT("lock:report"), token, token_len, LARDER_SECONDS(60),
                                LARDER_EXTEND_REPLACE, NULL, &error);
    check(status, &error);
    printf("a minute more: %s\n", larder_status_name(status));

    status = larder_unlock(store, LARDER_LIT("lock:report"), token, token_len, NULL, &error);
    check(status, &error);
    printf("unlocked: %s\n", larder_status_name(status));
    status = larder_unlock(store, LARDER_LIT("lock:report"), token, token_len, NULL, &error);
    check(status, &error);
    printf("again: %s\n", larder_status_name(status));

    larder_value_release(held);
}

int main(int argc, char **argv)
{
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: %s caches.json alias\n", argv[0]);
        return 2;
    }
    check(larder_open_file(argv[1], NULL, &context, &error), &error);
    check(larder_store_open(context, argv[2], &store, &error), &error);
    if (larder_store_supports(store, LARDER_OP_LOCK) == LARDER_OK)
        work(store);
    else
        printf("%s has no locks: only Redis has\n", argv[2]);

    larder_store_close(store);
    check(larder_shutdown(context, 5000, &error), &error);
    return 0;
}
