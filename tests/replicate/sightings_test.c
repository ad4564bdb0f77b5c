/* SPDX-License-Identifier: Apache-2.0 */
/* Looking around at the start and without a leader, and what is made of what is seen. */
#include "replicate/core/sightings.h"
#include "sim/simulated_executor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PLACES = 3, PORT = 9000, ANSWER_MS = 5 };

/* What is found at one address of the list. */
struct seat {
    enum error error; /* Of the call; NONE: it answers. */
    bool silent;      /* The call ends when its time is over. */
    bool formed;
    int32_t node_id;
    struct uuid cluster_id;
    struct uuid node_uuid;
    struct uuid incarnation_id;
};

struct world {
    struct caller caller;
    struct simulated_executor *events;
    struct seat seats[PLACES]; /* At host "a", port PORT + i. */
    uint32_t calls;
    struct quorum quorum;
    struct list watchers;
    int32_t leader_id;
    bool implausible;
    struct sightings *sightings;
    int told;
    enum error error;
    struct failure failure;
};

struct delivery {
    struct timer timer;
    struct world *world;
    struct call *call;
};

static struct executor *executor_of(struct world *world)
{
    return simulated_executor_seam(world->events);
}

static struct uuid id_of(uint8_t number)
{
    return (struct uuid){{number}};
}

static void delivered(struct timer *timer)
{
    struct delivery *delivery = container_of(timer, struct delivery, timer);
    struct world *world = delivery->world;
    struct call *call = delivery->call;
    const struct seat *seat = &world->seats[call->port - PORT];
    call->implementation = NULL;
    if (seat->error == ERROR_NONE) {
        struct cluster_query_response *response = arena_allocate(&call->arena, sizeof *response);
        cluster_query_response_init(response);
        response->formed = seat->formed;
        response->node_id = seat->node_id;
        response->cluster_id = seat->cluster_id;
        response->node_uuid = seat->node_uuid;
        response->incarnation_id = seat->incarnation_id;
        call->response = response;
    }
    call_complete(executor_of(world), call, seat->error);
    free(delivery);
}

static void world_call(struct caller *caller, struct call *call)
{
    struct world *world = container_of(caller, struct world, caller);
    const struct seat *seat = &world->seats[call->port - PORT];
    struct delivery *delivery = calloc(1, sizeof *delivery);
    assert_int_equal(call->api->key, API_CLUSTER_QUERY);
    world->calls++;
    delivery->world = world;
    delivery->call = call;
    delivery->timer.fire = delivered;
    call->implementation = delivery;
    executor_timer_start(executor_of(world), &delivery->timer,
                         seat->silent ? call->timeout_ms : ANSWER_MS);
}

static void world_cancel(struct caller *caller, struct call *call)
{
    struct world *world = container_of(caller, struct world, caller);
    struct delivery *delivery = call->implementation;
    if (delivery == NULL)
        return;
    call->implementation = NULL;
    executor_timer_stop(executor_of(world), &delivery->timer);
    free(delivery);
    call_complete(executor_of(world), call, ERROR_INTERRUPTED);
}

static const struct caller_ops world_ops = {world_call, world_cancel};

static int32_t world_leader(struct quorum *quorum)
{
    return container_of(quorum, struct world, quorum)->leader_id;
}

static void world_watch(struct quorum *quorum, struct quorum_watcher *watcher)
{
    list_push(&container_of(quorum, struct world, quorum)->watchers, &watcher->link);
}

static const struct quorum_ops quorum_ops = {.leader_id = world_leader, .watch = world_watch};

static void lead(struct world *world, int32_t leader_id)
{
    world->leader_id = leader_id;
    list_for_each(link, &world->watchers)
    {
        struct quorum_watcher *watcher = container_of(link, struct quorum_watcher, link);
        watcher->changed(watcher);
    }
}

static void looked(void *context, enum error error, const struct failure *failure)
{
    struct world *world = context;
    world->told++;
    world->error = error;
    world->failure = *failure;
}

static bool plausible(void *context, int32_t node_id, const struct uuid *node_uuid)
{
    (void)node_id;
    (void)node_uuid;
    return !((struct world *)context)->implausible;
}

/* This node is number 1 of cluster 7, at place `self` of the list. The others are 2 and 3, well. */
static void world_open(struct world *world, int32_t self)
{
    *world = (struct world){.caller.ops = &world_ops, .quorum.ops = &quorum_ops, .leader_id = -1};
    world->events = simulated_executor_new(1, NULL);
    list_init(&world->watchers);
    struct bootstrap_address addresses[PLACES];
    for (int i = 0; i < PLACES; i++) {
        addresses[i] = (struct bootstrap_address){.host = "a", .port = (uint16_t)(PORT + i)};
        world->seats[i] = (struct seat){.formed = true,
                                        .node_id = i + 1,
                                        .cluster_id = id_of(7),
                                        .node_uuid = id_of((uint8_t)(i + 1)),
                                        .incarnation_id = id_of((uint8_t)(100 + i))};
    }
    struct sightings_options options = {
        .executor = executor_of(world),
        .caller = &world->caller,
        .addresses = addresses,
        .address_count = PLACES,
        .self = self,
        .advertised = {.host = "a", .port = PORT},
        .node_id = 1,
        .cluster_id = id_of(7),
        .node_uuid = id_of(1),
        .incarnation_id = id_of(50),
        .looked = looked,
        .plausible = plausible,
        .context = world,
    };
    assert_int_equal(sightings_new(&options, &world->sightings), ERROR_NONE);
}

