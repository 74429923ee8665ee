/*
 * Plug-ins: what can be registered and what not, what an unknown name says, what becomes of functions that fail, write too
 * much or what is no text, and that everything is freed exactly once, in whatever order it goes.
 */
#include "plugins.h"

/* ---- registering ---- */

static void names_and_tables(void)
{
    static const char *const bad[] = {"", "test", ".", "test.", ".x", "a..b", "a b.c", "larder.x", "django.x.Y",
                                      "django_redis.x", "django_valkey.x", NULL};
    own_data own = {0};
    larder_backend_table backend = own_backend(), broken;
    larder_key_function_table keys = own_keys;
    larder_serializer_table serializer = own_serializer;
    larder_compressor_table compressor = own_compressor;
    struct {
        larder_key_function_table table;
        void *unknown;
    } larger = {own_keys, NULL};

    for (int i = 0; bad[i] != NULL; i++)
        EXPECT(LARDER_EINVAL, larder_register_backend(bad[i], &backend, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "name is NULL", larder_register_key_function(NULL, &keys, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "dotted name", larder_register_key_function("keys", &keys, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "larder's", larder_register_key_function("larder.keys", &keys, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "table is NULL", larder_register_key_function("a.b", NULL, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "table is NULL", larder_register_serializer("a.b", NULL, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "table is NULL", larder_register_compressor("a.b", NULL, &own, ERR));
    EXPECT_WORDS(LARDER_EINVAL, "table is NULL", larder_register_backend("a.b", NULL, &own, ERR));
    keys.make = NULL;
    EXPECT_WORDS(LARDER_EINVAL, "needs make", larder_register_key_function("a.b", &keys, &own, ERR));
    serializer.loads = NULL;
    EXPECT_WORDS(LARDER_EINVAL, "needs dumps and loads", larder_register_serializer("a.b", &serializer, &own, ERR));
    compressor.compress = NULL;
    EXPECT_WORDS(LARDER_EINVAL, "needs compress", larder_register_compressor("a.b", &compressor, &own, ERR));
    broken = backend;
    broken.open = NULL;
    EXPECT_WORDS(LARDER_EINVAL, "needs open", larder_register_backend("a.b", &broken, &own, ERR));
    broken = backend;
    broken.delete_key = NULL;
    EXPECT_WORDS(LARDER_EINVAL, "needs delete_key", larder_register_backend("a.b", &broken, &own, ERR));
    for (uint32_t size = 0; size < sizeof backend; size += 4) {
        broken = backend;
        broken.struct_size = size;
        EXPECT_WORDS(LARDER_EINVAL, "struct_size", larder_register_backend("a.b", &broken, &own, ERR));
    }

    /* a program of the future: what is not known may be there, but not be used */
    larger.table.struct_size = sizeof larger;
    larger.table.free_user_data = NULL; /* optional */
    EXPECT(LARDER_OK, larder_register_key_function("a.b", &larger.table, NULL, ERR));
    EXPECT(LARDER_OK, larder_unregister("a.b", ERR));
    larger.table.free_user_data = own_free;
    larger.unknown = &own;
    EXPECT_WORDS(LARDER_EINVAL, "does not know", larder_register_key_function("a.c", &larger.table, &own, ERR));
    CHECK_NUMBER(0, own.freed); /* what was refused is still ours */

    EXPECT(LARDER_EINVAL, larder_unregister(NULL, ERR));
    EXPECT(LARDER_MISS, larder_unregister("a.c", ERR));
    EXPECT(LARDER_MISS, larder_unregister("", ERR));
}

static void wrong(const char *text, const char *words)
{
    larder_context *context = NULL;
    EXPECT_WORDS(LARDER_ECONFIG, words, larder_open(text, strlen(text), NULL, &context, ERR));
    CHECK(context == NULL);
}

/* A wrong name that only the alias cannot be opened with. */
static void lacking(const char *text, const char *words)
{
    larder_context *context = open_text(text);
    larder_store *store = NULL;
    EXPECT_WORDS(LARDER_ECONFIG, words, larder_store_open(context, "default", &store, ERR));
    shut_down(context);
}

#define REDIS "\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:1/0\""
#define CORE "\"BACKEND\": \"django.core.cache.backends.redis.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:1/0\""

static void unknown_names(void)
{
    own_all all;

    wrong("{\"default\": {\"BACKEND\": \"test.Backend\"}}", "nobody has registered it (larder_register_backend does");
    register_all(&all);
    wrong("{\"default\": {\"BACKEND\": \"test.Bakcend\"}}", "default.BACKEND: \"test.Bakcend\" is not a backend that larder"
                                                            " knows, and nobody has registered it (larder_register_backend"
                                                            " does, before the configuration is opened);"
                                                            " did you mean test.Backend?");
    wrong("{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCach\"}}",
          "did you mean django.core.cache.backends.locmem.LocMemCache?");
    wrong("{\"default\": {\"BACKEND\": \"nothing.like.that\"}}", "it knows test.Backend, django.core.");
    wrong("{\"default\": {\"BACKEND\": \"test.Backend\", \"KEY_FUNCTION\": \"test.kyes\"}}",
          "(larder_register_key_function does, before the configuration is opened), not \"test.kyes\";"
          " did you mean test.keys?");
    wrong("{\"default\": {\"BACKEND\": \"test.Backend\", \"KEY_FUNCTION\": \"larder.asis\"}}", "did you mean larder.as_is?");
    wrong("{\"default\": {\"BACKEND\": \"test.Backend\", \"REVERSE_KEY_FUNCTION\": \"test.kyes\"}}",
          "did you mean test.keys?");
    wrong("{\"default\": {" REDIS ", \"REVERSE_KEY_FUNCTION\": \"test.kyes\"}}", "did you mean test.keys?");
    lacking("{\"default\": {" REDIS ", \"OPTIONS\": {\"SERIALIZER\": \"test.Serialiser\"}}}",
            "default.OPTIONS.SERIALIZER: nobody has registered a serializer \"test.Serialiser\" (larder_register_serializer"
            " does, before the configuration is opened); did you mean test.Serializer?");
    lacking("{\"default\": {" REDIS ", \"OPTIONS\": {\"COMPRESSOR\": \"test.Compresor\"}}}",
            "nobody has registered a compressor \"test.Compresor\" (larder_register_compressor does, before the"
            " configuration is opened); did you mean test.Compressor?");
    wrong("{\"default\": {" REDIS ", \"OPTIONS\": {\"SERIALIZER\": \"django_redis.serializers.json.JsonSerializer\"}}}",
          "did you mean django_redis.serializers.json.JSONSerializer?");
    lacking("{\"default\": {" CORE ", \"OPTIONS\": {\"serializer\": \"test.Serialiser\"}}}", "did you mean test.Serializer?");
    lacking("{\"default\": {\"BACKEND\": \"test.Backend\", \"OPTIONS\": {\"SERIALIZER\": \"test.Keys\"}}}",
            "nobody has registered a serializer \"test.Keys\" (larder_register_serializer does, before the configuration is"
            " opened); there are test.Serializer, django_redis.serializers.pickle.PickleSerializer, ");
    lacking("{\"default\": {" REDIS ", \"OPTIONS\": {\"SERIALIZER\": \"json.JSONSerializer\"}}}",
            "did you mean django_redis.serializers.json.JSONSerializer?");
    lacking("{\"default\": {" REDIS ", \"OPTIONS\": {\"COMPRESSOR\": \"nothing.like.that\"}}}",
            "; there are test.Compressor, django_redis.compressors.identity.IdentityCompressor, ");
    CHECK_NUMBER(0, all.backend.opened);
    unregister_all();
    check_all_freed(&all);
}

/* ---- what they do when all is well ---- */

static void they_work(void)
{
    own_all all;
    larder_context *context;
    larder_store *store;
    larder_value *value = NULL;
    larder_cursor *cursor = NULL;
    const void *stored = NULL;
    size_t len = 0;
    int64_t number = 0;
    uint64_t removed = 0;
    char key[64];

    register_all(&all);
    context = open_own();
    store = open_store(context, "default");
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("text"), LARDER_LIT("caf\xc3\xa9"), LARDER_TEXT, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("bytes"), "\xff\0", 2, LARDER_BYTES, LARDER_TTL_FOREVER, NULL, ERR));
    EXPECT(LARDER_OK,
           larder_set(store, LARDER_LIT("json"), LARDER_LIT("[1,{\"a\":2.5}]"), LARDER_JSON, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("empty"), "", 0, LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, ERR));
    CHECK_JSON("\"caf\\u00e9\"", store, "text");
    CHECK_JSON("[1, {\"a\": 2.5}]", store, "json");
    CHECK_JSON("\"\"", store, "empty");
    CHECK_JSON("{\"$bytes\": \"/wA=\"}", store, "bytes");
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("json"), NULL, &value, ERR));
    EXPECT(LARDER_OK, larder_value_stored(value, &stored, &len, ERR));
    CHECK(len == 18 && memcmp(stored, "<<3[1, {\"a\": 2.5}]", 18) == 0); /* longer than 8 bytes: compressed */
    larder_value_release(value);
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("text"), NULL, &value, ERR));
    EXPECT(LARDER_OK, larder_value_stored(value, &stored, &len, ERR));
    CHECK(len == 6 && memcmp(stored, "2caf\xc3\xa9", 6) == 0);
    larder_value_release(value);

    /* counting: there is no incr, so that larder adds; numbers come as JSON */
    EXPECT(LARDER_OK, larder_set(store, LARDER_LIT("n"), LARDER_LIT("41"), LARDER_JSON, 60000, NULL, ERR));
    EXPECT(LARDER_OK, larder_incr(store, LARDER_LIT("n"), 1, NULL, &number, NULL, ERR));
    CHECK_NUMBER(42, number);
    EXPECT(LARDER_OK, larder_incr_version(store, LARDER_LIT("n"), 1, NULL, &number, ERR));
    CHECK_NUMBER(2, number);
    EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("n"), NULL, ERR));

    /* the key that the backend has: version 2, and a prefix with a wild card, which stands for itself in patterns */
    EXPECT(LARDER_OK, larder_has(store, LARDER_LIT("2!p*!n"), &(larder_call){sizeof(larder_call), LARDER_CALL_FINAL_KEY, 0, NULL, 0}, ERR));
    EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("*t*"), NULL, &cursor, ERR));
    removed = 0;
    while (larder_cursor_next(cursor, key, sizeof key, &len, NULL) == LARDER_OK) {
        CHECK((len == 4 && memcmp(key, "text", 4) == 0) || (len == 5 && memcmp(key, "bytes", 5) == 0) ||
              (len == 5 && memcmp(key, "empty", 5) == 0));
        removed++;
    }
    CHECK_NUMBER(3, removed);
    larder_cursor_close(cursor);

    /* what a table without the functions for it cannot do */
    EXPECT(LARDER_EUNSUPPORTED, larder_ttl(store, LARDER_LIT("text"), NULL, &number, ERR));
    CHECK_NUMBER(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_TTL));
    CHECK_NUMBER(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_LOCK));
    CHECK_NUMBER(LARDER_OK, larder_store_supports(store, LARDER_OP_KEYS));
    CHECK_NUMBER(LARDER_EUNSUPPORTED, larder_store_supports(store, LARDER_OP_CLEAR_PREFIX)); /* for its key function */
    EXPECT_WORDS(LARDER_EUNSUPPORTED, "only the key function \"test.keys\" knows what its keys begin with",
                 larder_clear(store, LARDER_CLEAR_PREFIX, NULL, ERR));
    EXPECT(LARDER_OK, larder_clear(store, LARDER_CLEAR_EVERYTHING, NULL, ERR)); /* by its listing */
    EXPECT(LARDER_MISS, larder_has(store, LARDER_LIT("text"), NULL, ERR));
    EXPECT(LARDER_OK, larder_store_ping(store, NULL, ERR));
    CHECK_NUMBER(LARDER_OK, larder_store_close(store));
    shut_down(context);
    unregister_all();
    check_all_freed(&all);
    forget_everything();
}

