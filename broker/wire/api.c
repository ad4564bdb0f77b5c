/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up the generated table. */
#include "wire/api.h"

/* Generated (api_table.c), indexed by key; a row without a name is a key we do not speak. */
extern const struct api api_table[API_KEY_COUNT];

const struct api *api_find(int16_t key)
{
    if (key < 0 || key >= API_KEY_COUNT || api_table[key].name == NULL)
        return NULL;
    return &api_table[key];
}
