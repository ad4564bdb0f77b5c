/* SPDX-License-Identifier: Apache-2.0 */
/* Builders for catalog tests. */
#include "catalog_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void tell(struct catalog_watcher *watcher, const char *what, struct slice name)
{
    struct catalog_fixture *f = container_of(watcher, struct catalog_fixture, watcher);
    size_t used = strlen(f->told);
    snprintf(f->told + used, sizeof f->told - used, "%s%s%.*s;", what, name.size > 0 ? " " : "",
             SLICE_PRINT(name));
}

static void topic_changed(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    tell(watcher, "topic", slice_of(topic->name));
}

static void topic_deleted(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct catalog_partition partition;
    assert_true(topic->partition_count == 0 || catalog_partition_find(NULL, topic, 0, &partition));
    tell(watcher, "deleted", slice_of(topic->name));
}

static void config_changed(struct catalog_watcher *watcher, enum catalog_resource resource,
                           struct slice name)
{
    tell(watcher, resource == CATALOG_RESOURCE_TOPIC ? "config" : "resource", name);
}

static void nodes_changed(struct catalog_watcher *watcher)
{
    tell(watcher, "nodes", SLICE_EMPTY);
}

int catalog_fixture_setup(void **state)
{
    struct catalog_fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    f->executor = simulated_executor_new(1, NULL);
    assert_int_equal(catalog_new(simulated_executor_seam(f->executor), &f->catalog), ERROR_NONE);
    for (int32_t id = 1; id <= 3; id++) {
        struct catalog_command command = node_command(id);
        assert_int_equal(apply(f, &command).error, ERROR_NONE);
    }
    f->watcher = (struct catalog_watcher){.topic_changed = topic_changed,
                                          .topic_deleted = topic_deleted,
                                          .config_changed = config_changed,
                                          .nodes_changed = nodes_changed};
    catalog_watch(f->catalog, &f->watcher);
    *state = f;
    return 0;
}

int catalog_fixture_teardown(void **state)
{
    struct catalog_fixture *f = *state;
    catalog_unwatch(f->catalog, &f->watcher);
    catalog_free(f->catalog);
    simulated_executor_free(f->executor);
    memory_free(f);
    return 0;
}

struct uuid id_of(uint8_t number)
{
    struct uuid id = UUID_ZERO;
    id.bytes[0] = number;
    id.bytes[15] = 1;
    return id;
}

struct catalog_outcome apply_to(struct catalog *catalog, int64_t index,
                                const struct catalog_command *command)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    struct catalog_outcome outcome = catalog_apply(catalog, index, 1, bytes, size);
    memory_free(bytes);
    return outcome;
}

struct catalog_outcome apply(struct catalog_fixture *f, const struct catalog_command *command)
{
    return apply_to(f->catalog, ++f->index, command);
}

struct catalog_command node_command(int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .wall_clock_ms = 1000 + (int64_t)id};
    command.node.id = id;
    command.node.port = 9092;
    command.node.incarnation_id = id_of((uint8_t)(100 + (uint32_t)id));
    snprintf(command.node.host, sizeof command.node.host, "node%d", id);
    return command;
}

struct catalog_command topic_command(const char *name, uint8_t id, uint32_t partitions)
{
    static const struct catalog_assignment assignments[8] = {
        {.replicas = {1, 2, 3}, .replica_count = 3}, {.replicas = {2, 3, 1}, .replica_count = 3},
        {.replicas = {3, 1, 2}, .replica_count = 3}, {.replicas = {1}, .replica_count = 1},
        {.replicas = {2}, .replica_count = 1},       {.replicas = {3}, .replica_count = 1},
        {.replicas = {1, 2}, .replica_count = 2},    {.replicas = {2, 1}, .replica_count = 2},
    };
    return (struct catalog_command){.kind = CATALOG_TOPIC_CREATE,
                                    .topic_name = slice_of(name),
                                    .topic_id = id_of(id),
                                    .wall_clock_ms = 5,
                                    .assignments = assignments,
                                    .assignment_count = partitions};
}

struct catalog_command config_command(enum catalog_resource resource, const char *name,
                                      const struct catalog_pair *pairs, uint32_t count)
{
    return (struct catalog_command){.kind = CATALOG_CONFIG_SET,
                                    .resource = resource,
                                    .resource_name = slice_of(name),
                                    .pairs = pairs,
                                    .pair_count = count};
}

