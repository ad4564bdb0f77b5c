/* SPDX-License-Identifier: Apache-2.0 */
/* The table that says which handler answers which API. */
#include "handle/request.h"

#include "base/assertion.h"
#include "handle/handlers.h"

struct handler_row {
    enum api_key key;
    void (*start)(struct request *request);
};

/* An API is advertised exactly when it has a row. */
static const struct handler_row rows[] = {
    {API_PRODUCE, handle_produce},
    {API_FETCH, handle_fetch},
    {API_LIST_OFFSETS, handle_list_offsets},
    {API_METADATA, handle_metadata},
    {API_API_VERSIONS, handle_api_versions},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch},
};

static const struct handler_row *row_find(int16_t api_key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((int16_t)rows[i].key == api_key)
            return &rows[i];
    }
    return NULL;
}

bool handle_supports(int16_t api_key)
{
    return row_find(api_key) != NULL;
}

void handle_each_supported(void (*each)(void *context, const struct api *api), void *context)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        each(context, api_find((int16_t)rows[i].key));
}

bool handle_admit(struct request *request)
{
    return request->api->key == API_PRODUCE && produce_admit(request);
}

void handle_prepare(struct request *request, struct codec_context *context)
{
    if (request->api->key == API_PRODUCE)
        produce_prepare(request, context);
}

void handle_start(struct request *request)
{
    const struct handler_row *row = row_find((int16_t)request->api->key);
    ASSERT(row != NULL);
    ASSERT(!request->completed);
    row->start(request);
}
