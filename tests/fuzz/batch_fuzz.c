/* SPDX-License-Identifier: Apache-2.0 */
/* Record batches from anywhere: validated as a client's and as a log's, walked, and compressed anew
 * when valid. The first byte chooses the topic's limits and whether the CRC is put right, without
 * which hardly any input would get past it. */
#include "base/assertion.h"
#include "record/build.h"
#include "record/validate.h"
#include "record/walk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { CHOICE_CRC = 1, CHOICE_COMPACTED = 2, CHOICE_APPEND_TIME = 4, CHOICE_OLD_VERSION = 8 };

static void walk_all(const struct batch_header *header, struct codec_context *context,
                     const struct batch_facts *facts)
{
    struct record_walk walk;
    struct record record;
    int32_t records = 0;
    uint64_t text_bytes = 0;
    (void)record_walk_init(&walk, header, context, 1 << 20);
    while (record_walk_next(&walk, &record)) {
        struct slice key, value;
        int32_t headers = 0;
        while (record_header_next(&record.headers, &key, &value))
            headers++;
        ASSERT(headers == record.header_count);
        text_bytes += record.value.size + 1;
        records++;
    }
    if (facts != NULL) {
        ASSERT(walk.error == ERROR_NONE);
        ASSERT(records == header->record_count);
        ASSERT(text_bytes == facts->text_bytes || batch_is_control(header));
    }
    record_walk_done(&walk);
}

/* A batch that a topic accepts stays acceptable and keeps its text through another codec. */
static void recompress(const struct batch_facts *facts, struct batch_limits limits,
                       struct codec_context *context)
{
    limits.produce_version = 12;
    limits.size_bytes_max = limits.segment_bytes_max = limits.decompressed_bytes_max = 4 << 20;
    struct buffer *batch;
    enum codec codec = (enum codec)(facts->text_bytes % CODEC_COUNT);
    enum error error = batch_recompress(&facts->header, codec, codec_level_default(codec), 1 << 20,
                                        context, &batch);
    ASSERT(error == ERROR_NONE);
    struct batch_facts again;
    error = batch_validate_produce(batch->data, batch->size, &limits, context, &again, NULL);
    ASSERT(error == ERROR_NONE);
    ASSERT(again.offsets_in_order);
    ASSERT(again.text_bytes == facts->text_bytes);
    ASSERT(again.max_timestamp == facts->max_timestamp);
    buffer_unref(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t choice = *input++;
    size--;
    uint8_t *bytes = malloc(size + 1);
    memcpy(bytes, input, size);

    struct batch_limits limits = {
        .produce_version = choice & CHOICE_OLD_VERSION ? 3 : 12,
        .size_bytes_max = 1 << 20,
        .segment_bytes_max = 1 << 20,
        .decompressed_bytes_max = 1 << 20,
        .is_compacted = (choice & CHOICE_COMPACTED) != 0,
        .timestamp_type = choice & CHOICE_APPEND_TIME ? TIMESTAMP_APPEND : TIMESTAMP_CREATE,
        .now_ms = 1700000000000,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
    };
    struct codec_context context;
    codec_context_init(&context);
    struct batch_header header;
    struct batch_facts facts;
    struct batch_refusal refusal;
    if (batch_header_read(bytes, size, &header) == ERROR_NONE) {
        if (choice & CHOICE_CRC)
            batch_set_crc(bytes, header.size);
        (void)batch_header_read(bytes, size, &header);
        if (batch_codec(&header) < CODEC_COUNT)
            walk_all(&header, &context, NULL);
    }
    if (batch_validate_produce(bytes, size, &limits, &context, &facts, &refusal) == ERROR_NONE) {
        walk_all(&facts.header, &context, &facts);
        recompress(&facts, limits, &context);
    }
    if (batch_validate_log(bytes, size, 1 << 20, &context, &facts) == ERROR_NONE)
        walk_all(&facts.header, &context, &facts);
    codec_context_done(&context);
    free(bytes);
    return 0;
}
