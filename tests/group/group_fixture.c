/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator under test, started and stopped, and its clients. */
#include "group/group_fixture.h"

#include "base/memory.h"

enum { ARENA_BYTES = 1 << 20, NEVER_MS = 2000000000 };

void assert_error(enum error got, enum error expected)
{
    if (got != expected)
        fail_msg("%s, not %s", error_name(got), error_name(expected));
}

void assert_text(struct slice got, const char *expected)
{
    if (!slice_equals_text(got, expected))
        fail_msg("'%.*s' is not '%s'", SLICE_PRINT(got), expected);
}

struct slice group_name(void)
{
    return slice_of("readers");
}

static uint32_t partition_count(void *context, bool create)
{
    struct node *node = context;
    node->creations += create && node->partition_count == 0;
    return node->partition_count;
}

void node_start(struct node *node)
{
    assert_error(
        log_directory_open(node->disk.storage, node->disk.executor, &node->directory, NULL),
        ERROR_NONE);
    struct partition_table_options table = {
        .storage = node->disk.storage,
        .executor = node->disk.executor,
        .directory = node->directory,
        .replica_lag_time_max_ms = NEVER_MS,
        .retention_check_interval_ms = NEVER_MS,
        .checkpoint_interval_ms = NEVER_MS,
    };
    assert_error(partition_table_new(&table, &node->table), ERROR_NONE);
    struct group_coordinator_options groups = {
        .executor = node->disk.executor,
        .partitions = node->table,
        .config = {.initial_rebalance_delay_ms = INITIAL_DELAY_MS,
                   .min_session_timeout_ms = 6000,
                   .max_session_timeout_ms = 1800000,
                   .offsets_retention_ms = OFFSETS_RETENTION_MS,
                   .offsets_retention_check_interval_ms = EXPIRY_CHECK_MS,
                   .commit_timeout_ms = COMMIT_TIMEOUT_MS,
                   .max_size = GROUP_MAX_SIZE,
                   .offset_metadata_max_bytes = OFFSET_METADATA_MAX_BYTES},
        .offsets_partition_count = partition_count,
        .context = node,
    };
    assert_error(group_coordinator_new(&groups, &node->coordinator), ERROR_NONE);
}

void node_lead(struct node *node)
{
    struct partition_config config = {
        .log = node->disk.config,
        .durability = PARTITION_FSYNC,
        .max_message_bytes = 1 << 20,
        .min_insync_replicas = 1,
        .compression_codec = -1,
    };
    struct uuid id = {{9}};
    struct partition *partition;
    struct partition_assignment alone = partition_assigned_alone(0, 0);
    node->partition_count = OFFSETS_PARTITIONS;
    for (int i = 0; i < OFFSETS_PARTITIONS; i++)
        assert_error(partition_table_assign(node->table, "__consumer_offsets", &id, i, &config,
                                            &alone, &partition, NULL),
                     ERROR_NONE);
    if (!log_directory_was_clean(node->directory))
        partition_table_recover(node->table);
    for (int i = 0; i < OFFSETS_PARTITIONS; i++)
        group_coordinator_elected(node->coordinator, i);
}

static bool is_loaded(void *context)
{
    const struct node *node = context;
    return !group_coordinator_loading(node->coordinator);
}

void node_load(struct node *node)
{
    assert_true(simulated_executor_run_until(node->disk.time, is_loaded, node, 10000));
}

void node_run(struct node *node, int64_t ms)
{
    simulated_executor_run_for(node->disk.time, ms);
}

void node_stop(struct node *node, bool clean)
{
    group_coordinator_stop(node->coordinator);
    simulated_executor_run_until_idle(node->disk.time);
    assert_true(group_coordinator_idle(node->coordinator));
    group_coordinator_free(node->coordinator);
    partition_table_stop(node->table);
    simulated_executor_run_until_idle(node->disk.time);
    assert_true(partition_table_idle(node->table));
    assert_int_equal(partition_table_close(node->table, clean), clean);
    if (clean)
        assert_error(log_directory_mark_clean(node->directory), ERROR_NONE);
    log_directory_close(node->directory);
}

void node_restart(struct node *node)
{
    node_stop(node, true);
    node_start(node);
    node_lead(node);
    node_load(node);
}

