/* SPDX-License-Identifier: Apache-2.0 */
/* CreateTopics: every topic is checked, then proposed on its own; the answer waits for all of them.
 * Kafka's ReplicationControlManager.createTopics. */
#include "handle/config_edit.h"
#include "handle/duplicates.h"
#include "handle/handlers.h"
#include "handle/topic_creation.h"
#include "wire/api_create_topics.h"

struct create_one {
    struct topic_creation creation;
    struct request *request;
    struct create_topics_response_creatable_topic_result *answer;
    bool duplicate;
};

static void refuse(struct create_one *one, enum error error, struct slice reason)
{
    one->answer->error_code = error_to_kafka(error);
    one->answer->error_message = slice_is_null(reason) ? slice_of(error_text(error)) : reason;
    one->answer->topic_config_error_code = one->answer->error_code;
    one->answer->configs = WIRE_EMPTY;
    one->answer->configs_count = 0;
}

/* Version 5 and newer are told the whole configuration of the new topic. */
static bool fill_configs(struct request *request, const struct config_set *topic,
                         struct create_topics_response_creatable_topic_result *answer)
{
    uint32_t count = 0;
    answer->configs = arena_allocate_array(&request->arena, config_scope_count(CONFIG_TOPIC),
                                           sizeof *answer->configs);
    if (answer->configs == NULL)
        return false;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        const char *value =
            row->scope == CONFIG_TOPIC ? config_in_force(request->broker, row, topic) : NULL;
        if (value == NULL)
            continue;
        struct config_place places[CONFIG_PLACES_MAX];
        (void)config_places(request->broker, row, topic, places);
        struct create_topics_response_creatable_topic_configs *config = &answer->configs[count++];
        config->name = slice_of(row->key);
        config->value = slice_of(value);
        if (value != row->default_text)
            config->value = arena_copy(&request->arena, config->value);
        config->config_source = (int8_t)places[0].source;
        config->is_sensitive = row->sensitive;
        if (config->value.data == NULL)
            return false;
    }
    answer->configs_count = count;
    return true;
}

static void fill_made(struct create_one *one, const struct config_set *config)
{
    struct create_topics_response_creatable_topic_result *answer = one->answer;
    answer->num_partitions = (int32_t)one->creation.assignment_count;
    answer->replication_factor = (int16_t)one->creation.assignments[0].replica_count;
    if (!fill_configs(one->request, config, answer)) {
        /* Made all the same; KIP-525: the code says that the description is missing. */
        answer->topic_config_error_code = error_to_kafka(ERROR_OUT_OF_MEMORY);
        answer->configs = WIRE_EMPTY;
        answer->configs_count = 0;
    }
}

static void one_done(struct topic_creation *creation)
{
    struct create_one *one = container_of(creation, struct create_one, creation);
    if (creation->error != ERROR_NONE) {
        refuse(one, creation->error, SLICE_NULL);
    } else {
        one->answer->topic_id = creation->topic_id;
        const struct catalog_topic *topic =
            catalog_topic_find_id(one->request->broker->catalog, &creation->topic_id);
        fill_made(one, topic == NULL ? NULL : topic->config);
    }
    request_release(one->request);
}

/* ---- assignments given by hand ---- */

