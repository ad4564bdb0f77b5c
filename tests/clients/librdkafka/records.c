/* SPDX-License-Identifier: Apache-2.0 */
/* Records through librdkafka: every codec and acknowledgement, by offset and by time, contents and
 * order. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 1000 };

unsigned read_from(struct suite *suite, const char *topic, int32_t partition, int64_t offset,
                   struct consumed *records, unsigned count)
{
    const char *const properties[] = {"group.id",
                                      "unused",
                                      "enable.auto.commit",
                                      "false",
                                      "fetch.wait.max.ms",
                                      "100",
                                      "check.crcs",
                                      "true",
                                      NULL};
    rd_kafka_t *consumer = client_new(suite, RD_KAFKA_CONSUMER, properties);
    rd_kafka_topic_partition_list_t *assignment = rd_kafka_topic_partition_list_new(1);
    unsigned seen;

    rd_kafka_topic_partition_list_add(assignment, topic, partition)->offset = offset;
    rd_kafka_assign(consumer, assignment);
    seen = consume_until(consumer, records, count, now_ms() + 15000);
    rd_kafka_topic_partition_list_destroy(assignment);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return seen;
}

/* One request in flight at a time keeps the order when one is repeated. */
static void codec_round_trip(struct suite *suite, const char *codec, struct consumed *records)
{
    const char *const properties[] = {
        "compression.codec", codec, "linger.ms", "20", "max.in.flight", "1", "acks", "all", NULL};
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);
    const char *topic = name_of(suite, codec);

    topic_create(suite, producer, topic, 2);
    check(suite, produce_numbers(producer, topic, 1, 0, RECORDS) == RECORDS,
          "%s: every record is acknowledged", codec);
    rd_kafka_destroy(producer);
    check(suite,
          read_from(suite, topic, 1, RD_KAFKA_OFFSET_BEGINNING, records, RECORDS) == RECORDS &&
              records_are_numbers(records, RECORDS, 1, 0, 0),
          "%s: keys, values and headers come back in order", codec);
}

static void acks_round_trip(struct suite *suite, const char *acks, struct consumed *records)
{
    const char *const properties[] = {"acks", acks, "max.in.flight", "1", NULL};
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);
    char words[32];
    const char *topic;

    snprintf(words, sizeof(words), "acks%s", acks);
    topic = name_of(suite, words);
    topic_create(suite, producer, topic, 1);
    check(suite,
          produce_numbers(producer, topic, 0, 0, RECORDS) == RECORDS &&
              read_from(suite, topic, 0, 0, records, RECORDS) == RECORDS &&
              records_are_numbers(records, RECORDS, 0, 0, 0),
          "acks=%s", acks);
    rd_kafka_destroy(producer);
}

/* KIP-98: sequence numbers over many small batches with five requests in flight. */
static void idempotent_round_trip(struct suite *suite, struct consumed *records)
{
    const char *const properties[] = {
        "enable.idempotence", "true", "batch.num.messages", "7", "linger.ms", "0", NULL};
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);
    const char *topic = name_of(suite, "idempotent");

    topic_create(suite, producer, topic, 1);
    check(suite,
          produce_numbers(producer, topic, 0, 0, RECORDS) == RECORDS &&
              read_from(suite, topic, 0, 0, records, RECORDS) == RECORDS &&
              records_are_numbers(records, RECORDS, 0, 0, 0),
          "an idempotent producer");
    rd_kafka_destroy(producer);
}

static void produce_at(rd_kafka_t *producer, const char *topic, unsigned n, int64_t timestamp_ms,
                       unsigned *acknowledged)
{
    char value[32];

    snprintf(value, sizeof(value), "at-%u", n);
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(acknowledged),
                      RD_KAFKA_V_END);
}

static int64_t offset_at(rd_kafka_t *client, const char *topic, int64_t timestamp_ms)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(1);
    int64_t offset;

    rd_kafka_topic_partition_list_add(asked, topic, 0)->offset = timestamp_ms;
    if (rd_kafka_offsets_for_times(client, asked, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("offsets for times: no answer");
    offset = asked->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(asked);
    return offset;
}

/* Record n carries time base + 1000 n. */
static void times_and_watermarks(struct suite *suite)
{
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, NULL);
    const char *topic = name_of(suite, "time");
    int64_t base_ms = now_ms() - 200000, low = -1, high = -1;
    unsigned acknowledged = 0;

    topic_create(suite, producer, topic, 1);
    for (unsigned n = 0; n < 100; n++)
        produce_at(producer, topic, n, base_ms + 1000 * n, &acknowledged);
    rd_kafka_flush(producer, 20000);
    check(suite, acknowledged == 100, "records with times of their own are acknowledged");
    rd_kafka_query_watermark_offsets(producer, topic, 0, &low, &high, 10000);
    check(suite, low == 0 && high == 100, "watermarks are 0 and 100 (%d, %d)", (int)low, (int)high);
    check(suite, offset_at(producer, topic, base_ms) == 0, "the offset at the first time");
    check(suite, offset_at(producer, topic, base_ms + 41500) == 42, "the offset between two times");
    check(suite, offset_at(producer, topic, base_ms + 99000) == 99, "the offset at the last time");
    check(suite, offset_at(producer, topic, base_ms + 99001) == RD_KAFKA_OFFSET_END,
          "the offset after the last time is the end");
    rd_kafka_destroy(producer);
}

static void offsets_out_of_range(struct suite *suite, struct consumed *records)
{
    const char *topic = name_of(suite, "acksall");

    check(suite,
          read_from(suite, topic, 0, RD_KAFKA_OFFSET_TAIL(10), records, 10) == 10 &&
              records_are_numbers(records, 10, 0, RECORDS - 10, RECORDS - 10),
          "reading starts ten before the end");
    check(suite,
          read_from(suite, topic, 0, 500, records, 10) == 10 &&
              records_are_numbers(records, 10, 0, 500, 500),
          "reading starts in the middle of a batch");
}

void test_records(struct suite *suite)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    static const char *const acks[] = {"0", "1", "all"};
    struct consumed *records = calloc(RECORDS, sizeof(*records));

    if (records == NULL)
        give_up("out of memory");
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        codec_round_trip(suite, codecs[i], records);
    for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++)
        acks_round_trip(suite, acks[i], records);
    idempotent_round_trip(suite, records);
    times_and_watermarks(suite);
    offsets_out_of_range(suite, records);
    free(records);
}
