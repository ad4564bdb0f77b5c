/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated consumers: incremental fetch sessions over all partitions, every batch read and checked
 * as a client does. */
#include "sim/clients.h"

#include "base/assertion.h"
#include "record/walk.h"
#include "sim/simulated_file.h"
#include "wire/api_fetch.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FETCH_VERSION = 13, FOLLOWED_MAX = WORLD_TOPICS * WORLD_PARTITIONS };

/* A partition the consumer follows. */
struct followed {
    struct model_partition *partition;
    int64_t offset;
    int64_t told_offset; /* What the session knows; -1: nothing. */
};

struct consumer {
    struct world *world;
    struct client_call call;
    int32_t session_id;
    int32_t session_epoch;
    struct followed followed[FOLLOWED_MAX];
    uint32_t followed_count;
};

struct consumer *consumers_new(struct world *world)
{
    struct consumer *consumers = simulation_allocate(WORLD_FETCHERS * sizeof *consumers);
    for (int i = 0; i < WORLD_FETCHERS; i++)
        consumers[i].world = world;
    return consumers;
}

void consumers_free(struct consumer *consumers)
{
    free(consumers);
}

static void session_reset(struct consumer *consumer)
{
    consumer->session_id = 0;
    consumer->session_epoch = 0;
    for (uint32_t i = 0; i < consumer->followed_count; i++)
        consumer->followed[i].told_offset = -1;
}

void consumers_crashed(struct world *world)
{
    for (int i = 0; i < WORLD_FETCHERS; i++) {
        struct consumer *consumer = &world->consumers[i];
        if (consumer->call.in_flight)
            client_call_forget(&consumer->call);
        session_reset(consumer);
    }
}

bool consumers_idle(struct world *world)
{
    for (int i = 0; i < WORLD_FETCHERS; i++) {
        if (world->consumers[i].call.in_flight)
            return false;
    }
    return true;
}

void consumers_cancel(struct world *world)
{
    for (int i = 0; i < WORLD_FETCHERS; i++) {
        if (world->consumers[i].call.in_flight)
            request_cancel(&world->consumers[i].call.request);
    }
}

/* ---- reading batches ---- */

int64_t batches_read(struct world *world, struct model_partition *partition, int64_t offset,
                     const uint8_t *bytes, size_t size)
{
    struct codec_context context;
    codec_context_init(&context);
    struct batch_header header;
    size_t at = 0;
    while (batch_header_read(bytes + at, size - at, &header) == ERROR_NONE &&
           batch_crc_valid(bytes + at, header.size)) {
        struct record_walk walk;
        struct record record;
        (void)record_walk_init(&walk, &header, &context, CODEC_DECOMPRESSED_BYTES_MAX);
        while (record_walk_next(&walk, &record)) {
            if (record.offset < offset)
                continue;
            if (record.offset != offset)
                world_fail(world, "%s-%d: offset %" PRId64 " is followed by %" PRId64,
                           partition->topic, partition->index, offset - 1, record.offset);
            uint32_t number = model_read(world, partition, record.offset, record.value);
            partition->records[number].pass = world->model->pass;
            offset++;
        }
        if (walk.error != ERROR_NONE)
            world_fail(world,
                       "%s-%d: a batch at offset %" PRId64 " with a sound checksum does "
                       "not decode",
                       partition->topic, partition->index, header.base_offset);
        record_walk_done(&walk);
        at += header.size;
    }
    if (at < size && size - at >= BATCH_HEADER_BYTES && !partition->rotten &&
        batch_header_read(bytes + at, size - at, &header) == ERROR_NONE)
        world_fail(world, "%s-%d: a damaged batch behind offset %" PRId64 " is served",
                   partition->topic, partition->index, offset - 1);
    codec_context_done(&context);
    return offset;
}

/* ---- answers ---- */

static struct followed *followed_find(struct consumer *consumer, const struct uuid *id,
                                      int32_t index)
{
    for (uint32_t i = 0; i < consumer->followed_count; i++) {
        struct followed *followed = &consumer->followed[i];
        if (uuid_equals(&followed->partition->topic_id, id) && followed->partition->index == index)
            return followed;
    }
    return NULL;
}

