/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster as its operator sees it, kept beside the catalog: what is remembered of nodes and
 * partitions is there to tell what changed.
 *
 *   topic_changed: leaders compared, counted --.
 *   nodes_changed: marked ---------------------+--> applied: one event a command and node */
#include "handle/cluster_view.h"

#include "base/assertion.h"
#include "base/table.h"
#include "handle/cluster_events.h"

#include <stdarg.h>
#include <stdio.h>

enum { PARTITION_EVENTS_MAX = 10 /* Lines for one command. */ };

struct known_node {
    int32_t id;
    struct catalog_node seen;
    bool registered; /* While the nodes are compared. */
    bool reported;
    struct cluster_node_report report;
    uint32_t leaders, replicas;
    UT_hash_handle hh;
};

struct known_partition {
    int32_t leader;
    bool recovering;
    bool reassigning;
    enum { PARTITION_WELL, PARTITION_UNDER_REPLICATED, PARTITION_LEADERLESS } condition;
    int64_t since_ms; /* Wall clock; of the condition. */
};

struct known_topic {
    struct uuid id;
    UT_hash_handle hh;
    uint32_t partition_count;
    struct known_partition partitions[];
};

struct cluster_view {
    struct executor *executor;
    struct catalog *catalog;
    struct catalog_watcher watcher;
    struct list observers;
    struct cluster_events events;
    struct known_node *nodes;
    struct known_topic *topics;
    /* Of the command being applied. */
    bool nodes_changed;
    uint32_t leaders_moved, leaders_lost;
    uint32_t partition_events;
    /* As of counted_index. */
    int64_t counted_index;
    uint32_t offline, under_replicated;
};

/* ---- events ---- */

