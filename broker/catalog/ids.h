/* SPDX-License-Identifier: Apache-2.0 */
/* Short lists of node ids, in an order that means something (the first replica is preferred). */
#ifndef BROKER_CATALOG_IDS_H
#define BROKER_CATALOG_IDS_H

#include "base/assertion.h"
#include "catalog/catalog.h"

static inline bool ids_contain(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static inline bool ids_repeat(const int32_t *ids, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (ids_contain(ids, i, ids[i]))
            return true;
    return false;
}

static inline bool ids_within(const int32_t *ids, uint32_t count, const int32_t *of,
                              uint32_t of_count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!ids_contain(of, of_count, ids[i]))
            return false;
    return true;
}

static inline bool ids_disjoint(const int32_t *ids, uint32_t count, const int32_t *of,
                                uint32_t of_count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids_contain(of, of_count, ids[i]))
            return false;
    return true;
}

static inline bool ids_equal(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof *a) == 0;
}

/* Behind the others, unless it is there. */
static inline void ids_add(int32_t *ids, uint32_t *count, int32_t id)
{
    if (ids_contain(ids, *count, id))
        return;
    ASSERT(*count < CATALOG_REPLICAS_MAX);
    ids[(*count)++] = id;
}

/* Leaves those for which `among` answers `kept`; the order stays. */
static inline void ids_keep(int32_t *ids, uint32_t *count, const int32_t *among,
                            uint32_t among_count, bool kept)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (ids_contain(among, among_count, ids[i]) == kept)
            ids[left++] = ids[i];
    *count = left;
}

static inline void ids_remove(int32_t *ids, uint32_t *count, int32_t id)
{
    ids_keep(ids, count, &id, 1, false);
}

#endif