static void out_of_range(struct consumer *consumer, struct followed *followed)
{
    struct model_partition *partition = followed->partition;
    bool may_be_deleted =
        followed->offset < partition->delete_asked || partition->retention_bytes >= 0;
    if (partition->durable && !partition->rotten && !may_be_deleted)
        world_fail(consumer->world, "%s-%d: offset %" PRId64 ", read up to before, is out of range",
                   partition->topic, partition->index, followed->offset);
    int64_t start = partition->log_start;
    followed->offset = followed->offset < start || followed->offset > partition->readable_end
                           ? start
                           : followed->offset;
    if (partition->retention_bytes >= 0 || followed->offset < partition->delete_asked) {
        /* The log start moved: ask the node, as auto.offset.reset=earliest does. */
        struct partition *local =
            node_partition(&consumer->world->node, partition->topic, partition->index);
        struct partition_offsets offsets;
        if (local != NULL && partition_offsets(local, &offsets) == ERROR_NONE &&
            followed->offset < offsets.log_start_offset)
            followed->offset = offsets.log_start_offset;
    }
}

static void read_records(struct consumer *consumer, struct followed *followed,
                         const struct fetch_response_partition_data *data)
{
    struct model_partition *partition = followed->partition;
    const struct records *records = &data->records;
    for (uint32_t i = 0; i < records->parts_count; i++) {
        const struct records_part *part = &records->parts[i];
        uint8_t *bytes = simulation_allocate(part->size);
        size_t size = 0;
        if (storage_read(part->file, part->position, bytes, part->size, &size) == ERROR_NONE) {
            if (size != part->size)
                world_fail(consumer->world, "%s-%d: an answer of %zu bytes has %zu",
                           partition->topic, partition->index, part->size, size);
            int64_t before = followed->offset;
            followed->offset =
                batches_read(consumer->world, partition, followed->offset, bytes, size);
            if (i == 0 && followed->offset > data->high_watermark)
                world_fail(consumer->world,
                           "%s-%d: offset %" PRId64 " is served above the high "
                           "watermark %" PRId64,
                           partition->topic, partition->index, followed->offset - 1,
                           data->high_watermark);
            world_trace(consumer->world, 3, (uint64_t)before, (uint64_t)followed->offset);
        }
        free(bytes);
    }
}

static void partition_answered(struct consumer *consumer, const struct uuid *topic_id,
                               const struct fetch_response_partition_data *data)
{
    struct followed *followed = followed_find(consumer, topic_id, data->partition_index);
    if (followed == NULL)
        return;
    struct model_partition *partition = followed->partition;
    if (data->error_code == error_to_kafka(ERROR_OFFSET_OUT_OF_RANGE)) {
        out_of_range(consumer, followed);
        followed->told_offset = -1;
        return;
    }
    if (data->error_code != 0) {
        world_say(consumer->world, "consumer: %s-%d error %d", partition->topic, partition->index,
                  data->error_code);
        return;
    }
    if (!partition->gone)
        model_told(consumer->world, partition, data->high_watermark, data->log_start_offset);
    read_records(consumer, followed, data);
}

static void release_records(const struct fetch_response *response)
{
    for (uint32_t i = 0; i < response->responses_count; i++) {
        for (uint32_t k = 0; k < response->responses[i].partitions_count; k++) {
            const struct records *records = &response->responses[i].partitions[k].records;
            for (uint32_t n = 0; n < records->parts_count; n++)
                records->release(records->parts[n].holder);
        }
    }
}

