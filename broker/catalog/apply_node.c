/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about nodes. What a node becomes and what that does to the partitions it holds is one
 * change (invariants 12, 14). */
#include "base/assertion.h"
#include "catalog/ids.h"
#include "catalog/partition_changes.h"

/* What a registration says of the records that the node's earlier ones voted for. */
enum loss {
    LOSS_NONE,     /* It stopped cleanly, or is the same process. */
    LOSS_UNSYNCED, /* What was not on stable storage yet may be gone. */
    LOSS_ALL       /* Another directory, or nobody knows which. */
};

static enum loss loss_of(const struct catalog_node *known, const struct catalog_command *command)
{
    const struct catalog_node *node = &command->node;
    if (known == NULL || !uuid_equals(&known->directory_id, &node->directory_id))
        return LOSS_ALL;
    if (command->clean || uuid_equals(&known->incarnation_id, &node->incarnation_id))
        return LOSS_NONE;
    return LOSS_UNSYNCED;
}

/* Whether the node's earlier registration synced the topic's records before it voted for them. */
static bool was_synced(const struct image *image, const struct topic_entry *entry,
                       const struct catalog_node *known)
{
    static const char key[] = "topicfs.durability";
    char name[16];
    snprintf(name, sizeof name, "%d", known->id);
    const char *text = config_set_get(entry->config, key);
    if (text == NULL)
        text = config_set_get(image_config_find(image, CATALOG_RESOURCE_NODE, slice_of(name)), key);
    if (text == NULL)
        text = config_set_get(image_config_find(image, CATALOG_RESOURCE_NODE, SLICE_EMPTY), key);
    return text == NULL ? known->sync_default : strcmp(text, "fsync") == 0;
}

/* Settles every partition that the node holds. `known` is for LOSS_UNSYNCED only. */
static enum error settle_node(struct partition_changes *changes, struct election *election,
                              int32_t id, enum loss loss, const struct catalog_node *known)
{
    const struct image *image = election->image;
    for (uint32_t t = 0; t < image->topics.count; t++) {
        struct topic_entry *entry = image_topic_at(image, t);
        election->topic = entry->config;
        bool lost = loss == LOSS_ALL || (loss == LOSS_UNSYNCED && !was_synced(image, entry, known));
        election->lost_id = lost ? id : -1;
        election->lost_stays = loss == LOSS_UNSYNCED;
        for (uint32_t i = 0; i < entry->topic.partition_count; i++) {
            const struct partition_entry *partition = entry->partitions[i];
            if (!ids_contain(partition->ids, partition->replica_count, id))
                continue;
            enum error error = changes_settle(changes, election, entry, (int32_t)i);
            if (error != ERROR_NONE)
                return error;
        }
    }
    return ERROR_NONE;
}

/* The node becomes as given, and its partitions follow. */
static enum error node_change(struct apply *apply, const struct catalog_node *node, enum loss loss)
{
    struct partition_changes changes = {.items = NULL};
    struct election election = election_in(apply->image);
    election.changed = node;
    enum error error =
        settle_node(&changes, &election, node->id, loss, image_node_find(apply->image, node->id));
    if (error == ERROR_NONE)
        error = image_node_set(apply->image, node);
    if (error != ERROR_NONE) {
        changes_discard(&changes);
        return error;
    }
    if (node->id >= apply->image->node_id_next)
        image_node_id_set(apply->image, node->id + 1);
    changes_commit(&changes, apply->image);
    notify_nodes_changed(apply->catalog);
    changes_notify(&changes, apply->catalog);
    return ERROR_NONE;
}

enum error apply_node_register(struct apply *apply)
{
    struct catalog_node node = apply->command->node;
    if (node.id < 0 || node.id == INT32_MAX || node.host[0] == '\0' || node.port < 0 ||
        node.port > UINT16_MAX)
        return ERROR_INVALID_REQUEST;
    const struct catalog_node *known = image_node_find(apply->image, node.id);
    node.epoch = apply->outcome->index;
    node.registered_ms = apply->command->wall_clock_ms;
    node.draining = known != NULL && known->draining; /* The operator's, not the node's. */
    node.shutting_down = false;
    return node_change(apply, &node, loss_of(known, apply->command));
}

/* The node of a command that may say which registration it means. */
static enum error find_node(const struct apply *apply, struct catalog_node *ret_node)
{
    const struct catalog_command *command = apply->command;
    const struct catalog_node *known = image_node_find(apply->image, command->node_id);
    if (known == NULL)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    if (command->node_epoch != 0 && command->node_epoch != known->epoch)
        return ERROR_STALE_BROKER_EPOCH;
    *ret_node = *known;
    return ERROR_NONE;
}

enum error apply_node_fence(struct apply *apply)
{
    struct catalog_node node;
    enum error error = find_node(apply, &node);
    if (error != ERROR_NONE)
        return error;
    node.fenced = apply->command->fenced;
    return node_change(apply, &node, LOSS_NONE);
}

enum error apply_node_shutdown(struct apply *apply)
{
    struct catalog_node node;
    enum error error = find_node(apply, &node);
    if (error != ERROR_NONE)
        return error;
    node.shutting_down = true;
    return node_change(apply, &node, LOSS_NONE);
}

enum error apply_node_drain(struct apply *apply)
{
    struct catalog_node node;
    enum error error = find_node(apply, &node);
    if (error != ERROR_NONE)
        return error;
    node.draining = apply->command->draining;
    return node_change(apply, &node, LOSS_NONE);
}

/* Kafka allows it of any node, at any time, and leaves the replicas named: an operator moves them
 * first. Its records do not count until it is back, and then as lost, for nobody remembers its
 * directory. */
enum error apply_node_unregister(struct apply *apply)
{
    int32_t id = apply->command->node_id;
    if (image_node_find(apply->image, id) == NULL)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    struct partition_changes changes = {.items = NULL};
    struct election election = election_in(apply->image);
    election.gone_id = id;
    enum error error = settle_node(&changes, &election, id, LOSS_NONE, NULL);
    if (error != ERROR_NONE) {
        changes_discard(&changes);
        return error;
    }
    image_node_remove(apply->image, id);
    changes_commit(&changes, apply->image);
    notify_nodes_changed(apply->catalog);
    changes_notify(&changes, apply->catalog);
    return ERROR_NONE;
}

enum error apply_node_id_take(struct apply *apply)
{
    int32_t id = apply->image->node_id_next;
    if (id == INT32_MAX)
        return ERROR_UNKNOWN_SERVER;
    image_node_id_set(apply->image, id + 1);
    apply->outcome->node_id_taken = id;
    return ERROR_NONE;
}
