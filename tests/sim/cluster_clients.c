/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a simulated cluster: an administrator who makes a topic, idempotent producers who
 * repeat until they know, and readers who follow each partition from its first record on.
 *
 * Checked: each record that was acknowledged is where it was said to be; each producer's records
 * are read exactly once, in order, none left out; an offset read once never changes. */
#include "sim/cluster_call.h"

#include "base/assertion.h"
#include "record/build.h"
#include "record/walk.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"
#include "wire/api_create_topics.h"
#include "wire/api_fetch.h"
#include "wire/api_produce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRODUCE_VERSION = 11,
    FETCH_VERSION = 12,
    CREATE_VERSION = 7,
    RECORDS_MAX = 5,
    VALUE_BYTES = 16
};

static const char topic_name[] = "t";

struct record_place {
    uint32_t producer; /* + 1; 0: not known. */
    uint32_t number;
};

struct ledger_partition {
    struct record_place *by_offset; /* Acknowledged there, or read there. */
    int64_t capacity;
    int64_t acknowledged_end; /* Behind the last acknowledged record. */
};

struct ledger {
    struct ledger_partition partitions[CLUSTER_PARTITIONS];
};

struct client_producer {
    struct client_call call;
    uint32_t index;
    int32_t partition;
    int32_t leader_epoch; /* The newest seen. */
    int64_t producer_id;
    uint32_t number, count; /* Of the batch under way; count 0: none. */
    struct buffer *bytes;
    int64_t next_ms;
};

struct client_reader {
    struct client_call call;
    int32_t partition;
    int32_t leader_epoch; /* The newest seen. */
    int64_t offset;
    int64_t asked_offset; /* Of the call in flight. */
    int64_t high_watermark;
    int64_t next_ms;
    uint32_t next_number[CLUSTER_PRODUCERS];
    bool whole; /* Reads all anew, at the end. */
};

struct client_admin {
    struct client_call call;
    int64_t next_ms;
};

/* ---- finding leaders ---- */

/* What some node's metadata says, unless the client has seen newer; -1: none, or nobody to ask. */
static int32_t leader_of(struct cluster *cluster, int32_t partition, int32_t *epoch)
{
    struct cluster_node *node =
        &cluster->nodes[random_below(&cluster->random, cluster->node_count)];
    if (node->state != NODE_SERVING)
        return -1;
    const struct catalog_topic *topic = catalog_topic_find(node->catalog, slice_of(topic_name));
    struct catalog_partition found;
    if (topic == NULL || !catalog_partition_find(node->catalog, topic, partition, &found))
        return -1;
    if (found.leader_epoch < *epoch)
        return -1;
    *epoch = found.leader_epoch;
    return found.leader;
}

/* ---- ledger ---- */

static void place_record(struct cluster *cluster, int32_t partition, int64_t offset,
                         uint32_t producer, uint32_t number, const char *how)
{
    struct ledger_partition *ledger = &cluster->ledger->partitions[partition];
    if (offset < 0)
        cluster_fail(cluster, "t-%d: a record at offset %" PRId64, partition, offset);
    if (offset >= ledger->capacity) {
        int64_t capacity = offset * 2 + 256;
        ledger->by_offset =
            simulation_resize(ledger->by_offset, (size_t)capacity * sizeof *ledger->by_offset);
        memset(ledger->by_offset + ledger->capacity, 0,
               (size_t)(capacity - ledger->capacity) * sizeof *ledger->by_offset);
        ledger->capacity = capacity;
    }
    struct record_place *place = &ledger->by_offset[offset];
    if (place->producer != 0 && (place->producer != producer + 1 || place->number != number))
        cluster_fail(cluster,
                     "t-%d: offset %" PRId64 " held record %u of producer %u and is %s as record "
                     "%u of producer %u",
                     partition, offset, place->number, place->producer - 1, how, number, producer);
    *place = (struct record_place){producer + 1, number};
}

/* ---- producers ---- */

