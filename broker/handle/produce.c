/* SPDX-License-Identifier: Apache-2.0 */
/* Produce: admit (what is each batch allowed?), prepare (is each batch sound?), start (append all),
 * answer when the last append is done. Numbers in comments are the checks of protocol facts (d).
 *
 *   produce_admit -> produce_prepare -> handle_produce -> append_done ... append_done -> answer */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "record/build.h"
#include "record/validate.h"
#include "wire/api_produce.h"

/* Kafka's own tools may write to internal topics under this name. */
static const char *const internal_client_id = "__admin_client";

struct produce_topic;

/* One partition of the request. */
struct produce_part {
    struct produce *produce;
    const struct produce_request_topic_produce_data *topic;
    struct produce_response_partition_produce_response *answer;
    struct slice records;
    struct partition *partition; /* Counted from admit to the answer; NULL after a refusal. */
    struct batch_limits limits;
    int8_t compression_codec; /* -1: the producer's stays. */
    int32_t compression_level;
    enum error error;
    struct batch_refusal *refusal; /* Set with an error of the record checks. */
    struct buffer *rewritten;      /* The batch when it had to be built anew. */
    struct batch_facts facts;
    struct partition_append append;
};

struct produce {
    struct request *request;
    struct produce_part *parts;
    uint32_t parts_count;
    uint32_t pending;
    bool prepared;
    bool transactional; /* A batch of it is. */
    bool failed;        /* A part failed: closes the connection with acks=0. */
};

static void refuse(struct produce_part *part, enum error error)
{
    part->error = error;
    partition_unref(part->partition);
    part->partition = NULL;
}

/* Checks 2, 5, 6 and 7 as far as they need no append. */
static enum error find_partition(struct request *request,
                                 const struct produce_request_topic_produce_data *topic,
                                 int32_t index, struct partition **ret_partition)
{
    struct broker *broker = request->broker;
    const struct produce_request *body = request->body;
    bool by_id = request->version >= 13;
    const struct catalog_topic *known =
        by_id ? catalog_topic_find_id(broker->catalog, &topic->topic_id)
              : catalog_topic_find(broker->catalog, topic->name);
    if (by_id && known == NULL)
        return ERROR_UNKNOWN_TOPIC_ID;
    struct partition *partition =
        by_id ? partition_table_find_id(broker->partitions, &topic->topic_id, index)
              : partition_table_find(broker->partitions, topic->name, index);
    enum error absent = leader_hint_absent(broker, known, index);
    if (partition == NULL && absent == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        return absent;
    if (body->acks < -1 || body->acks > 1)
        return ERROR_INVALID_REQUIRED_ACKS;
    if (topic_is_internal(by_id ? slice_of(known->name) : topic->name) &&
        !slice_equals_text(request->requester.client_id, internal_client_id))
        return ERROR_INVALID_TOPIC;
    if (partition == NULL)
        return absent;
    /* What another node leads is not looked at: that one may see it otherwise. */
    enum error error = partition_check_leader(partition, -1);
    if (error == ERROR_NONE)
        *ret_partition = partition;
    return error;
}

static void part_admit(struct produce_part *part,
                       const struct produce_request_topic_produce_data *topic,
                       const struct produce_request_partition_produce_data *data)
{
    struct request *request = part->produce->request;
    const struct produce_request *body = request->body;
    part->records = data->records.data;
    part->error = body->transactional_id.data != NULL || part->produce->transactional
                      ? ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                      : find_partition(request, topic, data->index, &part->partition);
    if (part->error != ERROR_NONE)
        return;
    (void)partition_ref(part->partition);
    const struct partition_config *config = partition_config(part->partition);
    part->compression_codec = config->compression_codec;
    part->compression_level = config->compression_level;
    part->limits = (struct batch_limits){
        .produce_version = request->version,
        .size_bytes_max = (size_t)config->max_message_bytes,
        .segment_bytes_max = (size_t)config->log.segment_bytes,
        .decompressed_bytes_max = CODEC_DECOMPRESSED_BYTES_MAX,
        .is_compacted = config->compacted,
        .timestamp_type = config->log_append_time ? TIMESTAMP_APPEND : TIMESTAMP_CREATE,
        .now_ms = executor_wall_clock_ms(request->broker->executor),
        .timestamp_before_max_ms = config->timestamp_before_max_ms,
        .timestamp_after_max_ms = config->timestamp_after_max_ms,
    };
}

/* Check 1 looks at the first batch of every partition (Kafka:
 * RequestUtils.hasTransactionalRecords).
 */
static bool has_transactional(const struct produce_request_topic_produce_data *topic)
{
    for (uint32_t i = 0; i < topic->partition_data_count; i++) {
        struct slice records = topic->partition_data[i].records.data;
        if (records.size >= BATCH_HEADER_BYTES && records.data[BATCH_MAGIC_AT] == BATCH_MAGIC &&
            (load_be16(records.data + BATCH_ATTRIBUTES_AT) & BATCH_TRANSACTIONAL) != 0)
            return true;
    }
    return false;
}

/* Lays out the answer beside the request: same topics, same partitions, same order. */
static bool produce_lay_out(struct produce *produce)
{
    struct request *request = produce->request;
    const struct produce_request *body = request->body;
    struct produce_response *response = request_response(request);
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        count += body->topic_data[i].partition_data_count;
        produce->transactional |= has_transactional(&body->topic_data[i]);
    }
    produce->parts = arena_allocate_array(&request->arena, count, sizeof *produce->parts);
    if (response == NULL || produce->parts == NULL)
        return false;
    response->responses =
        arena_allocate_array(&request->arena, body->topic_data_count, sizeof *response->responses);
    if (response->responses == NULL)
        return false;
    response->responses_count = body->topic_data_count;
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &body->topic_data[i];
        struct produce_response_topic_produce_response *answer = &response->responses[i];
        produce_response_topic_produce_response_init(answer);
        answer->name = topic->name;
        answer->topic_id = topic->topic_id;
        answer->partition_responses = arena_allocate_array(
            &request->arena, topic->partition_data_count, sizeof *answer->partition_responses);
        if (answer->partition_responses == NULL)
            return false;
        answer->partition_responses_count = topic->partition_data_count;
        for (uint32_t j = 0; j < topic->partition_data_count; j++) {
            struct produce_part *part = &produce->parts[produce->parts_count++];
            part->produce = produce;
            part->topic = topic;
            part->answer = &answer->partition_responses[j];
            produce_response_partition_produce_response_init(part->answer);
            part->answer->index = topic->partition_data[j].index;
            part_admit(part, topic, &topic->partition_data[j]);
        }
    }
    return true;
}

