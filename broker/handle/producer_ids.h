/* SPDX-License-Identifier: Apache-2.0 */
/* Ids for idempotent producers: taken from blocks that the quorum hands to this node, so that no
 * two nodes ever give out the same (replication.md invariant 19). Inside the monitor. */
#ifndef BROKER_HANDLE_PRODUCER_IDS_H
#define BROKER_HANDLE_PRODUCER_IDS_H

#include "handle/broker.h"

struct producer_ids;

/* Somebody who wants an id. Owned by the caller until done. */
struct producer_id_wait {
    struct list link;
    struct task task;
    int64_t producer_id; /* Result. */
    enum error error;    /* Result: what the quorum said when no block could be had. */
    void (*done)(struct producer_id_wait *wait);
};

enum error producer_ids_new(struct broker *broker, struct producer_ids **ret_ids);

/* Accepts NULL. Whoever waits is answered with CLOSING first. */
void producer_ids_free(struct producer_ids *ids);

/* `done` comes exactly once, never from inside. */
void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait);

#endif
