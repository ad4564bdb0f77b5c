/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated administrator: makes and deletes topics, changes their configuration, deletes
 * records. */
#include "sim/clients.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum admin_step { ADMIN_IDLE, ADMIN_CREATE, ADMIN_DELETE, ADMIN_CONFIGURE };
enum { PAIRS_MAX = 8, VALUE_BYTES = 24 };

struct admin {
    struct world *world;
    enum admin_step step;
    struct catalog_proposal proposal;
    char topic[16];
    struct uuid topic_id;
    bool durable;
    int64_t retention_bytes;
    bool kept_made;
};

struct admin *admin_new(struct world *world)
{
    struct admin *admin = simulation_allocate(sizeof *admin);
    admin->world = world;
    return admin;
}

void admin_free(struct admin *admin)
{
    free(admin);
}

bool admin_idle(struct world *world)
{
    return world->admin->step == ADMIN_IDLE;
}

static void create_known(struct admin *admin)
{
    if (strcmp(admin->topic, "kept") == 0)
        admin->kept_made = true;
    else
        model_topic_made(admin->world->model, admin->topic, &admin->topic_id, WORLD_PARTITIONS,
                         admin->durable, admin->retention_bytes);
}

static void proposal_done(struct catalog_proposal *proposal)
{
    struct admin *admin = container_of(proposal, struct admin, proposal);
    enum error error = proposal->outcome.error;
    world_trace(admin->world, 6, error, admin->step);
    world_say(admin->world, "admin: step %d of %s: %s", admin->step, admin->topic,
              error_text(error));
    if (admin->step == ADMIN_CREATE && error == ERROR_NONE)
        create_known(admin);
    admin->step = ADMIN_IDLE;
}

/* What was under way is looked up: a command without an answer was applied or was not. */
void admin_crashed(struct world *world)
{
    struct admin *admin = world->admin;
    if (admin->step == ADMIN_CREATE && world->node.is_up &&
        catalog_topic_find_id(world->node.catalog, &admin->topic_id) != NULL)
        create_known(admin);
    admin->step = ADMIN_IDLE;
}

static void propose(struct admin *admin, enum admin_step step,
                    const struct catalog_command *command)
{
    admin->step = step;
    admin->proposal = (struct catalog_proposal){.done = proposal_done};
    catalog_propose(admin->world->node.catalog, command, &admin->proposal);
}

struct pairs {
    struct catalog_pair items[PAIRS_MAX];
    char values[PAIRS_MAX][VALUE_BYTES];
    uint32_t count;
};

static void pair_add(struct pairs *pairs, const char *key, const char *value)
{
    ASSERT(pairs->count < PAIRS_MAX);
    char *copy = pairs->values[pairs->count];
    (void)snprintf(copy, VALUE_BYTES, "%s", value);
    pairs->items[pairs->count++] = (struct catalog_pair){slice_of(key), slice_of(copy)};
}

static void pair_add_number(struct pairs *pairs, const char *key, int64_t value)
{
    char text[VALUE_BYTES];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    pair_add(pairs, key, text);
}

static void create(struct admin *admin, const char *name)
{
    struct random *random = &admin->world->random;
    (void)snprintf(admin->topic, sizeof admin->topic, "%s", name);
    random_fill(random, admin->topic_id.bytes, UUID_BYTES);
    admin->durable = random_chance(random, 3, 4);
    admin->retention_bytes = random_chance(random, 1, 4) ? random_between(random, 6000, 30000) : -1;
    struct pairs pairs = {.count = 0};
    pair_add_number(&pairs, "segment.bytes", random_between(random, 6000, 20000));
    pair_add_number(&pairs, "index.interval.bytes", random_between(random, 0, 3000));
    pair_add_number(&pairs, "file.delete.delay.ms", random_between(random, 0, 20000));
    pair_add(&pairs, "topicfs.durability", admin->durable ? "fsync" : "replicated");
    if (admin->retention_bytes >= 0)
        pair_add_number(&pairs, "retention.bytes", admin->retention_bytes);
    if (random_chance(random, 1, 6))
        pair_add(&pairs, "compression.type", random_chance(random, 1, 2) ? "lz4" : "uncompressed");
    struct catalog_command command = node_topic_command(admin->topic, &admin->topic_id,
                                                        WORLD_PARTITIONS, pairs.items, pairs.count);
    propose(admin, ADMIN_CREATE, &command);
}

static void delete (struct admin *admin, const struct catalog_topic *topic)
{
    (void)snprintf(admin->topic, sizeof admin->topic, "%s", topic->name);
    admin->topic_id = topic->id;
    model_topic_gone(admin->world->model, &topic->id);
    struct catalog_command command = {.kind = CATALOG_TOPIC_DELETE, .topic_id = topic->id};
    propose(admin, ADMIN_DELETE, &command);
}

static void configure(struct admin *admin, const struct catalog_topic *topic)
{
    struct pairs pairs = {.count = 0};
    pair_add_number(&pairs, "segment.bytes", random_between(&admin->world->random, 6000, 20000));
    (void)snprintf(admin->topic, sizeof admin->topic, "%s", topic->name);
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_TOPIC,
                                      .resource_name = slice_of(admin->topic),
                                      .pairs = pairs.items,
                                      .pair_count = pairs.count};
    propose(admin, ADMIN_CONFIGURE, &command);
}

/* DeleteRecords up to somewhere below the high watermark. */
static void delete_records(struct world *world, const char *topic)
{
    struct model_partition *partition =
        model_find(world->model, topic, (int32_t)random_below(&world->random, WORLD_PARTITIONS));
    struct partition *local =
        partition == NULL ? NULL : node_partition(&world->node, topic, partition->index);
    if (local == NULL || partition->high_watermark <= partition->log_start)
        return;
    int64_t offset =
        random_between(&world->random, partition->log_start, partition->high_watermark);
    if (offset > partition->delete_asked)
        partition->delete_asked = offset;
    int64_t low_watermark;
    enum error error = partition_delete_records(local, offset, &low_watermark);
    world_trace(world, 7, error, (uint64_t)offset);
    world_say(world, "admin: delete records of %s-%d below %lld: %s", topic, partition->index,
              (long long)offset, error_text(error));
    if (error != ERROR_NONE)
        return;
    if (low_watermark < offset)
        world_fail(world, "%s-%d: records below %lld were deleted, the log starts at %lld", topic,
                   partition->index, (long long)offset, (long long)low_watermark);
    if (low_watermark > partition->delete_acknowledged)
        partition->delete_acknowledged = low_watermark;
}

void admin_act(struct world *world)
{
    struct admin *admin = world->admin;
    if (admin->step != ADMIN_IDLE)
        return;
    if (!admin->kept_made) {
        create(admin, "kept");
        return;
    }
    char name[16];
    (void)snprintf(name, sizeof name, "t%d", (int)random_below(&world->random, WORLD_TOPICS));
    const struct catalog_topic *topic = catalog_topic_find(world->node.catalog, slice_of(name));
    uint64_t choice = random_below(&world->random, 12);
    if (topic == NULL)
        create(admin, name);
    else if (choice == 0 || model_find(world->model, name, 0) == NULL)
        delete (admin, topic);
    else if (choice < 4)
        configure(admin, topic);
    else if (choice < 8)
        delete_records(world, name);
}