bool produce_admit(struct request *request)
{
    struct produce *produce = arena_allocate(&request->arena, sizeof *produce);
    if (produce == NULL)
        return false;
    produce->request = request;
    request->handler_state = produce;
    if (!produce_lay_out(produce)) {
        for (uint32_t i = 0; i < produce->parts_count; i++)
            refuse(&produce->parts[i], ERROR_OUT_OF_MEMORY);
        produce->parts = NULL;
        return false;
    }
    return true;
}

/* A topic's own compression, or offsets a client left out of order, make the batch anew. */
static enum error rewrite(struct produce_part *part, struct codec_context *context)
{
    const struct batch_header *header = &part->facts.header;
    enum codec codec = part->compression_codec >= 0 ? (enum codec)part->compression_codec
                                                    : (enum codec)batch_codec(header);
    if (codec == (enum codec)batch_codec(header) && part->facts.offsets_in_order)
        return ERROR_NONE;
    int level = part->compression_codec >= 0 ? part->compression_level : codec_level_default(codec);
    enum error error = batch_recompress(header, codec, level, part->limits.decompressed_bytes_max,
                                        context, &part->rewritten);
    if (error != ERROR_NONE)
        return error;
    if (part->rewritten->size > part->limits.size_bytes_max)
        return ERROR_MESSAGE_TOO_LARGE;
    error = batch_header_read(part->rewritten->data, part->rewritten->size, &part->facts.header);
    ASSERT(error == ERROR_NONE);
    return ERROR_NONE;
}

static void part_prepare(struct produce_part *part, struct codec_context *context)
{
    struct arena *arena = &part->produce->request->arena;
    part->refusal = NULL;
    struct batch_refusal refusal = {0};
    part->error = batch_validate_produce(part->records.data, part->records.size, &part->limits,
                                         context, &part->facts, &refusal);
    if (part->error == ERROR_NONE)
        part->error = rewrite(part, context);
    if (part->error == ERROR_NONE) {
        uint8_t *batch = (uint8_t *)part->facts.header.bytes;
        batch_set_max_timestamp(batch, part->facts.header.size, part->limits.timestamp_type,
                                part->facts.max_timestamp);
        part->facts.header.max_timestamp = part->facts.max_timestamp;
        return;
    }
    if (refusal.text != NULL)
        part->refusal = arena_allocate(arena, sizeof *part->refusal);
    if (part->refusal != NULL)
        *part->refusal = refusal;
}

void produce_prepare(struct request *request, struct codec_context *context)
{
    struct produce *produce = request->handler_state;
    for (uint32_t i = 0; i < produce->parts_count; i++) {
        if (produce->parts[i].error == ERROR_NONE)
            part_prepare(&produce->parts[i], context);
    }
    produce->prepared = true;
}

