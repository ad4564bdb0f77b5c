/* SPDX-License-Identifier: Apache-2.0 */
/* Looking around, and remembering who was where. */
#include "replicate/core/sightings.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* An address of the list, and what was found there in this round. */
struct place {
    struct sightings *sightings;
    struct bootstrap_address address;
    struct call call;
    struct cluster_query_request query;
    bool asked;
    bool foreign; /* A node of another cluster. */
};

struct sighting {
    int32_t node_id;
    struct bootstrap_address address;
};

struct sightings {
    struct sightings_options options;
    struct place places[FOUNDING_MEMBERS_MAX];
    uint64_t list_hash;
    char own_address[FOUNDING_HOST_BYTES + 8];
    struct sighting seen[FOUNDING_MEMBERS_MAX]; /* The latest last. */
    uint32_t seen_count;
    uint32_t turns; /* Of sightings_find. */
    struct timer timer;
    struct quorum *quorum;
    struct quorum_watcher quorum_watcher;
    uint32_t calls;          /* Under way. */
    bool looking;            /* The first round is under way. */
    struct task looked_task; /* Posted: tells what came of the first look. */
    enum error error;
    struct failure failure;
    bool stopped;
};

/* ---- who was where ---- */

static bool same_address(const struct bootstrap_address *one, const struct bootstrap_address *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0;
}

static void sighting_remove(struct sightings *sightings, uint32_t at)
{
    sightings->seen_count--;
    memmove(&sightings->seen[at], &sightings->seen[at + 1],
            (sightings->seen_count - at) * sizeof sightings->seen[0]);
}

static uint32_t sighting_of(const struct sightings *sightings, int32_t node_id)
{
    uint32_t at = 0;
    while (at < sightings->seen_count && sightings->seen[at].node_id != node_id)
        at++;
    return at;
}

static void note(struct sightings *sightings, int32_t node_id, const struct uuid *node_uuid,
                 const struct bootstrap_address *address)
{
    const struct sightings_options *options = &sightings->options;
    if (node_id < 0 || node_id == options->node_id ||
        !options->plausible(options->context, node_id, node_uuid))
        return;
    uint32_t at = sighting_of(sightings, node_id);
    if (at < sightings->seen_count)
        sighting_remove(sightings, at);
    else if (sightings->seen_count == FOUNDING_MEMBERS_MAX)
        sighting_remove(sightings, 0);
    sightings->seen[sightings->seen_count++] =
        (struct sighting){.node_id = node_id, .address = *address};
}

static bool address_read(struct slice text, struct bootstrap_address *ret_address)
{
    char copy[FOUNDING_HOST_BYTES + 16];
    if (text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *colon = strrchr(copy, ':');
    if (colon == NULL || colon == copy)
        return false;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX)
        return false;
    char *host = copy;
    if (copy[0] == '[' && colon[-1] == ']') {
        host++;
        colon--;
    }
    *colon = '\0';
    if (host[0] == '\0' || strlen(host) >= sizeof ret_address->host)
        return false;
    *ret_address = (struct bootstrap_address){.port = (uint16_t)port};
    memcpy(ret_address->host, host, strlen(host) + 1);
    return true;
}

void sightings_note(struct sightings *sightings, int32_t node_id, struct slice address)
{
    struct bootstrap_address read;
    if (address_read(address, &read))
        note(sightings, node_id, NULL, &read);
}

bool sightings_find(struct sightings *sightings, int32_t node_id,
                    const struct bootstrap_address *registered,
                    struct bootstrap_address *ret_address)
{
    uint32_t at = sighting_of(sightings, node_id);
    if (at == sightings->seen_count)
        return false;
    struct bootstrap_address seen = sightings->seen[at].address;
    if (registered != NULL && same_address(registered, &seen)) {
        sighting_remove(sightings, at); /* It has told everybody. */
        return false;
    }
    if (registered != NULL && sightings->turns++ % 2 != 0)
        return false;
    *ret_address = seen;
    return true;
}

/* ---- looking ---- */

static void free_when_over(struct sightings *sightings)
{
    if (sightings->stopped && sightings->calls == 0)
        memory_free(sightings);
}

static void looked_told(struct task *task)
{
    struct sightings *sightings = container_of(task, struct sightings, looked_task);
    sightings->options.looked(sightings->options.context, sightings->error, &sightings->failure);
}

/* All of the list, and this node is not among them: it would be alone with its mistake. */
static bool all_foreign(const struct sightings *sightings)
{
    for (uint32_t i = 0; i < sightings->options.address_count; i++) {
        if (!sightings->places[i].foreign)
            return false;
    }
    return sightings->options.self < 0;
}

/* The first round is over when nobody is waited for. */
static void look_over(struct sightings *sightings)
{
    if (!sightings->looking || sightings->stopped || sightings->calls > 0)
        return;
    sightings->looking = false;
    if (sightings->error == ERROR_NONE && all_foreign(sightings))
        sightings->error = failure_because(
            &sightings->failure, ERROR_INCONSISTENT_CLUSTER_ID,
            "topicfs.nodes names nodes of another cluster only: correct it, or start with an empty "
            "log.dirs to join theirs");
    executor_post(sightings->options.executor, &sightings->looked_task);
}

