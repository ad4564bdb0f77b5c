/* SPDX-License-Identifier: Apache-2.0 */
/* The whole image as bytes, and back.
 *
 *   "TFSC" | version 1 | applied index 8, term 4 | cluster id 16 | next producer id 8
 *   | next node id 4 | nodes | features | configurations | topics, each with its pairs and
 * partitions | remembered outcomes, oldest first | hash 8 | CRC-32C of all before it 4
 *
 * The hash is the image's own: what was read back must come to the same (invariant 21). Version 1
 * was the single node's: no next node id, and less in nodes, partitions and outcomes. */
#include "base/assertion.h"
#include "base/crc32c.h"
#include "catalog/election.h"
#include "catalog/fields.h"
#include "catalog/state.h"

/* No partition comes near: an image that says otherwise is damaged. */
enum { EPOCH_MAX = INT32_MAX / 2 };

enum {
    SNAPSHOT_MAGIC = 0x54465343,
    SNAPSHOT_VERSION = 2,
    NODE_BYTES_LEAST = 62,
    FEATURE_BYTES_LEAST = 4,
    CONFIG_BYTES_LEAST = 7,
    TOPIC_BYTES_LEAST = 34,
    PARTITION_BYTES_LEAST = 17,
    PAIR_BYTES_LEAST = 4,
    OUTCOME_BYTES_LEAST = 34
};

/* ---- writing ---- */

static void write_pair(void *context, const char *key, const char *value)
{
    put_string(context, slice_of(key));
    put_string(context, slice_of(value));
}

static void write_config(struct bytes_writer *writer, const struct config_set *config)
{
    put_u32(writer, config_set_count(config));
    config_set_each(config, write_pair, writer);
}

static void write_topic(struct bytes_writer *writer, const struct topic_entry *entry)
{
    put_string(writer, slice_of(entry->name));
    put_uuid(writer, &entry->topic.id);
    put_u64(writer, (uint64_t)entry->topic.created_ms);
    write_config(writer, entry->config);
    put_u32(writer, entry->topic.partition_count);
    for (uint32_t i = 0; i < entry->topic.partition_count; i++) {
        struct catalog_partition partition;
        partition_entry_read(entry->partitions[i], (int32_t)i, &partition);
        write_partition(writer, &partition);
    }
}

static void write_outcomes(struct bytes_writer *writer, const struct image *image)
{
    put_u32(writer, image->outcome_count);
    uint32_t first = image->outcome_next + CATALOG_OUTCOMES_KEPT - image->outcome_count;
    for (uint32_t i = 0; i < image->outcome_count; i++) {
        const struct remembered_outcome *outcome =
            &image->outcomes[(first + i) % CATALOG_OUTCOMES_KEPT];
        put_uuid(writer, &outcome->id);
        put_u64(writer, (uint64_t)outcome->index);
        put_u64(writer, (uint64_t)outcome->producer_id_first);
        /* Kafka's number: ours is a row of a list that grows. */
        put_u16(writer, (uint16_t)error_to_kafka(outcome->error));
        put_u32(writer, (uint32_t)outcome->node_id_taken);
    }
}

