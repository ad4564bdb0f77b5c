/* SPDX-License-Identifier: Apache-2.0 */
/* ClusterQuery: from the catalog, or from who knows more. */
#include "handle/membership_fixture.h"
#include "handle/peer_door.h"
#include "wire/api_cluster_query.h"

#include <cmocka.h>

struct told {
    struct formation formation;
    enum error error;
};

static enum error query(struct formation *formation, struct arena *arena, int32_t peer_node_id,
                        const struct cluster_query_request *request,
                        struct cluster_query_response *ret_response)
{
    (void)arena;
    (void)peer_node_id;
    ret_response->list_hash = request->list_hash + 1;
    ret_response->node_uuid = request->node_uuid;
    return container_of(formation, struct told, formation)->error;
}

static const struct formation_ops formation_ops = {.query = query};

static struct cluster_query_request *begin(struct broker_fixture *f, struct exchange *exchange)
{
    struct cluster_query_request *body = exchange_begin(f, exchange, API_CLUSTER_QUERY, 0);
    exchange->request.requester.peer_node_id = PEER_GUEST;
    body->list_hash = 41;
    body->node_uuid = (struct uuid){{4, 2}};
    body->address = slice_of("a:9092");
    return body;
}

/* A node in a cluster says which, and who is in it with which uuid. */
static void a_cluster_is_described_from_the_catalog(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct uuid cluster_id = catalog_cluster_id(f->broker.catalog);
    fixture_add_node(f, 2);
    (void)begin(f, &exchange);
    const struct cluster_query_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_true(answer->formed);
    assert_true(uuid_equals(&answer->cluster_id, &cluster_id));
    assert_int_equal(answer->node_id, 1);
    assert_int_equal(answer->leader_id, 1);
    assert_int_equal(answer->members_count, 2);
    assert_int_equal(answer->members[1].node_id, 2);
    assert_slice(answer->members[1].host, "node2");
    assert_int_equal(answer->members[1].port, 9092);
    const struct uuid *known = &catalog_node_find(f->broker.catalog, 2)->directory_id;
    assert_true(uuid_equals(&answer->members[1].node_uuid, known));
    exchange_done(&exchange);
}

/* Who knows more than the catalog answers instead; without memory the connection is closed. */
static void a_formation_answers_first(void **state)
{
    struct broker_fixture *f = *state;
    struct told told = {.formation = {.ops = &formation_ops}};
    struct exchange exchange;
    f->broker.formation = &told.formation;
    (void)begin(f, &exchange);
    const struct cluster_query_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->list_hash, 42);
    assert_int_equal(answer->node_uuid.bytes[0], 4);
    assert_false(answer->formed);
    exchange_done(&exchange);
    told.error = ERROR_OUT_OF_MEMORY;
    (void)begin(f, &exchange);
    assert_null(exchange_run(f, &exchange));
    assert_true(exchange.request.close_connection);
    exchange_done(&exchange);
}

/* Clients learn nothing. */
static void clients_are_turned_away(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    (void)begin(f, &exchange);
    exchange.request.requester.peer_node_id = PEER_CLIENT;
    const struct cluster_query_response *refusal = exchange_run(f, &exchange);
    assert_kafka_error(refusal->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_true(exchange.request.close_after);
    exchange_done(&exchange);
}

/* Each refused allocation closes the connection, or costs nothing. */
static void every_refused_allocation_is_survived(void **state)
{
    struct broker_fixture *f = *state;
    bool fired = true;
    for (long countdown = 0; fired; countdown++) {
        struct exchange exchange;
        (void)begin(f, &exchange);
        fired = exchange_run_refusing(f, &exchange, countdown);
        const struct cluster_query_response *answer = exchange_answer(&exchange);
        assert_true(answer == NULL || answer->members_count == 1);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_cluster_is_described_from_the_catalog),
        WITH_BROKER(a_formation_answers_first),
        WITH_BROKER(clients_are_turned_away),
        WITH_BROKER(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
