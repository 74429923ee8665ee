/* Formats in, kinds and accessors out: bytes, text, numbers of any size, JSON, what is lost, what comes back. */
#include "support.h"

#include <math.h>

static larder_value *value_of(const larder_store *store, const void *data, size_t len, int32_t format)
{
    larder_value *value = NULL;
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("v"), data, len, format, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("v"), NULL, &value, ERR));
    CHECK(value != NULL);
    return value;
}

#define VALUE_OF(literal, format) value_of(store, LARDER_LIT(literal), (format))

/* Pickles of protocol 4, as Python writes them. */
#define PICKLE(literal) value_of(store, LARDER_LIT("\x80\x04" literal), LARDER_STORED)

static void check_json(const larder_value *value, larder_status wanted, const char *json)
{
    const char *shown = NULL;
    size_t len = 0;
    EXPECT(wanted, larder_value_json(value, &shown, &len, ERR));
    if (len != strlen(json) || memcmp(shown, json, len) != 0)
        FAIL("shown as %.*s, not %s", (int)len, shown, json);
}

static void bytes_and_text(const larder_store *store)
{
    const void *bytes = NULL;
    const char *text = NULL;
    char buffer[16];
    size_t len = 0;
    int64_t number = 0;
    larder_value *value = VALUE_OF("a\0\xff", LARDER_BYTES);
    CHECK_NUMBER(LARDER_KIND_BYTES, larder_value_kind(value));
    EXPECT(LARDER_OK, larder_value_bytes(value, &bytes, &len, ERR));
    CHECK(len == 3 && memcmp(bytes, "a\0\xff", 3) == 0);
    EXPECT(LARDER_ETYPE, larder_value_text(value, &text, &len, ERR));
    EXPECT(LARDER_ETYPE, larder_value_int64(value, &number, ERR));
    EXPECT(LARDER_OK, larder_get_into(store, LARDER_LIT("v"), NULL, buffer, sizeof buffer, &len, ERR));
    CHECK(len == 3 && memcmp(buffer, "a\0\xff", 3) == 0);
    larder_value_release(value);

    value = VALUE_OF("\xec\xa0\x84\xec\xa0\x81", LARDER_TEXT);
    CHECK_NUMBER(LARDER_KIND_TEXT, larder_value_kind(value));
    EXPECT(LARDER_OK, larder_value_text(value, &text, &len, ERR));
    CHECK(len == 6 && memcmp(text, "\xec\xa0\x84\xec\xa0\x81", 6) == 0);
    EXPECT(LARDER_ETYPE, larder_value_bytes(value, &bytes, &len, ERR));
    check_json(value, LARDER_OK, "\"\\uc804\\uc801\"");
    EXPECT(LARDER_TRUNCATED, larder_get_into(store, LARDER_LIT("v"), NULL, buffer, 5, &len, ERR));
    CHECK_NUMBER(6, len);
    EXPECT(LARDER_OK, larder_get_into(store, LARDER_LIT("v"), NULL, buffer, 6, &len, ERR));
    larder_value_release(value);

    /* get_into is for bytes and text */
    value = VALUE_OF("[1]", LARDER_JSON);
    EXPECT(LARDER_ETYPE, larder_get_into(store, LARDER_LIT("v"), NULL, buffer, sizeof buffer, &len, ERR));
    larder_value_release(value);
    EXPECT(LARDER_MISS, larder_get_into(store, LARDER_LIT("no such key"), NULL, buffer, sizeof buffer, &len, ERR));
    CHECK_NUMBER(0, len);
}

