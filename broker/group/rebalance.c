/* SPDX-License-Identifier: Apache-2.0 */
/* The rebalance: wait for everybody to join, choose protocol and leader, wait for the leader's
 * assignment, store it, hand it out (Kafka: classic group, KIP-62, KIP-134, KIP-345, KIP-814). */
#include "group/state.h"

#include "base/assertion.h"

static struct executor *executor_of(const struct group *group)
{
    return group->coordinator->options.executor;
}

static int32_t max_rebalance_timeout_ms(const struct group *group)
{
    int32_t longest = 0;
    list_for_each(link, &group->members)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        if (member->rebalance_timeout_ms > longest)
            longest = member->rebalance_timeout_ms;
    }
    return longest;
}

static void members_each_sync_answer(struct group *group, enum error error)
{
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        member->pending_sync = false;
        if (member->sync != NULL) {
            member_sync_answer(member, error);
            member_session_restart(member);
        }
    }
}

static bool everybody_joined(const struct group *group)
{
    list_for_each(link, &group->members)
    {
        if (container_of(link, struct group_member, link)->join == NULL)
            return false;
    }
    return group->pending == NULL;
}

/* The protocol all members know that most of them like best (Kafka: selectProtocol). */
static const struct group_protocol *choose_protocol(const struct group *group)
{
    const struct group_member *first = container_of(group->members.next, struct group_member, link);
    const struct group_protocol *best = NULL;
    uint32_t best_votes = 0;
    for (uint32_t i = 0; i < first->protocol_count; i++) {
        const struct group_protocol *candidate = &first->protocols[i];
        char *name = memory_copy_text(candidate->name.data, candidate->name.size);
        bool common = name != NULL;
        list_for_each(link, &group->members)
        {
            const struct group_member *member = container_of(link, struct group_member, link);
            common = common && member_protocol(member, name) != NULL;
        }
        memory_free(name);
        uint32_t votes = 0;
        list_for_each(link, &group->members)
        {
            const struct group_member *member = container_of(link, struct group_member, link);
            votes += slice_equals(member->protocols[0].name, candidate->name);
        }
        if (common && (best == NULL || votes > best_votes)) {
            best = candidate;
            best_votes = votes;
        }
    }
    return best;
}

static bool set_text(char **text, struct slice value)
{
    char *copy = memory_copy_text(value.data, value.size);
    if (copy == NULL)
        return false;
    memory_free(*text);
    *text = copy;
    return true;
}

/* The leader keeps its office while it takes part; else the first who joined gets it. */
static bool choose_leader(struct group *group)
{
    struct group_member *leader =
        group->leader_id == NULL ? NULL : member_find(group, slice_of(group->leader_id));
    if (leader != NULL && leader->join != NULL)
        return true;
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->join != NULL)
            return set_text(&group->leader_id, slice_of(member->id));
    }
    return false;
}

static bool fill_members(struct group *group, struct group_join *join)
{
    join->members = arena_allocate_array(join->arena, group->member_count, sizeof *join->members);
    if (join->members == NULL)
        return false;
    list_for_each(link, &group->members)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        const struct group_protocol *protocol = member_protocol(member, group->protocol_name);
        struct group_join_member *view = &join->members[join->member_count++];
        view->member_id = arena_copy(join->arena, slice_of(member->id));
        view->instance_id = arena_copy(join->arena, slice_of(member->instance_id));
        view->metadata =
            arena_copy(join->arena, protocol != NULL ? protocol->metadata : SLICE_EMPTY);
        if (view->member_id.data == NULL || view->metadata.data == NULL)
            return false;
    }
    return true;
}

