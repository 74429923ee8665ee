/*
 * See server.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "server.h"

#include <hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contest.h"

enum { FIRST_PORT = 20000, PORTS = 12000, PORT_TRIES = 20, START_SECONDS = 10 };

static void run_server(const struct server *server, const char *folder)
{
    char port[16];
    snprintf(port, sizeof port, "%d", server->port);
    /* Whatever becomes of us, the server does not stay behind. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL) {
        _exit(126);
    }
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", port, "--unixsocket", server->socket, "--save",
           "", "--appendonly", "no", "--daemonize", "no", "--dir", folder, "--loglevel", "warning", (char *)NULL);
    perror("bench: redis-server");
    _exit(127);
}

/* The socket lies in our folder, so whoever answers there is the server that we started; and Redis listens on the port
 * before it listens there. */
static bool answers(const struct server *server)
{
    redisContext *context = redisConnectUnix(server->socket);
    bool yes = false;
    if (context != NULL && context->err == 0) {
        redisReply *reply = redisCommand(context, "PING");
        yes = reply != NULL && reply->type == REDIS_REPLY_STATUS;
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    if (context != NULL) {
        redisFree(context);
    }
    return yes;
}

static bool try_port(struct server *server, const char *folder)
{
    server->pid = fork();
    if (server->pid < 0) {
        die("cannot fork");
    }
    if (server->pid == 0) {
        run_server(server, folder);
    }
    for (int i = 0; i < START_SECONDS * 50; i++) {
        int status = 0;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
                die("redis-server is needed (on Debian: apt-get install redis-server)");
            }
            return false; /* most likely somebody has the port */
        }
        if (answers(server)) {
            return true;
        }
        struct timespec pause = {.tv_sec = 0, .tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
    server_stop(server);
    return false;
}

struct server server_start(const char *folder)
{
    struct server server = {.pid = 0, .port = 0};
    int length = snprintf(server.socket, sizeof server.socket, "%s/redis.sock", folder);
    if (length < 0 || (size_t)length >= sizeof server.socket) {
        die("the folder's path is too long for a unix socket");
    }
    uint64_t seed = now_ns() | 1;
    for (int i = 0; i < PORT_TRIES; i++) {
        server.port = FIRST_PORT + (int)(random_next(&seed) % PORTS);
        if (try_port(&server, folder)) {
            return server;
        }
    }
    die("redis-server did not start");
}

void server_stop(const struct server *server)
{
    int status = 0;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
}