static void numbers(const larder_store *store)
{
    int64_t number = 0;
    double real = 0;
    larder_value *value = VALUE_OF("-9223372036854775808", LARDER_JSON);
    CHECK_NUMBER(LARDER_KIND_INT, larder_value_kind(value));
    EXPECT(LARDER_OK, larder_value_int64(value, &number, ERR));
    CHECK(number == INT64_MIN);
    larder_value_release(value);

    value = VALUE_OF("123456789012345678901234567890", LARDER_JSON);
    CHECK_NUMBER(LARDER_KIND_INT, larder_value_kind(value));
    EXPECT(LARDER_ETOOBIG, larder_value_int64(value, &number, ERR));
    EXPECT(LARDER_LOSSY, larder_value_double(value, &real, ERR));
    CHECK(fabs(real / 1.2345678901234568e29 - 1) < 1e-15);
    check_json(value, LARDER_OK, "123456789012345678901234567890"); /* all digits */
    larder_value_release(value);

    value = VALUE_OF("1e16", LARDER_JSON);
    CHECK_NUMBER(LARDER_KIND_FLOAT, larder_value_kind(value));
    EXPECT(LARDER_OK, larder_value_double(value, &real, ERR));
    CHECK(real == 1e16);
    EXPECT(LARDER_ETYPE, larder_value_int64(value, &number, ERR));
    check_json(value, LARDER_OK, "1e+16"); /* as Python shows it */
    larder_value_release(value);

    value = VALUE_OF("NaN", LARDER_JSON);
    EXPECT(LARDER_OK, larder_value_double(value, &real, ERR));
    CHECK(isnan(real));
    larder_value_release(value);

    value = VALUE_OF("true", LARDER_JSON);
    CHECK_NUMBER(LARDER_KIND_BOOL, larder_value_kind(value));
    EXPECT(LARDER_LOSSY, larder_value_int64(value, &number, ERR));
    CHECK_NUMBER(1, number);
    check_json(value, LARDER_OK, "true");
    larder_value_release(value);

    value = VALUE_OF("null", LARDER_JSON); /* a stored None is a hit */
    CHECK_NUMBER(LARDER_KIND_NULL, larder_value_kind(value));
    check_json(value, LARDER_OK, "null");
    larder_value_release(value);
}

static void counting(const larder_store *store, int is_core_redis)
{
    int64_t number = 0;
    larder_value *value = NULL, *whole = NULL;
    EXPECT(LARDER_MISS, larder_incr(store, LARDER_LIT("none"), 1, NULL, &number, &whole, ERR));
    CHECK(whole == NULL);
    value = VALUE_OF("40", LARDER_JSON);
    EXPECT(LARDER_OK, larder_incr(store, LARDER_LIT("v"), 3, NULL, &number, NULL, ERR));
    EXPECT(LARDER_OK, larder_incr(store, LARDER_LIT("v"), -1, NULL, &number, &whole, ERR));
    CHECK_NUMBER(42, number);
    EXPECT(LARDER_OK, larder_value_int64(whole, &number, ERR));
    CHECK_NUMBER(42, number);
    larder_value_release(whole);
    larder_value_release(value);

    value = VALUE_OF("\"text\"", LARDER_JSON);
    EXPECT(LARDER_ETYPE, larder_incr(store, LARDER_LIT("v"), 1, NULL, &number, &whole, ERR));
    CHECK(whole == NULL);
    larder_value_release(value);
    if (is_core_redis)
        return; /* its server counts in 64 bits */

    value = VALUE_OF("9223372036854775807", LARDER_JSON);
    EXPECT(LARDER_LOSSY, larder_incr(store, LARDER_LIT("v"), 1, NULL, &number, &whole, ERR));
    CHECK(number == INT64_MAX);
    check_json(whole, LARDER_OK, "9223372036854775808");
    larder_value_release(whole);
    larder_value_release(value);

    value = VALUE_OF("1.5", LARDER_JSON);
    EXPECT(LARDER_LOSSY, larder_incr(store, LARDER_LIT("v"), 1, NULL, &number, &whole, ERR));
    check_json(whole, LARDER_OK, "2.5");
    larder_value_release(whole);
    larder_value_release(value);
}

/* JSON goes through unchanged, in Python's own form; setting what was shown stores an equal value. */
static void json(const larder_store *store)
{
    static const char *const shown[] = {
        "{}", "[]", "\"\"", "0", "-1", "1.0", "1e-07", "false", "[1, [2, [3, []]]]", "{\"b\": 1, \"a\": {\"c\": null}}",
        "{\"\\u00e9\": \"\\ud83d\\ude00\", \"quote\": \"\\\"\\\\\\n\"}",
    };
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        larder_value *value = value_of(store, shown[i], strlen(shown[i]), LARDER_JSON);
        check_json(value, LARDER_OK, shown[i]);
        larder_value_release(value);
    }
    larder_value *value = VALUE_OF(" { \"a\" : [ 1 , 2 ] } ", LARDER_JSON);
    CHECK_NUMBER(LARDER_KIND_DICT, larder_value_kind(value));
    check_json(value, LARDER_OK, "{\"a\": [1, 2]}");
    larder_value_release(value);
}

