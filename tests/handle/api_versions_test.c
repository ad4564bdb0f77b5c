/* SPDX-License-Identifier: Apache-2.0 */
/* ApiVersions: what is advertised is what is served. */
#include "handle/broker_fixture.h"
#include "wire/api_api_versions.h"

#include <cmocka.h>

static const struct api_versions_response *ask(struct broker_fixture *f, struct exchange *exchange,
                                               int16_t version, const char *name)
{
    struct api_versions_request *body = exchange_begin(f, exchange, API_API_VERSIONS, version);
    body->client_software_name = slice_of(name);
    body->client_software_version = slice_of("1.0");
    return exchange_run(f, exchange);
}

/* Every row has a handler, in the order of keys, each once; none of our own between nodes. Produce
 * says 0 for librdkafka's sake (KAFKA-18659). */
static void what_is_served_is_advertised(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 0; version <= 4; version++) {
        struct exchange exchange;
        const struct api_versions_response *answer = ask(f, &exchange, version, "client");
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_true(answer->api_keys_count >= 30);
        for (uint32_t i = 0; i < answer->api_keys_count; i++) {
            const struct api_versions_response_api_version *row = &answer->api_keys[i];
            const struct api *api = api_find(row->api_key);
            assert_true(handle_supports(row->api_key));
            assert_true(row->api_key < 10000);
            assert_true(i == 0 || row->api_key > answer->api_keys[i - 1].api_key);
            assert_int_equal(row->min_version, row->api_key == API_PRODUCE ? 0 : api->version_min);
            assert_int_equal(row->max_version, api->version_max);
        }
        exchange_done(&exchange);
    }
}

/* KIP-511: a name is letters and digits, with - and . inside. */
static void odd_software_names_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    static const struct {
        const char *name;
        enum error error;
    } names[] = {{"a", ERROR_NONE},
                 {"apache-kafka-java", ERROR_NONE},
                 {"a.b-2", ERROR_NONE},
                 {"", ERROR_INVALID_REQUEST},
                 {"-a", ERROR_INVALID_REQUEST},
                 {"a.", ERROR_INVALID_REQUEST},
                 {"a b", ERROR_INVALID_REQUEST},
                 {"\xc3\xa9", ERROR_INVALID_REQUEST}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct exchange exchange;
        const struct api_versions_response *answer = ask(f, &exchange, 3, names[i].name);
        assert_kafka_error(answer->error_code, names[i].error);
        assert_int_equal(answer->api_keys_count == 0, names[i].error != ERROR_NONE);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(what_is_served_is_advertised),
        WITH_BROKER(odd_software_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
