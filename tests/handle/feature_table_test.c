/* SPDX-License-Identifier: Apache-2.0 */
/* The table of features, and that ApiVersions tells of it. */
#include "handle/feature_table.h"

#include "handle/broker_fixture.h"
#include "wire/api_api_versions.h"

#include <cmocka.h>

/* Every row is found by its name, once, with levels that make sense. */
static void every_feature_is_found(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < feature_count; i++) {
        assert_ptr_equal(feature_find(slice_of(features[i].name)), &features[i]);
        assert_in_range(features[i].level_min, 1, features[i].level_max);
    }
    assert_null(feature_find(slice_of("metadata")));
    assert_null(feature_find(SLICE_EMPTY));
}

/* Clients from version 3 on are told what is supported and what is in force. */
static void api_versions_tells_of_them(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 2; version <= 4; version++) {
        struct exchange exchange;
        struct api_versions_request *body = exchange_begin(f, &exchange, API_API_VERSIONS, version);
        body->client_software_name = slice_of("test");
        body->client_software_version = slice_of("1");
        const struct api_versions_response *answer = exchange_run(f, &exchange);
        uint32_t expected = version < 3 ? 0 : feature_count;
        assert_int_equal(answer->supported_features_count, expected);
        assert_int_equal(answer->finalized_features_count, expected);
        for (uint32_t i = 0; i < expected; i++) {
            assert_slice(answer->supported_features[i].name, features[i].name);
            assert_int_equal(answer->finalized_features[i].max_version_level,
                             features[i].level_max);
        }
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(every_feature_is_found),
        WITH_BROKER(api_versions_tells_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
