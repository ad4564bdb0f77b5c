/* SPDX-License-Identifier: Apache-2.0 */
/* Leader epochs: Kafka's rules, and the file. */
#include "log/epoch_cache.h"
#include "log/fixture.h"

static struct epoch_cache cache_of(void)
{
    struct epoch_cache cache;
    epoch_cache_init(&cache);
    assert_int_equal(epoch_cache_assign(&cache, 2, 0), ERROR_NONE);
    assert_int_equal(epoch_cache_assign(&cache, 4, 10), ERROR_NONE);
    assert_int_equal(epoch_cache_assign(&cache, 7, 30), ERROR_NONE);
    return cache;
}

static void end_is(const struct epoch_cache *cache, int32_t asked, int32_t epoch, int64_t end)
{
    int32_t got_epoch;
    int64_t got_end;
    epoch_cache_end(cache, asked, 100, &got_epoch, &got_end);
    assert_int_equal(got_epoch, epoch);
    assert_int_equal(got_end, end);
}

/* Kafka's LeaderEpochFileCache.endOffsetFor, case by case. */
static void the_end_of_an_epoch_is_kafkas(void **state)
{
    (void)state;
    struct epoch_cache cache = cache_of();
    end_is(&cache, -1, -1, -1);
    end_is(&cache, 1, 1, 0); /* Below all: where the first one begins. */
    end_is(&cache, 2, 2, 10);
    end_is(&cache, 3, 2, 10);
    end_is(&cache, 4, 4, 30);
    end_is(&cache, 6, 4, 30);
    end_is(&cache, 7, 7, 100);
    end_is(&cache, 8, -1, -1);
    epoch_cache_done(&cache);
}

/* The epoch of an offset. */
static void an_offset_has_the_epoch_that_began_before_it(void **state)
{
    (void)state;
    struct epoch_cache cache = cache_of();
    assert_int_equal(epoch_cache_at(&cache, 0), 2);
    assert_int_equal(epoch_cache_at(&cache, 9), 2);
    assert_int_equal(epoch_cache_at(&cache, 10), 4);
    assert_int_equal(epoch_cache_at(&cache, 1000), 7);
    assert_int_equal(epoch_cache_latest(&cache), 7);
    epoch_cache_done(&cache);
}

/* Cutting either end. */
static void cutting_keeps_what_is_left(void **state)
{
    (void)state;
    struct epoch_cache cache = cache_of();
    assert_false(epoch_cache_truncate_end(&cache, 31));
    assert_true(epoch_cache_truncate_end(&cache, 30));
    assert_int_equal(epoch_cache_latest(&cache), 4);
    assert_true(epoch_cache_truncate_start(&cache, 15));
    assert_false(epoch_cache_truncate_start(&cache, 15));
    assert_int_equal(cache.count, 1);
    assert_int_equal(epoch_cache_at(&cache, 14), -1);
    assert_int_equal(epoch_cache_at(&cache, 15), 4);
    epoch_cache_done(&cache);
}

/* What contradicts a new epoch goes. */
static void a_contradicted_epoch_is_forgotten(void **state)
{
    (void)state;
    struct epoch_cache cache = cache_of();
    assert_int_equal(epoch_cache_assign(&cache, 8, 20), ERROR_NONE);
    assert_int_equal(cache.count, 3);
    assert_int_equal(epoch_cache_at(&cache, 30), 8);
    assert_int_equal(epoch_cache_at(&cache, 19), 4);
    epoch_cache_done(&cache);
}

/* The file is Kafka's text, and comes back; anything else is refused. */
static void the_file_is_kafkas(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    assert_int_equal(storage_make_directory(storage, "t-0"), ERROR_NONE);
    struct epoch_cache cache = cache_of();
    assert_int_equal(epoch_cache_store(&cache, storage, "t-0", true), ERROR_NONE);
    uint64_t size;
    const uint8_t *text = simulated_storage_contents(disk, "t-0/" EPOCH_FILE_NAME, &size);
    static const char expected[] = "0\n3\n2 0\n4 10\n7 30\n";
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(text, expected, size);
    epoch_cache_done(&cache);

    assert_int_equal(epoch_cache_load(&cache, storage, "t-0"), ERROR_NONE);
    assert_int_equal(cache.count, 3);
    static const char *const bad[] = {"",
                                      "0",
                                      "1\n0\n",
                                      "0\n2\n2 0\n",
                                      "0\n1\n2 0\n3 4\n",
                                      "0\n2\n2 5\n2 6\n",
                                      "0\n2\n2 5\n3 5\n",
                                      "0\n1\n-2 5\n",
                                      "0\n1\n2 99999999999999999999\n",
                                      "0\n-1\n",
                                      "0\n1\n2 5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            storage_write_whole(storage, "t-0/" EPOCH_FILE_NAME, bad[i], strlen(bad[i])),
            ERROR_NONE);
        assert_int_equal(epoch_cache_load(&cache, storage, "t-0"), ERROR_MALFORMED);
    }
    epoch_cache_done(&cache);
    simulated_storage_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_an_epoch_is_kafkas),
        cmocka_unit_test(an_offset_has_the_epoch_that_began_before_it),
        cmocka_unit_test(cutting_keeps_what_is_left),
        cmocka_unit_test(a_contradicted_epoch_is_forgotten),
        cmocka_unit_test(the_file_is_kafkas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
