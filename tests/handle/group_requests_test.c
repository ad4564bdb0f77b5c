/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of groups: what each version says and is told. What groups do is tests/group's. */
#include "handle/broker_fixture.h"

#include "group/group.h"
#include "wire/api_delete_groups.h"
#include "wire/api_describe_groups.h"
#include "wire/api_find_coordinator.h"
#include "wire/api_heartbeat.h"
#include "wire/api_join_group.h"
#include "wire/api_leave_group.h"
#include "wire/api_list_groups.h"
#include "wire/api_offset_commit.h"
#include "wire/api_offset_delete.h"
#include "wire/api_offset_fetch.h"
#include "wire/api_sync_group.h"

#include <cmocka.h>
#include <stdio.h>

enum { MEMBER_ID_BYTES = 128 };

static bool coordinates(void *context)
{
    struct broker_fixture *f = context;
    return group_coordinator_check(f->broker.groups, slice_of("g")) == ERROR_NONE;
}

/* This node coordinates every group; topic "orders" has two partitions. */
static void coordinator(struct broker_fixture *f)
{
    fixture_set(f, "offsets.topic.num.partitions", "1");
    fixture_topic(f, "orders", 2);
    assert_true(simulated_executor_run_until(f->executor, coordinates, f, 10000));
}

static const void *answer_of(struct broker_fixture *f, struct exchange *exchange)
{
    exchange->request.requester.client_id = slice_of("client");
    exchange->request.requester.client_host = slice_of("/127.0.0.1");
    exchange_start(f, exchange);
    simulated_executor_run_for(f->executor, 20);
    return exchange_answer(exchange);
}

/* Joins alone with the consumer's subscription to orders; the id that was given, or the error. */
static int16_t join(struct broker_fixture *f, int16_t version, const char *member,
                    char ret_member[MEMBER_ID_BYTES])
{
    static const char subscription[] = "\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff";
    struct exchange exchange;
    struct join_group_request *body = exchange_begin(f, &exchange, API_JOIN_GROUP, version);
    struct join_group_request_protocol protocol = {
        slice_of("range"), slice_from(subscription, sizeof subscription - 1)};
    body->group_id = slice_of("g");
    body->session_timeout_ms = 10000;
    body->rebalance_timeout_ms = 10000;
    body->member_id = slice_of(member);
    body->protocol_type = slice_of("consumer");
    body->protocols = &protocol;
    body->protocols_count = 1;
    const struct join_group_response *answer = answer_of(f, &exchange);
    snprintf(ret_member, MEMBER_ID_BYTES, "%.*s", SLICE_PRINT(answer->member_id));
    int16_t error = answer->error_code;
    if (error == 0) {
        assert_int_equal(answer->members_count, 1);
        assert_slice(answer->leader, ret_member);
        assert_slice(answer->protocol_name, "range");
    }
    exchange_done(&exchange);
    return error;
}

static int16_t sync_alone(struct broker_fixture *f, const char *member, int32_t generation)
{
    struct exchange exchange;
    struct sync_group_request *body = exchange_begin(f, &exchange, API_SYNC_GROUP, 5);
    struct sync_group_request_assignment assignment = {slice_of(member), slice_of("all")};
    body->group_id = slice_of("g");
    body->generation_id = generation;
    body->member_id = slice_of(member);
    body->protocol_type = slice_of("consumer");
    body->protocol_name = slice_of("range");
    body->assignments = &assignment;
    body->assignments_count = 1;
    const struct sync_group_response *answer = answer_of(f, &exchange);
    int16_t error = answer->error_code;
    if (error == 0)
        assert_slice(answer->assignment, "all");
    exchange_done(&exchange);
    return error;
}

/* "g" is stable with one member. */
static void stable(struct broker_fixture *f, char member[MEMBER_ID_BYTES])
{
    coordinator(f);
    assert_kafka_error(join(f, 3, "", member), ERROR_NONE);
    assert_kafka_error(sync_alone(f, member, 1), ERROR_NONE);
}

