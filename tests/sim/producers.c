/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated producers: idempotent ones that repeat until they know, plain ones that give up, and
 * writers of files, whose lines become batches as fs makes them. */
#include "sim/clients.h"

#include "base/assertion.h"
#include "record/build.h"
#include "record/validate.h"
#include "sim/simulated_file.h"
#include "wire/api_produce.h"

#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 5, PRODUCE_VERSION = 11, RECORDS_MAX = 10 };
enum kind { IDEMPOTENT, PLAIN, FILE_WRITER };
enum slot_state { SLOT_FREE, SLOT_IN_FLIGHT, SLOT_REPEAT };

/* One batch on its way. */
struct slot {
    struct producer *producer;
    enum slot_state state;
    uint32_t number; /* Of its first record. */
    uint32_t count;
    int32_t sequence;
    uint64_t life; /* Of the node, when it was first sent. */
    struct client_call call;
    struct partition_append append; /* File writers. */
    struct buffer *bytes;
};

struct producer {
    struct world *world;
    uint32_t index;
    enum kind kind;
    char topic[16];
    int32_t partition_index;
    struct model_partition *partition; /* What it writes to; NULL: none yet. */
    int64_t producer_id;
    int32_t next_sequence;
    uint32_t next_slot; /* Slots are used round; batch n in slot n % WINDOW. */
    uint32_t oldest;    /* The first batch not done with. */
    bool known;         /* The node has the first batch of this producer id. */
    bool lost_track;    /* Whether the oldest batch is in the log cannot be known any more. */
    enum codec codec;
    struct slot slots[WINDOW];
};

struct producer *producers_new(struct world *world)
{
    struct producer *producers = simulation_allocate(WORLD_PRODUCERS * sizeof *producers);
    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        struct producer *producer = &producers[i];
        producer->world = world;
        producer->index = i;
        producer->kind = i < 3 ? IDEMPOTENT : i == 3 ? PLAIN : FILE_WRITER;
        (void)snprintf(producer->topic, sizeof producer->topic, "t%d",
                       (int)random_below(&world->random, WORLD_TOPICS));
        producer->partition_index = (int32_t)random_below(&world->random, WORLD_PARTITIONS);
        producer->codec = random_chance(&world->random, 1, 2)
                              ? CODEC_NONE
                              : (enum codec)random_below(&world->random, CODEC_COUNT);
        for (int k = 0; k < WINDOW; k++)
            producer->slots[k].producer = producer;
    }
    return producers;
}

void producers_free(struct producer *producers)
{
    free(producers);
}

static bool any_in_state(const struct producer *producer, enum slot_state state)
{
    for (int i = 0; i < WINDOW; i++) {
        if (producer->slots[i].state == state)
            return true;
    }
    return false;
}

/* What had no answer never gets one: a new producer id, nothing outstanding. */
static void give_up(struct producer *producer)
{
    ASSERT(!any_in_state(producer, SLOT_IN_FLIGHT));
    for (int i = 0; i < WINDOW; i++)
        producer->slots[i].state = SLOT_FREE;
    producer->producer_id =
        (int64_t)random_below(&producer->world->random, 1u << 30) * 16 + producer->index;
    producer->next_sequence = 0;
    producer->lost_track = false;
    producer->known = false;
    producer->oldest = producer->next_slot;
}

static void settle(struct producer *producer)
{
    while (producer->oldest < producer->next_slot &&
           producer->slots[producer->oldest % WINDOW].state == SLOT_FREE)
        producer->oldest++;
}

static void slot_ended(struct slot *slot, enum slot_state state)
{
    slot->state = state;
    settle(slot->producer);
}

static void slot_acknowledged(struct slot *slot, int64_t base_offset)
{
    struct producer *producer = slot->producer;
    model_acknowledged(producer->world, producer->partition, slot->number, slot->count,
                       base_offset);
    if (producer->oldest % WINDOW == (uint32_t)(slot - producer->slots))
        producer->known = true;
    slot_ended(slot, SLOT_FREE);
}

