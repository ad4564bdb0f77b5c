/* SPDX-License-Identifier: Apache-2.0 */
/* librdkafka against a broker: main, and what the tests of records, groups and administration
 * share. */
#include "suite.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void check(struct suite *suite, bool passed, const char *format, ...)
{
    va_list arguments;

    printf(passed ? "ok - " : "not ok - ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    if (!passed)
        suite->checks_failed++;
}

void give_up(const char *format, ...)
{
    va_list arguments;

    printf("not ok - ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    exit(2);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_ms(int duration_ms)
{
    (void)poll(NULL, 0, duration_ms);
}

static void delivery_reported(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    unsigned *acknowledged = message->_private;

    (void)producer;
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        (*acknowledged)++;
    else
        printf("  delivery: %s\n", rd_kafka_err2str(message->err));
}

rd_kafka_t *client_new(struct suite *suite, rd_kafka_type_t type, const char *const *properties)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client;

    rd_kafka_conf_set(conf, "bootstrap.servers", suite->bootstrap, NULL, 0);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, delivery_reported);
    for (; properties != NULL && properties[0] != NULL; properties += 2) {
        if (rd_kafka_conf_set(conf, properties[0], properties[1], why, sizeof(why)) !=
            RD_KAFKA_CONF_OK)
            give_up("%s=%s: %s", properties[0], properties[1], why);
    }
    client = rd_kafka_new(type, conf, why, sizeof(why));
    if (client == NULL)
        give_up("no client: %s", why);
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(client);
    return client;
}

const char *name_of(struct suite *suite, const char *words)
{
    size_t size = strlen(suite->prefix) + strlen(words) + 2;
    char *name = malloc(size);

    if (name == NULL)
        give_up("out of memory");
    snprintf(name, size, "%s.%s", suite->prefix, words);
    return name;
}

rd_kafka_event_t *admin_result(rd_kafka_queue_t *queue, const char *words)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);

    if (event == NULL)
        give_up("%s: no answer within 20 s", words);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("%s: %s", words, rd_kafka_event_error_string(event));
    return event;
}

static int partitions_seen(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    int partitions = 0;

    if (rd_kafka_metadata(client, 0, handle, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            partitions = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return partitions;
}

void topic_create(struct suite *suite, rd_kafka_t *client, const char *topic, int partitions)
{
    char why[256];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const char *replication = getenv("REPLICATION"); /* Set where there are three nodes. */
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(
        topic, partitions, replication != NULL ? (int)strtol(replication, NULL, 10) : 1, why,
        sizeof(why));
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t count;
    int64_t deadline_ms = now_ms() + 15000;

    (void)suite;
    rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
    event = admin_result(queue, "creating a topic");
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count != 1 || rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("topic %s was not created", topic);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    while (partitions_seen(client, topic) != partitions) {
        if (now_ms() > deadline_ms)
            give_up("topic %s does not show %d partitions", topic, partitions);
    }
}

unsigned produce_numbers(rd_kafka_t *producer, const char *topic, int32_t partition, unsigned first,
                         unsigned count)
{
    unsigned acknowledged = 0;

    for (unsigned n = first; n < first + count; n++) {
        char key[32], value[64], header[32];
        rd_kafka_resp_err_t error;

        snprintf(key, sizeof(key), "k%u", n);
        snprintf(value, sizeof(value), "v%u", n);
        snprintf(header, sizeof(header), "h%u", n);
        error = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, strlen(value)),
            RD_KAFKA_V_HEADER("h", header, -1), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_OPAQUE(&acknowledged), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            give_up("produce: %s", rd_kafka_err2str(error));
    }
    if (rd_kafka_flush(producer, 30000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("%s: not all records were acknowledged within 30 s", topic);
    return acknowledged;
}

static void text_set(char *text, size_t size, const void *bytes, size_t length)
{
    if (bytes == NULL)
        snprintf(text, size, "(null)");
    else
        snprintf(text, size, "%.*s", (int)length, (const char *)bytes);
}

void consumed_set(struct consumed *consumed, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *header;
    size_t header_size;

    consumed->partition = message->partition;
    consumed->offset = message->offset;
    text_set(consumed->key, sizeof(consumed->key), message->key, message->key_len);
    text_set(consumed->value, sizeof(consumed->value), message->payload, message->len);
    consumed->header[0] = '\0';
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "h", &header, &header_size) == RD_KAFKA_RESP_ERR_NO_ERROR)
        text_set(consumed->header, sizeof(consumed->header), header, header_size);
}

unsigned consume_until(rd_kafka_t *consumer, struct consumed *records, unsigned count,
                       int64_t deadline_ms)
{
    unsigned seen = 0;

    while (seen < count && now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 50);

        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            consumed_set(&records[seen++], message);
        else
            printf("  consumer: %s\n", rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    return seen;
}

bool records_are_numbers(const struct consumed *records, unsigned count, int32_t partition,
                         int64_t offset, unsigned first)
{
    for (unsigned i = 0; i < count; i++) {
        char key[32], value[64], header[32];

        snprintf(key, sizeof(key), "k%u", first + i);
        snprintf(value, sizeof(value), "v%u", first + i);
        snprintf(header, sizeof(header), "h%u", first + i);
        if (records[i].partition != partition || records[i].offset != offset + i ||
            strcmp(records[i].key, key) != 0 || strcmp(records[i].value, value) != 0 ||
            strcmp(records[i].header, header) != 0) {
            printf("  record %u is %d/%" PRId64 " %s %s %s\n", i, records[i].partition,
                   records[i].offset, records[i].key, records[i].value, records[i].header);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct suite suite = {0};

    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST:PORT PREFIX\n", argv[0]);
        return 2;
    }
    suite.bootstrap = argv[1];
    suite.prefix = argv[2];
    printf("librdkafka %s\n", rd_kafka_version_str());
    test_records(&suite);
    if (getenv("KILL_LEADER") != NULL) {
        test_cluster_group(&suite);
        test_failover(&suite);
    } else {
        test_groups(&suite);
        test_admin(&suite);
    }
    return suite.checks_failed == 0 ? 0 : 1;
}
