/* SPDX-License-Identifier: Apache-2.0 */
/* The features (KIP-584) that clients and Kafka's tools know by name, with the levels that this
 * release has. Each has one level so far: what it stands for cannot be switched off. */
#ifndef BROKER_HANDLE_FEATURE_TABLE_H
#define BROKER_HANDLE_FEATURE_TABLE_H

#include "base/slice.h"

#include <stdint.h>

struct feature {
    const char *name;
    int16_t level_min; /* Inclusive, both. */
    int16_t level_max;
};

extern const struct feature features[];
extern const uint32_t feature_count;

/* NULL: not known. */
const struct feature *feature_find(struct slice name);

#endif
