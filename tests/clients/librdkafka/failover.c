/* SPDX-License-Identifier: Apache-2.0 */
/* Three nodes, one of which is killed while it leads: nothing is lost, doubled or out of order, and
 * a group reads all of it. */
#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTITIONS = 6, ROUND = 100, ROUNDS = 6, RECORDS = ROUND * ROUNDS, MEMBERS = 2 };

/* What the members of a group have read; after their coordinator died they may read some again. */
struct reading {
    pthread_t threads[MEMBERS];
    pthread_mutex_t lock;
    bool seen[PARTITIONS][RECORDS];
    unsigned places;
    unsigned wrong;
    atomic_bool stopping;
};

struct reader {
    struct reading *reading;
    rd_kafka_t *consumer;
};

static void take(struct reading *reading, const struct consumed *record)
{
    pthread_mutex_lock(&reading->lock);
    if (record->partition >= PARTITIONS || record->offset >= RECORDS ||
        !records_are_numbers(record, 1, record->partition, record->offset,
                             (unsigned)record->offset)) {
        reading->wrong++;
    } else {
        reading->places += !reading->seen[record->partition][record->offset];
        reading->seen[record->partition][record->offset] = true;
    }
    pthread_mutex_unlock(&reading->lock);
}

static void *reader_run(void *argument)
{
    struct reader *reader = argument;
    struct consumed record;

    while (!atomic_load(&reader->reading->stopping)) {
        if (consume_until(reader->consumer, &record, 1, now_ms() + 100) == 1)
            take(reader->reading, &record);
    }
    rd_kafka_consumer_close(reader->consumer);
    return NULL;
}

static unsigned places_read(struct reading *reading)
{
    unsigned places;

    pthread_mutex_lock(&reading->lock);
    places = reading->places;
    pthread_mutex_unlock(&reading->lock);
    return places;
}

static rd_kafka_t *consumer_new(struct suite *suite, const char *topic)
{
    const char *const properties[] = {"group.id",
                                      topic,
                                      "auto.offset.reset",
                                      "earliest",
                                      "session.timeout.ms",
                                      "6000",
                                      "heartbeat.interval.ms",
                                      "300",
                                      NULL};
    rd_kafka_t *consumer = client_new(suite, RD_KAFKA_CONSUMER, properties);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

static int kill_leader(const char *topic)
{
    char command[1024];

    snprintf(command, sizeof(command), "%s %s", getenv("KILL_LEADER"), topic);
    return system(command);
}

/* What is left in the log itself, one partition after the other. */
static void check_partitions(struct suite *suite, const char *topic)
{
    struct consumed *records = calloc(RECORDS, sizeof(*records));

    if (records == NULL)
        give_up("out of memory");
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        check(suite,
              read_from(suite, topic, partition, RD_KAFKA_OFFSET_BEGINNING, records, RECORDS) ==
                      RECORDS &&
                  records_are_numbers(records, RECORDS, partition, 0, 0),
              "partition %d has each once, in order", (int)partition);
    }
    free(records);
}

void test_failover(struct suite *suite)
{
    const char *const properties[] = {"enable.idempotence", "true", "socket.timeout.ms", "6000",
                                      NULL};
    static struct reading reading = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct reader readers[MEMBERS];
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);
    const char *topic = name_of(suite, "failover");
    unsigned acknowledged = 0;
    int64_t deadline_ms;

    topic_create(suite, producer, topic, PARTITIONS);
    for (int i = 0; i < MEMBERS; i++) {
        readers[i] = (struct reader){&reading, consumer_new(suite, topic)};
        if (pthread_create(&reading.threads[i], NULL, reader_run, &readers[i]) != 0)
            give_up("no thread");
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 2)
            check(suite, kill_leader(topic) == 0, "a leader is killed");
        for (int32_t partition = 0; partition < PARTITIONS; partition++)
            acknowledged += produce_numbers(producer, topic, partition, round * ROUND, ROUND);
    }
    check(suite, acknowledged == PARTITIONS * RECORDS, "every record is acknowledged (%u)",
          acknowledged);
    check_partitions(suite, topic);
    deadline_ms = now_ms() + 40000;
    while (places_read(&reading) < PARTITIONS * RECORDS && now_ms() < deadline_ms)
        wait_ms(20);
    atomic_store(&reading.stopping, true);
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(reading.threads[i], NULL);
        rd_kafka_destroy(readers[i].consumer);
    }
    check(suite, reading.places == PARTITIONS * RECORDS && reading.wrong == 0,
          "the group read them all and nothing else (%u, %u wrong)", reading.places, reading.wrong);
    rd_kafka_destroy(producer);
}
