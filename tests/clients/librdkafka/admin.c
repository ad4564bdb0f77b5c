/* SPDX-License-Identifier: Apache-2.0 */
/* Administration through librdkafka: topics, partitions, configurations, records, groups, offsets.
 */
#include "suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rd_kafka_resp_err_t create_error(rd_kafka_t *client, rd_kafka_queue_t *queue,
                                        const char *topic, int partitions, int replication)
{
    char why[256];
    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(topic, partitions, replication, why, sizeof(why));
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t error;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "create topics");
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    error = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(wanted);
    return error;
}

static void topics_are_checked(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                               const char *topic)
{
    check(suite, create_error(client, queue, topic, 2, 1) == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
          "a topic that exists is refused");
    check(suite,
          create_error(client, queue, "not/a/name", 1, 1) == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
          "a name that is no topic name is refused");
    check(suite,
          create_error(client, queue, name_of(suite, "three-copies"), 1, 3) ==
              RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
          "more copies than nodes are refused");
}

static rd_kafka_resp_err_t grow_error(rd_kafka_t *client, rd_kafka_queue_t *queue,
                                      const char *topic, size_t partitions)
{
    char why[256];
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(topic, partitions, why, sizeof(why));
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t error;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_CreatePartitions(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "create partitions");
    results = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event),
                                                      &count);
    error = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(wanted);
    return error;
}

/* Copies the value of a topic's configuration entry; empty where there is none. */
static void config_get(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic,
                       const char *key, char *ret_value, size_t size)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **resources;
    const rd_kafka_ConfigEntry_t **entries;
    rd_kafka_event_t *event;
    size_t count, entry_count = 0;

    ret_value[0] = '\0';
    rd_kafka_DescribeConfigs(client, &asked, 1, NULL, queue);
    event = admin_result(queue, "describe configs");
    resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count != 1 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("describe configs of %s", topic);
    entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), key) == 0 &&
            rd_kafka_ConfigEntry_value(entries[i]) != NULL)
            snprintf(ret_value, size, "%s", rd_kafka_ConfigEntry_value(entries[i]));
    }
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(asked);
}

static rd_kafka_resp_err_t config_set(rd_kafka_t *client, rd_kafka_queue_t *queue,
                                      const char *topic, const char *key, const char *value)
{
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **resources;
    rd_kafka_resp_err_t error;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_ConfigResource_set_config(wanted, key, value);
    rd_kafka_AlterConfigs(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "alter configs");
    resources =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    error = count == 1 ? rd_kafka_ConfigResource_error(resources[0]) : RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(wanted);
    return error;
}

static void configs_change(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                           const char *topic)
{
    char value[64];

    config_get(client, queue, topic, "segment.bytes", value, sizeof(value));
    check(suite, strcmp(value, "1073741824") == 0, "segment.bytes has Kafka's default (%s)", value);
    check(suite,
          config_set(client, queue, topic, "retention.ms", "123456789") ==
              RD_KAFKA_RESP_ERR_NO_ERROR,
          "retention.ms is set");
    config_get(client, queue, topic, "retention.ms", value, sizeof(value));
    check(suite, strcmp(value, "123456789") == 0, "and reads back as it was set (%s)", value);
    check(suite,
          config_set(client, queue, topic, "retention.ms", "soon") ==
              RD_KAFKA_RESP_ERR_INVALID_CONFIG,
          "a value that is no number is refused");
    config_get(client, queue, topic, "retention.ms", value, sizeof(value));
    check(suite, strcmp(value, "123456789") == 0, "and leaves what was there (%s)", value);
}

static void records_are_deleted(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                                const char *topic)
{
    rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_list_t *results;
    rd_kafka_DeleteRecords_t *wanted;
    rd_kafka_event_t *event;
    int64_t low = -1, high = -1;

    rd_kafka_topic_partition_list_add(before, topic, 0)->offset = 40;
    wanted = rd_kafka_DeleteRecords_new(before);
    rd_kafka_DeleteRecords(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "delete records");
    results = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    check(suite,
          results->cnt == 1 && results->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
              results->elems[0].offset == 40,
          "records before 40 are deleted");
    rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, 10000);
    check(suite, low == 40 && high == 100, "and the log starts at 40 (%" PRId64 ", %" PRId64 ")",
          low, high);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(before);
}

static bool group_is_listed(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *group)
{
    const rd_kafka_ConsumerGroupListing_t **listings;
    rd_kafka_event_t *event;
    bool found = false;
    size_t count;

    rd_kafka_ListConsumerGroups(client, NULL, queue);
    event = admin_result(queue, "list groups");
    listings = rd_kafka_ListConsumerGroups_result_valid(
        rd_kafka_event_ListConsumerGroups_result(event), &count);
    for (size_t i = 0; i < count; i++)
        found = found || strcmp(rd_kafka_ConsumerGroupListing_group_id(listings[i]), group) == 0;
    rd_kafka_event_destroy(event);
    return found;
}

