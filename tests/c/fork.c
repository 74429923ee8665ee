/*
 * Fork: a child uses the contexts and stores of its parent as if it had opened them; its in-memory data starts empty;
 * queues, cursors and operations stay the parent's; and the parent notices nothing: its connections, its events, its
 * wait handle and its threads are its own. Once with a parent that rests, once with a busy one.
 * Where the test around it gives aliases, on those too: then Sentinels find their servers. Of one whose name begins with
 * "replicas", what is read is a moment behind what is written.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/poll.h>
#include <sys/wait.h>

enum { STORES = 4, EVENTS = 10, GENERATIONS = 70, CHILD_LIMIT_S = 60 };

/* What the parent has open. */
typedef struct {
    larder_context *context;
    larder_store *stores[STORES]; /* memory, file; redis and core-redis, or those that are given */
    int is_behind[STORES];
    int n;
    larder_queue *queue; /* with events that nobody has polled yet */
    larder_cursor *cursor;
    larder_value *value;
    larder_op op;
    int32_t handle;
    const char *folder, *url;
} world;

static volatile int busy;
static counter answers = COUNTER_INIT;

static void answered(void *user_data, larder_op op, larder_status status, const larder_value *value,
                     const larder_error *error)
{
    (void)op, (void)value;
    if (status != LARDER_OK)
        FAIL("%s %s", larder_status_name(status), larder_error_message(error));
    count_one(user_data);
}

static larder_request get(const larder_store *store, uint64_t tag)
{
    return (larder_request){.operation = LARDER_OP_GET, .store = store, .tag = tag, .key = "k", .key_len = 1};
}

/* ---- children ---- */

/* How many sockets the process has; of this program only larder has any. */
static int count_sockets(void)
{
    int count = 0;
    char path[300], target[64];
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t len = readlink(path, target, sizeof target - 1);
        count += len > 7 && memcmp(target, "socket:", 7) == 0;
    }
    closedir(directory);
    return count;
}

static void queues_and_cursors_stay_the_parents(const world *w)
{
    larder_request ping = {.operation = LARDER_OP_PING, .store = w->stores[0]};
    larder_event event;
    larder_packed packed = {.operation = LARDER_OP_PING, .store = (uint64_t)(uintptr_t)w->stores[0]};
    char key[64];
    size_t n = 7, len = 0;
    int32_t handle = 7;
    EXPECT(LARDER_EFORKED, larder_submit(w->queue, &ping, 1, sizeof ping, &n, ERR));
    CHECK_NUMBER(0, n);
    EXPECT(LARDER_EFORKED, larder_submit_packed(w->queue, &packed, sizeof packed, 1, sizeof packed, NULL, &n, ERR));
    EXPECT(LARDER_EFORKED, larder_queue_poll(w->queue, &event, 1, sizeof event, 0, &n, ERR));
    EXPECT(LARDER_EFORKED, larder_queue_poll(w->queue, &event, 1, sizeof event, -1, &n, ERR));
    EXPECT(LARDER_EFORKED, larder_queue_wait_handle(w->queue, &handle, ERR));
    CHECK_NUMBER(LARDER_EFORKED, larder_queue_wake(w->queue));
    EXPECT(LARDER_EFORKED, larder_cursor_next(w->cursor, key, sizeof key, &len, ERR));
    CHECK_NUMBER(LARDER_EFORKED, larder_cancel(w->context, w->op));
}

/* Waits until what was written can be read. */
static void wait_until_seen(const larder_store *store, const char *key, size_t len)
{
    larder_status status = LARDER_MISS;
    for (int64_t end = now_ms() + 30000; status == LARDER_MISS && now_ms() < end; sleep_ms(1))
        status = larder_has(store, key, len, NULL, NULL);
    CHECK_NUMBER(LARDER_OK, status);
}

static void use(const larder_store *store, const char *wanted, int is_behind)
{
    counter mine = COUNTER_INIT;
    char key[32];
    size_t len = (size_t)snprintf(key, sizeof key, "child-%d", (int)getpid());
    if (wanted != NULL)
        CHECK_JSON(wanted, store, "k");
    else
        EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("k"), NULL, ERR)); /* the child's memory starts empty */
    EXPECT(LARDER_OK, larder_set(store, key, len, LARDER_LIT("child"), LARDER_TEXT, 60000, NULL, ERR));
    if (is_behind)
        wait_until_seen(store, key, len);
    CHECK_JSON("\"child\"", store, key);
    EXPECT(LARDER_OK, larder_get_cb(store, key, len, NULL, answered, &mine, NULL, ERR));
    wait_for(&mine, 1);
    EXPECT(LARDER_OK, larder_delete(store, key, len, NULL, ERR));
}

