/* SPDX-License-Identifier: Apache-2.0 */
/* OffsetFetch: one group before v8, several since; the same lookups fill both shapes. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_offset_fetch.h"

typedef struct offset_fetch_response_topics answer_topic;
typedef struct offset_fetch_response_partitions answer_partition;

/* Collects a group's answer in the v8 shape; older versions are copied from it. */
struct collection {
    struct request *request;
    struct offset_fetch_response_group *answer;
    answer_partition *partitions; /* Room for all of the group's. */
    uint32_t used;
    uint32_t count;
    bool failed;
};

static void count_one(void *context, const struct group_offset *offset)
{
    (void)offset;
    ((struct collection *)context)->count++;
}

static bool fill_partition(struct request *request, const struct group_offset *offset,
                           answer_partition *answer)
{
    offset_fetch_response_partitions_init(answer);
    answer->partition_index = offset->partition;
    answer->committed_offset = offset->offset;
    answer->committed_leader_epoch = offset->leader_epoch;
    answer->metadata = arena_copy(&request->arena, offset->metadata);
    return answer->metadata.data != NULL;
}

/* Offsets come sorted by topic: a new topic begins where the name changes. */
static void add_one(void *context, const struct group_offset *offset)
{
    struct collection *all = context;
    struct request *request = all->request;
    answer_topic *last =
        all->answer->topics_count == 0 ? NULL : &all->answer->topics[all->answer->topics_count - 1];
    if (last == NULL || !slice_equals(last->name, offset->topic)) {
        const struct catalog_topic *topic =
            catalog_topic_find(request->broker->catalog, offset->topic);
        if (request->version >= 10 && topic == NULL)
            return; /* Has no id any more. */
        last = &all->answer->topics[all->answer->topics_count++];
        offset_fetch_response_topics_init(last);
        last->name = arena_copy(&request->arena, offset->topic);
        if (topic != NULL)
            last->topic_id = topic->id;
        last->partitions = &all->partitions[all->used];
        all->failed = all->failed || last->name.data == NULL;
    }
    last->partitions_count++;
    all->failed = !fill_partition(request, offset, &all->partitions[all->used++]) || all->failed;
}

static bool fetch_all(struct collection *all, struct slice group_id)
{
    struct group_coordinator *groups = all->request->broker->groups;
    struct arena *arena = &all->request->arena;
    enum error error = group_offset_each(groups, group_id, count_one, all);
    all->answer->error_code = error_to_kafka(error);
    all->answer->topics = arena_allocate_array(arena, all->count, sizeof *all->answer->topics);
    all->partitions = arena_allocate_array(arena, all->count, sizeof *all->partitions);
    if (all->answer->topics == NULL || all->partitions == NULL)
        return false;
    if (error == ERROR_NONE)
        (void)group_offset_each(groups, group_id, add_one, all);
    return !all->failed;
}

/* One asked topic, in either request shape. */
struct asked_topic {
    struct slice name;
    struct uuid topic_id;
    const int32_t *indexes;
    uint32_t count;
};

