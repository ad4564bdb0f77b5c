/* SPDX-License-Identifier: Apache-2.0 */
/* What all families of files share: life of the tree, attributes, fixed entries. */
#include "fs/tree.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "handle/broker.h"

#include <unistd.h>

enum {
    /* The largest answer to a read(2), and what coreutils read at a time: st_blksize. */
    TREE_BLOCK_BYTES = 1 << 20,
    STAT_BLOCK_BYTES = 512,
};

enum error tree_init(struct tree *tree, struct monitor *monitor, struct broker *broker,
                     const struct mount_options *options)
{
    *tree = (struct tree){
        .monitor = monitor,
        .broker = broker,
        .options = *options,
        .uid = geteuid(),
        .gid = getegid(),
    };
    list_init(&tree->parked);
    list_init(&tree->open_files);
    list_init(&tree->file_owners);
    tree->open_files_max =
        (uint32_t)config_node_number(broker->config, "topicfs.mount.open.files.max");
    tree->started_ms = executor_wall_clock_ms(tree_executor(tree));
    enum error error = lane_producer_new(tree, &tree->producer);
    if (error == ERROR_NONE)
        error = inode_table_init(&tree->inodes);
    if (error != ERROR_NONE) {
        lane_producer_free(tree->producer);
        return error;
    }
    struct inode_key key = {&root_class, NULL, NULL, -1, SLICE_EMPTY, NULL};
    tree->root = inode_get(&tree->inodes, &key);
    if (tree->root != NULL)
        remotes_init(tree);
    if (tree->root == NULL) {
        inode_table_done(&tree->inodes);
        lane_producer_free(tree->producer);
        return ERROR_OUT_OF_MEMORY;
    }
    block_pool_init(&tree->blocks, TREE_BLOCK_BYTES);
    return ERROR_NONE;
}

void tree_done(struct tree *tree)
{
    ASSERT(list_empty(&tree->parked));
    ASSERT(list_empty(&tree->open_files));
    ASSERT(list_empty(&tree->file_owners));
    inode_table_done(&tree->inodes);
    lane_producer_free(tree->producer);
    remotes_done(tree);
    errors_done(&tree->errors);
    block_pool_done(&tree->blocks);
}

bool inode_alive(struct tree *tree, const struct inode *inode)
{
    for (; inode != NULL; inode = inode->parent)
        if (inode->class->alive != NULL && !inode->class->alive(tree, inode))
            return false;
    return true;
}

const struct catalog_topic *inode_topic(struct tree *tree, const struct inode *inode)
{
    return catalog_topic_find_id(tree->broker->catalog, &inode->topic_id);
}

/* A replica that is being added still copies: until it is there, the leader knows better. */
static bool is_being_added(struct tree *tree, const struct inode *inode)
{
    struct catalog_partition partition;
    const struct catalog_topic *topic = inode_topic(tree, inode);
    if (topic == NULL ||
        !catalog_partition_find(tree->broker->catalog, topic, inode->index, &partition))
        return false;
    for (uint32_t i = 0; i < partition.adding_count; i++)
        if (partition.adding[i] == tree->broker->node_id)
            return true;
    return false;
}

/* The replica went: what it said last is where the file goes on from elsewhere. Without memory the
 * file begins where the leader's does. */
static void replica_leave(struct tree *tree, struct inode *inode)
{
    if (inode->based)
        (void)remote_seed(tree, &inode->topic_id, inode->index, inode->anchor_offset,
                          inode->anchor_text);
    partition_unref(inode->partition);
    inode->partition = NULL;
    inode->local_shift = 0;
}

/* How the replica's text positions differ from those the file had while it was read elsewhere.
 * False: the replica does not reach so far yet. */
