/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeLogDirs: the data directory, its space, and what each partition takes of it. */
#include "handle/handlers.h"
#include "wire/api_describe_log_dirs.h"

struct space {
    struct request *request;
    struct describe_log_dirs_response_describe_log_dirs_topic *topics;
    uint32_t count;
    bool refused;
};

/* An error when this node does not have the partition, or not a usable log of it. */
static enum error
fill_partition(struct request *request, struct slice topic, int32_t index,
               struct describe_log_dirs_response_describe_log_dirs_partition *answer)
{
    struct partition *partition = partition_table_find(request->broker->partitions, topic, index);
    struct log *log;
    if (partition == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    answer->partition_index = index;
    if (!partition_has_log(partition))
        return ERROR_NONE; /* Nothing was ever stored: no files need to be made to say so. */
    enum error error = partition_log(partition, &log);
    if (error == ERROR_NONE)
        answer->partition_size = log_size_bytes(log);
    return error;
}

/* The partitions of one topic that are asked for; all of them without a list. */
static void add_topic(struct space *space, struct slice name, const int32_t *asked, uint32_t count)
{
    struct arena *arena = &space->request->arena;
    struct describe_log_dirs_response_describe_log_dirs_topic *topic = &space->topics[space->count];
    topic->name = arena_copy(arena, name);
    topic->partitions = arena_allocate_array(arena, count, sizeof *topic->partitions);
    if (topic->name.data == NULL || topic->partitions == NULL) {
        space->refused = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = asked == NULL ? (int32_t)i : asked[i];
        enum error error = fill_partition(space->request, name, index,
                                          &topic->partitions[topic->partitions_count]);
        space->refused = space->refused || error == ERROR_OUT_OF_MEMORY;
        if (error == ERROR_NONE)
            topic->partitions_count++;
    }
    if (topic->partitions_count > 0)
        space->count++;
}

static bool add_known(void *context, const struct catalog_topic *topic)
{
    struct space *space = context;
    add_topic(space, slice_of(topic->name), NULL, topic->partition_count);
    return !space->refused;
}

static void add_asked(struct space *space)
{
    const struct describe_log_dirs_request *body = space->request->body;
    for (uint32_t i = 0; i < body->topics_count && !space->refused; i++)
        add_topic(space, body->topics[i].topic, body->topics[i].partitions,
                  body->topics[i].partitions_count);
}

void handle_describe_log_dirs(struct request *request)
{
    const struct describe_log_dirs_request *body = request->body;
    struct broker *broker = request->broker;
    struct describe_log_dirs_response *response = request_response(request);
    struct describe_log_dirs_response_describe_log_dirs_result *directory =
        arena_allocate(&request->arena, sizeof *directory);
    bool all = body->topics == NULL;
    struct space space = {.request = request};
    space.topics = arena_allocate_array(
        &request->arena, all ? catalog_topic_count(broker->catalog) : body->topics_count,
        sizeof *space.topics);
    if (response == NULL || directory == NULL || space.topics == NULL) {
        request_fail(request);
        return;
    }
    if (all)
        catalog_topic_each(broker->catalog, add_known, &space);
    else
        add_asked(&space);
    if (space.refused) {
        request_fail(request);
        return;
    }
    describe_log_dirs_response_describe_log_dirs_result_init(directory);
    directory->log_dir = slice_of(broker->data_directory);
    directory->topics = space.topics;
    directory->topics_count = space.count;
    struct storage_space free_space;
    if (storage_space(broker->storage, &free_space) == ERROR_NONE) { /* Else -1: not known. */
        directory->total_bytes = (int64_t)free_space.total_bytes;
        directory->usable_bytes = (int64_t)free_space.free_bytes;
    }
    response->results = directory;
    response->results_count = 1;
    request_complete(request);
}