enum error catalog_snapshot(const struct catalog *catalog, uint8_t **ret_bytes, size_t *ret_size)
{
    const struct image *image = catalog->image;
    struct bytes_writer writer = {.data = NULL};
    put_u32(&writer, SNAPSHOT_MAGIC);
    put_u8(&writer, SNAPSHOT_VERSION);
    put_u64(&writer, (uint64_t)image->applied_index);
    put_u32(&writer, (uint32_t)image->applied_term);
    put_uuid(&writer, &image->cluster_id);
    put_u64(&writer, (uint64_t)image->producer_id_next);
    put_u32(&writer, (uint32_t)image->node_id_next);
    put_u32(&writer, image->nodes.count);
    for (uint32_t i = 0; i < image->nodes.count; i++)
        write_node(&writer, image_node_at(image, i));
    put_u32(&writer, image->features.count);
    for (uint32_t i = 0; i < image->features.count; i++) {
        const struct feature_entry *entry = image_feature_at(image, i);
        put_string(&writer, slice_from(entry->name, entry->name_size));
        put_u16(&writer, (uint16_t)entry->level);
    }
    put_u32(&writer, image->configs.count);
    for (uint32_t i = 0; i < image->configs.count; i++) {
        const struct resource_entry *entry = image_config_at(image, i);
        put_u8(&writer, (uint8_t)entry->resource);
        put_string(&writer, slice_from(entry->name, entry->name_size));
        write_config(&writer, entry->config);
    }
    put_u32(&writer, image->topics.count);
    for (uint32_t i = 0; i < image->topics.count; i++)
        write_topic(&writer, image_topic_at(image, i));
    write_outcomes(&writer, image);
    put_u64(&writer, image->hash);
    put_u32(&writer, writer.failed ? 0 : crc32c(0, writer.data, writer.size));
    if (writer.failed) {
        ASSERT(writer.refused);
        memory_free(writer.data);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_bytes = writer.data;
    *ret_size = writer.size;
    return ERROR_NONE;
}

/* ---- reading; each function leaves what it cannot use to image_free ---- */

struct source {
    struct bytes_reader reader;
    uint8_t version;
};

static enum error read_failure(const struct bytes_reader *reader)
{
    return reader->failed ? ERROR_MALFORMED : ERROR_NONE;
}

static enum error put_text(struct config_set *set, enum config_scope scope, struct slice key,
                           struct slice value)
{
    char *key_text = memory_copy_text(key.data, key.size);
    char *value_text = memory_copy_text(value.data, value.size);
    enum error error = ERROR_OUT_OF_MEMORY;
    if (key_text != NULL && value_text != NULL)
        error = config_set_put_agreed(set, scope, key_text, value_text);
    memory_free(key_text);
    memory_free(value_text);
    return error;
}

/* NULL when there are no pairs. */
static enum error read_config(struct bytes_reader *reader, enum config_scope scope,
                              struct config_set **ret_set)
{
    uint32_t count = take_count(reader, PAIR_BYTES_LEAST);
    struct config_set *set = NULL;
    enum error error = count == 0 ? ERROR_NONE : config_set_new(&set);
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++) {
        struct slice key = read_text(reader);
        struct slice value = read_text(reader);
        error = reader->failed ? ERROR_MALFORMED : put_text(set, scope, key, value);
    }
    if (error != ERROR_NONE) {
        config_set_free(set);
        return error;
    }
    *ret_set = set;
    return read_failure(reader);
}

static enum error read_nodes(struct source *source, struct image *image)
{
    struct bytes_reader *reader = &source->reader;
    uint32_t count = take_count(reader, NODE_BYTES_LEAST);
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++) {
        struct catalog_node node = {.id = -1};
        read_node(reader, source->version, &node);
        if (reader->failed || node.id < 0 || image_node_find(image, node.id) != NULL)
            return ERROR_MALFORMED;
        error = image_node_set(image, &node);
    }
    return error != ERROR_NONE ? error : read_failure(reader);
}

static enum error read_features(struct bytes_reader *reader, struct image *image)
{
    uint32_t count = take_count(reader, FEATURE_BYTES_LEAST);
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++) {
        struct slice name = read_text(reader);
        int16_t level = (int16_t)take_u16(reader);
        if (reader->failed || level <= 0)
            return ERROR_MALFORMED;
        error = image_feature_set(image, name, level);
    }
    return error != ERROR_NONE ? error : read_failure(reader);
}

static enum error read_configs(struct bytes_reader *reader, struct image *image)
{
    uint32_t count = take_count(reader, CONFIG_BYTES_LEAST);
    for (uint32_t i = 0; i < count; i++) {
        enum catalog_resource resource = (enum catalog_resource)take_u8(reader);
        struct slice name = read_text(reader);
        if (resource != CATALOG_RESOURCE_NODE && resource != CATALOG_RESOURCE_GROUP)
            return ERROR_MALFORMED;
        struct config_set *set = NULL;
        enum error error = read_config(
            reader, resource == CATALOG_RESOURCE_NODE ? CONFIG_NODE : CONFIG_GROUP, &set);
        if (error == ERROR_NONE)
            error = image_config_set(image, resource, name, set);
        if (error != ERROR_NONE) {
            config_set_free(set);
            return error;
        }
    }
    return read_failure(reader);
}