static rd_kafka_consumer_group_state_t group_state(rd_kafka_t *client, rd_kafka_queue_t *queue,
                                                   const char *group)
{
    const rd_kafka_ConsumerGroupDescription_t **groups;
    rd_kafka_consumer_group_state_t state = RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_DescribeConsumerGroups(client, &group, 1, NULL, queue);
    event = admin_result(queue, "describe groups");
    groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    if (count == 1)
        state = rd_kafka_ConsumerGroupDescription_state(groups[0]);
    rd_kafka_event_destroy(event);
    return state;
}

/* Sets a group's offset of partition 0 by an admin request and reads it back. */
static void group_offset_changes(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                                 const char *group, const char *topic, int64_t offset)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_AlterConsumerGroupOffsets_t *wanted;
    rd_kafka_ListConsumerGroupOffsets_t *asked;
    const rd_kafka_group_result_t **results;
    const rd_kafka_topic_partition_list_t *listed;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = offset;
    wanted = rd_kafka_AlterConsumerGroupOffsets_new(group, offsets);
    rd_kafka_AlterConsumerGroupOffsets(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "alter group offsets");
    rd_kafka_event_destroy(event);
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);

    asked = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_ListConsumerGroupOffsets(client, &asked, 1, NULL, queue);
    event = admin_result(queue, "list group offsets");
    results = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    listed = rd_kafka_group_result_partitions(results[0]);
    check(suite, listed->cnt == 1 && listed->elems[0].offset == offset,
          "a group's offset is set to %" PRId64 " and read back", offset);
    rd_kafka_event_destroy(event);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    rd_kafka_topic_partition_list_destroy(offsets);
}

static void group_is_deleted(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                             const char *group)
{
    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    const rd_kafka_group_result_t **results;
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_DeleteGroups(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "delete groups");
    results =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    check(suite, count == 1 && rd_kafka_group_result_error(results[0]) == NULL,
          "a group is deleted");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteGroup_destroy(wanted);
    check(suite, !group_is_listed(client, queue, group), "and is not listed any more");
}

static void topic_is_deleted(struct suite *suite, rd_kafka_t *client, rd_kafka_queue_t *queue,
                             const char *topic)
{
    rd_kafka_DeleteTopic_t *wanted = rd_kafka_DeleteTopic_new(topic);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    int64_t low, high;
    size_t count;

    rd_kafka_DeleteTopics(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "delete topics");
    results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    check(suite,
          count == 1 && rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR,
          "a topic is deleted");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopics(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "delete topics again");
    results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    check(suite,
          count == 1 &&
              rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
          "and is unknown after that");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(wanted);
    check(suite,
          rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, 3000) !=
              RD_KAFKA_RESP_ERR_NO_ERROR,
          "its partitions do not answer");
}

void test_admin(struct suite *suite)
{
    const char *const properties[] = {"allow.auto.create.topics", "false", NULL};
    rd_kafka_t *client = client_new(suite, RD_KAFKA_PRODUCER, NULL);
    rd_kafka_t *admin = client_new(
        suite, RD_KAFKA_CONSUMER,
        (const char *[]){properties[0], properties[1], "group.id", name_of(suite, "admin"), NULL});
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    const char *topic = name_of(suite, "admin"), *group = name_of(suite, "admin-group");

    topic_create(suite, client, topic, 2);
    topics_are_checked(suite, admin, queue, topic);
    check(suite, grow_error(admin, queue, topic, 4) == RD_KAFKA_RESP_ERR_NO_ERROR,
          "a topic grows to four partitions");
    check(suite, grow_error(admin, queue, topic, 3) == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
          "and does not shrink");
    configs_change(suite, admin, queue, topic);
    check(suite, produce_numbers(client, topic, 0, 0, 100) == 100, "a hundred records");
    records_are_deleted(suite, admin, queue, topic);
    group_offset_changes(suite, admin, queue, group, topic, 55);
    group_offset_changes(suite, admin, queue, group, topic, 77);
    check(suite, group_is_listed(admin, queue, group), "the group is listed");
    check(suite, group_state(admin, queue, group) == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY,
          "and described as empty");
    group_is_deleted(suite, admin, queue, group);
    rd_kafka_destroy(client);
    topic_is_deleted(suite, admin, queue, topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(admin);
    rd_kafka_destroy(admin);
}