static void world_close(struct world *world)
{
    sightings_stop(world->sightings);
    simulated_executor_run_until_idle(world->events);
    simulated_executor_free(world->events);
}

static void run_for(struct world *world, int64_t ms)
{
    simulated_executor_run_for(world->events, ms);
}

static bool seen_at(struct world *world, int32_t node_id, const char *host, uint16_t port)
{
    struct bootstrap_address address;
    return sightings_find(world->sightings, node_id, NULL, &address) && address.port == port &&
           strcmp(address.host, host) == 0;
}

/* One round tells where everybody is, and then the node goes on. */
static void the_first_look_finds_the_others(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.told, 1);
    assert_int_equal(world.error, ERROR_NONE);
    assert_int_equal(world.calls, 2);
    assert_true(seen_at(&world, 2, "a", PORT + 1));
    assert_true(seen_at(&world, 3, "a", PORT + 2));
    assert_false(seen_at(&world, 1, "a", PORT));
    world_close(&world);
}

/* A node whose others do not answer starts all the same, a little later. */
static void a_node_alone_is_not_held_up_for_long(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    world.seats[1].error = ERROR_LEADER_NOT_AVAILABLE;
    world.seats[2] = (struct seat){.error = ERROR_LEADER_NOT_AVAILABLE, .silent = true};
    sightings_start(world.sightings);
    run_for(&world, SIGHTINGS_TIMEOUT_MS - 1);
    assert_int_equal(world.told, 0);
    run_for(&world, 2);
    assert_int_equal(world.told, 1);
    assert_int_equal(world.error, ERROR_NONE);
    world_close(&world);
}

/* A list of this node alone asks nobody. */
static void nobody_to_ask_is_answered_at_once(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_stop(world.sightings);
    struct bootstrap_address alone = {.host = "a", .port = PORT};
    struct sightings_options options = {.executor = executor_of(&world),
                                        .caller = &world.caller,
                                        .addresses = &alone,
                                        .address_count = 1,
                                        .advertised = alone,
                                        .looked = looked,
                                        .context = &world};
    assert_int_equal(sightings_new(&options, &world.sightings), ERROR_NONE);
    sightings_start(world.sightings);
    run_for(&world, 0);
    assert_int_equal(world.told, 1);
    assert_int_equal(world.calls, 0);
    world_close(&world);
}

/* Another process has this node's uuid: two of them must not vote, and the one that comes goes. */
static void a_copy_of_a_running_node_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, -1);
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.told, 1);
    assert_int_equal(world.error, ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_non_null(strstr(world.failure.where, "node 1 runs already, at a:9000"));
    world_close(&world);
}

/* The list may reach this very process by a name it does not know. */
static void meeting_oneself_is_no_copy(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, -1);
    world.seats[0].incarnation_id = id_of(50);
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.error, ERROR_NONE);
    world_close(&world);
}

/* Everything on the list is of another cluster, and this node is not on it: a wrong list. */
static void a_list_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, -1);
    world.seats[0].error = ERROR_INCONSISTENT_CLUSTER_ID;
    world.seats[1].error = ERROR_INCONSISTENT_CLUSTER_ID;
    world.seats[2].cluster_id = id_of(8);
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.error, ERROR_INCONSISTENT_CLUSTER_ID);
    assert_non_null(strstr(world.failure.where, "another cluster"));
    world_close(&world);
}

/* One wrong address among right ones, or one that cannot be asked, stops nobody. */
static void one_foreign_address_harms_nobody(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    world.seats[1].error = ERROR_INCONSISTENT_CLUSTER_ID;
    world.seats[2].error = ERROR_INCONSISTENT_CLUSTER_ID;
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.error, ERROR_NONE);
    assert_false(seen_at(&world, 2, "a", PORT + 1));
    world_close(&world);

    world_open(&world, -1);
    world.seats[0].error = ERROR_LEADER_NOT_AVAILABLE;
    world.seats[1].error = ERROR_INCONSISTENT_CLUSTER_ID;
    world.seats[2].error = ERROR_INCONSISTENT_CLUSTER_ID;
    sightings_start(world.sightings);
    run_for(&world, ANSWER_MS + 1);
    assert_int_equal(world.error, ERROR_NONE);
    world_close(&world);
}

