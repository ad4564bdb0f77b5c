/* SPDX-License-Identifier: Apache-2.0 */
/* Batches as clients send them, and sending one with Produce: for tests of what reads and writes
 * records. */
#ifndef TESTS_HANDLE_PRODUCE_FIXTURE_H
#define TESTS_HANDLE_PRODUCE_FIXTURE_H

#include "handle/broker_fixture.h"
#include "record/build.h"
#include "wire/api_produce.h"

/* `count` records of key "key" and value "value", their timestamps from `timestamp` up by 1. Owned
 * by the caller (buffer_unref). */
struct buffer *batch_make(int count, int64_t timestamp);

/* The same of an idempotent producer. */
struct buffer *batch_make_idempotent(int count, int64_t producer_id, int16_t producer_epoch,
                                     int32_t base_sequence);

/* One batch to one partition. */
struct send {
    const char *topic;
    int32_t partition;
    int16_t acks;
    int16_t version;
    bool by_both_steps;           /* handle_admit and handle_prepare first, as a connection does. */
    const char *client_id;        /* NULL: none. */
    const char *transactional_id; /* NULL: none. */
    struct slice records;
};

/* acks=all, version 9, topic "orders", partition 0. */
struct send send_of(struct buffer *batch);

struct sent {
    bool answered; /* Not with acks=0. */
    bool closed;   /* The connection. */
    int16_t error_code;
    int64_t base_offset;
    int64_t log_append_time_ms;
    int64_t log_start_offset;
    uint32_t record_errors_count;
    bool has_message;
};

struct sent fixture_send(struct broker_fixture *f, const struct send *send);

int64_t fixture_end_offset(struct broker_fixture *f, const char *topic, int32_t partition);

#endif
