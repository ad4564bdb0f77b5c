/* SPDX-License-Identifier: Apache-2.0 */
/* Large blocks used again: answers and what is read ahead of them. Any thread.
 * The newest one back is the first one out: it is the one still in the processor's cache. */
#ifndef FS_POOL_H
#define FS_POOL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_BLOCKS_KEPT = 8 };

struct block_pool {
    pthread_mutex_t lock;
    size_t block_size;
    uint8_t *kept[POOL_BLOCKS_KEPT];
    uint32_t kept_count;
};

void block_pool_init(struct block_pool *pool, size_t block_size);
void block_pool_done(struct block_pool *pool);

/* block_size bytes, not initialised; NULL when out of memory. */
uint8_t *block_pool_take(struct block_pool *pool);
/* Accepts NULL. */
void block_pool_give(struct block_pool *pool, uint8_t *block);

#endif