static bool fetch_topic(struct request *request, struct slice group_id,
                        const struct asked_topic *asked, answer_topic *answer)
{
    offset_fetch_response_topics_init(answer);
    answer->name = asked->name;
    answer->topic_id = asked->topic_id;
    answer->partitions =
        arena_allocate_array(&request->arena, asked->count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = asked->count;
    enum error error = ERROR_NONE;
    struct slice name = asked->name;
    if (request->version >= 10) {
        const struct catalog_topic *topic =
            catalog_topic_find_id(request->broker->catalog, &asked->topic_id);
        error = topic == NULL ? ERROR_UNKNOWN_TOPIC_ID : ERROR_NONE;
        name = slice_of(topic == NULL ? "" : topic->name);
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        struct group_offset offset = {.partition = asked->indexes[i],
                                      .offset = -1,
                                      .leader_epoch = -1,
                                      .metadata = SLICE_EMPTY};
        enum error found = error;
        if (found == ERROR_NONE)
            found = group_offset_find(request->broker->groups, group_id, name, asked->indexes[i],
                                      &offset);
        if (!fill_partition(request, &offset, &answer->partitions[i]))
            return false;
        answer->partitions[i].error_code = error_to_kafka(found);
    }
    return true;
}

static bool fetch_asked(struct request *request, struct slice group_id,
                        const struct asked_topic *asked, uint32_t count,
                        struct offset_fetch_response_group *answer)
{
    answer->topics = arena_allocate_array(&request->arena, count, sizeof *answer->topics);
    if (answer->topics == NULL)
        return false;
    answer->error_code = error_to_kafka(group_coordinator_check(request->broker->groups, group_id));
    for (uint32_t i = 0; i < count; i++) {
        if (!fetch_topic(request, group_id, &asked[i], &answer->topics[answer->topics_count++]))
            return false;
    }
    return true;
}

static bool fetch_groups(struct request *request, struct offset_fetch_response *response)
{
    const struct offset_fetch_request *body = request->body;
    struct arena *arena = &request->arena;
    response->groups = arena_allocate_array(arena, body->groups_count, sizeof *response->groups);
    if (response->groups == NULL)
        return false;
    for (uint32_t i = 0; i < body->groups_count; i++) {
        const struct offset_fetch_request_group *group = &body->groups[i];
        struct offset_fetch_response_group *answer = &response->groups[response->groups_count++];
        offset_fetch_response_group_init(answer);
        answer->group_id = group->group_id;
        answer->topics = WIRE_EMPTY;
        enum error error = group->member_id.data == NULL || group->member_epoch < 0
                               ? ERROR_NONE
                               : group_check_member(request->broker->groups, group->group_id,
                                                    group->member_id, group->member_epoch);
        if (error != ERROR_NONE) {
            answer->error_code = error_to_kafka(error);
            continue;
        }
        struct collection all = {.request = request, .answer = answer};
        struct asked_topic *asked = arena_allocate_array(arena, group->topics_count, sizeof *asked);
        if (asked == NULL)
            return false;
        for (uint32_t j = 0; j < group->topics_count; j++)
            asked[j] = (struct asked_topic){group->topics[j].name, group->topics[j].topic_id,
                                            group->topics[j].partition_indexes,
                                            group->topics[j].partition_indexes_count};
        if (group->topics == NULL
                ? !fetch_all(&all, group->group_id)
                : !fetch_asked(request, group->group_id, asked, group->topics_count, answer))
            return false;
    }
    return true;
}

/* v1 to v7: the same without the group around it. */
static bool copy_old_shape(struct request *request, const struct offset_fetch_response_group *group,
                           struct offset_fetch_response *response)
{
    struct arena *arena = &request->arena;
    response->error_code = group->error_code;
    response->topics = arena_allocate_array(arena, group->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    for (uint32_t i = 0; i < group->topics_count; i++) {
        const answer_topic *from = &group->topics[i];
        struct offset_fetch_response_topic *to = &response->topics[response->topics_count++];
        to->name = from->name;
        to->partitions =
            arena_allocate_array(arena, from->partitions_count, sizeof *to->partitions);
        if (to->partitions == NULL)
            return false;
        to->partitions_count = from->partitions_count;
        for (uint32_t j = 0; j < from->partitions_count; j++) {
            to->partitions[j].partition_index = from->partitions[j].partition_index;
            to->partitions[j].committed_offset = from->partitions[j].committed_offset;
            to->partitions[j].committed_leader_epoch = from->partitions[j].committed_leader_epoch;
            to->partitions[j].metadata = from->partitions[j].metadata;
            to->partitions[j].error_code = from->partitions[j].error_code;
        }
    }
    return true;
}

static bool fetch_one_group(struct request *request, struct offset_fetch_response *response)
{
    const struct offset_fetch_request *body = request->body;
    struct offset_fetch_response_group group;
    offset_fetch_response_group_init(&group);
    bool everything = body->topics == NULL && request->version >= 2;
    struct asked_topic *asked =
        arena_allocate_array(&request->arena, body->topics_count, sizeof *asked);
    if (asked == NULL)
        return false;
    for (uint32_t i = 0; i < body->topics_count; i++)
        asked[i] = (struct asked_topic){.name = body->topics[i].name,
                                        .indexes = body->topics[i].partition_indexes,
                                        .count = body->topics[i].partition_indexes_count};
    struct collection all = {.request = request, .answer = &group};
    if (everything ? !fetch_all(&all, body->group_id)
                   : !fetch_asked(request, body->group_id, asked, body->topics_count, &group))
        return false;
    return copy_old_shape(request, &group, response);
}

void handle_offset_fetch(struct request *request)
{
    struct offset_fetch_response *response = request_response(request);
    bool filled = response != NULL && (request->version >= 8 ? fetch_groups(request, response)
                                                             : fetch_one_group(request, response));
    request_end(request, filled);
}
