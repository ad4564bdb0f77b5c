/* SPDX-License-Identifier: Apache-2.0 */
/* One partition's records on disk, in Apache Kafka's own format (protocol facts (c)): a directory
 * `<topic>-<partition>` of segments, indexes, producer snapshots, leader epochs and
 * partition.metadata.
 *
 *   log_start_offset            visible.offset                end_offset
 *        |  segment  |  segment  |      active segment          |
 *        [ batch batch | batch ... batch | batch . batch . batch ]
 *                                 ^ readers stop here (the high watermark)
 *
 * The log knows no role and no replication: `visible` is what its owner (partition) last declared
 * committed. All calls are made inside the monitor (base/executor.h) except those on a slice or a
 * log_sync, which any thread may make.
 *
 * Damage: a torn tail, as crashes leave it, is cut off at open. What no crash explains (sound
 * batches behind it, a batch that was written whole, anything missing or unsound below the recovery
 * point) is never cut and never served: open succeeds, `log_damage` says where, reads below it go
 * on, reads at or above it and appends answer CORRUPT_MESSAGE; no offset is given twice. After any
 * failed write or sync the log is `failed`: reads of visible records go on, appends answer STORAGE
 * (DISK_FULL heals by itself: the next append that finds space works again, the partial tail being
 * cut first); a failed sync is final until the log is opened again. */
#ifndef BROKER_LOG_LOG_H
#define BROKER_LOG_LOG_H

#include "base/executor.h"
#include "base/storage.h"
#include "base/uuid.h"
#include "record/validate.h"

/* Topic configuration the log obeys; the names are Kafka's topic configs. -1: no limit. */
struct log_config {
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_jitter_ms;
    int64_t segment_index_bytes;
    int64_t index_interval_bytes;
    int64_t retention_ms;
    int64_t retention_bytes;
    int64_t file_delete_delay_ms;
    int64_t producer_id_expiration_ms;
    bool delete_enabled;  /* cleanup.policy contains "delete". */
    bool compact_enabled; /* It contains "compact": offsets may be missing between batches. */
};

struct log;
struct segment; /* Counted; see log_slice. */

/* Where a damaged batch was found; offset -1: none. */
struct log_damage {
    int64_t offset; /* First offset that cannot be served. */
    int64_t segment_base_offset;
    uint64_t position;
};

struct log_open_options {
    struct storage *storage;
    struct executor *executor; /* Clocks only. */
    const char *directory;     /* "orders-3", relative to the storage's root. */
    struct log_config config;
    struct uuid topic_id;   /* Written to partition.metadata; a different id there:
                               INCONSISTENT_TOPIC_ID, as when a crash before the first sync left
                               it cut short. Zero: take what is there. */
    bool create;            /* Make it when absent; else NOT_FOUND. */
    bool clean;             /* The last stop was clean: trust lengths and indexes, scan nothing. */
    int64_t recovery_point; /* Else: everything below this offset was synced; scan from here. */
    int32_t leader_epoch;   /* The latest the owner has heard of: a batch above the recovery point
                               may be the first of any epoch up to it, though the epoch file, which
                               is synced with the batch, does not know. */
    int64_t log_start_offset; /* From the checkpoint; -1 or below the first segment: the first
                                 segment's base. */
};

/* Opens or makes the log. Missing or damaged index files are rebuilt from the segment; producer
 * state is loaded from the newest valid snapshot and the batches behind it. */
enum error log_open(const struct log_open_options *options, struct log **ret_log,
                    struct failure *failure);

/* When `clean` writes the producer snapshot and writes and syncs the index files (blocks; the
 * records must have been synced by the caller). Segments still referenced by slices live on.
 * Accepts NULL. */
void log_close(struct log *log, bool clean);

/* Closes without writing anything: the directory was renamed away because the partition was
 * deleted. Accepts NULL. */
void log_discard(struct log *log);

/* ---- what is there ---- */

int64_t log_start_offset(const struct log *log);
int64_t log_end_offset(const struct log *log);
int64_t log_synced_offset(const struct log *log); /* Everything below is on stable storage. */
/* What to checkpoint for the next log_open: below it index files are on stable storage too. */
int64_t log_recovery_point(const struct log *log);
int64_t log_visible_offset(const struct log *log);
int64_t log_size_bytes(const struct log *log); /* All .log files. */
uint32_t log_segment_count(const struct log *log);
struct log_damage log_damage(const struct log *log);
/* What log_open cut off as a torn tail. */
uint64_t log_tail_cut_bytes(const struct log *log);
struct uuid log_topic_id(const struct log *log);
void log_configure(struct log *log, const struct log_config *config);

