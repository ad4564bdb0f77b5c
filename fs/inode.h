/* SPDX-License-Identifier: Apache-2.0 */
/* The filesystem nodes that the kernel or an open file knows of, and what each kind of them can do.
 *
 * An inode is found by (parent, class, name, topic id): a topic deleted and made again is another
 * inode. It lives while the kernel's lookup count, its children and its open files hold it, and its
 * number is a hash of what it is, so the same thing has the same number in the next life. The
 * number the kernel uses (nodeid) is the struct's address. Inside the monitor, except reading the
 * fields that never change. */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "base/list.h"
#include "base/slice.h"
#include "partition/partition.h"

#include <sys/stat.h>

struct node_op;
struct tree;
struct inode;

/* What a kind of inode can do. Operations that are NULL are refused with EPERM; every other one
 * completes its op exactly once, at once or later (fs/op.h). */
struct inode_class {
    const char *name;  /* Of the kind; part of the inode number. */
    mode_t mode;       /* Type and permission bits. */
    bool is_partition; /* Values of a partition: read by fs/text_reader.h, not rendered. */
    /* False once what it stands for is gone. NULL: as alive as its parent. */
    bool (*alive)(struct tree *tree, const struct inode *inode);
    /* Directories; the name is op->name. */
    void (*lookup)(struct node_op *op);
    void (*list)(struct node_op *op);
    void (*make_directory)(struct node_op *op);
    void (*remove_directory)(struct node_op *op);
    void (*make_file)(struct node_op *op);
    void (*remove_file)(struct node_op *op);
    /* Small files: the whole contents into op->text; what one write(2) says is op->input. */
    void (*render)(struct node_op *op);
    void (*store)(struct node_op *op);
};

struct inode {
    struct list bucket;
    const struct inode_class *class;
    struct inode *parent; /* Holds one reference; NULL for the root. */
    uint64_t number;      /* st_ino. */
    /* Not 0, and another one for whatever has the same address later: the kernel's file handles
     * (name_to_handle_at(2), NFS) are address and generation. */
    uint32_t generation;
    uint64_t references;  /* Kernel lookups, children, open files and operations under way. */
    struct uuid topic_id; /* Of topics and what is inside them, else zero. */
    int32_t index;        /* Of partitions, else -1. */
    char *name;           /* What it stands for: topic, group id, configuration key; NUL behind. */
    size_t name_size;
    char *file_name; /* As its directory lists it. */
    /* Of partition files: counted; NULL: this node has no replica, or none to go by yet. Looked up
     * with inode_replica (fs/tree.h) whenever it is used: replicas come and go. */
    struct partition *partition;
    int64_t local_shift; /* The replica's text positions less the file's; 0 unless it came late. */
    /* A place the replica had when it was last looked at: where the file goes on elsewhere. */
    int64_t anchor_offset;
    uint64_t anchor_text;
    uint64_t view_from; /* Of views without a replica, as last found. */
    uint64_t view_to;
    /* Partition files: the text position that is position 0 of the file, fixed when the inode
     * became known, so that sizes never shrink (filesystem.md 0.5). */
    uint64_t text_base;
    uint64_t text_end_seen;
    int64_t modified_ms; /* When the text was seen to grow; 0: not looked at yet. */
    bool based;
    struct lane *lane; /* Of partition files that were written: fs/lane.h. */
    char *error;       /* The last failed operation on it, for user.kafka.error; may be NULL. */
};

struct inode_key {
    const struct inode_class *class;
    struct inode *parent;
    const struct uuid *topic_id; /* NULL: the parent's. */
    int32_t index;
    struct slice name;
    const char *file_name; /* NULL: the name. */
};

struct inode_table {
    struct list *buckets;
    size_t bucket_count; /* A power of two. */
    size_t count;
    uint32_t generation; /* The last one given. */
};

enum { INODE_BUCKETS_MIN = 64, INODE_ROOT_NUMBER = 1 };

enum error inode_table_init(struct inode_table *table);
/* Every inode must be gone but those given away; frees them all. */
void inode_table_done(struct inode_table *table);

/* Gives the partitions back that inodes hold: the mount has ended and no operation will look at
 * them. */
void inode_table_release_partitions(struct inode_table *table);

/* Finds or makes the inode and adds a reference for the caller. NULL when out of memory. */
struct inode *inode_get(struct inode_table *table, const struct inode_key *key);

struct inode *inode_ref(struct inode *inode);

/* Takes `count` references back. Accepts NULL. */
void inode_unref(struct inode_table *table, struct inode *inode, uint64_t count);

/* "orders/.config/retention.ms", "" for the root; cut off at the size. Returns `out`. */
const char *inode_path(const struct inode *inode, char *out, size_t size);

/* What it stands for, as a slice. */
static inline struct slice inode_name(const struct inode *inode)
{
    return slice_from(inode->name, inode->name_size);
}

#endif
