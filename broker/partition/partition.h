/* SPDX-License-Identifier: Apache-2.0 */
/* One replica of one partition on this node: role, epoch, high watermark, waiters, and the two
 * entry points append and read.
 *
 *   LOADING -> FOLLOWER <-> LEADER        OFFLINE: no usable log (missing, damaged at open, foreign
 * topic id)
 *
 * Inside the monitor. The log is opened on first use after a clean stop (LOADING costs nothing), so
 * 10,000 idle partitions cost a start nothing.
 *
 * Numbered beliefs (replication.md has the cluster's): 1. log start <= high watermark <= log
 * end. 2. The high watermark never goes back while this node leads one epoch. 3. With durability
 * `fsync` the leader's own vote is its synced offset, with `replicated` its end offset. 4. acks=all
 * is answered only when the batch is below the high watermark. */
#ifndef BROKER_PARTITION_PARTITION_H
#define BROKER_PARTITION_PARTITION_H

#include "log/directory.h"
#include "log/log.h"

struct partition;
struct partition_table;

enum partition_role { PARTITION_LOADING, PARTITION_FOLLOWER, PARTITION_LEADER, PARTITION_OFFLINE };
enum partition_durability { PARTITION_FSYNC, PARTITION_REPLICATED };

/* What the topic's configuration means to a partition. */
struct partition_config {
    struct log_config log;
    enum partition_durability durability;
    int32_t max_message_bytes;
    int32_t min_insync_replicas;
    bool compacted;
    bool log_append_time;
    int64_t timestamp_before_max_ms;
    int64_t timestamp_after_max_ms;
    int8_t compression_codec; /* -1: keep the producer's. */
    int32_t compression_level;
};

/* ---- append ---- */

/* One batch on its way in. Owned by the caller until done. */
struct partition_append {
    struct list link;
    struct task task;
    struct partition *partition;
    uint8_t *batch; /* Borrowed until done; base offset and epoch are rewritten in place. */
    size_t size;
    struct batch_facts facts; /* From batch_validate_produce. */
    int8_t acks;              /* 0, 1, -1. */
    int32_t
        timeout_ms; /* acks=-1: then REQUEST_TIMED_OUT; the record may still become committed. */
    struct timer timer;
    /* Results. */
    enum error error;
    int64_t base_offset;
    int64_t log_append_time_ms; /* -1 with CreateTime. */
    int64_t log_start_offset;
    int64_t end_offset; /* base_offset + records. */
    void (*done)(struct partition_append *append);
};

/* Checks leadership, min.insync.replicas and producer state, appends, and completes: acks 0 and 1
 * at once, acks -1 (and, with durability fsync, acks 1 too: the record counts once it is on stable
 * storage here) when the commit rule holds. */
void partition_append(struct partition *partition, struct partition_append *append);

/* Gives up waiting (an interrupted writer); done comes with INTERRUPTED unless it already
 * completed. */
void partition_append_cancel(struct partition_append *append);

/* ---- read ---- */

struct partition_offsets {
    int64_t log_start_offset;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_end_offset;
    int32_t leader_epoch;
};

enum partition_isolation { PARTITION_READ_UNCOMMITTED = 0, PARTITION_READ_COMMITTED = 1 };

/* Opens the log if need be. NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH / UNKNOWN_LEADER_EPOCH
 * against `current_leader_epoch` unless it is -1; OFFSET_OUT_OF_RANGE; STORAGE when offline. The
 * slice is released with log_slice_release. */
enum error partition_read(struct partition *partition, int32_t current_leader_epoch, int64_t offset,
                          size_t max_bytes, bool at_least_one, enum partition_isolation isolation,
                          struct log_slice *ret_slice, struct partition_offsets *ret_offsets);

enum error partition_offsets(struct partition *partition, struct partition_offsets *ret_offsets);

/* Leadership alone: UNKNOWN_TOPIC_OR_PARTITION, STORAGE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
 * NOT_LEADER_OR_FOLLOWER. */
enum error partition_check_leader(const struct partition *partition, int32_t current_leader_epoch);

/* Wakes once when the high watermark passes, the role changes, or the partition goes. Embedded in
 * the waiter's request; any number per partition. */
