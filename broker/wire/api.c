/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up the generated table. */
#include "wire/api.h"

/* Generated (api_table.c), in the order of the keys. */
extern const struct api api_table[API_COUNT];

const struct api *api_find(int16_t key)
{
    size_t low = 0;
    size_t high = API_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((int)api_table[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < API_COUNT && (int)api_table[low].key == key ? &api_table[low] : NULL;
}
