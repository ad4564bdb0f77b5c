/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes getting into a cluster over a network that loses, on virtual time. */
#include "base/assertion.h"
#include "replicate/core/bootstrap.h"
#include "sim/random.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"
#include "wire/api_node_join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NODES_MAX = 5, PORT = 9000, GIVE_UP_MS = 60000 };

/* One node that may have a cluster already, seen from outside. */
struct seat {
    struct world *world;
    struct simulated_storage *disk;
    struct founding founding;
    uint64_t list_hash;
    struct bootstrap *bootstrap;
    bool is_up;
    bool done;
    enum error error;
    struct failure failure;
    int waits;
    char waiting[400];
};

struct world {
    struct caller caller;
    struct simulated_executor *events;
    struct seat seats[NODES_MAX];
    uint32_t count;
    struct random random;
    uint32_t lost_percent;
    int32_t node_id_next;
    const char *refusal; /* What joining nodes are told. */
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

static struct seat *seat_at(struct world *world, uint16_t port)
{
    uint32_t place = port - PORT;
    return place < world->count && world->seats[place].is_up ? &world->seats[place] : NULL;
}

static enum error answer_query(struct seat *seat, struct call *call)
{
    call->response = arena_allocate(&call->arena, sizeof(struct cluster_query_response));
    return bootstrap_answer(&seat->founding, seat->list_hash, &call->arena, call->response);
}

static enum error answer_join(struct world *world, struct seat *seat, struct call *call)
{
    struct node_join_response *response = arena_allocate(&call->arena, sizeof *response);
    node_join_response_init(response);
    call->response = response;
    if (world->refusal != NULL) {
        response->error_code = error_to_kafka(ERROR_INVALID_CONFIG);
        response->error_message = slice_of(world->refusal);
        return ERROR_NONE;
    }
    response->node_id = world->node_id_next++;
    response->cluster_id = seat->founding.cluster_id;
    return ERROR_NONE;
}

static void delivered(struct timer *timer)
{
    struct delivery *delivery = container_of(timer, struct delivery, timer);
    struct world *world = delivery->world;
    struct call *call = delivery->call;
    call->implementation = NULL;
    struct seat *seat = seat_at(world, call->port);
    enum error error = ERROR_LEADER_NOT_AVAILABLE;
    if (seat != NULL && random_below(&world->random, 100) < world->lost_percent)
        error = ERROR_NETWORK;
    else if (seat != NULL && call->api->key == API_CLUSTER_QUERY)
        error = answer_query(seat, call);
    else if (seat != NULL)
        error = answer_join(world, seat, call);
    call_complete(executor_of(world), call, error);
    free(delivery);
}

static void world_start(struct caller *caller, struct call *call)
{
    struct world *world = container_of(caller, struct world, caller);
    struct delivery *delivery = calloc(1, sizeof *delivery);
    delivery->world = world;
    delivery->call = call;
    delivery->timer.fire = delivered;
    call->implementation = delivery;
    executor_timer_start(executor_of(world), &delivery->timer,
                         (int64_t)random_below(&world->random, 50));
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

static const struct caller_ops world_ops = {world_start, world_cancel};

static void seat_done(void *context, enum error error, const struct failure *failure)
{
    struct seat *seat = context;
    assert_false(seat->done);
    seat->done = true;
    seat->error = error;
    seat->failure = *failure;
    bootstrap_stop(seat->bootstrap); /* As the daemon does. */
    seat->bootstrap = NULL;
}

static void seat_waits(void *context, const char *text)
{
    struct seat *seat = context;
    seat->waits++;
    (void)snprintf(seat->waiting, sizeof seat->waiting, "%s", text);
}

static void world_open(struct world *world, uint32_t count, uint64_t seed)
{
    *world = (struct world){.caller = {&world_ops}, .count = count, .node_id_next = 10};
    world->events = simulated_executor_new(seed, NULL);
    random_seed(&world->random, seed);
    for (uint32_t i = 0; i < count; i++) {
        struct seat *seat = &world->seats[i];
        seat->world = world;
        seat->disk = simulated_storage_new(seed + i);
        seat->founding =
            (struct founding){.node_id = -1, .node_uuid = uuid_random(executor_of(world))};
    }
}

/* `place` is where it stands in its list of the first `listed` nodes; -1: not there. */
static void seat_start(struct world *world, uint32_t number, uint32_t listed, int32_t place,
                       int32_t wanted_node_id)
{
    struct seat *seat = &world->seats[number];
    struct bootstrap_address addresses[NODES_MAX] = {0};
    for (uint32_t i = 0; i < listed; i++) {
        (void)snprintf(addresses[i].host, sizeof addresses[i].host, "node%u", (unsigned)i);
        addresses[i].port = (uint16_t)(PORT + i);
    }
    struct bootstrap_options options = {
        .executor = executor_of(world),
        .storage = simulated_storage_seam(seat->disk),
        .caller = &world->caller,
        .addresses = addresses,
        .address_count = listed,
        .self = place,
        .wanted_node_id = wanted_node_id,
        .advertised = {.port = (uint16_t)(PORT + number)},
        .waiting = seat_waits,
        .done = seat_done,
        .context = seat,
    };
    (void)snprintf(options.advertised.host, sizeof options.advertised.host, "node%u", number);
    seat->list_hash = bootstrap_list_hash(addresses, listed);
    seat->is_up = true;
    seat->done = false;
    assert_int_equal(bootstrap_new(&options, &seat->founding, &seat->bootstrap), ERROR_NONE);
    bootstrap_start(seat->bootstrap);
}

static bool all_done(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; i < world->count; i++) {
        if (world->seats[i].is_up && !world->seats[i].done)
            return false;
    }
    return true;
}

static void never_over(struct world *world, int64_t ms)
{
    assert_false(simulated_executor_run_until(world->events, all_done, world, ms));
}

static void run_until_done(struct world *world)
{
    assert_true(simulated_executor_run_until(world->events, all_done, world, GIVE_UP_MS));
}

static void seat_stop(struct seat *seat)
{
    bootstrap_stop(seat->bootstrap);
    seat->bootstrap = NULL;
    seat->is_up = false;
}

static void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++)
        seat_stop(&world->seats[i]);
    simulated_executor_run_until_idle(world->events);
    for (uint32_t i = 0; i < world->count; i++)
        simulated_storage_free(world->seats[i].disk);
    simulated_executor_free(world->events);
}

