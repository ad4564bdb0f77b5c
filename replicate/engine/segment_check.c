/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at libraft's open segments before libraft does. A batch there that does not pass its
 * checksum is taken by libraft for one whose write was cut off, and is dropped with everything
 * behind it. That is right after a crash, and silent loss when a byte has rotted. The two differ:
 * an open segment is zeros until written, so a write that was cut off left a sector of zeros.
 *
 *   format 8 | batch | batch | ... | zeros            all little-endian (raft/uv.h, Disk format)
 *   batch:  CRC of header 4 | CRC of data 4 | count 8 | count * (term 8, type 1, 0 3, size 4) |
 * data */
#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/engine/state.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECTOR_BYTES = 512, /* What a disk writes whole at the least. */
    FORMAT_BYTES = 8,
    PREAMBLE_BYTES = 16,
    ENTRY_BYTES = 16,
    ENTRIES_MAX = 65536,
    SEGMENT_FILE_BYTES_MAX = 64 << 20,
    STALE_BYTES_LEAST = 16 /* Fewer zeros at the edge of a sector say nothing. */
};

struct segment {
    const uint8_t *bytes;
    size_t size;
    uint32_t crc_table[256];
};

enum batch_state { BATCH_GOOD, BATCH_DAMAGED_HEADER, BATCH_DAMAGED_DATA };

static uint64_t load_le64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint32_t load_le32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* CRC-32 with polynomial 0x04c11db7, most significant bit first, from 0, as libraft has it. */
static void crc_table_fill(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ ((crc >> 31) * 0x04c11db7u);
        table[i] = crc;
    }
}

static uint32_t crc_of(const struct segment *segment, size_t at, size_t size)
{
    uint32_t crc = 0;
    for (size_t i = at; i < at + size; i++)
        crc = crc << 8 ^ segment->crc_table[(crc >> 24 ^ segment->bytes[i]) & 255];
    return crc;
}

/* With a good header *ret_end is where the batch ends, or would. */
static enum batch_state batch_look(const struct segment *segment, size_t at, uint64_t entries_max,
                                   size_t *ret_end)
{
    const uint8_t *bytes = segment->bytes + at;
    if (segment->size - at < PREAMBLE_BYTES)
        return BATCH_DAMAGED_HEADER;
    uint64_t count = load_le64(bytes + 8);
    if (count == 0 || count > entries_max ||
        count > (segment->size - at - PREAMBLE_BYTES) / ENTRY_BYTES)
        return BATCH_DAMAGED_HEADER;
    size_t header_size = 8 + (size_t)count * ENTRY_BYTES;
    if (crc_of(segment, at + 8, header_size) != load_le32(bytes))
        return BATCH_DAMAGED_HEADER;
    size_t data_at = at + 8 + header_size;
    uint64_t data_size = 0;
    for (uint64_t i = 0; i < count; i++)
        data_size += load_le32(bytes + PREAMBLE_BYTES + i * ENTRY_BYTES + 12);
    if (data_size > segment->size - data_at)
        return BATCH_DAMAGED_HEADER;
    *ret_end = data_at + (size_t)data_size;
    bool good = crc_of(segment, data_at, (size_t)data_size) == load_le32(bytes + 4);
    return good ? BATCH_GOOD : BATCH_DAMAGED_DATA;
}

static bool all_zeros(const struct segment *segment, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (segment->bytes[i] != 0)
            return false;
    return true;
}

/* A sector of the range, as far as it lies in it, was never written. */
static bool has_stale_sector(const struct segment *segment, size_t from, size_t to)
{
    for (size_t at = from; at < to;) {
        size_t end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        if (end > to)
            end = to;
        if ((end - at >= STALE_BYTES_LEAST || at == from) && all_zeros(segment, at, end))
            return true;
        at = end;
    }
    return false;
}

/* Where the next good batch begins; the segment's end when there is none. */
static size_t next_good_batch(const struct segment *segment, size_t from)
{
    enum { LIKELY_ENTRIES_MAX = 256 }; /* Bounds the work that garbage can cause. */
    size_t end;
    for (size_t at = from; at + PREAMBLE_BYTES <= segment->size; at += 8)
        if (batch_look(segment, at, LIKELY_ENTRIES_MAX, &end) == BATCH_GOOD)
            return at;
    return segment->size;
}

/* The position of a batch that rotted; 0: there is none that can be told from a write cut off. */
static size_t rotten_batch(const struct segment *segment)
{
    size_t at = FORMAT_BYTES;
    size_t end = 0;
    enum batch_state state = BATCH_GOOD;
    while (state == BATCH_GOOD && at < segment->size) {
        state = batch_look(segment, at, ENTRIES_MAX, &end);
        if (state == BATCH_GOOD)
            at = end;
    }
    if (state == BATCH_GOOD || all_zeros(segment, at, segment->size))
        return 0;
    if (state == BATCH_DAMAGED_HEADER) {
        end = next_good_batch(segment, at + 8);
        if (end == segment->size)
            return 0;
    }
    return has_stale_sector(segment, at, end) ? 0 : at;
}

static enum error read_file(int file, uint8_t *bytes, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t part = pread(file, bytes + got, size - got, (off_t)got);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return error_from_errno(errno);
        if (part == 0)
            return ERROR_STORAGE;
        got += (size_t)part;
    }
    return ERROR_NONE;
}

static enum error check_open_file(int file, const char *path, struct failure *failure)
{
    struct stat status;
    struct segment segment = {.size = 0};
    if (fstat(file, &status) != 0)
        return failure_at(failure, error_from_errno(errno), "%s", path);
    if (status.st_size < FORMAT_BYTES || status.st_size > SEGMENT_FILE_BYTES_MAX)
        return ERROR_NONE; /* Not written yet, or for libraft to judge. */
    segment.size = (size_t)status.st_size;
    uint8_t *bytes = memory_allocate_raw(segment.size);
    if (bytes == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "%s", path);
    segment.bytes = bytes;
    enum error error = read_file(file, bytes, segment.size);
    size_t rotten = 0;
    if (error == ERROR_NONE && load_le64(bytes) == 1) { /* Another format is libraft's to refuse. */
        crc_table_fill(segment.crc_table);
        rotten = rotten_batch(&segment);
    }
    memory_free(bytes);
    if (rotten != 0)
        return failure_at(failure, ERROR_MALFORMED,
                          "%s: the batch at byte %zu is damaged, not cut off", path, rotten);
    return error == ERROR_NONE ? error : failure_at(failure, error, "read %s", path);
}

static enum error check_file(const char *path, struct failure *failure)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return failure_at(failure, error_from_errno(errno), "open %s", path);
    enum error error = check_open_file(file, path, failure);
    (void)close(file);
    return error;
}

enum error segments_check(const char *directory, struct failure *failure)
{
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return failure_at(failure, error_from_errno(errno), "list %s", directory);
    enum error error = ERROR_NONE;
    for (struct dirent *entry; error == ERROR_NONE && (entry = readdir(listing)) != NULL;) {
        char path[4096];
        if (strncmp(entry->d_name, "open-", 5) != 0)
            continue;
        int size = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        error = size < 0 || (size_t)size >= sizeof path
                    ? failure_at(failure, ERROR_TOO_LARGE, "%s", directory)
                    : check_file(path, failure);
    }
    (void)closedir(listing);
    return error;
}
