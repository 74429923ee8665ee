/*
 * game_loop: larder beside a 60 Hz loop that must never wait. Each frame submits a few requests, takes a limited number
 * of answers within a slice of time, and leaves the rest to the next frame. It shows the longest time that larder took
 * of any frame.
 *
 *     cc game_loop.c -llarder -o game_loop
 *     ./game_loop [seconds [caches.json [alias]]]     without arguments: one second, in memory
 */
#define _POSIX_C_SOURCE 200809L /* the clock, where the compiler is asked for plain C */

#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FRAME_NS = 1000000000 / 60,
    SLICE_NS = 1000000, /* of a frame's 16.7 ms, larder gets one at the most */
    MAX_EVENTS = 64,    /* answers that one frame takes */
    PER_FRAME = 20,     /* requests of one frame */
    PLAYERS = 1000,
};

static void check(larder_status status, larder_error **error)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", larder_status_name(status), larder_error_message(*error));
        larder_error_release(*error);
        exit(1);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) {
    }
}

typedef struct {
    larder_store *store;
    larder_queue *queue;
    long submitted, skipped, answered, found, failed;
} game;

/*
 * Saves the scores of some players, and reads each back: operations on one key, submitted by one thread, take effect in
 * their order. A full queue refuses: a game then rather skips than waits. Other refusals are mistakes, and end it.
 */
static void submit(game *game, long frame)
{
    larder_request requests[PER_FRAME];
    char keys[PER_FRAME][24], values[PER_FRAME][24];
    size_t accepted = 0;
    memset(requests, 0, sizeof requests);
    for (int i = 0; i < PER_FRAME; i++) {
        long player = (frame * (PER_FRAME / 2) + i / 2) % PLAYERS;
        snprintf(keys[i], sizeof keys[i], "game:%ld", player);
        snprintf(values[i], sizeof values[i], "%ld", frame);
        requests[i].operation = i % 2 == 0 ? LARDER_OP_SET : LARDER_OP_GET;
        requests[i].store = game->store;
        requests[i].tag = (uint64_t)player;
        requests[i].key = keys[i];
        requests[i].key_len = strlen(keys[i]);
        requests[i].format = LARDER_JSON;
        requests[i].value = values[i];
        requests[i].value_len = strlen(values[i]);
        requests[i].ttl_ms = 60000;
        requests[i].timeout_ms = 500; /* a later answer would be of no use */
    }
    /* Keys and values are copied: the arrays may go when this returns. */
    larder_error *error = NULL;
    larder_status status = larder_submit(game->queue, requests, PER_FRAME, sizeof *requests, &accepted, &error);
    if (status == LARDER_EBUSY)
        larder_error_release(error);
    else
        check(status, &error);
    game->submitted += (long)accepted;
    game->skipped += PER_FRAME - (long)accepted;
}

/* Takes answers, but neither too many nor for too long; timeout_ms 0 never waits. Whether any were there. */
static int take(game *game, int64_t end)
{
    larder_event events[8];
    int taken = 0;
    size_t n = 0;
    while (taken < MAX_EVENTS && now_ns() < end &&
           larder_queue_poll(game->queue, events, 8, sizeof *events, 0, &n, NULL) == LARDER_OK) {
        for (size_t i = 0; i < n; i++) {
            game->found += events[i].operation == LARDER_OP_GET && events[i].value != NULL;
            game->failed += events[i].status < 0; /* shows in the counts; nothing here stops a game */
        }
        taken += (int)n;
        larder_events_clear(events, n, sizeof *events);
    }
    game->answered += taken;
    return taken > 0;
}

int main(int argc, char **argv)
{
    static const char in_memory[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    game game = {0};
    larder_context *context = NULL;
    larder_error *error = NULL;
    int64_t longest = 0;
    double seconds = argc > 1 ? atof(argv[1]) : 1;

    if (argc > 2)
        check(larder_open_file(argv[2], NULL, &context, &error), &error);
    else
        check(larder_open(in_memory, strlen(in_memory), NULL, &context, &error), &error);
    check(larder_store_open(context, argc > 3 ? argv[3] : "default", &game.store, &error), &error);
    check(larder_queue_open(context, 1000, 0, &game.queue, &error), &error);

    long frames = seconds < 3 ? (long)(seconds * 60) : 3 * 60;
    int64_t begin = now_ns();
    for (long frame = 0; frame < frames; frame++) {
        int64_t before = now_ns();
        submit(&game, frame);
        take(&game, before + SLICE_NS);
        int64_t took = now_ns() - before;
        longest = took > longest ? took : longest;
        /* … input, physics, drawing … */
        sleep_until(begin + (frame + 1) * FRAME_NS);
    }
    printf("%ld frames: %ld submitted, %ld skipped\n", frames, game.submitted, game.skipped);
    printf("larder took %.3f ms of a frame at the most\n", (double)longest / 1e6);

    /* The game is over: now there is time to wait for what is still under way. Each request had 500 ms. */
    for (int64_t end = now_ns() + 2000000000; game.answered < game.submitted && now_ns() < end;) {
        if (!take(&game, end))
            sleep_until(now_ns() + 1000000);
    }
    printf("%ld answered: %ld found what was saved, %ld failed\n", game.answered, game.found, game.failed);

    larder_queue_close(game.queue);
    larder_store_close(game.store);
    check(larder_shutdown(context, 1000, &error), &error);
    return 0;
}
