/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of consumer groups share. Inside the monitor. */
#ifndef FS_GROUP_FILES_H
#define FS_GROUP_FILES_H

#include "base/report.h"
#include "fs/tree.h"
#include "group/group.h"
#include "handle/broker.h"

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

extern const struct inode_class group_class;
extern const struct inode_class group_topic_class; /* fs/group_offsets.c */

/* The group, also one that only mkdir knows of. GROUP_ID_NOT_FOUND, and the coordinator's. */
enum error group_look(struct tree *tree, struct slice id, struct group_view *ret_view);

/* Its committed offsets, sorted by topic and partition. */
enum error group_committed_each(struct tree *tree, struct slice id,
                                void (*each)(void *context, const struct group_offset *offset),
                                void *context);

/* True when the error passes by itself (the coordinator is loading or being made) and the op will
 * try `again` soon: such errors never reach the user before the mount's timeo (filesystem.md 3.6).
 */
bool group_retry(struct node_op *op, enum error error, void (*again)(struct node_op *op));

/* DeleteGroups on behalf of an op on `.groups`. */
void groups_remove_directory(struct node_op *op);

#endif
