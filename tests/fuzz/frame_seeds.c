/* SPDX-License-Identifier: Apache-2.0 */
/* Writes seed inputs of frame_fuzz: every request and response in every version, filled.
 *
 *   frame_seeds DIRECTORY */
#include "sample.h"

#include "wire/api.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct sample_message *find(const char *api_name, const char *kind)
{
    char name[100];
    (void)snprintf(name, sizeof name, "%s%s", api_name, kind);
    for (size_t i = 0; i < sample_messages_count; i++) {
        if (strcmp(sample_messages[i].name, name) == 0)
            return &sample_messages[i];
    }
    return NULL;
}

static bool write_seed(const char *directory, const struct api *api, int16_t version,
                       bool is_request)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const struct sample_message *kind = find(api->name, is_request ? "Request" : "Response");
    struct sample sample = {.state = (uint64_t)version, .arena = &arena};
    void *message = arena_allocate(&arena, api->request.size + api->response.size);
    struct outgoing outgoing = {0};
    bool good = false;
    if (kind != NULL && message != NULL) {
        kind->fill(&sample, version, message);
        good = (is_request
                    ? frame_request_encode(api, version, 1, slice_of("fuzz"), message, &outgoing)
                    : frame_response_encode(api, version, 1, message, &outgoing)) == ERROR_NONE;
    }
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s_%d_%s", directory, api->name, version,
                   is_request ? "request" : "response");
    FILE *file = good ? fopen(path, "w") : NULL;
    if (file != NULL) {
        uint8_t head[] = {!is_request, 0, (uint8_t)api->key, 0, (uint8_t)version};
        (void)fwrite(head, 1, is_request ? 1 : sizeof head, file);
        size_t skip = 4; /* The size is net's. */
        for (struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
            (void)fwrite(chunk->data + skip, 1, chunk->size - skip, file);
            skip = 0;
        }
        good = fclose(file) == 0;
    }
    outgoing_done(&outgoing);
    arena_done(&arena);
    return good && file != NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    (void)mkdir(argv[1], 0777);
    for (int16_t key = 0; key < API_KEY_END; key++) {
        const struct api *api = api_find(key);
        if (api == NULL)
            continue;
        for (int16_t v = api->version_min; v <= api->version_max; v++) {
            if (!write_seed(argv[1], api, v, true) || !write_seed(argv[1], api, v, false)) {
                (void)fprintf(stderr, "cannot write a seed of %s %d\n", api->name, v);
                return EXIT_FAILURE;
            }
        }
    }
    return EXIT_SUCCESS;
}
