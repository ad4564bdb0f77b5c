/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: which topics are told of, which are made, and where this node says it is. */
#include "handle/broker_fixture.h"
#include "wire/api_create_topics.h"
#include "wire/api_metadata.h"

#include <cmocka.h>
#include <stdio.h>

struct asking {
    struct exchange exchange;
    struct metadata_request *body;
    struct metadata_request_topic topics[200];
    const struct metadata_response *answer;
};

static void asking_begin(struct broker_fixture *f, struct asking *asking, int16_t version)
{
    *asking = (struct asking){.answer = NULL};
    asking->body = exchange_begin(f, &asking->exchange, API_METADATA, version);
    asking->body->topics = asking->topics;
}

static void ask_name(struct asking *asking, const char *name)
{
    asking->topics[asking->body->topics_count++].name = slice_of(name);
}

static void ask_id(struct asking *asking, struct uuid id)
{
    asking->topics[asking->body->topics_count++] =
        (struct metadata_request_topic){.topic_id = id, .name = SLICE_NULL};
}

static const struct metadata_response *asking_run(struct broker_fixture *f, struct asking *asking)
{
    asking->answer = exchange_run(f, &asking->exchange);
    return asking->answer;
}

static void asking_done(struct asking *asking)
{
    exchange_done(&asking->exchange);
}

/* null is all topics, an empty list none; in version 0 an empty list is all. */
static void null_is_all_topics_and_empty_none(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a", 2);
    fixture_topic(f, "b", 1);
    for (int16_t version = 0; version <= 13; version++) {
        struct asking asking;
        asking_begin(f, &asking, version);
        asking_run(f, &asking);
        assert_int_equal(asking.answer->topics_count, version == 0 ? 2 : 0);
        asking_done(&asking);
        if (version == 0)
            continue;
        asking_begin(f, &asking, version);
        asking.body->topics = NULL;
        asking_run(f, &asking);
        assert_int_equal(asking.answer->topics_count, 2);
        assert_slice(asking.answer->topics[0].name, "a");
        assert_int_equal(asking.answer->topics[0].partitions_count, 2);
        assert_slice(asking.answer->topics[1].name, "b");
        asking_done(&asking);
    }
}

/* This node's address is that of the listener asked; the cluster and its controller have names. */
static void the_node_is_where_it_was_asked(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    fixture_add_node(f, 2);
    asking_begin(f, &asking, 12);
    asking_run(f, &asking);
    assert_int_equal(asking.answer->brokers_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct metadata_response_broker *node = &asking.answer->brokers[i];
        assert_slice(node->host, node->node_id == 1 ? "127.0.0.1" : "node2");
        assert_int_equal(node->port, node->node_id == 1 ? 19092 : 9092);
        assert_true(slice_is_null(node->rack));
    }
    char text[UUID_TEXT_BYTES];
    struct uuid cluster = catalog_cluster_id(f->broker.catalog);
    uuid_to_text(&cluster, text);
    assert_slice(asking.answer->cluster_id, text);
    assert_int_equal(asking.answer->controller_id, 1);
    asking_done(&asking);
}

/* Each partition with its leader, epoch, replicas and in-sync replicas. */
static void partitions_are_told_with_their_replicas(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    fixture_topic(f, "orders", 3);
    asking_begin(f, &asking, 12);
    ask_name(&asking, "orders");
    asking_run(f, &asking);
    const struct metadata_response_topic *topic = &asking.answer->topics[0];
    assert_kafka_error(topic->error_code, ERROR_NONE);
    assert_false(topic->is_internal);
    for (int32_t i = 0; i < 3; i++) {
        const struct metadata_response_partition *partition = &topic->partitions[i];
        assert_kafka_error(partition->error_code, ERROR_NONE);
        assert_int_equal(partition->partition_index, i);
        assert_int_equal(partition->leader_id, 1);
        assert_true(partition->leader_epoch >= 0);
        assert_int_equal(partition->replica_nodes_count, 1);
        assert_int_equal(partition->replica_nodes[0], 1);
        assert_int_equal(partition->isr_nodes_count, 1);
        assert_int_equal(partition->isr_nodes[0], 1);
        assert_int_equal(partition->offline_replicas_count, 0);
    }
    asking_done(&asking);
}

