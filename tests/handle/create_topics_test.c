/* SPDX-License-Identifier: Apache-2.0 */
/* CreateTopics as Kafka's ReplicationControlManager answers it. */
#include "handle/broker_fixture.h"
#include "handle/topic_creation.h"
#include "wire/api_create_topics.h"

#include <cmocka.h>

struct asked {
    const char *name;
    int32_t partitions;
    int16_t factor;
};

static struct create_topics_request *begin(struct broker_fixture *f, struct exchange *exchange,
                                           int16_t version, const struct asked *asked,
                                           uint32_t count)
{
    struct create_topics_request *body = exchange_begin(f, exchange, API_CREATE_TOPICS, version);
    body->topics = arena_allocate_array(&exchange->arena, count, sizeof *body->topics);
    body->topics_count = count;
    for (uint32_t i = 0; i < count; i++) {
        create_topics_request_creatable_topic_init(&body->topics[i]);
        body->topics[i].name = slice_of(asked[i].name);
        body->topics[i].num_partitions = asked[i].partitions;
        body->topics[i].replication_factor = asked[i].factor;
    }
    return body;
}

static void add_config(struct exchange *exchange, struct create_topics_request *body,
                       const char *key, const char *value)
{
    struct create_topics_request_creatable_topic *topic = &body->topics[0];
    struct create_topics_request_creatable_topic_config *configs =
        arena_allocate_array(&exchange->arena, topic->configs_count + 1, sizeof *configs);
    if (topic->configs_count > 0)
        memcpy(configs, topic->configs, topic->configs_count * sizeof *configs);
    configs[topic->configs_count++] =
        (struct create_topics_request_creatable_topic_config){slice_of(key), slice_of(value)};
    topic->configs = configs;
}

static void add_assignment(struct exchange *exchange, struct create_topics_request *body,
                           int32_t index, int32_t node)
{
    struct create_topics_request_creatable_topic *topic = &body->topics[0];
    struct create_topics_request_creatable_replica_assignment *assignments =
        arena_allocate_array(&exchange->arena, topic->assignments_count + 1, sizeof *assignments);
    if (topic->assignments_count > 0)
        memcpy(assignments, topic->assignments, topic->assignments_count * sizeof *assignments);
    int32_t *ids = arena_allocate(&exchange->arena, sizeof *ids);
    *ids = node;
    assignments[topic->assignments_count++] =
        (struct create_topics_request_creatable_replica_assignment){index, ids, 1};
    topic->assignments = assignments;
}

/* What one topic's answer says. */
static void assert_refused(struct broker_fixture *f, const struct asked *asked, enum error expected)
{
    struct exchange exchange;
    begin(f, &exchange, 7, asked, 1);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_kafka_error(answer->topics[0].error_code, expected);
    assert_non_null(answer->topics[0].error_message.data);
    assert_slice(answer->topics[0].name, asked->name);
    exchange_done(&exchange);
}

/* A topic is made: the catalog has it, the node its partitions, the client its id. */
static void a_topic_is_made_and_described(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct create_topics_request *body = begin(f, &exchange, 7, &(struct asked){"orders", 3, 1}, 1);
    add_config(&exchange, body, "retention.ms", "60000");
    const struct create_topics_response *answer = exchange_run(f, &exchange);

    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    const struct create_topics_response_creatable_topic_result *made = &answer->topics[0];
    assert_kafka_error(made->error_code, ERROR_NONE);
    assert_true(slice_is_null(made->error_message));
    assert_true(uuid_equals(&made->topic_id, &topic->id));
    assert_int_equal(made->num_partitions, 3);
    assert_int_equal(made->replication_factor, 1);
    bool seen = false;
    for (uint32_t i = 0; i < made->configs_count; i++) {
        if (!slice_equals_text(made->configs[i].name, "retention.ms"))
            continue;
        seen = true;
        assert_slice(made->configs[i].value, "60000");
        assert_int_equal(made->configs[i].config_source, CONFIG_SOURCE_TOPIC);
    }
    assert_true(seen);
    assert_string_equal(config_set_get(topic->config, "retention.ms"), "60000");
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 2);
    assert_non_null(partition);
    assert_int_equal(partition_config(partition)->log.retention_ms, 60000);
    exchange_done(&exchange);
}

/* -1 and -1 are the node's defaults. */
static void defaults_are_the_nodes(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_set(f, "num.partitions", "4");
    begin(f, &exchange, 4, &(struct asked){"orders", -1, -1}, 1);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    assert_int_equal(topic->partition_count, 4);
    exchange_done(&exchange);
}

/* A factor of -1 is the configured one, which needs as many nodes; internal topics take what there
 * is. */
