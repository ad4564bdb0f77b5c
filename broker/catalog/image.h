/* SPDX-License-Identifier: Apache-2.0 */
/* The image in memory, compact: a topic of one partition with one replica takes about 400 bytes.
 *
 *   topics: sorted[] -> topic_entry -> partitions[] -> partition_entry {state, ids...}
 *           by_name, by_id (uthash)        nodes[], configs[], features[]: sorted, few
 *
 * Every change keeps `hash`, the sum of the hashes of all entries, up to date. Changes are made
 * whole or not at all: what can fail (memory) comes before what is seen. */
#ifndef BROKER_CATALOG_IMAGE_H
#define BROKER_CATALOG_IMAGE_H

#include "base/table.h"
#include "catalog/catalog.h"

/* Counts, then the ids: replicas, isr, elr, adding, removing. */
struct partition_entry {
    int32_t leader;
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint8_t replica_count, isr_count, elr_count, adding_count, removing_count;
    bool recovering;
    int32_t ids[];
};

struct topic_entry {
    struct catalog_topic topic; /* topic.config is `config`. */
    struct config_set *config;  /* NULL when nothing is set. */
    struct partition_entry **partitions;
    UT_hash_handle by_name;
    UT_hash_handle by_id;
    char name[];
};

/* Dynamic configuration of a node ("" is every node) or a group. */
struct resource_entry {
    enum catalog_resource resource;
    struct config_set *config; /* Never empty. */
    uint32_t name_size;
    char name[];
};

struct feature_entry {
    int16_t level;
    uint32_t name_size;
    char name[];
};

/* What a command with this id came to. */
struct remembered_outcome {
    struct uuid id;
    int64_t index;
    int64_t producer_id_first;
    int32_t node_id_taken;
    enum error error;
};

/* Sorted pointers; the typed functions below are its only users. */
struct pointers {
    void **items;
    uint32_t count;
    uint32_t capacity;
};

struct image {
    struct uuid cluster_id;
    int64_t applied_index;
    int32_t applied_term;
    int64_t producer_id_next;
    int32_t node_id_next; /* Above every id that was ever given. */
    uint64_t hash;
    struct topic_entry *by_name;
    struct topic_entry *by_id;
    struct pointers topics;   /* struct topic_entry, by name. */
    struct pointers nodes;    /* struct catalog_node, by id. */
    struct pointers configs;  /* struct resource_entry, by resource and name. */
    struct pointers features; /* struct feature_entry, by name. */
    uint32_t partition_count;
    struct remembered_outcome *outcomes; /* A ring of CATALOG_OUTCOMES_KEPT. */
    uint32_t outcome_count;
    uint32_t outcome_next; /* Where the next goes. */
};

enum error image_new(struct image **ret_image);
void image_free(struct image *image); /* Accepts NULL. */

/* ---- topics ---- */

struct topic_entry *image_topic_find(const struct image *image, struct slice name);
struct topic_entry *image_topic_find_id(const struct image *image, const struct uuid *id);
struct topic_entry *image_topic_at(const struct image *image, uint32_t index);
/* The position in name order of the first topic whose name is > `name`; null: 0. */
uint32_t image_topic_after(const struct image *image, struct slice name);
struct topic_entry *topic_entry_of(const struct catalog_topic *topic);

/* A topic with no partitions yet, not in the image. */
enum error topic_entry_new(struct slice name, const struct uuid *id, int64_t created_ms,
                           struct topic_entry **ret_entry);
void topic_entry_free(struct topic_entry *entry);

/* Takes the entry; it must be complete. On error it stays the caller's. */
enum error image_topic_insert(struct image *image, struct topic_entry *entry);
/* Gives the entry back to the caller. */
void image_topic_remove(struct image *image, struct topic_entry *entry);

/* Appends partitions to a topic, in the image (whose counts and hash follow) or, with image NULL,
 * not yet in one. Takes the partitions, not the array, on success only. */
enum error image_partitions_add(struct image *image, struct topic_entry *entry,
                                struct partition_entry **partitions, uint32_t count);
/* Takes the new state and frees the old. */
void image_partition_set(struct image *image, struct topic_entry *entry, int32_t index,
                         struct partition_entry *partition);
/* Takes `config` (NULL or empty: none). */
void image_topic_configure(struct image *image, struct topic_entry *entry,
                           struct config_set *config);

/* The counts must be within CATALOG_REPLICAS_MAX. */
enum error partition_entry_new(const struct catalog_partition *partition,
                               struct partition_entry **ret_entry);
void partition_entry_read(const struct partition_entry *entry, int32_t index,
                          struct catalog_partition *ret_partition);

/* ---- the rest ---- */

struct catalog_node *image_node_find(const struct image *image, int32_t id);
struct catalog_node *image_node_at(const struct image *image, uint32_t index);
/* Copies the node over the one with its id, or in. */
enum error image_node_set(struct image *image, const struct catalog_node *node);
void image_node_remove(struct image *image, int32_t id);

const struct config_set *image_config_find(const struct image *image,
                                           enum catalog_resource resource, struct slice name);
struct resource_entry *image_config_at(const struct image *image, uint32_t index);
/* Takes `config` on success (NULL or empty: none). */
enum error image_config_set(struct image *image, enum catalog_resource resource, struct slice name,
                            struct config_set *config);

struct feature_entry *image_feature_at(const struct image *image, uint32_t index);
/* Level 0 removes. */
enum error image_feature_set(struct image *image, struct slice name, int16_t level);

void image_cluster_set(struct image *image, const struct uuid *cluster_id);
void image_producer_id_set(struct image *image, int64_t next);
void image_node_id_set(struct image *image, int32_t next);

/* NULL when not remembered. */
const struct remembered_outcome *image_outcome_find(const struct image *image,
                                                    const struct uuid *id);
void image_outcome_remember(struct image *image, const struct uuid *id,
                            const struct catalog_outcome *outcome);

/* ---- entry hashes (hash.c); the same on every machine ---- */

uint64_t hash_topic(const struct topic_entry *entry); /* Without its partitions. */
uint64_t hash_partition(const struct uuid *topic_id, int32_t index,
                        const struct partition_entry *entry);
uint64_t hash_node(const struct catalog_node *node);
uint64_t hash_resource(const struct resource_entry *entry);
uint64_t hash_feature(const struct feature_entry *entry);
uint64_t hash_cluster(const struct uuid *cluster_id);
uint64_t hash_producer_id(int64_t next);
uint64_t hash_node_id(int32_t next);

#endif