/* ---- appending (leader and follower) ---- */

/* Appends one validated batch, giving it offsets from end_offset: rewrites base offset and leader
 * epoch in `batch` (outside the CRC), rolls when Kafka's LogSegment.shouldRoll would, writes it to
 * the page cache, extends the indexes, producer state and epochs. `batch` is not kept.
 * FENCED_LEADER_EPOCH when a later epoch has written to the log. */
enum error log_append(struct log *log, uint8_t *batch, size_t size, const struct batch_facts *facts,
                      int32_t leader_epoch, int64_t *ret_base_offset);

/* As a follower, batches in their order: each keeps its base offset (>= end_offset, else
 * CORRUPT_MESSAGE) and epoch. Those that lie one behind the other in memory, are of one epoch and
 * fit the segment go into the file with one write. After an error those before the one that failed
 * are there, but for a write's: then those before it. */
enum error log_append_replica(struct log *log, const struct batch_facts *batches, uint32_t count);

/* Rolls a fresh active segment now, if the active one holds a record. */
enum error log_roll(struct log *log);

/* Cuts every record at `offset` and above, with the batch that holds it (Kafka: truncateTo). Below
 * the visible offset only after an unclean election: slices in readers' hands then end early, and
 * text positions go back. Producer state and epochs go back with it. Syncs the
 * cut (blocks). A recovery point above `offset` must have been checkpointed away before: the next
 * open would take what is missing for damage. After an error the log is failed. */
enum error log_truncate(struct log *log, int64_t offset);

/* Where log_truncate to `offset` would end the log: what lies below stays. */
int64_t log_truncates_to(struct log *log, int64_t offset);

/* Drops all records; the next offset is `offset` (Kafka: truncateFullyAndStartAt). As above: a
 * recovery point above `offset` must have been checkpointed away before, or the next open takes the
 * log for damaged. */
enum error log_reset(struct log *log, int64_t offset);

/* ---- sync: group commit is the caller's ---- */

/* What one sync covers; filled by log_sync_begin. Zero-initialised before. */
struct log_sync {
    struct log *log;
    int64_t end_offset;          /* Covered when it succeeds. */
    struct segment *segments[8]; /* Referenced; dirty .log files, oldest first. */
    uint32_t segment_count;
    uint32_t index_mask; /* Bit i: segments[i] was sealed, its index files go along. */
    bool directory;      /* A file was made or renamed since the last sync. */
    bool parent;         /* The log's directory was made, and partition.metadata in it. */
    bool epochs;         /* leader-epoch-checkpoint was written. */
    enum error error;
};

/* What a clean close would write (final index entries, producers) is written now, so that the next
 * log_sync takes it along: many logs are then closed for the price of one sync. Nothing is appended
 * any more. An error is told again by log_close. */
void log_finish(struct log *log);

/* False when nothing is unsynced. At most one sync of a log is under way at a time. */
bool log_sync_begin(struct log *log, struct log_sync *sync);
/* On a pool thread, outside the monitor: fdatasync of the files, fsync of the directory. Sets
 * sync->error. */
void log_sync_run(struct log_sync *sync);
/* The same for many logs at once, on a pool thread: storage_write_back of all that log_sync_run
 * would sync. After the second call storage_sync_all takes the place of log_sync_run; sync->error
 * tells which of them failed already. */
void log_sync_write_back(struct log_sync *sync, bool wait);
/* Back inside: advances synced_offset, or marks the log failed for good; returns sync->error. */
enum error log_sync_end(struct log *log, struct log_sync *sync);

/* ---- visibility and reading ---- */

/* Declares everything below `offset` committed; never goes back except by log_truncate and
 * log_reset. */
void log_visible_advance(struct log *log, int64_t offset);

/* A run of whole bytes of one segment file, safe to read from any thread until released: bytes
 * below the end offset never change, and a deleted segment's file stays until its last reference
 * goes. */
struct log_slice {
    struct segment *segment; /* Holds one reference; NULL when empty. */
    struct storage_file *file;
    uint64_t position;
    size_t size;
    int64_t base_offset; /* Of the first batch; meaningful when size > 0. */
};

enum log_read_limit { LOG_READ_VISIBLE, LOG_READ_END };

/* The batches from the one that holds `offset` (whole: the reader drops the head), up to max_bytes;
 * the last may be cut short. With `at_least_one` the first batch comes whole whatever its size.
 * Empty slice at the limit. OFFSET_OUT_OF_RANGE below log start or above end; CORRUPT_MESSAGE at
 * damage. */
