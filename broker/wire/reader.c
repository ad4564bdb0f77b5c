/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the reader that allocate or loop. */
#include "wire/reader.h"

#include "wire/message.h"

const max_align_t wire_empty_array;

void reader_init(struct reader *reader, struct slice frame)
{
    const uint8_t *data = frame.data == NULL ? SLICE_EMPTY.data : frame.data;
    *reader = (struct reader){
        .next = data,
        .end = data + frame.size,
        .elements_left = READER_ELEMENTS_MAX,
    };
}

void reader_fail(struct reader *reader, enum error error)
{
    if (reader->failure == ERROR_NONE)
        reader->failure = error;
    reader->next = reader->end;
}

static void *allocate(struct reader *reader, struct arena *arena, size_t count, size_t size)
{
    void *granted = arena_allocate_array(arena, count, size);
    if (granted == NULL) {
        size_t room = arena->limit_bytes - arena->used_bytes;
        bool limited = arena->used_bytes > arena->limit_bytes || count > room / size;
        reader_fail(reader, limited ? ERROR_TOO_LARGE : ERROR_OUT_OF_MEMORY);
    }
    return granted;
}

void *read_array(struct reader *reader, struct arena *arena, bool flexible, bool nullable,
                 size_t wire_size, size_t size, uint32_t *ret_count)
{
    *ret_count = 0;
    int64_t count = read_length(reader, flexible, nullable);
    if (count < 0 || !reader_good(reader))
        return NULL;
    if (count == 0)
        return WIRE_EMPTY;
    if ((uint64_t)count > reader_left(reader) / wire_size) {
        reader_fail(reader, ERROR_MALFORMED);
        return NULL;
    }
    if ((uint64_t)count > reader->elements_left) {
        reader_fail(reader, ERROR_TOO_LARGE);
        return NULL;
    }
    void *elements = allocate(reader, arena, (size_t)count, size);
    if (elements == NULL)
        return NULL;
    reader->elements_left -= (uint32_t)count;
    *ret_count = (uint32_t)count;
    return elements;
}

void *read_present(struct reader *reader, struct arena *arena, size_t size)
{
    int8_t marker = read_int8(reader);
    if (marker < 0 || !reader_good(reader))
        return NULL;
    return allocate(reader, arena, 1, size);
}

void read_tags(struct reader *reader, struct tags *ret_tags)
{
    *ret_tags = (struct tags){.left = read_uvarint(reader), .previous = -1};
    if (ret_tags->left > READER_TAGS_MAX)
        reader_fail(reader, ERROR_MALFORMED);
}

bool read_tag(struct reader *reader, struct tags *tags)
{
    if (!reader_good(reader))
        return false;
    if (tags->outer_end != NULL) {
        if (reader->next != reader->end) {
            reader_fail(reader, ERROR_MALFORMED);
            return false;
        }
        reader->end = tags->outer_end;
        tags->outer_end = NULL;
    }
    if (tags->left == 0)
        return false;
    tags->left--;
    tags->tag = read_uvarint(reader);
    uint32_t size = read_uvarint(reader);
    if (!reader_good(reader) || tags->tag <= tags->previous || size > reader_left(reader)) {
        reader_fail(reader, ERROR_MALFORMED);
        return false;
    }
    tags->previous = tags->tag;
    tags->outer_end = reader->end;
    reader->end = reader->next + size;
    return true;
}
