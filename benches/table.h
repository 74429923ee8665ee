/*
 * SQLite: larder's database cache against prepared statements in C, with the same SQLite.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

/** Runs the contests, with databases in `folder`, which exists and is ours. */
void table_contests(const char *folder);

/** Which SQLite the baseline uses. */
const char *table_version(void);

#endif
