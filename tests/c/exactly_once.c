/*
 * Exactly once, whatever happens: mixed operations from several threads, by callbacks and through a queue, with random
 * cancels and deadlines, while the test around it kills, restarts and stops the server, and shutdowns in the
 * middle. Each accepted operation is answered exactly once, a refused one never, and no operation is ever given the
 * value of another key: every value begins with its key.
 *
 *     exactly_once <folder> <URL or -> [seed]
 *
 * Where the test around it gives aliases, on those instead of its own.
 */
#include "support.h"

#include <stdatomic.h>

enum {
    OPERATIONS = 100000, /* accepted ones, at the least */
    ROUNDS = 10,         /* each ends with a shutdown under way */
    SUBMITTERS = 4,
    POLLERS = 2,
    SLOTS = 300,     /* keys with texts; as many others hold numbers */
    UNDER_WAY = 3000, /* where submitters wait a little */
    BATCH = 12,
    MANY = 4,
    LARGE = 40000,
    PLACES = 600000, /* operations that are tried, refused ones included */
};

static const int64_t NUMBER_STEP = 1000000000; /* a number's key is the number by this */

/* One operation that was tried. Its place is never used again: a late answer would be seen. */
typedef struct {
    _Atomic larder_op op;       /* as the submission told it */
    _Atomic larder_op event_op; /* as the answer told it */
    _Atomic int answers, cancels;
    _Atomic int status;
    int operation;
    uint16_t n, keys[MANY];
    int8_t is_accepted, by_callback;
} operation;

static operation *operations;
static _Atomic int next_place, accepted, answered, statuses[64];
static _Atomic int is_ending, is_over, callbacks_are_over;

/* What one round works on. */
static larder_context *context;
static larder_store *stores[4];
static larder_queue *queue;
static unsigned n_stores;
static int first_place;
static int64_t least_ttl; /* pylibmc has whole seconds, and refuses to touch with less than one */

/* ---- chance ---- */

typedef uint64_t dice;

static unsigned roll(dice *dice, unsigned sides)
{
    *dice ^= *dice << 13, *dice ^= *dice >> 7, *dice ^= *dice << 17;
    return (unsigned)((*dice >> 20) % sides);
}

/* ---- keys and values ---- */

static size_t key_of(int key, char *text, size_t capacity)
{
    return (size_t)snprintf(text, capacity, "%c%d", key < SLOTS ? 'k' : 'n', key);
}

/* Its key, and then one letter again and again; of the others a number. */
static size_t make_value(int key, char *text, size_t len)
{
    if (key >= SLOTS)
        return (size_t)snprintf(text, len, "%lld", (long long)(key * NUMBER_STEP));
    size_t at = key_of(key, text, len);
    text[at++] = '=';
    if (len > at)
        memset(text + at, 'a' + key % 26, len - at);
    return len > at ? len : at;
}

static void check_value(int key, const larder_value *value)
{
    char wanted[LARGE];
    const char *text = NULL;
    size_t len = 0;
    int64_t number = 0;
    if (key >= SLOTS) {
        EXPECT(LARDER_OK, larder_value_int64(value, &number, ERR));
        if (number / NUMBER_STEP != key)
            FAIL("key %d has the number %" PRId64, key, number);
        return;
    }
    EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
    if (len > LARGE || make_value(key, wanted, len) != len || memcmp(text, wanted, len) != 0)
        FAIL("key %d has the value %.*s", key, (int)(len < 40 ? len : 40), text);
}

/* ---- answers ---- */

static void count_status(larder_status status)
{
    CHECK(status > -32 && status < 32);
    atomic_fetch_add(&statuses[status + 32], 1);
    switch (status) {
    case LARDER_OK:
    case LARDER_MISS:
    case LARDER_NOT_STORED:
    case LARDER_NOT_KEPT:
    case LARDER_ETIMEOUT:
    case LARDER_ECONNECTION:
    case LARDER_ECANCELLED:
    case LARDER_ESHUTDOWN:
    case LARDER_EBUSY:
        break;
    default:
        FAIL("answered: %s", larder_status_name(status));
    }
}

