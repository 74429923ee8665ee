/*
 * The adapter between hiredis and epoll. Like those that come with hiredis it only notes what is wanted, and tells epoll
 * once before it waits, and only if something changed.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contest.h"

static void want_reading(void *peer)
{
    ((struct peer *)peer)->wanted |= EPOLLIN;
}

static void refuse_reading(void *peer)
{
    ((struct peer *)peer)->wanted &= ~(unsigned)EPOLLIN;
}

static void want_writing(void *peer)
{
    ((struct peer *)peer)->wanted |= EPOLLOUT;
}

static void refuse_writing(void *peer)
{
    ((struct peer *)peer)->wanted &= ~(unsigned)EPOLLOUT;
}

static void forget(void *peer)
{
    ((struct peer *)peer)->wanted = 0;
}

void peer_open(struct peer *peer, const struct server *server, bool over_tcp)
{
    memset(peer, 0, sizeof *peer);
    redisAsyncContext *context =
        over_tcp ? redisAsyncConnect("127.0.0.1", server->port) : redisAsyncConnectUnix(server->socket);
    if (context == NULL || context->err != 0) {
        die("hiredis async cannot connect: %s", context == NULL ? "out of memory" : context->errstr);
    }
    const int on = 1;
    if (over_tcp && setsockopt(context->c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        die("cannot set TCP_NODELAY");
    }
    peer->context = context;
    peer->loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event nothing = {.events = 0};
    if (peer->loop < 0 || epoll_ctl(peer->loop, EPOLL_CTL_ADD, context->c.fd, &nothing) != 0) {
        die("epoll does not work");
    }
    context->ev.data = peer;
    context->ev.addRead = want_reading;
    context->ev.delRead = refuse_reading;
    context->ev.addWrite = want_writing;
    context->ev.delWrite = refuse_writing;
    context->ev.cleanup = forget;
    peer->wanted = EPOLLOUT; /* it is connecting */
}

void peer_turn(struct peer *peer)
{
    struct epoll_event event = {.events = peer->wanted};
    if (peer->wanted != peer->told) {
        if (epoll_ctl(peer->loop, EPOLL_CTL_MOD, peer->context->c.fd, &event) != 0) {
            die("epoll_ctl failed");
        }
        peer->told = peer->wanted;
    }
    int count = epoll_wait(peer->loop, &event, 1, 10000);
    if (count == 0 || (count < 0 && errno != EINTR)) {
        die("hiredis async waits for ever");
    }
    if (count > 0 && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        redisAsyncHandleRead(peer->context);
    }
    if (count > 0 && (event.events & EPOLLOUT) != 0) {
        redisAsyncHandleWrite(peer->context);
    }
}

void peer_close(struct peer *peer)
{
    redisAsyncFree(peer->context);
    close(peer->loop);
}
