/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotent producers: checking their batches and remembering them. */
#include "log/producer_state.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "record/walk.h"

#include <string.h>

enum { PRODUCER_TABLE_MIN = 4 };

void producer_state_init(struct producer_state *state)
{
    *state = (struct producer_state){0};
}

void producer_state_done(struct producer_state *state)
{
    memory_free(state->table);
    producer_state_init(state);
}

void producer_state_clear(struct producer_state *state)
{
    producer_state_done(state);
}

/* ---- the table ---- */

static uint32_t place_of(const struct producer_state *state, int64_t id)
{
    uint64_t hash = (uint64_t)id * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash >> 32) & (state->capacity - 1);
}

/* The producer's place, or the free place where it would go. The table is never full. */
static struct producer *table_slot(const struct producer_state *state, int64_t id)
{
    uint32_t place = place_of(state, id);
    while (state->table[place].id != id && state->table[place].id != PRODUCER_ID_NONE)
        place = (place + 1) & (state->capacity - 1);
    return &state->table[place];
}

const struct producer *producer_state_find(const struct producer_state *state, int64_t id)
{
    if (state->capacity == 0)
        return NULL;
    const struct producer *producer = table_slot(state, id);
    return producer->id == id ? producer : NULL;
}

/* Moves the producers to a table of `capacity` places. */
static enum error table_rebuild(struct producer_state *state, uint32_t capacity)
{
    struct producer *table = memory_allocate_array(capacity, sizeof *table);
    if (table == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < capacity; i++)
        table[i].id = PRODUCER_ID_NONE;
    struct producer_state fresh = {table, state->count, capacity};
    for (uint32_t i = 0; i < state->capacity; i++) {
        if (state->table[i].id != PRODUCER_ID_NONE)
            *table_slot(&fresh, state->table[i].id) = state->table[i];
    }
    memory_free(state->table);
    *state = fresh;
    return ERROR_NONE;
}

static enum error table_reserve(struct producer_state *state)
{
    if (state->capacity > 0 && state->count + 1 <= state->capacity / 4 * 3)
        return ERROR_NONE;
    if (state->capacity > UINT32_MAX / 4)
        return ERROR_OUT_OF_MEMORY;
    return table_rebuild(state, state->capacity == 0 ? PRODUCER_TABLE_MIN : state->capacity * 2);
}

static struct producer *table_add(struct producer_state *state, int64_t id)
{
    struct producer *producer = table_slot(state, id);
    if (producer->id == id)
        return producer;
    state->count++;
    ASSERT(state->count < state->capacity);
    *producer = (struct producer){.id = id,
                                  .last_timestamp = TIMESTAMP_NONE,
                                  .transaction_start_offset = -1,
                                  .coordinator_epoch = -1,
                                  .epoch = PRODUCER_EPOCH_NONE};
    return producer;
}

enum error producer_state_reserve(struct producer_state *state, const struct batch_header *header)
{
    if (!batch_has_producer(header) || producer_state_find(state, header->producer_id) != NULL)
        return ERROR_NONE;
    return table_reserve(state);
}

/* Takes out the producer at `place`, moving those behind it that would not be found any more. */
static void table_remove(struct producer_state *state, uint32_t place)
{
    uint32_t mask = state->capacity - 1;
    state->table[place].id = PRODUCER_ID_NONE;
    state->count--;
    for (uint32_t next = (place + 1) & mask; state->table[next].id != PRODUCER_ID_NONE;
         next = (next + 1) & mask) {
        struct producer moved = state->table[next];
        state->table[next].id = PRODUCER_ID_NONE;
        *table_slot(state, moved.id) = moved;
    }
}

/* ---- batches ---- */

static const struct producer_batch *batch_latest(const struct producer *producer)
{
    if (producer->batch_count == 0)
        return NULL;
    return &producer
                ->batches[(producer->batch_next + PRODUCER_BATCHES_MAX - 1) % PRODUCER_BATCHES_MAX];
}

int32_t producer_last_sequence(const struct producer *producer)
{
    const struct producer_batch *latest = batch_latest(producer);
    return latest == NULL ? SEQUENCE_NONE : latest->last_sequence;
}

static void batch_push(struct producer *producer, struct producer_batch batch)
{
    producer->batches[producer->batch_next] = batch;
    producer->batch_next = (uint8_t)((producer->batch_next + 1) % PRODUCER_BATCHES_MAX);
    if (producer->batch_count < PRODUCER_BATCHES_MAX)
        producer->batch_count++;
}

/* Reads the one record of a control batch. False for kinds that are no transaction's end. */
static bool marker_read(const struct batch_header *header, struct control_record *ret_control)
{
    struct record_walk walk;
    struct record record;
    bool found =
        record_walk_init(&walk, header, NULL, CODEC_DECOMPRESSED_BYTES_MAX) == ERROR_NONE &&
        record_walk_next(&walk, &record) &&
        control_record_read(&record, ret_control) == ERROR_NONE && ret_control->is_transaction_end;
    record_walk_done(&walk);
    return found;
}

/* ---- checking ---- */

static enum error marker_check(const struct producer *producer, const struct batch_header *header)
{
    struct control_record control;
    if (!marker_read(header, &control))
        return ERROR_NONE;
    if (header->producer_epoch < producer->epoch)
        return ERROR_INVALID_PRODUCER_EPOCH;
    if (control.coordinator_epoch < producer->coordinator_epoch)
        return ERROR_TRANSACTION_COORDINATOR_FENCED;
    return ERROR_NONE;
}