/* A key function without a way back. */
static void no_way_back(void)
{
    larder_key_function_table keys = own_keys;
    larder_call final_key = LARDER_CALL_INIT;
    larder_context *context;
    larder_store *store;
    larder_cursor *cursor = NULL;
    own_all all;

    register_all(&all);
    keys.reverse = NULL;
    EXPECT(LARDER_OK, larder_register_key_function("test.keys", &keys, &all.keys, ERR));
    CHECK_NUMBER(1, all.keys.freed); /* what it replaces nobody uses */
    context = open_own();
    store = open_store(context, "default");
    EXPECT_WORDS(LARDER_EUNSUPPORTED, "no way back", larder_keys(store, LARDER_LIT("*"), NULL, &cursor, ERR));
    final_key.flags = LARDER_CALL_FINAL_KEY;
    EXPECT(LARDER_OK, larder_keys(store, LARDER_LIT("*"), &final_key, &cursor, ERR));
    larder_cursor_close(cursor);
    larder_store_close(store);
    shut_down(context);
    unregister_all();
    CHECK_NUMBER(2, all.keys.freed);
    forget_everything();
}

/* ---- functions that fail ---- */

static larder_sink *kept_sink;

static larder_status keep_sink(larder_sink *sink)
{
    kept_sink = sink;
    return larder_sink_write(sink, "2x", 2);
}