static void happened(struct cluster_view *view, struct cluster_happening *happening,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

static void happened(struct cluster_view *view, struct cluster_happening *happening,
                     const char *format, ...)
{
    char text[CLUSTER_EVENT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    happening->text = text;
    cluster_events_add(&view->events, executor_wall_clock_ms(view->executor), text);
    list_for_each_safe(link, &view->observers)
    {
        struct cluster_observer *observer = container_of(link, struct cluster_observer, link);
        observer->happened(observer, happening);
    }
}

void cluster_view_note(struct cluster_view *view, const char *format, ...)
{
    char text[CLUSTER_EVENT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct cluster_happening happening = {.kind = CLUSTER_NOTE, .node_id = -1};
    happened(view, &happening, "%s", text);
}

void cluster_view_event_each(const struct cluster_view *view,
                             void (*each)(void *context, const struct cluster_event *event),
                             void *context)
{
    cluster_events_each(&view->events, each, context);
}

uint64_t cluster_view_event_count(const struct cluster_view *view)
{
    return view->events.count;
}

void cluster_view_observe(struct cluster_view *view, struct cluster_observer *observer)
{
    list_push(&view->observers, &observer->link);
}

void cluster_view_unobserve(struct cluster_observer *observer)
{
    list_remove(&observer->link);
}

/* ---- nodes ---- */

static struct known_node *node_find(const struct cluster_view *view, int32_t id)
{
    struct known_node *node;
    HASH_FIND_INT(view->nodes, &id, node);
    return node;
}

static struct known_node *node_make(struct cluster_view *view, const struct catalog_node *seen)
{
    struct known_node *node = memory_allocate(sizeof *node);
    if (node == NULL)
        return NULL;
    node->id = seen->id;
    node->seen = *seen;
    node->registered = true;
    HASH_ADD_INT(view->nodes, id, node);
    if (node->hh.tbl == NULL) {
        memory_free(node);
        return NULL;
    }
    return node;
}

static void node_forget(struct cluster_view *view, struct known_node *node)
{
    HASH_DEL(view->nodes, node);
    memory_free(node);
}

static struct cluster_happening of_node(const struct cluster_view *view,
                                        enum cluster_event_kind kind, int32_t node_id)
{
    return (struct cluster_happening){.kind = kind,
                                      .node_id = node_id,
                                      .leaders_moved = view->leaders_moved,
                                      .leaders_lost = view->leaders_lost};
}

/* The first event of a command says how many leaders moved by it. */
static void leaders_told(struct cluster_view *view)
{
    view->leaders_moved = 0;
    view->leaders_lost = 0;
}

static void compare_fenced(struct cluster_view *view, const struct catalog_node *now)
{
    struct cluster_happening happening =
        of_node(view, now->fenced ? CLUSTER_NODE_WAS_FENCED : CLUSTER_NODE_WAS_UNFENCED, now->id);
    if (now->fenced)
        happened(view, &happening,
                 "node %d is fenced: %u leaders moved, %u partitions without a leader", now->id,
                 view->leaders_moved, view->leaders_lost);
    else
        happened(view, &happening, "node %d serves: %u leaders moved to it", now->id,
                 view->leaders_moved);
    leaders_told(view);
}

static void compare_node(struct cluster_view *view, const struct catalog_node *was,
                         const struct catalog_node *now)
{
    struct cluster_happening happening;
    if (now->epoch != was->epoch) {
        happening = of_node(view, CLUSTER_NODE_JOINED, now->id);
        happened(view, &happening, "node %d registered again at %s:%d", now->id, now->host,
                 now->port);
    }
    if (now->shutting_down && !was->shutting_down) {
        happening = of_node(view, CLUSTER_NODE_STOPS, now->id);
        happened(view, &happening, "node %d is about to stop: %u leaders moved", now->id,
                 view->leaders_moved);
        leaders_told(view);
    }
    if (now->fenced != was->fenced)
        compare_fenced(view, now);
    if (now->draining != was->draining) {
        happening = of_node(view, CLUSTER_NODE_DRAINS, now->id);
        happened(view, &happening,
                 now->draining ? "node %d is asked to give its replicas away"
                               : "node %d may take replicas again",
                 now->id);
    }
}

static void see_node(void *context, const struct catalog_node *now)
{
    struct cluster_view *view = context;
    struct known_node *node = node_find(view, now->id);
    if (node == NULL) {
        if (node_make(view, now) == NULL)
            return;
        struct cluster_happening happening = of_node(view, CLUSTER_NODE_JOINED, now->id);
        happened(view, &happening, "node %d joined at %s:%d", now->id, now->host, now->port);
        return;
    }
    node->registered = true;
    struct catalog_node was = node->seen;
    node->seen = *now;
    compare_node(view, &was, now);
}

static void compare_nodes(struct cluster_view *view)
{
    struct known_node *node;
    struct known_node *next;
    HASH_ITER(hh, view->nodes, node, next) node->registered = false;
    catalog_node_each(view->catalog, see_node, view);
    HASH_ITER(hh, view->nodes, node, next)
    {
        if (node->registered)
            continue;
        struct cluster_happening happening = of_node(view, CLUSTER_NODE_LEFT, node->id);
        happened(view, &happening, "node %d is no longer registered", node->id);
        node_forget(view, node);
    }
}

/* ---- partitions ---- */

static bool contains(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

bool cluster_partition_under_replicated(const struct catalog_partition *partition)
{
    uint32_t in_sync = 0;
    for (uint32_t i = 0; i < partition->isr_count; i++)
        in_sync += !contains(partition->adding, partition->adding_count, partition->isr[i]);
    return in_sync < partition->replica_count - partition->adding_count;
}

static struct known_partition partition_now(const struct cluster_view *view,
                                            const struct catalog_partition *partition)
{
    return (struct known_partition){
        .leader = partition->leader,
        .recovering = partition->recovering,
        .reassigning = partition->adding_count > 0 || partition->removing_count > 0,
        .condition = partition->leader < 0                           ? PARTITION_LEADERLESS
                     : cluster_partition_under_replicated(partition) ? PARTITION_UNDER_REPLICATED
                                                                     : PARTITION_WELL,
        .since_ms = executor_wall_clock_ms(view->executor),
    };
}

/* With one line for each up to a bound, so that a command for thousands does not push everything
 * else out. */
static void partition_happened(struct cluster_view *view, enum cluster_event_kind kind,
                               const struct catalog_topic *topic,
                               const struct catalog_partition *partition, const char *what)
{
    if (++view->partition_events > PARTITION_EVENTS_MAX)
        return;
    char replicas[CATALOG_REPLICAS_MAX * 12] = "";
    size_t size = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++)
        size += (size_t)snprintf(replicas + size, sizeof replicas - size, "%s%d", i == 0 ? "" : ",",
                                 partition->replicas[i]);
    struct cluster_happening happening = {.kind = kind,
                                          .node_id = partition->leader,
                                          .topic = topic->name,
                                          .partition = partition->index};
    happened(view, &happening, "%s/%d: %s, leader %d, replicas %s", topic->name, partition->index,
             what, partition->leader, replicas);
}

static void compare_partition(struct cluster_view *view, const struct catalog_topic *topic,
                              const struct catalog_partition *partition,
                              struct known_partition *known)
{
    struct known_partition was = *known;
    *known = partition_now(view, partition);
    if (known->condition == was.condition)
        known->since_ms = was.since_ms;
    if (known->leader != was.leader) {
        view->leaders_lost += known->leader < 0;
        view->leaders_moved += known->leader >= 0;
    }
    if (known->recovering && !was.recovering)
        partition_happened(view, CLUSTER_UNCLEAN_ELECTION, topic, partition,
                           "unclean election, committed records may be lost");
    if (known->reassigning && !was.reassigning)
        partition_happened(view, CLUSTER_REASSIGNMENT_STARTED, topic, partition,
                           "reassignment started");
    if (!known->reassigning && was.reassigning)
        partition_happened(view, CLUSTER_REASSIGNMENT_DONE, topic, partition, "reassignment ended");
}

static struct known_topic *topic_find(const struct cluster_view *view, const struct uuid *id)
{
    struct known_topic *known;
    HASH_FIND(hh, view->topics, id, sizeof *id, known);
    return known;
}

static void topic_forget(struct cluster_view *view, struct known_topic *known)
{
    HASH_DEL(view->topics, known);
    memory_free(known);
}

/* As it is now, with what was known of it in its place. NULL without memory: its changes are not
 * told until it changes again. */
static struct known_topic *topic_make(struct cluster_view *view, const struct catalog_topic *topic,
                                      struct known_topic *old)
{
    struct known_topic *known =
        memory_allocate(sizeof *known + topic->partition_count * sizeof(struct known_partition));
    if (known != NULL) {
        known->id = topic->id;
        known->partition_count = topic->partition_count;
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            struct catalog_partition partition;
            bool found = catalog_partition_find(view->catalog, topic, (int32_t)i, &partition);
            ASSERT(found);
            known->partitions[i] = old != NULL && i < old->partition_count
                                       ? old->partitions[i]
                                       : partition_now(view, &partition);
        }
    }
    if (old != NULL)
        topic_forget(view, old);
    if (known == NULL)
        return NULL;
    HASH_ADD(hh, view->topics, id, sizeof known->id, known);
    if (known->hh.tbl == NULL) {
        memory_free(known);
        return NULL;
    }
    return known;
}

static void topic_changed(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct cluster_view *view = container_of(watcher, struct cluster_view, watcher);
    struct known_topic *known = topic_find(view, &topic->id);
    if (known == NULL || known->partition_count != topic->partition_count)
        known = topic_make(view, topic, known);
    if (known == NULL)
        return;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        bool found = catalog_partition_find(view->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        compare_partition(view, topic, &partition, &known->partitions[i]);
    }
}

static void topic_deleted(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct cluster_view *view = container_of(watcher, struct cluster_view, watcher);
    struct known_topic *known = topic_find(view, &topic->id);
    if (known != NULL)
        topic_forget(view, known);
}

static void nodes_changed(struct catalog_watcher *watcher)
{
    container_of(watcher, struct cluster_view, watcher)->nodes_changed = true;
}

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    struct cluster_view *view = container_of(watcher, struct cluster_view, watcher);
    (void)index;
    if (view->nodes_changed)
        compare_nodes(view);
    view->nodes_changed = false;
    if (view->leaders_moved > 0 || view->leaders_lost > 0) {
        struct cluster_happening happening = of_node(view, CLUSTER_LEADERS_MOVED, -1);
        happened(view, &happening, "%u leaders moved, %u partitions without a leader",
                 view->leaders_moved, view->leaders_lost);
    }
    leaders_told(view);
    if (view->partition_events > PARTITION_EVENTS_MAX)
        cluster_view_note(view, "and %u more partitions changed",
                          view->partition_events - PARTITION_EVENTS_MAX);
    view->partition_events = 0;
}

/* ---- counting ---- */

static void count_partition(struct cluster_view *view, const struct catalog_partition *partition)
{
    struct known_node *leader = node_find(view, partition->leader);
    if (leader != NULL)
        leader->leaders++;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        struct known_node *node = node_find(view, partition->replicas[i]);
        if (node != NULL)
            node->replicas++;
    }
    view->offline += partition->leader < 0;
    view->under_replicated += cluster_partition_under_replicated(partition);
}

