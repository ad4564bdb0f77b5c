/* SPDX-License-Identifier: Apache-2.0 */
/* Which answered beat the lease counts from. */
#include "replicate/core/lease.h"

#include <stdbool.h>

static const struct lease_beat none = {.from_ms = LEASE_NONE};

static bool is_met(const struct lease_beat *beat, int64_t applied_index)
{
    return beat->from_ms != LEASE_NONE && applied_index >= beat->index;
}

void lease_init(struct lease *lease)
{
    *lease = (struct lease){none, none, none};
}

void lease_answered(struct lease *lease, int64_t from_ms, int64_t index, int64_t applied_index)
{
    if (is_met(&lease->newest, applied_index)) {
        lease->met = lease->newest;
        lease->owed = none;
    } else if (is_met(&lease->owed, applied_index)) {
        lease->met = lease->owed;
        lease->owed = lease->newest;
    }
    lease->newest = (struct lease_beat){from_ms, index};
    if (lease->owed.from_ms == LEASE_NONE)
        lease->owed = lease->newest;
}

int64_t lease_from_ms(const struct lease *lease, int64_t applied_index)
{
    int64_t from_ms = lease->met.from_ms;
    if (is_met(&lease->owed, applied_index) && lease->owed.from_ms > from_ms)
        from_ms = lease->owed.from_ms;
    if (is_met(&lease->newest, applied_index) && lease->newest.from_ms > from_ms)
        from_ms = lease->newest.from_ms;
    return from_ms;
}
