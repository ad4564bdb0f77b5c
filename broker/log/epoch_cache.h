/* SPDX-License-Identifier: Apache-2.0 */
/* Which leader epoch wrote which offsets (KIP-101, KIP-279; Kafka: LeaderEpochFileCache), kept in
 * `leader-epoch-checkpoint`:
 *
 *   0\n<count>\n<epoch> <start offset>\n ...
 *
 * Epochs and start offsets both rise. After a power cut the file may be older than the batches that
 * no sync has covered: recovery makes it agree with them. */
#ifndef BROKER_LOG_EPOCH_CACHE_H
#define BROKER_LOG_EPOCH_CACHE_H

#include "base/storage.h"

#define EPOCH_FILE_NAME "leader-epoch-checkpoint"

struct epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epoch_cache {
    struct epoch_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

void epoch_cache_init(struct epoch_cache *cache);
void epoch_cache_done(struct epoch_cache *cache);

/* NOT_FOUND; MALFORMED when the file says nothing one can trust. */
enum error epoch_cache_load(struct epoch_cache *cache, struct storage *storage,
                            const char *directory);
/* `synced`: on stable storage when it returns; else once the file and its directory are synced. */
enum error epoch_cache_store(const struct epoch_cache *cache, struct storage *storage,
                             const char *directory, bool synced);

/* Whether epoch_cache_assign would change anything. */
bool epoch_cache_would_assign(const struct epoch_cache *cache, int32_t epoch, int64_t start_offset);

/* `epoch` begins at `start_offset`; entries that contradict it go. In memory only. */
enum error epoch_cache_assign(struct epoch_cache *cache, int32_t epoch, int64_t start_offset);

/* Drops what begins at `end_offset` or above (Kafka: truncateFromEnd). True when that was
 * something. In memory only. */
bool epoch_cache_truncate_end(struct epoch_cache *cache, int64_t end_offset);

/* Drops every later epoch. In memory only. */
void epoch_cache_drop_above(struct epoch_cache *cache, int32_t epoch);

/* Drops what ends at `start_offset` or below; the epoch of `start_offset` begins there from now on
 * (Kafka: truncateFromStart). True when something changed. In memory only. */
bool epoch_cache_truncate_start(struct epoch_cache *cache, int64_t start_offset);

/* -1 when unknown. */
int32_t epoch_cache_at(const struct epoch_cache *cache, int64_t offset);
int32_t epoch_cache_latest(const struct epoch_cache *cache);

/* The answer to OffsetForLeaderEpoch (Kafka: endOffsetFor); (-1, -1) when unknown. */
void epoch_cache_end(const struct epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                     int32_t *ret_epoch, int64_t *ret_end_offset);

#endif
