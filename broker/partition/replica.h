/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a partition, shared by the files of this room only. */
#ifndef BROKER_PARTITION_REPLICA_H
#define BROKER_PARTITION_REPLICA_H

#include "base/table.h"
#include "partition/partition.h"

struct table_topic;

struct partition {
    struct partition_table *table;
    struct table_topic *topic;
    int32_t index;
    uint32_t references; /* The table's own and those of files and requests. */
    enum partition_role role;
    int32_t leader; /* As assigned; -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool deleted;
    bool was_clean;        /* How to open the log: trust it, or scan from the recovery point. */
    bool epoch_assigned;   /* The log knows leader_epoch. */
    bool sync_failed;      /* Reported once; final until the log is opened again. */
    struct log *log;       /* NULL until first used. */
    enum error open_error; /* Why the log could not be opened; role is OFFLINE then. */
    int64_t high_watermark;
    struct list appends;   /* struct partition_append waiting for the commit rule, by end_offset. */
    struct list waits;     /* struct partition_wait. */
    struct list sync_link; /* In the table's sync_wanted, counted: never while one is under way. */
    struct log_sync sync;  /* The one under way. */
    struct work sync_work;
    bool syncing;
};

/* A topic's replicas on this node, by index; holes are NULL. */
struct table_topic {
    char *name;
    struct uuid id;
    struct partition_config config;
    struct partition **partitions;
    uint32_t capacity;
    uint32_t used;
    UT_hash_handle by_name;
    UT_hash_handle by_id;
};

struct partition_table {
    struct partition_table_options options;
    struct table_topic *by_name;
    struct table_topic *by_id;
    struct timer retention_timer;
    struct timer checkpoint_timer;
    uint32_t works_under_way; /* Syncs, and deleted directories being removed. */
    uint32_t syncs_under_way;
    struct list sync_wanted;  /* Of the next round: see sync.c. */
    struct task round_task;   /* Posted: consider a round. */
    struct timer round_timer; /* Running: a round begins at the latest then. */
    uint32_t round_waiting;   /* Appends that wait for the next round. */
    uint32_t round_answers;   /* Appends that wait for the one under way. */
    uint32_t round_expected;  /* Appends that waited for the last one. */
    bool closing;
};

/* ---- commit.c ---- */

/* Moves the high watermark to what the commit rule allows, answers appends below it, wakes waits.
 */
void partition_commit(struct partition *partition);

/* Posts every wait's task. */
void partition_wake_waits(struct partition *partition);

/* Ends every waiting append with `error` and wakes every wait. */
void partition_abandon(struct partition *partition, enum error error);

/* ---- opening.c ---- */

/* Opens the log on first use. DISK_FULL and OUT_OF_MEMORY pass: the next use tries again. */
enum error partition_open(struct partition *partition, struct failure *failure);

/* Asserts the numbered beliefs that hold at rest. */
void partition_check(const struct partition *partition);

/* ---- partition.c ---- */

void partition_report(struct partition *partition, int level, const char *event, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

void partition_free(struct partition *partition);

/* Closes the log and remembers its checkpoints. */
void partition_close_log(struct partition *partition, bool clean);

/* Renames a directory that no partition here owns, so that its name is free and nothing is lost. */
enum error directory_set_aside(struct partition_table *table, const char *directory,
                               char ret_path[LOG_DIRECTORY_NAME_BYTES + 80]);
/* ---- sync.c ---- */

void sync_rounds_init(struct partition_table *table);

/* No round begins any more; those under way end. */
void sync_rounds_stop(struct partition_table *table);

/* ---- upkeep.c ---- */

void upkeep_start(struct partition_table *table);
void upkeep_stop(struct partition_table *table);

/* Tells the directory this partition's offsets for the next checkpoint. */
enum error partition_note_checkpoint(struct partition *partition);

#endif
