/*
 * pipeline: Pyot's pipeline in C. The stores are asked in order, the loader comes last, and what it finds is kept in
 * each store for as long as that store's EXPIRATIONS say. Run it twice: the first time the loader reads a JSON file,
 * the second time the file cache has it.
 *
 *     cc pipeline.c -llarder -o pipeline
 *     ./pipeline pipeline.json pipeline_service.json
 */
#include <larder.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

/* What a real program would ask an API for. */
typedef struct {
    const char *path;
    const char *player;
    int calls;
} service;

/*
 * The loader: called when no store has a token, here on the thread that asked. It answers by larder_load_done, now or
 * later; or it says in its own status that there is nothing (which is final), or that it failed. In the token it finds
 * what it needs for its request.
 */
static larder_status load(void *user_data, const larder_load_request *request)
{
    service *service = user_data;
    const char *player = NULL;
    char text[4096];
    larder_status status;
    size_t len = 0;
    FILE *file;

    service->calls++;
    status = larder_token_param(request->made, "name", &player, &len, NULL);
    if (status < 0)
        return status;
    if (len != strlen(service->player) || memcmp(player, service->player, len) != 0)
        return LARDER_MISS; /* the service knows no such player */
    file = fopen(service->path, "r");
    if (file == NULL)
        return larder_load_done(request->load, LARDER_EIO, NULL, 0, 0, LARDER_TTL_DEFAULT, strerror(errno), NULL);
    len = fread(text, 1, sizeof text, file);
    fclose(file);
    status = larder_load_done(request->load, LARDER_OK, text, len, LARDER_JSON, LARDER_TTL_DEFAULT, NULL, NULL);
    return status < 0 ? status : LARDER_OK;
}

static void get(larder_pipeline *pipeline, const char *player)
{
    larder_pipeline_call call = LARDER_PIPELINE_CALL_INIT;
    const larder_token *tokens[1];
    larder_token *token = NULL;
    larder_value *value = NULL;
    larder_error *error = NULL;
    const char *json = NULL;
    size_t len = 0;
    int32_t level = 0;
    larder_status status;

    /* Game, server, endpoint, and what the endpoint is asked for: Pyot's name for the same call, and so its key. */
    check(larder_token_begin("lol", "na1", "summoner_v4_by_name", NULL, &token, &error), &error);
    check(larder_token_param_text(token, "name", player, strlen(player), &error), &error);
    tokens[0] = token;
    call.tokens = tokens;
    status = larder_pipeline_get(pipeline, NULL, 0, &call, &value, &level, &error);
    larder_token_release(token);
    check(status, &error);
    if (status == LARDER_MISS) {
        printf("not found: %s\n", player);
        return;
    }
    check(larder_value_json(value, &json, &len, &error), &error);
    if (level == LARDER_LEVEL_LOADED)
        printf("loaded: %.*s\n", (int)len, json);
    else
        printf("cached in store %d: %.*s\n", (int)level, (int)len, json);
    larder_value_release(value);
}

int main(int argc, char **argv)
{
    larder_pipeline_options options = LARDER_PIPELINE_OPTIONS_INIT;
    service service = {NULL, "Hide on bush", 0};
    larder_context *context = NULL;
    larder_pipeline *pipeline = NULL;
    larder_error *error = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: %s pipeline.json pipeline_service.json\n", argv[0]);
        return 2;
    }
    service.path = argv[2];
    options.load = load;
    options.load_user_data = &service;
    check(larder_open_file(argv[1], NULL, &context, &error), &error);
    check(larder_pipeline_open(context, "LOL", &options, &pipeline, &error), &error);

    get(pipeline, "Hide on bush");
    get(pipeline, "Hide on bush"); /* in memory by now */
    get(pipeline, "Nobody");
    printf("the loader was called %d times\n", service.calls);

    larder_pipeline_close(pipeline);
    check(larder_shutdown(context, 5000, &error), &error);
    return 0;
}
