/* SPDX-License-Identifier: Apache-2.0 */
/* Directory listings: every name as it was added; a refusal is remembered. */
#include "fs/listing.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>

static void names_come_back_in_order(void **state)
{
    (void)state;
    struct listing listing = {0};
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        listing_add(&listing, i % 2 == 0, name);
    }
    assert_int_equal(listing.count, 1000);
    assert_false(listing.failed);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_string_equal(listing_name(&listing, i), name);
        assert_int_equal(listing_is_directory(&listing, i), i % 2 == 0);
    }
    listing_done(&listing);
    assert_int_equal(listing.count, 0);
}

static void a_refused_allocation_is_remembered(void **state)
{
    (void)state;
    for (long countdown = 0; countdown < 2; countdown++) {
        struct listing listing = {0};
        memory_fault_arm(countdown);
        listing_add(&listing, true, "name");
        memory_fault_arm(-1);
        assert_true(listing.failed);
        assert_int_equal(listing.count, 0);
        listing_done(&listing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_back_in_order),
        cmocka_unit_test(a_refused_allocation_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