/* Of one partition with replicas on the nodes 1 and 2. */
static void replicated_topic(struct broker_fixture *f)
{
    struct exchange exchange;
    fixture_add_node(f, 2);
    struct create_topics_request *body = exchange_begin(f, &exchange, API_CREATE_TOPICS, 7);
    struct create_topics_request_creatable_topic topic;
    int32_t nodes[] = {1, 2};
    struct create_topics_request_creatable_replica_assignment assignment = {0, nodes, 2};
    create_topics_request_creatable_topic_init(&topic);
    topic.name = slice_of("replicated");
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.assignments = &assignment;
    topic.assignments_count = 1;
    body->topics = &topic;
    body->topics_count = 1;
    const struct create_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    exchange_done(&exchange);
}

/* A node that is not heard of is not told of, and its replicas are offline. */
static void replicas_of_a_fenced_node_are_offline(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    replicated_topic(f);
    fixture_fence(f, 2, true);
    asking_begin(f, &asking, 12);
    ask_name(&asking, "replicated");
    asking_run(f, &asking);
    assert_int_equal(asking.answer->brokers_count, 1);
    const struct metadata_response_partition *partition = asking.answer->topics[0].partitions;
    assert_int_equal(partition->replica_nodes_count, 2);
    assert_int_equal(partition->isr_nodes_count, 1);
    assert_int_equal(partition->isr_nodes[0], 1);
    assert_int_equal(partition->offline_replicas_count, 1);
    assert_int_equal(partition->offline_replicas[0], 2);
    asking_done(&asking);
}

/* By id (KIP-516): the name comes with it; an id nobody has is UNKNOWN_TOPIC_ID without a name. */
static void topics_are_found_by_id(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    struct uuid id = fixture_topic(f, "orders", 1)->id;
    struct uuid nobody = uuid_random(f->broker.executor);
    asking_begin(f, &asking, 12);
    ask_id(&asking, id);
    ask_id(&asking, nobody);
    asking_run(f, &asking);
    assert_slice(asking.answer->topics[0].name, "orders");
    assert_true(uuid_equals(&asking.answer->topics[0].topic_id, &id));
    assert_kafka_error(asking.answer->topics[1].error_code, ERROR_UNKNOWN_TOPIC_ID);
    assert_true(slice_is_null(asking.answer->topics[1].name));
    assert_true(uuid_equals(&asking.answer->topics[1].topic_id, &nobody));
    assert_int_equal(asking.answer->topics[1].partitions_count, 0);
    asking_done(&asking);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 1);
}

/* Ids are told from version 10 on. */
static void ids_are_told_with_names(void **state)
{
    struct broker_fixture *f = *state;
    struct uuid id = fixture_topic(f, "orders", 1)->id;
    for (int16_t version = 9; version <= 11; version++) {
        struct asking asking;
        asking_begin(f, &asking, version);
        ask_name(&asking, "orders");
        asking_run(f, &asking);
        assert_int_equal(uuid_equals(&asking.answer->topics[0].topic_id, &id), version >= 10);
        asking_done(&asking);
    }
}

/* Asking for a topic makes it, and the answer has it already; before version 4 always. */
static void an_unknown_topic_is_made(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    fixture_set(f, "num.partitions", "3");
    asking_begin(f, &asking, 12);
    ask_name(&asking, "new");
    asking_run(f, &asking);
    assert_kafka_error(asking.answer->topics[0].error_code, ERROR_NONE);
    assert_int_equal(asking.answer->topics[0].partitions_count, 3);
    asking_done(&asking);
    asking_begin(f, &asking, 3);
    ask_name(&asking, "old");
    asking_run(f, &asking);
    assert_kafka_error(asking.answer->topics[0].error_code, ERROR_NONE);
    asking_done(&asking);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 2);
}

static void not_made(struct broker_fixture *f, const char *name, bool allow, enum error expected)
{
    struct asking asking;
    asking_begin(f, &asking, 12);
    asking.body->allow_auto_topic_creation = allow;
    ask_name(&asking, name);
    asking_run(f, &asking);
    assert_kafka_error(asking.answer->topics[0].error_code, expected);
    assert_slice(asking.answer->topics[0].name, name);
    assert_int_equal(asking.answer->topics[0].partitions_count, 0);
    asking_done(&asking);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 0);
}