/* Three with one list agree on one cluster and number themselves by the list, whatever is lost. */
static void founders_agree_on_one_cluster(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world world;
        world_open(&world, 3, seed);
        world.lost_percent = (uint32_t)(seed % 60);
        for (uint32_t i = 0; i < 3; i++)
            seat_start(&world, i, 3, (int32_t)i, -1);
        run_until_done(&world);
        for (uint32_t i = 0; i < 3; i++) {
            const struct seat *seat = &world.seats[i];
            assert_int_equal(seat->error, ERROR_NONE);
            assert_true(seat->founding.agreed);
            assert_true(seat->founding.founder);
            assert_int_equal(seat->founding.node_id, (int32_t)i + 1);
            assert_int_equal(seat->founding.member_count, 3);
            assert_true(
                uuid_equals(&seat->founding.cluster_id, &world.seats[0].founding.cluster_id));
            struct founding stored;
            assert_int_equal(founding_load(simulated_storage_seam(seat->disk), &stored, NULL),
                             ERROR_NONE);
            assert_memory_equal(&stored, &seat->founding, sizeof stored);
        }
        world_close(&world);
    }
}

/* Two of three never found: the third may be in another cluster, or about to be. */
static void a_missing_founder_is_waited_for_and_named(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3, 7);
    seat_start(&world, 0, 3, 0, -1);
    seat_start(&world, 1, 3, 1, -1);
    never_over(&world, GIVE_UP_MS);
    assert_false(world.seats[0].founding.agreed);
    assert_true(world.seats[0].waits > 3);
    assert_non_null(strstr(world.seats[0].waiting, "node2:9002"));
    assert_null(strstr(world.seats[0].waiting, "node1:9001"));
    seat_start(&world, 2, 3, 2, -1);
    run_until_done(&world);
    assert_true(world.seats[2].founding.agreed);
    world_close(&world);
}

/* Different lists are different intentions. */
static void other_lists_do_not_found(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3, 8);
    seat_start(&world, 0, 3, 0, -1);
    seat_start(&world, 1, 3, 1, -1);
    seat_start(&world, 2, 2, -1, -1);
    never_over(&world, GIVE_UP_MS);
    assert_non_null(strstr(world.seats[0].waiting, "another topicfs.nodes"));
    world_close(&world);
}

/* A founder that agreed late (the others went on meanwhile) is still the founder it was counted as;
 * its log begins as theirs: without a vote of it there might be no leader. */
static void a_founder_that_comes_late_is_still_one(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3, 9);
    for (uint32_t i = 0; i < 3; i++)
        seat_start(&world, i, 3, (int32_t)i, -1);
    run_until_done(&world);
    struct seat *late = &world.seats[2];
    struct uuid uuid = late->founding.node_uuid;
    seat_stop(late);
    late->founding = (struct founding){.node_id = -1, .node_uuid = uuid}; /* It had not agreed. */
    seat_start(&world, 2, 3, 2, -1);
    run_until_done(&world);
    assert_int_equal(late->founding.node_id, 3);
    assert_true(late->founding.founder);
    assert_int_equal(late->founding.member_count, 3);
    assert_memory_equal(late->founding.members, world.seats[0].founding.members,
                        sizeof late->founding.members);
    assert_true(uuid_equals(&late->founding.cluster_id, &world.seats[0].founding.cluster_id));
    world_close(&world);
}

/* A wiped founder has another uuid: it is a new node, never a founder again. */
static void a_wiped_founder_joins_as_a_new_node(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3, 10);
    for (uint32_t i = 0; i < 3; i++)
        seat_start(&world, i, 3, (int32_t)i, -1);
    run_until_done(&world);
    struct seat *wiped = &world.seats[2];
    seat_stop(wiped);
    wiped->founding =
        (struct founding){.node_id = -1, .node_uuid = uuid_random(executor_of(&world))};
    seat_start(&world, 2, 3, 2, -1);
    run_until_done(&world);
    assert_int_equal(wiped->founding.node_id, 10);
    assert_false(wiped->founding.founder);
    world_close(&world);
}