static larder_status write_key_to_bytes(larder_sink *sink)
{
    CHECK_NUMBER(LARDER_EINVAL, larder_sink_write_key(sink, "x", 1));
    return LARDER_OK; /* it fails all the same */
}

static larder_status write_null(larder_sink *sink)
{
    CHECK_NUMBER(LARDER_OK, larder_sink_write(sink, NULL, 0));
    CHECK_NUMBER(LARDER_EINVAL, larder_sink_write(sink, NULL, 1));
    CHECK_NUMBER(LARDER_EHANDLE, larder_sink_write(NULL, "x", 1));
    CHECK_NUMBER(LARDER_EINVAL, larder_plugin_reason("\xff", 1));
    CHECK_NUMBER(LARDER_EINVAL, larder_plugin_reason("", 0));
    CHECK_NUMBER(LARDER_EINVAL, larder_plugin_reason(NULL, 1));
    return LARDER_OK;
}

static void *write_elsewhere(void *sink)
{
    CHECK_NUMBER(LARDER_EHANDLE, larder_sink_write(sink, "x", 1));
    CHECK_NUMBER(LARDER_EHANDLE, larder_plugin_reason(LARDER_LIT("x")));
    return NULL;
}

static larder_status another_thread(larder_sink *sink)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, write_elsewhere, sink) == 0 && pthread_join(thread, NULL) == 0);
    return larder_sink_write(sink, "2x", 2);
}

