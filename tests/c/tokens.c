/* Tokens: built one by one as from JSON, ready-made, in both forms; what they show; misuse, which stays an error. */
#include "support.h"

#include <math.h>

static const char hide[] = "lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}";

/* A token's text is this. */
static void check_text(const larder_token *token, const char *wanted)
{
    const char *text = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_token_text(token, &text, &len, ERR));
    if (len != strlen(wanted) || memcmp(text, wanted, len) != 0)
        FAIL("the token is %.*s, not %s", (int)len, text, wanted);
}

/* What an accessor showed is this. */
#define CHECK_SHOWN(wanted, text, len)                                                                                 \
    CHECK((len) == strlen(wanted) && ((len) == 0 || memcmp((text), (wanted), (len)) == 0))

static larder_token *from_json(const char *params, const char *queries, const larder_token_options *options)
{
    larder_token *token = NULL;
    EXPECT(LARDER_OK, larder_token_new("lol", "na1", "m", params, strlen(params), queries, strlen(queries), options,
                                       &token, ERR));
    CHECK(token != NULL);
    return token;
}

static larder_token *begun(const larder_token_options *options)
{
    larder_token *token = NULL;
    EXPECT(LARDER_OK, larder_token_begin("lol", "na1", "m", options, &token, ERR));
    CHECK(token != NULL);
    return token;
}

static void first_of_all(void)
{
    larder_token *token = NULL;
    EXPECT(LARDER_OK, larder_token_begin("LOL", "NA1", "summoner_v4_by_name", NULL, &token, ERR));
    EXPECT(LARDER_OK, larder_token_param_text(token, "name", LARDER_LIT("Hide on bush"), ERR));
    check_text(token, hide);
    larder_token_release(token);

    EXPECT(LARDER_OK, larder_token_new("lol", "na1", "summoner_v4_by_name", LARDER_LIT("{\"name\": \"Hide on bush\"}"),
                                       NULL, 0, NULL, &token, ERR));
    check_text(token, hide);
    larder_token_release(token);

    EXPECT(LARDER_OK, larder_token_ready(TEXT_OF(hide), &token, ERR));
    check_text(token, hide);
    larder_token_release(token);

    EXPECT(LARDER_OK, larder_token_new("lol", NULL, "m", NULL, 0, NULL, 0, NULL, &token, ERR));
    check_text(token, "lolm{}{}");
    larder_token_release(token);
}

