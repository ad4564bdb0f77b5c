/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of consumer groups share: what is read and what is changed is asked of the group's
 * coordinator, on this node or another.
 *
 *   group_look, group_fetch, group_ask --> the leader of the group's partition of
 *                        ^                 __consumer_offsets --> replied
 *                        '-- another one, loading, no answer: from the beginning, until timeo
 *
 * Inside the monitor. */
#ifndef FS_GROUP_FILES_H
#define FS_GROUP_FILES_H

#include "base/report.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_describe_groups.h"
#include "wire/api_offset_fetch.h"

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

enum { GROUP_ATTEMPT_MS = 3000, DESCRIBE_GROUPS_VERSION = 6, OFFSET_FETCH_VERSION = 9 };

typedef struct describe_groups_response_described_group group_description;
typedef struct offset_fetch_response_group group_offsets;

extern const struct inode_class group_class;
extern const struct inode_class group_topic_class; /* fs/group_offsets.c */
extern const struct inode_class group_lag_class;   /* fs/group_lag.c */

/* The group that an inode inside its directory belongs to. */
struct slice group_id_of(const struct inode *inode);

/* False while there is none: nobody has committed anything yet, so there are no groups. */
bool group_topic_exists(struct tree *tree);

/* -1: nobody leads the group's partition, or there is no offsets topic. */
int32_t group_coordinator_node(struct tree *tree, struct slice id);

/* Sends the op's request (node_op_request) to the group's coordinator. `replied` comes with a
 * response; without one, `restart` runs again from its beginning, or the op ends. */
void group_ask(struct node_op *op, struct slice id, void (*restart)(struct node_op *op),
               void (*replied)(struct node_op *op));

/* True when the error passes by itself (another node coordinates, it is loading, it did not answer)
 * and the op is taken care of: it tries `again` soon, or its time, the mount's timeo, is over. Such
 * errors never reach the user before (filesystem.md 3.6). */
bool group_retry(struct node_op *op, enum error error, void (*again)(struct node_op *op));

/* Asks for the group's description; group_looked, in `replied`, says what came: GROUP_ID_NOT_FOUND,
 * and the coordinator's. */
void group_look(struct node_op *op, struct slice id, void (*restart)(struct node_op *op),
                void (*replied)(struct node_op *op));
enum error group_looked(const struct ask *ask, const group_description **ret_group);

/* Asks for what the group has committed, for one partition or (topic NULL) for all. No topics when
 * there is nothing. */
void group_fetch(struct node_op *op, struct slice id, const char *topic, int32_t index,
                 void (*restart)(struct node_op *op), void (*replied)(struct node_op *op));
enum error group_fetched(const struct ask *ask, const group_offsets **ret_offsets);

/* `ls .groups`: what every coordinator has (fs/group_list.c). */
void groups_list(struct node_op *op);

/* The bodies of the two. False: out of memory. */
bool group_look_fill(struct ask *ask, struct slice id);
bool group_fetch_fill(struct ask *ask, struct slice id, const char *topic, int32_t index);

#endif