/* Up to version 3 a member joins at once; from 4 on it is given an id first (KIP-394). */
static void a_new_member_is_given_an_id_first(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    char again[MEMBER_ID_BYTES];
    coordinator(f);
    assert_kafka_error(join(f, 9, "", member), ERROR_MEMBER_ID_REQUIRED);
    assert_true(member[0] != '\0');
    assert_kafka_error(join(f, 9, member, again), ERROR_NONE);
    assert_string_equal(member, again);
    assert_kafka_error(join(f, 9, "nobody", again), ERROR_UNKNOWN_MEMBER_ID);
}

/* Heartbeat, and SyncGroup, of who is there and who is not. */
static void members_are_known_by_id_and_generation(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    stable(f, member);
    const struct {
        const char *member;
        int32_t generation;
        enum error error;
    } beats[] = {{member, 1, ERROR_NONE},
                 {member, 2, ERROR_ILLEGAL_GENERATION},
                 {"nobody", 1, ERROR_UNKNOWN_MEMBER_ID}};
    for (size_t i = 0; i < 3; i++) {
        struct exchange exchange;
        struct heartbeat_request *body = exchange_begin(f, &exchange, API_HEARTBEAT, 4);
        body->group_id = slice_of("g");
        body->generation_id = beats[i].generation;
        body->member_id = slice_of(beats[i].member);
        const struct heartbeat_response *answer = answer_of(f, &exchange);
        assert_kafka_error(answer->error_code, beats[i].error);
        exchange_done(&exchange);
        assert_kafka_error(sync_alone(f, beats[i].member, beats[i].generation), beats[i].error);
    }
}

