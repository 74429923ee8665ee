/*
 * The completion queue: every accepted request gives exactly one event, with its tag; refusals end a batch and give none;
 * capacity, waking, the wait handle, every operation, the packed form, cancelling, log records, closing.
 */
#include "support.h"

#include <poll.h>

#define EVENT_SIZE sizeof(larder_event)
#define REQUEST_SIZE sizeof(larder_request)

static larder_queue *open_queue(const larder_context *context, size_t capacity, int32_t log_level)
{
    larder_queue *queue = NULL;
    EXPECT(LARDER_OK, larder_queue_open(context, capacity, log_level, &queue, ERR));
    return queue;
}

static larder_request request(int32_t operation, const larder_store *store, uint64_t tag, const char *key)
{
    larder_request request = LARDER_REQUEST_INIT;
    request.operation = operation;
    request.store = store;
    request.tag = tag;
    request.key = key;
    request.key_len = strlen(key);
    return request;
}

static larder_request set_text(const larder_store *store, uint64_t tag, const char *key, const char *value)
{
    larder_request set = request(LARDER_OP_SET, store, tag, key);
    set.format = LARDER_TEXT;
    set.value = value;
    set.value_len = strlen(value);
    return set;
}

/* Takes exactly one event. */
static larder_event one(const larder_queue *queue)
{
    larder_event event;
    size_t n = 0;
    EXPECT(LARDER_OK, larder_queue_poll(queue, &event, 1, EVENT_SIZE, 10000, &n, ERR));
    CHECK_NUMBER(1, n);
    return event;
}

static void is_empty(const larder_queue *queue)
{
    larder_event event;
    size_t n = 7;
    EXPECT(LARDER_EMPTY, larder_queue_poll(queue, &event, 1, EVENT_SIZE, 0, &n, ERR));
    CHECK_NUMBER(0, n);
}

/* Submits one request, and takes its event. */
static larder_event ask(const larder_queue *queue, larder_request asked)
{
    larder_op op = 0;
    size_t accepted = 0;
    asked.op = &op;
    EXPECT(LARDER_OK, larder_submit(queue, &asked, 1, REQUEST_SIZE, &accepted, ERR));
    CHECK(accepted == 1 && op != 0);
    larder_event event = one(queue);
    CHECK_NUMBER(LARDER_EVENT_DONE, event.kind);
    CHECK_NUMBER(asked.operation, event.operation);
    CHECK(event.tag == asked.tag && event.op == op);
    CHECK((event.status < 0) == (event.error != NULL));
    return event;
}

static void expect_status(larder_status wanted, larder_event event)
{
    if (event.status != wanted)
        FAIL("operation %d: %s, not %s: %s", (int)event.operation, larder_status_name(event.status),
             larder_status_name(wanted), larder_error_message(event.error));
    larder_events_clear(&event, 1, EVENT_SIZE);
    CHECK(event.value == NULL && event.error == NULL && event.kind == 0);
    larder_events_clear(&event, 1, EVENT_SIZE); /* once more is harmless */
}

static void expect_number(larder_status wanted, int64_t number, larder_event event)
{
    CHECK_NUMBER(number, event.number);
    expect_status(wanted, event);
}

static void expect_text(const char *text, larder_event event)
{
    const char *shown = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_value_text(event.value, &shown, &len, ERR));
    CHECK(len == strlen(text) && memcmp(shown, text, len) == 0);
    expect_status(LARDER_OK, event);
}

