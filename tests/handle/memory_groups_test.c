/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out while groups are served. */
#include "group/group.h"
#include "handle/memory_sweep.h"
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

static bool coordinates(void *context)
{
    struct broker_fixture *f = context;
    return group_coordinator_check(f->broker.groups, slice_of("g")) == ERROR_NONE;
}

/* This node coordinates the group "g", which nobody knows yet. */
static void coordinator(struct broker_fixture *f)
{
    fixture_set(f, "offsets.topic.num.partitions", "1");
    fixture_topic(f, "orders", 2);
    assert_true(simulated_executor_run_until(f->executor, coordinates, f, 10000));
}

static void take_id(void *context, const struct group_member_view *member)
{
    *(struct slice *)context = member->member_id;
}

/* The one member's id, as the group has it now. */
static struct slice member_id(struct broker_fixture *f, struct arena *arena)
{
    struct slice id = SLICE_EMPTY;
    group_member_each(f->broker.groups, slice_of("g"), take_id, &id);
    return arena_copy(arena, id);
}

static void send(struct broker_fixture *f, enum api_key key, int16_t version,
                 void (*fill)(struct broker_fixture *f, struct arena *arena, void *body))
{
    struct exchange exchange;
    void *body = exchange_begin(f, &exchange, (int16_t)key, version);
    fill(f, &exchange.arena, body);
    exchange.request.requester.client_id = slice_of("client");
    exchange.request.requester.client_host = slice_of("/127.0.0.1");
    exchange_start(f, &exchange);
    simulated_executor_run_for(f->executor, 10);
    assert_int_equal(exchange.done, 1);
    exchange_answer(&exchange);
    exchange_done(&exchange);
}

/* ---- membership ---- */

static void fill_join(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct join_group_request *join = body;
    (void)f;
    join->group_id = slice_of("g");
    join->session_timeout_ms = 10000;
    join->rebalance_timeout_ms = 10000;
    join->member_id = SLICE_EMPTY;
    join->protocol_type = slice_of("consumer");
    join->protocols_count = 1;
    join->protocols = arena_allocate(arena, sizeof *join->protocols);
    join->protocols[0].name = slice_of("range");
    join->protocols[0].metadata = slice_of("topics");
}

static int16_t join_error(const void *answer)
{
    const struct join_group_response *response = answer;
    return response->error_code;
}

static void join_group_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_JOIN_GROUP,
                                  .version = 3,
                                  .prepare = coordinator,
                                  .fill = fill_join,
                                  .error = join_error});
}

/* "g" has one member, who leads and has not said who gets what. */
static void joined(struct broker_fixture *f)
{
    coordinator(f);
    send(f, API_JOIN_GROUP, 3, fill_join);
}

static void fill_sync(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct sync_group_request *sync = body;
    sync->group_id = slice_of("g");
    sync->generation_id = 1;
    sync->member_id = member_id(f, arena);
    sync->assignments_count = 1;
    sync->assignments = arena_allocate(arena, sizeof *sync->assignments);
    sync->assignments[0].member_id = sync->member_id;
    sync->assignments[0].assignment = slice_of("orders-0");
}

static int16_t sync_error(const void *answer)
{
    const struct sync_group_response *response = answer;
    return response->error_code;
}

static void sync_group_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_SYNC_GROUP,
                                  .version = 3,
                                  .prepare = joined,
                                  .fill = fill_sync,
                                  .error = sync_error});
}

static void fill_commit(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct offset_commit_request *commit = body;
    struct group_view view;
    commit->group_id = slice_of("g");
    commit->generation_id_or_member_epoch = -1;
    commit->member_id = SLICE_EMPTY;
    if (group_describe(f->broker.groups, slice_of("g"), &view) == ERROR_NONE &&
        view.member_count > 0) {
        commit->generation_id_or_member_epoch = view.generation_id;
        commit->member_id = member_id(f, arena);
    }
    commit->topics_count = 1;
    commit->topics = arena_allocate(arena, sizeof *commit->topics);
    commit->topics[0].name = slice_of("orders");
    commit->topics[0].partitions_count = 2;
    commit->topics[0].partitions =
        arena_allocate_array(arena, 2, sizeof *commit->topics[0].partitions);
    for (int32_t i = 0; i < 2; i++) {
        commit->topics[0].partitions[i].partition_index = i;
        commit->topics[0].partitions[i].committed_offset = 5 + i;
        commit->topics[0].partitions[i].committed_metadata = slice_of("note");
    }
}

/* "g" is stable, with one member and two offsets. */
static void stable(struct broker_fixture *f)
{
    joined(f);
    send(f, API_SYNC_GROUP, 3, fill_sync);
    send(f, API_OFFSET_COMMIT, 8, fill_commit);
}

/* "g" is empty, with two offsets. */
static void committed(struct broker_fixture *f)
{
    coordinator(f);
    send(f, API_OFFSET_COMMIT, 8, fill_commit);
}

static void fill_heartbeat(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct heartbeat_request *heartbeat = body;
    heartbeat->group_id = slice_of("g");
    heartbeat->generation_id = 1;
    heartbeat->member_id = member_id(f, arena);
}

static int16_t heartbeat_error(const void *answer)
{
    const struct heartbeat_response *response = answer;
    return response->error_code;
}

static void heartbeat_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_HEARTBEAT,
                                  .version = 3,
                                  .prepare = stable,
                                  .fill = fill_heartbeat,
                                  .error = heartbeat_error});
}

static void fill_leave(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct leave_group_request *leave = body;
    leave->group_id = slice_of("g");
    leave->members_count = 1;
    leave->members = arena_allocate(arena, sizeof *leave->members);
    leave->members[0].member_id = member_id(f, arena);
}

