/* SPDX-License-Identifier: Apache-2.0 */
/* Some nodes' catalogs under one simulated executor, a quorum that is a few variables, and calls
 * that go to the other node's handlers through their bytes: for testing replicate/core.
 *
 *   proposal at the leader --2 ms--> applied on every node that follows, the leader first */
#ifndef TESTS_REPLICATE_CLUSTER_FIXTURE_H
#define TESTS_REPLICATE_CLUSTER_FIXTURE_H

#include "handle/broker.h"
#include "handle/membership.h"
#include "replicate/core/quorum.h"
#include "sim/simulated_executor.h"
#include "wire/api_node_heartbeat.h"
#include "wire/call.h"

enum { CLUSTER_NODES_MAX = 6, CLUSTER_LOG_MAX = 4096 };

/* What becomes of calls to a node. */
enum cluster_reach {
    CLUSTER_REACHED,
    CLUSTER_REFUSED,     /* LEADER_NOT_AVAILABLE at once. */
    CLUSTER_SILENT,      /* No answer: REQUEST_TIMED_OUT. */
    CLUSTER_ANSWER_LOST, /* Carried out, then NETWORK. */
    CLUSTER_CLOSING      /* CLOSING. */
};

struct cluster_fixture;

struct cluster_node {
    struct cluster_fixture *cluster;
    int32_t id;
    struct catalog *catalog;
    struct broker broker;
    struct caller caller;
    struct quorum quorum;
    struct list quorum_watchers;
    struct catalog_proposer local;
    /* A controller that answers heartbeats with `answer`; a test may put its own in the broker. */
    struct membership membership;
    struct membership_answer answer;
    struct node_heartbeat_request heard; /* The last; its strings are gone. */
    uint32_t heard_count;
    enum cluster_reach reach;
    bool follows;            /* Applies what is committed; false: catches up when it is set. */
    uint32_t applied;        /* Entries of the log. */
    int32_t knows_leader_id; /* What its quorum says. */
};

struct cluster_entry {
    uint8_t *bytes;
    size_t size;
};

struct cluster_fixture {
    struct simulated_executor *simulated;
    struct executor *executor;
    struct cluster_node nodes[CLUSTER_NODES_MAX]; /* Node i has id i. */
    uint32_t node_count;
    struct cluster_entry log[CLUSTER_LOG_MAX];
    uint32_t log_count;
    int32_t leader_id; /* -1: none. */
    bool barrier;      /* The leader has applied its term's barrier. */
    int64_t term;
    enum error proposal_error; /* Not NONE: what the leader's log says instead. */
    bool apply_before_error;   /* And yet it is in the log. */
    bool quorum_stuck;         /* Proposals wait until it is false. */
    uint32_t proposals_taken;  /* By any leader. */
    struct quorum_member members[CLUSTER_NODES_MAX + 2];
    uint32_t member_count;
    enum error change_error; /* Not NONE: what the next changes come to. */
    char changes[2000];      /* "add 3;standby 3;voter 3;" */
    struct list in_flight;   /* Of everything that is to end: for the teardown. */
};

/* `count` nodes from id 0, all catalogs empty but for the cluster id; nobody leads. */
void cluster_setup(struct cluster_fixture *cluster, uint32_t count);
void cluster_teardown(struct cluster_fixture *cluster);

/* Changes who leads, under a new term, and tells everybody; -1: nobody. */
void cluster_elect(struct cluster_fixture *cluster, int32_t leader_id);

/* Puts a command into the log and applies it everywhere, at once. */
struct catalog_outcome cluster_apply(struct cluster_fixture *cluster,
                                     const struct catalog_command *command);
/* The same while node 0 need not follow: `at` applies it in any case. */
struct catalog_outcome cluster_apply_at(struct cluster_fixture *cluster,
                                        const struct catalog_command *command, int32_t at);

/* Registers the node (fenced or not) at "node<id>":9092 with directory id `id`; its epoch. */
int64_t cluster_register(struct cluster_fixture *cluster, int32_t id, bool fenced);

/* A topic of one partition an assignment, each "1,2,3". */
void cluster_topic(struct cluster_fixture *cluster, const char *name, const char *const *replicas,
                   uint32_t partitions);

void cluster_partition(struct cluster_fixture *cluster, const char *topic, int32_t index,
                       struct catalog_partition *ret_partition);

const struct catalog_node *cluster_node_known(struct cluster_fixture *cluster, int32_t id);

void cluster_run_for(struct cluster_fixture *cluster, int64_t ms);

#endif