static void found_copy(struct sightings *sightings, const struct place *place)
{
    if (!sightings->looking || sightings->error != ERROR_NONE)
        return; /* It is for the one that comes later to go. */
    sightings->error =
        failure_because(&sightings->failure, ERROR_DUPLICATE_BROKER_REGISTRATION,
                        "node %d runs already, at %.200s:%u: this is a copy of its data; to add a "
                        "node start it with an empty log.dirs",
                        (int)sightings->options.node_id, place->address.host, place->address.port);
}

static void query_ended(struct call *call)
{
    struct place *place = container_of(call, struct place, call);
    struct sightings *sightings = place->sightings;
    const struct sightings_options *options = &sightings->options;
    const struct cluster_query_response *response = call->response;
    place->asked = false;
    place->foreign = call->error == ERROR_INCONSISTENT_CLUSTER_ID;
    sightings->calls--;
    if (!sightings->stopped && call->error == ERROR_NONE && response->error_code == 0 &&
        response->formed) {
        place->foreign = !uuid_equals(&response->cluster_id, &options->cluster_id);
        bool itself = uuid_equals(&response->node_uuid, &options->node_uuid);
        if (itself && !uuid_equals(&response->incarnation_id, &options->incarnation_id))
            found_copy(sightings, place);
        else if (!itself && !place->foreign)
            note(sightings, response->node_id, &response->node_uuid, &place->address);
    }
    call_done(call);
    look_over(sightings);
    free_when_over(sightings);
}

static void query(struct sightings *sightings, struct place *place)
{
    const struct sightings_options *options = &sightings->options;
    place->asked = true;
    sightings->calls++;
    cluster_query_request_init(&place->query);
    place->query.list_hash = (int64_t)sightings->list_hash;
    place->query.node_uuid = options->node_uuid;
    place->query.incarnation_id = options->incarnation_id;
    place->query.address = slice_of(sightings->own_address);
    call_init(&place->call, options->caller, api_find(API_CLUSTER_QUERY), -1, CALL_CONTROL,
              SIGHTINGS_TIMEOUT_MS);
    place->call.host = place->address.host;
    place->call.port = place->address.port;
    place->call.body = &place->query;
    place->call.done = query_ended;
    call_start(options->executor, &place->call);
}

static void look(struct sightings *sightings)
{
    for (uint32_t i = 0; i < sightings->options.address_count; i++) {
        if ((int32_t)i != sightings->options.self && !sightings->places[i].asked)
            query(sightings, &sightings->places[i]);
    }
}

static bool lost(const struct sightings *sightings)
{
    return quorum_leader_id(sightings->quorum) < 0;
}

static void timer_fired(struct timer *timer)
{
    struct sightings *sightings = container_of(timer, struct sightings, timer);
    if (!lost(sightings))
        return;
    look(sightings);
    executor_timer_start(sightings->options.executor, timer, SIGHTINGS_INTERVAL_MS);
}

/* An election is soon over, most often. */
static void quorum_changed(struct quorum_watcher *watcher)
{
    struct sightings *sightings = container_of(watcher, struct sightings, quorum_watcher);
    if (lost(sightings) && !timer_running(&sightings->timer))
        executor_timer_start(sightings->options.executor, &sightings->timer, SIGHTINGS_INTERVAL_MS);
}

/* ---- life ---- */

enum error sightings_new(const struct sightings_options *options, struct sightings **ret_sightings)
{
    ASSERT(options->address_count <= FOUNDING_MEMBERS_MAX);
    struct sightings *sightings = memory_allocate(sizeof *sightings);
    if (sightings == NULL)
        return ERROR_OUT_OF_MEMORY;
    sightings->options = *options;
    sightings->options.addresses = NULL;
    sightings->list_hash = bootstrap_list_hash(options->addresses, options->address_count);
    for (uint32_t i = 0; i < options->address_count; i++) {
        sightings->places[i].sightings = sightings;
        sightings->places[i].address = options->addresses[i];
    }
    bool colon = strchr(options->advertised.host, ':') != NULL;
    (void)snprintf(sightings->own_address, sizeof sightings->own_address,
                   colon ? "[%s]:%u" : "%s:%u", options->advertised.host, options->advertised.port);
    sightings->timer.fire = timer_fired;
    sightings->looked_task.run = looked_told;
    list_init(&sightings->looked_task.link);
    list_init(&sightings->quorum_watcher.link);
    *ret_sightings = sightings;
    return ERROR_NONE;
}

void sightings_start(struct sightings *sightings)
{
    sightings->looking = true;
    look(sightings);
    look_over(sightings);
}

void sightings_attend(struct sightings *sightings, struct quorum *quorum)
{
    sightings->quorum = quorum;
    sightings->quorum_watcher.changed = quorum_changed;
    quorum_watch(quorum, &sightings->quorum_watcher);
    quorum_changed(&sightings->quorum_watcher);
}

void sightings_stop(struct sightings *sightings)
{
    if (sightings == NULL)
        return;
    sightings->stopped = true;
    quorum_unwatch(&sightings->quorum_watcher);
    list_remove(&sightings->looked_task.link);
    executor_timer_stop(sightings->options.executor, &sightings->timer);
    for (uint32_t i = 0; i < sightings->options.address_count; i++) {
        if (sightings->places[i].asked)
            call_cancel(&sightings->places[i].call);
    }
    free_when_over(sightings);
}
