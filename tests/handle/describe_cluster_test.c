/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeCluster and ListConfigResources: what there is. */
#include "base/memory.h"
#include "handle/broker_fixture.h"
#include "handle/config_edit.h"
#include "wire/api_describe_cluster.h"
#include "wire/api_list_config_resources.h"

#include <cmocka.h>

/* Nodes with the address this listener advertises, the cluster's id, the controller. */
static void the_cluster_is_described(void **state)
{
    struct broker_fixture *f = *state;
    fixture_add_node(f, 2);
    for (int16_t version = 0; version <= 2; version++) {
        struct exchange exchange;
        struct describe_cluster_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_CLUSTER, version);
        body->include_cluster_authorized_operations = version == 1;
        const struct describe_cluster_response *answer = exchange_run(f, &exchange);
        struct uuid id = catalog_cluster_id(f->broker.catalog);
        char text[UUID_TEXT_BYTES];
        uuid_to_text(&id, text);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_slice(answer->cluster_id, text);
        assert_int_equal(answer->controller_id, 1);
        assert_int_equal(answer->brokers_count, 2);
        assert_slice(answer->brokers[0].host, "127.0.0.1");
        assert_int_equal(answer->brokers[0].port, 19092);
        assert_slice(answer->brokers[1].host, "node2");
        assert_true(slice_is_null(answer->brokers[1].rack));
        assert_int_equal(answer->cluster_authorized_operations, version == 1 ? 0x1fa0 : INT32_MIN);
        exchange_done(&exchange);
    }
}

/* A fenced node is shown only to those who ask for such. */
static void fenced_nodes_are_shown_on_request(void **state)
{
    struct broker_fixture *f = *state;
    fixture_add_node(f, 2);
    struct catalog_command fence = {
        .kind = CATALOG_NODE_FENCE, .id = {{9}}, .node_id = 2, .fenced = true};
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(&fence, &bytes, &size), ERROR_NONE);
    assert_int_equal(catalog_apply(f->broker.catalog, ++f->index, 1, bytes, size).error,
                     ERROR_NONE);
    memory_free(bytes);
    for (int fenced = 0; fenced <= 1; fenced++) {
        struct exchange exchange;
        struct describe_cluster_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_CLUSTER, 2);
        body->include_fenced_brokers = fenced != 0;
        const struct describe_cluster_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->brokers_count, 1 + fenced);
        assert_int_equal(answer->brokers[fenced].is_fenced, fenced);
        exchange_done(&exchange);
    }
}

static void refuses_endpoints(struct broker_fixture *f, int8_t type, enum error expected,
                              const char *message)
{
    struct exchange exchange;
    struct describe_cluster_request *body = exchange_begin(f, &exchange, API_DESCRIBE_CLUSTER, 1);
    body->endpoint_type = type;
    const struct describe_cluster_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, expected);
    assert_slice(answer->error_message, message);
    assert_int_equal(answer->endpoint_type, 1);
    assert_int_equal(answer->cluster_id.size, 0);
    assert_int_equal(answer->controller_id, -1);
    assert_int_equal(answer->brokers_count, 0);
    exchange_done(&exchange);
}

/* Controllers have no endpoints of their own here; other types never were. As Kafka 4.3 has it. */
static void other_endpoints_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    refuses_endpoints(f, 2, ERROR_MISMATCHED_ENDPOINT_TYPE,
                      "The request was sent to an endpoint of type BROKER, but we wanted an "
                      "endpoint of type CONTROLLER");
    refuses_endpoints(f, 0, ERROR_UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type 0");
    refuses_endpoints(f, -1, ERROR_UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type -1");
    refuses_endpoints(f, 100, ERROR_UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type 100");
}

static uint32_t list(struct broker_fixture *f, int16_t version, int8_t *types, uint32_t count,
                     enum error expected)
{
    struct exchange exchange;
    struct list_config_resources_request *body =
        exchange_begin(f, &exchange, API_LIST_CONFIG_RESOURCES, version);
    body->resource_types = types;
    body->resource_types_count = count;
    const struct list_config_resources_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, expected);
    uint32_t listed = answer->config_resources_count;
    for (uint32_t i = 0; i < listed && count == 1; i++)
        assert_int_equal(answer->config_resources[i].resource_type, types[0]);
    exchange_done(&exchange);
    return listed;
}

/* Each kind by itself, all together, and one that does not exist. */
static void what_can_be_configured_is_listed(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a", 1);
    fixture_topic(f, "b", 1);
    assert_int_equal(list(f, 1, (int8_t[]){RESOURCE_TOPIC}, 1, ERROR_NONE), 2);
    assert_int_equal(list(f, 1, (int8_t[]){RESOURCE_NODE}, 1, ERROR_NONE), 1);
    assert_int_equal(list(f, 1, (int8_t[]){RESOURCE_TOPIC, RESOURCE_TOPIC}, 2, ERROR_NONE), 2);
    assert_int_equal(list(f, 1, (int8_t[]){RESOURCE_GROUP}, 1, ERROR_NONE), 0);
    assert_int_equal(list(f, 1, NULL, 0, ERROR_NONE), 4);
    assert_int_equal(list(f, 1, (int8_t[]){3}, 1, ERROR_UNSUPPORTED_VERSION), 0);
    assert_int_equal(list(f, 1, (int8_t[]){-1}, 1, ERROR_UNSUPPORTED_VERSION), 0);
    assert_int_equal(list(f, 0, NULL, 0, ERROR_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(the_cluster_is_described),
        WITH_BROKER(fenced_nodes_are_shown_on_request),
        WITH_BROKER(other_endpoints_are_refused),
        WITH_BROKER(what_can_be_configured_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