static larder_status put_text(larder_store *store)
{
    return larder_set(store, LARDER_LIT("k"), LARDER_LIT("a text of some length"), LARDER_TEXT, 60000, NULL, ERR);
}

static larder_status show(larder_store *store)
{
    larder_value *value = NULL;
    const char *json = NULL;
    size_t len = 0;
    larder_status status = larder_get(store, LARDER_LIT("k"), NULL, &value, ERR);
    if (status == LARDER_OK)
        status = larder_value_json(value, &json, &len, ERR);
    larder_value_release(value);
    return status;
}

static void failures(void)
{
    static char much[2000];
    static const struct {
        larder_status answer, status;
        const char *words;
    } answers[] = {
        {LARDER_ECONNECTION, LARDER_ECONNECTION, "failed with LARDER_ECONNECTION"},
        {LARDER_ETIMEOUT, LARDER_ETIMEOUT, "failed with LARDER_ETIMEOUT"},
        {LARDER_EBUSY, LARDER_EBUSY, "a retry can help"},
        {LARDER_ETYPE, LARDER_ETYPE, "LARDER_ETYPE"},
        {LARDER_EHANDLE, LARDER_ESERVER, "failed with LARDER_EHANDLE"}, /* it is no handle of larder's caller */
        {LARDER_EPANIC, LARDER_ESERVER, "LARDER_EPANIC"},
        {-999, LARDER_ESERVER, "failed with -999"},
        {INT32_MIN, LARDER_ESERVER, "failed with -2147483648"},
        {LARDER_LOSSY, LARDER_ESERVER, "with 9 (LARDER_LOSSY), which means nothing there"},
        {77, LARDER_ESERVER, "answered its get with 77 (unknown status)"},
        {LARDER_MISS, LARDER_MISS, ""},
    };
    own_all all;
    larder_context *context;
    larder_store *store, *second = NULL;

    memset(much, 'x', sizeof much);
    register_all(&all);
    context = open_own();
    all.backend.answer = LARDER_EIO;
    EXPECT_WORDS(LARDER_EIO, "open on alias 'default': the backend \"test.Backend\" failed with LARDER_EIO",
                 larder_store_open(context, "default", &second, ERR));
    all.backend.answer = -999;
    EXPECT(LARDER_ECONFIG, larder_store_open(context, "default", &second, ERR));
    all.backend.answer = 0;
    CHECK(second == NULL && all.backend.opened == 0);
    store = open_store(context, "default");
    EXPECT(LARDER_OK, put_text(store));

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        all.backend.answer = answers[i].answer;
        EXPECT_WORDS(answers[i].status, answers[i].words, show(store));
    }
    all.backend.answer = LARDER_ECONNECTION;
    all.backend.reason = "the\nshelf is away";
    EXPECT_WORDS(LARDER_ECONNECTION, "get on alias 'default': the backend \"test.Backend\": the shelf is away", show(store));
    EXPECT_WORDS(LARDER_ECONNECTION, "the operation may have been carried out", put_text(store));
    memset(&all.backend, 0, offsetof(own_data, opened));
    all.backend.answer = 0;
    all.backend.reason = "not told where nothing fails";
    EXPECT(LARDER_OK, show(store));
    all.backend.reason = NULL;
    all.backend.written = much;
    all.backend.written_len = sizeof much;
    EXPECT_WORDS(LARDER_ETOOBIG, "the backend \"test.Backend\": it writes more than 1000 bytes", show(store));
    all.backend.written = NULL;

    /* keys */
    all.keys.answer = -5;
    EXPECT_WORDS(LARDER_ETYPE, "get on alias 'default': the key function \"test.keys\" failed", show(store));
    all.keys.answer = -4321;
    EXPECT(LARDER_EINVAL, show(store));
    all.keys.answer = LARDER_MISS;
    EXPECT(LARDER_ESERVER, show(store));
    all.keys.answer = 0;
    all.keys.written = "\xc3(";
    all.keys.written_len = 2;
    EXPECT_WORDS(LARDER_EINVAL, "makes a key that is not UTF-8", show(store));
    all.keys.written = NULL;

    /* serializers */
    all.serializer.answer = -4321;
    EXPECT_WORDS(LARDER_ETYPE, "set on alias 'default': the serializer \"test.Serializer\" failed with -4321", put_text(store));
    EXPECT(LARDER_EUNDECODABLE, show(store));
    all.serializer.answer = 0;
    all.serializer.format = 17;
    EXPECT_WORDS(LARDER_EUNDECODABLE, "says format 17, which is none", show(store));
    all.serializer.written = "\xff";
    all.serializer.written_len = 1;
    all.serializer.format = LARDER_TEXT;
    EXPECT_WORDS(LARDER_EUNDECODABLE, "not UTF-8", show(store));
    all.serializer.format = LARDER_JSON;
    EXPECT_WORDS(LARDER_EUNDECODABLE, "the serializer \"test.Serializer\" gives what it does not say it is", show(store));
    all.serializer.written = much;
    all.serializer.written_len = sizeof much;
    EXPECT(LARDER_ETOOBIG, show(store));
    EXPECT(LARDER_ETOOBIG, put_text(store));
    all.serializer.written = NULL;
    all.serializer.format = 0;
    all.serializer.hook = write_key_to_bytes;
    EXPECT_WORDS(LARDER_EINVAL, "this sink takes bytes, not keys", put_text(store));
    all.serializer.hook = write_null;
    EXPECT_WORDS(LARDER_EINVAL, "data is NULL", put_text(store));
    all.serializer.hook = another_thread;
    EXPECT(LARDER_OK, put_text(store));
    all.serializer.hook = keep_sink;
    EXPECT(LARDER_OK, put_text(store));
    all.serializer.hook = NULL;
    CHECK_NUMBER(LARDER_EHANDLE, larder_sink_write(kept_sink, "x", 1)); /* its call has returned */
    CHECK_NUMBER(LARDER_EHANDLE, larder_sink_write((larder_sink *)&all, "x", 1));
    CHECK_NUMBER(LARDER_EHANDLE, larder_plugin_reason(LARDER_LIT("x")));
    EXPECT(LARDER_OK, put_text(store));

    /* compressors */
    all.compressor.answer = -4321;
    EXPECT_WORDS(LARDER_ESERVER, "the compressor \"test.Compressor\"", put_text(store));
    EXPECT(LARDER_EUNDECODABLE, show(store));
    all.compressor.answer = LARDER_MISS; /* taken as it is, which the serializer cannot read: DR-11 */
    EXPECT_WORDS(LARDER_EUNDECODABLE, "serializer", show(store));
    EXPECT_WORDS(LARDER_ESERVER, "answered its compress with 1", put_text(store));
    all.compressor.answer = 0;
    all.compressor.written = much;
    all.compressor.written_len = sizeof much;
    EXPECT_WORDS(LARDER_ETOOBIG, "more than 1000 bytes", show(store));
    all.compressor.written = NULL;
    EXPECT(LARDER_OK, show(store));
    larder_store_close(store);
    shut_down(context);
    unregister_all();
    check_all_freed(&all);
    forget_everything();
}