struct catalog_pair pair_of(const char *key, const char *value)
{
    return (struct catalog_pair){slice_of(key), slice_of(value)};
}

void make_topic(struct catalog_fixture *f, const char *name, uint8_t id, uint32_t partitions)
{
    struct catalog_command command = topic_command(name, id, partitions);
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
}

struct catalog_partition partition_of(const struct catalog_fixture *f, const char *topic,
                                      int32_t index)
{
    struct catalog_partition partition;
    const struct catalog_topic *found = catalog_topic_find(f->catalog, slice_of(topic));
    assert_non_null(found);
    memset(&partition, 0, sizeof partition);
    assert_true(catalog_partition_find(f->catalog, found, index, &partition));
    return partition;
}

void apply_expecting(struct catalog_fixture *f, const struct catalog_command *command,
                     enum error expected)
{
    uint64_t hash = catalog_hash(f->catalog);
    assert_string_equal(error_name(apply(f, command).error), error_name(expected));
    if (expected != ERROR_NONE)
        assert_int_equal(catalog_hash(f->catalog), hash);
}

void register_node(struct catalog_fixture *f, int32_t id, uint8_t incarnation, bool fenced,
                   bool clean)
{
    struct catalog_command command = node_command(id);
    command.node.incarnation_id = id_of(incarnation);
    command.node.fenced = fenced;
    command.clean = clean;
    const struct catalog_node *known = catalog_node_find(f->catalog, id);
    if (known != NULL) {
        command.node.sync_default = known->sync_default;
        command.node.directory_id = known->directory_id;
    }
    apply_expecting(f, &command, ERROR_NONE);
}

void fence_node(struct catalog_fixture *f, int32_t id, bool fenced)
{
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = fenced};
    apply_expecting(f, &command, ERROR_NONE);
}

void shut_node_down(struct catalog_fixture *f, int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_SHUTDOWN, .node_id = id};
    apply_expecting(f, &command, ERROR_NONE);
}

void drain_node(struct catalog_fixture *f, int32_t id, bool draining)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_DRAIN, .node_id = id, .draining = draining};
    apply_expecting(f, &command, ERROR_NONE);
}

struct catalog_command isr_command(const struct catalog_fixture *f, const char *topic,
                                   int32_t index, const int32_t *isr, uint32_t count)
{
    struct catalog_partition partition = partition_of(f, topic, index);
    struct catalog_command command = {
        .kind = CATALOG_ISR_CHANGE,
        .topic_id = catalog_topic_find(f->catalog, slice_of(topic))->id,
        .node_id = partition.leader,
        .partition = {.index = index,
                      .leader_epoch = partition.leader_epoch,
                      .partition_epoch = partition.partition_epoch,
                      .isr_count = count},
    };
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_node *node = catalog_node_find(f->catalog, isr[i]);
        command.partition.isr[i] = isr[i];
        command.isr_epochs[i] = node == NULL ? 0 : node->epoch;
    }
    return command;
}

struct catalog_command reassign_command(const struct catalog_fixture *f, const char *topic,
                                        int32_t index, const struct catalog_assignment *target)
{
    return (struct catalog_command){.kind = CATALOG_REASSIGN,
                                    .topic_id = catalog_topic_find(f->catalog, slice_of(topic))->id,
                                    .partition = {.index = index},
                                    .assignments = target,
                                    .assignment_count = target == NULL ? 0 : 1};
}

void configure(struct catalog_fixture *f, const char *topic, const char *key, const char *value)
{
    const struct catalog_pair pair = pair_of(key, value);
    struct catalog_command command = config_command(
        topic[0] == '\0' ? CATALOG_RESOURCE_NODE : CATALOG_RESOURCE_TOPIC, topic, &pair, 1);
    apply_expecting(f, &command, ERROR_NONE);
}

static void add_ids(char line[400], const char *name, const int32_t *ids, uint32_t count)
{
    size_t used = strlen(line);
    used += (size_t)snprintf(line + used, 400 - used, " %s %s", name, count == 0 ? "-" : "");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(line + used, 400 - used, "%s%d", i == 0 ? "" : ",", ids[i]);
}