static void answer(operation *operation, larder_op op, larder_status status, const larder_error *error)
{
    CHECK((status < 0) == (error != NULL));
    CHECK(error == NULL || larder_error_status(error) == status);
    CHECK(op != 0);
    if (atomic_fetch_add(&operation->answers, 1) != 0)
        FAIL("operation %" PRIu64 " was answered again", (uint64_t)op);
    atomic_store(&operation->event_op, op);
    atomic_store(&operation->status, status);
    count_status(status);
    atomic_fetch_add(&answered, 1);
}

static void take_event(operation *operation, const larder_event *event)
{
    CHECK_NUMBER(LARDER_EVENT_DONE, event->kind);
    CHECK_NUMBER(operation->operation, event->operation);
    if (event->value != NULL)
        check_value(operation->keys[0], event->value);
    if (event->operation == LARDER_OP_GET_MANY && event->status == LARDER_OK) {
        CHECK_NUMBER(operation->n, event->n);
        for (uint32_t i = 0; i < event->n; i++) {
            if (event->values[i] != NULL)
                check_value(operation->keys[i], event->values[i]);
        }
    }
    answer(operation, event->op, event->status, event->error);
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    operation *operation = user_data;
    CHECK(!atomic_load(&callbacks_are_over));
    if (value != NULL)
        check_value(operation->keys[0], value);
    answer(operation, op, status, error);
}

static void on_event(void *user_data, const larder_event *event)
{
    CHECK(!atomic_load(&callbacks_are_over));
    take_event(user_data, event);
}

static void *poll_all(void *seed)
{
    dice dice = *(const uint64_t *)seed;
    larder_event events[64];
    for (;;) {
        size_t n = 0;
        larder_error *error = NULL;
        size_t capacity = 1 + roll(&dice, 64);
        larder_status status =
            larder_queue_poll(queue, events, capacity, sizeof *events, roll(&dice, 30), &n, &error);
        larder_error_release(error);
        if (status == LARDER_ESHUTDOWN)
            return NULL;
        CHECK(status == (n == 0 ? LARDER_EMPTY : LARDER_OK) && n <= capacity);
        for (size_t i = 0; i < n; i++) {
            CHECK(events[i].tag < PLACES);
            take_event(&operations[events[i].tag], &events[i]);
        }
        larder_events_clear(events, n, sizeof *events);
    }
}

/* ---- requests ---- */

/* A request and what it points to. */
typedef struct {
    larder_request request;
    operation *operation;
    char keys[MANY][16], small[MANY][200], large[LARGE];
    const char *key_places[MANY];
    const void *values[MANY];
    size_t key_lens[MANY], value_lens[MANY];
} draft;

static int32_t choose_operation(dice *dice)
{
    static const int32_t all[] = {LARDER_OP_GET,  LARDER_OP_GET,    LARDER_OP_GET,      LARDER_OP_SET,
                                  LARDER_OP_SET,  LARDER_OP_SET,    LARDER_OP_ADD,      LARDER_OP_EXPIRE,
                                  LARDER_OP_HAS,  LARDER_OP_DELETE, LARDER_OP_INCR,     LARDER_OP_INCR,
                                  LARDER_OP_INCR, LARDER_OP_GET_MANY, LARDER_OP_SET_MANY, LARDER_OP_GET};
    return all[roll(dice, sizeof all / sizeof *all)];
}

static int64_t choose_ttl(dice *dice)
{
    return roll(dice, 8) == 0 ? least_ttl + roll(dice, 1500) : 60000;
}

static void write_values(dice *dice, draft *draft, operation *operation)
{
    for (int i = 0; i < operation->n; i++) {
        int is_large = i == 0 && operation->keys[0] < SLOTS && roll(dice, 40) == 0;
        char *place = is_large ? draft->large : draft->small[i];
        draft->values[i] = place;
        draft->value_lens[i] = make_value(operation->keys[i], place, 20 + roll(dice, is_large ? LARGE - 20 : 180));
    }
}