/* Several leave in one request, each with its own answer (KIP-345); before version 3 one. */
static void members_leave_each_with_an_answer(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    struct exchange exchange;
    stable(f, member);
    struct leave_group_request *body = exchange_begin(f, &exchange, API_LEAVE_GROUP, 5);
    struct leave_group_request_member_identity leaving[2];
    for (int i = 0; i < 2; i++) {
        leave_group_request_member_identity_init(&leaving[i]);
        leaving[i].member_id = slice_of(i == 0 ? "nobody" : member);
    }
    body->group_id = slice_of("g");
    body->members = leaving;
    body->members_count = 2;
    const struct leave_group_response *answer = answer_of(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_kafka_error(answer->members[0].error_code, ERROR_UNKNOWN_MEMBER_ID);
    assert_kafka_error(answer->members[1].error_code, ERROR_NONE);
    exchange_done(&exchange);
    body = exchange_begin(f, &exchange, API_LEAVE_GROUP, 2);
    body->group_id = slice_of("g");
    body->member_id = slice_of(member);
    answer = answer_of(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_UNKNOWN_MEMBER_ID);
    exchange_done(&exchange);
}

/* ---- offsets ---- */

static int16_t commit_one(struct broker_fixture *f, int16_t version, const char *topic,
                          struct uuid id, int32_t partition, struct slice metadata)
{
    struct exchange exchange;
    struct offset_commit_request *body = exchange_begin(f, &exchange, API_OFFSET_COMMIT, version);
    struct offset_commit_request_partition asked = {partition, 7, -1, metadata};
    struct offset_commit_request_topic asked_topic = {slice_of(topic), id, &asked, 1};
    body->group_id = slice_of("g");
    body->generation_id_or_member_epoch = -1;
    body->member_id = SLICE_EMPTY;
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct offset_commit_response *answer = answer_of(f, &exchange);
    assert_int_equal(answer->topics[0].partitions[0].partition_index, partition);
    int16_t error = answer->topics[0].partitions[0].error_code;
    exchange_done(&exchange);
    return error;
}

/* Every version commits; what is not there, or says too much, is refused by itself. */
static void offsets_are_committed_in_every_version(void **state)
{
    struct broker_fixture *f = *state;
    static char note[4097];
    struct uuid nobody = uuid_random(f->broker.executor);
    coordinator(f);
    struct uuid id = catalog_topic_find(f->broker.catalog, slice_of("orders"))->id;
    for (int16_t version = 2; version <= 10; version++)
        assert_kafka_error(commit_one(f, version, "orders", id, 1, SLICE_NULL), ERROR_NONE);
    assert_kafka_error(commit_one(f, 9, "missing", id, 0, SLICE_NULL),
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_kafka_error(commit_one(f, 10, "", nobody, 0, SLICE_NULL), ERROR_UNKNOWN_TOPIC_ID);
    assert_kafka_error(commit_one(f, 9, "orders", id, 2, SLICE_NULL),
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_kafka_error(commit_one(f, 9, "orders", id, -1, SLICE_NULL),
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_kafka_error(commit_one(f, 9, "orders", id, 0, slice_from(note, sizeof note)),
                       ERROR_OFFSET_METADATA_TOO_LARGE);
}

/* The older shape, one group; named partitions, and all of them with null. */
static void offsets_of_one_group_are_fetched(void **state)
{
    struct broker_fixture *f = *state;
    coordinator(f);
    assert_kafka_error(commit_one(f, 8, "orders", (struct uuid){{0}}, 1, slice_of("note")),
                       ERROR_NONE);
    for (int16_t version = 1; version <= 7; version++) {
        struct exchange exchange;
        struct offset_fetch_request *body = exchange_begin(f, &exchange, API_OFFSET_FETCH, version);
        int32_t partitions[] = {0, 1};
        struct offset_fetch_request_topic topic = {slice_of("orders"), partitions, 2};
        body->group_id = slice_of("g");
        body->topics = &topic;
        body->topics_count = 1;
        const struct offset_fetch_response *answer = answer_of(f, &exchange);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_int_equal(answer->topics[0].partitions[0].committed_offset, -1);
        assert_int_equal(answer->topics[0].partitions[1].committed_offset, 7);
        assert_slice(answer->topics[0].partitions[1].metadata, "note");
        exchange_done(&exchange);
        if (version < 2)
            continue;
        body = exchange_begin(f, &exchange, API_OFFSET_FETCH, version);
        body->group_id = slice_of("g");
        body->topics = NULL;
        answer = answer_of(f, &exchange);
        assert_int_equal(answer->topics_count, 1);
        assert_int_equal(answer->topics[0].partitions_count, 1);
        assert_int_equal(answer->topics[0].partitions[0].partition_index, 1);
        exchange_done(&exchange);
    }
}

/* From version 8 several groups, from 10 topics by id. */
static void offsets_of_several_groups_are_fetched(void **state)
{
    struct broker_fixture *f = *state;
    coordinator(f);
    struct uuid id = catalog_topic_find(f->broker.catalog, slice_of("orders"))->id;
    assert_kafka_error(commit_one(f, 8, "orders", id, 0, SLICE_NULL), ERROR_NONE);
    for (int16_t version = 8; version <= 10; version++) {
        struct exchange exchange;
        struct offset_fetch_request *body = exchange_begin(f, &exchange, API_OFFSET_FETCH, version);
        int32_t partition = 0;
        struct offset_fetch_request_topics topics[] = {
            {slice_of("orders"), id, &partition, 1},
            {slice_of("missing"), uuid_random(f->broker.executor), &partition, 1}};
        struct offset_fetch_request_group groups[2];
        for (int i = 0; i < 2; i++) {
            offset_fetch_request_group_init(&groups[i]);
            groups[i].group_id = slice_of(i == 0 ? "g" : "other");
            groups[i].topics = topics;
            groups[i].topics_count = 2;
        }
        body->groups = groups;
        body->groups_count = 2;
        const struct offset_fetch_response *answer = answer_of(f, &exchange);
        assert_int_equal(answer->groups_count, 2);
        const struct offset_fetch_response_topics *got = answer->groups[0].topics;
        assert_int_equal(got[0].partitions[0].committed_offset, 7);
        assert_int_equal(got[1].partitions[0].committed_offset, -1);
        assert_kafka_error(got[1].partitions[0].error_code,
                           version >= 10 ? ERROR_UNKNOWN_TOPIC_ID : ERROR_NONE);
        assert_int_equal(answer->groups[1].topics[0].partitions[0].committed_offset, -1);
        assert_kafka_error(answer->groups[1].error_code, ERROR_NONE);
        exchange_done(&exchange);
    }
}

static int16_t delete_offset(struct broker_fixture *f, const char *group, int16_t *ret_partition)
{
    struct exchange exchange;
    struct offset_delete_request *body = exchange_begin(f, &exchange, API_OFFSET_DELETE, 0);
    struct offset_delete_request_partition partition = {0};
    struct offset_delete_request_topic topic = {slice_of("orders"), &partition, 1};
    body->group_id = slice_of(group);
    body->topics = &topic;
    body->topics_count = 1;
    const struct offset_delete_response *answer = answer_of(f, &exchange);
    int16_t error = answer->error_code;
    *ret_partition = answer->topics_count == 0 ? 0 : answer->topics[0].partitions[0].error_code;
    exchange_done(&exchange);
    return error;
}

/* Offsets go, but not those of a topic that a member reads, and not of a group nobody knows. */
static void offsets_are_deleted_unless_they_are_needed(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    int16_t partition;
    stable(f, member);
    assert_kafka_error(delete_offset(f, "other", &partition), ERROR_GROUP_ID_NOT_FOUND);
    assert_kafka_error(delete_offset(f, "g", &partition), ERROR_NONE);
    assert_kafka_error(partition, ERROR_GROUP_SUBSCRIBED_TO_TOPIC);
}

/* ---- groups ---- */

/* A group nobody knows is Dead without an error up to version 5, GROUP_ID_NOT_FOUND from 6 on. */
static void groups_are_described(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    stable(f, member);
    for (int16_t version = 0; version <= 6; version++) {
        struct exchange exchange;
        struct slice names[] = {slice_of("g"), slice_of("other")};
        struct describe_groups_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_GROUPS, version);
        body->groups = names;
        body->groups_count = 2;
        const struct describe_groups_response *answer = answer_of(f, &exchange);
        assert_slice(answer->groups[0].group_state, "Stable");
        assert_slice(answer->groups[0].protocol_type, "consumer");
        assert_slice(answer->groups[0].protocol_data, "range");
        assert_int_equal(answer->groups[0].members_count, 1);
        assert_slice(answer->groups[0].members[0].member_id, member);
        assert_slice(answer->groups[0].members[0].client_id, "client");
        assert_slice(answer->groups[0].members[0].client_host, "/127.0.0.1");
        assert_slice(answer->groups[0].members[0].member_assignment, "all");
        assert_slice(answer->groups[1].group_state, "Dead");
        assert_kafka_error(answer->groups[1].error_code,
                           version >= 6 ? ERROR_GROUP_ID_NOT_FOUND : ERROR_NONE);
        exchange_done(&exchange);
    }
}

static uint32_t count_groups(struct broker_fixture *f, const char *with_state,
                             const char *with_type)
{
    struct exchange exchange;
    struct slice wanted_state = slice_of(with_state);
    struct slice wanted_type = slice_of(with_type);
    struct list_groups_request *body = exchange_begin(f, &exchange, API_LIST_GROUPS, 5);
    body->states_filter = &wanted_state;
    body->states_filter_count = with_state != NULL;
    body->types_filter = &wanted_type;
    body->types_filter_count = with_type != NULL;
    const struct list_groups_response *answer = answer_of(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    uint32_t count = answer->groups_count;
    exchange_done(&exchange);
    return count;
}

/* By state and by type, in whatever case. */
static void groups_are_listed_by_state_and_type(void **state)
{
    struct broker_fixture *f = *state;
    char member[MEMBER_ID_BYTES];
    stable(f, member);
    assert_int_equal(count_groups(f, NULL, NULL), 1);
    assert_int_equal(count_groups(f, "stable", NULL), 1);
    assert_int_equal(count_groups(f, "Empty", NULL), 0);
    assert_int_equal(count_groups(f, NULL, "CLASSIC"), 1);
    assert_int_equal(count_groups(f, NULL, "consumer"), 0);
    assert_int_equal(count_groups(f, "Stable", "share"), 0);
}

/* Each of several has its answer; a group with members stays. */
static void only_empty_groups_are_deleted(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    coordinator(f);
    assert_kafka_error(commit_one(f, 8, "orders", (struct uuid){{0}}, 0, SLICE_NULL), ERROR_NONE);
    struct slice names[] = {slice_of("g"), slice_of("other")};
    for (int round = 0; round < 2; round++) {
        struct delete_groups_request *body = exchange_begin(f, &exchange, API_DELETE_GROUPS, 2);
        body->groups_names = names;
        body->groups_names_count = 2;
        const struct delete_groups_response *answer = answer_of(f, &exchange);
        assert_slice(answer->results[0].group_id, "g");
        assert_kafka_error(answer->results[0].error_code,
                           round == 0 ? ERROR_NONE : ERROR_NON_EMPTY_GROUP);
        assert_kafka_error(answer->results[1].error_code, ERROR_GROUP_ID_NOT_FOUND);
        exchange_done(&exchange);
        char member[MEMBER_ID_BYTES];
        if (round == 0)
            assert_kafka_error(join(f, 3, "", member), ERROR_NONE);
    }
}

/* Of groups, one or several at once; of transactions there is none, which is final. */
static void coordinators_are_found(void **state)
{
    struct broker_fixture *f = *state;
    coordinator(f);
    for (int16_t version = 0; version <= 6; version++) {
        for (int8_t type = 0; type <= (version == 0 ? 0 : 2); type++) {
            struct exchange exchange;
            struct slice keys[] = {slice_of("g"), slice_of("other")};
            struct find_coordinator_request *body =
                exchange_begin(f, &exchange, API_FIND_COORDINATOR, version);
            body->key = keys[0];
            body->key_type = type;
            body->coordinator_keys = keys;
            body->coordinator_keys_count = 2;
            const struct find_coordinator_response *answer = answer_of(f, &exchange);
            enum error expected = type == 0   ? ERROR_NONE
                                  : type == 1 ? ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                              : ERROR_INVALID_REQUEST;
            int32_t node = type == 0 ? 1 : -1;
            if (version < 4) {
                assert_kafka_error(answer->error_code, expected);
                assert_int_equal(answer->node_id, node);
            }
            for (uint32_t i = 0; version >= 4 && i < 2; i++) {
                assert_true(slice_equals(answer->coordinators[i].key, keys[i]));
                assert_kafka_error(answer->coordinators[i].error_code, expected);
                assert_int_equal(answer->coordinators[i].node_id, node);
            }
            exchange_done(&exchange);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_new_member_is_given_an_id_first),
        WITH_BROKER(members_are_known_by_id_and_generation),
        WITH_BROKER(members_leave_each_with_an_answer),
        WITH_BROKER(offsets_are_committed_in_every_version),
        WITH_BROKER(offsets_of_one_group_are_fetched),
        WITH_BROKER(offsets_of_several_groups_are_fetched),
        WITH_BROKER(offsets_are_deleted_unless_they_are_needed),
        WITH_BROKER(groups_are_described),
        WITH_BROKER(groups_are_listed_by_state_and_type),
        WITH_BROKER(only_empty_groups_are_deleted),
        WITH_BROKER(coordinators_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
