/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: both sides of the handshake between nodes, as state machines.
 *
 * Input: steps. A step is one byte that says what comes, two bytes of size, and so many bytes:
 *   0 a request frame to the door    1 a right hello    2 a right proof, if the door was greeted
 *   3 a hello's answer to the asking side    4 a proof's answer to it    5 a new connection
 * The door may open by step 2 only, and the asking side is never convinced by bytes. */
#include "base/assertion.h"
#include "base/monitor.h"
#include "handle/handlers.h"
#include "replicate/peer/hello.h"
#include "wire/api_peer_hello.h"
#include "wire/api_peer_proof.h"
#include "wire/frame.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct peer_token token = {.bytes = "0123456789abcdef", .size = 16};

struct run {
    struct monitor *monitor;
    struct broker broker;
    struct peer_doorkeeper keeper;
    struct peer_door door;
    struct peer_transcript said;
    struct hello hello;
    struct request request;
    bool proved;
};

static void ended(struct request *request)
{
    (void)request;
}

static void handle(struct run *run)
{
    run->request.done = ended;
    run->request.door = &run->door;
    monitor_enter(run->monitor);
    handle_start(&run->request);
    monitor_leave(run->monitor);
    ASSERT(run->request.completed);
    if (run->door.state == PEER_DOOR_OPEN)
        ASSERT(run->proved);
}

static void any_request(struct run *run, struct slice frame)
{
    struct reader reader;
    struct frame_request head;
    reader_init(&reader, frame);
    if (frame_request_decode(&reader, &head) != ERROR_NONE || !head.supported ||
        (head.api->key != API_PEER_HELLO && head.api->key != API_PEER_PROOF))
        return;
    request_init(&run->request, &run->broker, head.api, head.version);
    if (frame_body_decode(&reader, &head, &run->request.arena, &run->request.body) == ERROR_NONE)
        handle(run);
    request_done(&run->request);
}

static void right_hello(struct run *run)
{
    const struct api *api = api_find(API_PEER_HELLO);
    struct peer_hello_request body;
    peer_hello_request_init(&body);
    body.protocol_version_min = PEER_PROTOCOL_VERSION;
    body.protocol_version_max = PEER_PROTOCOL_VERSION;
    body.node_uuid = (struct uuid){{11}};
    body.node_id = 1;
    body.target_node_id = 2;
    body.nonce = slice_from(run->said.asking_nonce, PEER_NONCE_BYTES);
    request_init(&run->request, &run->broker, api, 0);
    run->request.body = &body;
    handle(run);
    request_done(&run->request);
}

static void right_proof(struct run *run)
{
    if (run->door.state != PEER_DOOR_GREETED)
        return;
    const struct api *api = api_find(API_PEER_PROOF);
    uint8_t proof[PEER_PROOF_BYTES];
    enum error error = peer_proof_make(&token, PEER_ASKING, &run->door.transcript, proof);
    ASSERT(error == ERROR_NONE);
    struct peer_proof_request body;
    peer_proof_request_init(&body);
    body.proof = slice_from(proof, sizeof proof);
    request_init(&run->request, &run->broker, api, 0);
    run->request.body = &body;
    run->proved = true;
    handle(run);
    request_done(&run->request);
}

static void connection_begin(struct run *run)
{
    uint8_t bytes[HELLO_FRAME_BYTES_MAX];
    size_t size;
    static const struct peer_identity identity = {{{1}}, 1, {{11}}};
    run->door = (struct peer_door){0};
    run->proved = false;
    hello_done(&run->hello);
    hello_init(&run->hello, &token, &identity, 2, PEER_ORDERED, "a:1");
    enum error error = hello_ask(&run->hello, bytes, &size);
    ASSERT(error == ERROR_NONE);
}

static void step(struct run *run, uint8_t kind, struct slice bytes)
{
    char why[320];
    enum error error = ERROR_MALFORMED;
    switch (kind % 6) {
    case 0:
        any_request(run, bytes);
        break;
    case 1:
        right_hello(run);
        break;
    case 2:
        right_proof(run);
        break;
    case 3:
        (void)hello_answer(&run->hello, bytes, why, sizeof why);
        break;
    case 4:
        error = hello_proof_answer(&run->hello, bytes, why, sizeof why);
        ASSERT(error != ERROR_NONE);
        break;
    default:
        connection_begin(run);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    if (run.monitor == NULL) {
        enum error error = monitor_new(1, NULL, NULL, &run.monitor);
        ASSERT(error == ERROR_NONE);
        run.broker.executor = monitor_executor(run.monitor);
        run.broker.doorkeeper = &run.keeper;
        run.keeper = (struct peer_doorkeeper){
            .token = &token, .identity = {.cluster_id = {{1}}, .node_id = 2, .node_uuid = {{22}}}};
    }
    connection_begin(&run);
    while (size >= 3) {
        size_t part = (size_t)data[1] << 8 | data[2];
        if (part > size - 3)
            part = size - 3;
        step(&run, data[0], slice_from(data + 3, part));
        data += 3 + part;
        size -= 3 + part;
    }
    return 0;
}