/* ---- the end ---- */

static void freed_in_every_order(void)
{
    for (int order = 0; order < 8; order++) {
        own_all all, again;
        larder_context *context, *other;
        larder_store *store;
        larder_value *value = NULL;

        register_all(&all);
        context = open_own();
        other = open_text("{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}");
        store = open_store(context, "default");
        EXPECT(LARDER_OK, put_text(store));
        EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("k"), NULL, &value, ERR));
        if (order & 1)
            unregister_all(); /* before it is closed: it goes on */
        else
            register_all(&again); /* replaced */
        CHECK_NUMBER(0, all.keys.freed + all.serializer.freed + all.compressor.freed + all.backend.freed);
        EXPECT(LARDER_OK, show(store));
        if (order & 2) {
            CHECK_NUMBER(LARDER_OK, larder_store_close(store));
            shut_down(context);
        } else {
            shut_down(context);
            CHECK_NUMBER(LARDER_OK, larder_store_close(store));
        }
        CHECK_NUMBER(1, all.backend.opened);
        CHECK_NUMBER(1, all.backend.closed);
        CHECK_NUMBER(1, all.backend.freed);
        CHECK_NUMBER(1, all.keys.freed);
        if (order & 4) {
            const char *json = NULL;
            size_t len = 0;
            CHECK_NUMBER(0, all.serializer.freed + all.compressor.freed); /* the value has not been looked into yet */
            EXPECT(LARDER_OK, larder_value_json(value, &json, &len, ERR));
            CHECK(len == 23);
        }
        larder_value_release(value);
        check_all_freed(&all);
        if (!(order & 1)) {
            unregister_all();
            check_all_freed(&again);
        }
        shut_down(other); /* it names none of them, so it keeps none */
        forget_everything();
    }
}

int main(void)
{
    names_and_tables();
    unknown_names();
    they_work();
    no_way_back();
    failures();
    freed_in_every_order();
    check_nothing_is_open();
    printf("plugins: they do what they say, and go once\n");
    return 0;
}
