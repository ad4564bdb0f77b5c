/* SPDX-License-Identifier: Apache-2.0 */
/* One replica of one partition on this node: role, epoch, high watermark, waiters, and the entry
 * points append and read, for producers and consumers as for other replicas.
 *
 *   LOADING -> FOLLOWER <-> LEADER        OFFLINE: no usable log (missing, damaged at open, foreign
 * topic id)
 *
 * Inside the monitor. The log is opened on first use after a clean stop (LOADING costs nothing), so
 * 10,000 idle partitions cost a start nothing.
 *
 * Numbered beliefs (replication.md has the cluster's): 1. log start <= high watermark <= log
 * end. 2. The high watermark never goes back while this node leads one epoch. 3. With durability
 * `fsync` a replica's vote is its synced offset, with `replicated` its end offset. 4. acks=all
 * is answered only when the batch is below the high watermark. 5. The high watermark is at most the
 * vote of every member of the maximal ISR: the committed one and every one proposed since. 6. It
 * rests while the committed ISR is smaller than min.insync.replicas, and without the lease. */
#ifndef BROKER_PARTITION_PARTITION_H
#define BROKER_PARTITION_PARTITION_H

#include "log/directory.h"
#include "log/log.h"
#include "record/codec.h"

struct partition;
struct partition_table;

enum { PARTITION_REPLICAS_MAX = 32 };

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

/* What the quorum agreed about a partition. */
struct partition_assignment {
    int32_t leader; /* Node id; -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool recovering; /* After an unclean election: the ISR is the leader alone until it is over. */
    uint32_t replica_count, isr_count;
    int32_t replicas[PARTITION_REPLICAS_MAX];
    int32_t isr[PARTITION_REPLICAS_MAX];
};

/* That of a partition with one replica. */
static inline struct partition_assignment partition_assigned_alone(int32_t node_id,
                                                                   int32_t leader_epoch)
{
    return (struct partition_assignment){.leader = node_id,
                                         .leader_epoch = leader_epoch,
                                         .replica_count = 1,
                                         .isr_count = 1,
                                         .replicas = {node_id},
                                         .isr = {node_id}};
}

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

/* As leader, up to the high watermark. Opens the log if need be. NOT_LEADER_OR_FOLLOWER (also
 * without the lease), FENCED_LEADER_EPOCH / UNKNOWN_LEADER_EPOCH
 * against `current_leader_epoch` unless it is -1; OFFSET_OUT_OF_RANGE; STORAGE when offline. The
 * slice is released with log_slice_release. */
enum error partition_read(struct partition *partition, int32_t current_leader_epoch, int64_t offset,
                          size_t max_bytes, bool at_least_one, enum partition_isolation isolation,
                          struct log_slice *ret_slice, struct partition_offsets *ret_offsets);

/* The same in any role, for files: what this node knows to be committed. No epoch is compared. */
enum error partition_read_local(struct partition *partition, int64_t offset, size_t max_bytes,
                                bool at_least_one, struct log_slice *ret_slice,
                                struct partition_offsets *ret_offsets);

enum error partition_offsets(struct partition *partition, struct partition_offsets *ret_offsets);

/* Leadership alone: UNKNOWN_TOPIC_OR_PARTITION, STORAGE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
 * NOT_LEADER_OR_FOLLOWER. */
enum error partition_check_leader(const struct partition *partition, int32_t current_leader_epoch);

/* OffsetForLeaderEpoch's answer in any role: the largest epoch <= `epoch` and its end offset, (-1,
 * -1) when unknown. A leader knows its own epoch before the first record of it. */
enum error partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *ret_epoch,
                               int64_t *ret_end_offset);

/* Where a leader's epoch begins; -1 in other roles. */
int64_t partition_epoch_start(struct partition *partition);

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

/* What fsync(2) waits for: whether every record below `offset` is below the high watermark and on
 * this node's stable storage. */
enum error partition_is_durable(struct partition *partition, int64_t offset, bool *ret_durable);

/* False: the first use has to open it, which reads files. True where there is none to open. */
bool partition_is_open(struct partition *partition);

/* False while nothing was ever stored: looking at such a partition (stat, listings) need not make
 * its log, which costs several syncs. Costs an open(2) while the log is not open. */
bool partition_has_log(struct partition *partition);

/* The open log for lookups, truncation and text reads; opens it on first use. */
enum error partition_log(struct partition *partition, struct log **ret_log);

/* Moves the log start to `offset` (-1: the high watermark) and checkpoints it. */
enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    int64_t *ret_low_watermark);

enum partition_role partition_role(const struct partition *partition);
/* Node id of the leader as last assigned; -1: none. */
int32_t partition_leader(const struct partition *partition);
int32_t partition_epoch(const struct partition *partition);
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

/* ---- replication: the leader's side ---- */

/* A replica session's subscription to one partition. `changed` is called at once, from inside
 * whatever changed it, and must only take a note. */
