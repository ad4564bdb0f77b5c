/* SPDX-License-Identifier: Apache-2.0 */
/* A little space kept in the data directory, so that a node which is killed on a full disk can
 * start again and serve what it has: libraft makes a probe file, indexes and checkpoints are
 * written anew.
 *
 *   log.dirs/topicfs.reserve    RESERVE_BYTES allocated; empty while they are lent out
 *
 * The control loop's thread. Nothing fails for want of a reserve. */
#ifndef BROKER_DAEMON_RESERVE_H
#define BROKER_DAEMON_RESERVE_H

#include <stdbool.h>

enum { RESERVE_BYTES = 1 << 20, RESERVE_CHECK_MS = 30000 };

/* At start, before anything else is written there: gives the reserve free when the disk is full.
 * True when it did. */
bool reserve_lend(const char *directory);

/* Makes the reserve once there is room for many. */
void reserve_keep(const char *directory);

#endif
