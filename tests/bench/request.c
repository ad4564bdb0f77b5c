/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding requests and looking at their answers. */
#include "request.h"

#include "base/buffer.h"
#include "load.h"
#include "measure.h"
#include "record/build.h"
#include "wire/api_create_topics.h"
#include "wire/api_fetch.h"
#include "wire/api_metadata.h"
#include "wire/api_produce.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>

/* By topic name: the newest versions before topic ids, which a bare loop does not know. */
enum { CREATE_VERSION = 5, PRODUCE_VERSION = 12, FETCH_VERSION = 12, METADATA_VERSION = 8 };
enum { CORRELATION_ID = 7 };
enum { TIMEOUT_MS = 30000, FETCH_WAIT_MS = 500 };
#define OFFSET_MARK ((int64_t)0x7e57ab1e0ff5e7aa)

static void *memory_of(size_t size)
{
    void *block = calloc(1, size == 0 ? 1 : size);
    if (block == NULL)
        fail("allocate %zu bytes", size);
    return block;
}

static void require(enum error error, const char *what)
{
    errno = 0;
    if (error != ERROR_NONE)
        fail("%s: %s", what, error_text(error));
}

static void encode(enum api_key key, int16_t version, const void *body, struct request *ret_request)
{
    struct outgoing outgoing;
    require(frame_request_encode(api_find((int16_t)key), version, CORRELATION_ID, slice_of("bench"),
                                 body, &outgoing),
            "encode a request");
    *ret_request = (struct request){.bytes = memory_of(outgoing.size_bytes)};
    for (struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        memcpy(ret_request->bytes + ret_request->size, chunk->data, chunk->size);
        ret_request->size += chunk->size;
    }
    outgoing_done(&outgoing);
}

void request_done(struct request *request)
{
    free(request->bytes);
    *request = (struct request){0};
}

void request_make_create(const struct topic_wish *wish, struct request *ret_request)
{
    struct create_topics_request_creatable_topic_config *configs =
        memory_of(wish->config_count * sizeof *configs);
    for (size_t i = 0; i < wish->config_count; i++) {
        char *equals = strchr(wish->configs[i], '=');
        errno = 0;
        if (equals == NULL)
            fail("--config %s: KEY=VALUE is wanted", wish->configs[i]);
        configs[i].name = slice_from(wish->configs[i], (size_t)(equals - wish->configs[i]));
        configs[i].value = slice_of(equals + 1);
    }
    struct create_topics_request_creatable_topic topic = {
        .name = slice_of(wish->name),
        .num_partitions = wish->partitions,
        .replication_factor = wish->replicas,
        .configs = configs,
        .configs_count = (uint32_t)wish->config_count,
    };
    struct create_topics_request body;
    create_topics_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = TIMEOUT_MS;
    encode(API_CREATE_TOPICS, CREATE_VERSION, &body, ret_request);
    free(configs);
}

/* Printable and never the same twice in a row, as log lines are. */
static void fill_text(uint8_t *bytes, size_t size, uint64_t *state)
{
    for (size_t i = 0; i < size; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)("abcdefghijklmnopqrstuvwxyz 0123456789 ABCDEFGHIJKLMNOPQRSTUVWXY"
                                 [(*state >> 33) % 63]);
    }
}

static struct buffer *make_batch(const struct produce_wish *wish)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    uint8_t *value = memory_of(wish->record_bytes);
    uint64_t state = 1 + (uint64_t)wish->partition;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    for (size_t i = 0; i < wish->records; i++) {
        fill_text(value, wish->record_bytes, &state);
        require(batch_builder_append_next(&builder, now_ms, SLICE_NULL,
                                          slice_from(value, wish->record_bytes)),
                "build a batch");
    }
    struct buffer *batch;
    require(batch_builder_finish(&builder, NULL, &batch), "build a batch");
    batch_builder_done(&builder);
    free(value);
    return batch;
}

void request_make_produce(const struct produce_wish *wish, struct request *ret_request)
{
    struct buffer *batch = make_batch(wish);
    struct produce_request_partition_produce_data partition = {
        .index = wish->partition,
        .records.data = slice_from(batch->data, batch->size),
    };
    struct produce_request_topic_produce_data topic = {
        .name = slice_of(wish->topic),
        .partition_data = &partition,
        .partition_data_count = 1,
    };
    struct produce_request body;
    produce_request_init(&body);
    body.acks = wish->acks;
    body.timeout_ms = TIMEOUT_MS;
    body.topic_data = &topic;
    body.topic_data_count = 1;
    encode(API_PRODUCE, PRODUCE_VERSION, &body, ret_request);
    buffer_unref(batch);
}

void request_make_fetch(const struct fetch_wish *wish, struct request *ret_request)
{
    struct fetch_request_fetch_partition partition;
    fetch_request_fetch_partition_init(&partition);
    partition.partition = wish->partition;
    partition.fetch_offset = OFFSET_MARK;
    partition.partition_max_bytes = wish->bytes_max;
    struct fetch_request_fetch_topic topic = {
        .topic = slice_of(wish->topic),
        .partitions = &partition,
        .partitions_count = 1,
    };
    struct fetch_request body;
    fetch_request_init(&body);
    body.max_wait_ms = FETCH_WAIT_MS;
    body.min_bytes = 1;
    body.max_bytes = wish->bytes_max;
    body.topics = &topic;
    body.topics_count = 1;
    encode(API_FETCH, FETCH_VERSION, &body, ret_request);
    uint8_t mark[8];
    store_be64(mark, (uint64_t)OFFSET_MARK);
    ret_request->fetch_offset = memmem(ret_request->bytes, ret_request->size, mark, sizeof mark);
    errno = 0;
    if (ret_request->fetch_offset == NULL)
        fail("a Fetch request without its offset");
}

