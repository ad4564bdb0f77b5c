/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-random messages of every kind, the same for the same seed, for the tests of this room.
 * The fill functions are generated from the schemas by generate_sample.py. */
#ifndef TESTS_WIRE_SAMPLE_H
#define TESTS_WIRE_SAMPLE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/uuid.h"
#include "wire/message.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct sample {
    uint64_t state;
    struct arena *arena; /* Holds arrays, strings and nullable structs of the message. */
};

/* One generated message kind. */
struct sample_message {
    const char *name; /* As in the schema: "FetchRequest". */
    int16_t version_min;
    int16_t version_max;
    size_t size;
    void (*fill)(struct sample *sample, int16_t version, void *ret_message);
    enum error (*decode)(struct reader *reader, int16_t version, struct arena *arena,
                         void *ret_message);
    void (*encode)(struct writer *writer, int16_t version, const void *message);
};

extern const struct sample_message sample_messages[];
extern const size_t sample_messages_count;

/* splitmix64 */
static inline uint64_t sample_next(struct sample *sample)
{
    uint64_t value = (sample->state += 0x9e3779b97f4a7c15u);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/* True once in `times`. */
static inline bool sample_chance(struct sample *sample, unsigned times)
{
    return sample_next(sample) % times == 0;
}

/* Mostly small numbers and the edges of 64 bits; truncated by the field that takes it. */
static inline int64_t sample_integer(struct sample *sample)
{
    uint64_t value = sample_next(sample);
    switch (value % 4) {
    case 0:
        return (int64_t)(value >> 60);
    case 1:
        return -(int64_t)(value >> 60);
    case 2:
        return INT64_MAX;
    default:
        return (int64_t)value;
    }
}

static inline struct slice sample_bytes(struct sample *sample, bool nullable)
{
    if (nullable && sample_chance(sample, 3))
        return SLICE_NULL;
    size_t size = sample_chance(sample, 6) ? 150 : sample_next(sample) % 12;
    if (size == 0)
        return SLICE_EMPTY;
    uint8_t *bytes = arena_allocate(sample->arena, size);
    for (size_t i = 0; bytes != NULL && i < size; i++)
        bytes[i] = (uint8_t)('a' + sample_next(sample) % 26);
    return bytes == NULL ? SLICE_EMPTY : slice_from(bytes, size);
}

static inline struct uuid sample_uuid(struct sample *sample)
{
    struct uuid uuid = UUID_ZERO;
    for (int i = 0; i < UUID_BYTES && !sample_chance(sample, 40); i++)
        uuid.bytes[i] = (uint8_t)sample_next(sample);
    return uuid;
}

/* Null, empty or up to three elements. */
static inline void *sample_array(struct sample *sample, bool nullable, size_t size,
                                 uint32_t *ret_count)
{
    *ret_count = 0;
    if (nullable && sample_chance(sample, 4))
        return NULL;
    uint32_t count = (uint32_t)(sample_next(sample) % 4);
    void *elements = count == 0 ? NULL : arena_allocate_array(sample->arena, count, size);
    if (elements == NULL)
        return WIRE_EMPTY;
    *ret_count = count;
    return elements;
}

#endif
