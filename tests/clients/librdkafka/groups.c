/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups through librdkafka: members join and leave, every record goes to one of them
 * once. */
#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RECORDS_MAX leaves room for records that a member reads again. */
enum { PARTITIONS = 6, ROUND = 100, ROUNDS = 3, RECORDS = PARTITIONS * ROUND * ROUNDS };
enum { RECORDS_MAX = 4 * RECORDS };

struct member {
    rd_kafka_t *consumer;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint seen;
    struct consumed *records;
};

struct group_test {
    struct suite *suite;
    const char *topic;
    const char *group;
    const char *assignor;
    const char *auto_commit;
};

static void *member_run(void *argument)
{
    struct member *member = argument;

    while (!atomic_load(&member->stopping)) {
        unsigned seen = atomic_load(&member->seen);

        if (seen < RECORDS_MAX &&
            consume_until(member->consumer, &member->records[seen], 1, now_ms() + 100) == 1) {
            atomic_fetch_add(&member->seen, 1);
        }
    }
    rd_kafka_consumer_close(member->consumer);
    return NULL;
}

/* With a static id the member's place is kept when it leaves (KIP-345). */
static rd_kafka_t *consumer_new(const struct group_test *test, const char *static_id)
{
    const char *properties[] = {"group.id",
                                test->group,
                                "auto.offset.reset",
                                "earliest",
                                "partition.assignment.strategy",
                                test->assignor,
                                "enable.auto.commit",
                                test->auto_commit,
                                "session.timeout.ms",
                                "6000",
                                "heartbeat.interval.ms",
                                "300",
                                static_id != NULL ? "group.instance.id" : NULL,
                                static_id,
                                NULL};
    rd_kafka_t *consumer = client_new(test->suite, RD_KAFKA_CONSUMER, properties);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(topics, test->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

static void member_start(struct member *member, const struct group_test *test)
{
    memset(member, 0, sizeof(*member));
    member->records = calloc(RECORDS_MAX, sizeof(*member->records));
    if (member->records == NULL)
        give_up("out of memory");
    member->consumer = consumer_new(test, NULL);
    if (pthread_create(&member->thread, NULL, member_run, member) != 0)
        give_up("no thread");
}

static void member_stop(struct member *member)
{
    atomic_store(&member->stopping, true);
    pthread_join(member->thread, NULL);
}

static void member_free(struct member *member)
{
    rd_kafka_destroy(member->consumer);
    free(member->records);
}

static int partitions_assigned(struct member *member)
{
    rd_kafka_topic_partition_list_t *assignment;
    int count = 0;

    if (rd_kafka_assignment(member->consumer, &assignment) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = assignment->cnt;
        rd_kafka_topic_partition_list_destroy(assignment);
    }
    return count;
}

/* How many different records these members have read so far. */
static unsigned records_seen(struct member *members, unsigned count)
{
    static bool known[PARTITIONS][ROUND * ROUNDS];
    unsigned different = 0;

    memset(known, 0, sizeof(known));
    for (unsigned i = 0; i < count; i++) {
        unsigned seen = atomic_load(&members[i].seen);

        for (unsigned n = 0; n < seen; n++) {
            bool *slot = &known[members[i].records[n].partition][members[i].records[n].offset];

            different += !*slot;
            *slot = true;
        }
    }
    return different;
}

static bool wait_seen(struct member *members, unsigned count, unsigned wanted)
{
    int64_t deadline_ms = now_ms() + 40000;

    while (now_ms() < deadline_ms) {
        if (records_seen(members, count) >= wanted)
            return true;
        wait_ms(20);
    }
    return false;
}

/* Waits until these members share all partitions evenly. */
static bool wait_shared(struct member **members, unsigned count)
{
    int64_t deadline_ms = now_ms() + 40000;

    while (now_ms() < deadline_ms) {
        bool even = true;

        for (unsigned i = 0; i < count; i++)
            even = even && partitions_assigned(members[i]) == PARTITIONS / (int)count;
        if (even)
            return true;
        wait_ms(20);
    }
    return false;
}

static void produce_round(rd_kafka_t *producer, const struct group_test *test, unsigned round)
{
    for (int partition = 0; partition < PARTITIONS; partition++)
        produce_numbers(producer, test->topic, partition, round * ROUND, ROUND);
}

/* Every record of every partition once over all members, and in order within a member. librdkafka
 * before 2.1 starts retained partitions again from the committed offset at each cooperative
 * rebalance, against any broker: there every record must come at least once. */
static void check_shares(struct suite *suite, struct member *members, unsigned count,
                         const char *assignor)
{
    static unsigned char times[PARTITIONS][ROUND * ROUNDS];
    bool once = strcmp(assignor, "cooperative-sticky") != 0 || rd_kafka_version() >= 0x02010000;
    unsigned wrong = 0, disorder = 0;

    memset(times, 0, sizeof(times));
    for (unsigned i = 0; i < count; i++) {
        int64_t last[PARTITIONS] = {-1, -1, -1, -1, -1, -1};

        for (unsigned n = 0; n < atomic_load(&members[i].seen); n++) {
            const struct consumed *record = &members[i].records[n];

            if (!records_are_numbers(record, 1, record->partition, record->offset,
                                     (unsigned)record->offset)) {
                wrong++;
                continue;
            }
            disorder += record->offset <= last[record->partition];
            last[record->partition] = record->offset;
            times[record->partition][record->offset] =
                once ? times[record->partition][record->offset] + 1 : 1;
        }
    }
    for (int partition = 0; partition < PARTITIONS; partition++) {
        for (int n = 0; n < ROUND * ROUNDS; n++)
            wrong += times[partition][n] != 1;
    }
    check(suite, wrong == 0, "%s: every record goes to a member%s (%u do not)", assignor,
          once ? " once" : "", wrong);
    if (once)
        check(suite, disorder == 0, "%s: each member reads each partition in order", assignor);
}

static void rebalances(struct suite *suite, rd_kafka_t *producer, const char *assignor)
{
    struct group_test test = {suite, name_of(suite, assignor), name_of(suite, assignor), assignor,
                              "true"};
    struct member members[3];

    topic_create(suite, producer, test.topic, PARTITIONS);
    produce_round(producer, &test, 0);
    member_start(&members[0], &test);
    member_start(&members[1], &test);
    check(suite, wait_seen(members, 2, PARTITIONS * ROUND), "%s: two members read", assignor);
    check(suite, wait_shared((struct member *[]){&members[0], &members[1]}, 2),
          "%s: two members have three partitions each", assignor);
    member_start(&members[2], &test);
    check(suite, wait_shared((struct member *[]){&members[0], &members[1], &members[2]}, 3),
          "%s: a third joins and each has two", assignor);
    produce_round(producer, &test, 1);
    check(suite, wait_seen(members, 3, 2 * PARTITIONS * ROUND), "%s: three members read", assignor);
    member_stop(&members[1]);
    check(suite, wait_shared((struct member *[]){&members[0], &members[2]}, 2),
          "%s: one leaves and the others have three", assignor);
    produce_round(producer, &test, 2);
    check(suite, wait_seen(members, 3, RECORDS), "%s: those left read the rest", assignor);
    member_stop(&members[0]);
    member_stop(&members[2]);
    check_shares(suite, members, 3, assignor);
    for (unsigned i = 0; i < 3; i++)
        member_free(&members[i]);
}

/* Reads so many records, commits after them as asked, and leaves. */
static void read_and_commit(const struct group_test *test, const char *static_id, unsigned count,
                            struct consumed *records, unsigned *ret_seen)
{
    rd_kafka_t *consumer = consumer_new(test, static_id);

    *ret_seen = consume_until(consumer, records, count, now_ms() + 30000);
    if (strcmp(test->auto_commit, "false") == 0 &&
        rd_kafka_commit(consumer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
        *ret_seen = 0;
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void resumes_after_restart(struct suite *suite, rd_kafka_t *producer,
                                  const char *auto_commit, const char *static_id)
{
    char words[32];
    struct group_test test = {suite, NULL, NULL, "range", auto_commit};
    struct consumed *records = calloc(RECORDS, sizeof(*records));
    unsigned seen = 0;

    if (records == NULL)
        give_up("out of memory");
    snprintf(words, sizeof(words), "resume-%s-%s", auto_commit,
             static_id != NULL ? static_id : "none");
    test.topic = test.group = name_of(suite, words);
    topic_create(suite, producer, test.topic, 1);
    produce_numbers(producer, test.topic, 0, 0, 300);
    read_and_commit(&test, static_id, 123, records, &seen);
    check(suite, seen == 123 && records_are_numbers(records, 123, 0, 0, 0),
          "auto commit %s, static id %s: reads 123 records", auto_commit,
          static_id ? static_id : "none");
    read_and_commit(&test, static_id, 177, records, &seen);
    check(suite, seen == 177 && records_are_numbers(records, 177, 0, 123, 123),
          "and resumes at the 124th after a restart");
    free(records);
}

void test_cluster_group(struct suite *suite)
{
    const char *const properties[] = {"enable.idempotence", "true", NULL};
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);

    rebalances(suite, producer, "roundrobin");
    rd_kafka_destroy(producer);
}

void test_groups(struct suite *suite)
{
    /* Without it a retry can put a batch behind the next one. */
    const char *const properties[] = {"enable.idempotence", "true", NULL};
    rd_kafka_t *producer = client_new(suite, RD_KAFKA_PRODUCER, properties);

    rebalances(suite, producer, "range");
    rebalances(suite, producer, "roundrobin");
    rebalances(suite, producer, "cooperative-sticky");
    resumes_after_restart(suite, producer, "true", NULL);
    resumes_after_restart(suite, producer, "false", NULL);
    resumes_after_restart(suite, producer, "false", "one");
    rd_kafka_destroy(producer);
}
