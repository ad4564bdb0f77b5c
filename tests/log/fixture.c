/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk and the self-describing batches of the log tests. */
#include "log/fixture.h"

#include "record/walk.h"

#include <inttypes.h>
#include <stdio.h>

struct log_config fixture_config(void)
{
    return (struct log_config){
        .segment_bytes = 1 << 30,
        .segment_ms = INT64_C(604800000),
        .segment_index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .retention_ms = -1,
        .retention_bytes = -1,
        .file_delete_delay_ms = 60000,
        .producer_id_expiration_ms = 86400000,
        .delete_enabled = true,
    };
}

void fixture_init(struct fixture *fixture, uint64_t seed)
{
    *fixture = (struct fixture){0};
    fixture->disk = simulated_storage_new(seed);
    fixture->time = simulated_executor_new(seed, NULL);
    fixture->storage = simulated_storage_seam(fixture->disk);
    fixture->executor = simulated_executor_seam(fixture->time);
    fixture->config = fixture_config();
    fixture->leader_epoch = -1;
}

void fixture_done(struct fixture *fixture)
{
    log_discard(fixture->log);
    simulated_executor_free(fixture->time);
    simulated_storage_free(fixture->disk);
}

static enum error open_log(struct storage *storage, struct executor *executor,
                           const struct log_config *config, bool clean, int64_t recovery_point,
                           int32_t leader_epoch, struct log **ret_log)
{
    struct log_open_options options = {
        .storage = storage,
        .executor = executor,
        .directory = FIXTURE_DIRECTORY,
        .config = *config,
        .topic_id = {{1, 2, 3}},
        .create = true,
        .clean = clean,
        .recovery_point = recovery_point,
        .leader_epoch = leader_epoch,

        .log_start_offset = -1,
    };
    struct failure failure = {0};
    enum error error = log_open(&options, ret_log, &failure);
    if (error != ERROR_NONE && getenv("VERBOSE") != NULL)
        print_message("%s: %s\n", failure.where, error_text(error));
    return error;
}

enum error fixture_open_on(struct storage *storage, struct executor *executor,
                           const struct log_config *config, bool clean, int64_t recovery_point,
                           struct log **ret_log)
{
    return open_log(storage, executor, config, clean, recovery_point, -1, ret_log);
}

enum error fixture_try_open(struct fixture *fixture, bool clean, int64_t recovery_point)
{
    return open_log(fixture->storage, fixture->executor, &fixture->config, clean, recovery_point,
                    fixture->leader_epoch, &fixture->log);
}

void fixture_open(struct fixture *fixture, bool clean, int64_t recovery_point)
{
    assert_int_equal(fixture_try_open(fixture, clean, recovery_point), ERROR_NONE);
}

void fixture_close(struct fixture *fixture, bool clean)
{
    log_close(fixture->log, clean);
    fixture->log = NULL;
}

int64_t fixture_timestamp(int64_t offset)
{
    /* Rises, with every seventh record late. */
    return SIMULATED_WALL_CLOCK_MS + offset * 10 - (offset % 7 == 3 ? 25 : 0);
}

struct slice fixture_value(int64_t offset, char buffer[64])
{
    if (offset % 10 == 9)
        return SLICE_NULL;
    int length = snprintf(buffer, 64, "value %" PRId64 " %.*s", offset, (int)(offset % 23),
                          "abcdefghijklmnopqrstuvwxyz");
    return slice_from(buffer, (size_t)length);
}

int64_t fixture_text_size(int64_t offset)
{
    char buffer[64];
    return (int64_t)fixture_value(offset, buffer).size + 1;
}

int64_t fixture_text_between(int64_t from, int64_t to)
{
    int64_t size = 0;
    for (int64_t offset = from; offset < to; offset++)
        size += fixture_text_size(offset);
    return size;
}

static enum error records_add(struct batch_builder *builder, int64_t offset, int count)
{
    enum error error = ERROR_NONE;
    for (int i = 0; i < count && error == ERROR_NONE; i++) {
        char key[32];
        char value[64];
        (void)snprintf(key, sizeof key, "k%" PRId64, (offset + i) % 5);
        error = batch_builder_append_next(builder, fixture_timestamp(offset + i), slice_of(key),
                                          fixture_value(offset + i, value));
    }
    return error;
}

/* NULL only while a test refuses allocations. */
static struct buffer *batch_make(const struct batch_options *options, int64_t offset, int count)
{
    struct codec_context context;
    codec_context_init(&context);
    struct batch_builder builder;
    batch_builder_init(&builder, options);
    struct buffer *batch = NULL;
    enum error error = records_add(&builder, offset, count);
    if (error == ERROR_NONE)
        error = batch_builder_finish(&builder, &context, &batch);
    batch_builder_done(&builder);
    codec_context_done(&context);
    assert_true(error == ERROR_NONE || error == ERROR_OUT_OF_MEMORY);
    return error == ERROR_NONE ? batch : NULL;
}

struct buffer *fixture_batch(int64_t offset, int count, enum codec codec)
{
    struct batch_options options = batch_options_default();
    options.codec = codec;
    options.level = codec_level_default(codec);
    return batch_make(&options, offset, count);
}

