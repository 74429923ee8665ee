/*
 * What a pipeline and its stores have seen: larder_pipeline_stats, larder_pipeline_stats_errors,
 * larder_pipeline_level_stats, and the same for Prometheus, also once the pipeline is closed.
 */
#include "pipelines.h"

static larder_pipeline_numbers numbers_of(const larder_pipeline *pipeline)
{
    larder_pipeline_numbers numbers = LARDER_PIPELINE_NUMBERS_INIT;
    EXPECT(LARDER_OK, larder_pipeline_stats(pipeline, &numbers, ERR));
    CHECK_NUMBER(sizeof numbers, numbers.struct_size);
    CHECK_NUMBER(2, numbers.levels);
    return numbers;
}

static uint64_t errors_of(const larder_pipeline *pipeline, larder_status status)
{
    uint64_t count = 77;
    EXPECT(LARDER_OK, larder_pipeline_stats_errors(pipeline, status, &count, ERR));
    return count;
}

static void set(const larder_pipeline *pipeline, token token)
{
    char json[160];
    int len = snprintf(json, sizeof json, "{\"token\": \"%s\"}", token.text);
    EXPECT(LARDER_OK, larder_pipeline_set(pipeline, TOKEN(token), json, (size_t)len, LARDER_JSON, NULL, ERR));
}

static void tells(const larder_context *context, const char *line, int whether)
{
    static char text[65536];
    size_t len = 0;
    EXPECT(LARDER_OK, larder_prometheus(context, text, sizeof text - 1, &len, ERR));
    text[len] = '\0';
    if ((strstr(text, line) != NULL) != whether)
        FAIL("%s is%s in:\n%s", line, whether ? " not" : "", text);
}

