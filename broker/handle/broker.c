/* SPDX-License-Identifier: Apache-2.0 */
/* The node's parts kept in step: what the catalog says about this node becomes partitions. */
#include "handle/broker.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "group/group.h"
#include "handle/producer_ids.h"
#include "handle/proposal.h"
#include "record/codec.h"

static bool list_contains(const char *list, const char *word)
{
    struct slice element;
    while (config_list_next(&list, &element)) {
        if (slice_equals_text(element, word))
            return true;
    }
    return false;
}

static int8_t compression_codec(const char *type)
{
    enum codec codec;
    if (strcmp(type, "producer") == 0)
        return -1;
    if (strcmp(type, "uncompressed") == 0)
        return CODEC_NONE;
    return codec_from_name(type, &codec) ? (int8_t)codec : -1;
}

static int32_t compression_level(const struct broker *broker, const struct config_set *topic,
                                 int8_t codec)
{
    switch (codec) {
    case CODEC_GZIP:
        return (int32_t)config_topic_number(broker->config, topic, "compression.gzip.level");
    case CODEC_LZ4:
        return (int32_t)config_topic_number(broker->config, topic, "compression.lz4.level");
    case CODEC_ZSTD:
        return (int32_t)config_topic_number(broker->config, topic, "compression.zstd.level");
    default:
        return 0;
    }
}

/* internal.segment.bytes, for tests, is not bounded below as segment.bytes is. */
static int64_t segment_bytes(const struct config_set *node, const struct config_set *topic)
{
    if (config_topic_value(node, topic, "internal.segment.bytes", NULL) != NULL)
        return config_topic_number(node, topic, "internal.segment.bytes");
    return config_topic_number(node, topic, "segment.bytes");
}

/* Never fewer than the cluster goes by when it elects: a node's own value below that would let the
 * high watermark move while eligible leader replicas are kept (KIP-966). */
static int32_t min_insync_replicas(const struct broker *broker, const struct config_set *topic)
{
    const struct config_set *cluster = catalog_node_config(broker->catalog, -1);
    int64_t own = config_topic_number(broker->config, topic, "min.insync.replicas");
    int64_t agreed =
        cluster == NULL ? 1 : config_topic_number(cluster, topic, "min.insync.replicas");
    return (int32_t)(own > agreed ? own : agreed);
}

struct partition_config broker_partition_config(const struct broker *broker,
                                                const struct config_set *topic)
{
    const struct config_set *node = broker->config;
    const char *policy = config_topic_value(node, topic, "cleanup.policy", NULL);
    const char *durability = config_topic_value(node, topic, "topicfs.durability", NULL);
    const char *timestamp = config_topic_value(node, topic, "message.timestamp.type", NULL);
    int8_t codec = compression_codec(config_topic_value(node, topic, "compression.type", NULL));
    return (struct partition_config){
        .log =
            {
                .segment_bytes = segment_bytes(node, topic),
                .segment_ms = config_topic_number(node, topic, "segment.ms"),
                .segment_jitter_ms = config_topic_number(node, topic, "segment.jitter.ms"),
                .segment_index_bytes = config_topic_number(node, topic, "segment.index.bytes"),
                .index_interval_bytes = config_topic_number(node, topic, "index.interval.bytes"),
                .retention_ms = config_topic_number(node, topic, "retention.ms"),
                .retention_bytes = config_topic_number(node, topic, "retention.bytes"),
                .file_delete_delay_ms = config_topic_number(node, topic, "file.delete.delay.ms"),
                .producer_id_expiration_ms = config_node_number(node, "producer.id.expiration.ms"),
                .delete_enabled = list_contains(policy, "delete"),
                .compact_enabled = list_contains(policy, "compact"),
            },
        .durability = strcmp(durability, "fsync") == 0 ? PARTITION_FSYNC : PARTITION_REPLICATED,
        .max_message_bytes = (int32_t)config_topic_number(node, topic, "max.message.bytes"),
        .min_insync_replicas = min_insync_replicas(broker, topic),
        .compacted = list_contains(policy, "compact"),
        .log_append_time = strcmp(timestamp, "LogAppendTime") == 0,
        .timestamp_before_max_ms =
            config_topic_number(node, topic, "message.timestamp.before.max.ms"),
        .timestamp_after_max_ms =
            config_topic_number(node, topic, "message.timestamp.after.max.ms"),
        .compression_codec = codec,
        .compression_level = compression_level(broker, topic, codec),
    };
}