static void use_all(const world *w)
{
    for (int i = 0; i < w->n; i++)
        use(w->stores[i], i == 0 ? NULL : "\"parent\"", w->is_behind[i]);
}

/* The child's own queue on the parent's context and stores. */
static void own_queue(const world *w)
{
    larder_queue *queue = NULL;
    larder_op op = 0;
    EXPECT(LARDER_OK, larder_queue_open(w->context, 8, 0, &queue, ERR));
    larder_request asked = get(w->stores[w->n - 1], 1);
    larder_event event;
    size_t n = 0;
    asked.op = &op;
    EXPECT(LARDER_OK, larder_submit(queue, &asked, 1, sizeof asked, &n, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, sizeof event, 10000, &n, ERR));
    CHECK(n == 1 && event.op == op && event.status == LARDER_OK);
    larder_events_clear(&event, 1, sizeof event);
    CHECK_NUMBER(LARDER_MISS, larder_cancel(w->context, op));
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
}

static void close_all(const world *w)
{
    for (int i = 0; i < w->n; i++)
        EXPECT(LARDER_OK, larder_store_close(w->stores[i]));
    CHECK_NUMBER(LARDER_OK, larder_queue_close(w->queue));
    CHECK_NUMBER(LARDER_EHANDLE, larder_queue_close(w->queue));
    CHECK_NUMBER(LARDER_OK, larder_cursor_close(w->cursor));
    larder_value_release(w->value);
}

static void shut_down(const world *w)
{
    larder_value *value = NULL;
    EXPECT(LARDER_OK, larder_shutdown(w->context, 10000, ERR));
    EXPECT(LARDER_EHANDLE, larder_shutdown(w->context, 10000, ERR));
    for (int i = 0; i < w->n; i++)
        EXPECT(LARDER_ESHUTDOWN, larder_get(w->stores[i], LARDER_LIT("k"), NULL, &value, ERR));
}