/* Not when the client, the node, or the name says no. */
static void a_topic_is_not_made_when_anyone_objects(void **state)
{
    struct broker_fixture *f = *state;
    not_made(f, "new", false, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    not_made(f, "a/b", true, ERROR_INVALID_TOPIC);
    not_made(f, "", true, ERROR_INVALID_TOPIC);
    not_made(f, "..", true, ERROR_INVALID_TOPIC);
    fixture_set(f, "auto.create.topics.enable", "false");
    not_made(f, "new", true, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    not_made(f, "__consumer_offsets", true, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* No quorum to make it: said as unknown, and the client asks again. */
static void a_topic_that_cannot_be_made_is_unknown(void **state)
{
    struct broker_fixture *f = *state;
    f->proposer_error = ERROR_NOT_CONTROLLER;
    not_made(f, "new", true, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* One request makes a hundred topics at most: the others are unknown (no flood of topics). */
static void one_request_makes_a_hundred_topics_at_most(void **state)
{
    struct broker_fixture *f = *state;
    static struct asking asking;
    static char names[101][8];
    uint32_t unknown = 0;
    asking_begin(f, &asking, 12);
    for (int i = 0; i < 101; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        ask_name(&asking, names[i]);
    }
    asking_run(f, &asking);
    assert_int_equal(asking.answer->topics_count, 101);
    for (int i = 0; i < 101; i++)
        unknown +=
            asking.answer->topics[i].error_code == error_to_kafka(ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(unknown, 1);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 100);
    asking_done(&asking);
}

/* The offsets topic is made as such, and is internal. */
static void the_offsets_topic_is_made_with_its_own_settings(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    fixture_set(f, "offsets.topic.num.partitions", "7");
    asking_begin(f, &asking, 12);
    ask_name(&asking, "__consumer_offsets");
    asking_run(f, &asking);
    asking_done(&asking);
    simulated_executor_run_until_idle(f->executor);
    asking_begin(f, &asking, 12);
    ask_name(&asking, "__consumer_offsets");
    asking_run(f, &asking);
    assert_kafka_error(asking.answer->topics[0].error_code, ERROR_NONE);
    assert_int_equal(asking.answer->topics[0].partitions_count, 7);
    assert_true(asking.answer->topics[0].is_internal);
    asking_done(&asking);
}

/* Authorized operations are "not known" unless somebody asks; nobody is authorized here, so then as
 * well. */
static void authorized_operations_are_not_known(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    for (int16_t version = 8; version <= 12; version++) {
        struct asking asking;
        asking_begin(f, &asking, version);
        ask_name(&asking, "orders");
        asking_run(f, &asking);
        assert_int_equal(asking.answer->topics[0].topic_authorized_operations, INT32_MIN);
        assert_int_equal(asking.answer->cluster_authorized_operations, INT32_MIN);
        asking_done(&asking);
    }
}

/* The same topic twice: answered twice, made once. */
static void a_topic_asked_twice_is_made_once(void **state)
{
    struct broker_fixture *f = *state;
    struct asking asking;
    asking_begin(f, &asking, 12);
    ask_name(&asking, "new");
    ask_name(&asking, "new");
    asking_run(f, &asking);
    assert_int_equal(asking.answer->topics_count, 2);
    for (int i = 0; i < 2; i++)
        assert_kafka_error(asking.answer->topics[i].error_code, ERROR_NONE);
    asking_done(&asking);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(null_is_all_topics_and_empty_none),
        WITH_BROKER(the_node_is_where_it_was_asked),
        WITH_BROKER(partitions_are_told_with_their_replicas),
        WITH_BROKER(replicas_of_a_fenced_node_are_offline),
        WITH_BROKER(topics_are_found_by_id),
        WITH_BROKER(ids_are_told_with_names),
        WITH_BROKER(an_unknown_topic_is_made),
        WITH_BROKER(a_topic_is_not_made_when_anyone_objects),
        WITH_BROKER(a_topic_that_cannot_be_made_is_unknown),
        WITH_BROKER(one_request_makes_a_hundred_topics_at_most),
        WITH_BROKER(the_offsets_topic_is_made_with_its_own_settings),
        WITH_BROKER(authorized_operations_are_not_known),
        WITH_BROKER(a_topic_asked_twice_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
