/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the simulated disk: what they are now, what they are after a power cut, and the
 * changes between, in one order over all directories (as a file system's journal has them). */
#ifndef TESTS_SIM_SIMULATED_TREE_H
#define TESTS_SIM_SIMULATED_TREE_H

#include "base/error.h"
#include "sim/simulated_file.h"

struct simulated_inode;

struct simulated_name {
    char *text;
    struct simulated_inode *inode;
};

/* Sorted by text. */
struct simulated_names {
    struct simulated_name *items;
    size_t count;
    size_t capacity;
};

struct simulated_inode {
    struct list link; /* In the tree's inodes. */
    bool is_directory;
    bool linked;   /* Has a name now. */
    long handles;  /* Open files. */
    bool flagged;  /* Scratch of the function at work. */
    bool reached;  /* Scratch of the sweep. */
    uint64_t used; /* What it counts for in the tree's used_bytes. */
    struct simulated_names current;
    struct simulated_names synced;
    struct simulated_contents contents;
};

struct simulated_tree {
    struct simulated_inode *root;
    struct list inodes;
    struct list changes; /* Of names, oldest first. */
    uint64_t used_bytes;
    size_t inode_count;
    size_t sweep_at; /* Sweep when there are so many inodes. */
};

/* Where a path ends. */
struct simulated_place {
    struct simulated_inode *directory;
    const char *name;              /* Points into the path; "" is the root. */
    struct simulated_inode *inode; /* NULL when there is no such name. */
};

void simulated_tree_init(struct simulated_tree *tree);
void simulated_tree_done(struct simulated_tree *tree);

/* NOT_FOUND when a directory on the way is missing, STORAGE when it is a file. */
enum error simulated_tree_find(struct simulated_tree *tree, const char *path,
                               struct simulated_place *ret_place);

/* A new file or directory at a place that has none. */
struct simulated_inode *simulated_tree_make(struct simulated_tree *tree,
                                            const struct simulated_place *place, bool is_directory);

/* With everything below, each name a change of its own. */
void simulated_tree_remove(struct simulated_tree *tree, const struct simulated_place *place);

enum error simulated_tree_rename(struct simulated_tree *tree, const struct simulated_place *from,
                                 const struct simulated_place *to);

/* The names in `directory` last, and what had to come before them. */
void simulated_tree_sync(struct simulated_tree *tree, struct simulated_inode *directory);

/* Everything that changed is on the disk; */
void simulated_tree_sync_all(struct simulated_tree *tree);
/* or some of the contents, and the files that lost something will tell. */
void simulated_tree_sync_all_failed(struct simulated_tree *tree, struct random *random);

/* Without `random` all unsynced names and contents are lost. No file may be open. */
void simulated_tree_crash(struct simulated_tree *tree, struct random *random);

/* Counts the inode's bytes anew. */
void simulated_tree_charge(struct simulated_tree *tree, struct simulated_inode *inode);

uint64_t simulated_tree_hash(const struct simulated_tree *tree);

#endif
