/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of leaders and in-sync replicas. */
#include "catalog/election.h"

#include <stdlib.h>

uint32_t election_min_insync(const struct config_set *topic, const struct config_set *cluster,
                             uint32_t replica_count)
{
    const char *text = config_set_get(topic, "min.insync.replicas");
    if (text == NULL)
        text = config_set_get(cluster, "min.insync.replicas");
    long long wanted = text == NULL ? 1 : strtoll(text, NULL, 10);
    if (wanted < 1)
        wanted = 1;
    return wanted < (long long)replica_count ? (uint32_t)wanted : replica_count;
}
