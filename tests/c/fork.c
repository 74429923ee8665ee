/*
 * A forked child of a busy parent: inherited handles say so instead of hanging, closing them is harmless, a
 * configuration opened anew works, and the parent notices nothing.
 */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>

static volatile int busy = 1;
static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)user_data, (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    count_one(&answers);
}

static void *keep_busy(void *argument)
{
    const larder_store *store = argument;
    while (busy) {
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("busy"), LARDER_LIT("v"), LARDER_TEXT, 60000, NULL, ERR));
        EXPECT(LARDER_OK, larder_has(store, LARDER_LIT("busy"), NULL, ERR));
        usleep(200);
    }
    return NULL;
}

/* Takes and gives back handles all the time, so that forks meet that too. */
static void *open_and_close(void *argument)
{
    const larder_context *context = argument;
    while (busy) {
        larder_store *store = open_store(context, "memory");
        EXPECT(LARDER_OK, larder_store_close(store));
    }
    return NULL;
}

static void in_child(larder_context *context, larder_store **stores, int n, const char *folder, const char *url)
{
    larder_value *value = NULL;
    larder_cursor *cursor = NULL;
    larder_store *store = NULL;
    for (int i = 0; i < n; i++) {
        EXPECT(LARDER_EFORKED, larder_get(stores[i], LARDER_LIT("k"), NULL, &value, ERR));
        EXPECT(LARDER_EFORKED, larder_keys(stores[i], LARDER_LIT("*"), NULL, &cursor, ERR));
        EXPECT(LARDER_EFORKED, larder_get_cb(stores[i], LARDER_LIT("k"), NULL, answered, NULL, NULL, ERR));
        CHECK_NUMBER(LARDER_EFORKED, larder_store_supports(stores[i], LARDER_OP_KEYS));
        EXPECT(LARDER_OK, larder_store_close(stores[i]));
    }
    EXPECT(LARDER_EFORKED, larder_store_open(context, "memory", &store, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, 1000, ERR));
    EXPECT(LARDER_EHANDLE, larder_shutdown(context, 1000, ERR));

    larder_context *fresh = open_all(folder, url);
    store = open_store(fresh, "memory");
    EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("k"), NULL, ERR)); /* the child's memory starts empty */
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("k"), LARDER_LIT("child"), LARDER_TEXT, 60000, NULL, ERR));
    CHECK_JSON("\"child\"", store, "k");
    EXPECT(LARDER_OK, larder_store_close(store));
    if (strcmp(url, "-") != 0) {
        store = open_store(fresh, "redis");
        CHECK_JSON("\"parent\"", store, "k");
        EXPECT(LARDER_OK, larder_get_cb(store, LARDER_LIT("k"), NULL, answered, NULL, NULL, ERR));
        EXPECT(LARDER_OK, larder_store_close(store));
    }
    EXPECT(LARDER_OK, larder_shutdown(fresh, 10000, ERR));
    CHECK_NUMBER(0, larder_live(LARDER_LIVE_CONTEXTS)); /* a store of the thread that opens and closes may be inherited */
}

static void fork_once(larder_context *context, larder_store **stores, int n, const char *folder, const char *url)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60); /* a hang would be a failure */
        in_child(context, stores, n, folder, url);
        /* what was inherited stays unfreed on purpose: end as another program, at which no leak checker looks */
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    CHECK_NUMBER(child, waitpid(child, &status, 0));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("the child ended with status %#x", (unsigned)status);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    /* The sanitizer's own allocator has locks, and gcc 12's does not see to them in a fork: there the parent must rest. */
    const char *under = getenv("LARDER_C_UNDER");
    int is_busy = under == NULL || strcmp(under, "asan") != 0;
    larder_context *context = open_all(argv[1], argv[2]);
    larder_store *stores[4] = {open_store(context, "memory"), open_store(context, "file")};
    int n = 2;
    if (has_redis(argc, argv)) {
        stores[n++] = open_store(context, "redis");
        stores[n++] = open_store(context, "core-redis");
    }
    pthread_t threads[4];
    for (int i = 0; i < n; i++) {
        EXPECT(LARDER_OK, larder_set(stores[i], LARDER_LIT("k"), LARDER_LIT("parent"), LARDER_TEXT, 60000, NULL, ERR));
        EXPECT(LARDER_OK, larder_get_cb(stores[i], LARDER_LIT("k"), NULL, answered, NULL, NULL, ERR));
        if (is_busy)
            threads[i] = start(keep_busy, stores[i]);
    }
    wait_for(&answers, n);
    pthread_t opener;
    if (is_busy)
        opener = start(open_and_close, context);

    for (int i = 0; i < times(50); i++)
        fork_once(context, stores, n, argv[1], argv[2]);

    busy = 0;
    if (is_busy)
        join(opener);
    for (int i = 0; i < n; i++) {
        if (is_busy)
            join(threads[i]);
        CHECK_JSON("\"parent\"", stores[i], "k");
        EXPECT(LARDER_OK, larder_get_cb(stores[i], LARDER_LIT("k"), NULL, answered, NULL, NULL, ERR));
    }
    wait_for(&answers, 2 * n);
    for (int i = 0; i < n; i++)
        EXPECT(LARDER_OK, larder_store_close(stores[i]));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    printf("fork: the parent noticed nothing\n");
    return 0;
}
