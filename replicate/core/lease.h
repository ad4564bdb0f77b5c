/* SPDX-License-Identifier: Apache-2.0 */
/* From when on this node's lease counts: from the sending of the newest answered beat whose news it
 * has applied.
 *
 *   beat sent ---- answered: the controller had applied 120 ---- this node has applied 120, too
 *   '--- from here, once it has: whatever took its place away came later
 *
 * So a node that is heard but whose Raft log stands still (a full disk) loses its lease within the
 * lease's length after something that it does not know has been decided (invariant 16). Pure. */
#ifndef REPLICATE_CORE_LEASE_H
#define REPLICATE_CORE_LEASE_H

#include <stdint.h>

enum {
    LEASE_NONE = -1,   /* For a time: no beat counts. */
    LEASE_PERCENT = 80 /* Of a session. */
};

struct lease_beat {
    int64_t from_ms; /* LEASE_NONE: there is none. */
    int64_t index;   /* What the controller had applied when it answered. */
};

/* Answered beats. Two that wait are enough: what is between them would only be met sooner. */
struct lease {
    struct lease_beat met;    /* The newest one known to be applied. */
    struct lease_beat owed;   /* The oldest that was not. */
    struct lease_beat newest; /* The last answered. */
};

void lease_init(struct lease *lease);

/* An answer that this node serves, to a beat sent at `from_ms`; it has applied `applied_index`. */
void lease_answered(struct lease *lease, int64_t from_ms, int64_t index, int64_t applied_index);

/* When the lease begins to count for a node that has applied that much; LEASE_NONE. */
int64_t lease_from_ms(const struct lease *lease, int64_t applied_index);

#endif