void node_crash(struct node *node)
{
    simulated_storage_power_off(node->disk.disk);
    group_coordinator_stop(node->coordinator);
    simulated_executor_run_until_idle(node->disk.time);
    group_coordinator_free(node->coordinator);
    partition_table_stop(node->table);
    simulated_executor_run_until_idle(node->disk.time);
    (void)partition_table_close(node->table, false);
    log_directory_close(node->directory);
    simulated_storage_crash_losing_all(node->disk.disk);
    node_start(node);
    node_lead(node);
    node_load(node);
}

int node_setup(void **state)
{
    struct node *node = memory_allocate(sizeof *node);
    assert_non_null(node);
    fixture_init(&node->disk, 7);
    node_start(node);
    node_lead(node);
    node_load(node);
    *state = node;
    return 0;
}

int node_teardown(void **state)
{
    struct node *node = *state;
    node_stop(node, true);
    fixture_done(&node->disk);
    memory_free(node);
    return 0;
}

/* ---- joining ---- */

static void join_done(struct group_join *join)
{
    container_of(join, struct joiner, join)->answers++;
}

static void add_protocol(struct joiner *joiner, const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    assert_non_null(equals);
    size_t name_size = (size_t)(equals - text);
    joiner->protocols[joiner->join.protocol_count++] =
        (struct group_protocol){.name = slice_from(text, name_size),
                                .metadata = slice_from(equals + 1, size - name_size - 1)};
}

void joiner_init(struct joiner *joiner, const char *member_id, const char *protocols)
{
    *joiner = (struct joiner){0};
    arena_init(&joiner->arena, ARENA_BYTES);
    joiner->join = (struct group_join){
        .arena = &joiner->arena,
        .group_id = group_name(),
        .member_id = slice_of(member_id),
        .client_id = slice_of("client"),
        .client_host = slice_of("/127.0.0.1"),
        .protocol_type = slice_of("consumer"),
        .session_timeout_ms = SESSION_MS,
        .rebalance_timeout_ms = REBALANCE_MS,
        .protocols = joiner->protocols,
        .done = join_done,
    };
    for (const char *at = protocols; *at != '\0';) {
        size_t size = strcspn(at, " ");
        add_protocol(joiner, at, size);
        at += size + (at[size] == ' ');
    }
}

void joiner_send(struct node *node, struct joiner *joiner)
{
    group_join_start(node->coordinator, &joiner->join);
    simulated_executor_run_until_idle(node->disk.time);
}

void joiner_done(struct joiner *joiner)
{
    arena_done(&joiner->arena);
}

/* ---- syncing ---- */

static void sync_done(struct group_sync *sync)
{
    container_of(sync, struct syncer, sync)->answers++;
}

void syncer_init(struct syncer *syncer, const struct joiner *joiner)
{
    *syncer = (struct syncer){0};
    arena_init(&syncer->arena, ARENA_BYTES);
    syncer->sync = (struct group_sync){
        .arena = &syncer->arena,
        .group_id = group_name(),
        .member_id = joiner->join.joined_member_id,
        .instance_id = joiner->join.instance_id,
        .generation_id = joiner->join.generation_id,
        .assignments = syncer->assignments,
        .done = sync_done,
    };
}

void syncer_assign(struct syncer *syncer, struct slice member_id, const char *assignment)
{
    syncer->assignments[syncer->sync.assignment_count++] =
        (struct group_assignment){.member_id = member_id, .assignment = slice_of(assignment)};
}

void syncer_send(struct node *node, struct syncer *syncer)
{
    group_sync_start(node->coordinator, &syncer->sync);
    simulated_executor_run_until_idle(node->disk.time);
}

void syncer_done(struct syncer *syncer)
{
    arena_done(&syncer->arena);
}

void become_stable(struct node *node, struct joiner *joiner)
{
    struct syncer syncer;
    joiner_send(node, joiner);
    node_run(node, INITIAL_DELAY_MS);
    assert_int_equal(joiner->answers, 1);
    assert_error(joiner->join.error, ERROR_NONE);
    syncer_init(&syncer, joiner);
    syncer_assign(&syncer, joiner->join.joined_member_id, "all");
    syncer_send(node, &syncer);
    assert_int_equal(syncer.answers, 1);
    assert_error(syncer.sync.error, ERROR_NONE);
    assert_text(syncer.sync.assignment, "all");
    syncer_done(&syncer);
}

/* ---- offsets ---- */

static void count_commit(struct group_commit *request)
{
    request->generation_id = INT32_MIN; /* Answered. */
}

static enum error commit_run(struct node *node, struct group_commit *request)
{
    request->group_id = group_name();
    request->done = count_commit;
    group_commit_start(node->coordinator, request);
    simulated_executor_run_until_idle(node->disk.time);
    assert_int_equal(request->generation_id, INT32_MIN);
    return request->error != ERROR_NONE ? request->error : request->offsets[0].error;
}

