/*
 * session: who is logged in to a Django site? What a gateway, a game server or a web socket server beside Django asks
 * for each connection, with the value of the browser's `sessionid` cookie.
 *
 *     cc session.c -llarder -o session
 *     ./session caches.json default 2q1x0kzjyj0zq7kz7dq2v8p5xkqk9i5r
 *
 * Django keeps sessions in a cache where its settings say
 * SESSION_ENGINE = "django.contrib.sessions.backends.cache", and SESSION_CACHE_ALIAS (by default "default") says in which.
 *
 * Reading a session makes nothing and prolongs nothing. It does not prove that the user may still log in: Django compares
 * `_auth_user_hash` with an HMAC of the user's password, and looks whether the user is active. docs/sessions.md tells
 * what to do about that.
 */
#include <larder.h>

#include <stdio.h>
#include <string.h>

/* The text of one item of the session. */
static void show(const larder_value *session, const char *name, size_t name_len)
{
    larder_error *error = NULL;
    const char *text = NULL;
    size_t len = 0;
    larder_status status = larder_value_item_text(session, name, name_len, &text, &len, &error);

    if (status == LARDER_OK)
        printf("  %-20s %.*s\n", name, (int)len, text);
    else if (status == LARDER_MISS)
        printf("  %-20s (not there)\n", name);
    else
        printf("  %-20s %s: %s\n", name, larder_status_name(status), larder_error_message(error));
    larder_error_release(error);
}

/* 1 if somebody is logged in, 0 if not, -1 if we do not know. */
static int look(const larder_store *store, const char *cookie)
{
    larder_error *error = NULL;
    larder_value *session = NULL;
    const char *json = NULL, *user = NULL;
    size_t len = 0;
    int answer;
    larder_status status = larder_session(store, cookie, strlen(cookie), NULL, &session, &error);

    if (status < 0) { /* no answer is not "no": ask again later, or refuse politely */
        printf("not known: %s: %s\n", larder_status_name(status), larder_error_message(error));
        larder_error_release(error);
        return -1;
    }
    if (status != LARDER_OK) { /* LARDER_MISS, and LARDER_IGNORED where IGNORE_EXCEPTIONS hides a failure */
        printf("no such session: %s\n", larder_status_name(status));
        return 0;
    }
    answer = larder_value_item_text(session, LARDER_LIT("_auth_user_id"), &user, &len, NULL) == LARDER_OK;
    if (answer)
        printf("user %.*s is logged in\n", (int)len, user);
    else
        printf("a session without a login\n");
    show(session, LARDER_LIT("_auth_user_backend"));
    show(session, LARDER_LIT("cart"));
    if (larder_value_json(session, &json, &len, NULL) >= 0) /* all of it; LARDER_LOSSY is fine to look at */
        printf("  %-20s %lu bytes\n", "as JSON", (unsigned long)len);
    larder_value_release(session);
    return answer;
}

int main(int argc, char **argv)
{
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    int i, failed = 0;

    if (argc < 4) {
        fprintf(stderr, "usage: session CACHES.JSON ALIAS SESSION-KEY...\n");
        return 2;
    }
    if (larder_open_file(argv[1], NULL, &context, &error) < 0 || larder_store_open(context, argv[2], &store, &error) < 0) {
        fprintf(stderr, "%s\n", larder_error_message(error));
        larder_error_release(error);
        larder_shutdown(context, 1000, NULL);
        return 2;
    }
    for (i = 3; i < argc; i++)
        failed |= look(store, argv[i]) < 0;
    larder_store_close(store);
    larder_shutdown(context, 1000, NULL);
    return failed;
}