static enum error
check_replicas(struct request *request,
               const struct create_topics_request_creatable_replica_assignment *by,
               struct catalog_assignment *assignment, struct slice *ret_reason)
{
    struct arena *arena = &request->arena;
    if (by->broker_ids_count == 0 || by->broker_ids_count > CATALOG_REPLICAS_MAX) {
        *ret_reason = arena_format(arena, "The manual partition assignment includes %u replicas.",
                                   by->broker_ids_count);
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    }
    for (uint32_t i = 0; i < by->broker_ids_count; i++) {
        int32_t id = by->broker_ids[i];
        for (uint32_t j = 0; j < i; j++) {
            if (assignment->replicas[j] != id)
                continue;
            *ret_reason = arena_format(
                arena, "The manual partition assignment includes the broker %d more than once.",
                id);
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        if (catalog_node_find(request->broker->catalog, id) == NULL) {
            *ret_reason = arena_format(
                arena,
                "The manual partition assignment includes broker %d, but no such broker is "
                "registered.",
                id);
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        assignment->replicas[assignment->replica_count++] = id;
    }
    return ERROR_NONE;
}

static enum error take_assignments(struct request *request,
                                   const struct create_topics_request_creatable_topic *asked,
                                   struct topic_creation *creation, struct slice *ret_reason)
{
    uint32_t count = asked->assignments_count;
    if (asked->num_partitions != -1 || asked->replication_factor != -1) {
        *ret_reason = slice_of("A manual partition assignment was specified, but the number of "
                               "partitions or the replication factor was not set to -1.");
        return ERROR_INVALID_REQUEST;
    }
    if (count > TOPIC_PARTITIONS_MAX)
        return ERROR_INVALID_PARTITIONS;
    struct catalog_assignment *assignments =
        arena_allocate_array(&request->arena, count, sizeof *assignments);
    if (assignments == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = asked->assignments[i].partition_index;
        if (index < 0 || (uint32_t)index >= count || assignments[index].replica_count > 0) {
            *ret_reason = slice_of("Partition indexes of a manual assignment must be consecutive "
                                   "from 0, each once.");
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        enum error error =
            check_replicas(request, &asked->assignments[i], &assignments[index], ret_reason);
        if (error != ERROR_NONE)
            return error;
        if (assignments[index].replica_count != asked->assignments[0].broker_ids_count) {
            *ret_reason = slice_of("Every partition of a topic must have as many replicas.");
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    creation->assignments = assignments;
    creation->assignment_count = count;
    return ERROR_NONE;
}

/* ---- one topic ---- */

static enum error take_configs(struct request *request,
                               const struct create_topics_request_creatable_topic *asked,
                               struct topic_creation *creation, struct slice *ret_reason)
{
    struct catalog_pair *pairs =
        arena_allocate_array(&request->arena, asked->configs_count, sizeof *pairs);
    if (pairs == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < asked->configs_count; i++)
        pairs[i] = (struct catalog_pair){asked->configs[i].name, asked->configs[i].value};
    creation->pairs = pairs;
    creation->pair_count = asked->configs_count;
    return config_check_new_topic(request->broker, &request->arena, pairs, asked->configs_count,
                                  ret_reason);
}

static enum error plan(struct request *request, uint32_t index, struct create_one *one,
                       struct slice *ret_reason)
{
    const struct create_topics_request *body = request->body;
    const struct create_topics_request_creatable_topic *asked = &body->topics[index];
    if (one->duplicate) {
        *ret_reason = slice_of("Duplicate topic name.");
        return ERROR_INVALID_REQUEST;
    }
    if (body->timeout_ms <= 0)
        return ERROR_REQUEST_TIMED_OUT;
    one->creation.name = asked->name;
    one->creation.partition_count = asked->num_partitions;
    one->creation.replication_factor = asked->replication_factor;
    enum error error = ERROR_NONE;
    if (asked->assignments_count > 0)
        error = take_assignments(request, asked, &one->creation, ret_reason);
    if (error == ERROR_NONE)
        error = topic_creation_plan(request->broker, &request->arena, &one->creation, ret_reason);
    if (error == ERROR_NONE)
        error = take_configs(request, asked, &one->creation, ret_reason);
    return error;
}

/* With validate_only: the answer as if it had been made. */
static void fill_validated(struct create_one *one)
{
    struct config_set *config = NULL;
    char reason[CONFIG_REASON_BYTES];
    enum error error = config_set_new(&config);
    struct arena *arena = &one->request->arena;
    for (uint32_t i = 0; i < one->creation.pair_count && error == ERROR_NONE; i++) {
        struct slice key = arena_copy(arena, one->creation.pairs[i].key);
        struct slice value = arena_copy(arena, one->creation.pairs[i].value);
        if (key.data == NULL || value.data == NULL)
            error = ERROR_OUT_OF_MEMORY;
        else
            error = config_set_put(config, CONFIG_TOPIC, (const char *)key.data,
                                   (const char *)value.data, reason);
    }
    if (error == ERROR_NONE)
        fill_made(one, config);
    else
        refuse(one, error, SLICE_NULL);
    config_set_free(config);
}

static void create_start(struct request *request, uint32_t index, struct create_one *one)
{
    const struct create_topics_request *body = request->body;
    struct slice reason = SLICE_NULL;
    create_topics_response_creatable_topic_result_init(one->answer);
    one->answer->error_message = SLICE_NULL;
    one->answer->name = body->topics[index].name;
    enum error error = plan(request, index, one, &reason);
    if (error != ERROR_NONE) {
        refuse(one, error, reason);
        return;
    }
    if (body->validate_only) {
        fill_validated(one);
        return;
    }
    one->creation.timeout_ms = body->timeout_ms;
    one->creation.done = one_done;
    request_hold(request);
    topic_creation_start(request->broker, &one->creation);
}

void handle_create_topics(struct request *request)
{
    const struct create_topics_request *body = request->body;
    struct arena *arena = &request->arena;
    struct create_topics_response *response = request_response(request);
    struct create_one *each = arena_allocate_array(arena, body->topics_count, sizeof *each);
    const bool *duplicates =
        duplicates_mark(arena, body->topics, body->topics_count, sizeof *body->topics,
                        offsetof(struct create_topics_request_creatable_topic, name));
    if (response != NULL)
        response->topics =
            arena_allocate_array(arena, body->topics_count, sizeof *response->topics);
    if (response == NULL || response->topics == NULL || each == NULL || duplicates == NULL) {
        request_fail(request);
        return;
    }
    request_hold(request);
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        each[i].request = request;
        each[i].duplicate = duplicates[i];
        each[i].answer = &response->topics[i];
        create_start(request, i, &each[i]);
    }
    request_release(request);
}