/* What JSON lacks is shown with a loss, and says so; it is never made into what it was. */
static void lossy(const larder_store *store)
{
    const void *bytes = NULL;
    const char *text = NULL;
    size_t len = 0;
    larder_value *value = PICKLE("K\x01K\x02\x86\x94."); /* (1, 2) */
    CHECK_NUMBER(LARDER_KIND_LIST, larder_value_kind(value));
    check_json(value, LARDER_LOSSY, "[1, 2]");
    larder_value_release(value);

    value = PICKLE("\x8c\x08" "builtins\x94\x8c\x09" "bytearray\x94\x93\x94" "C\x02hi\x94\x85\x94R\x94.");
    CHECK_NUMBER(LARDER_KIND_BYTES, larder_value_kind(value));
    EXPECT(LARDER_LOSSY, larder_value_bytes(value, &bytes, &len, ERR));
    CHECK(len == 2 && memcmp(bytes, "hi", 2) == 0);
    larder_value_release(value);

    value = PICKLE("\x8c\x07" "decimal\x94\x8c\x07" "Decimal\x94\x93\x94\x8c\x04" "1.50\x94\x85\x94R\x94.");
    CHECK_NUMBER(LARDER_KIND_OTHER, larder_value_kind(value));
    EXPECT(LARDER_LOSSY, larder_value_text(value, &text, &len, ERR));
    CHECK(len == 4 && memcmp(text, "1.50", 4) == 0);
    larder_value_release(value);

    /* os.system("exit 1"): shown as data with its name, never called */
    value = PICKLE("\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x06" "exit 1\x94\x85\x94R\x94.");
    CHECK_NUMBER(LARDER_KIND_OTHER, larder_value_kind(value));
    EXPECT(LARDER_LOSSY, larder_value_json(value, &text, &len, ERR));
    CHECK(memmem(text, len, "os", 2) != NULL && memmem(text, len, "system", 6) != NULL);
    larder_value_release(value);
}

/* One text of a dict; and the flags, which this backend does not keep. */
static void items(const larder_store *store)
{
    const char *text = NULL;
    size_t len = 0;
    uint32_t flags = 77;
    larder_value *value = VALUE_OF("{\"id\": \"7\", \"empty\": \"\", \"n\": 7, \"\": \"nameless\", \"\\u00e9\": \"e\"}", LARDER_JSON);
    EXPECT(LARDER_OK, larder_value_item_text(value, LARDER_LIT("id"), &text, &len, ERR));
    CHECK(len == 1 && text[0] == '7');
    EXPECT(LARDER_OK, larder_value_item_text(value, LARDER_LIT("empty"), &text, &len, ERR));
    CHECK(len == 0);
    EXPECT(LARDER_OK, larder_value_item_text(value, NULL, 0, &text, &len, ERR));
    CHECK(len == 8 && memcmp(text, "nameless", 8) == 0);
    EXPECT(LARDER_OK, larder_value_item_text(value, LARDER_LIT("\xc3\xa9"), &text, &len, ERR));
    CHECK(len == 1 && text[0] == 'e');
    EXPECT(LARDER_ETYPE, larder_value_item_text(value, LARDER_LIT("n"), &text, &len, ERR));
    CHECK(text == NULL && len == 0);
    EXPECT(LARDER_MISS, larder_value_item_text(value, LARDER_LIT("i"), &text, &len, ERR));
    CHECK(text == NULL && len == 0);
    EXPECT(LARDER_OK, larder_value_flags(value, &flags, ERR));
    CHECK_NUMBER(0, flags);
    larder_value_release(value);

    value = VALUE_OF("[\"id\", \"7\"]", LARDER_JSON); /* no dict, though it has the words */
    EXPECT(LARDER_ETYPE, larder_value_item_text(value, LARDER_LIT("id"), &text, &len, ERR));
    larder_value_release(value);

    /* the last of equal keys; a surrogate is no UTF-8; a SafeString is not what would be stored */
    value = PICKLE("}(\x8c\x02id\x8c\x01" "6\x8c\x02id\x8c\x01" "7\x8c\x01s\x8c\x03\xed\xa0\x80u.");
    EXPECT(LARDER_OK, larder_value_item_text(value, LARDER_LIT("id"), &text, &len, ERR));
    CHECK(len == 1 && text[0] == '7');
    EXPECT(LARDER_ETYPE, larder_value_item_text(value, LARDER_LIT("s"), &text, &len, ERR));
    larder_value_release(value);
    value = value_of(store, LARDER_LIT("\x80\x04}"), LARDER_STORED);
    EXPECT(LARDER_EUNDECODABLE, larder_value_item_text(value, LARDER_LIT("id"), &text, &len, ERR));
    larder_value_release(value);
}

