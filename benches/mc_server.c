/*
 * See mc_server.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "mc_server.h"

#include <libmemcached/memcached.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contest.h"

enum { FIRST_PORT = 20000, PORTS = 12000, PORT_TRIES = 20, START_SECONDS = 10 };

static void run_server(const struct mc_server *server)
{
    char port[16];
    /* Whatever becomes of us, the server does not stay behind. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* It wants to be told as whom to run where it is started by root. */
    const char *user = geteuid() == 0 ? "root" : "nobody";
    snprintf(port, sizeof port, "%d", server->port);
    if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL) {
        _exit(126);
    }
    if (server->port > 0) {
        execlp("memcached", "memcached", "-u", user, "-l", "127.0.0.1", "-p", port, "-U", "0", (char *)NULL);
    } else {
        execlp("memcached", "memcached", "-u", user, "-s", server->socket, (char *)NULL);
    }
    perror("bench: memcached");
    _exit(127);
}

/* Whether the server that we started answers: its process id tells. */
static bool answers(const struct mc_server *server)
{
    memcached_st *client = memcached_create(NULL);
    memcached_return_t added = server->port > 0 ? memcached_server_add(client, "127.0.0.1", (in_port_t)server->port)
                                                : memcached_server_add_unix_socket(client, server->socket);
    bool yes = false;
    if (added == MEMCACHED_SUCCESS) {
        memcached_return_t status = MEMCACHED_FAILURE;
        memcached_stat_st *stats = memcached_stat(client, NULL, &status);
        yes = status == MEMCACHED_SUCCESS && stats != NULL && (pid_t)stats[0].pid == server->pid;
        memcached_stat_free(client, stats);
    }
    memcached_free(client);
    return yes;
}

static bool try_start(struct mc_server *server)
{
    server->pid = fork();
    if (server->pid < 0) {
        die("cannot fork");
    }
    if (server->pid == 0) {
        run_server(server);
    }
    for (int i = 0; i < START_SECONDS * 50; i++) {
        int status = 0;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
                die("memcached is needed (on Debian: apt-get install memcached)");
            }
            return false; /* most likely somebody has the port */
        }
        if (answers(server)) {
            return true;
        }
        struct timespec pause = {.tv_sec = 0, .tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
    mc_server_stop(server);
    return false;
}

struct mc_server mc_server_start(const char *folder, bool over_tcp)
{
    struct mc_server server = {0};
    uint64_t seed = now_ns() | 1;
    if (!over_tcp) {
        int length = snprintf(server.socket, sizeof server.socket, "%s/memcached.sock", folder);
        if (length < 0 || (size_t)length >= sizeof server.socket) {
            die("the folder's path is too long for a unix socket");
        }
    }
    for (int i = 0; i < PORT_TRIES; i++) {
        server.port = over_tcp ? FIRST_PORT + (int)(random_next(&seed) % PORTS) : 0;
        if (try_start(&server)) {
            return server;
        }
    }
    die("memcached did not start");
}

void mc_server_stop(const struct mc_server *server)
{
    int status = 0;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
}
