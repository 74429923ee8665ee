/*
 * Records of pipelines, as they come to a program's log function: Pyot's texts (PY-L) at each store's LOG_LEVEL.
 */
#include "pipelines.h"

enum { RECORDS = 8 };

static struct {
    _Atomic int count;
    int32_t levels[RECORDS];
    char texts[RECORDS][256];
} records;

static void on_record(void *user_data, int32_t level, const char *message)
{
    int number = atomic_fetch_add(&records.count, 1);
    (void)user_data;
    if (number >= RECORDS)
        FAIL("too many records: %s", message);
    records.levels[number] = level;
    snprintf(records.texts[number], sizeof records.texts[number], "%s", message);
}

/* Checks the next record. */
static void said(int *next, int32_t level, const char *text)
{
    if (*next >= atomic_load(&records.count) || records.levels[*next] != level || strcmp(records.texts[*next], text) != 0)
        FAIL("record %d is not %s but %s", *next, text, records.texts[*next]);
    ++*next;
}

int main(void)
{
    static const char config[] =
        "{\"CACHES\": {\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"LOCATION\": \"a\"},"
        "              \"other\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\", \"LOCATION\": \"b\"}},"
        " \"PIPELINES\": {\"LOL\": ["
        "  {\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"default\", \"LOG_LEVEL\": 30, \"EXPIRATIONS\": {\"*\": 60}},"
        "  {\"BACKEND\": \"pyot.stores.DjangoCache\", \"ALIAS\": \"other\", \"EXPIRATIONS\": {\"*\": 60}}]}}";
    larder_options options = LARDER_OPTIONS_INIT;
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    larder_context *context = NULL;
    larder_token *token = NULL;
    larder_value *value = NULL;
    int next = 0;
    options.log = on_record;
    EXPECT(LARDER_OK, larder_open(config, sizeof config - 1, &options, &context, ERR));
    larder_pipeline *pipeline = open_pipeline(context, NULL);
    CHECK_NUMBER(0, atomic_load(&records.count));

    EXPECT(LARDER_OK, larder_token_begin("LOL", "na1", "summoner_v4_by_name", NULL, &token, ERR));
    EXPECT(LARDER_OK, larder_token_param_text(token, "name", LARDER_LIT("Hide on bush"), ERR));
    const larder_token *tokens[] = {token};
    call.tokens = tokens;
    EXPECT(LARDER_MISS, larder_pipeline_get(pipeline, NULL, 0, &call, &value, NULL, ERR)); /* which is no record */
    EXPECT(LARDER_OK, larder_pipeline_set(pipeline, NULL, 0, LARDER_LIT("a value"), LARDER_TEXT, &call, ERR));
    EXPECT(LARDER_OK, larder_pipeline_get(pipeline, NULL, 0, &call, &value, NULL, ERR));
    larder_value_release(value);
    EXPECT(LARDER_OK, larder_pipeline_contains(pipeline, NULL, 0, &call, ERR)); /* neither is that */
    EXPECT(LARDER_OK, larder_pipeline_delete(pipeline, NULL, 0, &call, ERR));
    EXPECT(LARDER_OK, larder_pipeline_clear(pipeline, LARDER_CLEAR_EVERYTHING, NULL, ERR));
    larder_token_release(token);

    said(&next, LARDER_LOG_WARNING, "[Trace: LOL > DjangoCache > default] SET: <NA1 summoner_v4_by_name: Hide on bush>");
    said(&next, LARDER_LOG_INFO, "[Trace: LOL > DjangoCache > other] SET: <NA1 summoner_v4_by_name: Hide on bush>");
    said(&next, LARDER_LOG_WARNING, "[Trace: LOL > DjangoCache > default] GET: <NA1 summoner_v4_by_name: Hide on bush>");
    said(&next, LARDER_LOG_WARNING, "[Trace: LOL > DjangoCache > default] DELETE: <NA1 summoner_v4_by_name: Hide on bush>");
    said(&next, LARDER_LOG_INFO, "[Trace: LOL > DjangoCache > other] DELETE: <NA1 summoner_v4_by_name: Hide on bush>");
    said(&next, LARDER_LOG_WARNING, "[Trace: LOL > DjangoCache > default] CLEAR: Store has been cleared successfully");
    said(&next, LARDER_LOG_INFO, "[Trace: LOL > DjangoCache > other] CLEAR: Store has been cleared successfully");
    CHECK_NUMBER(next, atomic_load(&records.count));

    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    puts("pipeline_log: Pyot's records");
    return 0;
}