/* What a browser sends is no error, and does not end the requests beside it. */
static void sessions(larder_store *store, larder_queue *queue)
{
    static const char *const hostile[] = {"", "1234567", "0123456789abcdef\r\n", "\xff\xff\xff\xff\xff\xff\xff\xff"};
    const char *text = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("django.contrib.sessions.cache0123456789abcdef"),
                                 LARDER_LIT("{\"_auth_user_id\": \"7\"}"), LARDER_JSON, 60000, NULL, ERR));
    larder_event event = ask(queue, request(LARDER_OP_SESSION, store, 3, "0123456789abcdef"));
    CHECK_NUMBER(LARDER_OP_SESSION, event.operation);
    EXPECT(LARDER_OK, larder_value_item_text(event.value, LARDER_LIT("_auth_user_id"), &text, &len, ERR));
    CHECK(len == 1 && text[0] == '7');
    expect_status(LARDER_OK, event);
    expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_SESSION, store, 3, "0123456789abcdeg")));
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_SESSION, store, 3, hostile[i])));
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
}

/* A lock: the token comes as a value and goes back as one. */
static void locks(const larder_store *store, const larder_queue *queue)
{
    const char *token = NULL;
    size_t len = 0;
    larder_request asked = request(LARDER_OP_LOCK, store, 30, "lock"), back = request(LARDER_OP_UNLOCK, store, 31, "lock");
    larder_event refused;
    if (larder_store_supports(store, LARDER_OP_LOCK) != LARDER_OK) {
        larder_error *error = NULL;
        asked.ttl_ms = 60000;
        CHECK_NUMBER(LARDER_EUNSUPPORTED, larder_submit(queue, &asked, 1, REQUEST_SIZE, NULL, &error));
        larder_error_release(error);
        return;
    }
    EXPECT(LARDER_EINVAL, larder_submit(queue, &asked, 1, REQUEST_SIZE, NULL, ERR)); /* there is no default */
    asked.ttl_ms = LARDER_SECONDS(60);
    larder_event held = ask(queue, asked);
    CHECK_NUMBER(LARDER_OK, held.status);
    EXPECT(LARDER_OK, larder_value_text(held.value, &token, &len, ERR));
    CHECK_NUMBER(32, len);
    asked.delta = 20;
    refused = ask(queue, asked);
    CHECK(refused.value == NULL);
    expect_status(LARDER_NOT_STORED, refused);
    larder_request more = request(LARDER_OP_LOCK_EXTEND, store, 32, "lock");
    more.value = token, more.value_len = len, more.ttl_ms = 1000, more.delta = LARDER_EXTEND_REPLACE;
    expect_status(LARDER_OK, ask(queue, more));
    more.delta = 2;
    EXPECT(LARDER_EINVAL, larder_submit(queue, &more, 1, REQUEST_SIZE, NULL, ERR));
    expect_status(LARDER_MISS, ask(queue, back));
    back.value = token, back.value_len = len;
    expect_status(LARDER_OK, ask(queue, back));
    expect_status(LARDER_MISS, ask(queue, back));
    expect_status(LARDER_OK, held);
}

