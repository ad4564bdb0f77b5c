/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog with three nodes, commands to apply to it, and a watcher that writes down what it is
 * told. */
#ifndef TESTS_CATALOG_CATALOG_FIXTURE_H
#define TESTS_CATALOG_CATALOG_FIXTURE_H

#include "catalog/catalog.h"
#include "sim/simulated_executor.h"

struct catalog_fixture {
    struct simulated_executor *executor;
    struct catalog *catalog;
    int64_t index;
    struct catalog_watcher watcher;
    char told[4000]; /* "topic orders;nodes;" */
};

/* For cmocka_unit_test_setup_teardown; *state is the fixture. Nodes 1, 2 and 3 are registered. */
int catalog_fixture_setup(void **state);
int catalog_fixture_teardown(void **state);

struct uuid id_of(uint8_t number);

/* Encodes and applies at the next index. */
struct catalog_outcome apply(struct catalog_fixture *f, const struct catalog_command *command);
struct catalog_outcome apply_to(struct catalog *catalog, int64_t index,
                                const struct catalog_command *command);

/* Builders of common commands. */
struct catalog_command node_command(int32_t id);
struct catalog_command topic_command(const char *name, uint8_t id, uint32_t partitions);
struct catalog_command config_command(enum catalog_resource resource, const char *name,
                                      const struct catalog_pair *pairs, uint32_t count);
struct catalog_pair pair_of(const char *key, const char *value);

void make_topic(struct catalog_fixture *f, const char *name, uint8_t id, uint32_t partitions);

struct catalog_partition partition_of(const struct catalog_fixture *f, const char *topic,
                                      int32_t index);

/* Applies and fails the test unless it comes to that; with an error nothing has changed. */
void apply_expecting(struct catalog_fixture *f, const struct catalog_command *command,
                     enum error expected);

/* Commands about a node, expected to succeed. */
void register_node(struct catalog_fixture *f, int32_t id, uint8_t incarnation, bool fenced,
                   bool clean);
void fence_node(struct catalog_fixture *f, int32_t id, bool fenced);
void shut_node_down(struct catalog_fixture *f, int32_t id);
void drain_node(struct catalog_fixture *f, int32_t id, bool draining);

/* The leader of the topic's partition asks for these in-sync replicas, as they are registered. */
struct catalog_command isr_command(const struct catalog_fixture *f, const char *topic,
                                   int32_t index, const int32_t *isr, uint32_t count);
struct catalog_command reassign_command(const struct catalog_fixture *f, const char *topic,
                                        int32_t index, const struct catalog_assignment *target);
/* One configuration value of a topic, or with "" of the cluster. */
void configure(struct catalog_fixture *f, const char *topic, const char *key, const char *value);

/* A partition in one line: "leader 1 epoch 0/0 replicas 1,2,3 isr 1,2,3 elr - adding - removing -",
 * with " recovering" behind it. */
const char *partition_line(const struct catalog_partition *partition, char line[400]);
void assert_partition(const struct catalog_fixture *f, const char *topic, int32_t index,
                      const char *expected);

/* Every byte a reader can see of the image, without the applied index: for comparing two. */
void assert_same_image(const struct catalog *a, const struct catalog *b);

#endif
