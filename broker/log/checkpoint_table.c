/* SPDX-License-Identifier: Apache-2.0 */
/* A table of partitions' offsets, loaded from and stored to checkpoint files. */
#include "log/checkpoint_table.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/checkpoint_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHECKPOINT_BYTES_MAX = 256 << 20, TOPIC_TEXT_BYTES = 256, NUMBERS_BYTES = 40 };

struct checkpoint_row {
    int64_t offsets[CHECKPOINT_KINDS];
    int32_t partition;
    char topic[];
};

void checkpoint_table_init(struct checkpoint_table *table)
{
    *table = (struct checkpoint_table){0};
}

void checkpoint_table_done(struct checkpoint_table *table)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        memory_free(table->rows[i]);
    memory_free(table->rows);
    checkpoint_table_init(table);
}

/* FNV-1a. */
static uint32_t hash_of(const char *topic, int32_t partition)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint32_t)partition;
    for (; *topic != '\0'; topic++)
        hash = (hash ^ (uint8_t)*topic) * 0x100000001b3u;
    hash *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash >> 32);
}

/* The row's place, or the free one where it would go. */
static uint32_t place_find(const struct checkpoint_table *table, const char *topic,
                           int32_t partition)
{
    uint32_t mask = table->capacity - 1;
    uint32_t place = hash_of(topic, partition) & mask;
    while (table->rows[place] != NULL && (table->rows[place]->partition != partition ||
                                          strcmp(table->rows[place]->topic, topic) != 0))
        place = (place + 1) & mask;
    return place;
}

static enum error table_grow(struct checkpoint_table *table)
{
    uint32_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
    struct checkpoint_row **rows = memory_allocate_array(capacity, sizeof(struct checkpoint_row *));
    if (rows == NULL)
        return ERROR_OUT_OF_MEMORY;
    struct checkpoint_table grown = *table;
    grown.rows = rows;
    grown.capacity = capacity;
    for (uint32_t i = 0; i < table->capacity; i++) {
        struct checkpoint_row *row = table->rows[i];
        if (row != NULL)
            rows[place_find(&grown, row->topic, row->partition)] = row;
    }
    memory_free(table->rows);
    *table = grown;
    return ERROR_NONE;
}

static enum error row_make(struct checkpoint_table *table, const char *topic, int32_t partition,
                           struct checkpoint_row **ret_row)
{
    if (table->capacity == 0 || table->count >= table->capacity / 4 * 3) {
        enum error error = table_grow(table);
        if (error != ERROR_NONE)
            return error;
    }
    uint32_t place = place_find(table, topic, partition);
    if (table->rows[place] == NULL) {
        size_t size = strlen(topic) + 1;
        struct checkpoint_row *row = memory_allocate(sizeof *row + size);
        if (row == NULL)
            return ERROR_OUT_OF_MEMORY;
        for (int kind = 0; kind < CHECKPOINT_KINDS; kind++)
            row->offsets[kind] = -1;
        row->partition = partition;
        memcpy(row->topic, topic, size);
        table->rows[place] = row;
        table->count++;
    }
    *ret_row = table->rows[place];
    return ERROR_NONE;
}

int64_t checkpoint_table_get(const struct checkpoint_table *table, const char *topic,
                             int32_t partition, enum checkpoint_kind kind)
{
    if (table->capacity == 0)
        return -1;
    const struct checkpoint_row *row = table->rows[place_find(table, topic, partition)];
    return row == NULL ? -1 : row->offsets[kind];
}

enum error checkpoint_table_set(struct checkpoint_table *table, const char *topic,
                                int32_t partition, const int64_t offsets[CHECKPOINT_KINDS])
{
    ASSERT(strlen(topic) < TOPIC_TEXT_BYTES);
    struct checkpoint_row *row;
    enum error error = row_make(table, topic, partition, &row);
    if (error != ERROR_NONE)
        return error;
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        if (offsets[kind] < 0 || offsets[kind] == row->offsets[kind])
            continue;
        row->offsets[kind] = offsets[kind];
        table->changed[kind] = true;
    }
    return ERROR_NONE;
}

