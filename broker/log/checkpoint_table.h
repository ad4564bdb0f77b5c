/* SPDX-License-Identifier: Apache-2.0 */
/* The offsets that a data directory remembers of its partitions, and their three checkpoint files:
 *
 *   0\n<count>\n<topic> <partition> <offset>\n ...        (Kafka: OffsetCheckpointFile) */
#ifndef BROKER_LOG_CHECKPOINT_TABLE_H
#define BROKER_LOG_CHECKPOINT_TABLE_H

#include "base/storage.h"

enum checkpoint_kind {
    CHECKPOINT_RECOVERY_POINT,
    CHECKPOINT_START_OFFSET,
    CHECKPOINT_HIGH_WATERMARK,
    CHECKPOINT_KINDS
};

struct checkpoint_row; /* Of one partition. */

struct checkpoint_table {
    struct checkpoint_row **rows; /* Open addressing by topic and partition. */
    uint32_t count;
    uint32_t capacity; /* A power of two. */
    bool changed[CHECKPOINT_KINDS];
    bool forgot[CHECKPOINT_KINDS]; /* A file still has a row that is not here any more. */
};

void checkpoint_table_init(struct checkpoint_table *table);
void checkpoint_table_done(struct checkpoint_table *table);

/* -1 when absent. */
int64_t checkpoint_table_get(const struct checkpoint_table *table, const char *topic,
                             int32_t partition, enum checkpoint_kind kind);

/* -1 leaves an offset as it is. OUT_OF_MEMORY for a partition not known yet. */
enum error checkpoint_table_set(struct checkpoint_table *table, const char *topic,
                                int32_t partition, const int64_t offsets[CHECKPOINT_KINDS]);
void checkpoint_table_forget(struct checkpoint_table *table, const char *topic, int32_t partition);

/* Forgets every partition for which `keep` says false. */
void checkpoint_table_retain(struct checkpoint_table *table,
                             bool (*keep)(void *context, const char *topic, int32_t partition),
                             void *context);

/* Adds what the file says. NOT_FOUND; MALFORMED: nothing of it is taken. */
enum error checkpoint_table_load(struct checkpoint_table *table, enum checkpoint_kind kind,
                                 struct storage *storage, const char *path);

/* Replaces the file if an offset of this kind changed since. */
enum error checkpoint_table_store(struct checkpoint_table *table, enum checkpoint_kind kind,
                                  struct storage *storage, const char *path);

#endif
