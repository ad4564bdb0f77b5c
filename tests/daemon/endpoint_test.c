/* SPDX-License-Identifier: Apache-2.0 */
/* Listener lists, whole and damaged. */
#include "daemon/endpoint.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void expect(const char *text, const char *name, const char *host, uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse(slice_of(text), &endpoint, NULL), ERROR_NONE);
    assert_string_equal(endpoint.name, name);
    assert_string_equal(endpoint.host, host);
    assert_int_equal(endpoint.port, port);
}

/* Names, IPv4, IPv6 in brackets, every address, any case. */
static void endpoints_are_taken_apart(void **state)
{
    (void)state;
    expect("PLAINTEXT://localhost:9092", "PLAINTEXT", "localhost", 9092);
    expect("internal://127.0.0.1:0", "INTERNAL", "127.0.0.1", 0);
    expect("A.B_C-1://[::1]:65535", "A.B_C-1", "::1", 65535);
    expect("X://:1", "X", "", 1);
}

/* Whatever lacks a part, or has one that cannot be. */
static void damaged_endpoints_are_refused(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",         "PLAINTEXT", "PLAINTEXT:/a:1", "://a:1",   "A B://a:1",         "A://a",
        "A://a:",   "A://a:x",   "A://a:65536",    "A://a:-1", "A://a:99999999999", "A://a/b:1",
        "A://a: 1",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct endpoint endpoint;
        struct failure failure = {0};
        assert_int_equal(endpoint_parse(slice_of(damaged[i]), &endpoint, &failure),
                         ERROR_INVALID_CONFIG);
        assert_non_null(strstr(failure.where, damaged[i]));
    }
}

/* Names and hosts longer than their room. */
static void long_parts_are_refused(void **state)
{
    (void)state;
    char text[1000];
    struct endpoint endpoint;
    memset(text, 'a', sizeof text);
    memcpy(text + ENDPOINT_NAME_BYTES, "://h:1", 7);
    assert_int_equal(endpoint_parse(slice_of(text), &endpoint, NULL), ERROR_INVALID_CONFIG);
    memset(text, 'a', sizeof text);
    memcpy(text, "A://", 4);
    memcpy(text + 4 + ENDPOINT_HOST_BYTES, ":1", 3);
    assert_int_equal(endpoint_parse(slice_of(text), &endpoint, NULL), ERROR_INVALID_CONFIG);
}

/* A list keeps its order; two of a name, none, and too many are refused. */
static void lists_are_bounded_and_names_unique(void **state)
{
    (void)state;
    struct endpoint endpoints[ENDPOINTS_MAX];
    uint32_t count = 0;
    assert_int_equal(
        endpoint_parse_list("listeners", "A://h:1, B://h:1 ,C://h:1", endpoints, &count, NULL),
        ERROR_NONE);
    assert_int_equal(count, 3);
    assert_string_equal(endpoints[1].name, "B");
    struct failure failure = {0};
    assert_int_equal(
        endpoint_parse_list("listeners", "A://h:1,a://h:2", endpoints, &count, &failure),
        ERROR_INVALID_CONFIG);
    assert_string_equal(failure.where, "listeners: two are named A");
    assert_int_equal(endpoint_parse_list("listeners", "", endpoints, &count, NULL),
                     ERROR_INVALID_CONFIG);
    char many[200];
    size_t used = 0;
    for (int name = 'A'; name <= 'Q'; name++)
        used += (size_t)snprintf(many + used, sizeof many - used, "%c://:1,", name);
    assert_int_equal(endpoint_parse_list("listeners", many, endpoints, &count, NULL),
                     ERROR_INVALID_CONFIG);
}

/* The protocol of a name, whatever its case; an unknown name has none. */
static void names_have_protocols(void **state)
{
    (void)state;
    struct slice protocol;
    const char *map = "SSL:SSL,PLAINTEXT:PLAINTEXT,INSIDE:SASL_SSL";
    assert_int_equal(endpoint_protocol(map, "INSIDE", &protocol, NULL), ERROR_NONE);
    assert_true(slice_equals_text(protocol, "SASL_SSL"));
    assert_int_equal(endpoint_protocol("inside:PLAINTEXT", "INSIDE", &protocol, NULL), ERROR_NONE);
    assert_int_equal(endpoint_protocol(map, "INSID", &protocol, NULL), ERROR_INVALID_CONFIG);
    assert_int_equal(endpoint_protocol("A", "A", &protocol, NULL), ERROR_INVALID_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_taken_apart),
        cmocka_unit_test(damaged_endpoints_are_refused),
        cmocka_unit_test(long_parts_are_refused),
        cmocka_unit_test(lists_are_bounded_and_names_unique),
        cmocka_unit_test(names_have_protocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