/* Without a leader the list is asked again and again, with one nobody is. */
static void it_looks_again_while_there_is_no_leader(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_attend(world.sightings, &world.quorum);
    world.seats[1].error = ERROR_LEADER_NOT_AVAILABLE;
    run_for(&world, SIGHTINGS_INTERVAL_MS + ANSWER_MS + 1);
    assert_int_equal(world.calls, 2);
    assert_false(seen_at(&world, 2, "a", PORT + 1));
    world.seats[1].error = ERROR_NONE;
    run_for(&world, SIGHTINGS_INTERVAL_MS + ANSWER_MS + 1);
    assert_int_equal(world.calls, 4);
    assert_true(seen_at(&world, 2, "a", PORT + 1));
    lead(&world, 2);
    run_for(&world, 10 * SIGHTINGS_INTERVAL_MS);
    assert_int_equal(world.calls, 4);
    lead(&world, -1);
    run_for(&world, SIGHTINGS_INTERVAL_MS / 2);
    lead(&world, 3); /* An election that was soon over. */
    run_for(&world, 10 * SIGHTINGS_INTERVAL_MS);
    assert_int_equal(world.calls, 4);
    lead(&world, -1);
    run_for(&world, SIGHTINGS_INTERVAL_MS + ANSWER_MS + 1);
    assert_int_equal(world.calls, 6);
    assert_int_equal(world.told, 0);
    world_close(&world);
}

/* What a node says of itself counts where it may be true; the latest counts. */
static void what_a_node_says_of_itself_is_noted(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_note(world.sightings, 2, slice_of("b:1"));
    assert_true(seen_at(&world, 2, "b", 1));
    sightings_note(world.sightings, 2, slice_of("[::1]:65535"));
    assert_true(seen_at(&world, 2, "::1", 65535));
    static const char *const wrong[] = {"",     ":",       ":9",   "b",    "b:",    "b:0",    "b:x",
                                        "b:9x", "b:65536", "[]:9", "b:-1", "[::1]", "b:9092 "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        sightings_note(world.sightings, 2, slice_of(wrong[i]));
    assert_true(seen_at(&world, 2, "::1", 65535));
    world.implausible = true;
    sightings_note(world.sightings, 2, slice_of("c:3"));
    sightings_note(world.sightings, 3, slice_of("c:3"));
    assert_true(seen_at(&world, 2, "::1", 65535));
    assert_false(seen_at(&world, 3, "c", 3));
    world_close(&world);
}

/* Nobody knows which of the two is newer: both are tried, until the node has registered there. */
static void a_sighting_and_the_registration_take_turns(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_note(world.sightings, 2, slice_of("b:1"));
    struct bootstrap_address registered = {.host = "a", .port = 1};
    struct bootstrap_address found;
    int seen = 0;
    for (int i = 0; i < 10; i++)
        seen += sightings_find(world.sightings, 2, &registered, &found);
    assert_int_equal(seen, 5);
    registered.host[0] = 'b';
    assert_false(sightings_find(world.sightings, 2, &registered, &found));
    registered.host[0] = 'a'; /* It was forgotten. */
    for (int i = 0; i < 2; i++)
        assert_false(sightings_find(world.sightings, 2, &registered, &found));
    world_close(&world);
}

/* More nodes than there is room for: the one that was seen longest ago is forgotten. */
static void the_oldest_sighting_makes_room(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    for (int32_t id = 2; id < FOUNDING_MEMBERS_MAX + 3; id++)
        sightings_note(world.sightings, id, slice_of("b:9"));
    assert_false(seen_at(&world, 2, "b", 9));
    assert_true(seen_at(&world, 3, "b", 9));
    assert_true(seen_at(&world, FOUNDING_MEMBERS_MAX + 2, "b", 9));
    world_close(&world);
}

/* The owner goes while calls are under way: nothing is told, nothing leaks (under ASan). */
static void stopping_ends_what_is_asked(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0);
    sightings_start(world.sightings);
    world_close(&world);
    assert_int_equal(world.told, 0);
    sightings_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_finds_the_others),
        cmocka_unit_test(a_node_alone_is_not_held_up_for_long),
        cmocka_unit_test(nobody_to_ask_is_answered_at_once),
        cmocka_unit_test(a_copy_of_a_running_node_is_refused),
        cmocka_unit_test(meeting_oneself_is_no_copy),
        cmocka_unit_test(a_list_of_another_cluster_is_refused),
        cmocka_unit_test(one_foreign_address_harms_nobody),
        cmocka_unit_test(it_looks_again_while_there_is_no_leader),
        cmocka_unit_test(what_a_node_says_of_itself_is_noted),
        cmocka_unit_test(a_sighting_and_the_registration_take_turns),
        cmocka_unit_test(the_oldest_sighting_makes_room),
        cmocka_unit_test(stopping_ends_what_is_asked),
    };
    return cmocka_run_group_tests_name("sightings", tests, NULL, NULL);
}