bool broker_replica_throttled(const struct broker *broker, const char *topic, int32_t index,
                              const char *key)
{
    const struct catalog_topic *known = catalog_topic_find(broker->catalog, slice_of(topic));
    if (known == NULL)
        return false;
    const char *list = config_topic_value(broker->config, known->config, key, NULL);
    char own[32];
    (void)snprintf(own, sizeof own, "%d:%d", (int)index, (int)broker->node_id);
    return list_contains(list, "*") || list_contains(list, own);
}

int32_t broker_controller_id(const struct broker *broker)
{
    return broker->controller_id != NULL ? broker->controller_id(broker) : broker->node_id;
}

struct broker_follower {
    struct broker *broker;
    struct config_set *config; /* broker->config. */
    struct catalog_watcher watcher;
    struct timer retry_timer; /* Something was left out for want of memory. */
};

enum { RETRY_MS = 100 };

static bool hosts(const struct catalog_partition *partition, int32_t node_id)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == node_id)
            return true;
    }
    return false;
}

static void elect_coordinator(struct broker *broker, const struct catalog_topic *topic,
                              int32_t index, bool was_leader, bool leads)
{
    if (broker->groups == NULL || strcmp(topic->name, "__consumer_offsets") != 0)
        return;
    if (leads && !was_leader)
        group_coordinator_elected(broker->groups, index);
    else if (was_leader && !leads)
        group_coordinator_resigned(broker->groups, index);
}

static struct partition_assignment assignment_of(const struct catalog_partition *known)
{
    struct partition_assignment assignment = {
        .leader = known->leader,
        .leader_epoch = known->leader_epoch,
        .partition_epoch = known->partition_epoch,
        .recovering = known->recovering,
        .replica_count = known->replica_count,
        .isr_count = known->isr_count,
    };
    memcpy(assignment.replicas, known->replicas, sizeof assignment.replicas);
    memcpy(assignment.isr, known->isr, sizeof assignment.isr);
    return assignment;
}

_Static_assert((int)PARTITION_REPLICAS_MAX == (int)CATALOG_REPLICAS_MAX, "the same replicas");

static bool leads(const struct broker *broker, const struct catalog_topic *topic, int32_t index)
{
    const struct partition *local = partition_table_find_id(broker->partitions, &topic->id, index);
    return local != NULL && partition_role(local) == PARTITION_LEADER;
}

/* OUT_OF_MEMORY: it is not yet what the catalog says. */
static enum error follow_partition(struct broker *broker, const struct catalog_topic *topic,
                                   const struct partition_config *config, int32_t index)
{
    struct catalog_partition known;
    bool found = catalog_partition_find(broker->catalog, topic, index, &known);
    ASSERT(found);
    bool led = leads(broker, topic, index);
    enum error error = ERROR_NONE;
    if (hosts(&known, broker->node_id)) {
        struct partition_assignment assignment = assignment_of(&known);
        error = partition_table_assign(broker->partitions, topic->name, &topic->id, index, config,
                                       &assignment, NULL, NULL);
    } else if (partition_table_find_id(broker->partitions, &topic->id, index) != NULL) {
        partition_table_remove(broker->partitions, topic->name, index);
    }
    elect_coordinator(broker, topic, index, led, leads(broker, topic, index));
    return error;
}

static void follow_topic(struct broker_follower *follower, const struct catalog_topic *topic)
{
    struct broker *broker = follower->broker;
    struct partition_config config = broker_partition_config(broker, topic->config);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (follow_partition(broker, topic, &config, (int32_t)i) != ERROR_NONE)
            executor_timer_start(broker->executor, &follower->retry_timer, RETRY_MS);
    }
}

static void topic_changed(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    follow_topic(container_of(watcher, struct broker_follower, watcher), topic);
}

