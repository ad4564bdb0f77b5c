/* SPDX-License-Identifier: Apache-2.0 */
/* Groups by id, the partitions of __consumer_offsets this node leads, and who answers for what. */
#include "group/state.h"

#include "base/assertion.h"

static const uint8_t state_next[GROUP_STATE_COUNT] = {
    [GROUP_EMPTY] =
        1 << GROUP_PREPARING_REBALANCE | 1 << GROUP_EMPTY | 1 << GROUP_STABLE | 1 << GROUP_DEAD,
    [GROUP_PREPARING_REBALANCE] =
        1 << GROUP_COMPLETING_REBALANCE | 1 << GROUP_EMPTY | 1 << GROUP_DEAD,
    [GROUP_COMPLETING_REBALANCE] =
        1 << GROUP_STABLE | 1 << GROUP_PREPARING_REBALANCE | 1 << GROUP_DEAD,
    [GROUP_STABLE] = 1 << GROUP_PREPARING_REBALANCE | 1 << GROUP_STABLE | 1 << GROUP_DEAD,
    [GROUP_DEAD] = 0,
};

const char *group_state_name(enum group_state state)
{
    switch (state) {
    case GROUP_EMPTY:
        return "Empty";
    case GROUP_PREPARING_REBALANCE:
        return "PreparingRebalance";
    case GROUP_COMPLETING_REBALANCE:
        return "CompletingRebalance";
    case GROUP_STABLE:
        return "Stable";
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    return "Dead";
}

void group_become(struct group *group, enum group_state state)
{
    ASSERT(state_next[group->state] & 1 << state);
    if (group->state != state)
        group->state_timestamp_ms = executor_wall_clock_ms(group->coordinator->options.executor);
    group->state = state;
}

struct group *group_find(struct group_coordinator *coordinator, struct slice id)
{
    struct group *group = NULL;
    if (id.size > 0)
        HASH_FIND(hh, coordinator->groups, id.data, id.size, group);
    return group;
}

struct group *group_make(struct group_coordinator *coordinator, struct slice id)
{
    struct group *group = memory_allocate(sizeof *group + id.size + 1);
    if (group == NULL)
        return NULL;
    memcpy(group->id, id.data, id.size);
    HASH_ADD_KEYPTR(hh, coordinator->groups, group->id, id.size, group);
    if (group->hh.tbl == NULL) {
        memory_free(group);
        return NULL;
    }
    group->coordinator = coordinator;
    group->shard = group_partition_of(id, coordinator->shard_count);
    group->state_timestamp_ms = executor_wall_clock_ms(coordinator->options.executor);
    list_init(&group->members);
    return group;
}

void group_free(struct group *group)
{
    struct group_coordinator *coordinator = group->coordinator;
    ASSERT(group->writes == 0);
    executor_timer_stop(coordinator->options.executor, &group->rebalance_timer);
    while (!list_empty(&group->members)) {
        struct group_member *member = container_of(group->members.next, struct group_member, link);
        member_join_answer(member, ERROR_NOT_COORDINATOR);
        member_sync_answer(member, ERROR_NOT_COORDINATOR);
        member_free(member);
    }
    while (group->pending != NULL)
        pending_free(group, group->pending);
    while (group->offsets != NULL)
        offset_remove(group, group->offsets);
    HASH_DELETE(hh, coordinator->groups, group);
    memory_free(group->protocol_type);
    memory_free(group->protocol_name);
    memory_free(group->leader_id);
    memory_free(group);
}

void group_drop_if_unused(struct group *group)
{
    bool used = group->member_count > 0 || group->pending != NULL || group->offsets != NULL ||
                group->writes > 0 || group->made || group->state == GROUP_PREPARING_REBALANCE;
    /* An empty group that had members is kept (it can be described) until its retention ends or it
     * is deleted. */
    if (used || (group->state == GROUP_EMPTY && group->generation_id > 0))
        return;
    group_free(group);
}

/* Kafka's Utils.abs(groupId.hashCode()): Java strings are UTF-16, so bytes are decoded first. */
static uint32_t java_hash(struct slice text)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < text.size;) {
        uint8_t lead = text.data[i];
        size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
        for (size_t k = 1; k < size; k++)
            code = code << 6 | (i + k < text.size ? text.data[i + k] & 0x3f : 0);
        if (code >= 0x10000) {
            code -= 0x10000;
            hash = 31 * hash + (0xd800 + (code >> 10));
            code = 0xdc00 + (code & 0x3ff);
        }
        hash = 31 * hash + code;
        i += size;
    }
    return hash;
}

