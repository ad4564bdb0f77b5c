/* SPDX-License-Identifier: Apache-2.0 */
/* What request handlers may reach: the node's parts, put together by daemon (or by a test) and
 * owned by it. */
#ifndef BROKER_HANDLE_BROKER_H
#define BROKER_HANDLE_BROKER_H

#include "base/executor.h"
#include "catalog/catalog.h"
#include "partition/partition.h"

struct caller;
struct cluster_view;
struct fetch_sessions;
struct formation;
struct group_coordinator;
struct membership;
struct peer_doorkeeper;
struct producer_ids;
struct quorum_describe;
struct replica_sessions;

struct broker {
    struct executor *executor;
    struct storage *storage;
    struct catalog *catalog;
    struct partition_table *partitions;
    struct group_coordinator *groups;
    struct fetch_sessions *fetch_sessions;     /* handle/fetch_session.h */
    struct replica_sessions *replica_sessions; /* handle/replica_session.h; NULL: no replicas. */
    struct producer_ids *producer_ids; /* handle/producer_ids.h; made by broker_follow_catalog. */
    /* The node's configuration in force: static, and over it what was altered while running. Given
     * by the owner as the static one; broker_follow_catalog keeps it up to date. */
    const struct config_set *config;
    const struct config_set *static_config; /* While the catalog is followed. */
    const char *data_directory;             /* Absolute path, for DescribeLogDirs. */
    int32_t node_id;
    /* Who leads the metadata quorum, -1: nobody known. NULL: this node. */
    int32_t (*controller_id)(const struct broker *broker);
    void *controller_context;
    /* Of a node in a cluster; each NULL in a cluster of one. */
    struct caller *caller;         /* wire/call.h: to other nodes. */
    struct membership *membership; /* handle/membership.h: this node's controller. */
    struct formation
        *formation; /* The same header: while the daemon knows more than the catalog. */
    struct cluster_view *cluster_view; /* handle/cluster_view.h; there in a cluster of one too. */
    uint32_t partitions_pending;       /* Proposed by this node and not made or refused yet. */
    struct quorum_describe *quorum_describe; /* handle/quorum_describe.h; NULL: a quorum of this
                                                node. */
    struct peer_doorkeeper *doorkeeper;      /* handle/peer_door.h; NULL: no other nodes. */
    bool stopping;
    struct list proposals;      /* On their way for requests: handle/proposal.h. */
    bool offsets_topic_pending; /* __consumer_offsets is being made. */
};

int32_t broker_controller_id(const struct broker *broker);

/* Effective topic configuration as a partition wants it. `topic` may be NULL (node defaults). */
struct partition_config broker_partition_config(const struct broker *broker,
                                                const struct config_set *topic);

/* Whether a topic's list of throttled replicas (`key`: leader. or follower.replication.throttled.
 * replicas; "*", or "PARTITION:NODE" of each) names this node's of the partition. */
bool broker_replica_throttled(const struct broker *broker, const char *topic, int32_t index,
                              const char *key);

/* Keeps the partition table what the catalog says (topics made and deleted, configurations changed)
 * and broker->config what is in force. Stop it once no request is in flight. */
struct broker_follower;
enum error broker_follow_catalog(struct broker *broker, struct broker_follower **ret_follower);
void broker_follow_stop(struct broker_follower *follower);

#endif
