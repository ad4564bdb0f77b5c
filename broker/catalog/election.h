/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads, who is in sync, who else may lead. */
#ifndef BROKER_CATALOG_ELECTION_H
#define BROKER_CATALOG_ELECTION_H

#include "catalog/image.h"

/* From the topic's own configuration and the cluster-wide dynamic one (either may be NULL); at
 * least 1, at most `replica_count`. */
uint32_t election_min_insync(const struct config_set *topic, const struct config_set *cluster,
                             uint32_t replica_count);

#endif
