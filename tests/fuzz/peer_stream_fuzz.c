/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: what a node that proved the token may send as answers: any bytes, in any
 * pieces, to calls of every request between nodes.
 *
 * Input: pieces, each a byte of size (times 16) and so many bytes, as they come from the socket. */
#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/peer/state.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int16_t keys[] = {API_REPLICA_FETCH, API_PROPOSE,   API_NODE_HEARTBEAT,
                               API_CLUSTER_QUERY, API_NODE_JOIN, API_TEXT_READ,
                               API_TEXT_STAT};

enum { CALLS = sizeof keys / sizeof keys[0] };

struct asked {
    struct call call;
    int done;
};

static void call_ended(struct call *call)
{
    container_of(call, struct asked, call)->done++;
}

static bool nowhere(void *context, int32_t node_id, char ret_host[PEER_HOST_BYTES],
                    uint16_t *ret_port)
{
    (void)context;
    (void)node_id;
    (void)ret_host;
    (void)ret_port;
    return false;
}

/* Peers without their thread: this one turns the loop. */
static struct peers *peers_make(struct monitor *monitor)
{
    struct peers_options options = {.monitor = monitor, .address = nowhere};
    struct peers *peers;
    enum error error = peers_new(&options, &peers);
    ASSERT(error == ERROR_NONE);
    return peers;
}

static void call_begin(struct peers *peers, struct link *link, struct asked *asked, size_t number)
{
    const struct api *api = api_find(keys[number]);
    call_init(&asked->call, &peers->caller, api, 2, CALL_CONTROL, 1000000);
    asked->done = 0;
    asked->call.done = call_ended;
    void *body = arena_allocate(&asked->call.arena, api->request.size);
    ASSERT(body != NULL);
    api->request.init(body);
    asked->call.body = body;
    struct outbound *outbound = outbound_new(peers, &asked->call);
    ASSERT(outbound != NULL);
    asked->call.implementation = outbound;
    link_add(link, outbound);
}

static void feed(struct peers *peers, int other, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t part = (size_t)data[0] * 16 + 1;
        data++;
        size--;
        if (part > size)
            part = size;
        if (send(other, data, part, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
        data += part;
        size -= part;
        (void)uv_run(&peers->uv, UV_RUN_NOWAIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct monitor *monitor;
    static struct peers *peers;
    if (monitor == NULL) {
        enum error error = monitor_new(1, NULL, NULL, &monitor);
        ASSERT(error == ERROR_NONE);
        peers = peers_make(monitor);
    }
    int sockets[2];
    int refused = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets);
    ASSERT(refused == 0);
    struct peer_node node = {.peers = peers, .node_id = 2};
    struct link *link = link_new(&node, CALL_CONTROL);
    ASSERT(link != NULL);
    enum error error = stream_new(link, sockets[0], &link->stream);
    ASSERT(error == ERROR_NONE);
    link->state = LINK_READY;
    static struct asked asked[CALLS];
    for (size_t i = 0; i < CALLS; i++)
        call_begin(peers, link, &asked[i], i);
    feed(peers, sockets[1], data, size);
    link_free(link);
    peers_settle(peers);
    (void)uv_run(&peers->uv, UV_RUN_NOWAIT);
    for (size_t i = 0; i < CALLS; i++) {
        ASSERT(asked[i].done == 1);
        call_done(&asked[i].call);
    }
    (void)close(sockets[1]);
    return 0;
}
