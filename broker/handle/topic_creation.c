/* SPDX-License-Identifier: Apache-2.0 */
/* Planning and proposing a topic: names, counts, collisions, placement. */
#include "handle/topic_creation.h"

#include "base/arena.h"
#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/placement.h"
#include "handle/handlers.h"

static const char offsets_topic[] = "__consumer_offsets";
static const char transactions_topic[] = "__transaction_state";
static const char share_topic[] = "__share_group_state";

/* Where Kafka keeps its metadata log: no topic here, nor may one be taken for it. */
static const char metadata_topic[] = "__cluster_metadata";

bool topic_is_internal(struct slice name)
{
    return slice_equals_text(name, offsets_topic) || slice_equals_text(name, transactions_topic) ||
           slice_equals_text(name, share_topic);
}

/* Made by hand, it would have the wrong partitions and configuration, or keep the node from making
 * its own by a collision. */
static bool is_reserved(struct slice name)
{
    static const char *const reserved[] = {offsets_topic, transactions_topic, share_topic,
                                           metadata_topic};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (topic_name_collides(name, slice_of(reserved[i])))
            return true;
    }
    return false;
}

struct collision {
    struct slice name;
    const struct catalog_topic *found;
};

static bool look_for_collision(void *context, const struct catalog_topic *topic)
{
    struct collision *collision = context;
    if (topic_name_collides(collision->name, slice_of(topic->name)))
        collision->found = topic;
    return collision->found == NULL;
}

static enum error check_name(struct broker *broker, struct arena *arena,
                             const struct topic_creation *creation, struct slice *ret_reason)
{
    struct slice name = creation->name;
    if (!topic_name_valid(name)) {
        *ret_reason = slice_of("a topic name is 1 to 249 of [a-zA-Z0-9._-], not \".\" or \"..\"");
        return ERROR_INVALID_TOPIC;
    }
    if (catalog_topic_find(broker->catalog, name) != NULL) {
        *ret_reason = arena_format(arena, "topic '%.*s' already exists", SLICE_PRINT(name));
        return ERROR_TOPIC_ALREADY_EXISTS;
    }
    if (!creation->internal && is_reserved(name)) { /* ControllerApis.createTopics */
        *ret_reason = arena_format(arena, "Creation of internal topic %.*s is prohibited.",
                                   SLICE_PRINT(name));
        return ERROR_INVALID_REQUEST;
    }
    if (memchr(name.data, '.', name.size) == NULL && memchr(name.data, '_', name.size) == NULL)
        return ERROR_NONE;
    struct collision collision = {.name = name};
    catalog_topic_each(broker->catalog, look_for_collision, &collision);
    if (collision.found == NULL)
        return ERROR_NONE;
    *ret_reason = arena_format(arena, "collides with topic '%s': '.' and '_' are one in metrics",
                               collision.found->name);
    return ERROR_INVALID_TOPIC;
}

enum error topic_quota_check(struct broker *broker, struct arena *arena, uint32_t count,
                             struct slice *ret_reason)
{
    int64_t most = config_node_number(broker->config, "topicfs.partitions.max");
    int64_t present =
        (int64_t)catalog_partition_count(broker->catalog) + broker->partitions_pending;
    if (most < 0 || present + count <= most)
        return ERROR_NONE;
    *ret_reason = arena_format(arena,
                               "%u more partitions than the %lld there are would be above "
                               "topicfs.partitions.max=%lld: delete topics or raise it",
                               count, (long long)present, (long long)most);
    return ERROR_QUOTA_EXCEEDED;
}

enum error topic_place_partitions(struct broker *broker, struct arena *arena, uint32_t count,
                                  uint32_t factor,
                                  const struct catalog_assignment **ret_assignments,
                                  struct slice *ret_reason)
{
    struct catalog_assignment *assignments =
        arena_allocate_array(arena, count, sizeof *assignments);
    if (assignments == NULL)
        return ERROR_OUT_OF_MEMORY;
    uint32_t start = (uint32_t)executor_random(broker->executor);
    enum error error = catalog_place(broker->catalog, count, factor, start, assignments);
    if (error == ERROR_NONE)
        *ret_assignments = assignments;
    if (error == ERROR_INVALID_REPLICATION_FACTOR)
        *ret_reason =
            arena_format(arena,
                         "Unable to replicate the partition %u time(s): only %u broker(s) can take "
                         "a replica, or none of them is up.",
                         factor, catalog_placeable_count(broker->catalog));
    return error;
}

/* Internal topics can be made whatever the nodes: their factor grows with the cluster. */
static int64_t default_factor(struct broker *broker, bool internal)
{
    if (!internal)
        return config_node_number(broker->config, "default.replication.factor");
    int64_t wanted = config_node_number(broker->config, "offsets.topic.replication.factor");
    int64_t most = catalog_placeable_count(broker->catalog);
    return wanted <= most ? wanted : (most == 0 ? 1 : most);
}

