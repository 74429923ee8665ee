/*
 * Loaded before the C library (LD_PRELOAD): names under "slow.test" are looked up for 30 s and then not found, names
 * under "late.test" are 127.0.0.1 after 100 ms.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

int slow_lookups(void);

static _Atomic int lookups;

/* How many look-ups of such names were begun. */
int slow_lookups(void)
{
    return atomic_load(&lookups);
}

static void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

static int is_under(const char *name, const char *zone)
{
    return name != NULL && strstr(name, zone) != NULL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (is_under(name, "slow.test")) {
        atomic_fetch_add(&lookups, 1);
        sleep_ms(30000);
        return EAI_AGAIN;
    }
    if (is_under(name, "late.test")) {
        atomic_fetch_add(&lookups, 1);
        sleep_ms(100);
        name = "127.0.0.1";
    }
    return real(name, service, hints, found);
}