static bool count_topic(void *context, const struct catalog_topic *topic)
{
    struct cluster_view *view = context;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        bool found = catalog_partition_find(view->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        count_partition(view, &partition);
    }
    return true;
}

static void count_again(struct cluster_view *view)
{
    int64_t index = catalog_applied_index(view->catalog);
    if (view->counted_index == index)
        return;
    view->counted_index = index;
    view->offline = 0;
    view->under_replicated = 0;
    struct known_node *node;
    struct known_node *next;
    HASH_ITER(hh, view->nodes, node, next)
    {
        node->leaders = 0;
        node->replicas = 0;
    }
    catalog_topic_each(view->catalog, count_topic, view);
}

void cluster_view_partitions(struct cluster_view *view, uint32_t *ret_offline,
                             uint32_t *ret_under_replicated)
{
    count_again(view);
    *ret_offline = view->offline;
    *ret_under_replicated = view->under_replicated;
}

int64_t cluster_view_unwell_since(const struct cluster_view *view, const struct uuid *topic_id,
                                  int32_t index)
{
    const struct known_topic *known = topic_find(view, topic_id);
    if (known == NULL || index < 0 || (uint32_t)index >= known->partition_count ||
        known->partitions[index].condition == PARTITION_WELL)
        return -1;
    return known->partitions[index].since_ms;
}

