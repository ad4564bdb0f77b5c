/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog behind its handle: the image, who watches it, who takes its proposals. */
#ifndef BROKER_CATALOG_STATE_H
#define BROKER_CATALOG_STATE_H

#include "catalog/image.h"

struct catalog {
    struct executor *executor;
    struct image *image;
    struct list watchers;              /* struct catalog_watcher. */
    struct catalog_proposer *proposer; /* NULL until set. */
};

void notify_topic_changed(struct catalog *catalog, const struct topic_entry *entry);
void notify_topic_deleted(struct catalog *catalog, const struct topic_entry *entry);
void notify_config_changed(struct catalog *catalog, enum catalog_resource resource,
                           struct slice name);
void notify_nodes_changed(struct catalog *catalog);
void notify_applied(struct catalog *catalog);

/* One decoded command on its way into the image. */
struct apply {
    struct catalog *catalog;
    struct image *image;
    const struct catalog_command *command;
    struct catalog_outcome *outcome;
};

/* One function a kind of command; each changes everything or, on error, nothing, and tells the
 * watchers. */
enum error apply_node_register(struct apply *apply);
enum error apply_node_fence(struct apply *apply);
enum error apply_node_shutdown(struct apply *apply);
enum error apply_node_drain(struct apply *apply);
enum error apply_node_unregister(struct apply *apply);
enum error apply_node_id_take(struct apply *apply);
enum error apply_isr_change(struct apply *apply);
enum error apply_elect_leaders(struct apply *apply);
enum error apply_reassign(struct apply *apply);
enum error apply_topic_create(struct apply *apply);
enum error apply_topic_delete(struct apply *apply);
enum error apply_partitions_add(struct apply *apply);
enum error apply_config_set(struct apply *apply);

#endif
