/* SPDX-License-Identifier: Apache-2.0 */
/* Counting connections by address. */
#include "net/peers.h"

#include "base/byteorder.h"
#include "base/memory.h"

#include <cmocka.h>

/* More addresses than buckets, each counted on its own up to the limit. */
static void addresses_are_counted_apart(void **state)
{
    (void)state;
    enum { ADDRESSES = 5000 };
    struct peers peers = {0};
    assert_int_equal(peers_init(&peers), ERROR_NONE);
    uint8_t key[16] = {0};
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        store_be32(key + 12, i);
        assert_int_equal(peers_add(&peers, key, 2), ERROR_NONE);
        assert_int_equal(peers_add(&peers, key, 2), ERROR_NONE);
        assert_int_equal(peers_add(&peers, key, 2), ERROR_POLICY_VIOLATION);
    }
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        store_be32(key + 12, i);
        peers_remove(&peers, key);
        assert_int_equal(peers_add(&peers, key, 2), ERROR_NONE);
        peers_remove(&peers, key);
        peers_remove(&peers, key);
    }
    peers_done(&peers); /* Asserts that nothing is left. */
}

/* A limit of none refuses the first; a refused allocation refuses, too. */
static void no_limit_and_no_memory_refuse(void **state)
{
    (void)state;
    struct peers peers = {0};
    assert_int_equal(peers_init(&peers), ERROR_NONE);
    uint8_t key[16] = {1};
    assert_int_equal(peers_add(&peers, key, 0), ERROR_POLICY_VIOLATION);
    memory_fault_arm(0);
    assert_int_equal(peers_add(&peers, key, 1), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
    assert_int_equal(peers_add(&peers, key, 1), ERROR_NONE);
    peers_remove(&peers, key);
    peers_done(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_counted_apart),
        cmocka_unit_test(no_limit_and_no_memory_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
