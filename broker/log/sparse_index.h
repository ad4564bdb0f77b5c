/* SPDX-License-Identifier: Apache-2.0 */
/* A file of sorted fixed-size entries, big-endian, that lead into a segment: what the offset, time
 * and line index share.
 *
 *   | entry | entry | ... | entry |   in the file      + entries pending in memory
 *
 * New entries wait in memory and are appended by one write when SPARSE_INDEX_PENDING_MAX wait, at
 * flush, and before the file is closed. The file is opened when first needed and never
 * preallocated. A key is a big-endian integer at a fixed place of the entry that never falls from
 * one entry to the next. Inside the monitor. */
#ifndef BROKER_LOG_SPARSE_INDEX_H
#define BROKER_LOG_SPARSE_INDEX_H

#include "log/file_name.h"

enum { SPARSE_INDEX_PENDING_MAX = 64, SPARSE_INDEX_ENTRY_BYTES_MAX = 16 };

/* Which integer of an entry is compared: 4 or 8 bytes at `at`. */
struct sparse_key {
    uint8_t at;
    uint8_t bytes;
};

struct sparse_index {
    const char *suffix;
    struct storage_file *file; /* NULL while closed. */
    uint8_t *pending;          /* Entries not in the file yet; NULL while there are none. */
    uint32_t file_count;       /* Entries in the file; valid once loaded. */
    uint32_t pending_count;
    uint32_t pending_capacity;
    uint8_t entry_bytes;
    bool loaded; /* file_count and last are known. */
    bool unsynced;
    bool used; /* Since the last sparse_index_rest. */
    uint8_t last[SPARSE_INDEX_ENTRY_BYTES_MAX];
};

/* No I/O. The suffix is static. */
void sparse_index_init(struct sparse_index *index, const char *suffix, uint8_t entry_bytes);

/* Drops what is pending and closes the file. */
void sparse_index_done(struct sparse_index *index);

/* Makes the file, empty, whatever was there. */
enum error sparse_index_create(struct sparse_index *index, const struct file_place *place);

/* Reads the size and the last entry; nothing when loaded. NOT_FOUND without a file, MALFORMED when
 * the size is not a multiple of the entry size (an unclean Kafka's preallocated file may be so). */
enum error sparse_index_load(struct sparse_index *index, const struct file_place *place);

uint32_t sparse_index_count(const struct sparse_index *index);

/* The last entry, pending or not; NULL when there is none. Loaded only. */
const uint8_t *sparse_index_last(const struct sparse_index *index);

/* Makes room for one more entry, so that sparse_index_append cannot fail. Writes when
 * SPARSE_INDEX_PENDING_MAX wait; a failed write is tried again at the next flush. */
enum error sparse_index_reserve(struct sparse_index *index, const struct file_place *place);
void sparse_index_append(struct sparse_index *index, const uint8_t *entry);

/* Finds the last entry whose key is <= target; *ret_found is false when there is none. Loads. */
enum error sparse_index_floor(struct sparse_index *index, const struct file_place *place,
                              struct sparse_key key, int64_t target, uint8_t *ret_entry,
                              bool *ret_found);

/* Drops the entries whose key is >= limit. */
enum error sparse_index_truncate(struct sparse_index *index, const struct file_place *place,
                                 struct sparse_key key, int64_t limit);

/* Appends what is pending to the file. */
enum error sparse_index_flush(struct sparse_index *index, const struct file_place *place);

/* Flushes and syncs what was written since it was opened. Blocks for the disk. */
enum error sparse_index_sync(struct sparse_index *index, const struct file_place *place);

/* Closes the file when it was not used since the last call. */
void sparse_index_rest(struct sparse_index *index);

int64_t sparse_key_read(struct sparse_key key, const uint8_t *entry);

#endif