static void slot_refused(struct slot *slot, int16_t code)
{
    struct producer *producer = slot->producer;
    struct world *world = producer->world;
    bool is_oldest = producer->oldest % WINDOW == (uint32_t)(slot - producer->slots);
    world_say(world, "producer %u: %s-%d record %u: error %d", producer->index, producer->topic,
              producer->partition_index, slot->number, code);
    if (producer->kind != IDEMPOTENT) {
        slot_ended(slot, SLOT_FREE);
        return;
    }
    bool sequence_refused = code == error_to_kafka(ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    if (sequence_refused && is_oldest && (slot->life != world->node.starts || !producer->known)) {
        /* As with Kafka: a snapshot holds each producer's last batch alone, what came before it is
         * no longer known as a repetition after a restart; and a producer not known may begin
         * anywhere, so that its second batch passes when its first was refused. */
        producer->lost_track = true;
    } else if (sequence_refused && is_oldest && producer->partition->durable &&
               !producer->partition->rotten && !producer->partition->gone)
        world_fail(world, "%s-%d: the node forgot producer %u before record %u", producer->topic,
                   producer->partition_index, producer->index, slot->number);
    slot_ended(slot, SLOT_REPEAT);
}

static void produce_done(struct client_call *call)
{
    struct slot *slot = container_of(call, struct slot, call);
    const struct produce_response *response = call->request.response;
    int16_t code = error_to_kafka(ERROR_UNKNOWN_SERVER);
    int64_t base_offset = -1;
    if (response != NULL) {
        ASSERT(response->responses_count == 1);
        ASSERT(response->responses[0].partition_responses_count == 1);
        code = response->responses[0].partition_responses[0].error_code;
        base_offset = response->responses[0].partition_responses[0].base_offset;
    }
    request_done(&call->request);
    buffer_unref(slot->bytes);
    slot->bytes = NULL;
    world_trace(slot->producer->world, 1, (uint64_t)code, (uint64_t)base_offset);
    if (code == 0)
        slot_acknowledged(slot, base_offset);
    else
        slot_refused(slot, code);
}

static void append_done(struct partition_append *append)
{
    struct slot *slot = container_of(append, struct slot, append);
    buffer_unref(slot->bytes);
    slot->bytes = NULL;
    world_trace(slot->producer->world, 2, append->error, (uint64_t)append->base_offset);
    if (append->error == ERROR_NONE)
        slot_acknowledged(slot, append->base_offset);
    else
        slot_refused(slot, error_to_kafka(append->error));
}

/* The slot's records as one batch. */
static void batch_make(struct slot *slot)
{
    struct producer *producer = slot->producer;
    struct batch_options options = batch_options_default();
    options.codec = producer->kind == FILE_WRITER ? CODEC_NONE : producer->codec;
    options.level = codec_level_default(options.codec);
    if (producer->kind == IDEMPOTENT) {
        options.producer_id = producer->producer_id;
        options.producer_epoch = 0;
        options.base_sequence = slot->sequence;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    int64_t now_ms = executor_wall_clock_ms(producer->world->node.core.broker.executor);
    for (uint32_t i = 0; i < slot->count; i++) {
        uint8_t value[MODEL_VALUE_BYTES_MAX];
        size_t size = model_value(producer->partition, slot->number + i, value);
        enum error error =
            batch_builder_append_next(&builder, now_ms, SLICE_NULL, slice_from(value, size));
        ASSERT(error == ERROR_NONE);
    }
    struct codec_context context;
    codec_context_init(&context);
    enum error error = batch_builder_finish(&builder, &context, &slot->bytes);
    ASSERT(error == ERROR_NONE);
    codec_context_done(&context);
    batch_builder_done(&builder);
}

static void send_by_port(struct slot *slot)
{
    struct producer *producer = slot->producer;
    struct world *world = producer->world;
    struct produce_request *body =
        client_call_begin(&slot->call, world, API_PRODUCE, PRODUCE_VERSION);
    body->acks = producer->kind == PLAIN && random_chance(&world->random, 1, 2) ? 1 : -1;
    body->timeout_ms = (int32_t)random_between(&world->random, 10, 30000);
    body->topic_data = client_call_allocate(&slot->call, 1, sizeof *body->topic_data);
    body->topic_data_count = 1;
    body->topic_data->name = client_call_text(&slot->call, producer->topic);
    body->topic_data->partition_data =
        client_call_allocate(&slot->call, 1, sizeof *body->topic_data->partition_data);
    body->topic_data->partition_data_count = 1;
    body->topic_data->partition_data->index = producer->partition_index;
    body->topic_data->partition_data->records.data =
        slice_from(slot->bytes->data, slot->bytes->size);
    client_call_send(&slot->call, produce_done);
}

static void send_by_file(struct slot *slot)
{
    struct producer *producer = slot->producer;
    struct partition *partition =
        node_partition(&producer->world->node, producer->topic, producer->partition_index);
    if (partition == NULL) {
        buffer_unref(slot->bytes);
        slot->bytes = NULL;
        slot_ended(slot, SLOT_FREE);
        return;
    }
    slot->append = (struct partition_append){.batch = slot->bytes->data,
                                             .size = slot->bytes->size,
                                             .acks = -1,
                                             .timeout_ms = 30000,
                                             .done = append_done};
    enum error error = batch_validate_log(slot->bytes->data, slot->bytes->size,
                                          CODEC_DECOMPRESSED_BYTES_MAX, NULL, &slot->append.facts);
    ASSERT(error == ERROR_NONE);
    partition_append(partition, &slot->append);
}

static void slot_send(struct slot *slot)
{
    slot->state = SLOT_IN_FLIGHT;
    batch_make(slot);
    if (slot->producer->kind == FILE_WRITER)
        send_by_file(slot);
    else
        send_by_port(slot);
}

static void send_new(struct producer *producer)
{
    struct slot *slot = &producer->slots[producer->next_slot++ % WINDOW];
    ASSERT(slot->state == SLOT_FREE);
    slot->count = (uint32_t)random_between(&producer->world->random, 1, RECORDS_MAX);
    slot->number = producer->partition->records_count;
    for (uint32_t i = 0; i < slot->count; i++)
        (void)model_send(producer->partition, producer->index);
    slot->sequence = producer->next_sequence;
    slot->life = producer->world->node.starts;
    producer->next_sequence += (int32_t)slot->count;
    slot_send(slot);
}

static void repeat_all(struct producer *producer)
{
    for (uint32_t n = producer->oldest; n < producer->next_slot; n++) {
        struct slot *slot = &producer->slots[n % WINDOW];
        if (slot->state == SLOT_REPEAT)
            slot_send(slot);
    }
}

void producer_act(struct world *world, struct producer *producer, bool finish)
{
    struct model_partition *now =
        model_find(world->model, producer->topic, producer->partition_index);
    if (producer->partition != now) {
        if (any_in_state(producer, SLOT_IN_FLIGHT))
            return;
        producer->partition = now;
        give_up(producer);
    }
    if (now == NULL)
        return;
    if (any_in_state(producer, SLOT_REPEAT)) {
        if (any_in_state(producer, SLOT_IN_FLIGHT))
            return;
        /* What is not durable, or rotten, may have lost what a repetition builds on. */
        if (!now->durable || now->rotten || producer->lost_track)
            give_up(producer);
        else
            repeat_all(producer);
        return;
    }
    uint32_t window = producer->kind == PLAIN ? 1 : WINDOW;
    if (!finish && producer->next_slot - producer->oldest < window)
        send_new(producer);
}

void producers_act(struct world *world)
{
    producer_act(world, &world->producers[random_below(&world->random, WORLD_PRODUCERS)], false);
}

bool producers_idle(struct world *world)
{
    for (int i = 0; i < WORLD_PRODUCERS; i++) {
        if (any_in_state(&world->producers[i], SLOT_IN_FLIGHT))
            return false;
    }
    return true;
}

bool producers_finish(struct world *world)
{
    bool finished = true;
    for (int i = 0; i < WORLD_PRODUCERS; i++) {
        struct producer *producer = &world->producers[i];
        producer_act(world, producer, true);
        finished = finished && !any_in_state(producer, SLOT_IN_FLIGHT) &&
                   !any_in_state(producer, SLOT_REPEAT);
    }
    return finished;
}

void producers_crashed(struct world *world)
{
    for (int i = 0; i < WORLD_PRODUCERS; i++) {
        struct producer *producer = &world->producers[i];
        for (int k = 0; k < WINDOW; k++) {
            struct slot *slot = &producer->slots[k];
            if (slot->state != SLOT_IN_FLIGHT)
                continue;
            client_call_forget(&slot->call);
            slot->bytes = NULL;
            slot->state = producer->kind == IDEMPOTENT ? SLOT_REPEAT : SLOT_FREE;
        }
        settle(producer);
    }
}
