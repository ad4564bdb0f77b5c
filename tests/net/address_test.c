/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: which are loopback, how they print, which are the same peer. */
#include "net/address.h"

#include <cmocka.h>
#include <string.h>

static struct address resolved(const char *host)
{
    struct address address;
    assert_int_equal(address_resolve(host, 9092, &address, NULL), ERROR_NONE);
    assert_int_equal(address_port(&address), 9092);
    return address;
}

/* All of 127/8 and ::1, and IPv4 loopback mapped into IPv6; nothing else. */
static void loopback_is_told_from_the_rest(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
    static const char *const far[] = {"0.0.0.0", "10.0.0.1",        "128.0.0.1",
                                      "::",      "::ffff:10.0.0.1", ""};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        struct address address = resolved(near[i]);
        assert_true(address_is_loopback(&address));
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        struct address address = resolved(far[i]);
        assert_false(address_is_loopback(&address));
    }
}

/* A peer that came by IPv4 to an IPv6 socket prints and counts as IPv4. */
static void a_mapped_address_is_the_ipv4_one(void **state)
{
    (void)state;
    struct address four = resolved("10.1.2.3");
    struct address mapped = resolved("::ffff:10.1.2.3");
    char text[ADDRESS_TEXT_BYTES];
    uint8_t a[16];
    uint8_t b[16];
    address_text(&mapped, text);
    assert_string_equal(text, "10.1.2.3");
    address_key(&four, a);
    address_key(&mapped, b);
    assert_memory_equal(a, b, sizeof a);
    struct address six = resolved("fe80::1:2");
    address_text(&six, text);
    assert_string_equal(text, "fe80::1:2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
