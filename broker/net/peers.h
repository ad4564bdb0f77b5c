/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each address has, for max.connections.per.ip. Any thread. */
#ifndef BROKER_NET_PEERS_H
#define BROKER_NET_PEERS_H

#include "base/error.h"

#include <pthread.h>
#include <stdint.h>

struct peer;

struct peers {
    pthread_mutex_t mutex;
    struct peer **buckets; /* Guarded by mutex, like the rest. */
    uint32_t bucket_count;
};

enum error peers_init(struct peers *peers);
void peers_done(struct peers *peers);

/* Counts one more of the address, unless it has `limit` already: then POLICY_VIOLATION. */
enum error peers_add(struct peers *peers, const uint8_t key[16], uint32_t limit);

/* One less; the address must have one. */
void peers_remove(struct peers *peers, const uint8_t key[16]);

#endif
