/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes, their quorum and the way between them. */
#include "replicate/cluster_fixture.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "handle/request.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMIT_MS = 2, CALL_MS = 2, CHANGE_MS = 5, ARENA_BYTES_MAX = 1 << 20 };

struct event;

/* A request at the node it was sent to. */
struct arrival {
    struct request request;
    struct event *event;
};

/* Something that is to happen later. */
struct event {
    struct list link;
    struct timer timer;
    struct cluster_node *node;
    struct call *call; /* NULL once it is ended. */
    struct arrival *arrival;
    struct catalog_proposal *proposal;
    struct quorum_change *change;
    enum error error;
};

static struct event *event_in(struct cluster_node *node, int64_t delay_ms,
                              void (*fire)(struct timer *timer))
{
    struct event *event = calloc(1, sizeof *event);
    assert_non_null(event);
    event->node = node;
    event->timer.fire = fire;
    list_push(&node->cluster->in_flight, &event->link);
    executor_timer_start(node->cluster->executor, &event->timer, delay_ms);
    return event;
}

static void event_free(struct event *event)
{
    executor_timer_stop(event->node->cluster->executor, &event->timer);
    list_remove(&event->link);
    if (event->arrival != NULL)
        request_done(&event->arrival->request);
    free(event->arrival);
    free(event);
}

/* ---- the log ---- */

static void entry_append(struct cluster_fixture *cluster, const uint8_t *bytes, size_t size)
{
    ASSERT(cluster->log_count < CLUSTER_LOG_MAX);
    struct cluster_entry *entry = &cluster->log[cluster->log_count++];
    entry->bytes = malloc(size);
    assert_non_null(entry->bytes);
    memcpy(entry->bytes, bytes, size);
    entry->size = size;
}

static struct catalog_outcome node_apply(struct cluster_node *node)
{
    struct catalog_outcome outcome = {.error = ERROR_NONE};
    while (node->applied < node->cluster->log_count) {
        const struct cluster_entry *entry = &node->cluster->log[node->applied++];
        do {
            outcome = catalog_apply(node->catalog, node->applied, 1, entry->bytes, entry->size);
        } while (outcome.error == ERROR_OUT_OF_MEMORY);
    }
    return outcome;
}

static struct catalog_outcome apply_all(struct cluster_fixture *cluster, struct cluster_node *first)
{
    struct catalog_outcome outcome = node_apply(first);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].follows)
            (void)node_apply(&cluster->nodes[i]);
    }
    return outcome;
}

struct catalog_outcome cluster_apply_at(struct cluster_fixture *cluster,
                                        const struct catalog_command *command, int32_t at)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    entry_append(cluster, bytes, size);
    memory_free(bytes);
    return apply_all(cluster, &cluster->nodes[at]);
}

struct catalog_outcome cluster_apply(struct cluster_fixture *cluster,
                                     const struct catalog_command *command)
{
    return cluster_apply_at(cluster, command, 0);
}

static void proposal_committed(struct timer *timer)
{
    struct event *event = container_of(timer, struct event, timer);
    struct cluster_fixture *cluster = event->node->cluster;
    struct catalog_proposal *proposal = event->proposal;
    if (cluster->quorum_stuck) {
        executor_timer_start(cluster->executor, &event->timer, COMMIT_MS);
        return;
    }
    struct catalog_outcome outcome = {
        .error = cluster->proposal_error, .producer_id_first = -1, .node_id_taken = -1};
    bool refused = outcome.error != ERROR_NONE;
    if (!refused && cluster->leader_id != event->node->id) {
        outcome.error = ERROR_REQUEST_TIMED_OUT; /* Leadership went meanwhile. */
        refused = true;
    }
    if (!refused || cluster->apply_before_error) {
        cluster->proposals_taken++;
        entry_append(cluster, proposal->bytes, proposal->size);
        struct catalog_outcome applied = apply_all(cluster, event->node);
        if (!refused)
            outcome = applied;
    }
    catalog_proposal_complete(event->node->catalog, proposal, &outcome);
    event_free(event);
}

static void local_submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct cluster_node *node = container_of(proposer, struct cluster_node, local);
    if (node->cluster->leader_id != node->id) {
        struct catalog_outcome outcome = {
            .error = ERROR_NOT_CONTROLLER, .producer_id_first = -1, .node_id_taken = -1};
        catalog_proposal_complete(node->catalog, proposal, &outcome);
        return;
    }
    event_in(node, COMMIT_MS, proposal_committed)->proposal = proposal;
}

/* ---- the quorum ---- */

