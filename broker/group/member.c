/* SPDX-License-Identifier: Apache-2.0 */
/* A member: what it announced, what it waits for, when it is given up. */
#include "group/state.h"

#include "base/assertion.h"

struct group_member *member_find(struct group *group, struct slice id)
{
    struct group_member *member = NULL;
    if (id.size > 0)
        HASH_FIND(hh, group->members_by_id, id.data, id.size, member);
    return member;
}

struct group_member *member_find_instance(struct group *group, struct slice instance_id)
{
    list_for_each(link, &group->members)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->instance_id != NULL && slice_equals_text(instance_id, member->instance_id))
            return member;
    }
    return NULL;
}

static void session_expired(struct timer *timer)
{
    struct group_member *member = container_of(timer, struct group_member, session_timer);
    group_member_remove(member, ERROR_UNKNOWN_MEMBER_ID);
}

void member_session_restart(struct group_member *member)
{
    if (member->join != NULL)
        return; /* Alive as long as it waits. */
    executor_timer_start(member->group->coordinator->options.executor, &member->session_timer,
                         member->session_timeout_ms);
}

static void free_contents(struct group_member *member)
{
    memory_free(member->id);
    memory_free(member->instance_id);
    memory_free(member->client_id);
    memory_free(member->client_host);
    memory_free(member->protocols);
    memory_free(member->assignment);
    memory_free(member);
}

void member_free(struct group_member *member)
{
    struct group *group = member->group;
    ASSERT(member->join == NULL);
    ASSERT(member->sync == NULL);
    executor_timer_stop(group->coordinator->options.executor, &member->session_timer);
    HASH_DELETE(hh, group->members_by_id, member);
    list_remove(&member->link);
    group->member_count--;
    free_contents(member);
}

enum error member_set_protocols(struct group_member *member, const struct group_protocol *protocols,
                                uint32_t count)
{
    size_t size = count * sizeof *protocols;
    for (uint32_t i = 0; i < count; i++)
        size += protocols[i].name.size + protocols[i].metadata.size;
    struct group_protocol *copy = memory_allocate(size);
    if (copy == NULL)
        return ERROR_OUT_OF_MEMORY;
    uint8_t *next = (uint8_t *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        const struct slice parts[2] = {protocols[i].name, protocols[i].metadata};
        struct slice copies[2];
        for (int part = 0; part < 2; part++) {
            if (parts[part].size > 0)
                memcpy(next, parts[part].data, parts[part].size);
            copies[part] = slice_from(next, parts[part].size);
            next += parts[part].size;
        }
        copy[i] = (struct group_protocol){.name = copies[0], .metadata = copies[1]};
    }
    memory_free(member->protocols);
    member->protocols = copy;
    member->protocol_count = count;
    return ERROR_NONE;
}

enum error member_set_assignment(struct group_member *member, struct slice assignment)
{
    uint8_t *copy = memory_allocate(assignment.size);
    if (copy == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (assignment.size > 0)
        memcpy(copy, assignment.data, assignment.size);
    memory_free(member->assignment);
    member->assignment = copy;
    member->assignment_size = assignment.size;
    return ERROR_NONE;
}

static char *copy_text(struct slice text)
{
    return memory_copy_text(text.data, text.size);
}

struct group_member *member_new(struct group *group, struct slice id, const struct group_join *join)
{
    struct group_member *member = memory_allocate(sizeof *member);
    if (member == NULL)
        return NULL;
    member->group = group;
    member->id = copy_text(id);
    member->client_id = copy_text(join->client_id);
    member->client_host = copy_text(join->client_host);
    bool is_static = join->instance_id.data != NULL;
    if (is_static)
        member->instance_id = copy_text(join->instance_id);
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->session_timer.fire = session_expired;
    list_init(&member->link);
    if (member->id == NULL || member->client_id == NULL || member->client_host == NULL ||
        (is_static && member->instance_id == NULL) ||
        member_set_protocols(member, join->protocols, join->protocol_count) != ERROR_NONE)
        goto refused;
    HASH_ADD_KEYPTR(hh, group->members_by_id, member->id, id.size, member);
    if (member->hh.tbl == NULL)
        goto refused;
    list_push(&group->members, &member->link);
    group->member_count++;
    return member;

refused:
    free_contents(member);
    return NULL;
}

enum error member_update(struct group_member *member, const struct group_join *join)
{
    enum error error = member_set_protocols(member, join->protocols, join->protocol_count);
    if (error != ERROR_NONE)
        return error;
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    return ERROR_NONE;
}

bool member_same_protocols(const struct group_member *member, const struct group_join *join)
{
    if (member->protocol_count != join->protocol_count)
        return false;
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        const struct group_protocol *a = &member->protocols[i];
        const struct group_protocol *b = &join->protocols[i];
        if (slice_compare(a->name, b->name) != 0 || slice_compare(a->metadata, b->metadata) != 0)
            return false;
    }
    return true;
}

const struct group_protocol *member_protocol(const struct group_member *member, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < member->protocol_count; i++) {
        if (slice_equals_text(member->protocols[i].name, name))
            return &member->protocols[i];
    }
    return NULL;
}

void member_join_answer(struct group_member *member, enum error error)
{
    struct group_join *join = member->join;
    if (join == NULL)
        return;
    member->join = NULL;
    join->waiting_member = NULL;
    join->error = error;
    if (error != ERROR_NONE)
        join->joined_member_id = join->member_id;
    executor_post(member->group->coordinator->options.executor, &join->task);
}

void member_sync_answer(struct group_member *member, enum error error)
{
    struct group_sync *sync = member->sync;
    if (sync == NULL)
        return;
    struct group *group = member->group;
    member->sync = NULL;
    sync->waiting_member = NULL;
    sync->error = error;
    if (error == ERROR_NONE) {
        sync->assignment = arena_copy(
            sync->arena,
            slice_from(member->assignment != NULL ? (const void *)member->assignment : "",
                       member->assignment_size));
        sync->result_protocol_type = arena_copy(sync->arena, slice_of(group->protocol_type));
        sync->result_protocol_name = arena_copy(sync->arena, slice_of(group->protocol_name));
        if (sync->assignment.data == NULL)
            sync->error = ERROR_OUT_OF_MEMORY;
    }
    executor_post(group->coordinator->options.executor, &sync->task);
}

enum error member_check(struct group *group, struct slice member_id, struct slice instance_id,
                        struct group_member **ret_member)
{
    struct group_member *member;
    if (instance_id.data != NULL) {
        member = member_find_instance(group, instance_id);
        if (member == NULL)
            return ERROR_UNKNOWN_MEMBER_ID;
        if (!slice_equals_text(member_id, member->id))
            return ERROR_FENCED_INSTANCE_ID;
    } else {
        member = member_find(group, member_id);
        if (member == NULL)
            return ERROR_UNKNOWN_MEMBER_ID;
    }
    *ret_member = member;
    return ERROR_NONE;
}

struct group_pending *pending_find(struct group *group, struct slice id)
{
    struct group_pending *pending = NULL;
    if (id.size > 0)
        HASH_FIND(hh, group->pending, id.data, id.size, pending);
    return pending;
}

void pending_free(struct group *group, struct group_pending *pending)
{
    executor_timer_stop(group->coordinator->options.executor, &pending->timer);
    HASH_DELETE(hh, group->pending, pending);
    memory_free(pending);
}