static enum error read_partitions(struct source *source, struct topic_entry *entry)
{
    struct bytes_reader *reader = &source->reader;
    uint32_t count = take_count(reader, PARTITION_BYTES_LEAST);
    if (count > CATALOG_TOPIC_PARTITIONS_MAX || reader->failed)
        return ERROR_MALFORMED;
    entry->partitions = memory_allocate_array(count, sizeof(struct partition_entry *));
    if (entry->partitions == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_partition partition;
        read_partition(reader, source->version, &partition);
        if (reader->failed || !partition_consistent(&partition) ||
            partition.leader_epoch > EPOCH_MAX || partition.partition_epoch > EPOCH_MAX)
            return ERROR_MALFORMED;
        enum error error = partition_entry_new(&partition, &entry->partitions[i]);
        if (error != ERROR_NONE)
            return error;
        entry->topic.partition_count = i + 1;
    }
    return ERROR_NONE;
}

static enum error read_topic(struct source *source, struct image *image)
{
    struct bytes_reader *reader = &source->reader;
    struct slice name = read_text(reader);
    struct uuid id = take_uuid(reader);
    int64_t created_ms = (int64_t)take_u64(reader);
    if (reader->failed || !topic_name_valid(name) || uuid_is_zero(&id) ||
        image_topic_find(image, name) != NULL || image_topic_find_id(image, &id) != NULL)
        return ERROR_MALFORMED;
    struct topic_entry *entry;
    enum error error = topic_entry_new(name, &id, created_ms, &entry);
    if (error != ERROR_NONE)
        return error;
    struct config_set *config = NULL;
    error = read_config(reader, CONFIG_TOPIC, &config);
    if (error == ERROR_NONE) {
        image_topic_configure(NULL, entry, config);
        error = read_partitions(source, entry);
    }
    if (error == ERROR_NONE)
        error = image_topic_insert(image, entry);
    if (error != ERROR_NONE)
        topic_entry_free(entry);
    return error;
}

static enum error read_topics(struct source *source, struct image *image)
{
    struct bytes_reader *reader = &source->reader;
    uint32_t count = take_count(reader, TOPIC_BYTES_LEAST);
    enum error error = read_failure(reader);
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++)
        error = read_topic(source, image);
    return error;
}

/* The first row with this number: outcomes of apply have a number each. */
static enum error error_of_kafka(int16_t kafka)
{
    for (int i = 0; i < ERROR_COUNT; i++)
        if (error_to_kafka((enum error)i) == kafka)
            return (enum error)i;
    return ERROR_UNKNOWN_SERVER;
}

static enum error read_outcomes(struct source *source, struct image *image)
{
    struct bytes_reader *reader = &source->reader;
    uint32_t count = take_count(reader, OUTCOME_BYTES_LEAST);
    if (count > CATALOG_OUTCOMES_KEPT)
        return ERROR_MALFORMED;
    for (uint32_t i = 0; i < count; i++) {
        struct uuid id = take_uuid(reader);
        struct catalog_outcome outcome = {.index = (int64_t)take_u64(reader)};
        outcome.producer_id_first = (int64_t)take_u64(reader);
        outcome.error = error_of_kafka((int16_t)take_u16(reader));
        outcome.node_id_taken = source->version >= 2 ? (int32_t)take_u32(reader) : -1;
        image_outcome_remember(image, &id, &outcome);
    }
    return read_failure(reader);
}

/* Ids of nodes are given, also where version 1 did not say so. */
static enum error know_node_ids(struct image *image)
{
    if (image->nodes.count == 0)
        return ERROR_NONE;
    int32_t last = image_node_at(image, image->nodes.count - 1)->id;
    if (last == INT32_MAX)
        return ERROR_MALFORMED;
    if (last >= image->node_id_next)
        image_node_id_set(image, last + 1);
    return ERROR_NONE;
}

