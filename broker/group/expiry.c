/* SPDX-License-Identifier: Apache-2.0 */
/* The end of committed offsets (KIP-211): their group is empty for offsets.retention.minutes, or
 * does not read their topic any more; or the topic is deleted. */
#include "group/state.h"

#include "base/assertion.h"

static bool offset_expired(const struct group *group, const struct group_offset_entry *entry,
                           int64_t now_ms)
{
    int64_t retention_ms = group->coordinator->options.config.offsets_retention_ms;
    if (entry->expire_timestamp_ms >= 0)
        return now_ms >= entry->expire_timestamp_ms;
    /* A group that was never joined, and one with members, ages from each commit; another from when
     * it became empty. */
    int64_t since = entry->commit_timestamp_ms;
    if (group->protocol_type != NULL && group->state == GROUP_EMPTY &&
        group->state_timestamp_ms > since)
        since = group->state_timestamp_ms;
    return now_ms - since >= retention_ms;
}

/* The offsets in `context`'s write are gone from the log: forget those that are still the same. */
struct removal {
    uint32_t count;
    bool group_too;
    struct removed_offset {
        struct group_offset_entry *entry;
        int64_t commit_timestamp_ms;
    } removed[];
};

static void removal_stored(struct group_write *write, enum error error)
{
    struct removal *removal = write->context;
    struct group *group = write->group;
    /* Its own tombstone went along: nothing keeps the group now, unless somebody joined. */
    if (error == ERROR_NONE && removal->group_too && group->state == GROUP_EMPTY) {
        group->generation_id = 0;
        group->made = false;
    }
    for (uint32_t i = 0; error == ERROR_NONE && i < removal->count; i++) {
        /* Looked for by address: it may have gone meanwhile; a newer commit outlives it. */
        for (struct group_offset_entry *entry = group->offsets; entry != NULL;
             entry = entry->hh.next) {
            if (entry == removal->removed[i].entry &&
                entry->commit_timestamp_ms == removal->removed[i].commit_timestamp_ms) {
                offset_remove(group, entry);
                break;
            }
        }
    }
    memory_free(removal);
}

/* While a partition is loaded its groups are not yet what they will be: all look empty. */
static bool is_loaded(const struct group *group)
{
    return group->coordinator->shards[group->shard].state == SHARD_ACTIVE;
}

/* Writes tombstones for the offsets that `unwanted` picks, and for the group when none stays. */
static void remove_offsets(struct group *group,
                           bool (*unwanted)(const struct group *, const struct group_offset_entry *,
                                            const void *),
                           const void *context)
{
    uint32_t count = HASH_COUNT(group->offsets);
    struct removal *removal =
        memory_allocate(sizeof *removal + count * sizeof(struct removed_offset));
    struct group_write *write = removal == NULL ? NULL : group_write_new(group);
    if (write == NULL)
        goto refused;
    for (struct group_offset_entry *entry = group->offsets; entry != NULL; entry = entry->hh.next) {
        if (!unwanted(group, entry, context))
            continue;
        struct group_offset offset = {.topic = slice_of(entry->topic),
                                      .partition = entry->partition};
        if (group_write_offset(write, &offset, true) != ERROR_NONE)
            goto refused;
        removal->removed[removal->count++] =
            (struct removed_offset){entry, entry->commit_timestamp_ms};
    }
    removal->group_too = removal->count == count && group->state == GROUP_EMPTY &&
                         group->pending == NULL && is_loaded(group);
    if (removal->group_too ? group_write_metadata(write, true) != ERROR_NONE : removal->count == 0)
        goto refused;
    write->context = removal;
    write->done = removal_stored;
    group_write_submit(write);
    return;

refused: /* Nothing to do, or no memory: the next round tries again. */
    if (write != NULL)
        group_write_free(write);
    memory_free(removal);
}

static bool is_expired(const struct group *group, const struct group_offset_entry *entry,
                       const void *context)
{
    const int64_t *now_ms = context;
    return offset_expired(group, entry, *now_ms) &&
           (group->state == GROUP_EMPTY || !group_may_subscribe(group, slice_of(entry->topic)));
}

/* Offsets go of groups without members, and of those whose members' topics are known (Kafka's
 * ClassicGroup.offsetExpirationCondition). */
static bool may_expire(const struct group *group)
{
    return group->state == GROUP_EMPTY ||
           (group->state == GROUP_STABLE && group_is_of_consumers(group));
}

void group_offsets_expire(struct timer *timer)
{
    struct group_coordinator *coordinator =
        container_of(timer, struct group_coordinator, expiry_timer);
    int64_t now_ms = executor_wall_clock_ms(coordinator->options.executor);
    for (struct group *group = coordinator->groups, *next; group != NULL; group = next) {
        next = group->hh.next;
        /* An empty group without offsets goes at once (Kafka: maybeDeleteGroup). */
        bool holds_something = group->offsets != NULL || group->generation_id > 0;
        if (!is_loaded(group))
            continue;
        if (may_expire(group) && group->writes == 0 && holds_something)
            remove_offsets(group, is_expired, &now_ms);
        else
            group_drop_if_unused(group);
    }
    executor_timer_start(coordinator->options.executor, timer,
                         coordinator->options.config.offsets_retention_check_interval_ms);
}

static bool is_of_topic(const struct group *group, const struct group_offset_entry *entry,
                        const void *context)
{
    const struct slice *topic = context;
    (void)group;
    return slice_equals_text(*topic, entry->topic);
}

void group_coordinator_topic_deleted(struct group_coordinator *coordinator, struct slice topic)
{
    if (coordinator->stopping)
        return;
    for (struct group *group = coordinator->groups, *next; group != NULL; group = next) {
        next = group->hh.next;
        if (group->offsets != NULL)
            remove_offsets(group, is_of_topic, &topic);
    }
}
