/* SPDX-License-Identifier: Apache-2.0 */
/* Asking, deciding, agreeing. */
#include "replicate/core/bootstrap.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "wire/api_node_join.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ROUND_MS = 200,
    QUERY_TIMEOUT_MS = 2000,
    JOIN_TIMEOUT_MS = 10000,
    WAITING_REPORT_MS = 5000,
    WAITING_TEXT_BYTES = 400
};

/* What one address of the list said last. */
struct bootstrap_peer {
    struct bootstrap *bootstrap;
    struct bootstrap_address address;
    struct call call;
    struct cluster_query_request query;
    bool asked;
    bool answered; /* In the round now going on. */
    bool formed;
    enum error error;
    uint64_t list_hash;
    struct uuid uuid;
};

struct bootstrap {
    struct bootstrap_options options;
    struct founding *founding;
    struct bootstrap_address addresses[FOUNDING_MEMBERS_MAX];
    struct bootstrap_peer *peers;
    uint64_t list_hash;
    struct timer timer;
    int64_t reported_ms;
    char own_address[FOUNDING_HOST_BYTES + 8];
    struct call join;
    struct node_join_request join_request;
    struct bootstrap_address join_at;
    char rack[64];
    bool joining;
    bool finished;
    struct task done_task; /* Posted: tells the end. */
    enum error error;
    struct failure failure;
    bool stopped;
    uint32_t calls; /* Under way. */
};

/* ---- the list ---- */

static int address_compare(const void *a, const void *b)
{
    const struct bootstrap_address *first = *(const struct bootstrap_address *const *)a;
    const struct bootstrap_address *second = *(const struct bootstrap_address *const *)b;
    int order = strcmp(first->host, second->host);
    return order != 0 ? order : (int)first->port - (int)second->port;
}

/* The sorted place of each address decides its node id. */
static void addresses_sort(const struct bootstrap_address *addresses, uint32_t count,
                           const struct bootstrap_address **ret_sorted)
{
    ASSERT(count <= FOUNDING_MEMBERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        ret_sorted[i] = &addresses[i];
    qsort(ret_sorted, count, sizeof *ret_sorted, address_compare);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211); /* FNV-1a. */
    return hash;
}

uint64_t bootstrap_list_hash(const struct bootstrap_address *addresses, uint32_t count)
{
    const struct bootstrap_address *sorted[FOUNDING_MEMBERS_MAX];
    addresses_sort(addresses, count, sorted);
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < count; i++) {
        char text[FOUNDING_HOST_BYTES + 8];
        int size = snprintf(text, sizeof text, "%s:%u\n", sorted[i]->host, sorted[i]->port);
        hash = hash_bytes(hash, text, (size_t)size);
    }
    return hash;
}

/* ---- ending ---- */

static void bootstrap_free(struct bootstrap *bootstrap)
{
    memory_free(bootstrap->peers);
    memory_free(bootstrap);
}

static void free_when_over(struct bootstrap *bootstrap)
{
    if (bootstrap->stopped && bootstrap->calls == 0)
        bootstrap_free(bootstrap);
}

static void cancel_queries(struct bootstrap *bootstrap)
{
    for (uint32_t i = 0; i < bootstrap->options.address_count; i++) {
        if (bootstrap->peers[i].asked)
            call_cancel(&bootstrap->peers[i].call);
    }
}

static void done_told(struct task *task)
{
    struct bootstrap *bootstrap = container_of(task, struct bootstrap, done_task);
    bootstrap->options.done(bootstrap->options.context, bootstrap->error, &bootstrap->failure);
}

/* The owner may stop the bootstrap when it is told: so not from inside what still uses it. */
static void finish(struct bootstrap *bootstrap, enum error error, const struct failure *failure)
{
    ASSERT(!bootstrap->finished);
    bootstrap->finished = true;
    executor_timer_stop(bootstrap->options.executor, &bootstrap->timer);
    cancel_queries(bootstrap);
    bootstrap->error = error;
    bootstrap->failure = *failure;
    bootstrap->done_task.run = done_told;
    executor_post(bootstrap->options.executor, &bootstrap->done_task);
}

