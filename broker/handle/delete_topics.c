/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteTopics by name or, from version 6, by id (KIP-516). */
#include "handle/duplicates.h"
#include "handle/handlers.h"
#include "handle/proposal.h"
#include "wire/api_delete_topics.h"

struct delete_one {
    struct proposal proposal;
    struct request *request;
    struct delete_topics_response_deletable_topic_result *answer;
    bool by_name;
};

/* A topic as either form of the request names it. */
struct named {
    struct slice name; /* Null: by id. */
    struct uuid id;
};

static void refuse(struct delete_one *one, enum error error, const char *reason)
{
    one->answer->error_code = error_to_kafka(error);
    one->answer->error_message = slice_of(reason == NULL ? error_text(error) : reason);
}

static void one_done(struct proposal *proposal)
{
    struct delete_one *one = container_of(proposal, struct delete_one, proposal);
    enum error error = proposal->outcome.error;
    if (error == ERROR_UNKNOWN_TOPIC_ID && one->by_name) /* Somebody else was first. */
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error != ERROR_NONE)
        refuse(one, error, NULL);
    request_release(one->request);
}

static struct named named_at(const struct request *request, uint32_t index)
{
    const struct delete_topics_request *body = request->body;
    if (request->version < 6)
        return (struct named){.name = body->topic_names[index]};
    return (struct named){.name = body->topics[index].name, .id = body->topics[index].topic_id};
}

static int32_t timeout_ms_of(const struct request *request)
{
    const struct delete_topics_request *body = request->body;
    return body->timeout_ms;
}

static uint32_t named_count(const struct request *request)
{
    const struct delete_topics_request *body = request->body;
    return request->version < 6 ? body->topic_names_count : body->topics_count;
}

static const struct catalog_topic *topic_of(const struct request *request, struct named named)
{
    const struct catalog *catalog = request->broker->catalog;
    return slice_is_null(named.name) ? catalog_topic_find_id(catalog, &named.id)
                                     : catalog_topic_find(catalog, named.name);
}

/* Which of the topics are named more than once, in whatever way; NULL without memory. */
static bool *mark_duplicates(struct request *request)
{
    uint32_t count = named_count(request);
    struct slice *names = arena_allocate_array(&request->arena, count, sizeof *names);
    if (names == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct named one = named_at(request, i);
        const struct catalog_topic *topic = topic_of(request, one);
        if (topic != NULL)
            names[i] = slice_from(topic->id.bytes, UUID_BYTES);
        else if (!slice_is_null(one.name))
            names[i] = one.name;
        else
            names[i] = arena_copy(&request->arena, slice_from(one.id.bytes, UUID_BYTES));
        if (names[i].data == NULL)
            return NULL;
    }
    return duplicates_mark(&request->arena, names, count, sizeof *names, 0);
}

static enum error check(const struct request *request, uint32_t index, bool duplicate,
                        const char **ret_reason)
{
    struct named one = named_at(request, index);
    bool has_name = !slice_is_null(one.name);
    bool has_id = !uuid_is_zero(&one.id);
    if (has_name == has_id) {
        *ret_reason = has_name ? "You may not specify both topic name and topic id."
                               : "Neither topic name nor id were specified.";
        return ERROR_INVALID_REQUEST;
    }
    if (duplicate) {
        *ret_reason = has_name ? "Duplicate topic name." : "Duplicate topic id.";
        return ERROR_INVALID_REQUEST;
    }
    if (timeout_ms_of(request) <= 0)
        return ERROR_REQUEST_TIMED_OUT;
    if (topic_of(request, one) == NULL)
        return has_name ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_UNKNOWN_TOPIC_ID;
    if (!config_node_boolean(request->broker->config, "delete.topic.enable")) {
        *ret_reason = "delete.topic.enable is false.";
        return request->version < 3 ? ERROR_INVALID_REQUEST : ERROR_TOPIC_DELETION_DISABLED;
    }
    return ERROR_NONE;
}

static void delete_start(struct request *request, uint32_t index, bool duplicate,
                         struct delete_one *one)
{
    struct named named = named_at(request, index);
    const char *reason = NULL;
    delete_topics_response_deletable_topic_result_init(one->answer);
    one->answer->name = named.name;
    one->answer->topic_id = named.id;
    one->by_name = !slice_is_null(named.name);
    enum error error = check(request, index, duplicate, &reason);
    if (error != ERROR_NONE) {
        refuse(one, error, reason);
        return;
    }
    const struct catalog_topic *topic = topic_of(request, named);
    struct slice name = arena_copy(&request->arena, slice_of(topic->name));
    if (name.data == NULL) {
        refuse(one, ERROR_OUT_OF_MEMORY, NULL);
        return;
    }
    one->answer->name = name;
    one->answer->topic_id = topic->id;
    struct catalog_command command = {.kind = CATALOG_TOPIC_DELETE, .topic_id = topic->id};
    one->proposal.done = one_done;
    request_hold(request);
    proposal_start(request->broker, &command, timeout_ms_of(request), &one->proposal);
}

void handle_delete_topics(struct request *request)
{
    uint32_t count = named_count(request);
    struct arena *arena = &request->arena;
    struct delete_topics_response *response = request_response(request);
    struct delete_one *each = arena_allocate_array(arena, count, sizeof *each);
    const bool *duplicates = mark_duplicates(request);
    if (response != NULL)
        response->responses = arena_allocate_array(arena, count, sizeof *response->responses);
    if (response == NULL || response->responses == NULL || each == NULL || duplicates == NULL) {
        request_fail(request);
        return;
    }
    request_hold(request);
    response->responses_count = count;
    for (uint32_t i = 0; i < count; i++) {
        each[i].request = request;
        each[i].answer = &response->responses[i];
        delete_start(request, i, duplicates[i], &each[i]);
    }
    request_release(request);
}