static void open_others(const world *w)
{
    larder_store *store = open_store(w->context, "file"); /* of the parent's context */
    CHECK_JSON("\"parent\"", store, "k");
    EXPECT(LARDER_OK, larder_store_close(store));
    given_aliases given = find_given();
    larder_context *context = given.n > 0 ? open_given() : open_all(w->folder, w->url); /* of its own */
    store = open_store(context, given.n > 0 ? given.names[0] : w->n > 2 ? "redis" : "file");
    CHECK_JSON("\"parent\"", store, "k");
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

static void wait_for_child(pid_t child)
{
    int status = 0;
    CHECK(child > 0);
    CHECK_NUMBER(child, waitpid(child, &status, 0));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("the child ended with status %#x", (unsigned)status);
}

__attribute__((noreturn)) static void end_child(void)
{
    if (is_plain())
        exit(0); /* with everything open: harmless */
    /* what was inherited stays unfreed on purpose: end as another program, at which no leak checker looks */
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

/* A hang is a failure, also where signals are blocked. */
static void set_alarm(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    alarm(CHILD_LIMIT_S);
}

static void grandchild(const world *w)
{
    fflush(NULL);
    let_threads_rest();
    pid_t child = fork();
    if (child == 0) {
        set_alarm();
        queues_and_cursors_stay_the_parents(w);
        use_all(w);
        end_child();
    }
    wait_for_child(child);
}

/* What a child does; each in a process of its own, and some one after the other. */
enum { USE, NOTHING, CLOSE_AT_ONCE, SHUT_DOWN_AT_ONCE, USE_AND_SHUT_DOWN, OPEN_OTHERS, GRANDCHILD, GRANDCHILD_AT_ONCE,
       CHILDREN };

static void in_child(const world *w, int what)
{
    if (!busy) { /* a busy parent may be about to open a socket that is not known yet */
        CHECK_NUMBER(0, count_sockets());
        CHECK(fcntl(w->handle, F_GETFD) == -1 && errno == EBADF);
        CHECK_NUMBER(1, count_threads());
    }
    switch (what) {
    case USE:
        queues_and_cursors_stay_the_parents(w);
        use_all(w);
        own_queue(w);
        close_all(w);
        break;
    case NOTHING:
        break;
    case CLOSE_AT_ONCE:
        close_all(w);
        break;
    case SHUT_DOWN_AT_ONCE:
        shut_down(w);
        close_all(w);
        break;
    case USE_AND_SHUT_DOWN:
        use_all(w);
        own_queue(w);
        shut_down(w);
        close_all(w);
        break;
    case OPEN_OTHERS:
        open_others(w);
        use_all(w);
        break;
    case GRANDCHILD:
        use_all(w);
        grandchild(w);
        use_all(w);
        break;
    default:
        grandchild(w);
        use_all(w);
    }
}

static pid_t fork_child(const world *w, int what)
{
    fflush(NULL);
    let_threads_rest();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        set_alarm();
        in_child(w, what);
        end_child();
    }
    return child;
}

/* A line of descendants, each the child of the one before. */
static void descend(const world *w, int left)
{
    if (left == 0)
        return;
    fflush(NULL);
    let_threads_rest();
    pid_t child = fork();
    if (child == 0) {
        set_alarm();
        EXPECT(LARDER_MISS, larder_has(w->stores[0], LARDER_LIT("generation"), NULL, ERR));
        EXPECT(LARDER_OK, larder_set(w->stores[0], LARDER_LIT("generation"), LARDER_LIT("1"), LARDER_JSON, 60000, NULL,
                                     ERR));
        CHECK_JSON("\"parent\"", w->stores[w->n - 1], "k");
        larder_store *store = open_store(w->context, "memory");
        CHECK_JSON("1", store, "generation");
        EXPECT(LARDER_OK, larder_store_close(store));
        descend(w, left - 1);
        CHECK_JSON("\"parent\"", w->stores[w->n - 1], "k");
        end_child();
    }
    wait_for_child(child);
}

/* ---- the parent ---- */

static world open_world(const char *folder, const char *url)
{
    world w = {.folder = folder, .url = url, .handle = -1};
    const char *text = NULL;
    size_t len = 0;
    given_aliases given = find_given();
    w.context = given.n > 0 ? open_given() : open_all(folder, url);
    w.stores[w.n++] = open_store(w.context, "memory");
    w.stores[w.n++] = open_store(w.context, "file");
    for (int i = 0; i < given.n; i++) {
        if (strcmp(given.names[i], "memory") == 0 || strcmp(given.names[i], "file") == 0)
            continue;
        CHECK(w.n < STORES);
        w.is_behind[w.n] = strncmp(given.names[i], "replicas", 8) == 0;
        w.stores[w.n++] = open_store(w.context, given.names[i]);
    }
    if (strcmp(url, "-") != 0) {
        w.stores[w.n++] = open_store(w.context, "redis");
        w.stores[w.n++] = open_store(w.context, "core-redis");
    }
    EXPECT(LARDER_OK, larder_queue_open(w.context, 100, 0, &w.queue, ERR));
    EXPECT(LARDER_OK, larder_queue_wait_handle(w.queue, &w.handle, ERR));
    for (int i = 0; i < w.n; i++) {
        EXPECT(LARDER_OK,
               larder_set(w.stores[i], LARDER_LIT("k"), LARDER_LIT("parent"), LARDER_TEXT, 600000, NULL, ERR));
        if (w.is_behind[i])
            wait_until_seen(w.stores[i], LARDER_LIT("k"));
        EXPECT(LARDER_OK, larder_get_cb(w.stores[i], LARDER_LIT("k"), NULL, answered, &answers, &w.op, ERR));
    }
    wait_for(&answers, w.n);
    EXPECT(LARDER_OK, larder_get(w.stores[w.n - 1], LARDER_LIT("k"), NULL, &w.value, ERR));
    EXPECT(LARDER_OK, larder_value_text(w.value, &text, &len, ERR));
    EXPECT(LARDER_OK, larder_keys(w.stores[0], LARDER_LIT("*"), NULL, &w.cursor, ERR));
    return w;
}

/* Puts events into the queue, and leaves them there. */
static void fill_queue(const world *w)
{
    larder_request requests[EVENTS];
    struct pollfd place = {w->handle, POLLIN, 0};
    for (int i = 0; i < EVENTS; i++)
        requests[i] = get(w->stores[i % w->n], (uint64_t)i);
    EXPECT(LARDER_OK, larder_submit(w->queue, requests, EVENTS, sizeof *requests, NULL, ERR));
    CHECK_NUMBER(1, poll(&place, 1, 10000));
}

/* Every event is there, once, with the parent's value; and only then is the handle silent. */
static void empty_queue(const world *w)
{
    struct pollfd place = {w->handle, POLLIN, 0};
    int seen[EVENTS] = {0};
    CHECK_NUMBER(1, poll(&place, 1, 0));
    for (int left = EVENTS; left > 0; left--) {
        larder_event event;
        size_t n = 0, len = 0;
        const char *text = NULL;
        EXPECT(LARDER_OK, larder_queue_poll(w->queue, &event, 1, sizeof event, 10000, &n, ERR));
        CHECK(n == 1 && event.tag < EVENTS && seen[event.tag]++ == 0);
        if (event.status != LARDER_OK)
            FAIL("%s %s", larder_status_name(event.status), larder_error_message(event.error));
        EXPECT(LARDER_OK, larder_value_text(event.value, &text, &len, ERR));
        CHECK(len == 6 && memcmp(text, "parent", 6) == 0);
        larder_events_clear(&event, 1, sizeof event);
    }
    CHECK_NUMBER(0, poll(&place, 1, 0));
}

/* How often the stores have connected. */
static uint64_t count_connects(const world *w)
{
    uint64_t count = 0;
    for (int i = 0; i < w->n; i++) {
        larder_store_stats stats = LARDER_STATS_INIT;
        EXPECT(LARDER_OK, larder_stats(w->stores[i], &stats, ERR));
        count += stats.connected;
    }
    return count;
}

static void fork_each_way(const world *w)
{
    for (int what = 0; what < CHILDREN; what++) {
        fill_queue(w);
        wait_for_child(fork_child(w, what));
        empty_queue(w);
        for (int i = 0; i < w->n; i++)
            CHECK_JSON("\"parent\"", w->stores[i], "k");
    }
}

static void resting(const world *w)
{
    int sockets = count_sockets();
    for (int64_t end = now_ms() + 5000; larder_live(LARDER_LIVE_VALUES) > 0 && now_ms() < end;)
        sleep_ms(1); /* the last callback may just be letting its value go */
    int64_t live = larder_live(LARDER_LIVE_VALUES);
    uint64_t connects = count_connects(w);
    CHECK(sockets > 0 || w->n == 2);
    for (int i = 0; i < times(20) / 4; i++)
        fork_each_way(w);
    descend(w, is_plain() ? GENERATIONS : 3);
    CHECK_NUMBER(sockets, count_sockets()); /* nothing was closed, and nothing had to be opened anew */
    CHECK(count_connects(w) == connects);
    CHECK_NUMBER(live, larder_live(LARDER_LIVE_VALUES));
}

/* ---- a child of the callback thread ---- */

typedef struct {
    const world *world;
    pid_t children[CHILDREN];
    counter forked;
} callback_fork;

static void fork_there(void *user_data, larder_op op, larder_status status, const larder_value *value,
                       const larder_error *error)
{
    callback_fork *fork = user_data;
    (void)op, (void)value, (void)error;
    CHECK_NUMBER(LARDER_OK, status);
    for (int what = 0; what < CHILDREN; what++)
        fork->children[what] = fork_child(fork->world, what);
    count_one(&fork->forked);
}

static void from_the_callback_thread(const world *w)
{
    callback_fork fork = {w, {0}, COUNTER_INIT};
    fill_queue(w);
    EXPECT(LARDER_OK, larder_get_cb(w->stores[0], LARDER_LIT("k"), NULL, fork_there, &fork, NULL, ERR));
    wait_for(&fork.forked, 1);
    for (int what = 0; what < CHILDREN; what++)
        wait_for_child(fork.children[what]);
    empty_queue(w);
}

/* ---- a busy parent ---- */

typedef struct {
    const larder_store *store;
    int may_miss; /* until the first write has been seen */
} busy_one;

static void *keep_busy(void *argument)
{
    busy_one *one = argument;
    const larder_store *store = one->store;
    while (busy) {
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("busy"), LARDER_LIT("v"), LARDER_TEXT, 60000, NULL, ERR));
        larder_status status = larder_has(store, LARDER_LIT("busy"), NULL, NULL);
        CHECK(status == LARDER_OK || (status == LARDER_MISS && one->may_miss));
        one->may_miss = one->may_miss && status == LARDER_MISS;
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
        usleep(50);
    }
    return NULL;
}

