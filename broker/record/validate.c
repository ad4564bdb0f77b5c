/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a batch, cheap ones first, in Kafka's order. */
#include "record/validate.h"

#include "base/assertion.h"
#include "record/record.h"

/* Fewer bytes than these behind a batch are no further batch to Kafka (ByteBufferLogInputStream:
 * LOG_OVERHEAD, HEADER_SIZE_UP_TO_MAGIC, LegacyRecord.RECORD_OVERHEAD_V0). */
enum {
    SLICE_LENGTH_BYTES = BATCH_LENGTH_ENDS_AT,
    SLICE_MAGIC_BYTES = BATCH_MAGIC_AT + 1,
    SLICE_LENGTH_MIN = 14,
};

static enum error refuse(struct batch_refusal *refusal, enum error error, const char *text)
{
    if (refusal != NULL) {
        refusal->text = text;
        refusal->records_count = 0;
        refusal->refused_count = 0;
    }
    return error;
}

/* What Kafka's slicing says of the bytes behind the first batch. */
static enum error second_batch_check(const uint8_t *bytes, size_t size,
                                     struct batch_refusal *refusal)
{
    if (size < SLICE_LENGTH_BYTES)
        return ERROR_NONE;
    int32_t length = (int32_t)load_be32(bytes + BATCH_LENGTH_AT);
    if (length < SLICE_LENGTH_MIN)
        return refuse(refusal, ERROR_CORRUPT_MESSAGE, "a second batch with an impossible length");
    if (size < SLICE_MAGIC_BYTES)
        return ERROR_NONE;
    if (bytes[BATCH_MAGIC_AT] > BATCH_MAGIC)
        return refuse(refusal, ERROR_CORRUPT_MESSAGE, "a second batch with an unknown magic");
    if ((size_t)length > size - SLICE_LENGTH_BYTES)
        return ERROR_NONE;
    return refuse(refusal, ERROR_INVALID_RECORD,
                  "a produce request holds exactly one batch per partition");
}

/* Checks 3, 4 and 8: there is exactly one batch, whole, of magic 2. */
static enum error produce_slice(const uint8_t *bytes, size_t size,
                                const struct batch_limits *limits, struct batch_header *ret_header,
                                struct batch_refusal *refusal)
{
    if (size == 0)
        return refuse(refusal, ERROR_INVALID_RECORD,
                      "a produce request holds at least one batch per partition");
    if (size < SLICE_MAGIC_BYTES)
        return refuse(refusal, ERROR_CORRUPT_MESSAGE, "the batch is shorter than its header");
    if (bytes[BATCH_MAGIC_AT] < BATCH_MAGIC)
        return refuse(refusal, ERROR_INVALID_RECORD, "only batches of magic 2 are accepted");
    struct batch_header header;
    enum error error = batch_header_read(bytes, size, &header);
    if (error != ERROR_NONE)
        return refuse(refusal, error, "the batch's length or magic is wrong");
    if (batch_codec(&header) == CODEC_ZSTD && limits->produce_version < 7)
        return refuse(refusal, ERROR_UNSUPPORTED_COMPRESSION_TYPE,
                      "zstd needs version 7 of the produce request");
    error = second_batch_check(bytes + header.size, size - header.size, refusal);
    if (error != ERROR_NONE)
        return error;
    *ret_header = header;
    return ERROR_NONE;
}