static struct cluster_node *node_of(struct quorum *quorum)
{
    return container_of(quorum, struct cluster_node, quorum);
}

static int32_t fake_leader_id(struct quorum *quorum)
{
    return node_of(quorum)->knows_leader_id;
}

static bool fake_leads(struct quorum *quorum)
{
    struct cluster_node *node = node_of(quorum);
    return node->cluster->leader_id == node->id && node->cluster->barrier;
}

static int64_t fake_term(struct quorum *quorum)
{
    return node_of(quorum)->cluster->term;
}

static uint32_t fake_members(struct quorum *quorum, struct quorum_member *ret_members,
                             uint32_t capacity)
{
    const struct cluster_fixture *cluster = node_of(quorum)->cluster;
    for (uint32_t i = 0; i < cluster->member_count && i < capacity; i++)
        ret_members[i] = cluster->members[i];
    return cluster->member_count;
}

static struct quorum_member *member_find(struct cluster_fixture *cluster, int32_t id)
{
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        if (cluster->members[i].node_id == id)
            return &cluster->members[i];
    }
    return NULL;
}

static void member_remove(struct cluster_fixture *cluster, int32_t id)
{
    struct quorum_member *member = member_find(cluster, id);
    assert_non_null(member);
    *member = cluster->members[--cluster->member_count];
}

static void transfer(struct cluster_fixture *cluster, int32_t to)
{
    for (uint32_t i = 0; to < 0 && i < cluster->member_count; i++) {
        if (cluster->members[i].role == QUORUM_VOTER &&
            cluster->members[i].node_id != cluster->leader_id)
            to = cluster->members[i].node_id;
    }
    cluster_elect(cluster, to);
}

static void change_made(struct timer *timer)
{
    static const char *const words[] = {"add", "standby", "voter", "remove", "transfer"};
    struct event *event = container_of(timer, struct event, timer);
    struct cluster_fixture *cluster = event->node->cluster;
    struct quorum_change *change = event->change;
    char word[40];
    snprintf(word, sizeof word, "%s %d%s;", words[change->kind], change->node_id,
             cluster->change_error != ERROR_NONE ? " refused" : "");
    assert_true(strlen(cluster->changes) + sizeof word < sizeof cluster->changes);
    memcpy(cluster->changes + strlen(cluster->changes), word, strlen(word) + 1);
    change->error = cluster->change_error;
    if (change->error == ERROR_NONE && change->kind == QUORUM_ADD_SPARE) {
        assert_null(member_find(cluster, change->node_id));
        cluster->members[cluster->member_count++] =
            (struct quorum_member){.node_id = change->node_id, .role = QUORUM_SPARE};
    } else if (change->error == ERROR_NONE && change->kind == QUORUM_REMOVE) {
        member_remove(cluster, change->node_id);
    } else if (change->error == ERROR_NONE && change->kind == QUORUM_TRANSFER) {
        transfer(cluster, change->node_id);
    } else if (change->error == ERROR_NONE) {
        assert_non_null(member_find(cluster, change->node_id));
        member_find(cluster, change->node_id)->role =
            change->kind == QUORUM_ASSIGN_VOTER ? QUORUM_VOTER : QUORUM_STANDBY;
    }
    event_free(event);
    change->done(change);
}

static void fake_change(struct quorum *quorum, struct quorum_change *change)
{
    event_in(node_of(quorum), CHANGE_MS, change_made)->change = change;
}

static void fake_watch(struct quorum *quorum, struct quorum_watcher *watcher)
{
    list_push(&node_of(quorum)->quorum_watchers, &watcher->link);
}

static const struct quorum_ops fake_quorum_ops = {
    .leader_id = fake_leader_id,
    .leads = fake_leads,
    .term = fake_term,
    .members = fake_members,
    .change = fake_change,
    .watch = fake_watch,
};

void cluster_elect(struct cluster_fixture *cluster, int32_t leader_id)
{
    cluster->leader_id = leader_id;
    cluster->barrier = leader_id >= 0;
    cluster->term++;
    for (uint32_t i = 0; i < cluster->node_count; i++)
        cluster->nodes[i].knows_leader_id = leader_id;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        list_for_each_safe(link, &cluster->nodes[i].quorum_watchers)
        {
            struct quorum_watcher *watcher = container_of(link, struct quorum_watcher, link);
            watcher->changed(watcher);
        }
    }
}

/* ---- the controller, as a test wants it ---- */

static struct cluster_node *node_with(struct membership *membership)
{
    return container_of(membership, struct cluster_node, membership);
}

static int32_t fake_controller_id(struct membership *membership)
{
    return node_with(membership)->knows_leader_id;
}