const char *cluster_node_state_text(enum cluster_node_state state)
{
    static const char *const texts[] = {
        [CLUSTER_NODE_ALIVE] = "alive",
        [CLUSTER_NODE_FENCED] = "fenced",
        [CLUSTER_NODE_DRAINING] = "draining",
        [CLUSTER_NODE_SHUTTING_DOWN] = "shutting down",
    };
    ASSERT((size_t)state < sizeof texts / sizeof texts[0]);
    return texts[state];
}

static enum cluster_node_state state_of(const struct catalog_node *node)
{
    if (node->fenced)
        return CLUSTER_NODE_FENCED;
    if (node->shutting_down)
        return CLUSTER_NODE_SHUTTING_DOWN;
    return node->draining ? CLUSTER_NODE_DRAINING : CLUSTER_NODE_ALIVE;
}

bool cluster_view_node(struct cluster_view *view, int32_t node_id,
                       struct cluster_node_view *ret_node)
{
    const struct catalog_node *now = catalog_node_find(view->catalog, node_id);
    if (now == NULL)
        return false;
    count_again(view);
    const struct known_node *known = node_find(view, node_id);
    int64_t uptime_ms = executor_wall_clock_ms(view->executor) - now->registered_ms;
    *ret_node = (struct cluster_node_view){
        .node_id = node_id,
        .state = state_of(now),
        .draining = now->draining,
        .uptime_ms = now->fenced     ? -1
                     : uptime_ms < 0 ? 0
                                     : uptime_ms,
        .leaders = known != NULL ? known->leaders : 0,
        .replicas = known != NULL ? known->replicas : 0,
        .report = {.disk_total_bytes = -1,
                   .disk_free_bytes = -1,
                   .applied_index = -1,
                   .heard_ms = -1},
    };
    (void)cluster_view_reported(view, node_id, &ret_node->report);
    return true;
}

void cluster_view_report(struct cluster_view *view, int32_t node_id,
                         const struct cluster_node_report *report)
{
    struct known_node *node = node_find(view, node_id);
    if (node == NULL)
        return;
    node->reported = true;
    node->report = *report;
}

bool cluster_view_reported(const struct cluster_view *view, int32_t node_id,
                           struct cluster_node_report *ret_report)
{
    const struct known_node *node = node_find(view, node_id);
    if (node == NULL || !node->reported)
        return false;
    *ret_report = node->report;
    return true;
}

/* ---- life ---- */

struct take_up {
    struct cluster_view *view;
    bool refused;
};

static void take_up_node(void *context, const struct catalog_node *node)
{
    struct take_up *up = context;
    up->refused = up->refused || node_make(up->view, node) == NULL;
}

static bool take_up_topic(void *context, const struct catalog_topic *topic)
{
    struct take_up *up = context;
    up->refused = topic_make(up->view, topic, NULL) == NULL;
    return !up->refused;
}

enum error cluster_view_new(struct executor *executor, struct catalog *catalog,
                            struct cluster_view **ret_view)
{
    struct cluster_view *view = memory_allocate(sizeof *view);
    if (view == NULL)
        return ERROR_OUT_OF_MEMORY;
    view->executor = executor;
    view->catalog = catalog;
    view->counted_index = -1;
    list_init(&view->observers);
    view->watcher = (struct catalog_watcher){.topic_changed = topic_changed,
                                             .topic_deleted = topic_deleted,
                                             .nodes_changed = nodes_changed,
                                             .applied = applied};
    catalog_watch(catalog, &view->watcher);
    struct take_up up = {.view = view};
    catalog_node_each(catalog, take_up_node, &up);
    if (!up.refused)
        catalog_topic_each(catalog, take_up_topic, &up);
    if (up.refused) {
        cluster_view_free(view);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_view = view;
    return ERROR_NONE;
}

void cluster_view_free(struct cluster_view *view)
{
    if (view == NULL)
        return;
    catalog_unwatch(view->catalog, &view->watcher);
    struct known_node *node;
    struct known_node *next_node;
    HASH_ITER(hh, view->nodes, node, next_node) node_forget(view, node);
    struct known_topic *topic;
    struct known_topic *next_topic;
    HASH_ITER(hh, view->topics, topic, next_topic) topic_forget(view, topic);
    cluster_events_done(&view->events);
    memory_free(view);
}
