/* SPDX-License-Identifier: Apache-2.0 */
/* What the way of records between two nodes costs beside a bare socket loop, in one process: large
 * answers from a file in memory by sendfile, received whole. And how long a small call takes.
 *
 *   bare    request of 8 bytes --> sendfile --> recv into one buffer
 *   peers   REPLICA_FETCH --> net --> sendfile --> peers: a buffer an answer, one in flight or two
 *
 * `drive_peer [SECONDS [ANSWER_BYTES]]` prints MiB/s, processor seconds a GiB of both sides
 * together, and microseconds a call. */
#include "base/monitor.h"
#include "base/storage.h"
#include "handle/handlers.h"
#include "measure.h"
#include "net/listener.h"
#include "replicate/peer/peer.h"
#include "wire/api_node_heartbeat.h"
#include "wire/api_replica_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 64 << 20, IN_FLIGHT_MAX = 64, DEADLINE_S = 30 };

struct node {
    struct monitor *monitor;
    struct net *net;
    struct broker broker;
    struct peer_token token;
    struct peer_doorkeeper keeper;
    struct storage *storage;
    struct storage_file *file;
    char directory[64];
    struct peers *peers; /* Of the other node; they share the monitor as nothing else runs in it. */
    size_t answer_bytes;
    sem_t closed; /* One of its parts is. */
};

struct asking {
    struct call call;
    struct node *node;
    struct replica_fetch_request fetch;
    struct node_heartbeat_request heartbeat;
};

static atomic_ulong received;
static atomic_bool stopping;
static atomic_int under_way;
static sem_t stopped; /* The last one under way has ended. */

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static struct timespec after_seconds(double seconds)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + (uint64_t)(seconds * 1e9);
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