void request_make_metadata(const char *topic, struct request *ret_request)
{
    struct metadata_request_topic wanted;
    metadata_request_topic_init(&wanted);
    wanted.name = slice_of(topic);
    struct metadata_request body;
    metadata_request_init(&body);
    body.topics = &wanted;
    body.topics_count = 1;
    encode(API_METADATA, METADATA_VERSION, &body, ret_request);
}

/* ---- answers ---- */

static void refuse(int16_t code, const char *api)
{
    errno = 0;
    if (code != 0)
        fail("%s answered error %d", api, code);
}

static void begin_answer(struct slice answer, enum api_key key, int16_t version,
                         struct reader *ret_reader)
{
    int32_t correlation_id;
    reader_init(ret_reader, answer);
    require(frame_response_decode(ret_reader, api_find((int16_t)key), version, &correlation_id),
            "decode an answer");
    errno = 0;
    if (correlation_id != CORRELATION_ID)
        fail("answered %d, which was not asked", correlation_id);
}

void answer_check_create(struct slice answer, struct arena *arena)
{
    struct reader reader;
    struct create_topics_response body;
    begin_answer(answer, API_CREATE_TOPICS, CREATE_VERSION, &reader);
    require(create_topics_response_decode(&reader, CREATE_VERSION, arena, &body),
            "decode an answer");
    for (uint32_t i = 0; i < body.topics_count; i++)
        refuse(body.topics[i].error_code, "CreateTopics");
    arena_reset(arena);
}

static void place_take(const struct metadata_response *body, int32_t node_id,
                       struct load_place *ret_place)
{
    for (uint32_t i = 0; i < body->brokers_count; i++) {
        const struct metadata_response_broker *broker = &body->brokers[i];
        if (broker->node_id != node_id)
            continue;
        (void)snprintf(ret_place->host, sizeof ret_place->host, "%.*s", (int)broker->host.size,
                       (const char *)broker->host.data);
        (void)snprintf(ret_place->port, sizeof ret_place->port, "%d", broker->port);
        return;
    }
    errno = 0;
    fail("node %d leads a partition and is not listed", node_id);
}

void answer_take_leaders(struct slice answer, struct arena *arena, int32_t partitions,
                         struct load_place *ret_places)
{
    struct reader reader;
    struct metadata_response body;
    begin_answer(answer, API_METADATA, METADATA_VERSION, &reader);
    require(metadata_response_decode(&reader, METADATA_VERSION, arena, &body), "decode an answer");
    errno = 0;
    if (body.topics_count != 1)
        fail("Metadata answered for other topics");
    const struct metadata_response_topic *topic = &body.topics[0];
    refuse(topic->error_code, "Metadata");
    int32_t led = 0;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &topic->partitions[i];
        if (partition->partition_index >= partitions || partition->partition_index < 0)
            continue;
        refuse(partition->error_code, "Metadata");
        place_take(&body, partition->leader_id, &ret_places[partition->partition_index]);
        led++;
    }
    if (led != partitions)
        fail("%d partitions of %d have a leader", led, partitions);
    arena_reset(arena);
}

void answer_check_produce(struct slice answer, struct arena *arena)
{
    struct reader reader;
    struct produce_response body;
    begin_answer(answer, API_PRODUCE, PRODUCE_VERSION, &reader);
    require(produce_response_decode(&reader, PRODUCE_VERSION, arena, &body), "decode an answer");
    errno = 0;
    if (body.responses_count != 1 || body.responses[0].partition_responses_count != 1)
        fail("Produce answered for other partitions");
    refuse(body.responses[0].partition_responses[0].error_code, "Produce");
    arena_reset(arena);
}

/* Whole batches only: the last one may be cut short. */
static int64_t offset_behind(struct slice records, int64_t offset)
{
    size_t at = 0;
    while (records.size - at >= BATCH_HEADER_BYTES) {
        const uint8_t *batch = records.data + at;
        size_t size = (size_t)load_be32(batch + BATCH_LENGTH_AT) + BATCH_LENGTH_ENDS_AT;
        if (size > records.size - at)
            break;
        offset =
            (int64_t)load_be64(batch) + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT) + 1;
        at += size;
    }
    return offset;
}

int64_t answer_check_fetch(struct slice answer, struct arena *arena, int64_t offset,
                           size_t *ret_bytes)
{
    struct reader reader;
    struct fetch_response body;
    begin_answer(answer, API_FETCH, FETCH_VERSION, &reader);
    require(fetch_response_decode(&reader, FETCH_VERSION, arena, &body), "decode an answer");
    refuse(body.error_code, "Fetch");
    *ret_bytes = 0;
    if (body.responses_count == 1 && body.responses[0].partitions_count == 1) {
        const struct fetch_response_partition_data *partition = &body.responses[0].partitions[0];
        refuse(partition->error_code, "Fetch");
        *ret_bytes = partition->records.data.size;
        offset = offset_behind(partition->records.data, offset);
        if (offset >= partition->high_watermark)
            offset = 0; /* Asking behind the end would wait for what nobody writes. */
    }
    arena_reset(arena);
    return offset;
}