static enum error facts_of(const struct buffer *batch, struct batch_facts *ret_facts)
{
    struct codec_context context;
    codec_context_init(&context);
    enum error error = batch_validate_log(batch->data, batch->size, CODEC_DECOMPRESSED_BYTES_MAX,
                                          &context, ret_facts);
    codec_context_done(&context);
    return error;
}

enum error fixture_try_append(struct log *log, int count, int32_t epoch)
{
    int64_t end = log_end_offset(log);
    enum codec codec = count >= 8 && end % 3 == 0 ? CODEC_ZSTD : CODEC_NONE;
    struct buffer *batch = fixture_batch(end, count, codec);
    if (batch == NULL)
        return ERROR_OUT_OF_MEMORY;
    struct batch_facts facts;
    int64_t base = -1;
    enum error error = facts_of(batch, &facts);
    if (error == ERROR_NONE)
        error = log_append(log, batch->data, batch->size, &facts, epoch, &base);
    if (error == ERROR_NONE) {
        assert_int_equal(base, end);
        assert_int_equal(log_end_offset(log), end + count);
    } else {
        assert_int_equal(log_end_offset(log), end);
    }
    buffer_unref(batch);
    return error;
}

void fixture_append(struct log *log, int count, int32_t epoch)
{
    assert_int_equal(fixture_try_append(log, count, epoch), ERROR_NONE);
}

int64_t fixture_append_producer(struct log *log, int64_t producer_id, int16_t epoch,
                                int32_t sequence, int count)
{
    struct batch_options options = batch_options_default();
    options.producer_id = producer_id;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    struct buffer *batch = batch_make(&options, log_end_offset(log), count);
    struct batch_facts facts;
    assert_int_equal(facts_of(batch, &facts), ERROR_NONE);
    int32_t latest = log_epoch_latest(log);
    int32_t epoch_of_leader = latest < 0 ? 0 : latest;
    int64_t base = -1;
    assert_int_equal(log_append(log, batch->data, batch->size, &facts, epoch_of_leader, &base),
                     ERROR_NONE);
    buffer_unref(batch);
    return base;
}

enum error fixture_sync(struct log *log)
{
    for (;;) {
        struct log_sync sync = {0};
        if (!log_sync_begin(log, &sync))
            return ERROR_NONE;
        log_sync_run(&sync);
        enum error error = log_sync_end(log, &sync);
        if (error != ERROR_NONE)
            return error;
    }
}

static void records_check(const struct batch_header *header)
{
    struct codec_context context;
    codec_context_init(&context);
    struct record_walk walk;
    struct record record;
    assert_int_equal(record_walk_init(&walk, header, &context, CODEC_DECOMPRESSED_BYTES_MAX),
                     ERROR_NONE);
    int64_t expected = header->base_offset;
    while (record_walk_next(&walk, &record)) {
        char value[64];
        assert_int_equal(record.offset, expected);
        assert_int_equal(record.timestamp, fixture_timestamp(expected));
        assert_true(slice_equals(record.value, fixture_value(expected, value)));
        expected++;
    }
    assert_int_equal(walk.error, ERROR_NONE);
    assert_int_equal(expected, batch_last_offset(header) + 1);
    record_walk_done(&walk);
    codec_context_done(&context);
}

/* Checks the whole batches of a slice; returns the offset behind the last. */
static int64_t slice_check(const struct log_slice *slice, int64_t offset, bool gaps)
{
    uint8_t *bytes = malloc(slice->size);
    size_t size;
    assert_int_equal(storage_read(slice->file, slice->position, bytes, slice->size, &size),
                     ERROR_NONE);
    assert_int_equal(size, slice->size);
    size_t at = 0;
    struct batch_header header;
    while (at < size && batch_header_read(bytes + at, size - at, &header) == ERROR_NONE) {
        if (at == 0)
            assert_int_equal(header.base_offset, slice->base_offset);
        assert_true(batch_crc_valid(bytes + at, header.size));
        assert_true(batch_last_offset(&header) >= offset);
        assert_true(gaps || header.base_offset <= offset);
        records_check(&header);
        offset = batch_last_offset(&header) + 1;
        at += header.size;
    }
    assert_true(at > 0);
    free(bytes);
    return offset;
}

static int64_t read_on(struct log *log, int64_t offset, enum log_read_limit limit, bool gaps,
                       enum error *ret_error)
{
    for (;;) {
        struct log_slice slice;
        *ret_error = log_read(log, offset, 10000, true, limit, &slice);
        if (*ret_error != ERROR_NONE || slice.size == 0)
            return offset;
        assert_true(gaps || slice.base_offset <= offset);
        offset = slice_check(&slice, offset, gaps);
        log_slice_release(&slice);
    }
}

int64_t fixture_read_from(struct log *log, int64_t offset, enum log_read_limit limit,
                          enum error *ret_error)
{
    return read_on(log, offset, limit, false, ret_error);
}

static int64_t verify(struct log *log, int64_t from, bool gaps)
{
    enum error error;
    int64_t reached = read_on(log, from, LOG_READ_END, gaps, &error);
    assert_int_equal(error, ERROR_NONE);
    assert_int_equal(reached, log_end_offset(log));
    return reached;
}

int64_t fixture_verify(struct log *log, int64_t from)
{
    return verify(log, from, false);
}

int64_t fixture_verify_with_gaps(struct log *log, int64_t from)
{
    return verify(log, from, true);
}
