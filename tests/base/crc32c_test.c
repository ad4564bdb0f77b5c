/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against RFC 3720 B.4 and against the definition, bit by bit. */
#include "base/crc32c.h"
#include "sim/random.h"

#include <cmocka.h>
#include <string.h>

static uint32_t crc32c_by_definition(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* The vectors of RFC 3720 appendix B.4 and the usual check value. */
static void known_sums_are_right(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "", 0), 0);
}

/* Every length and alignment, whole and in two runs. */
static void any_run_gives_the_defined_sum(void **state)
{
    (void)state;
    struct random random;
    uint8_t bytes[700];
    random_seed(&random, 1);
    random_fill(&random, bytes, sizeof bytes);
    for (size_t at = 0; at < 16; at++) {
        for (size_t size = 0; size < 600; size++) {
            uint32_t expected = crc32c_by_definition(0, bytes + at, size);
            assert_int_equal(crc32c(0, bytes + at, size), expected);
            size_t cut = random_below(&random, size + 1);
            uint32_t first = crc32c(0, bytes + at, cut);
            assert_int_equal(crc32c(first, bytes + at + cut, size - cut), expected);
        }
    }
}

/* Replacing any first bytes of any run gives what counting all of it anew gives. */
static void replaced_bytes_change_the_sum_as_counting_anew_does(void **state)
{
    (void)state;
    struct random random;
    uint8_t bytes[3000];
    random_seed(&random, 2);
    for (int round = 0; round < 2000; round++) {
        random_fill(&random, bytes, sizeof bytes);
        size_t size = random_below(&random, sizeof bytes + 1);
        size_t first = random_below(&random, size + 1);
        uint32_t whole = crc32c(0, bytes, size);
        uint32_t before = crc32c(0, bytes, first);
        random_fill(&random, bytes, first);
        uint32_t after = crc32c(0, bytes, first);
        assert_int_equal(crc32c_replaced(whole, before, after, size - first),
                         crc32c(0, bytes, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sums_are_right),
        cmocka_unit_test(any_run_gives_the_defined_sum),
        cmocka_unit_test(replaced_bytes_change_the_sum_as_counting_anew_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