/* What cannot be read is its own status, and its bytes are there all the same. */
static void undecodable(const larder_store *store)
{
    static const char *const broken[] = {"\x80\x04", "\x80\x04]", "garbage",
                                         "\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."};
    static const size_t lens[] = {2, 3, 7, 12};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        larder_value *value = value_of(store, broken[i], lens[i], LARDER_STORED);
        const char *shown = NULL;
        const void *stored = NULL;
        char buffer[16];
        size_t len = 0;
        CHECK_NUMBER(LARDER_EUNDECODABLE, larder_value_kind(value));
        EXPECT(LARDER_EUNDECODABLE, larder_value_json(value, &shown, &len, ERR));
        EXPECT(LARDER_EUNDECODABLE, larder_get_into(store, LARDER_LIT("v"), NULL, buffer, sizeof buffer, &len, ERR));
        EXPECT(LARDER_OK, larder_value_stored(value, &stored, &len, ERR));
        CHECK(len == lens[i] && memcmp(stored, broken[i], len) == 0);
        larder_value_release(value);
    }
}

/* The stored bytes, set again, are the same value, whatever it is. */
static void stored_round_trip(const larder_store *store, const larder_store *other)
{
    static const char set_of_one[] = "\x80\x04\x8f\x94(K\x01\x90.";
    larder_value *value = value_of(store, TEXT_OF(set_of_one), LARDER_STORED), *copy = NULL;
    const void *stored = NULL, *again = NULL;
    size_t len = 0, again_len = 0;
    EXPECT(LARDER_OK, larder_value_stored(value, &stored, &len, ERR));
    CHECK(len == sizeof set_of_one - 1 && memcmp(stored, set_of_one, len) == 0);
    EXPECT(LARDER_OK, larder_set(other, LARDER_LIT("copy"), stored, len, LARDER_STORED, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(other, LARDER_LIT("copy"), NULL, &copy, ERR));
    EXPECT(LARDER_OK, larder_value_stored(copy, &again, &again_len, ERR));
    CHECK(again_len == len && memcmp(again, stored, len) == 0);
    check_json(copy, LARDER_LOSSY, "[1]");
    larder_value *shared = larder_value_retain(copy);
    larder_value_release(copy);
    check_json(shared, LARDER_LOSSY, "[1]"); /* a retained value lives */
    larder_value_release(shared);
    larder_value_release(value);
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    larder_context *context = open_all(argv[1], argv[2]);
    larder_store *memory = open_store(context, "memory");
    const char *aliases[] = {"memory", "file", "redis", "core-redis"};
    for (int i = 0; i < (has_redis(argc, argv) ? 4 : 2); i++) {
        larder_store *store = open_store(context, aliases[i]);
        puts(aliases[i]);
        bytes_and_text(store);
        numbers(store);
        counting(store, strcmp(aliases[i], "core-redis") == 0);
        json(store);
        lossy(store);
        items(store);
        undecodable(store);
        stored_round_trip(store, memory);
        EXPECT(LARDER_OK, larder_store_close(store));
    }
    EXPECT(LARDER_OK, larder_store_close(memory));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    puts("values: as they were");
    return 0;
}
