/* SPDX-License-Identifier: Apache-2.0 */
/* The aborted transactions whose marker lies in a segment, in marker order (Kafka:
 * TransactionIndex, AbortedTxn); made only when there is one.
 *
 *   .txnindex  | int16 version 0 | int64 producer id | int64 first offset | int64 last offset
 *              | int64 last stable offset |  = 34 bytes an entry */
#ifndef BROKER_LOG_TRANSACTION_INDEX_H
#define BROKER_LOG_TRANSACTION_INDEX_H

#include "log/file_name.h"

enum { TRANSACTION_ENTRY_BYTES = 34 };

#define TRANSACTION_INDEX_SUFFIX ".txnindex"

struct transaction_entry {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* Of the abort marker. */
    int64_t last_stable_offset;
};

/* Appends one entry, making the file when there is none. */
enum error transaction_index_append(const struct file_place *place,
                                    const struct transaction_entry *entry);

/* Reads all entries; NULL and 0 without a file. The caller frees *ret_entries. MALFORMED when the
 * file is no whole number of sound entries. */
enum error transaction_index_read(const struct file_place *place,
                                  struct transaction_entry **ret_entries, uint32_t *ret_count);

/* Drops the entries whose marker is at `offset` or above; those of a damaged file all go. */
enum error transaction_index_truncate(const struct file_place *place, int64_t offset);

#endif
