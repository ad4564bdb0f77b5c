/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true: every record sent, what became of it, and what readers saw.
 *
 * A record's value tells its partition and number, and nothing else is ever sent, so each value
 * read says which record it is. Checked at each acknowledgement and each read:
 *
 *   lost        acknowledged and not where it was said to be (durability fsync: whatever happens;
 *               replicated: unless the power was cut since)
 *   duplicated  a record at two offsets (no client here sends a record again but as an idempotent
 *               producer does)
 *   reordered   one producer's records of one partition at falling offsets
 *   invented    a value never sent, or sent to another partition or an older topic of that name
 *   changed     another record at an offset read before
 *   backward    a high watermark or log start that goes back */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "sim/world.h"

enum { MODEL_VALUE_BYTES_MAX = 600 };

struct model_record {
    uint32_t producer;
    int64_t offset; /* Where it is; -1 while not known. */
    bool acknowledged;
    uint64_t pass; /* The last whole reading that met it. */
};

struct model_partition {
    uint32_t uid;
    char topic[16];
    struct uuid topic_id;
    int32_t index;
    bool durable;            /* topicfs.durability=fsync all its life. */
    bool gone;               /* Deleted, or its deletion has an unknown outcome. */
    bool rotten;             /* Bits were flipped: loss is owed to that. */
    int64_t retention_bytes; /* -1: none. */
    struct model_record *records;
    uint32_t records_count, records_capacity;
    int64_t *by_offset; /* The record's number, or -1. */
    int64_t by_offset_count;
    int64_t high_watermark;      /* Seen in this life of the node. */
    int64_t log_start;           /* The largest seen. */
    int64_t delete_asked;        /* The largest offset a DeleteRecords named. */
    int64_t delete_acknowledged; /* What the last of them answered. */
    int64_t readable_end;        /* Behind the last offset that was acknowledged or read. */
};

struct model {
    struct model_partition **partitions;
    uint32_t count;
    uint64_t pass;
    uint64_t *catalog_hashes; /* By index of the command; 0: not known. */
    int64_t catalog_count;
    int64_t catalog_last; /* The last one known to have been applied. */
};

struct model *model_new(void);
void model_free(struct model *model);

void model_topic_made(struct model *model, const char *name, const struct uuid *id, int32_t count,
                      bool durable, int64_t retention_bytes);
void model_topic_gone(struct model *model, const struct uuid *id);

/* The present one of that name; NULL when there is none. */
struct model_partition *model_find(struct model *model, const char *topic, int32_t index);
struct model_partition *model_find_id(struct model *model, const struct uuid *id, int32_t index);

/* A new record; returns its number. */
uint32_t model_send(struct model_partition *partition, uint32_t producer);
size_t model_value(const struct model_partition *partition, uint32_t number,
                   uint8_t value[MODEL_VALUE_BYTES_MAX]);

/* Records number .. number + count - 1 were acknowledged from `base_offset` on. */
void model_acknowledged(struct world *world, struct model_partition *partition, uint32_t number,
                        uint32_t count, int64_t base_offset);

/* A reader met this value; returns the record's number. */
uint32_t model_read(struct world *world, struct model_partition *partition, int64_t offset,
                    struct slice value);

/* An answer told these. */
void model_told(struct world *world, struct model_partition *partition, int64_t high_watermark,
                int64_t log_start);

/* The node starts anew: the high watermark may be told from its checkpoint on. */
void model_restarted(struct model *model);

/* A power cut took what was not synced of a partition that is not durable. */
void model_cut(struct model_partition *partition, int64_t end_offset);

/* All records from `start` to `end` were just read as pass model->pass: nothing acknowledged may
 * have been missing. */
void model_check_whole(struct world *world, struct model_partition *partition, int64_t start,
                       int64_t end);

/* The catalog's image after a command: the same each time that command is applied. */
void model_catalog_applied(struct world *world, int64_t index, uint64_t hash);

#endif
