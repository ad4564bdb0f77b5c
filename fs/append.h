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

/* Who wants to hear what became of a tail. */
struct append_watch {
    struct append_op *op; /* Under way; NULL otherwise. */
    void (*done)(struct append_watch *watch, enum error error);
};

/* The same, inside the monitor. With a watch (may be NULL) `done` comes once, perhaps from inside,
 * unless false is returned: there was no tail. */
bool append_tail_inside(struct tree *tree, struct open_file *file, struct append_watch *watch);

/* Afterwards `done` does not come. */
void append_watch_end(struct append_watch *watch);

/* fsync(2): the tail becomes a record, and everything the partition holds now is waited for until
 * it is below the high watermark and on stable storage. */
void append_sync(struct tree *tree, struct fuse_req *fuse, struct open_file *file);

/* Reads what the partition's topic wants of a batch. Inside the monitor. */
struct append_settings append_settings_of(struct tree *tree, const struct inode *inode);

#endif
