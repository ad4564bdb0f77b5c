/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny node and its client. */
#include "node.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static struct node *node_of(struct request *request)
{
    return container_of(request->broker, struct node, broker);
}

/* ---- handlers ---- */

static void heartbeat_end(struct request *request, int16_t code)
{
    struct heartbeat_response *response = request_response(request);
    if (response != NULL) /* Else out of memory: net closes the connection. */
        response->error_code = code;
    request_complete(request);
}

static void heartbeat_cancel(struct request *request)
{
    struct node *node = node_of(request);
    list_remove(&request->task.link);
    node->parked_count--;
    node->cancelled_count++;
    heartbeat_end(request, NODE_CANCELLED_CODE);
}

static void heartbeat_start(struct node *node, struct request *request)
{
    const struct heartbeat_request *body = request->body;
    if (body->generation_id >= 0) {
        heartbeat_end(request, (int16_t)body->generation_id);
        return;
    }
    request->cancel = heartbeat_cancel;
    list_push(&node->parked, &request->task.link);
    node->parked_count++;
}

static void produce_start(struct node *node, struct request *request)
{
    const struct produce_request *body = request->body;
    node->produced_count++;
    if (body->timeout_ms != node->produced_last + 1)
        node->produced_in_order = false;
    node->produced_last = body->timeout_ms;
    request->no_response = body->acks == 0;
    request->close_connection = body->acks == 0 && body->timeout_ms < 0;
    (void)request_response(request);
    request_complete(request);
}

static void holder_release(void *holder)
{
    (void)atomic_fetch_add(&((struct node *)holder)->holders_released, 1);
}

/* False when out of memory. */
static bool fetch_fill(struct node *node, struct request *request, size_t size, size_t position)
{
    struct arena *arena = &request->arena;
    struct fetch_response *response = request_response(request);
    size_t parts_count = size > 3 ? 3 : 1; /* Several ranges in a large answer. */
    struct records_part *parts = arena_allocate_array(arena, parts_count, sizeof *parts);
    struct fetch_response_fetchable_topic_response *topic = arena_allocate(arena, sizeof *topic);
    struct fetch_response_partition_data *partition = arena_allocate(arena, sizeof *partition);
    if (response == NULL || parts == NULL || topic == NULL || partition == NULL)
        return false;
    response->responses = topic;
    response->responses_count = 1;
    topic->partitions = partition;
    topic->partitions_count = 1;
    for (size_t i = 0; i < parts_count; i++) {
        size_t part = i + 1 < parts_count ? size / parts_count : size;
        parts[i] = (struct records_part){
            .file = node->file, .position = position, .size = part, .holder = node};
        position += part;
        size -= part;
    }
    partition->records = (struct records){
        .parts = parts, .parts_count = (uint32_t)parts_count, .release = holder_release};
    (void)atomic_fetch_add(&node->holders_given, (int)parts_count);
    return true;
}

static void fetch_start(struct node *node, struct request *request)
{
    const struct fetch_request *body = request->body;
    if (!fetch_fill(node, request, (size_t)body->session_id, (size_t)body->max_wait_ms)) {
        request->response = NULL;
        request->close_connection = true;
    }
    request_complete(request);
}

static bool node_supports(int16_t api_key)
{
    return api_key == API_HEARTBEAT || api_key == API_PRODUCE || api_key == API_FETCH;
}

static bool node_admit(struct request *request)
{
    return request->api->key == API_PRODUCE;
}

static void node_prepare(struct request *request, struct codec_context *context)
{
    assert_int_equal(request->api->key, API_PRODUCE);
    assert_non_null(context);
}

static void node_start_request(struct request *request)
{
    struct node *node = node_of(request);
    if (request->api->key == API_HEARTBEAT)
        heartbeat_start(node, request);
    else if (request->api->key == API_PRODUCE)
        produce_start(node, request);
    else
        fetch_start(node, request);
}

/* ---- the node ---- */

struct net_limits node_limits(void)
{
    struct net_limits limits = net_limits_default();
    limits.io_threads = 2;
    return limits;
}

