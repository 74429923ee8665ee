/* A server that speaks just enough RESP to misbehave at a chosen moment. On 127.0.0.1 and on a unix socket. */
#ifndef LARDER_TESTS_FAKE_REDIS_H
#define LARDER_TESTS_FAKE_REDIS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "support.h"

/* How the server behaves towards each connection, from the first command that is no part of setting it up. */
typedef enum {
    CLOSE_AT_ONCE,        /* accepted and closed */
    CLOSE_AFTER_ONE_BYTE, /* reads one byte of the first command */
    CLOSE_IN_REQUEST,     /* reads the beginning of a request, and closes with the rest unread: the peer gets a reset */
    CLOSE_AFTER_REQUEST,  /* reads it all, answers nothing */
    CLOSE_IN_REPLY,       /* answers half of a long value */
    CLOSE_AFTER_REPLY,    /* answers one request, closes while the connection is idle */
    ANSWER_NOTHING,       /* keeps the connection and is silent */
    BEHAVIOURS
} behaviour;

static const char *const behaviour_names[] = {
    "closes at once", "closes after one byte", "closes in the request", "closes after the request",
    "closes in the reply", "closes after the reply", "answers nothing",
};

typedef struct {
    int listener;
    int port;        /* of TCP, or 0 */
    char path[108];  /* of a unix socket, or "" */
    _Atomic int behaviour;
    _Atomic int stopped;
    _Atomic int connections;
    pthread_t thread;
} fake_redis;

static inline void reset_and_close(int socket)
{
    struct linger at_once = {1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(socket);
}

/* Whether a command ("*2\r\n$6\r\nSELECT\r\n…") is one that a client sends before its first real one. */
static inline int is_setting_up(const char *command)
{
    static const char *const names[] = {"SELECT", "CLIENT", "AUTH", "HELLO", "PING"};
    const char *name = strchr(command, '$');
    name = name == NULL ? NULL : strchr(name, '\n');
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++) {
        if (strncmp(name + 1, names[i], strlen(names[i])) == 0)
            return 1;
    }
    return 0;
}

/* Reads until something other than the set-up has begun to come; 0 at the end of the connection. */
static inline int read_first_command(int socket, char *buffer, size_t capacity)
{
    for (;;) {
        ssize_t got = recv(socket, buffer, capacity - 1, 0);
        if (got <= 0)
            return 0;
        buffer[got] = '\0';
        for (const char *at = buffer; (at = strchr(at, '*')) != NULL; at++) {
            if (!is_setting_up(at))
                return 1;
            (void)!send(socket, "+OK\r\n", 5, MSG_NOSIGNAL);
        }
    }
}

static inline void serve_badly(fake_redis *server, int socket)
{
    static const char half[] = "$1000\r\nhalf of it";
    char buffer[256];
    struct timeval soon = {0, 300000};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    int behaviour = atomic_load(&server->behaviour);
    switch (behaviour) {
    case CLOSE_AT_ONCE:
        break;
    case CLOSE_AFTER_ONE_BYTE:
        (void)!recv(socket, buffer, 1, 0);
        break;
    case CLOSE_IN_REQUEST:
        read_first_command(socket, buffer, sizeof buffer);
        break;
    case ANSWER_NOTHING:
        while (!atomic_load(&server->stopped) && atomic_load(&server->behaviour) == ANSWER_NOTHING)
            (void)!recv(socket, buffer, sizeof buffer, 0), usleep(1000);
        break;
    default:
        if (read_first_command(socket, buffer, sizeof buffer)) {
            sleep_ms(2); /* lets small requests arrive whole */
            while (recv(socket, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
            }
            if (behaviour == CLOSE_IN_REPLY)
                (void)!send(socket, half, sizeof half - 1, MSG_NOSIGNAL);
            if (behaviour == CLOSE_AFTER_REPLY)
                (void)!send(socket, "$-1\r\n", 5, MSG_NOSIGNAL);
        }
    }
    reset_and_close(socket);
}

static inline void *fake_redis_run(void *argument)
{
    fake_redis *server = argument;
    while (!atomic_load(&server->stopped)) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket >= 0 && !atomic_load(&server->stopped)) {
            atomic_fetch_add(&server->connections, 1);
            serve_badly(server, socket);
        } else if (socket >= 0) {
            close(socket);
        }
    }
    return NULL;
}

/* Starts on `path`, or on a free port below 32768 where that is NULL. */
static inline void fake_redis_start(fake_redis *server, const char *path)
{
    memset(server, 0, sizeof *server);
    if (path != NULL) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CHECK(strlen(path) < sizeof address.sun_path);
        strcpy(address.sun_path, path);
        strcpy(server->path, path);
        server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_NUMBER(0, bind(server->listener, (struct sockaddr *)&address, sizeof address));
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        for (int port = 20000 + getpid() % 10000; server->port == 0; port++) {
            address.sin_port = htons((uint16_t)port);
            if (bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0)
                server->port = port;
            CHECK(port < 32767);
        }
    }
    CHECK_NUMBER(0, listen(server->listener, 64));
    server->thread = start(fake_redis_run, server);
}

static inline void fake_redis_stop(fake_redis *server)
{
    atomic_store(&server->stopped, 1);
    shutdown(server->listener, SHUT_RDWR);
    join(server->thread);
    close(server->listener);
}

/* The LOCATION of the server. */
static inline const char *fake_redis_url(const fake_redis *server, char *buffer, size_t capacity)
{
    if (server->port != 0)
        snprintf(buffer, capacity, "redis://127.0.0.1:%d/1", server->port);
    else
        snprintf(buffer, capacity, "unix://%s?db=1", server->path);
    return buffer;
}

#endif
