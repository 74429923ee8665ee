/*
 * Order: what one thread submits on one key of one store takes effect in that order, through queues and callbacks
 * mixed, with values of all sizes, on one key and on several at once. A model in this program says beforehand what each
 * operation has to find.
 *
 *     order <folder> <URL or -> [seed]
 *
 * Where the test around it gives aliases, on those instead of its own.
 */
#include "support.h"

#include <stdatomic.h>

enum { KEYS = 12, MANY = 4, LARGE = 1 << 20, WINDOW = 300, EVENTS = 32 };

/* What is known of a key: nothing is there, a text with a number, or a number to count. */
typedef struct {
    enum { NOTHING, TEXT, NUMBER } kind;
    int64_t number;
    size_t len;
} content;

/* An operation under way, and what it has to answer. */
typedef struct {
    int operation;
    larder_status status;
    uint32_t n;
    int keys[MANY];
    content contents[MANY]; /* of a get; of incr the first */
    int64_t count;          /* of delete_many */
} wanted;

static content model[KEYS];
static wanted wanteds[WINDOW];
static _Atomic int is_free[WINDOW];
static _Atomic int under_way;
static char *large;
static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return (unsigned)((dice >> 20) % sides);
}

/* ---- answers ---- */

static void check_value(int place, int key, const content *content, const larder_value *value)
{
    char wanted[64];
    const char *text = NULL;
    size_t len = 0, head;
    int64_t number = 0;
    if ((content->kind != NOTHING) != (value != NULL))
        FAIL("operation %d, key %d: %s", place, key, value == NULL ? "nothing there" : "something there");
    if (content->kind == NUMBER) {
        EXPECT(LARDER_OK, larder_value_int64(value, &number, ERR));
        if (number != content->number)
            FAIL("operation %d, key %d: %" PRId64 ", not %" PRId64, place, key, number, content->number);
    } else if (content->kind == TEXT) {
        EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
        head = (size_t)snprintf(wanted, sizeof wanted, "%d/%" PRId64 "/", key, content->number);
        if (len != content->len || memcmp(text, wanted, head) != 0)
            FAIL("operation %d, key %d: \"%.*s\" of %zu, not \"%s\" of %zu", place, key, (int)(len < 30 ? len : 30),
                 text, len, wanted, content->len);
    }
}

static void check_status(int place, larder_status status, const larder_error *error)
{
    CHECK(place >= 0 && place < WINDOW && !atomic_load(&is_free[place]));
    if (status != wanteds[place].status)
        FAIL("operation %d (%d): %s, not %s: %s", place, wanteds[place].operation, larder_status_name(status),
             larder_status_name(wanteds[place].status), larder_error_message(error));
}

static void done(int place)
{
    atomic_store(&is_free[place], 1);
    atomic_fetch_sub(&under_way, 1);
}

static void take(int place, const larder_event *event)
{
    const wanted *wanted = &wanteds[place];
    check_status(place, event->status, event->error);
    CHECK_NUMBER(wanted->operation, event->operation);
    if (event->operation == LARDER_OP_GET_MANY) {
        CHECK_NUMBER(wanted->n, event->n);
        for (uint32_t i = 0; i < event->n; i++)
            check_value(place, wanted->keys[i], &wanted->contents[i], event->values[i]);
    } else if (event->operation == LARDER_OP_GET || event->operation == LARDER_OP_INCR) {
        check_value(place, wanted->keys[0], &wanted->contents[0], event->value);
    } else if (event->operation == LARDER_OP_DELETE_MANY) {
        CHECK_NUMBER(wanted->count, event->number);
    }
    done(place);
}

static void on_answer(void *user_data, larder_op op, larder_status status, const larder_value *value,
                      const larder_error *error)
{
    int place = (int)(intptr_t)user_data;
    const wanted *wanted = &wanteds[place];
    (void)op;
    check_status(place, status, error);
    if (wanted->operation == LARDER_OP_GET || wanted->operation == LARDER_OP_INCR)
        check_value(place, wanted->keys[0], &wanted->contents[0], value);
    done(place);
}

static void on_event(void *user_data, const larder_event *event)
{
    take((int)(intptr_t)user_data, event);
}

