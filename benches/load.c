/*
 * /proc/stat, getrusage and affinity. See load.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "load.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static cpu_set_t all_cores;

struct usage usage_now(void)
{
    struct rusage r;
    if (getrusage(RUSAGE_SELF, &r) != 0) {
        die("getrusage failed");
    }
    double us = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    return (struct usage){.cpu_us = us, .switches = r.ru_nvcsw};
}

double process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) {
        die("process %d has ended", (int)pid);
    }
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double others_seconds(pid_t server)
{
    unsigned long long user, nice, kernel, idle, waiting, irq, softirq, stolen;
    FILE *file = fopen("/proc/stat", "r");
    if (file == NULL || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &kernel, &idle, &waiting,
                               &irq, &softirq, &stolen) != 8) {
        die("cannot read /proc/stat");
    }
    fclose(file);
    unsigned long long busy = user + nice + kernel + irq + softirq + stolen;
    return (double)busy / (double)sysconf(_SC_CLK_TCK) - process_cpu_ns(server) / 1e9 - usage_now().cpu_us / 1e6;
}

int cores_find(void)
{
    if (sched_getaffinity(0, sizeof all_cores, &all_cores) != 0) {
        die("sched_getaffinity failed");
    }
    return CPU_COUNT(&all_cores);
}

/* The first or the last core that this process was given. */
static cpu_set_t only_core(bool last)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all_cores)) {
            CPU_ZERO(&one);
            CPU_SET(i, &one);
            if (!last) {
                break;
            }
        }
    }
    return one;
}

/* sched_setaffinity moves one thread; Redis has some in the background, larder may have. */
static void move_process(pid_t pid, const cpu_set_t *cores)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        die("cannot list %s", path);
    }
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        int id = atoi(task->d_name);
        /* A thread that ended meanwhile needs no core. */
        if (id > 0) {
            (void)sched_setaffinity(id, sizeof *cores, cores);
        }
    }
    closedir(tasks);
}

void cores_place(enum placement placement, pid_t server)
{
    cpu_set_t client_cores = placement == ANYWHERE ? all_cores : only_core(true);
    cpu_set_t server_cores = placement == TWO_CORES ? only_core(false) : client_cores;
    move_process(getpid(), &client_cores);
    move_process(server, &server_cores);
}
