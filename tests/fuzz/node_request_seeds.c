/* SPDX-License-Identifier: Apache-2.0 */
/* Writes seed inputs of node_request_fuzz: every request between nodes, filled in a few ways.
 *
 *   node_request_seeds DIRECTORY */
#include "sample.h"

#include "wire/api.h"
#include "wire/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WAYS = 4, BODY_BYTES_MAX = UINT16_MAX };

/* The order of node_request_fuzz. */
static const int16_t keys[] = {API_REPLICA_FETCH, API_PROPOSE,   API_NODE_HEARTBEAT,
                               API_CLUSTER_QUERY, API_NODE_JOIN, API_TEXT_READ,
                               API_TEXT_STAT};

static const struct sample_message *find(const char *api_name)
{
    char name[100];
    (void)snprintf(name, sizeof name, "%sRequest", api_name);
    for (size_t i = 0; i < sample_messages_count; i++) {
        if (strcmp(sample_messages[i].name, name) == 0)
            return &sample_messages[i];
    }
    return NULL;
}

static bool write_seed(const char *directory, size_t number, int way)
{
    const struct api *api = api_find(keys[number]);
    const struct sample_message *kind = find(api->name);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct sample sample = {.state = (uint64_t)way, .arena = &arena};
    void *message = arena_allocate(&arena, api->request.size);
    struct slice body = SLICE_NULL;
    bool good = false;
    if (kind != NULL && message != NULL) {
        struct writer writer;
        kind->fill(&sample, 0, message);
        writer_init(&writer);
        api->request.encode(&writer, 0, message);
        good = writer_finish_slice(&writer, &arena, &body) == ERROR_NONE;
    }
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s_%d", directory, api->name, way);
    FILE *file = good && body.size <= BODY_BYTES_MAX ? fopen(path, "w") : NULL;
    if (file != NULL) {
        uint8_t head[] = {(uint8_t)number, (uint8_t)(body.size >> 8), (uint8_t)body.size};
        (void)fwrite(head, 1, sizeof head, file);
        (void)fwrite(body.data, 1, body.size, file);
        good = fclose(file) == 0;
    }
    arena_done(&arena);
    return good && file != NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: node_request_seeds DIRECTORY\n");
        return 2;
    }
    (void)mkdir(argv[1], 0777);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (int way = 0; way < WAYS; way++) {
            if (!write_seed(argv[1], i, way))
                return 1;
        }
    }
    return 0;
}