static int poll_some(const larder_queue *queue, int64_t timeout_ms)
{
    larder_event events[EVENTS];
    size_t n = 0;
    larder_status status = larder_queue_poll(queue, events, EVENTS, sizeof *events, timeout_ms, &n, NULL);
    CHECK(status == (n == 0 ? LARDER_EMPTY : LARDER_OK));
    for (size_t i = 0; i < n; i++)
        take((int)events[i].tag, &events[i]);
    larder_events_clear(events, n, sizeof *events);
    return (int)n;
}

/* ---- the model ---- */

/* A new text for a key: in `text`, which has the room; one of many is large. */
static content new_text(int key, char *text, int may_be_large, const char **shown)
{
    static int64_t counter;
    content content = {TEXT, counter++, 0};
    size_t head = (size_t)snprintf(text, 200, "%d/%" PRId64 "/", key, content.number);
    *shown = text;
    content.len = head + roll(150);
    memset(text + head, 'x', content.len - head);
    if (may_be_large && roll(60) == 0) {
        memcpy(large, text, head);
        memset(large + head, 'x', 64 - head);
        *shown = large;
        content.len = LARGE - roll(1000);
    }
    return content;
}

static larder_status found(const content *content)
{
    return content->kind == NOTHING ? LARDER_MISS : LARDER_OK;
}

static int choose_operation(void)
{
    static const int all[] = {LARDER_OP_SET,      LARDER_OP_SET,      LARDER_OP_SET,    LARDER_OP_GET,
                              LARDER_OP_GET,      LARDER_OP_GET,      LARDER_OP_GET,    LARDER_OP_ADD,
                              LARDER_OP_DELETE,   LARDER_OP_HAS,      LARDER_OP_INCR,   LARDER_OP_INCR,
                              LARDER_OP_GET_MANY, LARDER_OP_SET_MANY, LARDER_OP_EXPIRE, LARDER_OP_DELETE_MANY,
                              LARDER_OP_EXPIRE_AT};
    return all[roll(sizeof all / sizeof *all)];
}

static int is_on_several(int operation)
{
    return operation == LARDER_OP_GET_MANY || operation == LARDER_OP_SET_MANY || operation == LARDER_OP_DELETE_MANY;
}

/* A request with what it points to. */
typedef struct {
    larder_request request;
    wanted *wanted;
    char names[MANY][8], texts[MANY][400];
    const char *keys[MANY];
    const char *shown[MANY];
    const void *values[MANY];
    size_t key_lens[MANY], value_lens[MANY];
} draft;

/* Writes values for the keys, and tells what the keys hold with them. */
static void write_values(draft *draft, content *contents)
{
    wanted *wanted = draft->wanted;
    larder_request *request = &draft->request;
    request->format = LARDER_TEXT;
    for (uint32_t i = 0; i < wanted->n; i++)
        contents[i] = new_text(wanted->keys[i], draft->texts[i], i == 0, &draft->shown[i]);
    if (request->operation != LARDER_OP_SET_MANY && roll(3) == 0) {
        contents[0] = (content){NUMBER, (int64_t)roll(1000000), 0};
        draft->shown[0] = draft->texts[0];
        contents[0].len = (size_t)snprintf(draft->texts[0], 32, "%" PRId64, contents[0].number);
        request->format = LARDER_JSON;
    }
    for (uint32_t i = 0; i < wanted->n; i++)
        draft->values[i] = draft->shown[i], draft->value_lens[i] = contents[i].len;
}

