/* SPDX-License-Identifier: Apache-2.0 */
/* Ready-made requests: encoded once with the program's own schemas, sent as they are many times. */
#ifndef TESTS_BENCH_REQUEST_H
#define TESTS_BENCH_REQUEST_H

#include "base/slice.h"
#include "wire/api.h"

#include <stddef.h>
#include <stdint.h>

struct load_place;

struct request {
    uint8_t *bytes; /* A whole frame, its size first. */
    size_t size;
    uint8_t *fetch_offset; /* Of a Fetch: where its offset is, to be changed. */
};

/* A topic of the broker, as a CreateTopics request wants it. */
struct topic_wish {
    const char *name;
    int32_t partitions;
    int16_t replicas; /* -1: as many as the broker thinks right. */
    char **configs;   /* "key=value". */
    size_t config_count;
};

/* A batch of `records` records of `record_bytes` each, to partition `partition`. */
struct produce_wish {
    const char *topic;
    int32_t partition;
    int16_t acks;
    size_t record_bytes;
    size_t records;
};

struct fetch_wish {
    const char *topic;
    int32_t partition;
    int32_t bytes_max;
};

/* Every one ends the program when memory is short. */
void request_make_create(const struct topic_wish *wish, struct request *ret_request);
void request_make_produce(const struct produce_wish *wish, struct request *ret_request);
void request_make_fetch(const struct fetch_wish *wish, struct request *ret_request);
/* Which nodes lead the topic's partitions. */
void request_make_metadata(const char *topic, struct request *ret_request);
void request_done(struct request *request);

/* Looks at an answer (the frame behind its size) and ends the program when it says an error. */
void answer_check_create(struct slice answer, struct arena *arena);
/* Also when a partition has no leader. ret_places: one for each of `partitions` partitions. */
void answer_take_leaders(struct slice answer, struct arena *arena, int32_t partitions,
                         struct load_place *ret_places);
void answer_check_produce(struct slice answer, struct arena *arena);

/* The same; the offset behind the last whole batch in it, `offset` when there is none, and the
 * bytes of its records. */
int64_t answer_check_fetch(struct slice answer, struct arena *arena, int64_t offset,
                           size_t *ret_bytes);

#endif
