/* SPDX-License-Identifier: Apache-2.0 */
/* Three nodes with a table of partitions, fetchers and the handler of REPLICA_FETCH each, on one
 * virtual clock; calls go to the other node's handler through their bytes. What the quorum agreed
 * is a struct that the test changes.
 *
 *   node 0: fetchers --call, 1 ms--> node 1: handle_replica_fetch --> answer, 1 ms --> ... */
#ifndef TESTS_REPLICATE_REPLICAS_FIXTURE_H
#define TESTS_REPLICATE_REPLICAS_FIXTURE_H

#include "handle/broker.h"
#include "replicate/core/fetcher.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

enum { REPLICAS_NODES = 3, REPLICAS_PARTITIONS_MAX = 1100, REPLICAS_LAG_MS = 10000 };

struct replicas;

struct replica_node {
    struct replicas *cluster;
    int32_t id;
    bool up;
    int64_t epoch; /* Of its registration; -1: none yet. */
    struct simulated_storage *disk;
    struct simulated_executor *events;
    struct log_directory *directory;
    struct broker broker;
    struct fetchers *fetchers;
    struct partition_quorum quorum;
    struct partition_reporter reporter;
    char reported[4000]; /* Warnings and errors: "replica_fetch_failed orders-0;" */
    struct caller caller;
    struct list calls; /* Started by this node. */
    uint64_t calls_started;
};

struct replicas {
    struct simulated_clock clock;
    struct simulated_executor *network;
    struct replica_node nodes[REPLICAS_NODES];
    struct partition_config config;
    struct fetchers_config fetching;
    struct uuid topic_id;
    uint32_t partitions;
    struct partition_assignment agreed[REPLICAS_PARTITIONS_MAX];
    bool cut[REPLICAS_NODES][REPLICAS_NODES]; /* Calls and answers from - to are lost. */
    bool may_not_join[REPLICAS_NODES];
    bool throttles;
    uint32_t damages;       /* So many answers with records get a flipped bit. */
    uint64_t records_bytes; /* Carried in answers. */
    uint32_t isr_changes;
};

/* For cmocka_unit_test_setup_teardown; *state is the cluster, every node up, no partition. */
int replicas_setup(void **state);
int replicas_teardown(void **state);

void replicas_start(struct replicas *c, int32_t node);
/* `clean` as a clean stop; otherwise the process is killed and, with `power`, what was not synced
 * is lost. */
void replicas_stop(struct replicas *c, int32_t node, bool clean, bool power);

/* `count` partitions of topic `orders`, led by `leader`, all three nodes in the ISR. */
void replicas_make(struct replicas *c, uint32_t count, int32_t leader);
/* Another leader (a new epoch) and ISR, one digit a member; everybody who is up hears of it. */
void replicas_elect(struct replicas *c, uint32_t partition, int32_t leader, const char *isr);
/* Only that node hears of what is agreed. */
void replicas_tell(struct replicas *c, int32_t node, uint32_t partition);
/* Deletes the topic everywhere and makes it again with another id. */
void replicas_remake(struct replicas *c, int32_t leader);

struct partition *replicas_at(struct replicas *c, int32_t node, uint32_t partition);
int64_t replicas_end(struct replicas *c, int32_t node, uint32_t partition);
int64_t replicas_high_watermark(struct replicas *c, int32_t node, uint32_t partition);

/* One batch of `count` records of `value_bytes` each on its way. */
struct replicas_append {
    struct partition_append append;
    struct buffer *batch;
    int done;
};
void replicas_append_start(struct replicas *c, int32_t node, uint32_t partition,
                           struct replicas_append *append, int32_t count, size_t value_bytes,
                           int8_t acks);
/* The same to its end, which must be `expected`. */
void replicas_append(struct replicas *c, int32_t node, uint32_t partition, int32_t count,
                     size_t value_bytes, int8_t acks, enum error expected);

void replicas_run_for(struct replicas *c, int64_t ms);
/* Until every node that is up and replicates it has the leader's log and high watermark; false
 * after `timeout_ms`. */
bool replicas_settle(struct replicas *c, uint32_t partition, int64_t timeout_ms);
/* The same bytes on all nodes that are up. */
void replicas_expect_equal(struct replicas *c, uint32_t partition);

#endif