static bool replica_measure(struct tree *tree, const struct inode *inode,
                            struct partition *partition, int64_t *ret_shift)
{
    struct log *log;
    uint64_t text;
    struct partition_offsets offsets;
    const struct remote_partition *known = remote_find(tree, &inode->topic_id, inode->index);
    *ret_shift = 0;
    if (known == NULL)
        return true;
    if (partition_log(partition, &log) != ERROR_NONE ||
        partition_offsets(partition, &offsets) != ERROR_NONE ||
        offsets.high_watermark < known->anchor_offset)
        return false;
    if (known->anchor_offset == offsets.high_watermark)
        text = log_text_end(log);
    else if (known->anchor_offset < offsets.log_start_offset)
        text = log_text_start(log);
    else if (log_text_of_offset(log, known->anchor_offset, &text) != ERROR_NONE)
        return false;
    *ret_shift = (int64_t)(text - known->anchor_text);
    return true;
}

struct partition *inode_replica(struct tree *tree, struct inode *inode)
{
    if (inode->partition != NULL && partition_deleted(inode->partition))
        replica_leave(tree, inode);
    if (inode->partition == NULL && !is_being_added(tree, inode)) {
        struct partition *partition =
            partition_table_find_id(tree->broker->partitions, &inode->topic_id, inode->index);
        if (partition != NULL && replica_measure(tree, inode, partition, &inode->local_shift))
            inode->partition = partition_ref(partition);
    }
    return inode->partition;
}

static void stat_partition(struct tree *tree, struct inode *inode, struct stat *ret_stat)
{
    uint64_t size = 0;
    struct log *log;
    ret_stat->st_blksize = TREE_BLOCK_BYTES;
    if (partition_file_extent(tree, inode, &size) != ERROR_NONE)
        return; /* Offline: the name is there, opening it says why not more. */
    ret_stat->st_size = (off_t)size;
    struct partition *replica = inode_replica(tree, inode);
    const struct remote_partition *known =
        replica == NULL ? remote_find(tree, &inode->topic_id, inode->index) : NULL;
    uint64_t bytes = known == NULL ? 0 : (uint64_t)known->log_size_bytes;
    if (replica != NULL && partition_has_log(replica) && partition_log(replica, &log) == ERROR_NONE)
        bytes = log_size_bytes(log);
    ret_stat->st_blocks = (blkcnt_t)((bytes + STAT_BLOCK_BYTES - 1) / STAT_BLOCK_BYTES);
}

void inode_stat(struct tree *tree, struct inode *inode, struct stat *ret_stat)
{
    bool is_directory = S_ISDIR(inode->class->mode);
    int64_t modified_ms = tree->started_ms;
    *ret_stat = (struct stat){
        .st_ino = inode->number,
        .st_mode = inode->class->mode,
        .st_nlink = is_directory ? 2 : 1,
        .st_uid = tree->uid,
        .st_gid = tree->gid,
        .st_blksize = 4096,
    };
    const struct catalog_topic *topic =
        uuid_is_zero(&inode->topic_id) ? NULL : inode_topic(tree, inode);
    if (topic != NULL)
        modified_ms = topic->created_ms;
    if (inode->class->is_partition) {
        stat_partition(tree, inode, ret_stat);
        if (inode->modified_ms > 0)
            modified_ms = inode->modified_ms;
    }
    ret_stat->st_mtim.tv_sec = modified_ms / 1000;
    ret_stat->st_mtim.tv_nsec = modified_ms % 1000 * 1000000;
    ret_stat->st_ctim = ret_stat->st_mtim;
    ret_stat->st_atim = ret_stat->st_mtim;
}

struct inode *inode_fixed(struct tree *tree, struct inode *parent, const struct inode_class *class,
                          const char *name)
{
    struct inode_key key = {class, parent, NULL, parent->index, slice_of(name), NULL};
    return inode_get(&tree->inodes, &key);
}

bool fixed_lookup(struct node_op *op, const struct fixed_entry *entries)
{
    for (; entries->name != NULL; entries++) {
        if (strcmp(entries->name, op->name) != 0)
            continue;
        node_op_found(op, inode_fixed(op->op.tree, op->op.inode, entries->class, op->name));
        return true;
    }
    return false;
}

void fixed_list(struct node_op *op, const struct fixed_entry *entries)
{
    for (; entries->name != NULL; entries++)
        if (!entries->unlisted)
            listing_add(&op->listing, S_ISDIR(entries->class->mode), entries->name);
}
