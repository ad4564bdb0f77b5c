/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a node: what every operation works on. Inside the monitor, except where said. */
#ifndef FS_TREE_H
#define FS_TREE_H

#include "fs/errors.h"
#include "fs/inode.h"
#include "fs/lane.h"
#include "fs/op.h"
#include "fs/options.h"
#include "fs/pool.h"
#include "fs/remote.h"

#include "base/monitor.h"

#include <stdatomic.h>

struct tree {
    struct monitor *monitor;
    struct broker *broker;
    struct mount_options options;
    struct inode_table inodes;
    struct inode *root;
    struct list parked;     /* struct op. */
    struct list open_files; /* struct open_file. */
    uint32_t open_file_count;
    uint32_t open_files_max; /* topicfs.mount.open.files.max. */
    struct list file_owners; /* struct file_owner. */
    atomic_uint operations;  /* Ops not freed yet; any thread. */
    struct error_list errors;
    struct lane_producer *producer;
    struct remotes remotes;
    struct block_pool blocks; /* Any thread. */
    int64_t started_ms;       /* Wall clock. */
    bool closing;             /* Whoever still waits is to end at once. */
    uid_t uid;
    gid_t gid;
};

enum error tree_init(struct tree *tree, struct monitor *monitor, struct broker *broker,
                     const struct mount_options *options);

/* No op, no open file and no session is left. */
void tree_done(struct tree *tree);

static inline struct executor *tree_executor(struct tree *tree)
{
    return monitor_executor(tree->monitor);
}

/* False once the topic, or whatever it or a parent stands for, is gone. */
bool inode_alive(struct tree *tree, const struct inode *inode);

/* stat(2) of everything but the size of rendered files. */
void inode_stat(struct tree *tree, struct inode *inode, struct stat *ret_stat);

/* The inode of a fixed entry: `name` of this class under `parent`; a reference for the caller. */
struct inode *inode_fixed(struct tree *tree, struct inode *parent, const struct inode_class *class,
                          const char *name);

/* A small file or directory that is always there. */
struct fixed_entry {
    const char *name;
    const struct inode_class *class;
    bool unlisted;
};

/* Looks `name` up among fixed entries (ended by a NULL name); true when the op was completed. */
bool fixed_lookup(struct node_op *op, const struct fixed_entry *entries);
void fixed_list(struct node_op *op, const struct fixed_entry *entries);

/* ---- the families ---- */

extern const struct inode_class root_class;         /* fs/root.c */
extern const struct inode_class topic_class;        /* fs/topic.c */
extern const struct inode_class partition_class;    /* fs/partition_file.c */
extern const struct inode_class view_class;         /* fs/partition_file.c: P@SEL */
extern const struct inode_class topic_info_class;   /* fs/info.c */
extern const struct inode_class topic_config_class; /* fs/config_files.c: .config/ */
extern const struct inode_class node_config_class;  /* fs/config_files.c: .config */
extern const struct inode_class health_class;       /* fs/status.c */
extern const struct inode_class help_class;         /* fs/help.c */
extern const struct inode_class errors_class;       /* fs/status.c */
extern const struct inode_class brokers_class;      /* fs/status.c */
extern const struct inode_class cluster_class;      /* fs/cluster_files.c */
extern const struct inode_class groups_class;       /* fs/groups.c */

/* The catalog's entry of a topic inode, or of anything inside one; NULL when it was deleted. */
const struct catalog_topic *inode_topic(struct tree *tree, const struct inode *inode);

/* This node's replica behind a partition's inode; NULL: it has none, or none to go by yet (it is
 * being given one). Held by the inode: valid until the monitor is left. */
struct partition *inode_replica(struct tree *tree, struct inode *inode);

/* The number of a partition file's bytes, and whether the log could be opened. Moves the inode's
 * base when it is not set. */
enum error partition_file_extent(struct tree *tree, struct inode *inode, uint64_t *ret_size);

#endif
