/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a segment's sparse indexes, byte by byte (Kafka: OffsetIndex, TimeIndex; the line
 * index is ours). Relative offsets and positions count from the segment's start.
 *
 *   .index      | int32 last offset of a batch | int32 position of that batch |
 *   .timeindex  | int64 largest timestamp so far | int32 last offset of the batch that has it |
 *   .lineindex  | int32 first offset of a batch | int32 its position | int64 text before it |
 *
 * The line index of a sealed or cleanly closed segment ends with an entry whose position is the
 * size of the .log file: it tells the size of the segment's text. */
#ifndef BROKER_LOG_INDEX_ENTRY_H
#define BROKER_LOG_INDEX_ENTRY_H

#include "base/byteorder.h"
#include "log/sparse_index.h"

enum { OFFSET_ENTRY_BYTES = 8, TIME_ENTRY_BYTES = 12, LINE_ENTRY_BYTES = 16 };

#define OFFSET_INDEX_SUFFIX ".index"
#define TIME_INDEX_SUFFIX ".timeindex"
#define LINE_INDEX_SUFFIX ".lineindex"

#define OFFSET_KEY_OFFSET ((struct sparse_key){.at = 0, .bytes = 4})
#define OFFSET_KEY_POSITION ((struct sparse_key){.at = 4, .bytes = 4})
#define TIME_KEY_TIMESTAMP ((struct sparse_key){.at = 0, .bytes = 8})
#define TIME_KEY_OFFSET ((struct sparse_key){.at = 8, .bytes = 4})
#define LINE_KEY_OFFSET ((struct sparse_key){.at = 0, .bytes = 4})
#define LINE_KEY_POSITION ((struct sparse_key){.at = 4, .bytes = 4})
#define LINE_KEY_TEXT ((struct sparse_key){.at = 8, .bytes = 8})

struct offset_entry {
    int32_t last_offset;
    int32_t position;
};

struct time_entry {
    int64_t timestamp;
    int32_t last_offset;
};

struct line_entry {
    int32_t first_offset;
    int32_t position;
    int64_t text_position;
};

static inline struct offset_entry offset_entry_read(const uint8_t *at)
{
    return (struct offset_entry){(int32_t)load_be32(at), (int32_t)load_be32(at + 4)};
}

static inline void offset_entry_write(uint8_t *at, struct offset_entry entry)
{
    store_be32(at, (uint32_t)entry.last_offset);
    store_be32(at + 4, (uint32_t)entry.position);
}

static inline struct time_entry time_entry_read(const uint8_t *at)
{
    return (struct time_entry){(int64_t)load_be64(at), (int32_t)load_be32(at + 8)};
}

static inline void time_entry_write(uint8_t *at, struct time_entry entry)
{
    store_be64(at, (uint64_t)entry.timestamp);
    store_be32(at + 8, (uint32_t)entry.last_offset);
}

static inline struct line_entry line_entry_read(const uint8_t *at)
{
    return (struct line_entry){(int32_t)load_be32(at), (int32_t)load_be32(at + 4),
                               (int64_t)load_be64(at + 8)};
}

static inline void line_entry_write(uint8_t *at, struct line_entry entry)
{
    store_be32(at, (uint32_t)entry.first_offset);
    store_be32(at + 4, (uint32_t)entry.position);
    store_be64(at + 8, (uint64_t)entry.text_position);
}

#endif