/* What was agreed is written down, then it counts. */
static void agree(struct bootstrap *bootstrap, const struct founding *agreed)
{
    struct failure failure = {0};
    struct founding founding = *agreed;
    founding.node_uuid = bootstrap->founding->node_uuid;
    founding.agreed = true;
    enum error error = founding_store(bootstrap->options.storage, &founding);
    if (error == ERROR_NONE)
        *bootstrap->founding = founding;
    else
        (void)failure_at(&failure, error, "write topicfs.founding");
    finish(bootstrap, error, &failure);
}

/* ---- founding ---- */

/* A copied data directory would have one node's vote counted twice. */
static bool uuid_is_anothers(const struct bootstrap *bootstrap, uint32_t place)
{
    for (uint32_t i = 0; i < place; i++) {
        if (uuid_equals(&bootstrap->peers[i].uuid, &bootstrap->peers[place].uuid))
            return true;
    }
    return false;
}

static bool all_unformed(const struct bootstrap *bootstrap)
{
    for (uint32_t i = 0; i < bootstrap->options.address_count; i++) {
        const struct bootstrap_peer *peer = &bootstrap->peers[i];
        if ((int32_t)i != bootstrap->options.self &&
            (!peer->answered || peer->error != ERROR_NONE || peer->formed ||
             peer->list_hash != bootstrap->list_hash))
            return false;
        if (uuid_is_anothers(bootstrap, i))
            return false;
    }
    return bootstrap->options.self >= 0;
}

