/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about leaders, replicas and nodes, with every allocation refused. */
#include "handle/memory_sweep.h"
#include "wire/api_alter_partition_reassignments.h"
#include "wire/api_describe_quorum.h"
#include "wire/api_elect_leaders.h"
#include "wire/api_list_partition_reassignments.h"
#include "wire/api_unregister_broker.h"
#include "wire/api_update_features.h"

#include <cmocka.h>

static void orders(struct broker_fixture *f)
{
    (void)fixture_replicated_topic(f, "orders");
    fixture_fence(f, 1, true);
    fixture_fence(f, 1, false);
}

static void fill_elect(struct broker_fixture *f, struct arena *arena, void *body)
{
    static int32_t partitions[] = {0, 1, 5};
    struct elect_leaders_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topic_partitions = arena_allocate_array(arena, 1, sizeof *request->topic_partitions);
    request->topic_partitions_count = 1;
    request->topic_partitions[0] =
        (struct elect_leaders_request_topic_partitions){slice_of("orders"), partitions, 3};
}

static void fill_elect_all(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct elect_leaders_request *request = body;
    (void)f;
    (void)arena;
    request->timeout_ms = 1000;
    request->topic_partitions = NULL;
}

static int16_t elect_error(const void *answer)
{
    const struct elect_leaders_response *response = answer;
    return response->error_code;
}

static void elections_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_ELECT_LEADERS,
                                  .version = 2,
                                  .prepare = orders,
                                  .fill = fill_elect,
                                  .error = elect_error});
    sweep_handler(&(struct swept){.key = API_ELECT_LEADERS,
                                  .version = 2,
                                  .prepare = orders,
                                  .fill = fill_elect_all,
                                  .error = elect_error});
}

static void fill_reassign(struct broker_fixture *f, struct arena *arena, void *body)
{
    static int32_t targets[2][2] = {{2, 3}, {3, 1}};
    struct alter_partition_reassignments_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topics = arena_allocate_array(arena, 1, sizeof *request->topics);
    request->topics_count = 1;
    request->topics[0].name = slice_of("orders");
    request->topics[0].partitions =
        arena_allocate_array(arena, 2, sizeof *request->topics[0].partitions);
    request->topics[0].partitions_count = 2;
    for (int32_t i = 0; i < 2; i++)
        request->topics[0].partitions[i] =
            (struct alter_partition_reassignments_request_reassignable_partition){i, targets[i], 2};
}

static int16_t reassign_error(const void *answer)
{
    const struct alter_partition_reassignments_response *response = answer;
    int16_t first = response->responses[0].partitions[0].error_code;
    return first != 0 ? first : response->responses[0].partitions[1].error_code;
}

static void reassignments_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_ALTER_PARTITION_REASSIGNMENTS,
                                  .version = 1,
                                  .prepare = orders,
                                  .fill = fill_reassign,
                                  .error = reassign_error});
}

static void moving(struct broker_fixture *f)
{
    const struct catalog_assignment target = {.replicas = {1, 2, 3, 4}, .replica_count = 4};
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = fixture_replicated_topic(f, "orders")->id,
                                      .assignments = &target,
                                      .assignment_count = 1};
    fixture_add_node(f, 4);
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

static void fill_list(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct list_partition_reassignments_request *request = body;
    (void)f;
    (void)arena;
    request->topics = NULL;
}

static int16_t list_error(const void *answer)
{
    const struct list_partition_reassignments_response *response = answer;
    return response->error_code;
}

static void listings_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LIST_PARTITION_REASSIGNMENTS,
                                  .version = 0,
                                  .prepare = moving,
                                  .fill = fill_list,
                                  .error = list_error});
}

static void fill_unregister(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct unregister_broker_request *request = body;
    (void)f;
    (void)arena;
    request->broker_id = 2;
}

static int16_t unregister_error(const void *answer)
{
    const struct unregister_broker_response *response = answer;
    return response->error_code;
}

static void unregistrations_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_UNREGISTER_BROKER,
                                  .version = 0,
                                  .prepare = orders,
                                  .fill = fill_unregister,
                                  .error = unregister_error});
}

static void fill_features(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct update_features_request *request = body;
    (void)f;
    request->feature_updates = arena_allocate_array(arena, 1, sizeof *request->feature_updates);
    request->feature_updates_count = 1;
    update_features_request_feature_update_key_init(&request->feature_updates[0]);
    request->feature_updates[0].feature = slice_of("metadata.version");
    request->feature_updates[0].max_version_level = 30;
}

static int16_t features_error(const void *answer)
{
    return ((const struct update_features_response *)answer)->error_code;
}

static void feature_updates_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){
        .key = API_UPDATE_FEATURES, .version = 1, .fill = fill_features, .error = features_error});
}

static void fill_quorum(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct describe_quorum_request *request = body;
    (void)f;
    request->topics = arena_allocate_array(arena, 1, sizeof *request->topics);
    request->topics_count = 1;
    request->topics[0].topic_name = slice_of("__cluster_metadata");
    request->topics[0].partitions =
        arena_allocate_array(arena, 1, sizeof *request->topics[0].partitions);
    request->topics[0].partitions_count = 1;
}

static int16_t quorum_error(const void *answer)
{
    return ((const struct describe_quorum_response *)answer)->topics[0].partitions[0].error_code;
}

static void quorum_descriptions_survive(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){
        .key = API_DESCRIBE_QUORUM, .version = 2, .fill = fill_quorum, .error = quorum_error});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elections_survive),       cmocka_unit_test(reassignments_survive),
        cmocka_unit_test(listings_survive),        cmocka_unit_test(unregistrations_survive),
        cmocka_unit_test(feature_updates_survive), cmocka_unit_test(quorum_descriptions_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
