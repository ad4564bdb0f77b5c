/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a partition, shared by the files of this room only. */
#ifndef BROKER_PARTITION_REPLICA_H
#define BROKER_PARTITION_REPLICA_H

#include "base/table.h"
#include "partition/partition.h"

struct table_topic;

/* One replica as the partition's leader sees it; the leader itself is among them. */
struct follower {
    int32_t node_id;
    bool in_isr;        /* Of the committed ISR. */
    bool joining;       /* Of an ISR proposed since: counts from the moment it is sent. */
    int64_t node_epoch; /* The registration that reported the rest; -1: none has, in this epoch. */
    int64_t end_offset; /* -1: nothing reported. */
    int64_t synced_offset;
    int64_t log_start_offset;
    int64_t caught_up_ms; /* When it last had all there was; CAUGHT_UP_NEVER. */
    int64_t mark_offset;  /* Our end at mark_ms: with a vote there, it had caught up by then. */
    int64_t mark_ms;
};

#define CAUGHT_UP_NEVER INT64_MIN

/* In assignment order. */
struct followers {
    uint32_t count;
    uint32_t isr_count; /* Committed, the leader included. */
    struct follower each[];
};

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
    bool disk_failed;      /* It, or a refused write or opening: another should lead. */
    bool nothing_stored;   /* Looked: there is no log, not even an empty one. */
    bool recovering;       /* To be ended by the leader's next ISR change. */
    bool isr_changing;     /* One of ours is under way. */
    bool isr_uncertain;    /* One ended without saying how, and may still be applied. */
    bool fed;              /* The feed brings this follower its records. */
    bool checkpoint_owed;  /* A lowered recovery point is not on stable storage yet. */
    struct log *log;       /* NULL until first used. */
    enum error open_error; /* Why the log could not be opened; role is OFFLINE then. */
    int64_t high_watermark;
    struct list appends;  /* struct partition_append waiting for the commit rule, by end_offset. */
    struct list synced;   /* Those that wait for our own sync alone (acks=1), by end_offset. */
    struct list waits;    /* struct partition_wait. */
    struct list news;     /* struct partition_news. */
    struct list isr_link; /* In the table's isr_pending: an ISR change is to be tried again. */
    struct followers *followers; /* While leading more than one replica, else NULL. */
    int64_t epoch_start;         /* Of the epoch led; -1: the log is not open yet. */
    struct list sync_link; /* In the table's sync_wanted, or with one under way in together.members;
                              counted. */
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

/* A round of many partitions: see sync.c. While it is under way the pool thread owns members, their
 * syncs, and whole. */
struct sync_together {
    struct work work;
    struct list members; /* By sync_link. */
    uint32_t count;
    bool under_way;
    bool whole; /* Result: nothing is left to sync. */
};

struct partition_table {
    struct partition_table_options options;
    struct table_topic *by_name;
    struct table_topic *by_id;
    struct timer retention_timer;
    struct timer checkpoint_timer;
    struct timer isr_timer;   /* Members that lag: every half replica.lag.time.max.ms. */
    struct timer retry_timer; /* Runs while isr_pending holds some. */
    struct list isr_pending;
    int64_t retry_ms;
    int64_t isr_checked_ms;
    struct partition_feed *feed;
    bool leased;                   /* This node may lead: invariant 16. */
    struct partition_lease *lease; /* By the clock; NULL: `leased` alone. */
    uint32_t works_under_way;      /* Syncs, and deleted directories being removed. */
    uint32_t syncs_under_way;
    struct list sync_wanted;  /* Of the next round: see sync.c. */
    struct task round_task;   /* Posted: consider a round. */
    struct timer round_timer; /* Running: a round begins at the latest then. */
    uint32_t round_waiting;   /* Appends that wait for the next round. */
    uint32_t round_answers;   /* Appends that wait for the one under way. */
    uint32_t round_expected;  /* Appends that waited for the last one. */
    struct sync_together together;
    bool closing;
};

/* ---- commit.c ---- */

/* Moves the high watermark to what the commit rule allows, answers appends below it, wakes waits.
 */
void partition_commit(struct partition *partition);

/* Tells the subscribers, who only take notes. */
void partition_tell(struct partition *partition, unsigned kinds);

/* Posts every wait's task. */
void partition_wake_waits(struct partition *partition);

/* Ends every waiting append with `error` and wakes every wait. */
void partition_abandon(struct partition *partition, enum error error);

/* ---- followers.c ---- */

/* The high watermark the votes of the maximal ISR allow; less than the present one when it must
 * rest. */
int64_t partition_votes(const struct partition *partition);

/* Of the committed ISR, and what acks=all wants it to be. */
uint32_t partition_isr_size(const struct partition *partition);
uint32_t partition_min_insync(const struct partition *partition);

/* What counts as this replica's: belief 3. */
int64_t partition_own_vote(const struct partition *partition);

/* Takes the replicas of an assignment that makes this node the leader, keeping what is known of
 * those that stay when it leads on in the same epoch. Out of memory: nothing changed. */
enum error followers_assign(struct partition *partition,
                            const struct partition_assignment *assignment, bool same_epoch);

/* Where the epoch begins, once the log is open. */
void followers_epoch_begun(struct partition *partition);

/* Whether it has all there is, or had within replica.lag.time.max.ms. */
bool follower_caught_up(const struct partition *partition, const struct follower *follower,
                        int64_t now_ms);

/* Whether its node may be in an ISR, and is still the one that reported (KIP-903). */
bool follower_may_join(const struct partition *partition, const struct follower *follower);

/* Whether its vote is where the high watermark and the epoch began. */
bool follower_in_sync(const struct partition *partition, const struct follower *follower);

/* ---- isr.c ---- */

/* Proposes another ISR if one is due and none is under way. */
void isr_consider(struct partition *partition);

void isr_watch_start(struct partition_table *table);
void isr_watch_stop(struct partition_table *table);

/* ---- replica.c ---- */

/* Whether this node follows that epoch and its log takes more: UNKNOWN_TOPIC_OR_PARTITION, STORAGE,
 * CLOSING, FENCED_LEADER_EPOCH. */
enum error replica_follows(const struct partition *partition, int32_t leader_epoch);

/* ---- truncation.c ---- */

/* Before a cut at `offset`: the next open must not believe in what is cut. */
enum error truncation_expect(struct partition *partition, int64_t offset);

/* ---- role.c ---- */

/* Takes up what the quorum agreed. OUT_OF_MEMORY: only a lost leadership was given up. */
enum error role_assign(struct partition *partition, const struct partition_assignment *assignment);

/* The partition leaves: its feed and the readers of its news let go of it. */
void role_end(struct partition *partition);

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

/* Belief 3: with durability fsync a replica, leader or not, votes with what is synced. Asks for the
 * sync of what is not. */
void partition_sync_vote(struct partition *partition);

void sync_rounds_init(struct partition_table *table);

/* While closing: rounds begin at once and go on until nothing is unsynced. */
void sync_rounds_stop(struct partition_table *table);

/* ---- upkeep.c ---- */

void upkeep_start(struct partition_table *table);
void upkeep_stop(struct partition_table *table);

/* Tells the directory this partition's offsets for the next checkpoint. */
enum error partition_note_checkpoint(struct partition *partition);

#endif