enum error topic_creation_plan(struct broker *broker, struct arena *arena,
                               struct topic_creation *creation, struct slice *ret_reason)
{
    *ret_reason = SLICE_NULL;
    enum error error = check_name(broker, arena, creation, ret_reason);
    if (error != ERROR_NONE)
        return error;
    if (creation->assignments != NULL)
        return topic_quota_check(broker, arena, creation->assignment_count, ret_reason);
    int64_t partitions = creation->partition_count;
    if (partitions == -1)
        partitions = config_node_number(broker->config, "num.partitions");
    if (partitions < 1 || partitions > TOPIC_PARTITIONS_MAX) {
        *ret_reason = arena_format(arena, "the number of partitions is 1 to %d, not %lld",
                                   TOPIC_PARTITIONS_MAX, (long long)partitions);
        return ERROR_INVALID_PARTITIONS;
    }
    if (!topic_is_internal(creation->name))
        error = topic_quota_check(broker, arena, (uint32_t)partitions, ret_reason);
    if (error != ERROR_NONE)
        return error;
    int64_t factor = creation->replication_factor;
    if (factor == -1)
        factor = default_factor(broker, topic_is_internal(creation->name));
    if (factor < 1) {
        *ret_reason = slice_of("The replication factor must be larger than 0, or -1.");
        return ERROR_INVALID_REPLICATION_FACTOR;
    }
    creation->assignment_count = (uint32_t)partitions;
    return topic_place_partitions(broker, arena, (uint32_t)partitions, (uint32_t)factor,
                                  &creation->assignments, ret_reason);
}

static void creation_done(struct proposal *proposal)
{
    struct topic_creation *creation = container_of(proposal, struct topic_creation, proposal);
    ASSERT(creation->broker->partitions_pending >= creation->assignment_count);
    creation->broker->partitions_pending -= creation->assignment_count;
    creation->error = proposal->outcome.error;
    creation->done(creation);
}

void topic_creation_start(struct broker *broker, struct topic_creation *creation)
{
    ASSERT(creation->assignments != NULL);
    creation->broker = broker;
    broker->partitions_pending += creation->assignment_count;
    creation->topic_id = uuid_random(broker->executor);
    struct catalog_command command = {
        .kind = CATALOG_TOPIC_CREATE,
        .id = uuid_random(broker->executor),
        .topic_name = creation->name,
        .topic_id = creation->topic_id,
        .wall_clock_ms = executor_wall_clock_ms(broker->executor),
        .assignments = creation->assignments,
        .assignment_count = creation->assignment_count,
        .pairs = creation->pairs,
        .pair_count = creation->pair_count,
    };
    creation->proposal.done = creation_done;
    proposal_start(broker, &command, creation->timeout_ms, &creation->proposal);
}

/* ---- __consumer_offsets ---- */

struct offsets_creation {
    struct topic_creation creation;
    struct broker *broker;
    struct arena arena;
};

static void offsets_done(struct topic_creation *creation)
{
    struct offsets_creation *offsets = container_of(creation, struct offsets_creation, creation);
    /* Whoever asked asks again: clients retry COORDINATOR_NOT_AVAILABLE. */
    offsets->broker->offsets_topic_pending = false;
    arena_done(&offsets->arena);
    memory_free(offsets);
}

static void offsets_create(struct broker *broker)
{
    struct offsets_creation *offsets = memory_allocate(sizeof *offsets);
    if (offsets == NULL)
        return;
    offsets->broker = broker;
    arena_init(&offsets->arena, 1 << 20);
    const char *segment_bytes =
        config_node_value(broker->config, "offsets.topic.segment.bytes", NULL);
    struct catalog_pair pairs[] = {
        {slice_of("cleanup.policy"), slice_of("compact")},
        {slice_of("compression.type"), slice_of("producer")},
        {slice_of("segment.bytes"), slice_of(segment_bytes)},
    };
    offsets->creation = (struct topic_creation){
        .name = slice_of(offsets_topic),
        .partition_count =
            (int32_t)config_node_number(broker->config, "offsets.topic.num.partitions"),
        .replication_factor = -1,
        .pairs = pairs,
        .pair_count = sizeof pairs / sizeof pairs[0],
        .internal = true,
        .timeout_ms = PROPOSAL_WITHOUT_DEADLINE,
        .done = offsets_done,
    };
    struct slice reason;
    if (topic_creation_plan(broker, &offsets->arena, &offsets->creation, &reason) != ERROR_NONE) {
        arena_done(&offsets->arena);
        memory_free(offsets);
        return;
    }
    broker->offsets_topic_pending = true;
    topic_creation_start(broker, &offsets->creation);
}

uint32_t offsets_topic_partitions(struct broker *broker, bool create)
{
    const struct catalog_topic *topic =
        catalog_topic_find(broker->catalog, slice_of(offsets_topic));
    if (topic != NULL)
        return topic->partition_count;
    if (create && !broker->offsets_topic_pending && !broker->stopping)
        offsets_create(broker);
    return 0;
}