const char *partition_line(const struct catalog_partition *partition, char line[400])
{
    snprintf(line, 400, "leader %d epoch %d/%d", partition->leader, partition->leader_epoch,
             partition->partition_epoch);
    add_ids(line, "replicas", partition->replicas, partition->replica_count);
    add_ids(line, "isr", partition->isr, partition->isr_count);
    add_ids(line, "elr", partition->elr, partition->elr_count);
    add_ids(line, "adding", partition->adding, partition->adding_count);
    add_ids(line, "removing", partition->removing, partition->removing_count);
    size_t used = strlen(line);
    if (partition->recovering)
        snprintf(line + used, 400 - used, " recovering");
    return line;
}

void assert_partition(const struct catalog_fixture *f, const char *topic, int32_t index,
                      const char *expected)
{
    char line[400], wanted[400];
    struct catalog_partition partition = partition_of(f, topic, index);
    (void)partition_line(&partition, line);
    snprintf(wanted, sizeof wanted, "%s", expected);
    if (partition.adding_count == 0 && partition.removing_count == 0) {
        char *tail = strstr(line, " adding - removing -");
        memmove(tail, tail + strlen(" adding - removing -"),
                strlen(tail + strlen(" adding - removing -")) + 1);
    }
    assert_string_equal(line, wanted);
}

static void assert_same_topic(const struct catalog *a, const struct catalog_topic *x,
                              const struct catalog *b, const struct catalog_topic *y)
{
    assert_string_equal(x->name, y->name);
    assert_true(uuid_equals(&x->id, &y->id));
    assert_int_equal(x->created_ms, y->created_ms);
    assert_int_equal(x->internal, y->internal);
    assert_int_equal(x->partition_count, y->partition_count);
    assert_true(config_set_equals(x->config, y->config));
    for (uint32_t i = 0; i < x->partition_count; i++) {
        struct catalog_partition p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        assert_true(catalog_partition_find(a, x, (int32_t)i, &p));
        assert_true(catalog_partition_find(b, y, (int32_t)i, &q));
        assert_memory_equal(&p, &q, sizeof p);
    }
}

static void assert_node_known(void *context, const struct catalog_node *node)
{
    const struct catalog_node *other = catalog_node_find(context, node->id);
    assert_non_null(other);
    assert_string_equal(other->host, node->host);
    assert_string_equal(other->rack, node->rack);
    assert_int_equal(other->epoch, node->epoch);
    assert_int_equal(other->port, node->port);
    assert_int_equal(other->fenced, node->fenced);
    assert_int_equal(other->draining, node->draining);
    assert_int_equal(other->shutting_down, node->shutting_down);
    assert_int_equal(other->sync_default, node->sync_default);
    assert_int_equal(other->registered_ms, node->registered_ms);
    assert_true(uuid_equals(&other->incarnation_id, &node->incarnation_id));
    assert_true(uuid_equals(&other->directory_id, &node->directory_id));
}

void assert_same_image(const struct catalog *a, const struct catalog *b)
{
    struct uuid cluster_a = catalog_cluster_id(a), cluster_b = catalog_cluster_id(b);
    assert_true(uuid_equals(&cluster_a, &cluster_b));
    assert_int_equal(catalog_topic_count(a), catalog_topic_count(b));
    assert_int_equal(catalog_partition_count(a), catalog_partition_count(b));
    const struct catalog_topic *x = catalog_topic_next(a, SLICE_NULL);
    const struct catalog_topic *y = catalog_topic_next(b, SLICE_NULL);
    while (x != NULL) {
        assert_non_null(y);
        assert_same_topic(a, x, b, y);
        assert_ptr_equal(catalog_topic_find_id(a, &x->id), x);
        assert_ptr_equal(catalog_topic_find(b, slice_of(y->name)), y);
        x = catalog_topic_next(a, slice_of(x->name));
        y = catalog_topic_next(b, slice_of(y->name));
    }
    assert_null(y);
    catalog_node_each(a, assert_node_known, (void *)b);
    catalog_node_each(b, assert_node_known, (void *)a);
    for (int32_t id = -1; id < 8; id++)
        assert_true(config_set_equals(catalog_node_config(a, id), catalog_node_config(b, id)));
    assert_int_equal(catalog_node_id_next(a), catalog_node_id_next(b));
    assert_int_equal(catalog_hash(a), catalog_hash(b));
}