/* Checks 9 to 13: the header says what a client may say, and the bytes are what it wrote. */
static enum error produce_header_check(const struct batch_header *header,
                                       const struct batch_limits *limits,
                                       struct batch_refusal *refusal)
{
    if (header->base_offset != 0)
        return refuse(refusal, ERROR_INVALID_RECORD, "the batch's base offset is not 0");
    if (header->size > limits->size_bytes_max)
        return refuse(refusal, ERROR_MESSAGE_TOO_LARGE, "larger than max.message.bytes");
    if (!batch_crc_valid(header->bytes, header->size))
        return refuse(refusal, ERROR_CORRUPT_MESSAGE, "the batch's CRC does not match");
    if (batch_codec(header) >= CODEC_COUNT)
        return refuse(refusal, ERROR_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression type");
    if (header->last_offset_delta < 0 || header->record_count <= 0 ||
        header->last_offset_delta != header->record_count - 1)
        return refuse(refusal, ERROR_INVALID_RECORD,
                      "the batch's record count and offsets do not agree");
    if (batch_is_control(header))
        return refuse(refusal, ERROR_INVALID_RECORD, "clients may not write control records");
    if (batch_has_producer(header) && header->base_sequence < 0)
        return refuse(refusal, ERROR_INVALID_RECORD, "a producer id without a sequence");
    if (batch_is_transactional(header) && !batch_has_producer(header))
        return refuse(refusal, ERROR_INVALID_RECORD, "transactional without a producer id");
    return ERROR_NONE;
}

/* Year 292 million and below -1 are refused whatever the limits (reliability, input 42). */
static bool timestamp_in_range(int64_t timestamp, const struct batch_limits *limits)
{
    if (timestamp == TIMESTAMP_NONE)
        return true;
    if (timestamp < 0)
        return false;
    if (timestamp > limits->now_ms)
        return timestamp - limits->now_ms <= limits->timestamp_after_max_ms;
    return limits->now_ms - timestamp <= limits->timestamp_before_max_ms;
}

/* The refusals of single records, while the pass goes on. */
struct record_refusals {
    struct batch_refusal *refusal; /* May be NULL. */
    uint32_t count;
    bool has_timestamp; /* INVALID_TIMESTAMP wins over INVALID_RECORD. */
};

static void record_refuse(struct record_refusals *refusals, int32_t index, const char *text)
{
    struct batch_refusal *refusal = refusals->refusal;
    if (refusal != NULL && refusals->count < BATCH_REFUSED_RECORDS_MAX)
        refusal->records[refusals->count] =
            (struct batch_refused_record){.index = index, .text = text};
    refusals->count++;
}

/* Checks 15 and 16 for one record. */
static void produce_record_check(const struct batch_header *header, const struct record *record,
                                 int64_t timestamp, int32_t index,
                                 const struct batch_limits *limits,
                                 struct record_refusals *refusals)
{
    if (limits->is_compacted && record->key.data == NULL) {
        record_refuse(refusals, index, "a compacted topic accepts no record without a key");
        return;
    }
    if (batch_timestamp_type(header) == TIMESTAMP_APPEND) {
        refusals->has_timestamp = true;
        record_refuse(refusals, index, "a producer may not set the timestamp type LogAppendTime");
    } else if (limits->timestamp_type == TIMESTAMP_CREATE &&
               !timestamp_in_range(timestamp, limits)) {
        refusals->has_timestamp = true;
        record_refuse(refusals, index, "the timestamp is out of range");
    }
}

static enum error record_refusals_end(const struct record_refusals *refusals)
{
    if (refusals->count == 0)
        return ERROR_NONE;
    if (refusals->refusal != NULL) {
        struct batch_refusal *refusal = refusals->refusal;
        refusal->text = refusals->has_timestamp
                            ? "one or more records have been rejected due to invalid timestamp"
                            : "one or more records have been rejected";
        refusal->refused_count = refusals->count;
        refusal->records_count = refusals->count < BATCH_REFUSED_RECORDS_MAX
                                     ? refusals->count
                                     : BATCH_REFUSED_RECORDS_MAX;
    }
    return refusals->has_timestamp ? ERROR_INVALID_TIMESTAMP : ERROR_INVALID_RECORD;
}

/* The records section as it decodes: the batch's own bytes or the context's scratch. */
static enum error records_open(const struct batch_header *header, struct codec_context *context,
                               size_t decompressed_bytes_max, struct slice *ret_records)
{
    if (batch_codec(header) == CODEC_NONE) {
        *ret_records = batch_records(header);
        return ERROR_NONE;
    }
    ASSERT(context != NULL);
    return codec_decompress(context, batch_codec(header), batch_records(header),
                            decompressed_bytes_max, ret_records);
}

static void facts_add_record(struct batch_facts *facts, const struct record *record,
                             int64_t timestamp, int32_t index)
{
    facts->text_bytes += record->value.size + 1;
    if (record->offset != index)
        facts->offsets_in_order = false;
    if (index == 0 || timestamp > facts->max_timestamp) {
        facts->max_timestamp = timestamp;
        facts->max_timestamp_delta = (int32_t)record->offset;
    }
}

static struct batch_facts facts_begin(const struct batch_header *header)
{
    return (struct batch_facts){
        .header = *header,
        .max_timestamp = TIMESTAMP_NONE,
        .offsets_in_order = true,
    };
}

/* Sums wrap as Java's do: hostile deltas must not be undefined behaviour. */
static int64_t record_timestamp(const struct batch_header *header, const struct record *record)
{
    return (int64_t)((uint64_t)header->base_timestamp + (uint64_t)record->timestamp);
}

/* Checks 14 to 16 over decoded records. */
static enum error produce_records_check(struct slice records, const struct batch_limits *limits,
                                        struct batch_facts *facts, struct batch_refusal *refusal)
{
    const struct batch_header *header = &facts->header;
    struct record_refusals refusals = {.refusal = refusal};
    const uint8_t *next = records.data;
    const uint8_t *end = records.data + records.size;
    for (int32_t index = 0; index < header->record_count; index++) {
        struct record record;
        size_t used = record_read(next, (size_t)(end - next), &record);
        if (used == 0)
            return refuse(refusal, ERROR_INVALID_RECORD, "a record does not decode");
        next += used;
        int64_t timestamp = record_timestamp(header, &record);
        produce_record_check(header, &record, timestamp, index, limits, &refusals);
        facts_add_record(facts, &record, timestamp, index);
    }
    if (next != end)
        return refuse(refusal, ERROR_INVALID_RECORD, "bytes follow the last record");
    return record_refusals_end(&refusals);
}

/* What a client is owed for records that do not decompress. */
static enum error produce_decode_error(enum error error, struct batch_refusal *refusal)
{
    switch (error) {
    case ERROR_TOO_LARGE:
        return refuse(refusal, ERROR_INVALID_RECORD, "the records decompress beyond the limit");
    case ERROR_MALFORMED:
        return refuse(refusal, ERROR_INVALID_RECORD, "the records do not decompress");
    case ERROR_CORRUPT_MESSAGE:
        return refuse(refusal, error, "the records' compression framing is damaged");
    default:
        return refuse(refusal, error, error_text(error));
    }
}

enum error batch_validate_produce(const uint8_t *bytes, size_t size,
                                  const struct batch_limits *limits, struct codec_context *context,
                                  struct batch_facts *ret_facts, struct batch_refusal *ret_refusal)
{
    struct batch_header header;
    enum error error = produce_slice(bytes, size, limits, &header, ret_refusal);
    if (error == ERROR_NONE)
        error = produce_header_check(&header, limits, ret_refusal);
    if (error != ERROR_NONE)
        return error;

