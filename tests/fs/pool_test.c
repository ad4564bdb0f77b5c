/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks are used again, newest first, and only so many are kept. */
#include "fs/pool.h"

#include "base/memory.h"

#include <cmocka.h>

static void the_newest_block_comes_first(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool, 4096);
    uint8_t *a = block_pool_take(&pool);
    uint8_t *b = block_pool_take(&pool);
    block_pool_give(&pool, a);
    block_pool_give(&pool, b);
    block_pool_give(&pool, NULL);
    assert_ptr_equal(block_pool_take(&pool), b);
    assert_ptr_equal(block_pool_take(&pool), a);
    block_pool_give(&pool, a);
    block_pool_give(&pool, b);
    block_pool_done(&pool);
}

static void only_so_many_are_kept(void **state)
{
    (void)state;
    struct block_pool pool;
    uint8_t *blocks[POOL_BLOCKS_KEPT + 3];
    block_pool_init(&pool, 64);
    for (int i = 0; i < POOL_BLOCKS_KEPT + 3; i++)
        assert_non_null(blocks[i] = block_pool_take(&pool));
    for (int i = 0; i < POOL_BLOCKS_KEPT + 3; i++)
        block_pool_give(&pool, blocks[i]);
    assert_int_equal(pool.kept_count, POOL_BLOCKS_KEPT);
    memory_fault_arm(0);
    assert_non_null(block_pool_take(&pool));
    memory_fault_arm(-1);
    memory_free(blocks[POOL_BLOCKS_KEPT - 1]);
    block_pool_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_block_comes_first),
        cmocka_unit_test(only_so_many_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