enum error log_read(struct log *log, int64_t offset, size_t max_bytes, bool at_least_one,
                    enum log_read_limit limit, struct log_slice *ret_slice);

void log_slice_release(struct log_slice *slice);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment);

/* The position of the high watermark relative to `offset`: visible bytes from `offset` on, for
 * min_bytes without reading; counts whole segments by size. */
int64_t log_visible_bytes_after(struct log *log, int64_t offset);

/* ---- the text view: values, one a line ---- */

/* Text positions count from 0 at the log start found by log_open and never shrink while the log is
 * open. */
uint64_t log_text_start(const struct log *log); /* Of log_start_offset: grows with retention. */
uint64_t log_text_end(const struct log *log);   /* Of the visible offset. */

struct log_text_location {
    struct log_slice
        slice; /* From the batch at or before the position to the visible end of its segment. */
    uint64_t text_position; /* Where that first batch begins in the text view. */
};

/* Finds where `text_position` is (between start and end; below start is taken as start). Released
 * with log_slice_release(&location.slice). Empty at the end. O(log n) by the line index. */
enum error log_text_locate(struct log *log, uint64_t text_position,
                           struct log_text_location *ret_location);

/* The text position where the record `offset` begins (for 0@OFFSET views and tail). */
enum error log_text_of_offset(struct log *log, int64_t offset, uint64_t *ret_text_position);

/* ---- lookups ---- */

struct log_found {
    int64_t offset; /* -1: none. */
    int64_t timestamp;
    int32_t leader_epoch;
};

/* The first visible record with timestamp >= `timestamp` (exact record, by the time index and a
 * walk). */
enum error log_find_timestamp(struct log *log, int64_t timestamp, struct log_found *ret_found);
/* The visible record with the largest timestamp, the earliest of them. */
enum error log_find_max_timestamp(struct log *log, struct log_found *ret_found);

/* Leader epochs (KIP-101, KIP-279): the epoch of `offset`, the current epoch, and the answer of
 * OffsetForLeaderEpoch: the largest epoch <= `epoch` and its end offset; (-1, -1) when unknown. */
int32_t log_epoch_at(const struct log *log, int64_t offset);
int32_t log_epoch_latest(const struct log *log); /* -1 when none. */
/* Written before the first append of that epoch, and on stable storage with the first sync of the
 * log, before what was appended counts (replication.md 8): many leaders may begin at once. */
enum error log_epoch_assign(struct log *log, int32_t epoch, int64_t start_offset);
void log_epoch_end(const struct log *log, int32_t epoch, int32_t *ret_epoch,
                   int64_t *ret_end_offset);

/* ---- producer state (KIP-98) ---- */

enum log_producer_verdict {
    LOG_PRODUCER_APPEND,    /* In order: append it. */
    LOG_PRODUCER_DUPLICATE, /* Among the last five batches: answer *ret_duplicate, append nothing.
                             */
    LOG_PRODUCER_REFUSE     /* *ret_error says why. */
};

struct log_duplicate {
    int64_t base_offset;
    int64_t timestamp;
};

/* Checks 18 to 22 of protocol facts (d). Batches without producer id: APPEND. */
enum log_producer_verdict log_producer_check(struct log *log, const struct batch_header *header,
                                             struct log_duplicate *ret_duplicate,
                                             enum error *ret_error);

struct log_producer {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t last_sequence;
    int64_t last_timestamp;
    int32_t coordinator_epoch;
    int64_t current_transaction_start_offset; /* -1: none. */
};

/* For DescribeProducers. */
void log_producer_each(struct log *log, void (*each)(void *context, const struct log_producer *),
                       void *context);

/* Forgets producers not heard of for producer_id_expiration_ms. */
void log_producer_expire(struct log *log, int64_t wall_clock_ms);

/* ---- retention ---- */

/* Moves the log start (DeleteRecords); offset <= visible. Segments wholly below go with the next
 * retention. */
enum error log_start_advance(struct log *log, int64_t offset);

/* Deletes segments by time, size and log start, never the active one with data unless expired (it
 * is rolled first), never above visible. Files are renamed to .deleted at once and removed by
 * log_remove_deleted after the delay. */
enum error log_retention(struct log *log, int64_t wall_clock_ms, uint32_t *ret_deleted_segments);
void log_remove_deleted(struct log *log, int64_t monotonic_ms);

#endif