static void a_default_factor_needs_its_nodes(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_set(f, "default.replication.factor", "3");
    assert_refused(f, &(struct asked){"orders", 1, -1}, ERROR_INVALID_REPLICATION_FACTOR);
    (void)offsets_topic_partitions(&f->broker, true);
    simulated_executor_run_until_idle(f->executor);
    const struct catalog_topic *offsets =
        catalog_topic_find(f->broker.catalog, slice_of("__consumer_offsets"));
    struct catalog_partition partition;
    assert_true(catalog_partition_find(f->broker.catalog, offsets, 0, &partition));
    assert_int_equal(partition.replica_count, 1);
    fixture_add_node(f, 2);
    fixture_add_node(f, 3);
    begin(f, &exchange, 7, &(struct asked){"orders", 7, -1}, 1);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    assert_int_equal(answer->topics[0].replication_factor, 3);
    exchange_done(&exchange);
}

/* Everything is checked, nothing is made. */
static void validation_makes_nothing(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct create_topics_request *body = begin(f, &exchange, 7, &(struct asked){"orders", 2, 1}, 1);
    add_config(&exchange, body, "cleanup.policy", "compact");
    body->validate_only = true;
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    assert_int_equal(answer->topics[0].num_partitions, 2);
    assert_true(answer->topics[0].configs_count > 10);
    assert_null(catalog_topic_find(f->broker.catalog, slice_of("orders")));
    exchange_done(&exchange);
}

/* Each mistake has Kafka's answer. */
static void mistakes_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a.b", 1);
    assert_refused(f, &(struct asked){"", 1, 1}, ERROR_INVALID_TOPIC);
    assert_refused(f, &(struct asked){"..", 1, 1}, ERROR_INVALID_TOPIC);
    assert_refused(f, &(struct asked){"a b", 1, 1}, ERROR_INVALID_TOPIC);
    assert_refused(f, &(struct asked){"a.b", 1, 1}, ERROR_TOPIC_ALREADY_EXISTS);
    assert_refused(f, &(struct asked){"a_b", 1, 1}, ERROR_INVALID_TOPIC);
    assert_refused(f, &(struct asked){"c", 0, 1}, ERROR_INVALID_PARTITIONS);
    assert_refused(f, &(struct asked){"c", -2, 1}, ERROR_INVALID_PARTITIONS);
    assert_refused(f, &(struct asked){"c", 10001, 1}, ERROR_INVALID_PARTITIONS);
    assert_refused(f, &(struct asked){"c", 1, 0}, ERROR_INVALID_REPLICATION_FACTOR);
    assert_refused(f, &(struct asked){"c", 1, -2}, ERROR_INVALID_REPLICATION_FACTOR);
    assert_refused(f, &(struct asked){"c", 1, 2}, ERROR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 1);
}

/* Topics of the node's own, and names that would keep it from making them, are not for clients. */
static void internal_topics_are_refused(void **state)
{
    static const char *const names[] = {"__consumer_offsets",  "__consumer.offsets",
                                        "__transaction_state", "__share_group_state",
                                        "__cluster_metadata",  "..cluster.metadata"};
    struct broker_fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_refused(f, &(struct asked){names[i], 1, 1}, ERROR_INVALID_REQUEST);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 0);
    assert_int_equal(offsets_topic_partitions(&f->broker, true), 0);
    simulated_executor_run_until_idle(f->executor);
    assert_int_not_equal(offsets_topic_partitions(&f->broker, false), 0);
    fixture_topic(f, "__strange", 1); /* Only these are taken. */
}

/* A configuration that cannot be is refused before anything is proposed. */
static void bad_configuration_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    static const char *const bad[][2] = {{"retention.mss", "1"},
                                         {"retention.ms", "-2"},
                                         {"retention.ms", NULL},
                                         {"cleanup.policy", "drop"},
                                         {"remote.storage.enable", "true"},
                                         {"max.compaction.lag.ms", "1"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct exchange exchange;
        struct create_topics_request *body =
            begin(f, &exchange, 7, &(struct asked){"orders", 1, 1}, 1);
        add_config(&exchange, body, "min.compaction.lag.ms", "2");
        add_config(&exchange, body, bad[i][0], bad[i][1]);
        const struct create_topics_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->topics[0].error_code, ERROR_INVALID_CONFIG);
        exchange_done(&exchange);
    }
    assert_int_equal(catalog_topic_count(f->broker.catalog), 0);
}

/* A name twice in one request: neither is made, the third is. */
static void a_name_twice_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    const struct asked asked[] = {{"twice", 1, 1}, {"once", 1, 1}, {"twice", 2, 1}};
    begin(f, &exchange, 7, asked, 3);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 3);
    assert_kafka_error(answer->topics[0].error_code, ERROR_INVALID_REQUEST);
    assert_kafka_error(answer->topics[1].error_code, ERROR_NONE);
    assert_kafka_error(answer->topics[2].error_code, ERROR_INVALID_REQUEST);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 1);
    exchange_done(&exchange);
}

