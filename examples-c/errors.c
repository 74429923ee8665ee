/*
 * errors: what failures look like. A wrong configuration, a server that is not there, handles and arguments that are
 * wrong: each is a status below 0 and an error with words for people. Nothing crashes, nothing is printed by larder.
 *
 *     cc errors.c -llarder -o errors && ./errors
 */
#include <larder.h>

#include <stdio.h>
#include <string.h>

/* Tells what a call answered. The error belongs to us, and has to be released. */
static void tell(const char *what, larder_status status, larder_error *error)
{
    printf("%s\n  %s (%d)", what, larder_status_name(status), (int)status);
    if (error != NULL) {
        printf(": %s%s", larder_error_message(error), larder_error_retriable(error) ? " [trying again can help]" : "");
        larder_error_release(error);
    }
    putchar('\n');
}

static void wrong_configurations(void)
{
    static const char *const texts[] = {
        "{\"CACHES\": ",
        "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMenCache\"}}",
        "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": 6379}}",
        "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\","
        " \"LOCATION\": \"redis://${NO_SUCH_VARIABLE}\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        larder_context *context = NULL;
        larder_error *error = NULL;
        larder_status status = larder_open(texts[i], strlen(texts[i]), NULL, &context, &error);
        tell(texts[i], status, error);
    }
}

int main(void)
{
    /* nobody listens on port 1; the password is never shown */
    static const char text[] =
        "{\"default\": {\"BACKEND\": \"django_redis.cache.RedisCache\","
        "              \"LOCATION\": \"redis://:very-secret@127.0.0.1:1/0\", \"LARDER\": {\"TIMEOUT_MS\": 1000}},"
        " \"lenient\": {\"BACKEND\": \"django_redis.cache.RedisCache\", \"LOCATION\": \"redis://127.0.0.1:1/0\","
        "              \"OPTIONS\": {\"IGNORE_EXCEPTIONS\": true}},"
        " \"scratch\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    larder_context *context = NULL;
    larder_store *dead = NULL, *lenient = NULL, *scratch = NULL, *unknown = NULL;
    larder_value *value = NULL;
    larder_error *error = NULL;
    larder_status status;

    wrong_configurations();

    status = larder_open(text, strlen(text), NULL, &context, &error);
    if (status != LARDER_OK) {
        tell("open", status, error);
        return 1;
    }
    larder_store_open(context, "default", &dead, NULL);
    larder_store_open(context, "lenient", &lenient, NULL);
    larder_store_open(context, "scratch", &scratch, NULL);

    error = NULL;
    status = larder_store_open(context, "defualt", &unknown, &error);
    tell("an alias that is not there", status, error);

    error = NULL;
    status = larder_get(dead, LARDER_LIT("key"), NULL, &value, &error);
    tell("a server that is not there", status, error);

    error = NULL;
    status = larder_get(lenient, LARDER_LIT("key"), NULL, &value, &error);
    tell("the same with IGNORE_EXCEPTIONS: treat it as a miss", status, error);

    error = NULL;
    status = larder_get(scratch, LARDER_LIT("no such key"), NULL, &value, &error);
    tell("a key that is not there: a miss is no failure", status, error);

    error = NULL;
    larder_set(scratch, LARDER_LIT("word"), LARDER_LIT("seven"), LARDER_TEXT, LARDER_TTL_DEFAULT, NULL, NULL);
    status = larder_incr(scratch, LARDER_LIT("word"), 1, NULL, NULL, NULL, &error);
    tell("counting what is no number", status, error);

    error = NULL;
    larder_store_close(scratch);
    status = larder_get(scratch, LARDER_LIT("word"), NULL, &value, &error);
    tell("a store that is closed", status, error);

    larder_store_close(dead);
    larder_store_close(lenient);
    return larder_shutdown(context, 1000, NULL) == LARDER_OK ? 0 : 1;
}