struct partition_wait {
    struct list link; /* Initialise with list_init. */
    struct task task; /* Posted; `wake` is task.run. */
    bool posted;
};
void partition_wait_add(struct partition *partition, struct partition_wait *wait);
/* Afterwards task.run does not come, unless it is already running. */
void partition_wait_remove(struct partition_wait *wait);

/* fsync(2): starts bringing what was appended to stable storage, whatever the topic's durability,
 * unless that is under way. Waits (partition_wait) wake at its end; log_synced_offset then says how
 * far it came. STORAGE after a failed sync: it is final. */
enum error partition_sync(struct partition *partition);

/* False while nothing was ever stored: looking at such a partition (stat, listings) need not make
 * its log, which costs several syncs. Costs an open(2) while the log is not open. */
bool partition_has_log(struct partition *partition);

/* The open log for lookups, truncation and text reads; opens it on first use. */
enum error partition_log(struct partition *partition, struct log **ret_log);

/* Moves the log start to `offset` (-1: the high watermark) and checkpoints it. */
enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    int64_t *ret_low_watermark);

enum partition_role partition_role(const struct partition *partition);
int32_t partition_leader_epoch(const struct partition *partition);
const char *partition_topic(const struct partition *partition);
int32_t partition_index(const struct partition *partition);
struct uuid partition_topic_id(const struct partition *partition);
const struct partition_config *partition_config(const struct partition *partition);

/* Counted while a file or request holds it across a deletion; a deleted partition answers
 * UNKNOWN_TOPIC_OR_PARTITION. */
struct partition *partition_ref(struct partition *partition);
void partition_unref(struct partition *partition);
bool partition_deleted(const struct partition *partition);

/* ---- the node's partitions ---- */

/* What a partition tells the operator; called inside the monitor. `detail` is key=value text. */
struct partition_reporter {
    void (*report)(struct partition_reporter *, int level, const char *event, const char *topic,
                   int32_t partition, const char *detail);
};

struct partition_table_options {
    struct storage *storage;
    struct executor *executor;
    struct log_directory *directory;
    struct partition_reporter *reporter; /* May be NULL. */
    int64_t retention_check_interval_ms;
    int64_t checkpoint_interval_ms;
};

enum error partition_table_new(const struct partition_table_options *options,
                               struct partition_table **ret_table);

/* Stops timers, refuses appends, ends those waiting with CLOSING and wakes waits, and begins to
 * sync what is not. Syncs and removals go on until partition_table_idle. */
void partition_table_stop(struct partition_table *table);
bool partition_table_idle(const struct partition_table *table);

/* Once stopped, idle, and no partition held by anybody: closes every log (with `clean`: producer
 * snapshots, final index entries) and frees the table. True when every log is clean and on stable
 * storage: the caller then marks the directory clean. Accepts NULL. */
bool partition_table_close(struct partition_table *table, bool clean);

/* Makes (or takes up) the local replica. `leader_epoch` >= 0 makes it leader of that epoch; -1
 * follower. Idempotent. */
enum error partition_table_assign(struct partition_table *table, const char *topic,
                                  const struct uuid *topic_id, int32_t index,
                                  const struct partition_config *config, int32_t leader_epoch,
                                  struct partition **ret_partition, struct failure *failure);
/* Deletes the replica and its files (renamed at once, removed soon). */
void partition_table_remove(struct partition_table *table, const char *topic, int32_t index);
void partition_table_configure(struct partition_table *table, const char *topic,
                               const struct partition_config *config);

/* Not counted: valid until the monitor is left. NULL when this node has no such replica. */
struct partition *partition_table_find(struct partition_table *table, struct slice topic,
                                       int32_t index);
struct partition *partition_table_find_id(struct partition_table *table,
                                          const struct uuid *topic_id, int32_t index);
void partition_table_each(struct partition_table *table,
                          void (*each)(void *context, struct partition *partition), void *context);

/* After an unclean stop, once all partitions there should be are assigned and before the port
 * answers: ends deletions that the stop cut short, sets aside directories of no known topic, and
 * opens every log. Reports failures; one bad partition does not stop the rest. */
void partition_table_recover(struct partition_table *table);

#endif