void node_start(struct node *node, const struct net_limits *limits)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *node = (struct node){.produced_in_order = true};
    list_init(&node->parked);
    assert_int_equal(monitor_new(1, NULL, NULL, &node->monitor), ERROR_NONE);
    node->broker.executor = monitor_executor(node->monitor);
    struct net_listener_options listener = {
        .name = "PLAINTEXT", .host = "127.0.0.1", .advertised_host = "localhost"};
    struct net_options options = {
        .monitor = node->monitor,
        .broker = &node->broker,
        .handler = {node_supports, node_admit, node_prepare, node_start_request},
        .listeners = &listener,
        .listener_count = 1,
        .limits = *limits,
    };
    struct failure failure = {0};
    assert_int_equal(net_open(&options, &node->net, &failure), ERROR_NONE);
    assert_int_equal(net_start(node->net, &failure), ERROR_NONE);
}

static void node_closed(void *context)
{
    atomic_store(&((struct node *)context)->closed, true);
}

static int node_is_closed(struct node *node)
{
    return atomic_load(&node->closed);
}

void node_stop(struct node *node)
{
    net_close(node->net, 1000, node_closed, node);
    node_wait(node, node_is_closed, 1);
    net_free(node->net);
    monitor_free(node->monitor);
    storage_close(node->file);
    if (node->storage != NULL) {
        assert_int_equal(storage_remove(node->storage, "file"), ERROR_NONE);
        storage_directory_close(node->storage);
        assert_int_equal(rmdir(node->directory), 0);
    }
}