enum error commit(struct node *node, const struct joiner *member, int64_t offset,
                  const char *metadata)
{
    struct group_offset entry = {.topic = slice_of("orders"),
                                 .offset = offset,
                                 .leader_epoch = 3,
                                 .metadata = slice_of(metadata)};
    struct group_commit request = {.generation_id = -1, .offsets = &entry, .offset_count = 1};
    if (member != NULL) {
        request.generation_id = member->join.generation_id;
        request.member_id = member->join.joined_member_id;
        request.instance_id = member->join.instance_id;
    }
    return commit_run(node, &request);
}

enum error commit_nothing(struct node *node)
{
    struct group_offset none = {.error = ERROR_NONE};
    struct group_commit request = {.generation_id = -1, .offsets = &none, .offset_count = 0};
    return commit_run(node, &request);
}

enum error commit_remove(struct node *node, const char *topic)
{
    struct group_offset entry = {.topic = slice_of(topic)};
    struct group_commit request = {
        .generation_id = -1, .remove = true, .offsets = &entry, .offset_count = 1};
    return commit_run(node, &request);
}

int64_t committed(struct node *node, const char *topic)
{
    struct group_offset found;
    assert_error(group_offset_find(node->coordinator, group_name(), slice_of(topic), 0, &found),
                 ERROR_NONE);
    return found.offset;
}

static void delete_done(struct group_delete *deletion)
{
    deletion->group_id = SLICE_NULL; /* Answered. */
}

enum error delete_group(struct node *node)
{
    struct group_delete deletion = {.group_id = group_name(), .done = delete_done};
    group_delete_start(node->coordinator, &deletion);
    simulated_executor_run_until_idle(node->disk.time);
    assert_true(slice_is_null(deletion.group_id));
    return deletion.error;
}

enum error heartbeat(struct node *node, const struct joiner *joiner)
{
    return group_heartbeat(node->coordinator, group_name(), joiner->join.joined_member_id,
                           joiner->join.instance_id, joiner->join.generation_id);
}

enum error leave(struct node *node, const struct joiner *joiner)
{
    enum error error = group_leave(node->coordinator, group_name(), joiner->join.joined_member_id,
                                   joiner->join.instance_id);
    simulated_executor_run_until_idle(node->disk.time);
    return error;
}

void assert_group(struct node *node, const char *state, int32_t generation_id, uint32_t members)
{
    struct group_view view;
    enum error error = group_describe(node->coordinator, group_name(), &view);
    if (state == NULL) {
        assert_error(error, ERROR_GROUP_ID_NOT_FOUND);
        return;
    }
    assert_error(error, ERROR_NONE);
    assert_string_equal(view.state, state);
    assert_int_equal(view.generation_id, generation_id);
    assert_int_equal(view.member_count, members);
}

/* ---- two members ---- */

void join_two(struct node *node, struct joiner *first, struct joiner *second)
{
    joiner_init(first, "", "range=f");
    joiner_init(second, "", "range=s");
    joiner_send(node, first);
    joiner_send(node, second);
    node_run(node, 2 * INITIAL_DELAY_MS);
    assert_int_equal(first->answers, 1);
    assert_int_equal(second->answers, 1);
}

void sync_two(struct node *node, const struct joiner *first, const struct joiner *second)
{
    struct syncer leader;
    struct syncer follower;
    syncer_init(&leader, first);
    syncer_init(&follower, second);
    syncer_assign(&leader, first->join.joined_member_id, "one");
    syncer_assign(&leader, second->join.joined_member_id, "two");
    syncer_send(node, &follower);
    syncer_send(node, &leader);
    assert_error(leader.sync.error, ERROR_NONE);
    assert_text(leader.sync.assignment, "one");
    assert_error(follower.sync.error, ERROR_NONE);
    assert_text(follower.sync.assignment, "two");
    syncer_done(&leader);
    syncer_done(&follower);
}

void join_again_init(struct joiner *again, const struct joiner *was, const char *protocols)
{
    joiner_init(again, "", protocols);
    again->join.member_id = was->join.joined_member_id;
    again->join.instance_id = was->join.instance_id;
}

enum error join_error(struct node *node, struct joiner *joiner)
{
    joiner_send(node, joiner);
    assert_int_equal(joiner->answers, 1);
    return joiner->join.error;
}