/* The same for all founders, and for nobody else: made of their random uuids. */
static struct uuid cluster_id_of(const struct founding *founding, uint64_t list_hash)
{
    struct uuid id = UUID_ZERO;
    uint64_t mixed[2] = {list_hash, ~list_hash};
    for (uint32_t i = 0; i < founding->member_count; i++) {
        mixed[0] = hash_bytes(mixed[0], founding->members[i].uuid.bytes, UUID_BYTES);
        mixed[1] = hash_bytes(mixed[1] ^ mixed[0], founding->members[i].uuid.bytes, UUID_BYTES);
    }
    for (size_t i = 0; i < UUID_BYTES; i++)
        id.bytes[i] = (uint8_t)(mixed[i / 8] >> (i % 8 * 8));
    id.bytes[0] &= 0x7f; /* Its text never begins with '-' (Kafka's Uuid.randomUuid). */
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

static void found(struct bootstrap *bootstrap)
{
    const struct bootstrap_address *sorted[FOUNDING_MEMBERS_MAX];
    struct founding founding = {.founder = true, .node_id = -1};
    addresses_sort(bootstrap->options.addresses, bootstrap->options.address_count, sorted);
    for (uint32_t i = 0; i < bootstrap->options.address_count; i++) {
        struct founding_member *member = &founding.members[founding.member_count++];
        ptrdiff_t at = sorted[i] - bootstrap->options.addresses;
        member->node_id = (int32_t)i + 1; /* As a node alone is number 1. */
        member->port = sorted[i]->port;
        memcpy(member->host, sorted[i]->host, sizeof member->host);
        member->uuid = bootstrap->peers[at].uuid;
        if (at == bootstrap->options.self)
            founding.node_id = member->node_id;
    }
    ASSERT(founding.node_id > 0);
    founding.cluster_id = cluster_id_of(&founding, bootstrap->list_hash);
    if (bootstrap->options.wanted_node_id >= 0 &&
        bootstrap->options.wanted_node_id != founding.node_id) {
        struct failure failure = {0};
        enum error error =
            failure_because(&failure, ERROR_INVALID_CONFIG,
                            "node.id is %d, but founders are numbered by the order of "
                            "topicfs.nodes: this one is %d",
                            (int)bootstrap->options.wanted_node_id, (int)founding.node_id);
        finish(bootstrap, error, &failure);
        return;
    }
    agree(bootstrap, &founding);
}

/* ---- joining ---- */

static void member_copy(struct founding *founding, int32_t node_id, struct slice host, int32_t port,
                        const struct uuid *uuid)
{
    if (founding->member_count == FOUNDING_MEMBERS_MAX || host.size >= FOUNDING_HOST_BYTES)
        return;
    struct founding_member *member = &founding->members[founding->member_count++];
    member->node_id = node_id;
    member->port = port;
    memcpy(member->host, host.data, host.size);
    member->host[host.size] = '\0';
    member->uuid = *uuid;
}

static void joined(struct bootstrap *bootstrap, const struct node_join_response *response)
{
    struct founding founding = {.node_id = response->node_id, .cluster_id = response->cluster_id};
    for (uint32_t i = 0; i < response->members_count; i++)
        member_copy(&founding, response->members[i].node_id, response->members[i].host,
                    response->members[i].port, &UUID_ZERO);
    agree(bootstrap, &founding);
}

/* The controller is somewhere else: there the next time. */
static void redirect(struct bootstrap *bootstrap, const struct node_join_response *response)
{
    for (uint32_t i = 0; i < response->members_count; i++) {
        struct slice host = response->members[i].host;
        if (response->members[i].node_id != response->leader_id ||
            host.size >= sizeof bootstrap->join_at.host)
            continue;
        memcpy(bootstrap->join_at.host, host.data, host.size);
        bootstrap->join_at.host[host.size] = '\0';
        bootstrap->join_at.port = (uint16_t)response->members[i].port;
    }
}

static void join_refused(struct bootstrap *bootstrap, const struct node_join_response *response)
{
    struct failure failure = {0};
    enum error error =
        failure_because(&failure, ERROR_INVALID_CONFIG, "the cluster refused this node: %.*s",
                        SLICE_PRINT(response->error_message));
    finish(bootstrap, error, &failure);
}

static void join_ended(struct call *call)
{
    struct bootstrap *bootstrap = container_of(call, struct bootstrap, join);
    const struct node_join_response *response = call->response;
    bootstrap->joining = false;
    bootstrap->calls--;
    if (!bootstrap->stopped && !bootstrap->finished && call->error == ERROR_NONE) {
        if (response->error_code == 0)
            joined(bootstrap, response);
        else if (response->error_code == error_to_kafka(ERROR_NOT_CONTROLLER))
            redirect(bootstrap, response);
        else if (response->error_message.data !=
                 NULL) /* It has a reason, and will have it again. */
            join_refused(bootstrap, response);
    }
    call_done(call);
    free_when_over(bootstrap);
}

static void join(struct bootstrap *bootstrap)
{
    if (bootstrap->joining)
        return;
    bootstrap->joining = true;
    bootstrap->calls++;
    bootstrap->join_request = (struct node_join_request){
        .node_uuid = bootstrap->founding->node_uuid,
        .wanted_node_id = bootstrap->options.wanted_node_id,
        .host = slice_of(bootstrap->options.advertised.host),
        .port = bootstrap->options.advertised.port,
        .rack = bootstrap->rack[0] == '\0' ? SLICE_NULL : slice_of(bootstrap->rack),
    };
    call_init(&bootstrap->join, bootstrap->options.caller, api_find(API_NODE_JOIN), -1,
              CALL_CONTROL, JOIN_TIMEOUT_MS);
    bootstrap->join.host = bootstrap->join_at.host;
    bootstrap->join.port = bootstrap->join_at.port;
    bootstrap->join.body = &bootstrap->join_request;
    bootstrap->join.done = join_ended;
    call_start(bootstrap->options.executor, &bootstrap->join);
}

/* ---- asking ---- */

/* Whether these are the founders: the addresses of the list, numbered by their places. Nodes that
 * were taken in have later numbers, also at a founder's address. */
static bool are_founders(const struct bootstrap *bootstrap, const struct founding *founding)
{
    const struct bootstrap_address *sorted[FOUNDING_MEMBERS_MAX];
    uint32_t count = bootstrap->options.address_count;
    if (founding->member_count != count)
        return false;
    addresses_sort(bootstrap->options.addresses, count, sorted);
    for (uint32_t i = 0; i < count; i++) {
        const struct founding_member *member = founding_member_find(founding, (int32_t)i + 1);
        if (member == NULL || member->port != sorted[i]->port ||
            strcmp(member->host, sorted[i]->host) != 0)
            return false;
    }
    return true;
}

/* One of a cluster answered: this node is among its founders, or asks to be taken in. */
static void formed_answered(struct bootstrap *bootstrap, const struct bootstrap_peer *peer,
                            const struct cluster_query_response *response)
{
    struct founding founding = {.cluster_id = response->cluster_id};
    for (uint32_t i = 0; i < response->members_count; i++)
        member_copy(&founding, response->members[i].node_id, response->members[i].host,
                    response->members[i].port, &response->members[i].node_uuid);
    const struct founding_member *own =
        founding_member_of(&founding, &bootstrap->founding->node_uuid);
    if (own != NULL) {
        /* It was counted among the founders before it knew; the log of all of them begins alike.
         * Or it was taken in, and did not hear the answer: its log comes from the others. */
        founding.founder = (uint64_t)response->list_hash == bootstrap->list_hash &&
                           are_founders(bootstrap, &founding);
        founding.node_id = own->node_id;
        agree(bootstrap, &founding);
        return;
    }
    if (!bootstrap->joining) {
        bootstrap->join_at = peer->address;
        for (uint32_t i = 0; i < founding.member_count; i++) {
            if (founding.members[i].node_id != response->leader_id)
                continue;
            memcpy(bootstrap->join_at.host, founding.members[i].host,
                   sizeof bootstrap->join_at.host);
            bootstrap->join_at.port = (uint16_t)founding.members[i].port;
        }
    }
    join(bootstrap);
}

static void query_ended(struct call *call)
{
    struct bootstrap_peer *peer = container_of(call, struct bootstrap_peer, call);
    struct bootstrap *bootstrap = peer->bootstrap;
    const struct cluster_query_response *response = call->response;
    peer->asked = false;
    bootstrap->calls--;
    if (!bootstrap->stopped && !bootstrap->finished) {
        peer->answered = true;
        peer->error = call->error;
        if (call->error == ERROR_NONE) {
            peer->formed = response->formed;
            peer->list_hash = (uint64_t)response->list_hash;
            peer->uuid = response->node_uuid;
        }
        if (call->error == ERROR_NONE && response->formed)
            formed_answered(bootstrap, peer, response);
        else if (all_unformed(bootstrap))
            found(bootstrap);
    }
    call_done(call);
    free_when_over(bootstrap);
}

static void query(struct bootstrap *bootstrap, struct bootstrap_peer *peer)
{
    peer->answered = false;
    peer->asked = true;
    bootstrap->calls++;
    peer->query = (struct cluster_query_request){
        .list_hash = (int64_t)bootstrap->list_hash,
        .node_uuid = bootstrap->founding->node_uuid,
        .address = slice_of(bootstrap->own_address),
    };
    call_init(&peer->call, bootstrap->options.caller, api_find(API_CLUSTER_QUERY), -1, CALL_CONTROL,
              QUERY_TIMEOUT_MS);
    peer->call.host = peer->address.host;
    peer->call.port = peer->address.port;
    peer->call.body = &peer->query;
    peer->call.done = query_ended;
    call_start(bootstrap->options.executor, &peer->call);
}

static const char *hindrance(const struct bootstrap *bootstrap, const struct bootstrap_peer *peer)
{
    if (peer->error == ERROR_LEADER_NOT_AVAILABLE)
        return "it does not answer";
    if (peer->error != ERROR_NONE)
        return error_text(peer->error);
    if (uuid_is_zero(&peer->uuid))
        return "it does not answer";
    if (peer->formed)
        return "it is in a cluster, which takes this node in";
    if (peer->list_hash != bootstrap->list_hash)
        return "it has another topicfs.nodes";
    if (uuid_is_anothers(bootstrap, (uint32_t)(peer - bootstrap->peers)))
        return "its data directory is a copy of another founder's";
    return NULL;
}

static void report_waiting(struct bootstrap *bootstrap)
{
    int64_t now_ms = executor_monotonic_ms(bootstrap->options.executor);
    if (now_ms - bootstrap->reported_ms < WAITING_REPORT_MS)
        return;
    bootstrap->reported_ms = now_ms;
    char text[WAITING_TEXT_BYTES] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < bootstrap->options.address_count; i++) {
        const struct bootstrap_peer *peer = &bootstrap->peers[i];
        const char *why = hindrance(bootstrap, peer);
        if ((int32_t)i == bootstrap->options.self || why == NULL || used >= sizeof text - 1)
            continue;
        int size = snprintf(text + used, sizeof text - used, "%s%s:%u (%s)", used > 0 ? ", " : "",
                            peer->address.host, peer->address.port, why);
        used += size < 0 ? 0 : (size_t)size;
    }
    bootstrap->options.waiting(bootstrap->options.context,
                               text[0] == '\0' ? "the other nodes" : text);
}