/* Makes an operation; nobody knows of it yet. */
static void make(dice *dice, draft *draft)
{
    int place = atomic_fetch_add(&next_place, 1);
    CHECK(place < PLACES);
    operation *operation = draft->operation = &operations[place];
    larder_request *request = &draft->request;
    memset(request, 0, sizeof *request);
    operation->operation = request->operation = choose_operation(dice);
    int is_many = operation->operation == LARDER_OP_GET_MANY || operation->operation == LARDER_OP_SET_MANY;
    int is_number = operation->operation == LARDER_OP_INCR || roll(dice, 4) == 0;
    operation->n = (uint16_t)(is_many ? 1 + roll(dice, MANY) : 1);
    for (int i = 0; i < operation->n; i++) {
        operation->keys[i] = (uint16_t)(roll(dice, SLOTS) + (is_number ? SLOTS : 0));
        draft->key_lens[i] = key_of(operation->keys[i], draft->keys[i], sizeof draft->keys[i]);
        draft->key_places[i] = draft->keys[i];
    }
    write_values(dice, draft, operation);
    request->format = is_number ? LARDER_JSON : LARDER_TEXT;
    request->store = stores[roll(dice, 8) < 5 ? n_stores - 1 : roll(dice, n_stores)];
    request->tag = (uint64_t)place;
    request->ttl_ms = choose_ttl(dice);
    request->delta = operation->operation == LARDER_OP_INCR ? 1 + roll(dice, 3) : 0;
    request->timeout_ms = roll(dice, 10) == 0 ? 1 + roll(dice, 20) : 0;
    request->op = (larder_op *)&operation->op;
    if (is_many) {
        request->n = operation->n;
        request->keys = draft->key_places, request->key_lens = draft->key_lens;
        request->values = draft->values, request->value_lens = draft->value_lens;
    } else {
        request->key = draft->keys[0], request->key_len = draft->key_lens[0];
        request->value = draft->values[0], request->value_len = draft->value_lens[0];
    }
}

/* ---- submitting ---- */

static larder_status begin(const draft *draft)
{
    const larder_request *r = &draft->request;
    larder_call call = LARDER_CALL_INIT;
    call.timeout_ms = r->timeout_ms;
    operation *o = draft->operation;
    switch (r->operation) {
    case LARDER_OP_GET:
        return larder_get_cb(r->store, r->key, r->key_len, &call, on_answer, o, r->op, NULL);
    case LARDER_OP_SET:
        return larder_set_cb(r->store, r->key, r->key_len, r->value, r->value_len, r->format, r->ttl_ms, &call,
                             on_answer, o, r->op, NULL);
    case LARDER_OP_ADD:
        return larder_add_cb(r->store, r->key, r->key_len, r->value, r->value_len, r->format, r->ttl_ms, &call,
                             on_answer, o, r->op, NULL);
    case LARDER_OP_EXPIRE:
        return larder_expire_cb(r->store, r->key, r->key_len, r->ttl_ms, &call, on_answer, o, r->op, NULL);
    case LARDER_OP_DELETE:
        return larder_delete_cb(r->store, r->key, r->key_len, &call, on_answer, o, r->op, NULL);
    case LARDER_OP_HAS:
        return larder_has_cb(r->store, r->key, r->key_len, &call, on_answer, o, r->op, NULL);
    case LARDER_OP_INCR:
        return larder_incr_cb(r->store, r->key, r->key_len, r->delta, &call, on_answer, o, r->op, NULL);
    case LARDER_OP_GET_MANY:
        return larder_get_many_cb(r->store, r->keys, r->key_lens, r->n, &call, on_event, o, r->op, NULL);
    default:
        return larder_set_many_cb(r->store, r->keys, r->key_lens, r->values, r->value_lens, r->n, r->format, r->ttl_ms,
                                  &call, on_event, o, r->op, NULL);
    }
}