    struct slice records;
    error = records_open(&header, context, limits->decompressed_bytes_max, &records);
    if (error != ERROR_NONE)
        return produce_decode_error(error, ret_refusal);
    struct batch_facts facts = facts_begin(&header);
    error = produce_records_check(records, limits, &facts, ret_refusal);
    if (batch_codec(&header) != CODEC_NONE)
        codec_context_trim(context);
    if (error != ERROR_NONE)
        return error;

    if (header.size > limits->segment_bytes_max)
        return refuse(ret_refusal, ERROR_RECORD_LIST_TOO_LARGE, "larger than segment.bytes");
    if (limits->timestamp_type == TIMESTAMP_APPEND) {
        facts.max_timestamp = limits->now_ms;
        facts.max_timestamp_delta = 0;
    }
    *ret_facts = facts;
    return ERROR_NONE;
}

static enum error log_records_check(struct slice records, struct batch_facts *facts)
{
    const struct batch_header *header = &facts->header;
    const uint8_t *next = records.data;
    const uint8_t *end = records.data + records.size;
    int64_t offset_before = -1;
    for (int32_t index = 0; index < header->record_count; index++) {
        struct record record;
        size_t used = record_read(next, (size_t)(end - next), &record);
        if (used == 0 || record.offset <= offset_before ||
            record.offset > header->last_offset_delta)
            return ERROR_CORRUPT_MESSAGE;
        next += used;
        offset_before = record.offset;
        facts_add_record(facts, &record, record_timestamp(header, &record), index);
    }
    return next == end ? ERROR_NONE : ERROR_CORRUPT_MESSAGE;
}

enum error batch_validate_log(const uint8_t *bytes, size_t size, size_t decompressed_bytes_max,
                              struct codec_context *context, struct batch_facts *ret_facts)
{
    struct batch_header header;
    enum error error = batch_header_read(bytes, size, &header);
    if (error != ERROR_NONE)
        return error;
    if (!batch_crc_valid(header.bytes, header.size) || header.record_count < 0 ||
        header.last_offset_delta < 0 || header.base_offset < 0 ||
        header.base_offset > INT64_MAX - header.last_offset_delta)
        return ERROR_CORRUPT_MESSAGE;

    /* What compaction emptied has no records section left, compressed or not. */
    struct slice records = batch_records(&header);
    if (header.record_count > 0) {
        error = records_open(&header, context, decompressed_bytes_max, &records);
        if (error != ERROR_NONE)
            return error == ERROR_OUT_OF_MEMORY ? error : ERROR_CORRUPT_MESSAGE;
    }
    struct batch_facts facts = facts_begin(&header);
    error = log_records_check(records, &facts);
    if (batch_codec(&header) != CODEC_NONE)
        codec_context_trim(context);
    if (error != ERROR_NONE)
        return error;

    if (batch_timestamp_type(&header) == TIMESTAMP_APPEND || header.record_count == 0) {
        facts.max_timestamp = header.max_timestamp;
        facts.max_timestamp_delta = 0;
    }
    if (batch_is_control(&header))
        facts.text_bytes = 0;
    *ret_facts = facts;
    return ERROR_NONE;
}
