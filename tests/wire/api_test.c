/* SPDX-License-Identifier: Apache-2.0 */
/* The table of APIs. */
#include "wire/api.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

/* A key finds its own row and nothing else does. */
static void a_key_finds_its_own_row(void **state)
{
    (void)state;
    int found = 0;
    for (int key = INT16_MIN; key <= INT16_MAX; key++) {
        const struct api *api = api_find((int16_t)key);
        if (api == NULL)
            continue;
        found++;
        assert_int_equal(api->key, key);
        assert_true(api->version_min <= api->version_max);
        assert_true(api->request.size > 0);
        assert_true(api->response.size > 0);
    }
    assert_int_equal(found, API_COUNT);
    assert_string_equal(api_find(API_LIST_OFFSETS)->name, "ListOffsets");
}

/* Versions and header versions at the edges. */
static void versions_decide_the_headers(void **state)
{
    (void)state;
    const struct api *produce = api_find(API_PRODUCE);
    assert_false(api_supports(produce, 2));
    assert_true(api_supports(produce, 3));
    assert_true(api_supports(produce, 13));
    assert_false(api_supports(produce, 14));
    assert_int_equal(api_request_header_version(produce, 8), 1);
    assert_int_equal(api_request_header_version(produce, 9), 2);
    assert_int_equal(api_response_header_version(produce, 8), 0);
    assert_int_equal(api_response_header_version(produce, 9), 1);

    const struct api *versions = api_find(API_API_VERSIONS);
    assert_int_equal(api_request_header_version(versions, 3), 2);
    assert_int_equal(api_response_header_version(versions, 3), 0);

    const struct api *handshake = api_find(API_SASL_HANDSHAKE); /* Never flexible. */
    assert_int_equal(api_request_header_version(handshake, 1), 1);
    assert_int_equal(api_response_header_version(handshake, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_finds_its_own_row),
        cmocka_unit_test(versions_decide_the_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