static void topic_deleted(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct broker *broker = container_of(watcher, struct broker_follower, watcher)->broker;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        elect_coordinator(broker, topic, (int32_t)i, true, false);
        partition_table_remove(broker->partitions, topic->name, (int32_t)i);
    }
    if (broker->groups != NULL)
        group_coordinator_topic_deleted(broker->groups, slice_of(topic->name));
}

/* The static configuration with the dynamic default and this node's own over it. */
static enum error config_layers(const struct broker *broker, struct config_set **ret_config)
{
    struct config_set *config;
    enum error error = config_set_new(&config);
    if (error != ERROR_NONE)
        return error;
    error = config_set_merge(config, broker->static_config);
    if (error == ERROR_NONE)
        error = config_set_merge(config, catalog_node_config(broker->catalog, -1));
    if (error == ERROR_NONE)
        error = config_set_merge(config, catalog_node_config(broker->catalog, broker->node_id));
    if (error != ERROR_NONE) {
        config_set_free(config);
        return error;
    }
    *ret_config = config;
    return ERROR_NONE;
}

static bool configure_topic(void *context, const struct catalog_topic *topic)
{
    struct broker *broker = context;
    struct partition_config config = broker_partition_config(broker, topic->config);
    partition_table_configure(broker->partitions, topic->name, &config);
    return true;
}

/* Without memory the configuration stays as it was until the next change or start. */
static void node_config_changed(struct broker_follower *follower)
{
    struct broker *broker = follower->broker;
    struct config_set *config;
    if (config_layers(broker, &config) != ERROR_NONE)
        return;
    broker->config = config;
    config_set_free(follower->config);
    follower->config = config;
    catalog_topic_each(broker->catalog, configure_topic, broker);
}

static void config_changed(struct catalog_watcher *watcher, enum catalog_resource resource,
                           struct slice name)
{
    struct broker_follower *follower = container_of(watcher, struct broker_follower, watcher);
    if (resource == CATALOG_RESOURCE_NODE)
        node_config_changed(follower);
    if (resource != CATALOG_RESOURCE_TOPIC)
        return;
    const struct catalog_topic *topic = catalog_topic_find(follower->broker->catalog, name);
    if (topic != NULL)
        (void)configure_topic(follower->broker, topic);
}

static bool take_up(void *context, const struct catalog_topic *topic)
{
    follow_topic(context, topic);
    return true;
}

static void retry(struct timer *timer)
{
    struct broker_follower *follower = container_of(timer, struct broker_follower, retry_timer);
    catalog_topic_each(follower->broker->catalog, take_up, follower);
}

static enum error follower_make(struct broker *broker, struct broker_follower *follower)
{
    broker->static_config = broker->config;
    enum error error = config_layers(broker, &follower->config);
    if (error == ERROR_NONE)
        error = producer_ids_new(broker, &broker->producer_ids);
    if (error == ERROR_NONE)
        broker->config = follower->config;
    return error;
}

enum error broker_follow_catalog(struct broker *broker, struct broker_follower **ret_follower)
{
    struct broker_follower *follower = memory_allocate(sizeof *follower);
    if (follower == NULL)
        return ERROR_OUT_OF_MEMORY;
    follower->broker = broker;
    enum error error = follower_make(broker, follower);
    if (error != ERROR_NONE) {
        config_set_free(follower->config);
        memory_free(follower);
        return error;
    }
    follower->watcher = (struct catalog_watcher){.topic_changed = topic_changed,
                                                 .topic_deleted = topic_deleted,
                                                 .config_changed = config_changed};
    follower->retry_timer.fire = retry;
    catalog_topic_each(broker->catalog, take_up, follower);
    catalog_watch(broker->catalog, &follower->watcher);
    *ret_follower = follower;
    return ERROR_NONE;
}

void broker_follow_stop(struct broker_follower *follower)
{
    if (follower == NULL)
        return;
    struct broker *broker = follower->broker;
    catalog_unwatch(broker->catalog, &follower->watcher);
    executor_timer_stop(broker->executor, &follower->retry_timer);
    proposals_drop(broker);
    producer_ids_free(broker->producer_ids);
    broker->producer_ids = NULL;
    broker->config = broker->static_config;
    config_set_free(follower->config);
    memory_free(follower);
}