/* The same, when it has been registered and the answer to its joining was lost: it finds itself
 * among the members, at a founder's address, and a log begun with those would not be the founders'.
 */
static void a_wiped_founder_that_was_taken_in_unheard_does_not_found(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3, 11);
    for (uint32_t i = 0; i < 3; i++)
        seat_start(&world, i, 3, (int32_t)i, -1);
    run_until_done(&world);
    struct seat *wiped = &world.seats[2];
    seat_stop(wiped);
    wiped->founding =
        (struct founding){.node_id = -1, .node_uuid = uuid_random(executor_of(&world))};
    for (uint32_t i = 0; i < 2; i++) {
        world.seats[i].founding.members[2].node_id = 10;
        world.seats[i].founding.members[2].uuid = wiped->founding.node_uuid;
    }
    seat_start(&world, 2, 3, 2, -1);
    run_until_done(&world);
    assert_int_equal(wiped->founding.node_id, 10);
    assert_false(wiped->founding.founder);
    world_close(&world);
}

/* Not on the list, or on a list with one member's address only: taken in. */
static void a_later_node_joins_by_any_address(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2, 11);
    seat_start(&world, 0, 1, 0, -1);
    run_until_done(&world);
    assert_int_equal(world.seats[0].founding.node_id, 1); /* Alone on its list it founds. */
    world.lost_percent = 50;
    seat_start(&world, 1, 1, -1, -1);
    run_until_done(&world);
    assert_int_equal(world.seats[1].founding.node_id, 10);
    assert_true(
        uuid_equals(&world.seats[1].founding.cluster_id, &world.seats[0].founding.cluster_id));
    world_close(&world);
}

/* The controller's reason is the node's last line. */
static void a_refused_node_says_why(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2, 12);
    world.refusal = "node.id 1 belongs to another data directory";
    seat_start(&world, 0, 1, 0, -1);
    run_until_done(&world);
    seat_start(&world, 1, 1, -1, 1);
    run_until_done(&world);
    assert_int_equal(world.seats[1].error, ERROR_INVALID_CONFIG);
    assert_non_null(strstr(world.seats[1].failure.where, "belongs to another data directory"));
    world_close(&world);
}

/* Founders' numbers are the list's. */
static void a_founder_with_another_number_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2, 13);
    seat_start(&world, 0, 2, 0, 7);
    seat_start(&world, 1, 2, 1, -1);
    assert_true(simulated_executor_run_until(world.events, all_done, &world, GIVE_UP_MS));
    assert_int_equal(world.seats[0].error, ERROR_INVALID_CONFIG);
    assert_non_null(strstr(world.seats[0].failure.where, "node.id is 7"));
    world_close(&world);
}

/* A copied data directory is nobody's: two founders with one uuid found nothing. */
static void two_founders_with_one_uuid_found_nothing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2, 14);
    world.seats[1].founding.node_uuid = world.seats[0].founding.node_uuid;
    seat_start(&world, 0, 2, 0, -1);
    seat_start(&world, 1, 2, 1, -1);
    never_over(&world, GIVE_UP_MS);
    world_close(&world);
}

/* A disk that refuses leaves the node unagreed, with its reason. */
static void what_cannot_be_written_is_not_agreed(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1, 15);
    simulated_storage_limit(world.seats[0].disk, 0);
    seat_start(&world, 0, 1, 0, -1);
    run_until_done(&world);
    assert_int_equal(world.seats[0].error, ERROR_DISK_FULL);
    assert_false(world.seats[0].founding.agreed);
    world_close(&world);
}

/* The order of the list does not matter, its contents do. */
static void the_hash_is_the_lists(void **state)
{
    (void)state;
    struct bootstrap_address first[2] = {{"a", 1}, {"b", 2}};
    struct bootstrap_address second[2] = {{"b", 2}, {"a", 1}};
    struct bootstrap_address third[2] = {{"b", 2}, {"a", 3}};
    assert_true(bootstrap_list_hash(first, 2) == bootstrap_list_hash(second, 2));
    assert_true(bootstrap_list_hash(first, 2) != bootstrap_list_hash(third, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(founders_agree_on_one_cluster),
        cmocka_unit_test(a_missing_founder_is_waited_for_and_named),
        cmocka_unit_test(other_lists_do_not_found),
        cmocka_unit_test(a_founder_that_comes_late_is_still_one),
        cmocka_unit_test(a_wiped_founder_joins_as_a_new_node),
        cmocka_unit_test(a_wiped_founder_that_was_taken_in_unheard_does_not_found),
        cmocka_unit_test(a_later_node_joins_by_any_address),
        cmocka_unit_test(a_refused_node_says_why),
        cmocka_unit_test(a_founder_with_another_number_is_refused),
        cmocka_unit_test(two_founders_with_one_uuid_found_nothing),
        cmocka_unit_test(what_cannot_be_written_is_not_agreed),
        cmocka_unit_test(the_hash_is_the_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