static void fake_propose(struct membership *membership, const struct catalog_command *command,
                         struct catalog_proposal *proposal)
{
    (void)command;
    struct cluster_node *node = node_with(membership);
    node->local.submit(&node->local, proposal);
}

static void fake_heartbeat(struct membership *membership,
                           const struct node_heartbeat_request *request,
                           struct membership_answer *ret_answer)
{
    struct cluster_node *node = node_with(membership);
    node->heard = *request;
    node->heard_count++;
    *ret_answer = node->answer;
    if (node->cluster->leader_id != node->id)
        ret_answer->error = ERROR_NOT_CONTROLLER;
}

static void fake_join(struct membership *membership, struct membership_join *join)
{
    (void)membership;
    (void)join;
    fail_msg("nobody joins here");
}

static const struct membership_ops fake_membership_ops = {
    .leader_id = fake_controller_id,
    .propose = fake_propose,
    .heartbeat = fake_heartbeat,
    .join = fake_join,
};

/* ---- calls ---- */

/* Through its bytes, as over a socket. Memory may be refused; nothing else. */
static enum error copy_message(const struct api_message *message, int16_t version, const void *from,
                               struct arena *arena, void **ret_to)
{
    struct writer writer;
    struct slice bytes;
    struct reader reader;
    void *to = arena_allocate(arena, message->size);
    if (to == NULL)
        return ERROR_OUT_OF_MEMORY;
    writer_init(&writer);
    message->encode(&writer, version, from);
    enum error error = writer_finish_slice(&writer, arena, &bytes);
    if (error == ERROR_NONE) {
        reader_init(&reader, bytes);
        message->init(to);
        error = message->decode(&reader, version, arena, to);
    }
    assert_true(error == ERROR_NONE || error == ERROR_OUT_OF_MEMORY);
    if (error == ERROR_NONE) {
        assert_int_equal(reader_left(&reader), 0);
        *ret_to = to;
    }
    return error;
}

static void call_end(struct event *event, enum error error)
{
    struct call *call = event->call;
    event->call = NULL;
    if (call != NULL) {
        call->implementation = NULL;
        call_complete(event->node->cluster->executor, call, error);
    }
}

static void call_failed(struct timer *timer)
{
    struct event *event = container_of(timer, struct event, timer);
    call_end(event, event->error);
    event_free(event);
}

static void answered(struct request *request)
{
    struct event *event = container_of(request, struct arrival, request)->event;
    struct call *call = event->call;
    if (request->response == NULL || event->node->reach == CLUSTER_ANSWER_LOST) {
        call_end(event, ERROR_NETWORK);
    } else if (call != NULL) {
        call_end(event, copy_message(&call->api->response, call->version, request->response,
                                     &call->arena, &call->response));
    }
    event_free(event);
}

static void arrived(struct timer *timer)
{
    struct event *event = container_of(timer, struct event, timer);
    struct call *call = event->call;
    if (call == NULL) { /* Cancelled on its way. */
        event_free(event);
        return;
    }
    event->arrival = calloc(1, sizeof *event->arrival);
    assert_non_null(event->arrival);
    event->arrival->event = event;
    struct request *request = &event->arrival->request;
    request_init(request, &event->node->broker, call->api, call->version);
    request->requester.peer_node_id =
        container_of(call->caller, struct cluster_node, caller)->broker.node_id;
    enum error error = copy_message(&call->api->request, call->version, call->body, &request->arena,
                                    &request->body);
    if (error != ERROR_NONE) {
        call_end(event, error);
        event_free(event);
        return;
    }
    request->done = answered;
    executor_timer_stop(event->node->cluster->executor, &event->timer);
    handle_start(request);
}

static void fake_start(struct caller *caller, struct call *call)
{
    struct cluster_fixture *cluster = container_of(caller, struct cluster_node, caller)->cluster;
    assert_in_range(call->node_id, 0, cluster->node_count - 1);
    struct cluster_node *node = &cluster->nodes[call->node_id];
    struct event *event;
    switch (node->reach) {
    case CLUSTER_REFUSED:
        event = event_in(node, 0, call_failed);
        event->error = ERROR_LEADER_NOT_AVAILABLE;
        break;
    case CLUSTER_CLOSING:
        event = event_in(node, 0, call_failed);
        event->error = ERROR_CLOSING;
        break;
    case CLUSTER_SILENT:
        event = event_in(node, call->timeout_ms, call_failed);
        event->error = ERROR_REQUEST_TIMED_OUT;
        break;
    default:
        event = event_in(node, CALL_MS, arrived);
    }
    event->call = call;
    call->implementation = event;
}