/* Every kind of value, and the same as JSON. */
static void builder_is_json(int32_t form)
{
    static const char params[] = "{\"text\": \"it's \\\"both\\\" \\u200b\", \"int\": -9223372036854775808, \"float\": 1e16,"
                                 "\"nan\": NaN, \"yes\": true, \"no\": false, \"none\": null,"
                                 "\"json\": [420, {\"a b\": 1.0}]}";
    static const char queries[] = "{\"text\": \"\", \"int\": 7, \"float\": 0.1, \"inf\": -Infinity, \"yes\": true,"
                                  "\"no\": false, \"none\": null, \"json\": []}";
    larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;
    options.form = form;
    options.unicode = "14.0";
    larder_token *token = begun(&options);
    EXPECT(LARDER_OK, larder_token_param_text(token, "text", LARDER_LIT("it's \"both\" \xe2\x80\x8b"), ERR));
    EXPECT(LARDER_OK, larder_token_param_int(token, "int", 1, ERR));
    EXPECT(LARDER_OK, larder_token_param_float(token, "float", 1e16, ERR));
    EXPECT(LARDER_OK, larder_token_param_float(token, "nan", NAN, ERR));
    EXPECT(LARDER_OK, larder_token_param_bool(token, "yes", 2, ERR));
    EXPECT(LARDER_OK, larder_token_param_bool(token, "no", 0, ERR));
    EXPECT(LARDER_OK, larder_token_param_null(token, "none", ERR));
    EXPECT(LARDER_OK, larder_token_param_json(token, "json", LARDER_LIT(" [420, {\"a b\": 1.0}]\n"), ERR));
    EXPECT(LARDER_OK, larder_token_param_int(token, "int", INT64_MIN, ERR)); /* instead of 1 */
    EXPECT(LARDER_OK, larder_token_query_text(token, "text", NULL, 0, ERR));
    EXPECT(LARDER_OK, larder_token_query_int(token, "int", 7, ERR));
    EXPECT(LARDER_OK, larder_token_query_float(token, "float", 0.1, ERR));
    EXPECT(LARDER_OK, larder_token_query_float(token, "inf", -INFINITY, ERR));
    EXPECT(LARDER_OK, larder_token_query_bool(token, "yes", 1, ERR));
    EXPECT(LARDER_OK, larder_token_query_bool(token, "no", 0, ERR));
    EXPECT(LARDER_OK, larder_token_query_null(token, "none", ERR));
    EXPECT(LARDER_OK, larder_token_query_json(token, "json", LARDER_LIT("[]"), ERR));
    larder_token *same = from_json(params, queries, &options);
    const char *text = NULL;
    size_t len = 0;
    char copy[1024];
    EXPECT(LARDER_OK, larder_token_text(same, &text, &len, ERR));
    CHECK(len < sizeof copy);
    memcpy(copy, text, len);
    copy[len] = '\0';
    check_text(token, copy);
    check_text(same, form == LARDER_PYOT_6
                         ? "lol/na1/m/it's \"both\" \xe2\x80\x8b/-9223372036854775808/1e+16/nan/True/False/None/"
                           "[420, {'a b': 1.0}]?text=&int=7&float=0.1&inf=-inf&yes=True&no=False&none=None&json=[]"
                         : "lolna1m{'text':_'it\\'s_\"both\"_\\u200b',_'int':_-9223372036854775808,_'float':_1e+16,"
                           "_'nan':_nan,_'yes':_True,_'no':_False,_'none':_None,_'json':_[420,_{'a_b':_1.0}]}"
                           "{'text':_'',_'int':_7,_'float':_0.1,_'inf':_-inf,_'yes':_True,_'no':_False,"
                           "_'none':_None,_'json':_[]}");
    larder_token_release(token);
    larder_token_release(same);
}

