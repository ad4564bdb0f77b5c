/* SPDX-License-Identifier: Apache-2.0 */
/* The table of features. */
#include "handle/feature_table.h"

const struct feature features[] = {
    {"eligible.leader.replicas.version", 1, 1}, /* KIP-966: catalog/election.h. */
    {"kraft.version", 1, 1},                    /* KIP-853: members come and go. */
    {"metadata.version", 30, 30},               /* 4.3-IV0, whose behaviour this is. */
};
const uint32_t feature_count = sizeof features / sizeof features[0];

const struct feature *feature_find(struct slice name)
{
    for (uint32_t i = 0; i < feature_count; i++)
        if (slice_equals_text(name, features[i].name))
            return &features[i];
    return NULL;
}
