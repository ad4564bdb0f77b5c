/* SPDX-License-Identifier: Apache-2.0 */
/* One batch on its way to a leader on another node: Produce, the bytes as they are.
 *
 *   forward_start --> call to the leader --> done(batch): append.error, offsets
 *                        |        '-- forward_end: done soon, and the batch may be there
 *                        '-- forward_leave: nobody asks any more; the bytes stay until it ends
 *
 * Calls to one node go in the order they were started, so batches of one partition arrive in
 * order while one node leads. Inside the monitor. */
#ifndef FS_FORWARD_H
#define FS_FORWARD_H

#include "fs/lane.h"

struct forward;

/* What became of it is in batch->append: NONE with the offsets, or
 *   LEADER_NOT_AVAILABLE   certainly not sent, or to a node that does not know the topic yet;
 *   REQUEST_TIMED_OUT      no answer in time, or not committed in time: it may be there;
 *   NETWORK                the answer was lost: it may be there;
 *   what the leader says.
 * `done` comes exactly once, never from inside, unless forward_leave comes first. OUT_OF_MEMORY. */
enum error forward_start(struct tree *tree, const struct inode *inode, struct lane_batch *batch,
                         int32_t leader, int32_t timeout_ms,
                         void (*done)(struct lane_batch *batch, bool maybe_stored));

/* The node it was sent to leads no more: ends soon, with NETWORK unless the answer comes first. */
void forward_end(struct forward *forward);

/* Nobody waits for it any more: the batch may go, its bytes are held. */
void forward_leave(struct forward *forward);

#endif
