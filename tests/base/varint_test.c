/* SPDX-License-Identifier: Apache-2.0 */
/* Variable-length integers: known bytes, edges, hostile input. */
#include "base/varint.h"
#include "sim/random.h"

#include <cmocka.h>
#include <string.h>

/* org.apache.kafka.common.utils.ByteUtilsTest has the same pairs. */
static void known_values_have_known_bytes(void **state)
{
    (void)state;
    uint8_t bytes[VARLONG_BYTES_MAX];
    assert_int_equal(varint_write(bytes, 0), 1);
    assert_memory_equal(bytes, "\x00", 1);
    assert_int_equal(varint_write(bytes, -1), 1);
    assert_memory_equal(bytes, "\x01", 1);
    assert_int_equal(varint_write(bytes, 63), 1);
    assert_memory_equal(bytes, "\x7e", 1);
    assert_int_equal(varint_write(bytes, -65), 2);
    assert_memory_equal(bytes, "\x81\x01", 2);
    assert_int_equal(varint_write(bytes, INT32_MAX), 5);
    assert_memory_equal(bytes, "\xfe\xff\xff\xff\x0f", 5);
    assert_int_equal(varlong_write(bytes, INT64_MIN), 10);
    assert_memory_equal(bytes, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_int_equal(varlong_unsigned_write(bytes, 300), 2);
    assert_memory_equal(bytes, "\xac\x02", 2);
}

/* Of every magnitude; the size told before is the size written. */
static void written_values_read_back(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[VARLONG_BYTES_MAX];
        uint64_t raw = random_next(&random) >> random_below(&random, 64);
        int64_t value = (int64_t)(random_chance(&random, 1, 2) ? raw : ~raw);
        int64_t back;
        size_t size = varlong_write(bytes, value);
        assert_int_equal(size, varlong_size(value));
        assert_int_equal(varlong_read(bytes, size, &back), size);
        assert_true(back == value);
        assert_int_equal(varlong_read(bytes, size - 1, &back), 0);

        int32_t small = (int32_t)value;
        int32_t small_back;
        size = varint_write(bytes, small);
        assert_int_equal(size, varint_size(small));
        assert_int_equal(varint_read(bytes, size, &small_back), size);
        assert_int_equal(small_back, small);
    }
}

/* Too long, too large and cut short are refused, and the result is not touched. */
static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    uint8_t ones[11];
    memset(ones, 0xff, sizeof ones);
    int32_t value = 7;
    int64_t large = 7;
    uint32_t plain = 7;
    assert_int_equal(varint_read(ones, sizeof ones, &value), 0);
    assert_int_equal(varlong_read(ones, sizeof ones, &large), 0);
    assert_int_equal(varint_read(ones, 0, &value), 0);
    assert_int_equal(varlong_read(ones, 0, &large), 0);
    const uint8_t beyond_32[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    assert_int_equal(varint_unsigned_read(beyond_32, 5, &plain), 0);
    const uint8_t beyond_64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    assert_int_equal(varlong_read(beyond_64, 10, &large), 0);
    assert_int_equal(value, 7);
    assert_int_equal(large, 7);
    assert_int_equal(plain, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_known_bytes),
        cmocka_unit_test(written_values_read_back),
        cmocka_unit_test(hostile_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