/* Replicas given by hand, partition by partition. */
static void assignments_are_taken(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_add_node(f, 2);
    struct create_topics_request *body =
        begin(f, &exchange, 7, &(struct asked){"orders", -1, -1}, 1);
    add_assignment(&exchange, body, 1, 1);
    add_assignment(&exchange, body, 0, 2);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    struct catalog_partition partition;
    assert_true(catalog_partition_find(f->broker.catalog, topic, 0, &partition));
    assert_int_equal(partition.leader, 2);
    assert_true(catalog_partition_find(f->broker.catalog, topic, 1, &partition));
    assert_int_equal(partition.leader, 1);
    exchange_done(&exchange);
}

/* Mistakes in them: gaps, repeats, strangers, and counts beside them. */
static void bad_assignments_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    static const int32_t bad[][4] = {{0, 1, 2, 1}, {0, 1, 0, 1}, {0, 1, 1, 9}, {-1, 1, 0, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct create_topics_request *body =
            begin(f, &exchange, 7, &(struct asked){"orders", -1, -1}, 1);
        add_assignment(&exchange, body, bad[i][0], bad[i][1]);
        add_assignment(&exchange, body, bad[i][2], bad[i][3]);
        const struct create_topics_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->topics[0].error_code, ERROR_INVALID_REPLICA_ASSIGNMENT);
        exchange_done(&exchange);
    }
    struct create_topics_request *body =
        begin(f, &exchange, 7, &(struct asked){"orders", 1, -1}, 1);
    add_assignment(&exchange, body, 0, 1);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);
}

/* Above topicfs.partitions.max nothing is made, whatever of it is on its way; internal topics are.
 */
static void the_quota_of_partitions_holds(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_set(f, "topicfs.partitions.max", "5");
    const struct asked asked[] = {{"first", 3, 1}, {"second", 3, 1}};
    begin(f, &exchange, 7, asked, 2);
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    assert_kafka_error(answer->topics[1].error_code, ERROR_POLICY_VIOLATION);
    assert_non_null(memmem(answer->topics[1].error_message.data,
                           answer->topics[1].error_message.size, "topicfs.partitions.max=5", 24));
    exchange_done(&exchange);
    begin(f, &exchange, 7, &(struct asked){"third", 2, 1}, 1);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    exchange_done(&exchange);
    struct create_topics_request *body = begin(f, &exchange, 7, &(struct asked){"hand", -1, -1}, 1);
    add_assignment(&exchange, body, 0, 1);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_POLICY_VIOLATION);
    exchange_done(&exchange);
    assert_int_equal(offsets_topic_partitions(&f->broker, true), 0);
    simulated_executor_run_until_idle(f->executor);
    assert_true(offsets_topic_partitions(&f->broker, false) > 0);
    assert_int_equal(f->broker.partitions_pending, 0);
    fixture_set(f, "topicfs.partitions.max", "-1");
    begin(f, &exchange, 7, &(struct asked){"more", 100, 1}, 1);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    exchange_done(&exchange);
}

/* When the quorum does not take it, the client hears so. */
static void a_refused_proposal_is_told(void **state)
{
    struct broker_fixture *f = *state;
    f->proposer_error = ERROR_NOT_CONTROLLER;
    assert_refused(f, &(struct asked){"orders", 1, 1}, ERROR_NOT_CONTROLLER);
    f->proposer_error = ERROR_DISK_FULL;
    assert_refused(f, &(struct asked){"orders", 1, 1}, ERROR_STORAGE);
}

/* Every version has an answer, also to an empty request. */
static void every_version_is_answered(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 2; version <= 7; version++) {
        struct exchange exchange;
        begin(f, &exchange, version, NULL, 0);
        const struct create_topics_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->topics_count, 0);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_topic_is_made_and_described),
        WITH_BROKER(defaults_are_the_nodes),
        WITH_BROKER(a_default_factor_needs_its_nodes),
        WITH_BROKER(validation_makes_nothing),
        WITH_BROKER(mistakes_are_refused),
        WITH_BROKER(internal_topics_are_refused),
        WITH_BROKER(bad_configuration_is_refused),
        WITH_BROKER(a_name_twice_is_refused),
        WITH_BROKER(assignments_are_taken),
        WITH_BROKER(bad_assignments_are_refused),
        WITH_BROKER(the_quota_of_partitions_holds),
        WITH_BROKER(a_refused_proposal_is_told),
        WITH_BROKER(every_version_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
