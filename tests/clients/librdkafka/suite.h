/* SPDX-License-Identifier: Apache-2.0 */
/* What the librdkafka test programs share: checks that print, clients by properties, records to
 * compare. */
#ifndef CLIENTS_LIBRDKAFKA_SUITE_H
#define CLIENTS_LIBRDKAFKA_SUITE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suite {
    const char *bootstrap;
    const char *prefix;
    unsigned checks_failed;
};

/* One record as it was consumed; key and value end in NUL. */
struct consumed {
    int32_t partition;
    int64_t offset;
    char key[32];
    char value[64];
    char header[32]; /* Of the header called "h", or empty. */
};

/* Prints "ok - words" or "not ok - words" and counts the latter; format as in printf. */
__attribute__((format(printf, 3, 4))) void check(struct suite *suite, bool passed,
                                                 const char *format, ...);

/* Prints why and ends the program with status 2: what follows would mean nothing. */
__attribute__((format(printf, 1, 2), noreturn)) void give_up(const char *format, ...);

int64_t now_ms(void);

/* Between two looks at a condition that has a deadline. */
void wait_ms(int duration_ms);

/* A client of this kind with bootstrap.servers and these properties: name, value, ..., NULL. */
rd_kafka_t *client_new(struct suite *suite, rd_kafka_type_t type, const char *const *properties);

/* A name of this run for a topic or a group; valid for as long as the program runs. */
const char *name_of(struct suite *suite, const char *words);

/* Creates a topic with so many partitions and waits until metadata shows it. */
void topic_create(struct suite *suite, rd_kafka_t *client, const char *topic, int partitions);

/* Produces records first..first+count-1 to a partition: key "kN", value "vN", header h = "hN", and
 * waits for their reports. Returns how many of them were acknowledged without error. */
unsigned produce_numbers(rd_kafka_t *producer, const char *topic, int32_t partition, unsigned first,
                         unsigned count);

/* Copies a message; a null key or value becomes "(null)". */
void consumed_set(struct consumed *consumed, const rd_kafka_message_t *message);

/* Reads records of an assigned or subscribed consumer until there are `count` or the deadline is
 * over. */
unsigned consume_until(rd_kafka_t *consumer, struct consumed *records, unsigned count,
                       int64_t deadline_ms);

/* True where records are numbers first, first+1, ... of produce_numbers in this partition. */
bool records_are_numbers(const struct consumed *records, unsigned count, int32_t partition,
                         int64_t offset, unsigned first);

/* Runs one admin request through a queue: the event, or gives up after 20 s. */
rd_kafka_event_t *admin_result(rd_kafka_queue_t *queue, const char *words);

/* Reads `count` records of a partition from an offset (or RD_KAFKA_OFFSET_*), without a group. */
unsigned read_from(struct suite *suite, const char *topic, int32_t partition, int64_t offset,
                   struct consumed *records, unsigned count);

void test_records(struct suite *suite);
void test_groups(struct suite *suite);
/* With three nodes, where $KILL_LEADER TOPIC kills one that leads. */
void test_cluster_group(struct suite *suite);
void test_failover(struct suite *suite);
void test_admin(struct suite *suite);

#endif
