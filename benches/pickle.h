/*
 * From a pickle to JSON text: larder against CPython.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_PICKLE_H
#define BENCH_PICKLE_H

/** Runs the contests; `python` is an interpreter, `script` benches/pickles.py. */
void pickle_contests(const char *python, const char *script);

#endif