static void batch_make(struct client_producer *producer)
{
    struct batch_options options = batch_options_default();
    options.producer_id = producer->producer_id;
    options.producer_epoch = 0;
    options.base_sequence = (int32_t)producer->number;
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    for (uint32_t i = 0; i < producer->count; i++) {
        char value[VALUE_BYTES + 1];
        (void)snprintf(value, sizeof value, "%07u %08u", producer->index, producer->number + i);
        enum error error = batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS, SLICE_NULL,
                                                     slice_from(value, VALUE_BYTES));
        ASSERT(error == ERROR_NONE);
    }
    enum error error = batch_builder_finish(&builder, NULL, &producer->bytes);
    ASSERT(error == ERROR_NONE);
    batch_builder_done(&builder);
}

static void acknowledged(struct client_producer *producer, int64_t base_offset)
{
    struct cluster *cluster = producer->call.cluster;
    struct ledger_partition *ledger = &cluster->ledger->partitions[producer->partition];
    for (uint32_t i = 0; i < producer->count; i++)
        place_record(cluster, producer->partition, base_offset + i, producer->index,
                     producer->number + i, "acknowledged");
    if (base_offset + producer->count > ledger->acknowledged_end)
        ledger->acknowledged_end = base_offset + producer->count;
    cluster_check_committed(cluster, producer->partition, ledger->acknowledged_end);
    cluster->acknowledged += producer->count;
    uint64_t facts[] = {producer->index, producer->number, (uint64_t)base_offset};
    cluster->trace = simulated_hash(cluster->trace, facts, sizeof facts);
    cluster_say(cluster, "producer %u record %u: at offset %" PRId64 " of t-%d", producer->index,
                producer->number, base_offset, producer->partition);
    producer->number += producer->count;
    producer->count = 0;
    buffer_unref(producer->bytes);
    producer->bytes = NULL;
}

static void produce_ended(struct client_call *call)
{
    struct client_producer *producer = container_of(call, struct client_producer, call);
    struct cluster *cluster = call->cluster;
    producer->next_ms = client_soon(cluster);
    if (call->call.error != ERROR_NONE)
        return; /* Sent again, the same. */
    const struct produce_response *response = call->call.response;
    ASSERT(response->responses_count == 1);
    int16_t code = response->responses[0].partition_responses[0].error_code;
    int64_t base_offset = response->responses[0].partition_responses[0].base_offset;
    if (code == 0)
        acknowledged(producer, base_offset);
    else if (code == error_to_kafka(ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER) ||
             code == error_to_kafka(ERROR_INVALID_PRODUCER_EPOCH))
        cluster_fail(cluster, "t-%d: producer %u, record %u: refused as out of order",
                     producer->partition, producer->index, producer->number);
    else
        cluster_say(cluster, "producer %u record %u: error %d", producer->index, producer->number,
                    code);
}

static void producer_act(struct client_producer *producer, bool finish)
{
    struct cluster *cluster = producer->call.cluster;
    if (producer->call.in_flight || cluster_now_ms(cluster) < producer->next_ms ||
        (finish && producer->count == 0))
        return;
    int32_t leader = leader_of(cluster, producer->partition, &producer->leader_epoch);
    if (leader < 0)
        return;
    if (producer->count == 0) {
        producer->count = (uint32_t)random_between(&cluster->random, 1, RECORDS_MAX);
        batch_make(producer);
    }
    struct produce_request *body =
        client_call_open(&producer->call, API_PRODUCE, PRODUCE_VERSION, leader, CALL_PRODUCE, 5000);
    body->acks = -1;
    body->timeout_ms = (int32_t)random_between(&cluster->random, 100, 4000);
    body->topic_data = client_call_take(&producer->call, sizeof *body->topic_data);
    body->topic_data_count = 1;
    body->topic_data->name = slice_of(topic_name);
    body->topic_data->partition_data =
        client_call_take(&producer->call, sizeof *body->topic_data->partition_data);
    body->topic_data->partition_data_count = 1;
    body->topic_data->partition_data->index = producer->partition;
    body->topic_data->partition_data->records.data =
        slice_from(producer->bytes->data, producer->bytes->size);
    client_call_start(&producer->call, produce_ended);
}

/* ---- readers ---- */