void checkpoint_table_forget(struct checkpoint_table *table, const char *topic, int32_t partition)
{
    if (table->capacity == 0)
        return;
    uint32_t mask = table->capacity - 1;
    uint32_t place = place_find(table, topic, partition);
    struct checkpoint_row *row = table->rows[place];
    if (row == NULL)
        return;
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        if (row->offsets[kind] < 0)
            continue;
        table->changed[kind] = true;
        table->forgot[kind] = true;
    }
    memory_free(row);
    table->rows[place] = NULL;
    table->count--;
    /* Those behind it may stand where it pushed them. */
    for (uint32_t next = (place + 1) & mask; table->rows[next] != NULL; next = (next + 1) & mask) {
        struct checkpoint_row *moved = table->rows[next];
        table->rows[next] = NULL;
        table->rows[place_find(table, moved->topic, moved->partition)] = moved;
    }
}

void checkpoint_table_retain(struct checkpoint_table *table,
                             bool (*keep)(void *context, const char *topic, int32_t partition),
                             void *context)
{
    for (uint32_t place = 0; place < table->capacity;) {
        const struct checkpoint_row *row = table->rows[place];
        if (row == NULL || keep(context, row->topic, row->partition))
            place++;
        else
            checkpoint_table_forget(table, row->topic, row->partition); /* Another moves up. */
    }
}

/* Reads all rows; takes them only in the second pass, once all are known to be sound. */
static enum error rows_parse(struct checkpoint_table *table, enum checkpoint_kind kind,
                             struct checkpoint_reader reader, bool take)
{
    for (int64_t left = reader.count; left > 0; left--) {
        char topic[TOPIC_TEXT_BYTES];
        int64_t partition;
        int64_t offset;
        if (!checkpoint_read_word(&reader, ' ', topic, sizeof topic) ||
            !checkpoint_read_number(&reader, ' ', &partition) ||
            !checkpoint_read_number(&reader, '\n', &offset) || partition < 0 ||
            partition > INT32_MAX || offset < 0)
            return ERROR_MALFORMED;
        if (!take)
            continue;
        struct checkpoint_row *row;
        enum error error = row_make(table, topic, (int32_t)partition, &row);
        if (error != ERROR_NONE)
            return error;
        row->offsets[kind] = offset;
    }
    return checkpoint_read_end(&reader) ? ERROR_NONE : ERROR_MALFORMED;
}

enum error checkpoint_table_load(struct checkpoint_table *table, enum checkpoint_kind kind,
                                 struct storage *storage, const char *path)
{
    struct checkpoint_reader reader;
    enum error error = checkpoint_open(storage, path, CHECKPOINT_BYTES_MAX, &reader);
    if (error != ERROR_NONE)
        return error;
    error = rows_parse(table, kind, reader, false);
    if (error == ERROR_NONE)
        error = rows_parse(table, kind, reader, true);
    checkpoint_close(&reader);
    return error;
}

enum error checkpoint_table_store(struct checkpoint_table *table, enum checkpoint_kind kind,
                                  struct storage *storage, const char *path)
{
    if (!table->changed[kind])
        return ERROR_NONE;
    size_t capacity = NUMBERS_BYTES;
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->capacity; i++) {
        const struct checkpoint_row *row = table->rows[i];
        if (row == NULL || row->offsets[kind] < 0)
            continue;
        capacity += strlen(row->topic) + NUMBERS_BYTES;
        count++;
    }
    char *text = memory_allocate_raw(capacity);
    if (text == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t size = (size_t)snprintf(text, capacity, "0\n%" PRIu32 "\n", count);
    for (uint32_t i = 0; i < table->capacity; i++) {
        const struct checkpoint_row *row = table->rows[i];
        if (row == NULL || row->offsets[kind] < 0)
            continue;
        size += (size_t)snprintf(text + size, capacity - size, "%s %" PRId32 " %" PRId64 "\n",
                                 row->topic, row->partition, row->offsets[kind]);
        ASSERT(size < capacity);
    }
    enum error error = storage_write_whole(storage, path, text, size);
    memory_free(text);
    if (error == ERROR_NONE) {
        table->changed[kind] = false;
        table->forgot[kind] = false;
    }
    return error;
}
