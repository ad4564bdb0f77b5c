/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of broker/log share: a simulated disk with one log on it, and batches whose
 * contents follow from their offsets, so that a reader can tell what must be where. */
#ifndef TESTS_LOG_FIXTURE_H
#define TESTS_LOG_FIXTURE_H

#include "log/log.h"
#include "record/build.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_DIRECTORY "orders-3"

struct fixture {
    struct simulated_storage *disk;
    struct simulated_executor *time;
    struct storage *storage;
    struct executor *executor;
    struct log *log;
    struct log_config config;
    int32_t leader_epoch; /* What log_open is told. */
};

/* Kafka's defaults, but kept for ever. */
struct log_config fixture_config(void);

void fixture_init(struct fixture *fixture, uint64_t seed);
void fixture_done(struct fixture *fixture);

/* Opens FIXTURE_DIRECTORY with fixture->config, making it when absent. */
enum error fixture_try_open(struct fixture *fixture, bool clean, int64_t recovery_point);
void fixture_open(struct fixture *fixture, bool clean, int64_t recovery_point);
void fixture_close(struct fixture *fixture, bool clean);

/* The timestamp and value of record `offset`: values vary in length, every tenth is null. */
int64_t fixture_timestamp(int64_t offset);
struct slice fixture_value(int64_t offset, char buffer[64]);
int64_t fixture_text_size(int64_t offset);

/* A batch of `count` records as they would be at `offset` (base offset 0 in the bytes). */
struct buffer *fixture_batch(int64_t offset, int count, enum codec codec);

/* Appends a batch of `count` records at the end with leader epoch `epoch`. */
enum error fixture_try_append(struct log *log, int count, int32_t epoch);
void fixture_append(struct log *log, int count, int32_t epoch);

/* Appends a batch of a producer; its base offset. */
int64_t fixture_append_producer(struct log *log, int64_t producer_id, int16_t epoch,
                                int32_t sequence, int count);

/* begin, run, end. */
enum error fixture_sync(struct log *log);

/* Reads everything from log start to the end and checks that each record is what fixture_batch
 * makes for its offset and that none is missing from `from` on; returns the offset reached. */
int64_t fixture_verify(struct log *log, int64_t from);
/* The same where offsets may be missing between batches. */
int64_t fixture_verify_with_gaps(struct log *log, int64_t from);

/* Reads whole batches at `limit`, from `offset`; -1 when an error comes first. Checks checksums and
 * contents. Returns the offset behind the last. */
int64_t fixture_read_from(struct log *log, int64_t offset, enum log_read_limit limit,
                          enum error *ret_error);

/* The sum of fixture_text_size over [from, to). */
int64_t fixture_text_between(int64_t from, int64_t to);

/* For sweeps: opens the log of FIXTURE_DIRECTORY on `storage`. */
enum error fixture_open_on(struct storage *storage, struct executor *executor,
                           const struct log_config *config, bool clean, int64_t recovery_point,
                           struct log **ret_log);

#endif