static void fetch_done(struct client_call *call)
{
    struct consumer *consumer = container_of(call, struct consumer, call);
    const struct fetch_response *response = call->request.response;
    if (response == NULL || response->error_code != 0) {
        session_reset(consumer);
        request_done(&call->request);
        return;
    }
    if (consumer->session_id != 0 && response->session_id != consumer->session_id)
        world_fail(consumer->world, "a fetch in session %d was answered for session %d",
                   consumer->session_id, response->session_id);
    consumer->session_id = response->session_id;
    consumer->session_epoch = response->session_id == 0 ? 0 : consumer->session_epoch + 1;
    for (uint32_t i = 0; i < response->responses_count; i++) {
        for (uint32_t k = 0; k < response->responses[i].partitions_count; k++)
            partition_answered(consumer, &response->responses[i].topic_id,
                               &response->responses[i].partitions[k]);
    }
    release_records(response);
    call->request.response_taken = true;
    request_done(&call->request);
    if (consumer->session_id == 0)
        session_reset(consumer);
}

/* ---- asking ---- */

/* Follows what is there now; *forgotten are those that went. */
static uint32_t follow(struct consumer *consumer, struct followed forgotten[FOLLOWED_MAX])
{
    struct model *model = consumer->world->model;
    uint32_t kept = 0;
    uint32_t forgotten_count = 0;
    for (uint32_t i = 0; i < consumer->followed_count; i++) {
        struct followed *followed = &consumer->followed[i];
        if (!followed->partition->gone)
            consumer->followed[kept++] = *followed;
        else if (followed->told_offset >= 0)
            forgotten[forgotten_count++] = *followed;
    }
    consumer->followed_count = kept;
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_partition *partition = model->partitions[i];
        if (partition->gone || consumer->followed_count == FOLLOWED_MAX ||
            followed_find(consumer, &partition->topic_id, partition->index) != NULL)
            continue;
        consumer->followed[consumer->followed_count++] = (struct followed){
            .partition = partition, .offset = partition->log_start, .told_offset = -1};
    }
    return forgotten_count;
}

static void consumer_act(struct world *world, struct consumer *consumer)
{
    if (consumer->call.in_flight)
        return;
    struct followed forgotten[FOLLOWED_MAX];
    uint32_t forgotten_count = follow(consumer, forgotten);
    struct client_call *call = &consumer->call;
    struct fetch_request *body = client_call_begin(call, world, API_FETCH, FETCH_VERSION);
    body->max_wait_ms = (int32_t)random_between(&world->random, 0, 500);
    body->min_bytes = (int32_t)random_between(&world->random, 0, 2000);
    body->max_bytes = (int32_t)random_between(&world->random, 1, 20000);
    body->session_id = consumer->session_id;
    body->session_epoch = consumer->session_epoch;
    body->topics = client_call_allocate(call, FOLLOWED_MAX, sizeof *body->topics);
    for (uint32_t i = 0; i < consumer->followed_count; i++) {
        struct followed *followed = &consumer->followed[i];
        if (followed->told_offset == followed->offset && consumer->session_id != 0)
            continue;
        struct fetch_request_fetch_topic *topic = &body->topics[body->topics_count++];
        topic->topic_id = followed->partition->topic_id;
        topic->partitions = client_call_allocate(call, 1, sizeof *topic->partitions);
        topic->partitions_count = 1;
        fetch_request_fetch_partition_init(topic->partitions);
        topic->partitions->partition = followed->partition->index;
        topic->partitions->fetch_offset = followed->offset;
        topic->partitions->partition_max_bytes = (int32_t)random_between(&world->random, 1, 10000);
        followed->told_offset = followed->offset;
    }
    body->forgotten_topics_data =
        client_call_allocate(call, FOLLOWED_MAX, sizeof *body->forgotten_topics_data);
    for (uint32_t i = 0; i < forgotten_count && consumer->session_id != 0; i++) {
        struct fetch_request_forgotten_topic *topic =
            &body->forgotten_topics_data[body->forgotten_topics_data_count++];
        topic->topic_id = forgotten[i].partition->topic_id;
        topic->partitions = client_call_allocate(call, 1, sizeof *topic->partitions);
        topic->partitions_count = 1;
        topic->partitions[0] = forgotten[i].partition->index;
    }
    client_call_send(call, fetch_done);
}

void consumers_act(struct world *world)
{
    consumer_act(world, &world->consumers[random_below(&world->random, WORLD_FETCHERS)]);
}