/* Lays requests on one key each into a flat buffer; NULL if one of them is on several. */
static char *pack(const draft *drafts, size_t n, size_t *len)
{
    *len = n * sizeof(larder_packed);
    for (size_t i = 0; i < n; i++) {
        if (drafts[i].request.n != 0)
            return NULL;
        *len += drafts[i].request.key_len + drafts[i].request.value_len;
    }
    char *buffer = calloc(1, *len);
    size_t at = n * sizeof(larder_packed);
    for (size_t i = 0; i < n; i++) {
        const larder_request *r = &drafts[i].request;
        larder_packed packed = {0};
        packed.operation = r->operation, packed.format = r->format, packed.tag = r->tag, packed.ttl_ms = r->ttl_ms;
        packed.store = (uint64_t)(uintptr_t)r->store;
        packed.delta = r->delta, packed.timeout_ms = r->timeout_ms;
        packed.key = at, packed.key_len = r->key_len;
        memcpy(buffer + at, r->key, r->key_len), at += r->key_len;
        packed.value = at, packed.value_len = r->value_len;
        memcpy(buffer + at, r->value, r->value_len), at += r->value_len;
        memcpy(buffer + i * sizeof packed, &packed, sizeof packed);
    }
    return buffer;
}

static larder_status submit(dice *dice, draft *drafts, size_t n)
{
    larder_request requests[BATCH];
    larder_op ops[BATCH];
    size_t count = 0, len = 0;
    larder_error *error = NULL;
    larder_status status;
    char *packed = roll(dice, 3) == 0 ? pack(drafts, n, &len) : NULL;
    if (packed != NULL) {
        status = larder_submit_packed(queue, packed, len, n, sizeof(larder_packed), ops, &count, &error);
        for (size_t i = 0; i < n; i++)
            atomic_store(&drafts[i].operation->op, ops[i]);
        free(packed);
    } else {
        for (size_t i = 0; i < n; i++)
            requests[i] = drafts[i].request;
        status = larder_submit(queue, requests, n, sizeof *requests, &count, &error);
    }
    CHECK((status < 0) == (error != NULL) && (status == LARDER_OK) == (count == n));
    larder_error_release(error);
    for (size_t i = 0; i < count; i++)
        drafts[i].operation->is_accepted = 1;
    atomic_fetch_add(&accepted, (int)count);
    return status;
}

static larder_status begin_one(const draft *draft)
{
    draft->operation->by_callback = 1;
    larder_status status = begin(draft);
    if (status == LARDER_OK) {
        draft->operation->is_accepted = 1;
        atomic_fetch_add(&accepted, 1);
    }
    return status;
}

/* Cancels one of the latest operations, whoever began it, perhaps one that has ended. */
static void cancel_some(dice *dice)
{
    int end = atomic_load(&next_place), place = end - 1 - (int)roll(dice, 200);
    if (place < first_place)
        return;
    larder_op op = atomic_load(&operations[place].op);
    if (op == 0)
        return;
    larder_status status = larder_cancel(context, op);
    if (status == LARDER_EHANDLE && atomic_load(&is_ending))
        return; /* the shutdown was quicker */
    if (status != LARDER_OK && status != LARDER_MISS)
        FAIL("cancel: %s", larder_status_name(status));
    if (status == LARDER_OK)
        CHECK_NUMBER(0, atomic_fetch_add(&operations[place].cancels, 1));
}

static void *submit_until_shut_down(void *seed)
{
    dice dice = *(const uint64_t *)seed;
    draft *drafts = calloc(BATCH, sizeof *drafts);
    for (;;) {
        while (atomic_load(&accepted) - atomic_load(&answered) > UNDER_WAY && !atomic_load(&is_over))
            usleep(200);
        larder_status status;
        if (roll(&dice, 2) == 0) {
            make(&dice, drafts);
            status = begin_one(drafts);
        } else {
            size_t n = 1 + roll(&dice, BATCH);
            for (size_t i = 0; i < n; i++)
                make(&dice, &drafts[i]);
            status = submit(&dice, drafts, n);
        }
        if (status == LARDER_ESHUTDOWN)
            break;
        if (status == LARDER_EBUSY)
            usleep(1500);
        else
            CHECK_NUMBER(LARDER_OK, status);
        if (roll(&dice, 8) == 0)
            cancel_some(&dice);
    }
    free(drafts);
    return NULL;
}