/* Kafka: ProducerAppendInfo.checkProducerEpoch, checkSequence, appendDataBatch. */
static enum error data_check(const struct producer *producer, const struct batch_header *header)
{
    if (header->producer_epoch < producer->epoch)
        return ERROR_INVALID_PRODUCER_EPOCH;
    if (producer->epoch != PRODUCER_EPOCH_NONE) {
        if (header->producer_epoch != producer->epoch) {
            if (header->base_sequence != 0)
                return ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        } else {
            int32_t last = producer_last_sequence(producer);
            int32_t expected = last == SEQUENCE_NONE ? 0 : sequence_add(last, 1);
            if (header->base_sequence != expected)
                return ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        }
    }
    if (producer->transaction_start_offset >= 0 && !batch_is_transactional(header))
        return ERROR_INVALID_TXN_STATE;
    return ERROR_NONE;
}

static const struct producer_batch *duplicate_find(const struct producer *producer,
                                                   const struct batch_header *header)
{
    if (header->producer_epoch != producer->epoch)
        return NULL;
    for (uint8_t i = 0; i < producer->batch_count; i++) {
        const struct producer_batch *batch = &producer->batches[i];
        if (batch->last_sequence == batch_last_sequence(header) &&
            batch->offset_delta == header->last_offset_delta)
            return batch;
    }
    return NULL;
}

enum log_producer_verdict producer_state_check(const struct producer_state *state,
                                               const struct batch_header *header,
                                               struct log_duplicate *ret_duplicate,
                                               enum error *ret_error)
{
    if (!batch_has_producer(header))
        return LOG_PRODUCER_APPEND;
    const struct producer *producer = producer_state_find(state, header->producer_id);
    if (producer == NULL)
        return LOG_PRODUCER_APPEND; /* Row 21: unknown producers may begin anywhere. */
    enum error error;
    if (batch_is_control(header)) {
        error = marker_check(producer, header);
    } else {
        const struct producer_batch *duplicate = duplicate_find(producer, header);
        if (duplicate != NULL) {
            *ret_duplicate = (struct log_duplicate){.base_offset = duplicate->last_offset -
                                                                   duplicate->offset_delta,
                                                    .timestamp = duplicate->timestamp};
            return LOG_PRODUCER_DUPLICATE;
        }
        error = data_check(producer, header);
    }
    if (error == ERROR_NONE)
        return LOG_PRODUCER_APPEND;
    *ret_error = error;
    return LOG_PRODUCER_REFUSE;
}

/* ---- taking note ---- */

/* A new epoch's sequences begin anew. */
static void epoch_begin(struct producer *producer, int16_t epoch)
{
    if (producer->epoch == epoch)
        return;
    producer->epoch = epoch;
    producer->batch_count = 0;
    producer->batch_next = 0;
}

static void marker_update(struct producer_state *state, struct producer *producer,
                          const struct batch_header *header, struct producer_abort *ret_abort)
{
    struct control_record control;
    if (!marker_read(header, &control))
        return;
    epoch_begin(producer, header->producer_epoch);
    producer->coordinator_epoch = control.coordinator_epoch;
    producer->last_timestamp = header->max_timestamp;
    int64_t first_offset = producer->transaction_start_offset;
    producer->transaction_start_offset = -1;
    if (first_offset < 0 || control.is_commit)
        return;
    int64_t oldest = producer_state_oldest_transaction(state);
    *ret_abort = (struct producer_abort){.aborted = true,
                                         .producer_id = producer->id,
                                         .first_offset = first_offset,
                                         .last_offset = batch_last_offset(header),
                                         .last_stable_offset =
                                             oldest >= 0 ? oldest : batch_last_offset(header) + 1};
}

void producer_state_update(struct producer_state *state, const struct batch_header *header,
                           struct producer_abort *ret_abort)
{
    *ret_abort = (struct producer_abort){.aborted = false};
    if (!batch_has_producer(header))
        return;
    ASSERT(state->capacity > 0);
    struct producer *producer = table_add(state, header->producer_id);
    if (batch_is_control(header)) {
        marker_update(state, producer, header, ret_abort);
        return;
    }
    epoch_begin(producer, header->producer_epoch);
    producer->last_timestamp = header->max_timestamp;
    batch_push(producer, (struct producer_batch){.last_offset = batch_last_offset(header),
                                                 .timestamp = header->max_timestamp,
                                                 .last_sequence = batch_last_sequence(header),
                                                 .offset_delta = header->last_offset_delta});
    if (batch_is_transactional(header) && producer->transaction_start_offset < 0)
        producer->transaction_start_offset = header->base_offset;
}

enum error producer_state_restore(struct producer_state *state, const struct producer *producer)
{
    enum error error = table_reserve(state);
    if (error == ERROR_NONE)
        *table_add(state, producer->id) = *producer;
    return error;
}

void producer_state_expire(struct producer_state *state, int64_t wall_clock_ms,
                           int64_t expiration_ms)
{
    if (expiration_ms < 0)
        return;
    for (uint32_t place = 0; place < state->capacity;) {
        const struct producer *producer = &state->table[place];
        if (producer->id != PRODUCER_ID_NONE && producer->transaction_start_offset < 0 &&
            wall_clock_ms - producer->last_timestamp >= expiration_ms)
            table_remove(state, place); /* Another may have moved here. */
        else
            place++;
    }
    if (state->count == 0)
        producer_state_clear(state);
}

int64_t producer_state_oldest_transaction(const struct producer_state *state)
{
    int64_t oldest = -1;
    for (uint32_t place = 0; place < state->capacity; place++) {
        const struct producer *producer = &state->table[place];
        if (producer->id != PRODUCER_ID_NONE && producer->transaction_start_offset >= 0 &&
            (oldest < 0 || producer->transaction_start_offset < oldest))
            oldest = producer->transaction_start_offset;
    }
    return oldest;
}
