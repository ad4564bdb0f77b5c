/* SPDX-License-Identifier: Apache-2.0 */
/* Consumes as a member of a group until SIGTERM, and writes down what it saw, committed and was
 * given: group_consumer BOOTSTRAP TOPIC GROUP JOURNAL NAME [KEY=VALUE...]
 *
 *     consumer NAME GROUP
 *     assigned PARTITION OFFSET TIME      the group's committed offset (0: none), asked for after
 * TIME seen PARTITION OFFSET PRODUCER SEQUENCE committed PARTITION OFFSET TIME     acknowledged
 * before TIME; what is below OFFSET was seen
 *
 * TIME is CLOCK_MONOTONIC in microseconds, the same for all processes of a test.
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { PARTITIONS_MAX = 16, COMMIT_PAUSE_MS = 150, ANSWER_MS = 5000 };

struct consumer {
    rd_kafka_t *client;
    FILE *journal;
    const char *topic;
    int64_t positions[PARTITIONS_MAX]; /* the next offset; -1: not ours */
    int64_t committed[PARTITIONS_MAX];
};

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
    (void)number;
    stopping = 1;
}

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void set(rd_kafka_conf_t *config, const char *key, const char *value)
{
    char reason[256];
    if (rd_kafka_conf_set(config, key, value, reason, sizeof reason) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s=%s: %s\n", key, value, reason);
        exit(2);
    }
}

/* Asks for the committed offsets of these partitions until there is an answer for each. */
static int offsets_ask(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    while (!stopping) {
        int wrong = rd_kafka_committed(consumer->client, partitions, ANSWER_MS) !=
                    RD_KAFKA_RESP_ERR_NO_ERROR;
        for (int i = 0; i < partitions->cnt; i++)
            wrong |= partitions->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!wrong)
            return 1;
        poll(NULL, 0, 20);
    }
    return 0;
}

static void take(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    long long asked_us = now_us();
    if (!offsets_ask(consumer, partitions)) {
        rd_kafka_assign(consumer->client, NULL);
        return;
    }
    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *partition = &partitions->elems[i];
        if (partition->offset < 0)
            partition->offset = 0;
        fprintf(consumer->journal, "assigned %d %lld %lld\n", partition->partition,
                (long long)partition->offset, asked_us);
        consumer->positions[partition->partition] = partition->offset;
        consumer->committed[partition->partition] = partition->offset;
    }
    rd_kafka_assign(consumer->client, partitions);
}

/* Commits what was seen and is not committed yet; an error leaves that for the next time. */
static void positions_commit(struct consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    for (int i = 0; i < PARTITIONS_MAX; i++)
        if (consumer->positions[i] > consumer->committed[i])
            rd_kafka_topic_partition_list_add(list, consumer->topic, i)->offset =
                consumer->positions[i];
    if (list->cnt > 0 && rd_kafka_commit(consumer->client, list, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        long long committed_us = now_us();
        for (int i = 0; i < list->cnt; i++) {
            if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
                continue;
            consumer->committed[list->elems[i].partition] = list->elems[i].offset;
            fprintf(consumer->journal, "committed %d %lld %lld\n", list->elems[i].partition,
                    (long long)list->elems[i].offset, committed_us);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t error,
                         rd_kafka_topic_partition_list_t *partitions, void *context)
{
    struct consumer *consumer = context;
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take(consumer, partitions);
        return;
    }
    if (!rd_kafka_assignment_lost(client))
        positions_commit(consumer);
    for (int i = 0; i < PARTITIONS_MAX; i++)
        consumer->positions[i] = consumer->committed[i] = -1;
    rd_kafka_assign(client, NULL);
}

static rd_kafka_t *client_open(struct consumer *consumer, char **arguments, int argument_count)
{
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    set(config, "bootstrap.servers", arguments[1]);
    set(config, "group.id", arguments[3]);
    set(config, "enable.auto.commit", "false");
    set(config, "auto.offset.reset", "error"); /* A lost record must not be skipped in silence. */
    set(config, "session.timeout.ms", "6000");
    set(config, "heartbeat.interval.ms", "500");
    set(config, "socket.timeout.ms", "5000");
    set(config, "reconnect.backoff.ms", "10");
    set(config, "reconnect.backoff.max.ms", "100");
    set(config, "retry.backoff.ms", "20");
    set(config, "check.crcs", "true");
    set(config, "log_level", "2");
    for (int i = 6; i < argument_count; i++) {
        char *value = strchr(arguments[i], '=');
        *value = '\0';
        set(config, arguments[i], value + 1);
    }
    rd_kafka_conf_set_opaque(config, consumer);
    rd_kafka_conf_set_rebalance_cb(config, on_rebalance);
    char reason[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, config, reason, sizeof reason);
    if (client == NULL)
        fprintf(stderr, "%s\n", reason);
    return client;
}

static void note_record(struct consumer *consumer, const rd_kafka_message_t *message)
{
    char name[64] = "?";
    unsigned long long sequence = 0;
    char text[96];
    size_t size = message->len < sizeof text - 1 ? message->len : sizeof text - 1;
    if (message->payload == NULL || message->partition >= PARTITIONS_MAX)
        return;
    memcpy(text, message->payload, size);
    text[size] = '\0';
    if (sscanf(text, "%63s %llu", name, &sequence) != 2)
        strcpy(name, "?");
    fprintf(consumer->journal, "seen %d %lld %s %llu\n", message->partition,
            (long long)message->offset, name, sequence);
    consumer->positions[message->partition] = message->offset + 1;
}

/* Returns 0 where the client cannot go on. */
static int message_take(struct consumer *consumer, rd_kafka_message_t *message)
{
    int goes_on = 1;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_record(consumer, message);
    } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
               message->err == RD_KAFKA_RESP_ERR__FATAL) {
        fprintf(stderr, "partition %d: %s\n", message->partition, rd_kafka_message_errstr(message));
        goes_on = 0;
    }
    rd_kafka_message_destroy(message);
    return goes_on;
}

int main(int argument_count, char **arguments)
{
    struct consumer consumer = {0};
    if (argument_count < 6)
        return 2;
    signal(SIGTERM, on_stop);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* Not longer than its test. */
    for (int i = 0; i < PARTITIONS_MAX; i++)
        consumer.positions[i] = consumer.committed[i] = -1;
    consumer.topic = arguments[2];
    consumer.journal = fopen(arguments[4], "we");
    consumer.client = client_open(&consumer, arguments, argument_count);
    if (consumer.journal == NULL || consumer.client == NULL)
        return 2;
    setvbuf(consumer.journal, NULL, _IOLBF, BUFSIZ);
    fprintf(consumer.journal, "consumer %s %s\n", arguments[5], arguments[3]);
    rd_kafka_poll_set_consumer(consumer.client);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, consumer.topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(consumer.client, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 2;
    int goes_on = 1;
    long long commit_us = now_us();
    while (!stopping && goes_on) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer.client, 20);
        if (message != NULL)
            goes_on = message_take(&consumer, message);
        if (now_us() - commit_us > COMMIT_PAUSE_MS * 1000LL) {
            positions_commit(&consumer);
            commit_us = now_us();
        }
    }
    rd_kafka_consumer_close(consumer.client); /* Commits by on_rebalance. */
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_destroy(consumer.client);
    fclose(consumer.journal);
    return !goes_on;
}