/* Says what the operation has to answer, and does to the model what it does to the cache. */
static void foresee(draft *draft)
{
    wanted *wanted = draft->wanted;
    content *one = &model[wanted->keys[0]], contents[MANY];
    larder_request *request = &draft->request;
    if (request->operation == LARDER_OP_SET || request->operation == LARDER_OP_ADD ||
        request->operation == LARDER_OP_SET_MANY)
        write_values(draft, contents);
    wanted->status = is_on_several(request->operation) ? LARDER_OK : found(one);
    wanted->count = 0;
    switch (request->operation) {
    case LARDER_OP_SET:
        wanted->status = LARDER_OK;
        *one = contents[0];
        break;
    case LARDER_OP_ADD:
        wanted->status = one->kind == NOTHING ? LARDER_OK : LARDER_NOT_STORED;
        if (one->kind == NOTHING)
            *one = contents[0];
        break;
    case LARDER_OP_INCR:
        one->number += one->kind == NUMBER ? request->delta : 0;
        break;
    case LARDER_OP_SET_MANY:
        for (uint32_t i = 0; i < wanted->n; i++)
            model[wanted->keys[i]] = contents[i];
        break;
    case LARDER_OP_DELETE:
    case LARDER_OP_DELETE_MANY:
        for (uint32_t i = 0; i < wanted->n; i++) {
            wanted->count += model[wanted->keys[i]].kind != NOTHING;
            model[wanted->keys[i]].kind = NOTHING;
        }
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < wanted->n; i++)
        wanted->contents[i] = model[wanted->keys[i]];
}

static void make(draft *draft, const larder_store *store, int place)
{
    wanted *wanted = draft->wanted = &wanteds[place];
    larder_request *request = &draft->request;
    int first = (int)roll(KEYS), operation = choose_operation();
    if (operation == LARDER_OP_INCR && model[first].kind == TEXT)
        operation = LARDER_OP_GET;
    memset(request, 0, sizeof *request);
    wanted->operation = request->operation = operation;
    wanted->n = is_on_several(operation) ? 1 + roll(MANY) : 1;
    for (uint32_t i = 0; i < wanted->n; i++) {
        wanted->keys[i] = (first + (int)i) % KEYS;
        draft->key_lens[i] = (size_t)snprintf(draft->names[i], sizeof draft->names[i], "o%d", wanted->keys[i]);
        draft->keys[i] = draft->names[i];
    }
    request->store = store, request->tag = (uint64_t)place, request->ttl_ms = 600000, request->delta = 1 + roll(9);
    foresee(draft);
    if (is_on_several(operation)) {
        request->n = wanted->n, request->keys = draft->keys, request->key_lens = draft->key_lens;
        request->values = draft->values, request->value_lens = draft->value_lens;
    } else {
        request->key = draft->keys[0], request->key_len = draft->key_lens[0];
        request->value = draft->values[0], request->value_len = draft->value_lens[0];
    }
    if (operation == LARDER_OP_EXPIRE_AT)
        request->delta = LARDER_SECONDS(time(NULL) + 600);
    else if (operation != LARDER_OP_INCR)
        request->delta = 0;
}

