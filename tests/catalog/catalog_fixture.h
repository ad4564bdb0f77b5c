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

/* Every byte a reader can see of the image, without the applied index: for comparing two. */
void assert_same_image(const struct catalog *a, const struct catalog *b);

#endif
