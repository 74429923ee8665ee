/*
 * How this program uses larder: what every host writes once.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_LARDER_USE_H
#define BENCH_LARDER_USE_H

#include <larder.h>

#include "contest.h"

/** Ends the program with larder's own words, unless all is well. */
static inline void larder_must(larder_status status, larder_error *error, const char *what)
{
    if (status != LARDER_OK) {
        die("%s: %s: %s", what, larder_status_name(status), larder_error_message(error));
    }
}

static inline larder_store *larder_must_open(const larder_context *context, const char *alias)
{
    larder_store *store = NULL;
    larder_error *error = NULL;
    larder_must(larder_store_open(context, alias, &store, &error), error, alias);
    return store;
}

#endif