/* Every operation, answered as its synchronous twin answers. */
static void all_operations(const larder_context *context, const char *alias)
{
    larder_store *store = open_store(context, alias);
    larder_queue *queue = open_queue(context, 8, 0);
    int has_keys = larder_store_supports(store, LARDER_OP_KEYS) == LARDER_OK;
    larder_request asked;

    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    expect_status(LARDER_OK, ask(queue, request(LARDER_OP_PING, store, 1, "")));
    expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_GET, store, 2, "a")));
    expect_status(LARDER_EUNSUPPORTED, ask(queue, request(LARDER_OP_CREATE_TABLE, store, 2, "")));
    sessions(store, queue);
    expect_status(LARDER_OK, ask(queue, set_text(store, 3, "a", "x")));
    expect_text("x", ask(queue, request(LARDER_OP_GET, store, 4, "a")));
    asked = set_text(store, 5, "a", "y");
    asked.operation = LARDER_OP_ADD;
    expect_status(LARDER_NOT_STORED, ask(queue, asked));
    asked.key = "b";
    expect_status(LARDER_OK, ask(queue, asked));
    asked = set_text(store, 6, "c", "z");
    asked.flags = LARDER_CALL_XX;
    expect_status(LARDER_NOT_STORED, ask(queue, asked));
    asked = request(LARDER_OP_EXPIRE, store, 7, "a");
    asked.ttl_ms = 60000;
    expect_status(LARDER_OK, ask(queue, asked));
    larder_event event = ask(queue, request(LARDER_OP_TTL, store, 8, "a"));
    CHECK(event.number > 50000 && event.number <= 60000);
    expect_status(LARDER_OK, event);
    expect_status(LARDER_OK, ask(queue, request(LARDER_OP_PERSIST, store, 9, "a")));
    expect_number(LARDER_OK, LARDER_TTL_FOREVER, ask(queue, request(LARDER_OP_TTL, store, 10, "a")));
    asked = request(LARDER_OP_EXPIRE_AT, store, 10, "a");
    asked.delta = LARDER_SECONDS(time(NULL) + 60);
    expect_status(LARDER_OK, ask(queue, asked));
    locks(store, queue);
    expect_status(LARDER_OK, ask(queue, request(LARDER_OP_HAS, store, 11, "a")));
    expect_status(LARDER_OK, ask(queue, request(LARDER_OP_DELETE, store, 12, "a")));
    expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_HAS, store, 13, "a")));

    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("n"), LARDER_LIT("41"), LARDER_JSON, 60000, NULL, ERR));
    asked = request(LARDER_OP_INCR, store, 14, "n");
    asked.delta = 1;
    event = ask(queue, asked);
    int64_t number = 0;
    EXPECT(LARDER_OK, larder_value_int64(event.value, &number, ERR));
    CHECK_NUMBER(42, number);
    expect_number(LARDER_OK, 42, event);
    asked.key = "none", asked.key_len = 4;
    expect_status(LARDER_MISS, ask(queue, asked));
    asked = request(LARDER_OP_INCR_VERSION, store, 15, "n");
    asked.delta = 1;
    expect_number(LARDER_OK, 2, ask(queue, asked));
    asked = request(LARDER_OP_GET, store, 16, "n");
    asked.version = "2", asked.version_len = 1;
    event = ask(queue, asked);
    EXPECT(LARDER_OK, larder_value_int64(event.value, &number, ERR));
    CHECK_NUMBER(42, number);
    expect_status(LARDER_OK, event);

    const char *keys[] = {"m1", "m2", "m3"};
    const size_t key_lens[] = {2, 2, 2};
    const void *values[] = {"v1", "v2"};
    asked = request(LARDER_OP_SET_MANY, store, 17, "");
    asked.n = 2, asked.keys = keys, asked.key_lens = key_lens, asked.values = values, asked.value_lens = key_lens;
    asked.format = LARDER_TEXT;
    event = ask(queue, asked);
    CHECK(event.n == 2 && event.failed[0] == 0 && event.failed[1] == 0);
    expect_number(LARDER_OK, 0, event);
    asked = request(LARDER_OP_GET_MANY, store, 18, "");
    asked.n = 3, asked.keys = keys, asked.key_lens = key_lens;
    event = ask(queue, asked);
    CHECK(event.n == 3 && event.values[0] != NULL && event.values[1] != NULL && event.values[2] == NULL);
    const char *text = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_value_text(event.values[1], &text, &len, ERR));
    CHECK(len == 2 && memcmp(text, "v2", 2) == 0);
    expect_number(LARDER_OK, 2, event);
    asked.n = 0;
    expect_number(LARDER_OK, 0, ask(queue, asked));

    asked = request(LARDER_OP_KEYS, store, 19, "m*");
    if (has_keys) {
        int seen = 0;
        do {
            event = ask(queue, asked);
            for (uint32_t i = 0; i < event.n; i++) {
                EXPECT(LARDER_OK, larder_value_text(event.values[i], &text, &len, ERR));
                CHECK(len == 2 && text[0] == 'm');
                seen++;
            }
            asked.delta = event.number;
            expect_status(LARDER_OK, event);
        } while (asked.delta != 0);
        CHECK_NUMBER(2, seen);
    } else {
        expect_status(LARDER_EUNSUPPORTED, ask(queue, asked));
    }
    if (has_keys) {
        asked = request(LARDER_OP_DELETE_PATTERN, store, 33, "m[2-9]");
        expect_number(LARDER_OK, 1, ask(queue, asked));
        EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("m2"), LARDER_LIT("x"), LARDER_TEXT, 60000, NULL, ERR));
    }
    asked = request(LARDER_OP_DELETE_MANY, store, 20, "");
    asked.n = 3, asked.keys = keys, asked.key_lens = key_lens;
    expect_number(LARDER_OK, 2, ask(queue, asked));
    expect_number(LARDER_OK, 0, ask(queue, request(LARDER_OP_PURGE_EXPIRED, store, 21, "")));
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("p"), LARDER_LIT("1"), LARDER_JSON, 60000, NULL, ERR));
    if (larder_store_supports(store, LARDER_OP_CLEAR_PREFIX) == LARDER_OK) {
        expect_status(LARDER_OK, ask(queue, request(LARDER_OP_CLEAR_PREFIX, store, 22, "")));
        expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_HAS, store, 23, "p")));
    }
    expect_status(LARDER_OK, ask(queue, request(LARDER_OP_CLEAR_EVERYTHING, store, 24, "")));
    expect_status(LARDER_MISS, ask(queue, request(LARDER_OP_HAS, store, 25, "p")));
    is_empty(queue);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    CHECK_NUMBER(LARDER_EHANDLE, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

/* A wrong request ends the batch, and so does a full queue; what stood before is accepted, the rest gives no event. */
static void refusals(const larder_context *context)
{
    larder_store *store = open_store(context, "memory");
    larder_queue *queue = open_queue(context, 4, 0);
    larder_event events[8];
    size_t accepted = 9, n = 0;
    larder_request batch[6];
    for (uint64_t i = 0; i < 6; i++)
        batch[i] = set_text(store, i, "k", "v");

    EXPECT(LARDER_EBUSY, larder_submit(queue, batch, 6, REQUEST_SIZE, &accepted, ERR));
    CHECK_NUMBER(4, accepted);
    EXPECT(LARDER_EBUSY, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    CHECK_NUMBER(0, accepted);
    EXPECT(LARDER_OK, larder_queue_poll(queue, events, 8, EVENT_SIZE, 0, &n, ERR));
    CHECK_NUMBER(4, n);
    for (uint64_t i = 0; i < 4; i++)
        CHECK(events[i].tag == i && events[i].status == LARDER_OK);
    larder_events_clear(events, n, EVENT_SIZE);

    batch[2].format = 99;
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 4, REQUEST_SIZE, &accepted, ERR));
    CHECK_NUMBER(2, accepted);
    batch[0].operation = 12345;
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    batch[0] = request(LARDER_OP_GET, NULL, 0, "k");
    EXPECT(LARDER_EHANDLE, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    batch[0] = request(LARDER_OP_GET, store, 0, "\xff");
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    batch[0] = request(LARDER_OP_GET, store, 0, "k");
    batch[0].flags = 0x1000;
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    batch[0].flags = LARDER_CALL_NX;
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    batch[0].flags = 0, batch[0].timeout_ms = -1;
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, 8, &accepted, ERR));
    EXPECT(LARDER_EINVAL, larder_submit(queue, NULL, 1, REQUEST_SIZE, &accepted, ERR));
    EXPECT(LARDER_OK, larder_submit(queue, NULL, 0, REQUEST_SIZE, &accepted, ERR));
    EXPECT(LARDER_OK, larder_queue_poll(queue, events, 8, EVENT_SIZE, 0, &n, ERR));
    CHECK_NUMBER(2, n);
    larder_events_clear(events, n, EVENT_SIZE);
    is_empty(queue);

    larder_queue *none = NULL;
    EXPECT(LARDER_EINVAL, larder_queue_open(context, 0, 0, &none, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_open(context, SIZE_MAX, 0, &none, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_open(context, 1, 0, NULL, ERR));
    EXPECT(LARDER_EHANDLE, larder_queue_open((const larder_context *)(const void *)queue, 1, 0, &none, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_poll(queue, events, 8, 16, 0, &n, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_poll(queue, NULL, 8, EVENT_SIZE, 0, &n, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_poll(queue, events, 8, EVENT_SIZE, 0, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_queue_poll(queue, events, 0, EVENT_SIZE, 0, &n, ERR));
    EXPECT(LARDER_EHANDLE, larder_queue_poll(NULL, events, 8, EVENT_SIZE, 0, &n, ERR));
    EXPECT(LARDER_EHANDLE, larder_submit((const larder_queue *)(const void *)store, batch, 1, REQUEST_SIZE, NULL, ERR));
    CHECK_NUMBER(LARDER_EHANDLE, larder_queue_wake(NULL));
    CHECK_NUMBER(LARDER_EHANDLE, larder_queue_close(NULL));
    larder_events_clear(NULL, 0, EVENT_SIZE);
    larder_events_clear(NULL, 3, EVENT_SIZE);
    larder_events_clear(events, 3, 1);

    larder_context *other = open_all("/nonexistent", "-");
    larder_store *strange = open_store(other, "memory");
    batch[0] = request(LARDER_OP_GET, strange, 0, "k");
    EXPECT(LARDER_EINVAL, larder_submit(queue, batch, 1, REQUEST_SIZE, &accepted, ERR));
    EXPECT(LARDER_OK, larder_store_close(strange));
    EXPECT(LARDER_OK, larder_shutdown(other, 1000, ERR));

    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

static int is_readable(int handle)
{
    struct pollfd place = {handle, POLLIN, 0};
    return poll(&place, 1, 0) == 1 && (place.revents & POLLIN);
}

static void wait_handle(const larder_context *context, const char *alias)
{
    larder_store *store = open_store(context, alias);
    larder_queue *queue = open_queue(context, 100, 0);
    int32_t handle = -1, again = -1;
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &handle, ERR));
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &again, ERR));
    CHECK(handle >= 0 && handle == again && !is_readable(handle));
    larder_request batch[2] = {set_text(store, 1, "w", "1"), request(LARDER_OP_GET, store, 2, "w")};
    for (int i = 0; i < times(200); i++) {
        EXPECT(LARDER_OK, larder_submit(queue, batch, 2, REQUEST_SIZE, NULL, ERR));
        for (int left = 2; left > 0; left--) {
            struct pollfd place = {handle, POLLIN, 0};
            CHECK_NUMBER(1, poll(&place, 1, 10000));
            larder_event event = one(queue);
            expect_status(LARDER_OK, event);
        }
        CHECK(!is_readable(handle));
    }
    CHECK_NUMBER(LARDER_OK, larder_queue_wake(queue));
    CHECK(is_readable(handle));
    is_empty(queue);
    CHECK(!is_readable(handle));
    EXPECT(LARDER_EINVAL, larder_queue_wait_handle(queue, NULL, ERR));
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

static void *poll_for_ever(void *queue)
{
    larder_event event;
    size_t n = 0;
    larder_status status = larder_queue_poll(queue, &event, 1, EVENT_SIZE, -1, &n, NULL);
    CHECK_NUMBER(0, n);
    return (void *)(intptr_t)status;
}

static void waking(const larder_context *context)
{
    larder_queue *queue = open_queue(context, 1, 0);
    void *status = NULL;
    pthread_t thread = start(poll_for_ever, queue);
    sleep_ms(20);
    CHECK_NUMBER(LARDER_OK, larder_queue_wake(queue));
    CHECK_NUMBER(0, pthread_join(thread, &status));
    CHECK_NUMBER(LARDER_EMPTY, (intptr_t)status);
    thread = start(poll_for_ever, queue);
    sleep_ms(20);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    CHECK_NUMBER(0, pthread_join(thread, &status));
    CHECK_NUMBER(LARDER_EHANDLE, (intptr_t)status);
}

/* The packed form: one flat buffer; offsets that lead out of it are refused. */
static void packed(const larder_context *context)
{
    larder_store *store = open_store(context, "memory");
    larder_queue *queue = open_queue(context, 8, 0);
    struct {
        larder_packed requests[3];
        uint64_t keys[4];
        char bytes[16];
    } buffer = {0};
    const uint64_t bytes = (uint64_t)((char *)buffer.bytes - (char *)&buffer);
    larder_op ops[3] = {0};
    size_t accepted = 0, n = 0;
    larder_event events[3];
    memcpy(buffer.bytes, "keyvaluek2", 10);
    for (int i = 0; i < 3; i++) {
        buffer.requests[i].store = (uint64_t)(uintptr_t)store;
        buffer.requests[i].tag = 100 + (uint64_t)i;
        buffer.requests[i].ttl_ms = LARDER_TTL_FOREVER;
        buffer.requests[i].key = bytes, buffer.requests[i].key_len = 3;
    }
    buffer.requests[0].operation = LARDER_OP_SET, buffer.requests[0].format = LARDER_TEXT;
    buffer.requests[0].value = bytes + 3, buffer.requests[0].value_len = 5;
    buffer.requests[1].operation = LARDER_OP_GET;
    buffer.requests[2].operation = LARDER_OP_GET_MANY;
    buffer.requests[2].n = 2;
    buffer.requests[2].key = (uint64_t)((char *)buffer.keys - (char *)&buffer), buffer.requests[2].key_len = 0;
    buffer.keys[0] = bytes, buffer.keys[1] = 3, buffer.keys[2] = bytes + 8, buffer.keys[3] = 2;

    EXPECT(LARDER_OK, larder_submit_packed(queue, &buffer, sizeof buffer, 3, sizeof(larder_packed), ops, &accepted, ERR));
    CHECK_NUMBER(3, accepted);
    EXPECT(LARDER_OK, larder_queue_poll(queue, events, 3, EVENT_SIZE, 1000, &n, ERR));
    CHECK_NUMBER(3, n);
    for (int i = 0; i < 3; i++)
        CHECK(events[i].tag == 100 + (uint64_t)i && events[i].op == ops[i] && events[i].status == LARDER_OK);
    CHECK(events[2].n == 2 && events[2].values[0] != NULL && events[2].values[1] == NULL);
    larder_events_clear(&events[2], 1, EVENT_SIZE);
    larder_events_clear(&events[0], 1, EVENT_SIZE);
    expect_text("value", events[1]);

    for (int wrong = 0; wrong < 5; wrong++) {
        larder_packed saved = buffer.requests[0];
        uint64_t *field = wrong == 0   ? &buffer.requests[0].key
                          : wrong == 1 ? &buffer.requests[0].key_len
                          : wrong == 2 ? &buffer.requests[0].value
                          : wrong == 3 ? &buffer.requests[0].value_len
                                       : &buffer.requests[0].version_len;
        *field = wrong % 2 == 0 ? UINT64_MAX - 1 : sizeof buffer;
        EXPECT(LARDER_EINVAL, larder_submit_packed(queue, &buffer, sizeof buffer, 3, sizeof(larder_packed), ops, &accepted, ERR));
        CHECK(accepted == 0 && ops[0] == 0);
        buffer.requests[0] = saved;
    }
    buffer.keys[1] = UINT64_MAX;
    EXPECT(LARDER_EINVAL, larder_submit_packed(queue, &buffer, sizeof buffer, 3, sizeof(larder_packed), NULL, &accepted, ERR));
    CHECK_NUMBER(2, accepted);
    EXPECT(LARDER_OK, larder_queue_poll(queue, events, 3, EVENT_SIZE, 1000, &n, ERR));
    larder_events_clear(events, n, EVENT_SIZE);
    EXPECT(LARDER_EINVAL, larder_submit_packed(queue, &buffer, 200, 3, sizeof(larder_packed), NULL, &accepted, ERR));
    EXPECT(LARDER_EINVAL, larder_submit_packed(queue, NULL, 200, 1, sizeof(larder_packed), NULL, &accepted, ERR));
    EXPECT(LARDER_EINVAL, larder_submit_packed(queue, &buffer, sizeof buffer, SIZE_MAX, sizeof(larder_packed), NULL, &accepted, ERR));
    is_empty(queue);
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

/* What the context accepted is answered when it is shut down, and can be polled after that; then the queue is over. */
static void after_shutdown(const char *folder, const char *url)
{
    larder_context *context = open_all(folder, url);
    larder_store *store = open_store(context, "memory");
    larder_queue *queue = open_queue(context, 8, 0);
    larder_request batch[2] = {set_text(store, 1, "k", "v"), request(LARDER_OP_GET, store, 2, "k")};
    larder_event event;
    size_t n = 0;
    int32_t handle = -1;
    EXPECT(LARDER_OK, larder_queue_wait_handle(queue, &handle, ERR));
    EXPECT(LARDER_OK, larder_submit(queue, batch, 2, REQUEST_SIZE, NULL, ERR));
    EXPECT(LARDER_OK, larder_shutdown(context, 1000, ERR));
    EXPECT(LARDER_ESHUTDOWN, larder_submit(queue, batch, 1, REQUEST_SIZE, NULL, ERR));
    expect_status(LARDER_OK, one(queue));
    expect_text("v", one(queue));
    EXPECT(LARDER_ESHUTDOWN, larder_queue_poll(queue, &event, 1, EVENT_SIZE, -1, &n, ERR));
    CHECK(is_readable(handle)); /* a loop sees the end */
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
}

static void log_records(void)
{
    static const char text[] = "{\"CACHES\": {\"down\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": "
                               "\"redis://127.0.0.1:1/0\", \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": true}}}}";
    larder_context *context = NULL;
    EXPECT(LARDER_OK, larder_open(text, strlen(text), NULL, &context, ERR));
    larder_store *store = open_store(context, "down");
    larder_queue *queue = open_queue(context, 8, LARDER_LOG_WARNING);
    larder_request get = request(LARDER_OP_GET, store, 1, "k");
    int answered = 0, logged = 0;
    EXPECT(LARDER_OK, larder_submit(queue, &get, 1, REQUEST_SIZE, NULL, ERR));
    while (!answered || !logged) {
        larder_event event = one(queue);
        if (event.kind == LARDER_EVENT_LOG) {
            CHECK(event.operation >= LARDER_LOG_WARNING && event.text_len == strlen(event.text));
            logged += strstr(event.text, "IGNORE_EXCEPTIONS") != NULL;
        } else {
            CHECK_NUMBER(LARDER_IGNORED, event.status);
            answered++;
        }
        larder_events_clear(&event, 1, EVENT_SIZE);
    }
    CHECK_NUMBER(LARDER_OK, larder_queue_close(queue));
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 1000, ERR));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    all_operations(context, "memory");
    all_operations(context, "file");
    if (has_redis(argc, argv)) {
        all_operations(context, "redis");
        all_operations(context, "core-redis");
    }
    refusals(context);
    wait_handle(context, has_redis(argc, argv) ? "redis" : "file");
    waking(context);
    packed(context);
    log_records();
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    after_shutdown(argv[1], argv[2]);
    check_nothing_is_open();
    printf("queue: one event for each\n");
    return 0;
}