int32_t group_partition_of(struct slice group_id, uint32_t partition_count)
{
    if (partition_count == 0)
        return 0;
    return (int32_t)((java_hash(group_id) & INT32_MAX) % partition_count);
}

enum error group_coordinator_new(const struct group_coordinator_options *options,
                                 struct group_coordinator **ret_coordinator)
{
    struct group_coordinator *coordinator = memory_allocate(sizeof *coordinator);
    if (coordinator == NULL)
        return ERROR_OUT_OF_MEMORY;
    coordinator->options = *options;
    coordinator->load_timer.fire = group_load_due;
    coordinator->expiry_timer.fire = group_offsets_expire;
    executor_timer_start(options->executor, &coordinator->expiry_timer,
                         options->config.offsets_retention_check_interval_ms);
    *ret_coordinator = coordinator;
    return ERROR_NONE;
}

void group_coordinator_stop(struct group_coordinator *coordinator)
{
    coordinator->stopping = true;
    executor_timer_stop(coordinator->options.executor, &coordinator->load_timer);
    executor_timer_stop(coordinator->options.executor, &coordinator->expiry_timer);
    for (struct group *group = coordinator->groups; group != NULL; group = group->hh.next) {
        executor_timer_stop(coordinator->options.executor, &group->rebalance_timer);
        list_for_each(link, &group->members)
        {
            struct group_member *member = container_of(link, struct group_member, link);
            member_join_answer(member, ERROR_NOT_COORDINATOR);
            member_sync_answer(member, ERROR_NOT_COORDINATOR);
            executor_timer_stop(coordinator->options.executor, &member->session_timer);
        }
    }
}

bool group_coordinator_idle(const struct group_coordinator *coordinator)
{
    return coordinator->writes == 0;
}

void group_coordinator_free(struct group_coordinator *coordinator)
{
    if (coordinator == NULL)
        return;
    ASSERT(coordinator->stopping);
    ASSERT(group_coordinator_idle(coordinator));
    while (coordinator->groups != NULL)
        group_free(coordinator->groups);
    memory_free(coordinator->shards);
    memory_free(coordinator);
}

static bool shards_reserve(struct group_coordinator *coordinator)
{
    uint32_t count =
        coordinator->options.offsets_partition_count(coordinator->options.context, false);
    if (count <= coordinator->shard_count)
        return true;
    struct group_shard *shards = memory_resize(coordinator->shards, count * sizeof *shards);
    if (shards == NULL)
        return false;
    memset(shards + coordinator->shard_count, 0,
           (count - coordinator->shard_count) * sizeof *shards);
    coordinator->shards = shards;
    coordinator->shard_count = count;
    return true;
}

void group_coordinator_elected(struct group_coordinator *coordinator, int32_t partition)
{
    /* Out of memory: clients hear NOT_COORDINATOR until the next election. */
    if (!shards_reserve(coordinator) || (uint32_t)partition >= coordinator->shard_count)
        return;
    struct group_shard *shard = &coordinator->shards[partition];
    shard->state = SHARD_LOADING;
    shard->next_offset = 0;
    if (!timer_running(&coordinator->load_timer) && !coordinator->stopping)
        executor_timer_start(coordinator->options.executor, &coordinator->load_timer, 0);
}

void group_coordinator_resigned(struct group_coordinator *coordinator, int32_t partition)
{
    if ((uint32_t)partition >= coordinator->shard_count)
        return;
    coordinator->shards[partition].state = SHARD_ABSENT;
    for (struct group *group = coordinator->groups, *next; group != NULL; group = next) {
        next = group->hh.next;
        if (group->shard != partition)
            continue;
        if (group->writes == 0) {
            group_free(group);
            continue;
        }
        /* Freed with its last write, which ends soon: the partition gave it up, too. */
        while (!list_empty(&group->members)) {
            struct group_member *member =
                container_of(group->members.next, struct group_member, link);
            member_join_answer(member, ERROR_NOT_COORDINATOR);
            member_sync_answer(member, ERROR_NOT_COORDINATOR);
            member_free(member);
        }
        while (group->offsets != NULL)
            offset_remove(group, group->offsets);
        while (group->pending != NULL)
            pending_free(group, group->pending);
        executor_timer_stop(coordinator->options.executor, &group->rebalance_timer);
        group->generation_id = 0;
        group->made = false;
        group->state = GROUP_EMPTY;
    }
}