enum partition_news_kind {
    PARTITION_NEWS_END = 1 << 0, /* The end offset moved. */
    PARTITION_NEWS_HIGH_WATERMARK = 1 << 1,
    PARTITION_NEWS_ROLE = 1 << 2,   /* Role or epoch changed, or the partition went. */
    PARTITION_NEWS_SYNCED = 1 << 3, /* The synced offset moved. */
    PARTITION_NEWS_START = 1 << 4   /* The log start moved. */
};
struct partition_news {
    struct list link; /* Initialise with list_init. */
    void (*changed)(struct partition_news *news, unsigned kinds);
};
void partition_news_add(struct partition *partition, struct partition_news *news);
void partition_news_remove(struct partition_news *news);

/* What a follower of this leader says it has: everything below `end_offset`, everything below
 * `synced_offset` on stable storage, records from `log_start_offset` on. The caller has checked
 * that the follower fetches in this leader's epoch, that its log agrees with ours up to
 * `end_offset` (partition_read_replica), and that `node_epoch` is its registration. May move the
 * high watermark and propose an ISR. */
void partition_replica_progress(struct partition *partition, int32_t node_id, int64_t node_epoch,
                                int64_t end_offset, int64_t synced_offset,
                                int64_t log_start_offset);

struct partition_divergence {
    int32_t epoch; /* -1: the logs agree. */
    int64_t end_offset;
};

/* Whether the log of a follower that ends at `offset`, with a record of `last_fetched_epoch` (-1:
 * it has none), is a prefix of this leader's; if not, *ret_divergence says where it parts
 * (KIP-595). OFFSET_OUT_OF_RANGE, which fills *ret_offsets, too; NOT_LEADER_OR_FOLLOWER,
 * FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, STORAGE. Makes no log where there is none. */
enum error partition_check_replica(struct partition *partition, int32_t leader_epoch,
                                   int32_t last_fetched_epoch, int64_t offset,
                                   struct partition_offsets *ret_offsets,
                                   struct partition_divergence *ret_divergence);

/* Whether this node leads and knows that node as another replica. A node that it does not know as
 * one yet must ask again: its votes would be lost (Kafka: Partition.followerReplicaOrThrow). */
bool partition_has_follower(const struct partition *partition, int32_t node_id);

/* Whether this node leads and that one is in the committed ISR. */
bool partition_in_isr(const struct partition *partition, int32_t node_id);

/* As partition_check_replica, and as partition_read but up to the log end; nothing is read when the
 * logs part. */
enum error partition_read_replica(struct partition *partition, int32_t leader_epoch,
                                  int32_t last_fetched_epoch, int64_t offset, size_t max_bytes,
                                  bool at_least_one, struct log_slice *ret_slice,
                                  struct partition_offsets *ret_offsets,
                                  struct partition_divergence *ret_divergence);

/* The lowest log start of the replicas whose nodes are alive, this one's included: what
 * DeleteRecords answers. -1: one of them has not said. */
int64_t partition_low_watermark(struct partition *partition);

/* One replica as its leader sees it. */
struct partition_replica_view {
    int32_t node_id;
    bool in_isr;
    int64_t end_offset;       /* -1: it has not fetched in this epoch. */
    int64_t log_start_offset; /* The same. */
    int64_t lag;              /* Records behind the leader's end; -1: unknown. */
    int64_t caught_up_ms;     /* Monotonic clock. */
};
/* Calls `each` for every replica in assignment order, this node's included, when it leads. */
void partition_replica_each(struct partition *partition,
                            void (*each)(void *context, const struct partition_replica_view *),
                            void *context);

/* The ISR change that partition_quorum.change_isr began has ended. ERROR_NONE: the catalog of this
 * node has applied it (partition_table_assign came before). An error that the apply gives
 * (INVALID_UPDATE_VERSION, FENCED_LEADER_EPOCH, INELIGIBLE_REPLICA and such): it did not happen and
 * will not. Any other: unknown. */
void partition_isr_change_ended(struct partition *partition, enum error error);

/* ---- replication: the follower's side ---- */

/* What the batches of one answer hold, found out by partition_batches_check. */
struct partition_batches {
    struct batch_facts *facts; /* Owned; one a batch. */
    uint32_t count;
    size_t size; /* Of the whole batches: a torn one at the end is left out. */
};

/* Structure, CRC, records and order of everything in `bytes`, in any thread: nothing is written
 * before all of it is sound. CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT, OUT_OF_MEMORY. */
enum error partition_batches_check(const uint8_t *bytes, size_t size, struct codec_context *context,
                                   struct partition_batches *ret_batches);
void partition_batches_done(struct partition_batches *batches);

/* As follower of `leader_epoch`, appends what a leader of that epoch sent; the bytes of
 * partition_batches_check must still be there. CORRUPT_MESSAGE when the first offset is not at or
 * behind our end, or an epoch is above the leader's or goes back; FENCED_LEADER_EPOCH when this
 * node follows another epoch by now; STORAGE, DISK_FULL. What was appended before an error stays.
 * Asks for a sync with durability fsync. */
enum error partition_append_replica(struct partition *partition, int32_t leader_epoch,
                                    const struct partition_batches *batches);

