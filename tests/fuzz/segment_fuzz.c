/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the .log file of an unclean stop: the log opens, serves only what has a sound
 * checksum, and opens again the same. The first byte chooses whether checksums are put right,
 * without which hardly any input would get past them. */
#include "base/assertion.h"
#include "log/log.h"
#include "record/build.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size);

static struct log *reopen(struct storage *storage, struct executor *executor)
{
    struct log_open_options options = {.storage = storage,
                                       .executor = executor,
                                       .directory = "fuzz-0",
                                       .config = {.segment_bytes = 1 << 20,
                                                  .segment_ms = -1,
                                                  .segment_index_bytes = 1 << 20,
                                                  .index_interval_bytes = 100,
                                                  .retention_ms = -1,
                                                  .retention_bytes = -1,
                                                  .delete_enabled = true,
                                                  .compact_enabled = true},
                                       .recovery_point = 0,
                                       .log_start_offset = -1};
    struct log *log = NULL;
    enum error error = log_open(&options, &log, NULL);
    ASSERT(error == ERROR_NONE || error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    return log;
}

/* Reads everything; the offset reached. */
static int64_t read_all(struct log *log)
{
    int64_t offset = log_start_offset(log);
    for (;;) {
        struct log_slice slice;
        enum error error = log_read(log, offset, 1 << 20, true, LOG_READ_END, &slice);
        ASSERT(error == ERROR_NONE || error == ERROR_CORRUPT_MESSAGE);
        if (error != ERROR_NONE || slice.size == 0)
            return offset;
        uint8_t *copy = malloc(slice.size);
        size_t got;
        ASSERT(storage_read(slice.file, slice.position, copy, slice.size, &got) == ERROR_NONE);
        struct batch_header header;
        for (size_t at = 0; at < got; at += header.size) {
            ASSERT(batch_header_read(copy + at, got - at, &header) == ERROR_NONE);
            ASSERT(batch_crc_valid(copy + at, header.size));
            ASSERT(batch_last_offset(&header) >= offset);
            offset = batch_last_offset(&header) + 1;
        }
        free(copy);
        log_slice_release(&slice);
    }
}

static void look_up(struct log *log)
{
    log_visible_advance(log, log_end_offset(log));
    struct log_text_location location;
    if (log_text_locate(log, log_text_end(log) / 2, &location) == ERROR_NONE)
        log_slice_release(&location.slice);
    struct log_found found;
    (void)log_find_timestamp(log, 0, &found);
    (void)log_find_max_timestamp(log, &found);
    uint64_t text;
    (void)log_text_of_offset(log, log_end_offset(log), &text);
}

/* Batch after batch, as long as lengths make sense. */
static void checksums_mend(uint8_t *bytes, size_t size)
{
    struct batch_header header;
    for (size_t at = 0; batch_header_read(bytes + at, size - at, &header) == ERROR_NONE;
         at += header.size)
        batch_set_crc(bytes + at, header.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    if (input_size < 1)
        return 0;
    size_t size = input_size - 1;
    uint8_t *bytes = malloc(size + 1);
    ASSERT(bytes != NULL);
    memcpy(bytes, input + 1, size);
    if (input[0] % 2 == 0)
        checksums_mend(bytes, size);
    struct simulated_storage *disk = simulated_storage_new(1);
    struct simulated_executor *time = simulated_executor_new(1, NULL);
    struct storage *storage = simulated_storage_seam(disk);
    struct storage_file *file;
    ASSERT(storage_make_directory(storage, "fuzz-0") == ERROR_NONE);
    ASSERT(storage_open(storage, "fuzz-0/00000000000000000000.log", STORAGE_WRITE | STORAGE_CREATE,
                        &file) == ERROR_NONE);
    ASSERT(storage_write(file, 0, bytes, size) == ERROR_NONE);
    storage_close(file);
    free(bytes);

    struct log *log = reopen(storage, simulated_executor_seam(time));
    if (log != NULL) {
        int64_t reached = read_all(log);
        int64_t end = log_end_offset(log);
        int64_t damage = log_damage(log).offset;
        ASSERT(reached == (damage >= 0 ? damage : end));
        look_up(log);
        log_close(log, true);
        log = reopen(storage, simulated_executor_seam(time));
        ASSERT(log != NULL);
        ASSERT(log_end_offset(log) == end);
        ASSERT(log_damage(log).offset == damage);
        ASSERT(read_all(log) == reached);
        log_discard(log);
    }
    simulated_executor_free(time);
    simulated_storage_free(disk);
    return 0;
}