static void record_met(struct client_reader *reader, const struct record *record)
{
    struct cluster *cluster = reader->call.cluster;
    unsigned producer = 0;
    unsigned number = 0;
    char value[VALUE_BYTES + 1] = "";
    if (record->value.size == VALUE_BYTES)
        memcpy(value, record->value.data, VALUE_BYTES);
    if (sscanf(value, "%u %u", &producer, &number) != 2 || producer >= CLUSTER_PRODUCERS)
        cluster_fail(cluster, "t-%d: a record nobody sent at offset %" PRId64, reader->partition,
                     record->offset);
    if (record->offset != reader->offset)
        cluster_fail(cluster, "t-%d: offset %" PRId64 " is followed by %" PRId64, reader->partition,
                     reader->offset - 1, record->offset);
    if (number != reader->next_number[producer])
        cluster_fail(cluster,
                     "t-%d: at offset %" PRId64 " record %u of producer %u, after record %d",
                     reader->partition, record->offset, number, producer,
                     (int)reader->next_number[producer] - 1);
    place_record(cluster, reader->partition, record->offset, producer, number, "read");
    reader->next_number[producer] = number + 1;
    reader->offset = record->offset + 1;
    cluster->read++;
}

static void batches_read(struct client_reader *reader, struct slice bytes)
{
    struct batch_header header;
    size_t at = 0;
    while (batch_header_read(bytes.data + at, bytes.size - at, &header) == ERROR_NONE) {
        if (!batch_crc_valid(bytes.data + at, header.size))
            break; /* Cut off by the limit, or rotten: the reader asks again. */
        struct record_walk walk;
        struct record record;
        (void)record_walk_init(&walk, &header, NULL, CODEC_DECOMPRESSED_BYTES_MAX);
        while (record_walk_next(&walk, &record))
            if (record.offset >= reader->offset)
                record_met(reader, &record);
        record_walk_done(&walk);
        at += header.size;
    }
}

static void fetch_ended(struct client_call *call)
{
    struct client_reader *reader = container_of(call, struct client_reader, call);
    struct cluster *cluster = call->cluster;
    reader->next_ms = client_soon(cluster);
    const struct fetch_response *response = call->call.response;
    if (call->call.error != ERROR_NONE || response->responses_count != 1)
        return;
    if (reader->asked_offset != reader->offset)
        return; /* It begins anew since it asked. */
    const struct fetch_response_partition_data *data = &response->responses[0].partitions[0];
    if (data->error_code != 0) {
        cluster_say(cluster, "reader %d at %" PRId64 ": error %d", reader->partition,
                    reader->offset, data->error_code);
        return;
    }
    if (data->high_watermark > reader->high_watermark)
        reader->high_watermark = data->high_watermark;
    if (data->records.data.data != NULL)
        batches_read(reader, data->records.data);
}

static void reader_act(struct client_reader *reader)
{
    struct cluster *cluster = reader->call.cluster;
    if (reader->call.in_flight || cluster_now_ms(cluster) < reader->next_ms)
        return;
    int32_t leader = leader_of(cluster, reader->partition, &reader->leader_epoch);
    if (leader < 0)
        return;
    struct fetch_request *body =
        client_call_open(&reader->call, API_FETCH, FETCH_VERSION, leader, CALL_READ, 3000);
    body->max_wait_ms = 100;
    body->min_bytes = 1;
    body->session_epoch = -1;
    body->topics = client_call_take(&reader->call, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->topic = slice_of(topic_name);
    body->topics->partitions = client_call_take(&reader->call, sizeof *body->topics->partitions);
    body->topics->partitions_count = 1;
    fetch_request_fetch_partition_init(body->topics->partitions);
    body->topics->partitions->partition = reader->partition;
    reader->asked_offset = reader->offset;
    body->topics->partitions->fetch_offset = reader->asked_offset;
    body->topics->partitions->partition_max_bytes =
        (int32_t)random_between(&cluster->random, 100, 20000);
    client_call_start(&reader->call, fetch_ended);
}

/* ---- the administrator ---- */

static void create_ended(struct client_call *call)
{
    container_of(call, struct client_admin, call)->next_ms = client_soon(call->cluster);
}

static bool topic_exists(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (node->state == NODE_SERVING &&
            catalog_topic_find(node->catalog, slice_of(topic_name)) != NULL)
            return true;
    }
    return false;
}