/* The answer to a join that became part of the current generation. */
void group_join_accept(struct group_member *member)
{
    struct group *group = member->group;
    struct group_join *join = member->join;
    bool leads = group->leader_id != NULL && strcmp(group->leader_id, member->id) == 0;
    join->generation_id = group->generation_id;
    join->protocol_name = arena_copy(join->arena, slice_of(group->protocol_name));
    join->leader = arena_copy(join->arena, slice_of(group->leader_id));
    join->joined_member_id = arena_copy(join->arena, slice_of(member->id));
    bool filled = join->joined_member_id.data != NULL && (!leads || fill_members(group, join));
    member->is_new = false;
    member_join_answer(member, filled ? ERROR_NONE : ERROR_OUT_OF_MEMORY);
    member_session_restart(member);
}

static void group_stored(struct group_write *write, enum error error)
{
    (void)
        error; /* What was not stored is stored with the next change; the group lives in memory. */
    (void)write;
}

void group_store(struct group *group)
{
    struct group_write *write = group_write_new(group);
    if (write == NULL)
        return;
    write->done = group_stored;
    if (group_write_metadata(write, false) != ERROR_NONE) {
        group_write_free(write);
        return;
    }
    group_write_submit(write);
}

/* Who did not join in time to sync either is out (Kafka: pendingSyncMembers). */
static void sync_phase_over(struct timer *timer)
{
    struct group *group = container_of(timer, struct group, rebalance_timer);
    bool removed = false;
    list_for_each_safe(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (!member->pending_sync)
            continue;
        member_join_answer(member, ERROR_UNKNOWN_MEMBER_ID);
        member_sync_answer(member, ERROR_UNKNOWN_MEMBER_ID);
        member_free(member);
        removed = true;
    }
    if (removed)
        group_rebalance_prepare(group);
}

static void begin_generation(struct group *group)
{
    const struct group_protocol *protocol = choose_protocol(group);
    if (protocol == NULL || !set_text(&group->protocol_name, protocol->name) ||
        !choose_leader(group)) {
        /* Out of memory: everybody is sent to try again. */
        list_for_each(link, &group->members)
        {
            struct group_member *member = container_of(link, struct group_member, link);
            member_join_answer(member, ERROR_COORDINATOR_NOT_AVAILABLE);
            member_session_restart(member);
        }
        return;
    }
    group_become(group, GROUP_COMPLETING_REBALANCE);
    group->rebalance_timer.fire = sync_phase_over;
    executor_timer_start(executor_of(group), &group->rebalance_timer,
                         max_rebalance_timeout_ms(group));
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        member->pending_sync = true;
        if (member->join != NULL)
            group_join_accept(member);
        else
            member_session_restart(member);
    }
}

static void join_phase_over(struct timer *timer);

static void complete_join(struct group *group)
{
    executor_timer_stop(executor_of(group), &group->rebalance_timer);
    group->initial_delay = false;
    uint32_t joined = 0;
    list_for_each_safe(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->join != NULL)
            joined++;
        else if (member->instance_id == NULL)
            member_free(member); /* A static member keeps its place until its session ends. */
    }
    if (group->member_count > 0 && joined == 0) {
        group->rebalance_timer.fire = join_phase_over;
        executor_timer_start(executor_of(group), &group->rebalance_timer,
                             max_rebalance_timeout_ms(group));
        return;
    }
    group->generation_id = group->generation_id == INT32_MAX ? 1 : group->generation_id + 1;
    if (group->member_count == 0) {
        memory_free(group->protocol_name);
        group->protocol_name = NULL;
        memory_free(group->leader_id);
        group->leader_id = NULL;
        group_become(group, GROUP_EMPTY);
        group_store(group);
        return;
    }
    begin_generation(group);
}

static void join_phase_over(struct timer *timer)
{
    struct group *group = container_of(timer, struct group, rebalance_timer);
    if (group->initial_delay && group->members_added && group->initial_left_ms > 0) {
        int64_t delay = group->coordinator->options.config.initial_rebalance_delay_ms;
        if (delay > group->initial_left_ms)
            delay = group->initial_left_ms;
        group->initial_left_ms -= delay;
        group->members_added = false;
        executor_timer_start(executor_of(group), &group->rebalance_timer, delay);
        return;
    }
    complete_join(group);
}

