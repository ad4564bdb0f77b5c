/* SPDX-License-Identifier: Apache-2.0 */
/* The follower's side of replication: brings this node's followers what their leaders have.
 *
 *   partition_feed.follow --> fetcher of the leader's node --REPLICA_FETCH--> its session there
 *                                   ^   votes (end, synced)                       |
 *                                   |                                             v
 *             partition_append_replica, truncation, high watermark <---- records, divergence
 *
 * One session and one channel per leader node. A request names only the partitions with news (a
 * longer log, a sync, a new place to fetch from), so a partition at rest costs nothing. While one
 * request waits at the leader, news go out with a second, which ends the first one's wait.
 *
 *   OPENING -> FETCHING <-> CHECKING/APPENDING
 *                 ^  '--> TRUNCATING --'        FAILED: retried after a pause that doubles
 *
 * Small answers are checked as they arrive, on the caller's thread. A large one is checked on the
 * pool, and what is behind it is asked for at once: answers are appended in the order they came,
 * each only where the log still ends as it did when it was asked for.
 *
 * Inside the monitor, but for the checks; syncing truncations runs on the pool. */
#ifndef REPLICATE_CORE_FETCHER_H
#define REPLICATE_CORE_FETCHER_H

#include "partition/partition.h"
#include "wire/call.h"

struct fetchers;

/* Kafka's names: replica.fetch.wait.max.ms and so on. */
struct fetchers_config {
    int64_t wait_max_ms;
    int32_t fetch_max_bytes;    /* One partition in one answer. */
    int32_t response_max_bytes; /* One answer, beyond its first batch. */
    int64_t backoff_min_ms;
    int64_t backoff_max_ms;
    int64_t request_timeout_ms; /* On top of the wait. */
    int64_t throttled_rate;     /* follower.replication.throttled.rate, bytes a second. */
    size_t early_bytes_max;     /* Of records in an answer that is checked as it arrives. */
};

struct fetchers_options {
    struct executor *executor;
    struct caller *caller;
    struct partition_table *partitions;
    struct partition_reporter *reporter; /* May be NULL. */
    struct fetchers_config config;
    int32_t node_id;
    /* This node's registration; -1 before it has one: nothing is fetched yet. */
    int64_t (*node_epoch)(void *context);
    /* follower.replication.throttled.replicas names this one. NULL: none is throttled. */
    bool (*throttled)(void *context, const char *topic, int32_t index);
    void *context;
};

/* Makes itself the table's feed (partition_table_feed): the followers there are begin at once. */
enum error fetchers_new(const struct fetchers_options *options, struct fetchers **ret_fetchers);

void fetchers_configure(struct fetchers *fetchers, const struct fetchers_config *config);

/* Takes nothing new and ends what is under way; fetchers_idle tells when that is done. Before
 * partition_table_stop. */
void fetchers_stop(struct fetchers *fetchers);
bool fetchers_idle(const struct fetchers *fetchers);

/* Once stopped and idle. Accepts NULL. */
void fetchers_free(struct fetchers *fetchers);

/* What the fetchers do, for tests and .info. */
struct fetchers_view {
    uint32_t partitions;
    uint32_t failed; /* Waiting to be tried again. */
    uint32_t truncating;
    uint64_t requests; /* Sent since the start. */
    uint64_t bytes;    /* Of records appended since the start. */
};
struct fetchers_view fetchers_view(const struct fetchers *fetchers);

#endif