static void working(const world *w)
{
    pthread_t threads[STORES], opener;
    busy_one ones[STORES];
    busy = 1;
    for (int i = 0; i < w->n; i++) {
        ones[i] = (busy_one){w->stores[i], w->is_behind[i]};
        threads[i] = start(keep_busy, &ones[i]);
    }
    opener = start(open_and_close, w->context);
    for (int i = 0; i < times(20) / 4; i++) {
        fork_each_way(w);
        from_the_callback_thread(w);
    }
    busy = 0;
    join(opener);
    for (int i = 0; i < w->n; i++)
        join(threads[i]);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    /* The sanitizer's allocator has locks, and gcc 12's does not see to them in a fork: there the parent must rest. */
    const char *under = getenv("LARDER_C_UNDER");
    int may_work = under == NULL || strcmp(under, "asan") != 0;
    world w = open_world(argv[1], argv[2]);
    resting(&w);
    from_the_callback_thread(&w);
    if (may_work)
        working(&w);
    for (int i = 0; i < w.n; i++) {
        CHECK_JSON("\"parent\"", w.stores[i], "k");
        EXPECT(LARDER_OK, larder_get_cb(w.stores[i], LARDER_LIT("k"), NULL, answered, &answers, NULL, ERR));
    }
    wait_for(&answers, 2 * w.n);
    close_all(&w);
    EXPECT(LARDER_OK, larder_shutdown(w.context, 10000, ERR));
    check_nothing_is_open();
    printf("fork: the parent noticed nothing\n");
    return 0;
}
