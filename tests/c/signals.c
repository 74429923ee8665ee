/*
 * A host that sends signals to a waiting thread as fast as it can, as Ruby does to a thread that it wants back: each wait
 * ends when its time is over all the same.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>

static _Atomic int is_over;
static _Atomic int64_t sent;
static pthread_t target;

static void nothing(int signal)
{
    (void)signal;
}

static void *storm(void *argument)
{
    (void)argument;
    while (!atomic_load(&is_over)) {
        CHECK_NUMBER(0, pthread_kill(target, SIGUSR1));
        atomic_fetch_add(&sent, 1);
    }
    return NULL;
}

/* A wait of `ms` took about that long: a growing one would take minutes. */
static void ended_in_time(const char *what, int64_t began, int64_t ms)
{
    int64_t took = now_ms() - began;
    printf("signals: %s of %" PRId64 " ms took %" PRId64 " ms, %" PRId64 " signals so far\n", what, ms, took,
           atomic_load(&sent));
    CHECK(took >= ms - 1);
    CHECK(took < ms + 10000);
}

static void wait_for_a_lock(const larder_store *store)
{
    larder_value *token = NULL, *other = NULL;
    const char *text = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_lock(store, LARDER_LIT("lock"), LARDER_SECONDS(60), 0, NULL, &token, ERR));
    int64_t began = now_ms();
    EXPECT(LARDER_NOT_STORED, larder_lock(store, LARDER_LIT("lock"), LARDER_SECONDS(60), 700, NULL, &other, ERR));
    ended_in_time("a wait for a lock", began, 700);
    EXPECT(LARDER_OK, larder_value_text(token, &text, &len, ERR));
    EXPECT(LARDER_OK, larder_unlock(store, LARDER_LIT("lock"), text, len, NULL, ERR));
    larder_value_release(token);
}

/* Django's touch waits for an entry that another process has locked. */
static void wait_for_a_file(const larder_store *store, const char *folder)
{
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("a"), "1", 1, LARDER_JSON, LARDER_SECONDS(60), NULL, ERR));
    char path[4096];
    DIR *entries = opendir(folder);
    struct dirent *entry;
    CHECK(entries != NULL);
    do {
        entry = readdir(entries);
        CHECK(entry != NULL);
    } while (strstr(entry->d_name, ".djcache") == NULL);
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path);
    closedir(entries);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    while (flock(file, LOCK_EX) != 0)
        CHECK_NUMBER(EINTR, errno);
    larder_call call = LARDER_CALL_INIT;
    call.timeout_ms = 500;
    int64_t began = now_ms();
    EXPECT(LARDER_ETIMEOUT, larder_expire(store, LARDER_LIT("a"), LARDER_SECONDS(600), &call, ERR));
    ended_in_time("a wait for a locked file", began, 500);
    close(file);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */
    sigemptyset(&action.sa_mask);
    CHECK_NUMBER(0, sigaction(SIGUSR1, &action, NULL));
    larder_context *context = open_all(argv[1], argv[2]);
    larder_store *redis = open_store(context, "redis"), *file = open_store(context, "file");
    char folder[4096];
    CHECK((size_t)snprintf(folder, sizeof folder, "%s/files", argv[1]) < sizeof folder);

    target = pthread_self();
    pthread_t sender = start(storm, NULL);
    wait_for_a_lock(redis);
    wait_for_a_file(file, folder);
    atomic_store(&is_over, 1);
    join(sender);

    EXPECT(LARDER_OK, larder_store_close(redis));
    EXPECT(LARDER_OK, larder_store_close(file));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    printf("signals: each wait ended in time, under %" PRId64 " signals\n", atomic_load(&sent));
    return 0;
}
