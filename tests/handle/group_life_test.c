/* SPDX-License-Identifier: Apache-2.0 */
/* Groups kept in __consumer_offsets: committed, deleted, expired, and read back by a coordinator
 * that knows nothing but the log. */
#include "broker_fixture.h"

#include "group/group.h"

#include <cmocka.h>

static void commit_done(struct group_commit *commit)
{
    commit->write = NULL;
}

/* Commits one offset of orders-0 as a consumer without membership; what that offset came to. */
static enum error commit(struct broker_fixture *f, const char *group, int64_t offset,
                         struct slice metadata)
{
    struct group_offset one = {
        .topic = slice_of("orders"), .offset = offset, .leader_epoch = -1, .metadata = metadata};
    struct group_commit request = {.group_id = slice_of(group),
                                   .member_id = SLICE_EMPTY,
                                   .generation_id = -1,
                                   .offsets = &one,
                                   .offset_count = 1,
                                   .done = commit_done};
    group_commit_start(f->broker.groups, &request);
    simulated_executor_run_until_idle(f->executor);
    return one.error;
}

static bool coordinates(void *context)
{
    struct broker_fixture *f = context;
    return group_coordinator_check(f->broker.groups, slice_of("g")) == ERROR_NONE;
}

static void wait_for_coordinator(struct broker_fixture *f)
{
    assert_true(simulated_executor_run_until(f->executor, coordinates, f, 10000));
}

/* As after a crash: everything is forgotten and read from the log again. */
static void reload(struct broker_fixture *f)
{
    const struct catalog_topic *topic =
        catalog_topic_find(f->broker.catalog, slice_of("__consumer_offsets"));
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        group_coordinator_resigned(f->broker.groups, (int32_t)i);
        group_coordinator_elected(f->broker.groups, (int32_t)i);
    }
    wait_for_coordinator(f);
}

static int64_t committed(struct broker_fixture *f, const char *group)
{
    struct group_offset found;
    assert_int_equal(
        group_offset_find(f->broker.groups, slice_of(group), slice_of("orders"), 0, &found),
        ERROR_NONE);
    return found.offset;
}

/* A member that joins at once and is alone; its id and generation. */
static void join_done(struct group_join *join)
{
    join->waiting_member = NULL;
}

static struct group_join join_alone(struct broker_fixture *f, struct arena *arena)
{
    static const struct group_protocol protocol = {{(const uint8_t *)"range", 5},
                                                   {(const uint8_t *)"topics", 6}};
    struct group_join join = {.arena = arena,
                              .group_id = slice_of("g"),
                              .member_id = SLICE_EMPTY,
                              .client_id = slice_of("c"),
                              .client_host = slice_of("/127.0.0.1"),
                              .protocol_type = slice_of("consumer"),
                              .session_timeout_ms = 10000,
                              .rebalance_timeout_ms = 10000,
                              .protocols = &protocol,
                              .protocol_count = 1,
                              .done = join_done};
    group_join_start(f->broker.groups, &join);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(join.error, ERROR_NONE);
    assert_int_equal(join.generation_id, 1);
    return join;
}

/* A request of which every offset is refused, for a group nobody knows, leaves nothing behind. */
static void a_commit_of_refused_offsets_leaves_no_group(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    static char note[5000];
    assert_int_equal(commit(f, "g", 3, slice_from(note, sizeof note)),
                     ERROR_OFFSET_METADATA_TOO_LARGE);
    struct group_view view;
    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view),
                     ERROR_GROUP_ID_NOT_FOUND);
}

/* Kafka keeps whatever number a client commits, also one that is no offset. */
static void a_negative_offset_is_kept(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    assert_int_equal(commit(f, "g", 5, SLICE_EMPTY), ERROR_NONE);
    assert_int_equal(commit(f, "g", -7, SLICE_EMPTY), ERROR_NONE);
    assert_int_equal(committed(f, "g"), -7);
    assert_int_equal(commit(f, "g", INT64_MIN, SLICE_EMPTY), ERROR_NONE);
    reload(f);
    assert_int_equal(committed(f, "g"), INT64_MIN);
}

/* What was acknowledged is read back. */
static void committed_offsets_are_read_back(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    assert_int_equal(commit(f, "g", 3, SLICE_EMPTY), ERROR_NONE);
    assert_int_equal(commit(f, "g", 5, SLICE_EMPTY), ERROR_NONE);

    reload(f);

    assert_int_equal(committed(f, "g"), 5);
}

static void delete_done(struct group_delete *deletion)
{
    deletion->write = NULL;
}

/* A deleted group that had members stays deleted when it is read back. */
static void a_deleted_group_does_not_come_back(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct group_join join = join_alone(f, &arena);
    assert_int_equal(
        group_leave(f->broker.groups, slice_of("g"), join.joined_member_id, SLICE_NULL),
        ERROR_NONE);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(commit(f, "g", 5, SLICE_EMPTY), ERROR_NONE);
    struct group_delete deletion = {.group_id = slice_of("g"), .done = delete_done};
    group_delete_start(f->broker.groups, &deletion);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(deletion.error, ERROR_NONE);

    reload(f);

    struct group_view view;
    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view),
                     ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(committed(f, "g"), -1);
    arena_done(&arena);
}

/* An empty group without offsets ends with the next check, here and in the log. */
static void an_empty_group_without_offsets_ends(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct group_join join = join_alone(f, &arena);
    assert_int_equal(
        group_leave(f->broker.groups, slice_of("g"), join.joined_member_id, SLICE_NULL),
        ERROR_NONE);
    struct group_view view;
    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view), ERROR_NONE);
    assert_string_equal(view.state, "Empty");

    simulated_executor_run_for(f->executor, 700000);

    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view),
                     ERROR_GROUP_ID_NOT_FOUND);
    reload(f);
    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view),
                     ERROR_GROUP_ID_NOT_FOUND);
    arena_done(&arena);
}

/* A member that is not heard of loses its place; offsets of the empty group expire after their
 * time, not before. */
static void a_silent_member_goes_and_offsets_expire_later(void **state)
{
    struct broker_fixture *f = *state;
    wait_for_coordinator(f);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    (void)join_alone(f, &arena);
    simulated_executor_run_for(f->executor, 25000);
    struct group_view view;
    assert_int_equal(group_describe(f->broker.groups, slice_of("g"), &view), ERROR_NONE);
    assert_string_equal(view.state, "Empty");
    assert_int_equal(commit(f, "g", 5, SLICE_EMPTY), ERROR_NONE);

    simulated_executor_run_for(f->executor, 604000000);
    assert_int_equal(committed(f, "g"), 5);
    simulated_executor_run_for(f->executor, 2000000);
    assert_int_equal(committed(f, "g"), -1);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_commit_of_refused_offsets_leaves_no_group),
        WITH_BROKER(a_negative_offset_is_kept),
        WITH_BROKER(committed_offsets_are_read_back),
        WITH_BROKER(a_deleted_group_does_not_come_back),
        WITH_BROKER(an_empty_group_without_offsets_ends),
        WITH_BROKER(a_silent_member_goes_and_offsets_expire_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
