/* SPDX-License-Identifier: Apache-2.0 */
/* A partition table on a simulated disk, and appends to its partitions. */
#ifndef TESTS_PARTITION_PARTITION_FIXTURE_H
#define TESTS_PARTITION_PARTITION_FIXTURE_H

#include "partition/partition.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

enum { FIXTURE_WAIT_MS = 100000 };

enum { FIXTURE_NODES = 5 };

/* The quorum as a partition sees it: notes what is proposed, and answers when the test says so. */
struct fixture_quorum {
    struct partition_quorum quorum;
    uint32_t proposals;          /* So far. */
    struct partition *partition; /* Counted; whose proposal is under way, NULL: none is. */
    int32_t isr[PARTITION_REPLICAS_MAX];
    uint32_t isr_count;
    bool out_of_memory;
    bool may_not_join[FIXTURE_NODES];
    int64_t epochs[FIXTURE_NODES];
};

struct partition_fixture {
    struct simulated_storage *disk;
    struct simulated_executor *events;
    struct log_directory *directory;
    struct partition_table *table;
    struct partition_config config;
    struct partition_reporter reporter;
    char reported[2000]; /* Warnings and errors: "sync_failed orders-0;" */
    struct fixture_quorum quorum;
};

/* For cmocka_unit_test_setup_teardown; *state is the fixture, without partitions. */
int partition_fixture_setup(void **state);
int partition_fixture_teardown(void **state);

/* Opens directory and table on the disk as it is. */
void fixture_open(struct partition_fixture *f);
/* Stops, closes; clean tells whether the directory is marked so. */
void fixture_close(struct partition_fixture *f, bool clean);

struct uuid fixture_id(uint8_t number);

/* Leader of epoch 0 with f->config. */
struct partition *fixture_assign(struct partition_fixture *f, const char *topic, uint8_t id,
                                 int32_t index);

/* What the quorum might say of a partition of nodes 0, 1 and 2, this one being node 0. `isr` has
 * one digit a member. */
struct partition_assignment fixture_assignment(int32_t leader, int32_t leader_epoch,
                                               int32_t partition_epoch, const char *isr);
/* Of topic `orders`, id 1, partition 0. */
struct partition *fixture_take(struct partition_fixture *f,
                               const struct partition_assignment *assignment);
/* Whether that is proposed, and ends it so; the test assigns first what is applied. */
void fixture_expect_isr(struct partition_fixture *f, const char *isr);
void fixture_isr_ended(struct partition_fixture *f, enum error error);

/* Follower `node_id` has everything up to `end`, synced up to `synced`. */
void fixture_progress(struct partition_fixture *f, struct partition *partition, int32_t node_id,
                      int64_t end, int64_t synced);

/* One batch of `count` records on its way. */
struct fixture_append {
    struct partition_append append;
    struct buffer *batch;
    int done; /* Times done came. */
};

void fixture_append_start(struct partition *partition, struct fixture_append *append, int32_t count,
                          int8_t acks, int32_t timeout_ms);
/* The same with a producer's sequence. */
void fixture_produce_start(struct partition *partition, struct fixture_append *append,
                           int64_t producer_id, int32_t sequence, int32_t count);
void fixture_append_done(struct fixture_append *append);

/* Appends with acks=-1 and runs events until the answer, which must be NONE; the base offset. */
int64_t fixture_append_one(struct partition_fixture *f, struct partition *partition);

void fixture_run(struct partition_fixture *f);
/* What is posted, and nothing that takes time. */
void fixture_run_tasks(struct partition_fixture *f);
int64_t fixture_high_watermark(struct partition *partition);
int64_t fixture_end(struct partition *partition);

#endif