void group_rebalance_try_complete(struct group *group)
{
    if (group->state != GROUP_PREPARING_REBALANCE || group->initial_delay)
        return;
    if (everybody_joined(group))
        complete_join(group);
}

void group_rebalance_prepare(struct group *group)
{
    if (group->state == GROUP_PREPARING_REBALANCE) {
        group_rebalance_try_complete(group);
        return;
    }
    ASSERT(group->state != GROUP_DEAD);
    if (group->state == GROUP_COMPLETING_REBALANCE)
        members_each_sync_answer(group, ERROR_REBALANCE_IN_PROGRESS);
    bool was_empty = group->state == GROUP_EMPTY;
    group_become(group, GROUP_PREPARING_REBALANCE);
    int64_t timeout = max_rebalance_timeout_ms(group);
    int64_t delay = group->coordinator->options.config.initial_rebalance_delay_ms;
    group->initial_delay = was_empty && delay > 0;
    if (group->initial_delay) {
        if (delay > timeout)
            delay = timeout;
        group->initial_left_ms = timeout - delay;
        group->members_added = false;
        timeout = delay;
    }
    group->rebalance_timer.fire = join_phase_over;
    executor_timer_start(executor_of(group), &group->rebalance_timer, timeout);
    group_rebalance_try_complete(group);
}

void group_member_remove(struct group_member *member, enum error error)
{
    struct group *group = member->group;
    member_join_answer(member, error);
    member_sync_answer(member, error);
    member_free(member);
    switch (group->state) {
    case GROUP_STABLE:
    case GROUP_COMPLETING_REBALANCE:
        group_rebalance_prepare(group);
        break;
    case GROUP_PREPARING_REBALANCE:
        group_rebalance_try_complete(group);
        break;
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
}

/* The leader's assignment is on its way to the log; meanwhile everything may have changed. */
static void assignment_stored(struct group_write *write, enum error error)
{
    struct group *group = write->group;
    if (group->state != GROUP_COMPLETING_REBALANCE || write->generation_id != group->generation_id)
        return;
    if (error != ERROR_NONE) {
        members_each_sync_answer(group, error);
        group_rebalance_prepare(group);
        return;
    }
    executor_timer_stop(executor_of(group), &group->rebalance_timer);
    group_become(group, GROUP_STABLE);
    bool stragglers = false;
    list_for_each(link, &group->members) stragglers |=
        container_of(link, struct group_member, link)->pending_sync;
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->sync != NULL) {
            member_sync_answer(member, ERROR_NONE);
            member_session_restart(member);
        }
    }
    if (stragglers) {
        group->rebalance_timer.fire = sync_phase_over;
        executor_timer_start(executor_of(group), &group->rebalance_timer,
                             max_rebalance_timeout_ms(group));
    }
}

static struct slice assignment_for(const struct group_sync *sync, const char *member_id)
{
    for (uint32_t i = 0; i < sync->assignment_count; i++) {
        if (slice_equals_text(sync->assignments[i].member_id, member_id) &&
            sync->assignments[i].assignment.data != NULL)
            return sync->assignments[i].assignment;
    }
    return SLICE_EMPTY;
}

enum error group_sync_begin(struct group *group, const struct group_sync *sync)
{
    enum error error = ERROR_NONE;
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (error == ERROR_NONE)
            error = member_set_assignment(member, assignment_for(sync, member->id));
    }
    struct group_write *write = error == ERROR_NONE ? group_write_new(group) : NULL;
    if (write == NULL)
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    write->done = assignment_stored;
    write->generation_id = group->generation_id;
    error = group_write_metadata(write, false);
    if (error != ERROR_NONE) {
        group_write_free(write);
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    }
    group_write_submit(write);
    return ERROR_NONE;
}
