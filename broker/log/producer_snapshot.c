/* SPDX-License-Identifier: Apache-2.0 */
/* Producer state as a snapshot file: written, and read back without trusting it. */
#include "log/producer_state.h"

#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "log/file_name.h"

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_CRC_AT = 2,
    SNAPSHOT_COUNT_AT = 6, /* The checksum covers everything from here. */
    SNAPSHOT_BYTES_MAX = 256 << 20,
};

static void entry_write(uint8_t *at, const struct producer *producer)
{
    const struct producer_batch none = {-1, TIMESTAMP_NONE, SEQUENCE_NONE, 0};
    const struct producer_batch *last = &none;
    if (producer->batch_count > 0)
        last = &producer->batches[(producer->batch_next + PRODUCER_BATCHES_MAX - 1) %
                                  PRODUCER_BATCHES_MAX];
    store_be64(at, (uint64_t)producer->id);
    store_be16(at + 8, (uint16_t)producer->epoch);
    store_be32(at + 10, (uint32_t)last->last_sequence);
    store_be64(at + 14, (uint64_t)last->last_offset);
    store_be32(at + 22, (uint32_t)last->offset_delta);
    store_be64(at + 26, (uint64_t)producer->last_timestamp);
    store_be32(at + 34, (uint32_t)producer->coordinator_epoch);
    store_be64(at + 38, (uint64_t)producer->transaction_start_offset);
}

static bool entry_read(const uint8_t *at, struct producer *ret_producer)
{
    struct producer producer = {
        .id = (int64_t)load_be64(at),
        .epoch = (int16_t)load_be16(at + 8),
        .last_timestamp = (int64_t)load_be64(at + 26),
        .coordinator_epoch = (int32_t)load_be32(at + 34),
        .transaction_start_offset = (int64_t)load_be64(at + 38),
    };
    struct producer_batch last = {
        .last_sequence = (int32_t)load_be32(at + 10),
        .last_offset = (int64_t)load_be64(at + 14),
        .offset_delta = (int32_t)load_be32(at + 22),
        .timestamp = producer.last_timestamp,
    };
    if (producer.id < 0 || producer.transaction_start_offset < -1)
        return false;
    if (last.last_offset >= 0) { /* Kafka writes -1 when only a marker was seen. */
        if (last.last_sequence < 0 || last.offset_delta < 0 || last.offset_delta > last.last_offset)
            return false;
        producer.batches[0] = last;
        producer.batch_count = 1;
        producer.batch_next = 1;
    }
    *ret_producer = producer;
    return true;
}

enum error producer_state_save(const struct producer_state *state, struct storage *storage,
                               const char *directory, int64_t offset)
{
    size_t size = SNAPSHOT_HEADER_BYTES + (size_t)state->count * SNAPSHOT_ENTRY_BYTES;
    uint8_t *bytes = memory_allocate_raw(size);
    if (bytes == NULL)
        return ERROR_OUT_OF_MEMORY;
    uint8_t *at = bytes + SNAPSHOT_HEADER_BYTES;
    for (uint32_t place = 0; place < state->capacity; place++) {
        if (state->table[place].id == PRODUCER_ID_NONE)
            continue;
        entry_write(at, &state->table[place]);
        at += SNAPSHOT_ENTRY_BYTES;
    }
    ASSERT(at == bytes + size);
    store_be16(bytes, SNAPSHOT_VERSION);
    store_be32(bytes + SNAPSHOT_COUNT_AT, state->count);
    store_be32(bytes + SNAPSHOT_CRC_AT,
               crc32c(0, bytes + SNAPSHOT_COUNT_AT, size - SNAPSHOT_COUNT_AT));

    char path[FILE_PATH_BYTES];
    struct file_place place = {storage, directory, offset};
    file_path(&place, SNAPSHOT_SUFFIX, path);
    struct storage_file *file;
    enum error error =
        storage_open(storage, path, STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE, &file);
    if (error == ERROR_NONE) {
        error = storage_write(file, 0, bytes, size);
        storage_close(file);
        if (error != ERROR_NONE)
            (void)storage_remove(storage, path);
    }
    memory_free(bytes);
    return error;
}

static enum error snapshot_parse(const uint8_t *bytes, size_t size,
                                 struct producer_state *ret_state)
{
    if (size < SNAPSHOT_HEADER_BYTES || load_be16(bytes) != SNAPSHOT_VERSION)
        return ERROR_MALFORMED;
    if (load_be32(bytes + SNAPSHOT_CRC_AT) !=
        crc32c(0, bytes + SNAPSHOT_COUNT_AT, size - SNAPSHOT_COUNT_AT))
        return ERROR_MALFORMED;
    uint32_t count = load_be32(bytes + SNAPSHOT_COUNT_AT);
    if ((size - SNAPSHOT_HEADER_BYTES) % SNAPSHOT_ENTRY_BYTES != 0 ||
        (size - SNAPSHOT_HEADER_BYTES) / SNAPSHOT_ENTRY_BYTES != count)
        return ERROR_MALFORMED;
    for (uint32_t i = 0; i < count; i++) {
        struct producer producer;
        if (!entry_read(bytes + SNAPSHOT_HEADER_BYTES + (size_t)i * SNAPSHOT_ENTRY_BYTES,
                        &producer))
            return ERROR_MALFORMED;
        enum error error = producer_state_restore(ret_state, &producer);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

enum error producer_state_load(struct producer_state *state, struct storage *storage,
                               const char *directory, int64_t offset)
{
    char path[FILE_PATH_BYTES];
    struct file_place place = {storage, directory, offset};
    file_path(&place, SNAPSHOT_SUFFIX, path);
    char *bytes;
    size_t size;
    enum error error = storage_read_whole(storage, path, SNAPSHOT_BYTES_MAX, &bytes, &size);
    if (error != ERROR_NONE)
        return error == ERROR_TOO_LARGE ? ERROR_MALFORMED : error;
    struct producer_state loaded;
    producer_state_init(&loaded);
    error = snapshot_parse((const uint8_t *)bytes, size, &loaded);
    memory_free(bytes);
    if (error != ERROR_NONE) {
        producer_state_done(&loaded);
        return error;
    }
    producer_state_done(state);
    *state = loaded;
    return ERROR_NONE;
}
