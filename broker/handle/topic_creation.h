/* SPDX-License-Identifier: Apache-2.0 */
/* Making a topic through the quorum: for CreateTopics, auto-creation by Metadata, internal topics,
 * and mkdir. Inside the monitor. */
#ifndef BROKER_HANDLE_TOPIC_CREATION_H
#define BROKER_HANDLE_TOPIC_CREATION_H

#include "handle/broker.h"
#include "handle/proposal.h"

struct arena;

enum { TOPIC_PARTITIONS_MAX = CATALOG_COMMAND_PARTITIONS_MAX };

/* Owned by the caller until done. */
struct topic_creation {
    struct slice name;
    int32_t partition_count;    /* -1: num.partitions. */
    int16_t replication_factor; /* -1: default.replication.factor; of an internal topic its own, and
                                   at most as many as there are nodes. */
    const struct catalog_assignment *assignments; /* Instead of the two above; NULL: placed. */
    uint32_t assignment_count;
    const struct catalog_pair *pairs; /* The topic's configuration; already checked. */
    uint32_t pair_count;
    bool internal;         /* For the node itself: only then a topic of its own. */
    struct uuid topic_id;  /* Result. */
    enum error error;      /* Result; TOPIC_ALREADY_EXISTS when somebody else was first. */
    struct broker *broker; /* Set by start. */
    int64_t timeout_ms;    /* REQUEST_TIMED_OUT then, though it may be made later. */
    struct proposal proposal;
    void (*done)(struct topic_creation *creation);
};

/* Checks name, counts and collisions, and places the replicas: everything CreateTopics checks but
 * configuration. With ERROR_NONE the assignments are in the arena and in *creation. `ret_reason`
 * gets one clause for the answer. */
enum error topic_creation_plan(struct broker *broker, struct arena *arena,
                               struct topic_creation *creation, struct slice *ret_reason);

/* Whether `count` more partitions are within topicfs.partitions.max, those on their way included
 * (until they are answered: one just made counts twice for that moment). QUOTA_EXCEEDED when not.
 * What other nodes propose at this moment is not seen. */
enum error topic_quota_check(struct broker *broker, struct arena *arena, uint32_t count,
                             struct slice *ret_reason);

/* Replicas for `count` new partitions, in the arena: catalog_place from a random start.
 * INVALID_REPLICATION_FACTOR with a reason: fewer nodes than that. */
enum error topic_place_partitions(struct broker *broker, struct arena *arena, uint32_t count,
                                  uint32_t factor,
                                  const struct catalog_assignment **ret_assignments,
                                  struct slice *ret_reason);

/* Proposes a planned creation; `done` comes exactly once, never from inside. */
void topic_creation_start(struct broker *broker, struct topic_creation *creation);

/* __consumer_offsets' partition count; 0 while it is not there. With `create` and it missing,
 * starts making it (once at a time). */
uint32_t offsets_topic_partitions(struct broker *broker, bool create);

#endif