/* The leader's high watermark and log start, as far as our log goes. FENCED_LEADER_EPOCH. */
enum error partition_replica_high_watermark(struct partition *partition, int32_t leader_epoch,
                                            int64_t high_watermark, int64_t log_start_offset);

/* Where a follower stands: what it fetches next, and its vote. */
struct partition_position {
    int64_t end_offset;
    int64_t synced_offset;
    int64_t log_start_offset;
    int64_t high_watermark;
    int32_t last_epoch; /* Of the last record; -1: none. */
};
/* Opens the log unless nothing was ever stored here. STORAGE, DISK_FULL, OUT_OF_MEMORY,
 * UNKNOWN_TOPIC_OR_PARTITION. */
enum error partition_position(struct partition *partition, struct partition_position *ret_position);

/* A truncation under way; the caller's until done. */
struct partition_truncation {
    struct task task;
    struct partition *partition;
    enum error error;
    void (*done)(struct partition_truncation *truncation);
    void *context;
};

/* As follower of `leader_epoch`: cuts what the leader's answer says is not in its log: nothing of
 * ours above `divergence.epoch` stays, and of that epoch nothing at or above its end (KIP-279); the
 * next fetch tells whether the logs agree now. Below the high watermark only what an unclean
 * election gave up, which is reported. `done` comes once the cut is on stable storage.
 * FENCED_LEADER_EPOCH, STORAGE; CORRUPT_MESSAGE when the answer makes no sense. */
void partition_truncate_replica(struct partition *partition, int32_t leader_epoch,
                                struct partition_divergence divergence,
                                struct partition_truncation *truncation);

/* As follower of `leader_epoch`: drops all records, the next has `offset`: the leader's log begins
 * above our end. */
void partition_reset_replica(struct partition *partition, int32_t leader_epoch, int64_t offset,
                             struct partition_truncation *truncation);

/* Whoever brings a follower its leader's records; called as roles change. A partition is given
 * once a leader and epoch, and taken away when it is offline, deleted, leaderless or leads. */
struct partition_feed {
    /* OUT_OF_MEMORY: not taken up, and not to be taken away. */
    enum error (*follow)(struct partition_feed *feed, struct partition *partition, int32_t leader,
                         int32_t leader_epoch);
    void (*unfollow)(struct partition_feed *feed, struct partition *partition);
};
/* Every follower there is is given at once. NULL: nobody any more. OUT_OF_MEMORY: some were not. */
enum error partition_table_feed(struct partition_table *table, struct partition_feed *feed);

/* ---- replication: the quorum's side ---- */

/* How a leader reaches the catalog. */
struct partition_quorum {
    /* Proposes an ISR for the partition's present leader epoch and partition epoch, with the node
     * epochs of its members; ends with partition_isr_change_ended, never from inside. At most one
     * a partition is under way. Holds the partition (partition_ref) until then. OUT_OF_MEMORY: not
     * begun, and no end will come. */
    enum error (*change_isr)(struct partition_quorum *quorum, struct partition *partition,
                             const int32_t *isr, uint32_t isr_count);
    /* Registered, unfenced, not shutting down. */
    bool (*may_join_isr)(struct partition_quorum *quorum, int32_t node_id);
    /* Of its registration; -1: not registered. */
    int64_t (*node_epoch)(struct partition_quorum *quorum, int32_t node_id);
};

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
    struct partition_quorum *quorum;     /* NULL: no ISR is ever proposed. */
    int32_t node_id;
    int64_t replica_lag_time_max_ms;
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

/* Makes (or takes up) the local replica: it leads when the assignment's leader is this node.
 * Idempotent; an assignment older than the one known changes nothing. Out of memory (the only
 * error) it is to be assigned again: a leadership that was lost is given up all the same, a new one
 * is not taken, and a new follower may lack its feed. */
enum error partition_table_assign(struct partition_table *table, const char *topic,
                                  const struct uuid *topic_id, int32_t index,
                                  const struct partition_config *config,
                                  const struct partition_assignment *assignment,
                                  struct partition **ret_partition, struct failure *failure);

/* This node's lease (replication.md 16): without it no high watermark moves, appends and clients'
 * reads answer NOT_LEADER_OR_FOLLOWER; those that wait go on waiting. Held from the start. */
void partition_table_lease(struct partition_table *table, bool held);

/* Asked at every use as well: a process that was paused takes a request before the timer that would
 * have taken its lease. The source is the caller's and outlives the table, or is taken back (NULL).
 */
struct partition_lease {
    bool (*held)(struct partition_lease *lease);
};
void partition_table_lease_source(struct partition_table *table, struct partition_lease *lease);

/* By the flag and by the clock. */
bool partition_table_is_leased(const struct partition_table *table);

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

/* After a clean stop, once all partitions there should be are assigned: ends deletions that were
 * begun, and names directories of no known topic, which stay as they are. */
enum error partition_table_sort(struct partition_table *table);

/* After an unclean stop, once all partitions there should be are assigned and before the port
 * answers: ends deletions that the stop cut short, sets aside directories of no known topic, and
 * opens every log. Reports failures; one bad partition does not stop the rest. */
void partition_table_recover(struct partition_table *table);

#endif
