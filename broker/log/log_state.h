/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share of an open log. Only broker/log includes it.
 *
 *   segments[0] ... segments[count-1] (active)
 *                       ^ visible        ^ end_offset
 *                         [ ring: the batches between the two ]
 */
#ifndef BROKER_LOG_LOG_STATE_H
#define BROKER_LOG_LOG_STATE_H

#include "log/epoch_cache.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"

#define METADATA_FILE_NAME "partition.metadata"

/* A batch boundary: `offset` is the first offset behind it. */
struct log_point {
    int64_t offset;
    struct segment *segment; /* Not counted: the log holds it. */
    uint64_t position;
    int64_t text; /* In the log's text, of the batch that begins here. */
};

/* Where a batch ends, and what its own base offset is: there may be a gap before it. */
struct log_ring_point {
    struct log_point end;
    int64_t base_offset;
};

/* The ends of the batches above visible, oldest first. */
struct log_ring {
    struct log_ring_point *points;
    int64_t base_offset; /* Batches that begin below are not in it. */
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* A power of two. */
};

/* A deleted segment whose files wait for file.delete.delay.ms. */
struct log_removal {
    int64_t base_offset;
    int64_t due_ms; /* Monotonic; */
};

struct log {
    struct storage *storage;
    struct executor *executor;
    char *directory;
    struct log_config config;
    struct uuid topic_id;
    struct segment **segments; /* By base offset; at least one. */
    uint32_t segment_count;
    uint32_t segment_capacity;
    int64_t start_offset;
    int64_t start_text; /* Of start_offset. */
    int64_t end_offset;
    int64_t synced_offset;
    int64_t visible_offset;   /* As declared; */
    struct log_point visible; /* the last batch boundary at or below it. */
    struct log_ring ring;
    struct log_point last_read; /* Where the last read ended; segment NULL: unknown. */
    int64_t roll_jitter_ms;     /* Of the active segment. */
    struct epoch_cache epochs;
    struct producer_state producers;
    int64_t *snapshots; /* Offsets of the snapshot files, ascending. */
    uint32_t snapshot_count;
    uint32_t snapshot_capacity;
    struct log_removal *removals;
    uint32_t removal_count;
    uint32_t removal_capacity;
    struct log_damage damage;
    uint64_t tail_cut_bytes; /* At open. */
    int64_t sync_clip;       /* The lowest truncation since the sync under way began. */
    bool failed;             /* A sync failed: final. */
    bool sync_under_way;
    bool directory_unsynced; /* Names in it changed. */
    bool parent_unsynced;    /* The directory itself was made, and partition.metadata in it. */
    bool epochs_unsynced;    /* leader-epoch-checkpoint was written. */
    bool finished;           /* The active segment is sealed: nothing was appended since. */
};

void log_check(const struct log *log);

static inline struct segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}

static inline bool log_damaged(const struct log *log)
{
    return log->damage.offset >= 0;
}

/* The index of the segment that holds `offset`, which is at least the first base offset. */
uint32_t log_segment_index(const struct log *log, int64_t offset);

/* Adds `segment` as the active one, taking the caller's reference. On error it is not taken. */
enum error log_segment_push(struct log *log, struct segment *segment);

/* Takes segments [first, first + count) out and drops the log's references. */
void log_segments_drop(struct log *log, uint32_t first, uint32_t count);

/* Makes an empty active segment at `base_offset`. */
enum error log_segment_add(struct log *log, int64_t base_offset);

/* Where reads end: a boundary in `segment`, for the limit and short of damage. */
uint64_t log_read_end(const struct log *log, const struct segment *segment,
                      enum log_read_limit limit);

/* The first batch that ends behind `offset`, over all segments. NOT_FOUND at the end. */
enum error log_locate(struct log *log, int64_t offset, struct log_point *ret_point,
                      struct batch_header *ret_header);

/* The text position of a point (fills point->text). */
enum error log_point_text(struct log_point *point);

/* ---- visible ---- */

/* Makes room for one more batch in the ring. */
enum error log_ring_reserve(struct log *log);
void log_ring_push(struct log *log, struct log_point end, int64_t base_offset);

/* The batch that a reader at `offset` gets, when one before it ends there and it is above visible:
 * its place and its size, without I/O. False: not known here. */
bool log_ring_find(const struct log *log, int64_t offset, struct log_point *ret_point,
                   size_t *ret_size, int64_t *ret_base_offset);

/* Everything below log start is visible, nothing else: after open and reset. */
enum error log_visible_restart(struct log *log);
/* Back to `offset`, above log start: an unclean election gave up what was declared committed. */
enum error log_visible_rewind(struct log *log, int64_t offset);
/* Finds visible anew: damage that stood before it is gone. */
enum error log_visible_settle(struct log *log);
/* After the end went back: visible and the ring point at what is there. */
void log_visible_truncate(struct log *log);
/* The end of a sealed segment is the start of the next one. */
void log_point_normalise(const struct log *log, struct log_point *point);
void log_ring_clear(struct log *log);

/* ---- producers and epochs ---- */

/* Takes note of one batch in the producer state; an aborted transaction goes to the segment's
 * transaction index. */
enum error log_producer_note(struct log *log, struct segment *segment,
                             const struct batch_header *header);
enum error log_snapshot_take(struct log *log);
enum error log_snapshot_remember(struct log *log, int64_t offset);
/* Removes snapshots at or above `offset`. */
enum error log_snapshots_drop_above(struct log *log, int64_t offset);
/* Removes snapshots that are no segment's and not the newest. */
enum error log_snapshots_prune(struct log *log);
/* The state as of `offset`, from segments loaded so far; snapshots are left alone. */
enum error log_producers_seek(struct log *log, int64_t offset);
/* The state as of end_offset: newest valid snapshot, then the batches behind it. */
enum error log_producers_reload(struct log *log);

/* With `synced` on stable storage when it returns, else with the log's next sync. */
enum error log_epochs_store(struct log *log, bool synced);

/* ---- opening ---- */

/* The offsets that name the segments of a directory, ascending. Embedded. */
struct log_listing {
    int64_t *bases; /* Owned. */
    uint32_t count;
    uint32_t capacity;
};

/* Cleans up what a crash left, then finds the segments; snapshots go to the log. */
enum error log_files_list(struct log *log, struct log_listing *ret_listing,
                          struct failure *failure);
void log_listing_done(struct log_listing *listing);

/* Reads partition.metadata, or writes it with the log's topic id: the next sync puts it on stable
 * storage. INCONSISTENT_TOPIC_ID also where a crash left it cut short. */
enum error log_metadata_agree(struct log *log, const struct log_open_options *options,
                              struct failure *failure);

/* How a segment is to be recovered, and what came of it. */
struct log_recovery {
    int64_t recovery_point; /* Synced below it, as far as one knows. */
    int32_t leader_epoch;   /* None above it was ever written here, as far as the owner knows. */
    int64_t next_base;      /* Of the following segment; -1: this is the last. */
    bool epochs_known;      /* The epoch file was read. */
    bool producers_ready;   /* The producer state is as of this segment's start. */
    bool epochs_changed;    /* Result: a batch began an epoch the file did not know. */
    bool cut;               /* Result: the segment lost its end; what follows must go. */
};

/* Scans the whole segment with checksums, rebuilding its indexes; cuts a torn tail or sets the
 * log's damage. */
enum error log_segment_recover(struct log *log, struct segment *segment,
                               struct log_recovery *recovery, struct failure *failure);

/* Rebuilds the epoch cache from the headers of all batches. */
enum error log_epochs_rebuild(struct log *log);

#endif