static void admin_act(struct client_admin *admin)
{
    struct cluster *cluster = admin->call.cluster;
    if (admin->call.in_flight || cluster_now_ms(cluster) < admin->next_ms || topic_exists(cluster))
        return;
    int32_t node = cluster_any_node(cluster);
    if (node < 0)
        return;
    struct create_topics_request *body = client_call_open(
        &admin->call, API_CREATE_TOPICS, CREATE_VERSION, node, CALL_CONTROL, 10000);
    body->timeout_ms = 5000;
    body->topics = client_call_take(&admin->call, sizeof *body->topics);
    create_topics_request_creatable_topic_init(body->topics);
    body->topics_count = 1;
    body->topics->name = slice_of(topic_name);
    body->topics->num_partitions = CLUSTER_PARTITIONS;
    body->topics->replication_factor = 3;
    struct create_topics_request_creatable_topic_config *configs =
        client_call_take(&admin->call, 2 * sizeof *configs);
    configs[0].name = slice_of("min.insync.replicas");
    configs[0].value = slice_of("2");
    configs[1].name = slice_of("topicfs.durability");
    configs[1].value = slice_of(cluster->replicated ? "replicated" : "fsync");
    body->topics->configs = configs;
    body->topics->configs_count = 2;
    client_call_start(&admin->call, create_ended);
}

/* ---- all of them ---- */

int32_t cluster_any_node(struct cluster *cluster)
{
    const struct cluster_node *node =
        &cluster->nodes[random_below(&cluster->random, cluster->node_count)];
    return node->state == NODE_DOWN ? -1 : node->founding.node_id;
}

void cluster_clients_init(struct cluster *cluster)
{
    cluster->ledger = simulation_allocate(sizeof *cluster->ledger);
    cluster->producers = simulation_allocate(CLUSTER_PRODUCERS * sizeof *cluster->producers);
    cluster->readers = simulation_allocate(CLUSTER_PARTITIONS * sizeof *cluster->readers);
    cluster->admin = simulation_allocate(sizeof *cluster->admin);
    cluster->admin->call.cluster = cluster;
    for (uint32_t i = 0; i < CLUSTER_PRODUCERS; i++) {
        cluster->producers[i].call.cluster = cluster;
        cluster->producers[i].index = i;
        cluster->producers[i].producer_id = 1000 + i;
        cluster->producers[i].partition =
            (int32_t)random_below(&cluster->random, CLUSTER_PARTITIONS);
    }
    cluster_committers_init(cluster);
    cluster_steward_init(cluster);
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        cluster->readers[i].call.cluster = cluster;
        cluster->readers[i].partition = i;
    }
}

void cluster_clients_done(struct cluster *cluster)
{
    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        free(cluster->ledger->partitions[i].by_offset);
    free(cluster->ledger);
    free(cluster->producers);
    free(cluster->readers);
    free(cluster->admin);
    cluster_committers_done(cluster);
    cluster_steward_done(cluster);
}

void cluster_clients_act(struct cluster *cluster, bool finish)
{
    uint32_t before = process_memory_select(CLUSTER_CLIENT + 1);
    admin_act(cluster->admin);
    for (int i = 0; i < CLUSTER_PRODUCERS; i++)
        producer_act(&cluster->producers[i], finish);
    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        reader_act(&cluster->readers[i]);
    cluster_committers_act(cluster, finish);
    if (!finish)
        cluster_steward_act(cluster);
    (void)process_memory_select(before);
}

bool cluster_clients_idle(struct cluster *cluster)
{
    bool idle =
        !cluster->admin->call.in_flight && topic_exists(cluster) && cluster_steward_idle(cluster);
    for (int i = 0; i < CLUSTER_PRODUCERS; i++)
        idle = idle && cluster->producers[i].count == 0 && !cluster->producers[i].call.in_flight;
    return idle;
}

bool cluster_clients_quiet(struct cluster *cluster)
{
    for (int i = 0; i < CLUSTER_PARTITIONS; i++)
        if (cluster->readers[i].call.in_flight)
            return false;
    return true;
}

void cluster_read_all(struct cluster *cluster)
{
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        struct client_reader *reader = &cluster->readers[i];
        reader->offset = 0;
        memset(reader->next_number, 0, sizeof reader->next_number);
    }
}

bool cluster_read_all_done(struct cluster *cluster)
{
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++)
        if (cluster->readers[i].offset < cluster->ledger->partitions[i].acknowledged_end)
            return false;
    return true;
}