static int16_t leave_error(const void *answer)
{
    const struct leave_group_response *response = answer;
    return response->error_code != 0 ? response->error_code : response->members[0].error_code;
}

static void leave_group_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LEAVE_GROUP,
                                  .version = 4,
                                  .prepare = stable,
                                  .fill = fill_leave,
                                  .error = leave_error});
}

/* ---- offsets ---- */

static int16_t commit_error(const void *answer)
{
    const struct offset_commit_response *response = answer;
    return response->topics[0].partitions[0].error_code != 0
               ? response->topics[0].partitions[0].error_code
               : response->topics[0].partitions[1].error_code;
}

static void offset_commit_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_OFFSET_COMMIT,
                                  .version = 8,
                                  .prepare = coordinator,
                                  .fill = fill_commit,
                                  .error = commit_error});
}

static void fill_offset_fetch(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct offset_fetch_request *fetch = body;
    (void)f;
    fetch->groups_count = 1;
    fetch->groups = arena_allocate(arena, sizeof *fetch->groups);
    offset_fetch_request_group_init(&fetch->groups[0]);
    fetch->groups[0].group_id = slice_of("g");
    fetch->groups[0].topics = NULL;
}

static int16_t offset_fetch_error(const void *answer)
{
    const struct offset_fetch_response *response = answer;
    return response->groups[0].error_code;
}

/* All offsets of the group. */
static void offset_fetch_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_OFFSET_FETCH,
                                  .version = 9,
                                  .prepare = committed,
                                  .fill = fill_offset_fetch,
                                  .error = offset_fetch_error});
}

static void fill_offset_fetch_named(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct offset_fetch_request *fetch = body;
    (void)f;
    fetch->group_id = slice_of("g");
    fetch->topics_count = 1;
    fetch->topics = arena_allocate(arena, sizeof *fetch->topics);
    fetch->topics[0].name = slice_of("orders");
    fetch->topics[0].partition_indexes_count = 1;
    fetch->topics[0].partition_indexes = arena_allocate(arena, sizeof(int32_t));
}

static int16_t offset_fetch_named_error(const void *answer)
{
    const struct offset_fetch_response *response = answer;
    return response->error_code;
}

/* Named partitions, by the older form. */
static void an_offset_fetch_by_name_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_OFFSET_FETCH,
                                  .version = 7,
                                  .prepare = committed,
                                  .fill = fill_offset_fetch_named,
                                  .error = offset_fetch_named_error});
}

static void fill_offset_delete(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct offset_delete_request *request = body;
    (void)f;
    request->group_id = slice_of("g");
    request->topics_count = 1;
    request->topics = arena_allocate(arena, sizeof *request->topics);
    request->topics[0].name = slice_of("orders");
    request->topics[0].partitions_count = 1;
    request->topics[0].partitions = arena_allocate(arena, sizeof *request->topics[0].partitions);
}

static int16_t offset_delete_error(const void *answer)
{
    const struct offset_delete_response *response = answer;
    return response->error_code != 0 ? response->error_code
                                     : response->topics[0].partitions[0].error_code;
}

static void offset_delete_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_OFFSET_DELETE,
                                  .version = 0,
                                  .prepare = committed,
                                  .fill = fill_offset_delete,
                                  .error = offset_delete_error});
}

/* ---- the groups themselves ---- */

static struct slice *one_name(struct arena *arena)
{
    struct slice *name = arena_allocate(arena, sizeof *name);
    *name = slice_of("g");
    return name;
}

static void fill_describe(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct describe_groups_request *request = body;
    (void)f;
    request->groups = one_name(arena);
    request->groups_count = 1;
}

static int16_t describe_error(const void *answer)
{
    const struct describe_groups_response *response = answer;
    return response->groups[0].error_code;
}

static void describe_groups_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_GROUPS,
                                  .version = 5,
                                  .prepare = stable,
                                  .fill = fill_describe,
                                  .error = describe_error});
}

static void fill_list(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    (void)body;
}

static int16_t list_error(const void *answer)
{
    const struct list_groups_response *response = answer;
    return response->error_code;
}

static void list_groups_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LIST_GROUPS,
                                  .version = 5,
                                  .prepare = stable,
                                  .fill = fill_list,
                                  .error = list_error});
}

static void fill_delete(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct delete_groups_request *request = body;
    (void)f;
    request->groups_names = one_name(arena);
    request->groups_names_count = 1;
}

static int16_t delete_error(const void *answer)
{
    const struct delete_groups_response *response = answer;
    return response->results[0].error_code;
}

static void delete_groups_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DELETE_GROUPS,
                                  .version = 2,
                                  .prepare = committed,
                                  .fill = fill_delete,
                                  .error = delete_error});
}

static void fill_find(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct find_coordinator_request *request = body;
    (void)f;
    request->coordinator_keys = one_name(arena);
    request->coordinator_keys_count = 1;
}

static int16_t find_error(const void *answer)
{
    const struct find_coordinator_response *response = answer;
    return response->coordinators[0].error_code;
}

static void find_coordinator_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_FIND_COORDINATOR,
                                  .version = 4,
                                  .prepare = coordinator,
                                  .fill = fill_find,
                                  .error = find_error});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_group_survives),
        cmocka_unit_test(sync_group_survives),
        cmocka_unit_test(heartbeat_survives),
        cmocka_unit_test(leave_group_survives),
        cmocka_unit_test(offset_commit_survives),
        cmocka_unit_test(offset_fetch_survives),
        cmocka_unit_test(an_offset_fetch_by_name_survives),
        cmocka_unit_test(offset_delete_survives),
        cmocka_unit_test(describe_groups_survives),
        cmocka_unit_test(list_groups_survives),
        cmocka_unit_test(delete_groups_survives),
        cmocka_unit_test(find_coordinator_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
