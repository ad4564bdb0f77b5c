/* SPDX-License-Identifier: Apache-2.0 */
/* A chained hash table of addresses; an address without connections takes no memory. */
#include "net/peers.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <string.h>

enum { PEERS_BUCKETS = 1024 };

struct peer {
    struct peer *next;
    uint8_t key[16];
    uint32_t count;
};

enum error peers_init(struct peers *peers)
{
    peers->buckets = memory_allocate_array(PEERS_BUCKETS, sizeof(struct peer *));
    if (peers->buckets == NULL)
        return ERROR_OUT_OF_MEMORY;
    peers->bucket_count = PEERS_BUCKETS;
    (void)pthread_mutex_init(&peers->mutex, NULL);
    return ERROR_NONE;
}

void peers_done(struct peers *peers)
{
    if (peers->buckets == NULL)
        return;
    for (uint32_t i = 0; i < peers->bucket_count; i++)
        ASSERT(peers->buckets[i] == NULL);
    memory_free(peers->buckets);
    peers->buckets = NULL;
    (void)pthread_mutex_destroy(&peers->mutex);
}

static struct peer **bucket_of(struct peers *peers, const uint8_t key[16])
{
    uint64_t parts[2];
    memcpy(parts, key, sizeof parts);
    uint64_t hash = (parts[0] ^ parts[1]) * 0x9e3779b97f4a7c15;
    return &peers->buckets[hash >> 32 & (peers->bucket_count - 1)];
}

static struct peer **peer_find(struct peer **at, const uint8_t key[16])
{
    while (*at != NULL && memcmp((*at)->key, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

static enum error peer_count(struct peer **at, const uint8_t key[16], uint32_t limit)
{
    if (limit == 0)
        return ERROR_POLICY_VIOLATION;
    if (*at == NULL) {
        struct peer *peer = memory_allocate(sizeof *peer);
        if (peer == NULL)
            return ERROR_OUT_OF_MEMORY;
        memcpy(peer->key, key, sizeof peer->key);
        *at = peer;
    }
    if ((*at)->count >= limit)
        return ERROR_POLICY_VIOLATION;
    (*at)->count++;
    return ERROR_NONE;
}

enum error peers_add(struct peers *peers, const uint8_t key[16], uint32_t limit)
{
    (void)pthread_mutex_lock(&peers->mutex);
    enum error error = peer_count(peer_find(bucket_of(peers, key), key), key, limit);
    (void)pthread_mutex_unlock(&peers->mutex);
    return error;
}

void peers_remove(struct peers *peers, const uint8_t key[16])
{
    (void)pthread_mutex_lock(&peers->mutex);
    struct peer **at = peer_find(bucket_of(peers, key), key);
    struct peer *peer = *at;
    ASSERT(peer != NULL);
    ASSERT(peer->count > 0);
    if (--peer->count == 0) {
        *at = peer->next;
        memory_free(peer);
    }
    (void)pthread_mutex_unlock(&peers->mutex);
}