enum error group_coordinator_check(struct group_coordinator *coordinator, struct slice group_id)
{
    if (coordinator->stopping)
        return ERROR_NOT_COORDINATOR;
    if (group_id.size == 0)
        return ERROR_INVALID_GROUP_ID;
    uint32_t count =
        coordinator->options.offsets_partition_count(coordinator->options.context, true);
    if (count == 0 || !shards_reserve(coordinator))
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    /* Another may coordinate the group by now, and know more of it (replication.md 16). */
    if (!partition_table_is_leased(coordinator->options.partitions))
        return ERROR_NOT_COORDINATOR;
    const struct group_shard *shard = &coordinator->shards[group_partition_of(group_id, count)];
    switch (shard->state) {
    case SHARD_ACTIVE:
        return ERROR_NONE;
    case SHARD_LOADING:
        return ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    case SHARD_ABSENT:
        break;
    }
    return ERROR_NOT_COORDINATOR;
}

static struct group_view view_of(const struct group *group)
{
    return (struct group_view){
        .group_id = slice_of(group->id),
        .state = group_state_name(group->state),
        .protocol_type = slice_of(group->protocol_type == NULL ? "" : group->protocol_type),
        .protocol_name = slice_of(group->protocol_name == NULL ? "" : group->protocol_name),
        .generation_id = group->generation_id,
        .member_count = group->member_count,
    };
}

enum error group_describe(struct group_coordinator *coordinator, struct slice group_id,
                          struct group_view *ret_view)
{
    enum error error = group_coordinator_check(coordinator, group_id);
    if (error != ERROR_NONE)
        return error;
    const struct group *group = group_find(coordinator, group_id);
    if (group == NULL)
        return ERROR_GROUP_ID_NOT_FOUND;
    *ret_view = view_of(group);
    return ERROR_NONE;
}

void group_member_each(struct group_coordinator *coordinator, struct slice group_id,
                       void (*each)(void *context, const struct group_member_view *member),
                       void *context)
{
    const struct group *group = group_find(coordinator, group_id);
    if (group == NULL)
        return;
    list_for_each(link, &group->members)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        const struct group_protocol *protocol = member_protocol(member, group->protocol_name);
        struct group_member_view view = {
            .member_id = slice_of(member->id),
            .instance_id = slice_of(member->instance_id),
            .client_id = slice_of(member->client_id),
            .client_host = slice_of(member->client_host),
            .metadata = protocol != NULL ? protocol->metadata : SLICE_EMPTY,
            .assignment = group->state == GROUP_STABLE && member->assignment != NULL
                              ? slice_from(member->assignment, member->assignment_size)
                              : SLICE_EMPTY,
        };
        each(context, &view);
    }
}

static int by_id(struct group *a, struct group *b)
{
    return strcmp(a->id, b->id);
}

void group_each(struct group_coordinator *coordinator,
                void (*each)(void *context, const struct group_view *group), void *context)
{
    HASH_SORT(coordinator->groups, by_id);
    for (const struct group *group = coordinator->groups; group != NULL; group = group->hh.next) {
        struct group_view view = view_of(group);
        each(context, &view);
    }
}

enum error group_check_member(struct group_coordinator *coordinator, struct slice group_id,
                              struct slice member_id, int32_t generation_id)
{
    struct group *group = group_find(coordinator, group_id);
    struct group_member *member;
    if (member_id.size == 0)
        return ERROR_NONE;
    if (group == NULL)
        return ERROR_UNKNOWN_MEMBER_ID;
    enum error error = member_check(group, member_id, SLICE_NULL, &member);
    if (error == ERROR_NONE && generation_id != group->generation_id)
        error = ERROR_ILLEGAL_GENERATION;
    return error;
}