static enum error read_image(struct source *source, struct image *image)
{
    struct bytes_reader *reader = &source->reader;
    if (take_u32(reader) != SNAPSHOT_MAGIC)
        return ERROR_MALFORMED;
    source->version = take_u8(reader);
    if (source->version == 0 || source->version > SNAPSHOT_VERSION)
        return ERROR_UNSUPPORTED_VERSION;
    image->applied_index = (int64_t)take_u64(reader);
    image->applied_term = (int32_t)take_u32(reader);
    struct uuid cluster_id = take_uuid(reader);
    image_cluster_set(image, &cluster_id);
    int64_t producer_id_next = (int64_t)take_u64(reader);
    if (reader->failed || image->applied_index < 0 || producer_id_next < 0)
        return ERROR_MALFORMED;
    image_producer_id_set(image, producer_id_next);
    if (source->version >= 2) {
        int32_t node_id_next = (int32_t)take_u32(reader);
        if (reader->failed || node_id_next < 0)
            return ERROR_MALFORMED;
        image_node_id_set(image, node_id_next);
    }
    enum error error = read_nodes(source, image);
    if (error == ERROR_NONE)
        error = read_features(reader, image);
    if (error == ERROR_NONE)
        error = read_configs(reader, image);
    if (error == ERROR_NONE)
        error = read_topics(source, image);
    if (error == ERROR_NONE)
        error = read_outcomes(source, image);
    if (error != ERROR_NONE)
        return error;
    uint64_t hash = take_u64(reader);
    if (reader->failed || reader->at != reader->end || hash != image->hash)
        return ERROR_MALFORMED;
    return know_node_ids(image);
}

/* ---- replacing the image ---- */

/* Configurations of `from` that `other` does not hold, or holds otherwise unless only `missing`. */
static void notify_configs(struct catalog *catalog, const struct image *from,
                           const struct image *other, bool missing)
{
    for (uint32_t i = 0; i < from->configs.count; i++) {
        const struct resource_entry *entry = image_config_at(from, i);
        struct slice name = slice_from(entry->name, entry->name_size);
        const struct config_set *was = image_config_find(other, entry->resource, name);
        if (was == NULL || (!missing && !config_set_equals(entry->config, was)))
            notify_config_changed(catalog, entry->resource, name);
    }
}

static void notify_topics(struct catalog *catalog, const struct image *old)
{
    for (uint32_t i = 0; i < old->topics.count; i++) {
        const struct topic_entry *entry = image_topic_at(old, i);
        if (image_topic_find_id(catalog->image, &entry->topic.id) == NULL)
            notify_topic_deleted(catalog, entry);
    }
    for (uint32_t i = 0; i < catalog->image->topics.count; i++) {
        const struct topic_entry *entry = image_topic_at(catalog->image, i);
        const struct topic_entry *was = image_topic_find_id(old, &entry->topic.id);
        notify_topic_changed(catalog, entry);
        if (was != NULL && !config_set_equals(was->config, entry->config))
            notify_config_changed(catalog, CATALOG_RESOURCE_TOPIC, slice_of(entry->name));
    }
}

enum error catalog_restore(struct catalog *catalog, const uint8_t *bytes, size_t size)
{
    if (size < sizeof(uint32_t) ||
        crc32c(0, bytes, size - sizeof(uint32_t)) != load_be32(bytes + size - sizeof(uint32_t)))
        return ERROR_MALFORMED;
    struct image *image;
    enum error error = image_new(&image);
    if (error != ERROR_NONE)
        return error;
    struct source source = {.reader = {.at = bytes, .end = bytes + size - sizeof(uint32_t)}};
    error = read_image(&source, image);
    if (error != ERROR_NONE) {
        image_free(image);
        return error;
    }
    struct image *old = catalog->image;
    catalog->image = image;
    notify_nodes_changed(catalog);
    notify_configs(catalog, image, old, false);
    notify_configs(catalog, old, image, true);
    notify_topics(catalog, old);
    notify_applied(catalog);
    image_free(old);
    return ERROR_NONE;
}
