/* SPDX-License-Identifier: Apache-2.0 */
/* Partition files: extent, opening and reading of `topic/N` and of the views `topic/N@SEL`. */
#ifndef FS_PARTITION_FILE_H
#define FS_PARTITION_FILE_H

#include "fs/tree.h"

/* Whether SEL is a place or a range. */
bool view_name_valid(struct tree *tree, const char *selector);

/* Where an open file begins and ends in the text view. Inside the monitor. */
enum error partition_file_open(struct tree *tree, struct open_file *file);

enum {
    /* How old what a leader said may be when a file is looked at, and how long it is waited for:
     * longer than a dead leader takes to be replaced, shorter than anybody waits for `ls`. */
    PARTITION_STAT_AGE_MS = 500,
    PARTITION_STAT_WAIT_MS = 3000,
};

/* Where an open file's reader gets batches from: this node's replica, or what its leader sent. */
struct partition_source {
    struct text_source source;
    struct tree *tree;
    struct inode *inode;
    bool is_elsewhere; /* Only what was given is looked at, and the monitor is not entered. */
    bool given;        /* The next five say what is behind `wanted`. */
    uint64_t wanted;   /* Text position: what was given, and what is to be asked for. */
    struct text_piece *piece; /* Owned; NULL: `wanted` is the end. */
    uint64_t batch_text;
    uint64_t text_start;
    bool at_end;
    bool starved; /* Result: reading goes on once the leader was asked for `wanted`. */
};
void partition_source_init(struct partition_source *from, struct tree *tree,
                           struct open_file *file);

/* As text_reader_read, under file->reading; starved it gives what there was before. Outside the
 * monitor. */
enum error partition_source_read(struct partition_source *from, struct open_file *file,
                                 uint64_t position, uint8_t *out, size_t size, size_t *ret_size);

/* Of views without a replica: their places, to look for, and what was found. */
void view_places(struct tree *tree, const struct inode *inode, struct remote_look *look);
void view_looked(struct inode *inode, const struct remote_look *look);

/* The place a selector means, for a leader elsewhere to find. */
struct selector;
struct remote_place place_elsewhere(const struct selector *selector);

/* Starts CreatePartitions on behalf of the op; false when the op is complete already. */
bool topic_grow(struct node_op *op, const char *topic, int32_t count,
                void (*answered)(struct node_op *op));

/* The offset a selector means in a partition; `current` is what +N and -N count from. */
enum error partition_place(struct tree *tree, struct partition *partition,
                           const struct selector *selector, int64_t current, int64_t *ret_offset);

#endif