uint8_t node_file_byte(size_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

void node_file_make(struct node *node, size_t size)
{
    (void)snprintf(node->directory, sizeof node->directory, "/tmp/topicfs-net-XXXXXX");
    assert_non_null(mkdtemp(node->directory));
    assert_int_equal(storage_directory_open(node->directory, &node->storage), ERROR_NONE);
    assert_int_equal(
        storage_open(node->storage, "file", STORAGE_WRITE | STORAGE_CREATE, &node->file),
        ERROR_NONE);
    uint8_t *bytes = memory_allocate_raw(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = node_file_byte(i);
    assert_int_equal(storage_write(node->file, 0, bytes, size), ERROR_NONE);
    memory_free(bytes);
}

static int node_read(struct node *node, const int *count)
{
    monitor_enter(node->monitor);
    int value = *count;
    monitor_leave(node->monitor);
    return value;
}

int node_parked(struct node *node)
{
    return node_read(node, &node->parked_count);
}

int node_cancelled(struct node *node)
{
    return node_read(node, &node->cancelled_count);
}

int node_produced(struct node *node)
{
    return node_read(node, &node->produced_count);
}

int node_connections(struct node *node)
{
    return (int)net_connection_count(node->net);
}

void node_answer_parked(struct node *node)
{
    monitor_enter(node->monitor);
    while (!list_empty(&node->parked)) {
        struct request *request = container_of(node->parked.previous, struct request, task.link);
        list_remove(&request->task.link);
        node->parked_count--;
        const struct heartbeat_request *body = request->body;
        heartbeat_end(request, (int16_t)-body->generation_id);
    }
    monitor_leave(node->monitor);
}

void node_wait(struct node *node, int (*count)(struct node *), int wanted)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < WAIT_MS; i++) {
        if (count(node) == wanted)
            return;
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(count(node), wanted);
}

/* ---- the client ---- */

int client_connect(const struct node *node)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_port(node->net, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return descriptor;
}

void client_send(int descriptor, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    while (size > 0) {
        ssize_t sent = send(descriptor, next, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        assert_true(sent > 0);
        next += sent;
        size -= (size_t)sent;
    }
}

bool client_read(int descriptor, void *bytes, size_t size)
{
    uint8_t *next = bytes;
    while (size > 0) {
        ssize_t got = recv(descriptor, next, size, 0);
        if (got < 0 && errno == EINTR)
            continue; /* The io_uring of libuv since 1.45 interrupts calls that have a time limit.
                       */
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return false;
        assert_true(got > 0);
        next += got;
        size -= (size_t)got;
    }
    return true;
}

bool client_is_closed(int descriptor)
{
    uint8_t byte;
    return !client_read(descriptor, &byte, 1);
}

static size_t frame_copy(int16_t key, int16_t version, int32_t correlation_id, const void *body,
                         uint8_t *ret_bytes, size_t room)
{
    struct outgoing outgoing;
    assert_int_equal(frame_request_encode(api_find(key), version, correlation_id, slice_of("test"),
                                          body, &outgoing),
                     ERROR_NONE);
    size_t size = 0;
    for (const struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        assert_true(size + chunk->size <= room);
        memcpy(ret_bytes + size, chunk->data, chunk->size);
        size += chunk->size;
    }
    outgoing_done(&outgoing);
    return size;
}

size_t frame_heartbeat(int32_t correlation_id, int32_t generation, uint8_t *ret_bytes, size_t room)
{
    struct heartbeat_request body;
    heartbeat_request_init(&body);
    body.group_id = slice_of("g");
    body.member_id = slice_of("m");
    body.generation_id = generation;
    return frame_copy(API_HEARTBEAT, 4, correlation_id, &body, ret_bytes, room);
}

size_t frame_produce(int32_t correlation_id, int16_t acks, int32_t number, size_t records_size,
                     uint8_t *ret_bytes, size_t room)
{
    struct produce_request body;
    produce_request_init(&body);
    struct produce_request_topic_produce_data topic = {.name = slice_of("t")};
    struct produce_request_partition_produce_data partition = {0};
    uint8_t *records = memory_allocate(records_size);
    assert_non_null(records);
    memset(records, 'r', records_size);
    partition.records.data = slice_from(records, records_size);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    body.acks = acks;
    body.timeout_ms = number;
    body.topic_data = &topic;
    body.topic_data_count = 1;
    size_t size = frame_copy(API_PRODUCE, 9, correlation_id, &body, ret_bytes, room);
    memory_free(records);
    return size;
}

size_t frame_fetch(int32_t correlation_id, int32_t size, int32_t position, uint8_t *ret_bytes,
                   size_t room)
{
    struct fetch_request body;
    fetch_request_init(&body);
    body.session_id = size;
    body.max_wait_ms = position;
    return frame_copy(API_FETCH, 11, correlation_id, &body, ret_bytes, room);
}

void client_heartbeat(int descriptor, int32_t correlation_id, int32_t generation)
{
    uint8_t frame[128];
    client_send(descriptor, frame, frame_heartbeat(correlation_id, generation, frame, 128));
}

void client_expect_heartbeat(int descriptor, int32_t correlation_id, int16_t error_code)
{
    /* size, correlation id, tags, throttle time, error code, tags */
    uint8_t answer[4 + 4 + 1 + 4 + 2 + 1];
    assert_true(client_read(descriptor, answer, sizeof answer));
    assert_int_equal(load_be32(answer), sizeof answer - 4);
    assert_int_equal(load_be32(answer + 4), correlation_id);
    assert_int_equal(load_be16(answer + 13), error_code);
}

void client_expect_fetch(int descriptor, int32_t correlation_id, size_t size, size_t position)
{
    uint8_t head[8];
    assert_true(client_read(descriptor, head, sizeof head));
    size_t frame_size = load_be32(head);
    assert_int_equal(load_be32(head + 4), correlation_id);
    assert_true(frame_size > size);
    uint8_t *rest = memory_allocate_raw(frame_size - 4);
    assert_non_null(rest);
    assert_true(client_read(descriptor, rest, frame_size - 4));
    const uint8_t *records = rest + (frame_size - 4 - size);
    assert_int_equal(load_be32(records - 4), size);
    for (size_t i = 0; i < size; i++) {
        if (records[i] != node_file_byte(position + i))
            assert_int_equal(i, SIZE_MAX); /* Prints where. */
    }
    memory_free(rest);
}