static void fake_cancel(struct caller *caller, struct call *call)
{
    struct event *event = call->implementation;
    (void)caller;
    if (event != NULL)
        call_end(event, ERROR_INTERRUPTED);
}

static const struct caller_ops fake_caller_ops = {.start = fake_start, .cancel = fake_cancel};

/* ---- life ---- */

static void node_setup(struct cluster_fixture *cluster, int32_t id)
{
    struct cluster_node *node = &cluster->nodes[id];
    *node = (struct cluster_node){.cluster = cluster,
                                  .id = id,
                                  .caller = {.ops = &fake_caller_ops},
                                  .quorum = {.ops = &fake_quorum_ops},
                                  .local = {.submit = local_submit},
                                  .membership = {.ops = &fake_membership_ops},
                                  .follows = true,
                                  .knows_leader_id = -1};
    assert_int_equal(catalog_new(cluster->executor, &node->catalog), ERROR_NONE);
    list_init(&node->quorum_watchers);
    node->broker = (struct broker){.executor = cluster->executor,
                                   .catalog = node->catalog,
                                   .caller = &node->caller,
                                   .membership = &node->membership,
                                   .node_id = id};
}

void cluster_setup(struct cluster_fixture *cluster, uint32_t count)
{
    *cluster = (struct cluster_fixture){.node_count = count, .leader_id = -1};
    cluster->simulated = simulated_executor_new(7, NULL);
    assert_non_null(cluster->simulated);
    cluster->executor = simulated_executor_seam(cluster->simulated);
    list_init(&cluster->in_flight);
    for (uint32_t i = 0; i < count; i++)
        node_setup(cluster, (int32_t)i);
    struct catalog_command command = {.kind = CATALOG_CLUSTER_INIT, .cluster_id = {{1, 2, 3}}};
    assert_int_equal(cluster_apply(cluster, &command).error, ERROR_NONE);
}

void cluster_teardown(struct cluster_fixture *cluster)
{
    memory_fault_arm(-1);
    list_for_each_safe(link, &cluster->in_flight)
    {
        struct event *event = container_of(link, struct event, link);
        if (event->proposal != NULL)
            memory_free(event->proposal->bytes);
        event_free(event);
    }
    for (uint32_t i = 0; i < cluster->node_count; i++)
        catalog_free(cluster->nodes[i].catalog);
    for (uint32_t i = 0; i < cluster->log_count; i++)
        free(cluster->log[i].bytes);
    simulated_executor_free(cluster->simulated);
}

int64_t cluster_register(struct cluster_fixture *cluster, int32_t id, bool fenced)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .clean = true,
        .wall_clock_ms = executor_wall_clock_ms(cluster->executor),
        .node = {.id = id, .port = 9092, .fenced = fenced, .directory_id = {{(uint8_t)id, 1}}},
    };
    snprintf(command.node.host, sizeof command.node.host, "node%d", id);
    struct catalog_outcome outcome = cluster_apply(cluster, &command);
    assert_int_equal(outcome.error, ERROR_NONE);
    return outcome.index;
}

void cluster_topic(struct cluster_fixture *cluster, const char *name, const char *const *replicas,
                   uint32_t partitions)
{
    struct catalog_assignment *assignments = calloc(partitions, sizeof *assignments);
    assert_non_null(assignments);
    for (uint32_t i = 0; i < partitions; i++) {
        for (const char *text = replicas[i]; *text != '\0';) {
            char *end;
            assignments[i].replicas[assignments[i].replica_count++] =
                (int32_t)strtol(text, &end, 10);
            text = *end == ',' ? end + 1 : end;
        }
    }
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = uuid_random(cluster->executor),
                                      .assignments = assignments,
                                      .assignment_count = partitions};
    assert_int_equal(cluster_apply(cluster, &command).error, ERROR_NONE);
    free(assignments);
}

void cluster_partition(struct cluster_fixture *cluster, const char *topic, int32_t index,
                       struct catalog_partition *ret_partition)
{
    const struct catalog *catalog = cluster->nodes[0].catalog;
    const struct catalog_topic *found = catalog_topic_find(catalog, slice_of(topic));
    assert_non_null(found);
    assert_true(catalog_partition_find(catalog, found, index, ret_partition));
}

const struct catalog_node *cluster_node_known(struct cluster_fixture *cluster, int32_t id)
{
    return catalog_node_find(cluster->nodes[0].catalog, id);
}

void cluster_run_for(struct cluster_fixture *cluster, int64_t ms)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].follows)
            (void)node_apply(&cluster->nodes[i]);
    }
    simulated_executor_run_for(cluster->simulated, ms);
}