static void misuse(larder_pipeline *pipeline)
{
    unsigned char room[sizeof(larder_pipeline_numbers) + 16];
    larder_pipeline_numbers numbers = LARDER_PIPELINE_NUMBERS_INIT;
    larder_store_stats stats = LARDER_STATS_INIT;
    uint64_t count;
    const uint32_t larger = sizeof room;
    memset(room, 0xAA, sizeof room);
    memcpy(room, &larger, sizeof larger);
    EXPECT(LARDER_OK, larder_pipeline_stats(pipeline, (larder_pipeline_numbers *)(void *)room, ERR));
    for (size_t i = sizeof numbers; i < sizeof room; i++)
        CHECK(room[i] == 0);
    EXPECT(LARDER_EINVAL, larder_pipeline_stats(pipeline, NULL, ERR));
    numbers.struct_size = 8;
    EXPECT(LARDER_EINVAL, larder_pipeline_stats(pipeline, &numbers, ERR));
    EXPECT(LARDER_EHANDLE, larder_pipeline_stats(NULL, &numbers, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_stats_errors(pipeline, LARDER_MISS, &count, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_stats_errors(pipeline, LARDER_EIO, NULL, ERR));
    EXPECT(LARDER_EHANDLE, larder_pipeline_stats_errors(NULL, LARDER_EIO, &count, ERR));
    EXPECT(LARDER_EMPTY, larder_pipeline_level_stats(pipeline, 2, &stats, ERR));
    EXPECT(LARDER_EMPTY, larder_pipeline_level_stats(pipeline, LARDER_LEVEL_LOADED, &stats, ERR));
    EXPECT(LARDER_EINVAL, larder_pipeline_level_stats(pipeline, 0, NULL, ERR));
    EXPECT(LARDER_EHANDLE, larder_pipeline_level_stats(NULL, 0, &stats, ERR));
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    loader loader = {.way = NOW};
    larder_context *context = open_pipelines(argv[1], "20000");
    larder_pipeline *pipeline = open_pipeline(context, &loader);
    larder_store *first = open_store(context, "default");
    larder_pipeline_call stores_only = LARDER_PIPELINE_CALL_INIT;
    stores_only.flags = LARDER_CALL_NO_LOAD;
    const token ahri = SUMMONER("Ahri"), match = token_of("match_v4_match", "1"), never = token_of("match_v4_timeline", "1");

    EXPECT_GET(LARDER_OK, LARDER_LEVEL_LOADED, pipeline, ahri, NULL);
    EXPECT_GET(LARDER_OK, 0, pipeline, ahri, NULL);
    EXPECT(LARDER_OK, larder_delete(first, TOKEN(ahri), NULL, ERR));
    EXPECT_GET(LARDER_OK, 1, pipeline, ahri, NULL); /* and it is written back */
    EXPECT_GET(LARDER_OK, 0, pipeline, ahri, NULL);
    set(pipeline, match); /* the first store does not keep it */
    EXPECT_GET(LARDER_OK, 1, pipeline, match, NULL);
    EXPECT_GET(LARDER_MISS, LARDER_LEVEL_NONE, pipeline, never, &stores_only); /* neither does */
    EXPECT(LARDER_OK, larder_pipeline_delete(pipeline, TOKEN(ahri), NULL, ERR));
    EXPECT(LARDER_MISS, larder_pipeline_delete(pipeline, TOKEN(ahri), NULL, ERR));
    loader.way = NOT_FOUND;
    EXPECT_GET(LARDER_MISS, LARDER_LEVEL_NONE, pipeline, ahri, NULL);
    loader.way = FAIL;
    EXPECT_GET(LARDER_ECONNECTION, LARDER_LEVEL_NONE, pipeline, ahri, NULL);

    larder_pipeline_numbers seen = numbers_of(pipeline);
    CHECK_NUMBER(4, seen.hits);
    CHECK_NUMBER(2, seen.misses);
    CHECK_NUMBER(4, seen.skipped);
    CHECK_NUMBER(1, seen.written_back);
    CHECK_NUMBER(1, seen.sets);
    CHECK_NUMBER(1, seen.deletes);
    CHECK_NUMBER(3, seen.loads);
    CHECK_NUMBER(1, seen.not_found);
    CHECK_NUMBER(1, seen.load_failures);
    CHECK_NUMBER(1, seen.failures);
    CHECK_NUMBER(0, seen.timeouts + seen.stale + seen.shared_loads + seen.refreshes + seen.errors_skipped);
    CHECK_NUMBER(1, errors_of(pipeline, LARDER_ECONNECTION));
    CHECK_NUMBER(0, errors_of(pipeline, LARDER_ETIMEOUT));
    CHECK(seen.latency_count > 0 && seen.latency_max_ns > 0 && seen.latency_p50_ns > 0);

    larder_store_stats stats = LARDER_STATS_INIT;
    EXPECT(LARDER_OK, larder_pipeline_level_stats(pipeline, 1, &stats, ERR));
    CHECK_NUMBER(2, stats.hits);
    CHECK_NUMBER(2, stats.sets); /* what was loaded, and the match */
    CHECK_NUMBER(1, stats.skipped);
    CHECK(stats.bytes_read > 0 && stats.bytes_written > 0 && stats.latency_count > 0);

    tells(context, "\nlarder_pipeline_hits_total{pipeline=\"LOL\",alias=\"file\"} 2\n", 1);
    tells(context, "\nlarder_pipeline_loads_total{pipeline=\"LOL\"} 3\n", 1);
    tells(context, "\nlarder_pipeline_errors_total{pipeline=\"LOL\",kind=\"connection\"} 1\n", 1);
    tells(context, "\nlarder_pipelines{pipeline=\"LOL\"} 1\n", 1);
    tells(context, "\nlarder_hits_total{alias=\"file\"} 2\n", 1); /* only the pipeline has opened it */
    tells(context, "\nlarder_skipped_total{alias=\"default\"} 3\n", 1);
    misuse(pipeline);
    EXPECT(LARDER_OK, larder_pipeline_close(pipeline));
    CHECK_NUMBER(LARDER_EHANDLE, larder_pipeline_stats(pipeline, &seen, NULL));
    tells(context, "\nlarder_pipeline_loads_total{pipeline=\"LOL\"} 3\n", 1);
    tells(context, "\nlarder_hits_total{alias=\"file\"} 2\n", 1);
    tells(context, "\nlarder_pipelines{", 0);
    EXPECT(LARDER_OK, larder_store_close(first));
    EXPECT(LARDER_OK, larder_shutdown(context, 10000, ERR));
    check_nothing_is_open();
    puts("pipeline_stats: each was counted once");
    return 0;
}
