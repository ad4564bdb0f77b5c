/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a log: batches back to back, named by its first offset, with its three sparse
 * indexes.
 *
 *   00000000000000004096.log        | batch | batch | batch |   <- size_bytes
 *   00000000000000004096.index      offset -> position          (Kafka's)
 *   00000000000000004096.timeindex  timestamp -> offset         (Kafka's)
 *   00000000000000004096.lineindex  text position -> position   (ours)
 *
 * Counted: the log holds one reference, each slice and each sync under way one. Contents change
 * only inside the monitor; the last reference may go on any thread and only closes the file. */
#ifndef BROKER_LOG_SEGMENT_H
#define BROKER_LOG_SEGMENT_H

#include "log/index_entry.h"
#include "record/batch.h"

#include <stdatomic.h>

enum {
    SEGMENT_FILES_MAX_BYTES = 0x7fffffff, /* Positions are int32. */
    SEGMENT_SCAN_WINDOW_BYTES = 4096,
};

#define LOG_SUFFIX ".log"
#define DELETED_SUFFIX ".deleted"

struct segment {
    atomic_int references;
    struct file_place place;
    struct storage_file *file; /* NULL while a sealed segment rests. */
    uint64_t size_bytes;
    int64_t next_offset;   /* Behind the last batch. */
    int64_t text_bytes;    /* Of all its batches. */
    int64_t text_position; /* Of its first batch in the log's text. */
    struct sparse_index offsets;
    struct sparse_index times;
    struct sparse_index lines;
    int64_t largest_timestamp;        /* TIMESTAMP_NONE while there is none; */
    int64_t largest_timestamp_offset; /* the last offset of the batch that has it. */
    int64_t first_timestamp;          /* Largest of the first batch; decides time-based rolling. */
    int64_t created_ms;               /* Made or opened. */
    uint64_t bytes_since_entry;       /* Appended since the last index entry. */
    uint64_t ahead_bytes;             /* Written behind size_bytes and not noted yet. */
    bool largest_timestamp_known;     /* Else it is the last entry of the time index. */
    bool unsynced;                    /* The .log file. */
    bool indexes_unsynced;            /* Sealed since; log_sync_run takes them along. */
    bool torn;                        /* A failed write could not be cut off yet. */
    bool cut_unsynced;                /* One was, and a power cut could bring it back. */
    bool sync_failed;                 /* Of that: final, as every failed sync. */
    bool used;                        /* Since the last segment_rest. */
};

/* Makes the four files, replacing what is there under these names. */
enum error segment_create(const struct file_place *place, int64_t now_ms,
                          struct segment **ret_segment);

/* Opens the .log file of an existing segment and takes its size; nothing of the rest is known. */
enum error segment_open(const struct file_place *place, int64_t now_ms,
                        struct segment **ret_segment);
/* The same with another suffix than .log, for a look at its batches only. */
enum error segment_open_as(const struct file_place *place, const char *suffix, int64_t now_ms,
                           struct segment **ret_segment);

struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment);

/* Opens the .log file again if it rests. */
enum error segment_wake(struct segment *segment);

/* Closes index files, and the .log file when `sealed` and nobody else holds the segment, if they
 * were not used since the last call. */
void segment_rest(struct segment *segment, bool sealed);

/* Writes `size` bytes behind the last batch, a batch and perhaps some behind it, and notes the
 * first: the others are noted with segment_note, or cut, before anything else is done. After an
 * error nothing of it is there, unless `torn`: then the next call cuts it first. */
enum error segment_append(struct segment *segment, const uint8_t *bytes, size_t size,
                          const struct batch_header *header, int64_t text_bytes,
                          int64_t index_interval_bytes);

/* Extends sizes, timestamps and indexes by a batch that is in the file at size_bytes. Fails only
 * where memory for an index entry is refused, then nothing changed. */
enum error segment_note(struct segment *segment, const struct batch_header *header,
                        int64_t text_bytes, int64_t index_interval_bytes);

/* Cuts what segment_append wrote and nothing noted. */
void segment_cut_ahead(struct segment *segment);

/* Before a segment stops being the active one, and at a clean close: last entries of the time and
 * line index, everything flushed. */
enum error segment_seal(struct segment *segment);

/* Makes the three indexes anew, empty, and forgets size, text and timestamps: for segment_note. */
enum error segment_index_reset(struct segment *segment);

/* Cuts at `position`, a batch boundary; text_bytes and next_offset are what is before it. */
enum error segment_truncate(struct segment *segment, uint64_t position, int64_t text_bytes,
                            int64_t next_offset);

/* Cuts everything: batches, indexes, transaction index. */
enum error segment_clear(struct segment *segment);

/* Learns next_offset, timestamps and bytes_since_entry from the last index entries and the headers
 * behind them. CORRUPT_MESSAGE when the batches do not end at size_bytes or an index does not fit:
 * the segment must be recovered. */
enum error segment_learn_tail(struct segment *segment);

/* Syncs the three indexes (blocks). */
enum error segment_index_sync(struct segment *segment);

/* Whether one of the index files holds what was not synced. */
bool segment_index_unsynced(const struct segment *segment);

/* The largest timestamp and the last offset of its batch, from the time index if need be. */
enum error segment_largest_timestamp(struct segment *segment, int64_t *ret_timestamp,
                                     int64_t *ret_offset);

/* Renames the .log file and the indexes to .deleted. A file that is not there is no error. */
enum error segment_rename_deleted(const struct file_place *place);
/* Removes the .deleted files; `suffix` "" removes the files themselves. */
enum error segment_remove_files(const struct file_place *place, const char *suffix);

/* ---- going through the headers ---- */

/* Reads headers in order, a window at a time. Embedded; zero-cost to drop. */
struct segment_scan {
    struct segment *segment;
    uint64_t position;  /* Of the next batch. */
    uint64_t limit;     /* Batches end here at the latest. */
    int64_t offset_min; /* The next batch begins here at the earliest. */
    uint64_t window_at;
    size_t window_size;
    uint8_t window[SEGMENT_SCAN_WINDOW_BYTES];
};

/* `offset_min`: no batch from `position` on may begin below it. */
void segment_scan_init(struct segment_scan *scan, struct segment *segment, uint64_t position,
                       uint64_t limit, int64_t offset_min);

/* The next header (ret_header->bytes is NULL); *ret_position is where its batch begins. NOT_FOUND
 * at the limit, CORRUPT_MESSAGE where no batch can begin. */
enum error segment_scan_next(struct segment_scan *scan, struct batch_header *ret_header,
                             uint64_t *ret_position);

/* Reads a whole batch into new memory; the header's bytes point there. The caller frees
 * *ret_bytes. */
enum error segment_read_batch(struct segment *segment, uint64_t position, size_t size,
                              uint8_t **ret_bytes, struct batch_header *ret_header);

/* Where the first batch begins that ends behind `offset`; its header. NOT_FOUND when all end at or
 * before it: *ret_position is then `limit`. */
enum error segment_find_offset(struct segment *segment, int64_t offset, uint64_t limit,
                               struct batch_header *ret_header, uint64_t *ret_position);

/* The text of the batches before `position`, a batch boundary. */
enum error segment_text_at(struct segment *segment, uint64_t position, int64_t *ret_text);

/* The text of one batch's records before `offset_end`, by walking them. */
enum error segment_batch_text(struct segment *segment, uint64_t position,
                              const struct batch_header *header, int64_t offset_end,
                              int64_t *ret_text);

#endif