/* The same keys by synchronous calls meanwhile. */
static void *call_until_shut_down(void *seed)
{
    dice dice = *(const uint64_t *)seed;
    char name[16], text[200];
    for (;;) {
        larder_value *value = NULL;
        int key = (int)roll(&dice, 2 * SLOTS);
        size_t name_len = key_of(key, name, sizeof name);
        const larder_store *store = stores[roll(&dice, n_stores)];
        larder_status status =
            roll(&dice, 3) != 0
                ? larder_get(store, name, name_len, NULL, &value, NULL)
                : larder_set(store, name, name_len, text, make_value(key, text, 20 + roll(&dice, 180)),
                             key < SLOTS ? LARDER_TEXT : LARDER_JSON, 60000, NULL, NULL);
        if (value != NULL)
            check_value(key, value);
        larder_value_release(value);
        if (status == LARDER_ESHUTDOWN)
            return NULL;
        CHECK(status == LARDER_OK || status == LARDER_MISS || status == LARDER_ETIMEOUT ||
              status == LARDER_ECONNECTION);
        if (IS_FAILURE(status))
            usleep(1000);
    }
}

/* ---- rounds ---- */

static larder_context *open_own(const char *folder, const char *url)
{
    char text[2048];
    larder_context *context = NULL;
    size_t at = (size_t)snprintf(
        text, sizeof text,
        "{\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"},"
        " \"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\", \"LOCATION\": \"%s/f\"}",
        folder);
    if (strcmp(url, "-") != 0)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               ",\"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
                               "  \"LARDER\": {\"TIMEOUT_MS\": 2000}},"
                               " \"core-redis\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\","
                               "  \"LOCATION\": \"%s\", \"KEY_PREFIX\": \"core\", \"LARDER\": {\"TIMEOUT_MS\": 2000}}",
                               url, url);
    snprintf(text + at, sizeof text - at, "}");
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

static void open_round(const char *folder, const char *url)
{
    static const char *const aliases[] = {"memory", "file", "core-redis", "redis"};
    given_aliases given = find_given();
    CHECK(given.n <= (int)(sizeof stores / sizeof *stores));
    context = given.n > 0 ? open_given() : open_own(folder, url);
    least_ttl = given.n > 0 ? 1000 : 1;
    n_stores = given.n > 0 ? (unsigned)given.n : strcmp(url, "-") != 0 ? 4 : 2;
    for (unsigned i = 0; i < n_stores; i++) {
        stores[i] = open_store(context, given.n > 0 ? given.names[i] : aliases[i]);
        make_table(stores[i]);
    }
    EXPECT(LARDER_OK, larder_queue_open(context, 1000, 0, &queue, ERR));
    first_place = atomic_load(&next_place);
    atomic_store(&is_ending, 0);
    atomic_store(&is_over, 0);
    atomic_store(&callbacks_are_over, 0);
}

/* Shuts down under way. Whether it did it in its time: if not, callbacks that had not begun never run. */
static int shut_down(int64_t limit_ms)
{
    int in_time = 1;
    larder_error *error = NULL;
    atomic_store(&is_ending, 1);
    larder_status status = larder_shutdown(context, limit_ms, &error);
    atomic_store(&is_over, 1);
    for (; status == LARDER_ETIMEOUT; in_time = 0) {
        larder_error_release(error);
        status = larder_shutdown(context, 30000, &error);
    }
    CHECK_NUMBER(LARDER_OK, status);
    atomic_store(&callbacks_are_over, 1);
    return in_time;
}

