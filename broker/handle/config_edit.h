/* SPDX-License-Identifier: Apache-2.0 */
/* Checking changes of configuration before they are proposed, and reading what is in force with
 * where it comes from: shared by CreateTopics, AlterConfigs, IncrementalAlterConfigs and
 * DescribeConfigs. Inside the monitor. */
#ifndef BROKER_HANDLE_CONFIG_EDIT_H
#define BROKER_HANDLE_CONFIG_EDIT_H

#include "base/arena.h"
#include "handle/broker.h"

/* ConfigResource.Type as the wire has it. */
enum {
    RESOURCE_TOPIC = 2,
    RESOURCE_NODE = 4,
    RESOURCE_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    RESOURCE_GROUP = 32
};

/* One resource whose configuration is to change. */
struct config_edit {
    int8_t resource_type;
    struct slice resource_name;
    struct catalog_pair *pairs; /* In the arena; a null value removes. */
    uint32_t pair_count;
};

/* Does the resource exist, and may its configuration be changed? */
enum error config_edit_check_resource(struct broker *broker, struct arena *arena,
                                      const struct config_edit *edit, struct slice *ret_reason);

/* The keys, the values, and what they come to together with those that are there. With `replace`
 * the pairs are all that will be there. */
enum error config_edit_check_pairs(struct broker *broker, struct arena *arena,
                                   const struct config_edit *edit, bool replace,
                                   struct slice *ret_reason);

/* What is set on the resource itself; NULL: nothing. */
const struct config_set *config_edit_present(const struct broker *broker,
                                             const struct config_edit *edit);

enum config_scope config_edit_scope(const struct config_edit *edit);

/* The configuration of a topic to be made, as config_edit_check_pairs does it. */
enum error config_check_new_topic(struct broker *broker, struct arena *arena,
                                  struct catalog_pair *pairs, uint32_t count,
                                  struct slice *ret_reason);

/* A change on its way through the quorum. Owned by the caller until done. */
struct config_change {
    struct catalog_proposal proposal;
    enum error error;
    void (*done)(struct config_change *change);
};
void config_change_start(struct broker *broker, const struct config_edit *edit,
                         struct config_change *change);

/* ---- reading: where a value comes from, nearest place first ---- */

struct config_place {
    const char *key;
    const char *value; /* NULL: Kafka's null. */
    enum config_source source;
};
enum { CONFIG_PLACES_MAX = 16 };

/* Every place that speaks for the key, nearest first, each in its own unit. At least one: the
 * default. `topic` is NULL for a node key. */
uint32_t config_places(const struct broker *broker, const struct config_row *row,
                       const struct config_set *topic,
                       struct config_place ret_places[CONFIG_PLACES_MAX]);

/* The value in force on this node, in the key's own unit; NULL: Kafka's null. */
const char *config_in_force(const struct broker *broker, const struct config_row *row,
                            const struct config_set *topic);

#endif