static larder_status begin(const draft *draft)
{
    const larder_request *r = &draft->request;
    void *place = (void *)(intptr_t)r->tag;
    switch (r->operation) {
    case LARDER_OP_GET:
        return larder_get_cb(r->store, r->key, r->key_len, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_SET:
        return larder_set_cb(r->store, r->key, r->key_len, r->value, r->value_len, r->format, r->ttl_ms, NULL,
                             on_answer, place, NULL, NULL);
    case LARDER_OP_ADD:
        return larder_add_cb(r->store, r->key, r->key_len, r->value, r->value_len, r->format, r->ttl_ms, NULL,
                             on_answer, place, NULL, NULL);
    case LARDER_OP_EXPIRE:
        return larder_expire_cb(r->store, r->key, r->key_len, r->ttl_ms, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_EXPIRE_AT:
        return larder_expire_at_cb(r->store, r->key, r->key_len, r->delta, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_DELETE:
        return larder_delete_cb(r->store, r->key, r->key_len, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_HAS:
        return larder_has_cb(r->store, r->key, r->key_len, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_INCR:
        return larder_incr_cb(r->store, r->key, r->key_len, r->delta, NULL, on_answer, place, NULL, NULL);
    case LARDER_OP_GET_MANY:
        return larder_get_many_cb(r->store, r->keys, r->key_lens, r->n, NULL, on_event, place, NULL, NULL);
    case LARDER_OP_DELETE_MANY:
        return larder_delete_many_cb(r->store, r->keys, r->key_lens, r->n, NULL, on_answer, place, NULL, NULL);
    default:
        return larder_set_many_cb(r->store, r->keys, r->key_lens, r->values, r->value_lens, r->n, r->format, r->ttl_ms,
                                  NULL, on_event, place, NULL, NULL);
    }
}

/* A place for one more operation; polls while there is none. */
static int free_place(const larder_queue *queue)
{
    int64_t end = now_ms() + 60000;
    for (int place = (int)roll(WINDOW);; place = (place + 1) % WINDOW) {
        if (atomic_load(&is_free[place]) && atomic_exchange(&is_free[place], 0)) {
            atomic_fetch_add(&under_way, 1);
            return place;
        }
        if (atomic_load(&under_way) == WINDOW)
            poll_some(queue, 1);
        if (now_ms() > end)
            FAIL("%d are under way for a minute", atomic_load(&under_way));
    }
}

static void in_order(const larder_context *context, const char *alias, int count)
{
    enum { BATCH = 6 };
    larder_store *store = open_store(context, alias);
    larder_queue *queue = NULL;
    draft *drafts = calloc(BATCH, sizeof *drafts);
    larder_request requests[BATCH];
    make_table(store);
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    EXPECT(LARDER_OK, larder_queue_open(context, WINDOW, 0, &queue, ERR));
    memset(model, 0, sizeof model);
    for (int place = 0; place < WINDOW; place++)
        atomic_store(&is_free[place], 1);
    for (int begun = 0; begun < count;) {
        int n = roll(2) == 0 ? 0 : 1 + (int)roll(BATCH);
        if (n == 0) {
            make(drafts, store, free_place(queue));
            CHECK_NUMBER(LARDER_OK, begin(drafts));
        }
        for (int i = 0; i < n; i++) {
            drafts[i].shown[0] = NULL;
            make(&drafts[i], store, free_place(queue));
            requests[i] = drafts[i].request;
            if (drafts[i].shown[0] == large)
                n = i + 1; /* there is only one such buffer */
        }
        if (n > 0)
            EXPECT(LARDER_OK, larder_submit(queue, requests, (size_t)n, sizeof *requests, NULL, ERR));
        begun += n == 0 ? 1 : n;
        if (roll(20) == 0)
            poll_some(queue, 0);
    }
    for (int64_t end = now_ms() + 60000; atomic_load(&under_way) > 0;) {
        poll_some(queue, 5);
        if (now_ms() > end)
            FAIL("%d are under way for a minute", atomic_load(&under_way));
    }
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
    free(drafts);
}

static larder_context *open_large(const char *folder, const char *url)
{
    char text[2048];
    size_t at = (size_t)snprintf(
        text, sizeof text,
        "{\"memory\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"},"
        " \"file\": {\"BACKEND\": \"django.core.cache.backends.filebased.FileBasedCache\", \"LOCATION\": \"%s/f\","
        "          \"LARDER\": {\"TIMEOUT_MS\": 60000}}",
        folder);
    if (strcmp(url, "-") != 0)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               ",\"redis\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"%s\","
                               "  \"LARDER\": {\"TIMEOUT_MS\": 60000}},"
                               " \"core-redis\": {\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\","
                               "  \"LOCATION\": \"%s\", \"LARDER\": {\"TIMEOUT_MS\": 60000}}",
                               url, url);
    snprintf(text + at, sizeof text - at, "}");
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    return context;
}

int main(int argc, char **argv)
{
    static const char *const aliases[] = {"memory", "file", "redis", "core-redis"};
    CHECK(argc > 2);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    dice = seed * 2 + 1;
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    large = calloc(1, LARGE);
    memset(large, 'x', LARGE);
    given_aliases given = find_given();
    larder_context *context = given.n > 0 ? open_given() : open_large(argv[1], argv[2]);
    for (int i = 0; i < (given.n > 0 ? given.n : has_redis(argc, argv) ? 4 : 2); i++) {
        int64_t began = now_ms();
        int count = times(given.n > 0 || i == 1 ? 3000 : 20000);
        const char *alias = given.n > 0 ? given.names[i] : aliases[i];
        in_order(context, alias, count);
        printf("%s: %d operations in %d ms\n", alias, count, (int)(now_ms() - began));
        fflush(stdout);
    }
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    free(large);
    check_nothing_is_open();
    printf("order: one after the other\n");
    return 0;
}