static void check_place(const operation *operation, int in_time)
{
    int answers = atomic_load(&operation->answers), status = atomic_load(&operation->status);
    if (!operation->is_accepted) {
        CHECK_NUMBER(0, answers);
        CHECK_NUMBER(0, atomic_load(&operation->op));
        return;
    }
    if (answers == 0 && operation->by_callback && !in_time)
        return;
    CHECK_NUMBER(1, answers);
    CHECK(atomic_load(&operation->op) == atomic_load(&operation->event_op));
    CHECK_NUMBER(status == LARDER_ECANCELLED, atomic_load(&operation->cancels));
}

static void one_round(dice *dice, const char *folder, const char *url, int wanted, int64_t limit_ms)
{
    uint64_t seeds[SUBMITTERS + POLLERS + 1];
    pthread_t threads[SUBMITTERS + POLLERS + 1];
    open_round(folder, url);
    for (int i = 0; i < SUBMITTERS + POLLERS + 1; i++) {
        seeds[i] = ((uint64_t)roll(dice, 1u << 31) << 31 | roll(dice, 1u << 31)) + 1;
        threads[i] = start(i < SUBMITTERS             ? submit_until_shut_down
                           : i < SUBMITTERS + POLLERS ? poll_all
                                                      : call_until_shut_down,
                           &seeds[i]);
    }
    int64_t patience = now_ms() + 200000;
    while (atomic_load(&accepted) < wanted) {
        if (now_ms() > patience)
            FAIL("only %d accepted, %d answered", atomic_load(&accepted), atomic_load(&answered));
        sleep_ms(2);
    }
    int in_time = shut_down(limit_ms);
    for (int i = 0; i < SUBMITTERS + POLLERS + 1; i++)
        join(threads[i]);
    sleep_ms(10); /* a second answer would come now */
    int end = atomic_load(&next_place), missing = atomic_load(&accepted) - atomic_load(&answered);
    for (int place = first_place; place < end; place++)
        check_place(&operations[place], in_time);
    CHECK(missing >= 0 && (missing == 0 || !in_time));
    atomic_fetch_sub(&accepted, missing); /* callbacks that the shutdown has given up */
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    for (unsigned i = 0; i < n_stores; i++)
        EXPECT(LARDER_OK, larder_store_close(stores[i]));
}

static int by_number(const void *left, const void *right)
{
    larder_op a = *(const larder_op *)left, b = *(const larder_op *)right;
    return (a > b) - (a < b);
}

/* No two operations ever had one id. */
static void check_ids(void)
{
    int end = atomic_load(&next_place), n = 0;
    larder_op *ops = malloc((size_t)end * sizeof *ops);
    for (int place = 0; place < end; place++) {
        if (operations[place].is_accepted)
            ops[n++] = atomic_load(&operations[place].op);
    }
    qsort(ops, (size_t)n, sizeof *ops, by_number);
    for (int i = 1; i < n; i++)
        CHECK(ops[i - 1] != ops[i]);
    free(ops);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    dice dice = seed * 2 + 1;
    int64_t began = now_ms();
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    operations = calloc(PLACES, sizeof *operations);
    for (int round = 1; round <= ROUNDS; round++)
        one_round(&dice, argv[1], argv[2], times(OPERATIONS) / ROUNDS * round, round % 3 == 2 ? 200 : 30000);
    CHECK(atomic_load(&answered) >= times(OPERATIONS));
    check_ids();
    for (int status = -32; status < 32; status++) {
        if (atomic_load(&statuses[status + 32]) > 0)
            printf("  %-20s %d\n", larder_status_name(status), atomic_load(&statuses[status + 32]));
    }
    /* faults there were, and they were not all there was */
    CHECK(atomic_load(&statuses[LARDER_OK + 32]) > atomic_load(&answered) / 10);
    CHECK(atomic_load(&statuses[LARDER_ECANCELLED + 32]) > 0);
    check_nothing_is_open();
    printf("exactly once: %d of %d tried, in %d s\n", atomic_load(&answered), atomic_load(&next_place),
           (int)((now_ms() - began) / 1000));
    free(operations);
    return 0;
}
