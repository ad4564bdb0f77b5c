/* SPDX-License-Identifier: Apache-2.0 */
/* A short stack of blocks; what does not fit on it goes back to the heap. */
#include "fs/pool.h"

#include "base/memory.h"

void block_pool_init(struct block_pool *pool, size_t block_size)
{
    *pool = (struct block_pool){.block_size = block_size};
    (void)pthread_mutex_init(&pool->lock, NULL); /* Cannot fail with default attributes. */
}

void block_pool_done(struct block_pool *pool)
{
    for (uint32_t i = 0; i < pool->kept_count; i++)
        memory_free(pool->kept[i]);
    (void)pthread_mutex_destroy(&pool->lock);
}

uint8_t *block_pool_take(struct block_pool *pool)
{
    uint8_t *block = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->kept_count > 0)
        block = pool->kept[--pool->kept_count];
    (void)pthread_mutex_unlock(&pool->lock);
    return block != NULL ? block : memory_allocate_raw(pool->block_size);
}

void block_pool_give(struct block_pool *pool, uint8_t *block)
{
    if (block == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->kept_count < POOL_BLOCKS_KEPT) {
        pool->kept[pool->kept_count++] = block;
        block = NULL;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    memory_free(block);
}