static void round_begin(struct timer *timer)
{
    struct bootstrap *bootstrap = container_of(timer, struct bootstrap, timer);
    if (all_unformed(bootstrap)) { /* A founder alone on its list asks nobody. */
        found(bootstrap);
        return;
    }
    report_waiting(bootstrap);
    for (uint32_t i = 0; i < bootstrap->options.address_count; i++) {
        struct bootstrap_peer *peer = &bootstrap->peers[i];
        if ((int32_t)i != bootstrap->options.self && !peer->asked)
            query(bootstrap, peer);
    }
    executor_timer_start(bootstrap->options.executor, &bootstrap->timer, ROUND_MS);
}

/* ---- life ---- */

enum error bootstrap_new(const struct bootstrap_options *options, struct founding *founding,
                         struct bootstrap **ret_bootstrap)
{
    ASSERT(options->address_count > 0 && options->address_count <= FOUNDING_MEMBERS_MAX);
    struct bootstrap *bootstrap = memory_allocate(sizeof *bootstrap);
    struct bootstrap_peer *peers = memory_allocate_array(options->address_count, sizeof *peers);
    if (bootstrap == NULL || peers == NULL) {
        memory_free(peers);
        memory_free(bootstrap);
        return ERROR_OUT_OF_MEMORY;
    }
    bootstrap->options = *options;
    memcpy(bootstrap->addresses, options->addresses,
           options->address_count * sizeof *options->addresses);
    bootstrap->options.addresses = bootstrap->addresses;
    bootstrap->founding = founding;
    bootstrap->peers = peers;
    bootstrap->timer.fire = round_begin;
    list_init(&bootstrap->done_task.link);
    bootstrap->list_hash = bootstrap_list_hash(options->addresses, options->address_count);
    (void)snprintf(bootstrap->own_address, sizeof bootstrap->own_address, "%s:%u",
                   options->advertised.host, options->advertised.port);
    if (options->rack != NULL)
        (void)snprintf(bootstrap->rack, sizeof bootstrap->rack, "%s", options->rack);
    for (uint32_t i = 0; i < options->address_count; i++) {
        peers[i].bootstrap = bootstrap;
        peers[i].address = options->addresses[i];
        if ((int32_t)i == options->self)
            peers[i].uuid = founding->node_uuid;
    }
    *ret_bootstrap = bootstrap;
    return ERROR_NONE;
}

