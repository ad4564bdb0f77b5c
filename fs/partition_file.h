/* SPDX-License-Identifier: Apache-2.0 */
/* Partition files: extent, opening and reading of `topic/N` and of the views `topic/N@SEL`. */
#ifndef FS_PARTITION_FILE_H
#define FS_PARTITION_FILE_H

#include "fs/tree.h"

/* Whether SEL is a place or a range. */
bool view_name_valid(struct tree *tree, const char *selector);

/* Where an open file begins and ends in the text view. Inside the monitor. */
enum error partition_file_open(struct tree *tree, struct open_file *file);

/* One read(2): *ret_block (of tree->blocks, for the caller to give back) holds *ret_size bytes.
 * Outside the monitor. */
enum error partition_file_read(struct tree *tree, struct open_file *file, uint64_t position,
                               size_t size, uint8_t **ret_block, size_t *ret_size);

/* Starts CreatePartitions on behalf of the op; false when the op is complete already. */
bool topic_grow(struct node_op *op, const char *topic, int32_t count,
                void (*answered)(struct node_op *op));

/* The offset a selector means in a partition; `current` is what +N and -N count from. */
struct selector;
enum error partition_place(struct tree *tree, struct partition *partition,
                           const struct selector *selector, int64_t current, int64_t *ret_offset);

#endif
