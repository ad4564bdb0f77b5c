/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a partition file: write(2), the unended tail, fsync(2). Outside the monitor, except
 * where said. Each of them answers the kernel exactly once. */
#ifndef FS_APPEND_H
#define FS_APPEND_H

#include "fs/tree.h"
#include "fs/writer.h"

/* write(2): every whole line of `bytes` becomes a record; answered when they are committed at the
 * mount's acks, with the number of bytes taken: all of them, or fewer on a record's edge. */
void append_write(struct tree *tree, struct fuse_req *fuse, struct open_file *file,
                  struct slice bytes);

/* The line begun and not ended becomes a record, as the last close owes it (filesystem.md 3.4).
 * Nobody is answered; a failure is reported and kept for .errors. Of a writer that was killed
 * inside one write(2), only whole lines are stored (reliability.md 79). */
void append_tail(struct tree *tree, struct open_file *file);

/* The same, begun inside the monitor; tells an error that shows at once. */
enum error append_tail_inside(struct tree *tree, struct open_file *file);

/* fsync(2): the tail becomes a record, and everything the partition holds now is waited for until
 * it is below the high watermark and on stable storage. */
void append_sync(struct tree *tree, struct fuse_req *fuse, struct open_file *file);

/* Reads what the partition's topic wants of a batch. Inside the monitor. */
struct append_settings append_settings_of(struct partition *partition);

#endif