void bootstrap_start(struct bootstrap *bootstrap)
{
    bootstrap->reported_ms = executor_monotonic_ms(bootstrap->options.executor);
    executor_timer_start(bootstrap->options.executor, &bootstrap->timer, 0);
}

void bootstrap_stop(struct bootstrap *bootstrap)
{
    if (bootstrap == NULL)
        return;
    bootstrap->stopped = true;
    list_remove(&bootstrap->done_task.link);
    executor_timer_stop(bootstrap->options.executor, &bootstrap->timer);
    cancel_queries(bootstrap);
    if (bootstrap->joining)
        call_cancel(&bootstrap->join);
    free_when_over(bootstrap);
}

enum error bootstrap_answer(const struct founding *founding, uint64_t list_hash,
                            struct arena *arena, struct cluster_query_response *response)
{
    cluster_query_response_init(response);
    response->formed = founding->agreed;
    response->list_hash = (int64_t)list_hash;
    response->node_uuid = founding->node_uuid;
    response->node_id = founding->agreed ? founding->node_id : -1;
    response->leader_id = -1;
    if (!founding->agreed)
        return ERROR_NONE;
    response->cluster_id = founding->cluster_id;
    response->members =
        arena_allocate_array(arena, founding->member_count, sizeof *response->members);
    if (response->members == NULL)
        return ERROR_OUT_OF_MEMORY;
    response->members_count = founding->member_count;
    for (uint32_t i = 0; i < founding->member_count; i++) {
        cluster_query_response_member_init(&response->members[i]);
        response->members[i].node_id = founding->members[i].node_id;
        response->members[i].host = slice_of(founding->members[i].host);
        response->members[i].port = founding->members[i].port;
        response->members[i].node_uuid = founding->members[i].uuid;
    }
    return ERROR_NONE;
}