static void parts(void)
{
    const char *text = NULL;
    size_t len = 0;
    larder_token *token = from_json("{\"name\": \"Hide on bush\", \"id\": 7}", "{\"queue\": [420, 440]}", NULL);
    EXPECT(LARDER_OK, larder_token_model(token, &text, &len, ERR));
    CHECK_SHOWN("lol", text, len);
    EXPECT(LARDER_OK, larder_token_server(token, &text, &len, ERR));
    CHECK_SHOWN("na1", text, len);
    EXPECT(LARDER_OK, larder_token_method(token, &text, &len, ERR));
    CHECK_SHOWN("m", text, len);
    EXPECT(LARDER_OK, larder_token_param(token, "name", &text, &len, ERR));
    CHECK_SHOWN("Hide on bush", text, len);
    EXPECT(LARDER_OK, larder_token_param(token, "id", &text, &len, ERR));
    CHECK_SHOWN("7", text, len);
    EXPECT(LARDER_OK, larder_token_query(token, "queue", &text, &len, ERR));
    CHECK_SHOWN("[420, 440]", text, len);
    EXPECT(LARDER_MISS, larder_token_query(token, "name", &text, &len, ERR));
    CHECK(text == NULL && len == 0);
    EXPECT(LARDER_EINVAL, larder_token_param(token, NULL, &text, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_token_text(token, NULL, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_token_text(token, &text, NULL, ERR));
    larder_token_release(token);

    EXPECT(LARDER_OK, larder_token_ready(TEXT_OF(hide), &token, ERR));
    EXPECT(LARDER_MISS, larder_token_model(token, &text, &len, ERR));
    EXPECT(LARDER_MISS, larder_token_server(token, &text, &len, ERR));
    EXPECT(LARDER_MISS, larder_token_method(token, &text, &len, ERR));
    EXPECT(LARDER_MISS, larder_token_param(token, "name", &text, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_token_param_null(token, "name", ERR));
    check_text(token, hide);
    larder_token_release(token);
}

static void versions_of_unicode(void)
{
    static const char name[] = "{\"name\": \"\xf0\x9f\xab\xa8\"}"; /* U+1FAE8, of 15.0 */
    larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;
    larder_token *token = from_json(name, "", &options);
    check_text(token, "lolna1m{'name':_'\xf0\x9f\xab\xa8'}{}");
    larder_token_release(token);
    options.unicode = "14.0";
    token = from_json(name, "", &options);
    check_text(token, "lolna1m{'name':_'\\U0001fae8'}{}");
    larder_token_release(token);
}

static void misuse(void)
{
    larder_token_options options = LARDER_TOKEN_OPTIONS_INIT;
    larder_token *token = (larder_token *)&options;
    const char *text = "x";
    size_t len = 1;

    /* nothing where something must be */
    EXPECT(LARDER_EINVAL, larder_token_begin(NULL, "s", "m", NULL, &token, ERR));
    CHECK(token == NULL);
    EXPECT(LARDER_EINVAL, larder_token_begin("lol", "s", NULL, NULL, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_begin("lol", "s", "m", NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", "m", NULL, 0, NULL, 0, NULL, NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", "m", NULL, 1, NULL, 0, NULL, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", NULL, NULL, 0, NULL, 0, NULL, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_ready(NULL, 0, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_ready(NULL, 3, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_ready(LARDER_LIT("x"), NULL, ERR));
    EXPECT(LARDER_EINVAL, larder_token_ready(LARDER_LIT("\xff"), &token, ERR));
    EXPECT(LARDER_ETOOBIG, larder_token_new("lol", "s", "m", "{}", SIZE_MAX / 2, NULL, 0, NULL, &token, ERR));
    EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", "m", "{}", SIZE_MAX, NULL, 0, NULL, &token, ERR));
    EXPECT(LARDER_EHANDLE, larder_token_text(NULL, &text, &len, ERR));
    CHECK(text == NULL && len == 0);
    EXPECT(LARDER_EHANDLE, larder_token_model(NULL, &text, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_token_param(NULL, "name", &text, &len, ERR));
    EXPECT(LARDER_EHANDLE, larder_token_param_text(NULL, "name", LARDER_LIT("x"), ERR));
    EXPECT(LARDER_EHANDLE, larder_token_query_json(NULL, "name", LARDER_LIT("1"), ERR));
    EXPECT(LARDER_EHANDLE, larder_token_query_null(NULL, "name", NULL));
    CHECK(larder_token_retain(NULL) == NULL);
    larder_token_release(NULL);

    /* no JSON, and JSON that is no object */
    static const char *const bad[] = {"[]", "1", "{", "{} x", "{'a': 1}", "{\"a\": \xff}", " "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", "m", bad[i], strlen(bad[i]), NULL, 0, NULL, &token, ERR));
        CHECK(token == NULL);
        EXPECT(LARDER_EINVAL, larder_token_new("lol", "s", "m", NULL, 0, bad[i], strlen(bad[i]), NULL, &token, ERR));
    }

    /* options that nobody knows */
    options.form = 4;
    EXPECT(LARDER_EINVAL, larder_token_begin("lol", "s", "m", &options, &token, ERR));
    options.form = LARDER_PYOT_6;
    options.unicode = "3.11";
    EXPECT(LARDER_EINVAL, larder_token_begin("lol", "s", "m", &options, &token, ERR));
    options.unicode = NULL;
    options.struct_size = 3;
    EXPECT(LARDER_EINVAL, larder_token_begin("lol", "s", "m", &options, &token, ERR));

    /* what went wrong stays, whoever looked or not */
    token = begun(NULL);
    EXPECT(LARDER_OK, larder_token_param_int(token, "a", 1, ERR));
    CHECK(IS_FAILURE(larder_token_param_json(token, "b", LARDER_LIT("[1,"), NULL)));
    EXPECT(LARDER_EINVAL, larder_token_param_int(token, "c", 2, ERR));
    EXPECT(LARDER_EINVAL, larder_token_text(token, &text, &len, ERR));
    EXPECT(LARDER_EINVAL, larder_token_method(token, &text, &len, ERR));
    larder_token_release(token);
    token = begun(NULL);
    CHECK(IS_FAILURE(larder_token_param_text(token, NULL, LARDER_LIT("x"), NULL)));
    EXPECT(LARDER_EINVAL, larder_token_text(token, &text, &len, ERR));
    larder_token_release(token);
    token = begun(NULL);
    EXPECT(LARDER_EINVAL, larder_token_param_text(token, "a", LARDER_LIT("\xff"), ERR));
    EXPECT(LARDER_EINVAL, larder_token_text(token, &text, &len, ERR));
    larder_token_release(token);

    /* a used token is finished, and stays as it is */
    token = begun(NULL);
    EXPECT(LARDER_OK, larder_token_param_int(token, "a", 1, ERR));
    check_text(token, "lolna1m{'a':_1}{}");
    EXPECT(LARDER_EINVAL, larder_token_param_int(token, "b", 2, ERR));
    EXPECT(LARDER_EINVAL, larder_token_query_json(token, "b", LARDER_LIT("]"), ERR));
    check_text(token, "lolna1m{'a':_1}{}");
    larder_token_release(token);

    /* never used at all */
    token = begun(NULL);
    larder_token *shared = larder_token_retain(token);
    CHECK(shared == token);
    CHECK_NUMBER(1, larder_live(LARDER_LIVE_TOKENS));
    larder_token_release(token);
    EXPECT(LARDER_OK, larder_token_param_int(shared, "a", 1, ERR));
    larder_token_release(shared);
}

/* Threads that use one token at once, one of which is the first. */
static void *read_it(void *argument)
{
    for (int i = 0; i < 1000; i++) {
        check_text(argument, "lolna1m{'name':_'Hide_on_bush'}{}");
    }
    larder_token_release(argument);
    return NULL;
}

static void many_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int round = 0; round < 20; round++) {
        larder_token *token = begun(NULL);
        EXPECT(LARDER_OK, larder_token_param_text(token, "name", LARDER_LIT("Hide on bush"), ERR));
        for (int i = 0; i < THREADS; i++)
            threads[i] = start(read_it, larder_token_retain(token));
        larder_token_release(token);
        for (int i = 0; i < THREADS; i++)
            join(threads[i]);
    }
}

/* A token is a key like any other. */
static void with_a_store(const char *folder)
{
    larder_context *context = open_all(folder, NULL);
    larder_store *store = open_store(context, "file");
    larder_token *token = from_json("{\"name\": \"Hide on bush\"}", "", NULL);
    larder_value *value = NULL;
    const char *key = NULL;
    size_t len = 0;
    EXPECT(LARDER_OK, larder_token_text(token, &key, &len, ERR));
    EXPECT(LARDER_OK, larder_set(store, key, len, LARDER_LIT("{\"level\": 30}"), LARDER_JSON, LARDER_TTL_DEFAULT, NULL, ERR));
    EXPECT(LARDER_OK, larder_get(store, LARDER_LIT("lolna1m{'name':_'Hide_on_bush'}{}"), NULL, &value, ERR));
    larder_value_release(value);
    larder_token_release(token);
    EXPECT(LARDER_OK, larder_store_close(store));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    first_of_all();
    builder_is_json(LARDER_PYOT_3);
    builder_is_json(LARDER_PYOT_6);
    parts();
    versions_of_unicode();
    misuse();
    many_threads();
    with_a_store(argv[1]);
    check_nothing_is_open();
    puts("tokens are what Pyot calls them");
    return 0;
}
