/* SPDX-License-Identifier: Apache-2.0 */
/* JoinGroup, SyncGroup, Heartbeat and LeaveGroup as Kafka's classic groups answer them. */
#include "group/state.h"

#include "base/assertion.h"
#include "base/uuid.h"

enum { MEMBER_METADATA_BYTES_MAX = 1 << 20 }; /* Of all its protocols. */

static struct executor *executor_of(const struct group *group)
{
    return group->coordinator->options.executor;
}

/* ---- join ---- */

static void join_task(struct task *task)
{
    struct group_join *join = container_of(task, struct group_join, task);
    join->done(join);
}

static void join_answer(struct group_coordinator *coordinator, struct group_join *join,
                        enum error error)
{
    join->error = error;
    if (error != ERROR_NONE && error != ERROR_MEMBER_ID_REQUIRED)
        join->joined_member_id = join->member_id;
    executor_post(coordinator->options.executor, &join->task);
}

/* "<client id>-<uuid>"; a static member's begins with its instance id (Kafka: generateMemberId). */
static struct slice new_member_id(struct group_coordinator *coordinator, struct group_join *join)
{
    struct slice prefix = join->instance_id.data != NULL ? join->instance_id : join->client_id;
    struct uuid uuid = uuid_random(coordinator->options.executor);
    const uint8_t *b = uuid.bytes;
    return arena_format(join->arena,
                        "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        SLICE_PRINT(prefix), b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
                        b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* A member that no record of __consumer_offsets could hold is not let in. */
static bool metadata_fits(const struct group_join *join)
{
    size_t size = 0;
    for (uint32_t i = 0; i < join->protocol_count; i++)
        size += join->protocols[i].metadata.size;
    return size <= MEMBER_METADATA_BYTES_MAX;
}

static bool protocols_fit(struct group *group, const struct group_join *join)
{
    if (join->protocol_count == 0 || join->protocol_type.size == 0)
        return false;
    if (group->state == GROUP_EMPTY || group->member_count == 0)
        return true;
    if (group->protocol_type == NULL ||
        !slice_equals_text(join->protocol_type, group->protocol_type))
        return false;
    for (uint32_t i = 0; i < join->protocol_count; i++) {
        char *name = memory_copy_text(join->protocols[i].name.data, join->protocols[i].name.size);
        bool common = name != NULL;
        list_for_each(link, &group->members)
        {
            const struct group_member *member = container_of(link, struct group_member, link);
            common = common && member_protocol(member, name) != NULL;
        }
        memory_free(name);
        if (common)
            return true;
    }
    return false;
}

static void member_wait_join(struct group_member *member, struct group_join *join)
{
    struct group *group = member->group;
    if (member->join != NULL && member->join != join)
        member_join_answer(member, ERROR_REBALANCE_IN_PROGRESS); /* Its client asked again. */
    executor_timer_stop(executor_of(group), &member->session_timer);
    member->join = join;
    join->waiting_member = member;
}

static enum error join_as_new(struct group *group, struct group_join *join, struct slice id)
{
    if (group->protocol_type == NULL || group->member_count == 0) {
        char *type = memory_copy_text(join->protocol_type.data, join->protocol_type.size);
        if (type == NULL)
            return ERROR_OUT_OF_MEMORY;
        memory_free(group->protocol_type);
        group->protocol_type = type;
    }
    struct group_member *member = member_new(group, id, join);
    if (member == NULL)
        return ERROR_OUT_OF_MEMORY;
    member->is_new = true;
    group->members_added = true;
    member_wait_join(member, join);
    group_rebalance_prepare(group);
    return ERROR_NONE;
}

static enum error rejoin(struct group_member *member, struct group_join *join)
{
    enum error error = member_update(member, join);
    if (error != ERROR_NONE)
        return error;
    member_wait_join(member, join);
    group_rebalance_prepare(member->group);
    return ERROR_NONE;
}

/* A static member comes back under a new member id: the old id is fenced, its place is kept;
 * without a change of protocols the group does not rebalance (KIP-345; KIP-814 tells a leader to
 * skip its assignment). */
static enum error replace_static(struct group *group, struct group_member *old,
                                 struct group_join *join, struct slice id)
{
    bool leads = group->leader_id != NULL && strcmp(group->leader_id, old->id) == 0;
    bool same = member_same_protocols(old, join);
    struct slice old_id = arena_copy(join->arena, slice_of(old->id));
    struct slice assignment = slice_from(old->assignment, old->assignment_size);
    struct group_member *member = member_new(group, id, join);
    if (member == NULL ||
        (old->assignment != NULL && member_set_assignment(member, assignment) != ERROR_NONE)) {
        if (member != NULL)
            member_free(member);
        return ERROR_OUT_OF_MEMORY;
    }
    if (leads) {
        char *leader = memory_copy_text(id.data, id.size);
        if (leader != NULL) {
            memory_free(group->leader_id);
            group->leader_id = leader;
        }
    }
    member_join_answer(old, ERROR_FENCED_INSTANCE_ID);
    member_sync_answer(old, ERROR_FENCED_INSTANCE_ID);
    member_free(old);
    member_wait_join(member, join);
    if (group->state == GROUP_STABLE && same) {
        group_join_accept(member);
        group_store(group); /* A coordinator that takes over has to know the new id. */
        join->skip_assignment = leads && join->supports_skipping_assignment;
        if (leads && !join->supports_skipping_assignment) {
            /* Before KIP-814 a leader would assign anew: it is told that its old self leads, and
             * only fetches its assignment (Kafka: updateStaticMemberThenRebalanceOrCompleteJoin).
             */
            join->leader = old_id;
            join->member_count = 0;
        }
        return ERROR_NONE;
    }
    group_rebalance_prepare(group);
    return ERROR_NONE;
}

static void pending_expired(struct timer *timer)
{
    struct group_pending *pending = container_of(timer, struct group_pending, timer);
    struct group *group = pending->group;
    pending_free(group, pending);
    group_rebalance_try_complete(group);
    group_drop_if_unused(group);
}

static enum error hand_out_id(struct group *group, struct group_join *join, struct slice id)
{
    struct group_pending *pending = memory_allocate(sizeof *pending + id.size + 1);
    if (pending == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(pending->id, id.data, id.size);
    pending->group = group;
    HASH_ADD_KEYPTR(hh, group->pending, pending->id, id.size, pending);
    if (pending->hh.tbl == NULL) {
        memory_free(pending);
        return ERROR_OUT_OF_MEMORY;
    }
    pending->timer.fire = pending_expired;
    executor_timer_start(executor_of(group), &pending->timer, join->session_timeout_ms);
    join->joined_member_id = id;
    return ERROR_MEMBER_ID_REQUIRED;
}

static bool group_full(const struct group *group)
{
    return group->member_count + HASH_COUNT(group->pending) >=
           (uint32_t)group->coordinator->options.config.max_size;
}

static enum error join_unknown(struct group *group, struct group_join *join)
{
    struct slice id = new_member_id(group->coordinator, join);
    if (id.data == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (join->instance_id.data != NULL) {
        struct group_member *old = member_find_instance(group, join->instance_id);
        if (old != NULL)
            return replace_static(group, old, join, id);
        return group_full(group) ? ERROR_GROUP_MAX_SIZE_REACHED : join_as_new(group, join, id);
    }
    if (group_full(group))
        return ERROR_GROUP_MAX_SIZE_REACHED;
    if (join->require_known_member_id)
        return hand_out_id(group, join, id);
    return join_as_new(group, join, id);
}

static enum error join_known(struct group *group, struct group_join *join)
{
    struct group_pending *pending = pending_find(group, join->member_id);
    if (pending != NULL) {
        if (join->instance_id.data != NULL)
            return ERROR_UNKNOWN_MEMBER_ID; /* Static members are never pending. */
        pending_free(group, pending);
        return join_as_new(group, join, join->member_id);
    }
    struct group_member *member;
    enum error error = member_check(group, join->member_id, join->instance_id, &member);
    if (error != ERROR_NONE)
        return error;
    bool leads = group->leader_id != NULL && strcmp(group->leader_id, member->id) == 0;
    bool same = member_same_protocols(member, join);
    switch (group->state) {
    case GROUP_COMPLETING_REBALANCE:
        if (!same)
            return rejoin(member, join);
        member_wait_join(member, join);
        group_join_accept(member);
        return ERROR_NONE;
    case GROUP_STABLE:
        if (!same || leads)
            return rejoin(member, join);
        member_wait_join(member, join);
        group_join_accept(member);
        return ERROR_NONE;
    case GROUP_PREPARING_REBALANCE:
        return rejoin(member, join);
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    return ERROR_UNKNOWN_MEMBER_ID;
}

static enum error join_now(struct group_coordinator *coordinator, struct group_join *join)
{
    const struct group_config *config = &coordinator->options.config;
    enum error error = group_coordinator_check(coordinator, join->group_id);
    if (error != ERROR_NONE)
        return error;
    if (join->session_timeout_ms < config->min_session_timeout_ms ||
        join->session_timeout_ms > config->max_session_timeout_ms)
        return ERROR_INVALID_SESSION_TIMEOUT;
    struct group *group = group_find(coordinator, join->group_id);
    if (group == NULL && join->member_id.size > 0)
        return ERROR_UNKNOWN_MEMBER_ID;
    if (group == NULL)
        group = group_make(coordinator, join->group_id);
    if (group == NULL)
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    if (!metadata_fits(join))
        error = ERROR_INVALID_REQUEST;
    else if (!protocols_fit(group, join))
        error = ERROR_INCONSISTENT_GROUP_PROTOCOL;
    else if (join->member_id.size == 0)
        error = join_unknown(group, join);
    else
        error = join_known(group, join);
    group_drop_if_unused(group);
    return error;
}

void group_join_start(struct group_coordinator *coordinator, struct group_join *join)
{
    join->task.run = join_task;
    list_init(&join->task.link);
    join->generation_id = -1;
    join->leader = SLICE_EMPTY;
    if (join->rebalance_timeout_ms <= 0)
        join->rebalance_timeout_ms = join->session_timeout_ms;
    enum error error = join_now(coordinator, join);
    if (error == ERROR_OUT_OF_MEMORY)
        error = ERROR_COORDINATOR_NOT_AVAILABLE;
    if (error != ERROR_NONE)
        join_answer(coordinator, join, error);
}

void group_join_cancel(struct group_coordinator *coordinator, struct group_join *join)
{
    (void)coordinator;
    struct group_member *member = join->waiting_member;
    if (member == NULL)
        return;
    if (member->is_new && member->instance_id == NULL) {
        group_member_remove(member, ERROR_UNKNOWN_MEMBER_ID);
        return;
    }
    member_join_answer(member, ERROR_REBALANCE_IN_PROGRESS);
    member_session_restart(member);
}

/* ---- sync ---- */

static void sync_task(struct task *task)
{
    struct group_sync *sync = container_of(task, struct group_sync, task);
    sync->done(sync);
}

static bool names_differ(struct slice given, const char *ours)
{
    return given.data != NULL && (ours == NULL || !slice_equals_text(given, ours));
}

static enum error sync_completing(struct group_member *member, struct group_sync *sync)
{
    struct group *group = member->group;
    if (member->sync != NULL)
        member_sync_answer(member, ERROR_REBALANCE_IN_PROGRESS);
    member->sync = sync;
    sync->waiting_member = member;
    member->pending_sync = false;
    executor_timer_stop(executor_of(group), &member->session_timer);
    if (group->leader_id == NULL || strcmp(group->leader_id, member->id) != 0)
        return ERROR_NONE;
    enum error error = group_sync_begin(group, sync);
    if (error != ERROR_NONE) {
        member->sync = NULL;
        sync->waiting_member = NULL;
        member_session_restart(member);
    }
    return error;
}

static enum error sync_now(struct group_coordinator *coordinator, struct group_sync *sync)
{
    enum error error = group_coordinator_check(coordinator, sync->group_id);
    if (error == ERROR_COORDINATOR_LOAD_IN_PROGRESS)
        return ERROR_REBALANCE_IN_PROGRESS; /* Kafka: the client joins again and finds out there. */
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, sync->group_id);
    struct group_member *member;
    if (group == NULL)
        return ERROR_UNKNOWN_MEMBER_ID;
    error = member_check(group, sync->member_id, sync->instance_id, &member);
    if (error != ERROR_NONE)
        return error;
    if (sync->generation_id != group->generation_id)
        return ERROR_ILLEGAL_GENERATION;
    if (names_differ(sync->protocol_type, group->protocol_type) ||
        names_differ(sync->protocol_name, group->protocol_name))
        return ERROR_INCONSISTENT_GROUP_PROTOCOL;
    switch (group->state) {
    case GROUP_PREPARING_REBALANCE:
        return ERROR_REBALANCE_IN_PROGRESS;
    case GROUP_COMPLETING_REBALANCE:
        return sync_completing(member, sync);
    case GROUP_STABLE:
        member->pending_sync = false;
        member->sync = sync;
        sync->waiting_member = member;
        member_sync_answer(member, ERROR_NONE);
        member_session_restart(member);
        return ERROR_NONE;
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    return ERROR_UNKNOWN_MEMBER_ID;
}

void group_sync_start(struct group_coordinator *coordinator, struct group_sync *sync)
{
    sync->task.run = sync_task;
    list_init(&sync->task.link);
    enum error error = sync_now(coordinator, sync);
    if (error == ERROR_NONE)
        return;
    sync->error = error;
    executor_post(coordinator->options.executor, &sync->task);
}

void group_sync_cancel(struct group_coordinator *coordinator, struct group_sync *sync)
{
    (void)coordinator;
    struct group_member *member = sync->waiting_member;
    if (member == NULL)
        return;
    member_sync_answer(member, ERROR_REBALANCE_IN_PROGRESS);
    member_session_restart(member);
}

/* ---- heartbeat and leave ---- */

enum error group_heartbeat(struct group_coordinator *coordinator, struct slice group_id,
                           struct slice member_id, struct slice instance_id, int32_t generation_id)
{
    enum error error = group_coordinator_check(coordinator, group_id);
    if (error == ERROR_COORDINATOR_LOAD_IN_PROGRESS)
        return ERROR_NONE; /* Kafka: the session starts anew once loaded. */
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, group_id);
    struct group_member *member;
    if (group == NULL)
        return ERROR_UNKNOWN_MEMBER_ID;
    error = member_check(group, member_id, instance_id, &member);
    if (error != ERROR_NONE)
        return error;
    if (generation_id != group->generation_id)
        return ERROR_ILLEGAL_GENERATION;
    if (group->state == GROUP_EMPTY || group->state == GROUP_DEAD)
        return ERROR_UNKNOWN_MEMBER_ID;
    member_session_restart(member);
    return group->state == GROUP_PREPARING_REBALANCE ? ERROR_REBALANCE_IN_PROGRESS : ERROR_NONE;
}

enum error group_leave(struct group_coordinator *coordinator, struct slice group_id,
                       struct slice member_id, struct slice instance_id)
{
    enum error error = group_coordinator_check(coordinator, group_id);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, group_id);
    if (group == NULL)
        return ERROR_UNKNOWN_MEMBER_ID;
    struct group_pending *pending = pending_find(group, member_id);
    if (pending != NULL && instance_id.data == NULL) {
        pending_free(group, pending);
        group_rebalance_try_complete(group);
        group_drop_if_unused(group);
        return ERROR_NONE;
    }
    struct group_member *member = NULL;
    if (instance_id.data != NULL && member_id.size == 0) {
        member = member_find_instance(group, instance_id);
        error = member == NULL ? ERROR_UNKNOWN_MEMBER_ID : ERROR_NONE;
    } else {
        error = member_check(group, member_id, instance_id, &member);
    }
    if (error == ERROR_NONE)
        group_member_remove(member, ERROR_UNKNOWN_MEMBER_ID);
    return error;
}