static void fill_refusal(struct produce_part *part)
{
    const struct batch_refusal *refusal = part->refusal;
    if (refusal == NULL)
        return;
    struct arena *arena = &part->produce->request->arena;
    part->answer->error_message = slice_of(refusal->text);
    if (refusal->records_count == 0)
        return;
    part->answer->record_errors =
        arena_allocate_array(arena, refusal->records_count, sizeof *part->answer->record_errors);
    if (part->answer->record_errors == NULL)
        return; /* The message alone says what is wrong. */
    part->answer->record_errors_count = refusal->records_count;
    for (uint32_t i = 0; i < refusal->records_count; i++) {
        part->answer->record_errors[i].batch_index = refusal->records[i].index;
        part->answer->record_errors[i].batch_index_error_message =
            slice_of(refusal->records[i].text);
    }
}

/* v10+: tells the client where to go instead (KIP-951). */
static void fill_leader(struct produce_part *part)
{
    if (part->error != ERROR_NOT_LEADER_OR_FOLLOWER)
        return;
    struct request *request = part->produce->request;
    const struct catalog *catalog = request->broker->catalog;
    const struct catalog_topic *topic = request->version >= 13
                                            ? catalog_topic_find_id(catalog, &part->topic->topic_id)
                                            : catalog_topic_find(catalog, part->topic->name);
    (void)leader_hint(request->broker, topic, part->answer->index,
                      &part->answer->current_leader.leader_id,
                      &part->answer->current_leader.leader_epoch);
}

/* Where the leaders are that the answer names, each once. Without memory the client asks for
 * metadata as before. */
static void fill_endpoints(struct produce *produce)
{
    struct request *request = produce->request;
    struct produce_response *response = request->response;
    for (uint32_t i = 0; i < produce->parts_count; i++) {
        int32_t leader = produce->parts[i].answer->current_leader.leader_id;
        bool known = leader < 0;
        for (uint32_t n = 0; n < response->node_endpoints_count; n++)
            known = known || response->node_endpoints[n].node_id == leader;
        if (known)
            continue;
        if (response->node_endpoints == NULL)
            response->node_endpoints = arena_allocate_array(&request->arena, produce->parts_count,
                                                            sizeof *response->node_endpoints);
        if (response->node_endpoints == NULL)
            return;
        struct produce_response_node_endpoint *endpoint =
            &response->node_endpoints[response->node_endpoints_count];
        produce_response_node_endpoint_init(endpoint);
        endpoint->node_id = leader;
        response->node_endpoints_count += leader_hint_endpoint(request, leader, &endpoint->host,
                                                               &endpoint->port, &endpoint->rack);
    }
}

static void part_answer(struct produce_part *part)
{
    struct produce_response_partition_produce_response *answer = part->answer;
    answer->error_code = error_to_kafka(part->error);
    if (part->error == ERROR_NONE) {
        answer->base_offset = part->append.base_offset;
        answer->log_append_time_ms = part->append.log_append_time_ms;
        answer->log_start_offset = part->append.log_start_offset;
    } else {
        answer->base_offset = -1;
        part->produce->failed = true;
        fill_refusal(part);
        fill_leader(part);
    }
    partition_unref(part->partition);
    part->partition = NULL;
    buffer_unref(part->rewritten);
    part->rewritten = NULL;
}

static void produce_release(struct produce *produce)
{
    ASSERT(produce->pending > 0);
    if (--produce->pending > 0)
        return;
    struct request *request = produce->request;
    const struct produce_request *body = request->body;
    if (body->acks == 0) {
        request->no_response = true;
        request->close_connection = produce->failed;
    } else if (produce->failed) {
        fill_endpoints(produce);
    }
    request_complete(request);
}

static void append_done(struct partition_append *append)
{
    struct produce_part *part = container_of(append, struct produce_part, append);
    part->error = append->error;
    part_answer(part);
    produce_release(part->produce);
}

static void part_start(struct produce_part *part)
{
    const struct produce_request *body = part->produce->request->body;
    if (part->error != ERROR_NONE) {
        part_answer(part);
        return;
    }
    part->append = (struct partition_append){
        .batch = (uint8_t *)part->facts.header.bytes,
        .size = part->facts.header.size,
        .facts = part->facts,
        .acks = (int8_t)body->acks,
        .timeout_ms = body->timeout_ms < 0 ? 0 : body->timeout_ms,
        .done = append_done,
    };
    part->produce->pending++;
    partition_append(part->partition, &part->append);
}

void handle_produce(struct request *request)
{
    if (request->handler_state == NULL && !produce_admit(request)) {
        request_fail(request);
        return;
    }
    struct produce *produce = request->handler_state;
    if (produce->parts == NULL) {
        request_fail(request);
        return;
    }
    if (!produce->prepared) {
        struct codec_context context;
        codec_context_init(&context);
        produce_prepare(request, &context);
        codec_context_done(&context);
    }
    produce->pending = 1; /* Our own hold, so that the answer waits for the loop's end. */
    for (uint32_t i = 0; i < produce->parts_count; i++)
        part_start(&produce->parts[i]);
    produce_release(produce);
}
