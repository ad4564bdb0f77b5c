/* SPDX-License-Identifier: Apache-2.0 */
/* read(2) of a partition file whose bytes are on another node: the leader is asked for batches, a
 * pool thread walks them, until the request is full or the file ends. */
#ifndef FS_REMOTE_READ_H
#define FS_REMOTE_READ_H

#include "fs/partition_file.h"

/* Goes on with a read that starved: `block` (of tree->blocks, taken over) holds `used` of `size`
 * bytes from `position` on, `wanted` is the text position it stopped at. Answers later. */
void remote_read(struct tree *tree, struct fuse_req *fuse, struct open_file *file,
                 uint64_t position, uint8_t *block, size_t used, size_t size, uint64_t wanted);

#endif
