/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as requests of another node of the cluster, handled by a broker with
 * a topic of its own.
 *
 * Input: requests, each a byte that names the API, two bytes of size, and the body. */
#include "base/assertion.h"
#include "handle/broker_fixture.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int16_t keys[] = {API_REPLICA_FETCH, API_PROPOSE,   API_NODE_HEARTBEAT,
                               API_CLUSTER_QUERY, API_NODE_JOIN, API_TEXT_READ,
                               API_TEXT_STAT};

enum { KEYS = sizeof keys / sizeof keys[0], REQUESTS_MAX = 8 };

static void ended(struct request *request)
{
    (void)request;
}

static bool begin(struct broker_fixture *f, struct request *request, int16_t key,
                  struct slice bytes)
{
    const struct api *api = api_find(key);
    struct reader reader;
    if (!handle_supports(key))
        return false;
    reader_init(&reader, bytes);
    request_init(request, &f->broker, api, 0);
    request->requester.peer_node_id = 2;
    request->requester.connection_id = 1;
    request->requester.client_host = slice_of("/127.0.0.1");
    request->requester.listener_host = "localhost";
    request->done = ended;
    request->body = arena_allocate(&request->arena, api->request.size);
    ASSERT(request->body != NULL);
    if (api->request.decode(&reader, 0, &request->arena, request->body) != ERROR_NONE) {
        request_done(request);
        return false;
    }
    handle_start(request);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *state = NULL;
    (void)broker_fixture_setup(&state);
    struct broker_fixture *f = state;
    (void)fixture_topic(f, "orders", 2);
    fixture_append(f, "orders", 0, 3, -1);
    static struct request requests[REQUESTS_MAX];
    size_t count = 0;
    while (size >= 3 && count < REQUESTS_MAX) {
        size_t part = (size_t)data[1] << 8 | data[2];
        if (part > size - 3)
            part = size - 3;
        if (begin(f, &requests[count], keys[data[0] % KEYS], slice_from(data + 3, part)))
            count++;
        data += 3 + part;
        size -= 3 + part;
        simulated_executor_run_until_idle(f->executor);
    }
    for (size_t i = 0; i < count; i++)
        request_cancel(&requests[i]);
    simulated_executor_run_until_idle(f->executor);
    for (size_t i = 0; i < count; i++) {
        ASSERT(requests[i].completed);
        request_done(&requests[i]);
    }
    (void)broker_fixture_teardown(&state);
    return 0;
}