/* How long is measured: nothing is waited for but time itself. */
static void wait_seconds(double seconds)
{
    struct timespec until = after_seconds(seconds);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static void wait_posted(sem_t *posted, const char *what)
{
    struct timespec deadline = after_seconds(DEADLINE_S);
    int status;
    while ((status = sem_clockwait(posted, CLOCK_MONOTONIC, &deadline)) != 0 && errno == EINTR)
        ;
    if (status != 0)
        fail("waited %d s in vain: %s", DEADLINE_S, what);
}

/* ---- the limit ---- */

static void *bare_serve(void *argument)
{
    int *sockets = argument;
    uint64_t wanted;
    off_t position = 0;
    while (recv(sockets[0], &wanted, sizeof wanted, MSG_WAITALL) == sizeof wanted) {
        for (size_t left = wanted; left > 0;) {
            if (position + (off_t)left > FILE_BYTES)
                position = 0;
            ssize_t sent = sendfile(sockets[0], sockets[1], &position, left);
            if (sent <= 0)
                return NULL;
            left -= (size_t)sent;
        }
    }
    return NULL;
}

static void tcp_pair(int ret_sockets[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    ret_sockets[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(ret_sockets[1], (struct sockaddr *)&address, size) != 0)
        fail("make a pair of sockets");
    ret_sockets[0] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ret_sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)close(listener);
}

static void print_rate(const char *name, uint64_t bytes, double seconds, double cpu)
{
    printf("%-10s %8.0f MiB/s  %.3f processor seconds a GiB\n", name,
           (double)bytes / seconds / (1 << 20), cpu / ((double)bytes / (1 << 30)));
}

static void bare(const struct node *node, double seconds)
{
    int sockets[2];
    tcp_pair(sockets);
    int serving[2] = {sockets[0], storage_descriptor(node->file)};
    pthread_t thread;
    (void)pthread_create(&thread, NULL, bare_serve, serving);
    uint8_t *buffer = malloc(node->answer_bytes);
    uint64_t bytes = 0;
    uint64_t began = measure_now_ns();
    double cpu = cpu_seconds();
    while (measure_now_ns() - began < (uint64_t)(seconds * 1e9)) {
        uint64_t wanted = node->answer_bytes;
        if (send(sockets[1], &wanted, sizeof wanted, 0) != sizeof wanted)
            fail("send");
        for (size_t got = 0; got < node->answer_bytes;) {
            ssize_t part = recv(sockets[1], buffer + got, node->answer_bytes - got, 0);
            if (part <= 0)
                fail("recv");
            got += (size_t)part;
        }
        bytes += node->answer_bytes;
    }
    print_rate("bare", bytes, (double)(measure_now_ns() - began) / 1e9, cpu_seconds() - cpu);
    (void)close(sockets[1]);
    (void)pthread_join(thread, NULL);
    (void)close(sockets[0]);
    free(buffer);
}

/* ---- the node that answers ---- */

static bool node_supports(int16_t key)
{
    return key == API_PEER_HELLO || key == API_PEER_PROOF || key == API_REPLICA_FETCH ||
           key == API_NODE_HEARTBEAT;
}

static bool node_admit(struct request *request)
{
    (void)request;
    return false;
}

static void node_prepare(struct request *request, struct codec_context *context)
{
    (void)request;
    (void)context;
}

static void fetch_start(struct request *request)
{
    struct node *node = container_of(request->broker, struct node, broker);
    const struct replica_fetch_request *body = request->body;
    struct replica_fetch_response *response = request_response(request);
    struct arena *arena = &request->arena;
    struct records_part *part = arena_allocate(arena, sizeof *part);
    struct replica_fetch_response_replica_topic *topic = arena_allocate(arena, sizeof *topic);
    struct replica_fetch_response_replica_partition *partition =
        arena_allocate(arena, sizeof *partition);
    if (response == NULL || part == NULL || topic == NULL || partition == NULL)
        fail("out of memory");
    *part = (struct records_part){.file = node->file, .size = (size_t)body->max_bytes};
    partition->records = (struct records){.parts = part, .parts_count = 1};
    topic->partitions = partition;
    topic->partitions_count = 1;
    response->topics = topic;
    response->topics_count = 1;
    request_complete(request);
}

static void node_begin(struct request *request)
{
    if (request->api->key == API_PEER_HELLO) {
        handle_peer_hello(request);
    } else if (request->api->key == API_PEER_PROOF) {
        handle_peer_proof(request);
    } else if (request->api->key == API_REPLICA_FETCH) {
        fetch_start(request);
    } else {
        (void)request_response(request);
        request_complete(request);
    }
}

static bool node_address(void *context, int32_t node_id, char ret_host[PEER_HOST_BYTES],
                         uint16_t *ret_port)
{
    const struct node *node = context;
    (void)node_id;
    (void)snprintf(ret_host, PEER_HOST_BYTES, "127.0.0.1");
    *ret_port = net_port(node->net, 0);
    return true;
}

static void file_make(struct node *node)
{
    (void)snprintf(node->directory, sizeof node->directory, "/tmp/topicfs-peer-XXXXXX");
    if (mkdtemp(node->directory) == NULL ||
        storage_directory_open(node->directory, &node->storage) != ERROR_NONE ||
        storage_open(node->storage, "file", STORAGE_WRITE | STORAGE_CREATE, &node->file) !=
            ERROR_NONE)
        fail("make a file");
    static uint8_t bytes[1 << 20];
    memset(bytes, 'r', sizeof bytes);
    for (size_t at = 0; at < FILE_BYTES; at += sizeof bytes) {
        if (storage_write(node->file, at, bytes, sizeof bytes) != ERROR_NONE)
            fail("fill the file");
    }
}

static void node_open(struct node *node)
{
    file_make(node);
    struct failure failure = {0};
    if (monitor_new(1, NULL, NULL, &node->monitor) != ERROR_NONE)
        fail("make a monitor");
    node->broker.executor = monitor_executor(node->monitor);
    node->token.size = PEER_TOKEN_BYTES_MIN;
    node->keeper = (struct peer_doorkeeper){.token = &node->token, .identity = {{{1}}, 2, {{22}}}};
    node->broker.doorkeeper = &node->keeper;
    struct net_listener_options listener = {
        .name = "PLAINTEXT", .host = "127.0.0.1", .advertised_host = "127.0.0.1"};
    struct net_options net = {
        .monitor = node->monitor,
        .broker = &node->broker,
        .handler = {node_supports, node_admit, node_prepare, node_begin},
        .listeners = &listener,
        .listener_count = 1,
        .limits = net_limits_default(),
    };
    struct peers_options peers = {.monitor = node->monitor,
                                  .token = &node->token,
                                  .identity = {{{1}}, 1, {{11}}},
                                  .address = node_address,
                                  .context = node};
    if (net_open(&net, &node->net, &failure) != ERROR_NONE ||
        net_start(node->net, &failure) != ERROR_NONE ||
        peers_open(&peers, &node->peers, &failure) != ERROR_NONE)
        fail("%s", failure.where);
}

static void node_closed(void *context)
{
    (void)sem_post(&((struct node *)context)->closed);
}

static void node_close(struct node *node)
{
    peers_close(node->peers, node_closed, node);
    wait_posted(&node->closed, "the peers are closed");
    peers_free(node->peers);
    net_close(node->net, 0, node_closed, node);
    wait_posted(&node->closed, "the port is closed");
    net_free(node->net);
    monitor_free(node->monitor);
    storage_close(node->file);
    (void)storage_remove(node->storage, "file");
    storage_directory_close(node->storage);
    (void)rmdir(node->directory);
}

/* ---- the node that asks ---- */

static void ask(struct asking *asking, bool large);

static void answered(struct call *call)
{
    struct asking *asking = container_of(call, struct asking, call);
    bool large = call->api->key == API_REPLICA_FETCH;
    if (call->error != ERROR_NONE)
        fail("a call ended: %s", error_text(call->error));
    (void)atomic_fetch_add(&received, large ? asking->node->answer_bytes : 1);
    call_done(call);
    if (!atomic_load(&stopping))
        ask(asking, large);
    else if (atomic_fetch_sub(&under_way, 1) == 1)
        (void)sem_post(&stopped);
}

/* Inside the monitor. */
static void ask(struct asking *asking, bool large)
{
    struct node *node = asking->node;
    call_init(&asking->call, peers_caller(node->peers),
              api_find(large ? API_REPLICA_FETCH : API_NODE_HEARTBEAT), 2,
              large ? CALL_REPLICA : CALL_CONTROL, 10000);
    asking->call.body = large ? (void *)&asking->fetch : (void *)&asking->heartbeat;
    asking->call.done = answered;
    call_start(node->broker.executor, &asking->call);
}

static void wait_stopped(void)
{
    atomic_store(&stopping, true);
    wait_posted(&stopped, "every call has ended");
}

static void drive(struct node *node, const char *name, bool large, int in_flight, double seconds)
{
    static struct asking askings[IN_FLIGHT_MAX];
    atomic_store(&stopping, false);
    atomic_store(&under_way, in_flight);
    monitor_enter(node->monitor);
    for (int i = 0; i < in_flight; i++) {
        askings[i] = (struct asking){.node = node};
        replica_fetch_request_init(&askings[i].fetch);
        node_heartbeat_request_init(&askings[i].heartbeat);
        askings[i].fetch.max_bytes = (int32_t)node->answer_bytes;
        ask(&askings[i], large);
    }
    monitor_leave(node->monitor);
    wait_seconds(0.2);
    unsigned long before = atomic_load(&received);
    uint64_t began = measure_now_ns();
    double cpu = cpu_seconds();
    wait_seconds(seconds);
    unsigned long count = atomic_load(&received) - before;
    double took = (double)(measure_now_ns() - began) / 1e9;
    cpu = cpu_seconds() - cpu;
    if (large)
        print_rate(name, count, took, cpu);
    else
        printf("%-10s %8.1f us a call, %.1f us of processor time, %d in flight\n", name,
               took / (double)count * 1e6, cpu / (double)count * 1e6, in_flight);
    wait_stopped();
}

int main(int argc, char **argv)
{
    static struct node node;
    (void)sem_init(&node.closed, 0, 0);
    (void)sem_init(&stopped, 0, 0);
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
    node.answer_bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1 << 20;
    if (seconds <= 0 || node.answer_bytes == 0 || node.answer_bytes > FILE_BYTES)
        fail("drive_peer [SECONDS [ANSWER_BYTES]]");
    node_open(&node);
    for (int round = 0; round < 2; round++) {
        bare(&node, seconds);
        drive(&node, "peers, 1", true, 1, seconds);
        drive(&node, "peers, 2", true, 2, seconds);
    }
    drive(&node, "calls", false, 1, seconds);
    drive(&node, "calls", false, IN_FLIGHT_MAX, seconds);
    node_close(&node);
    return 0;
}
