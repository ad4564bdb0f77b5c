/* SPDX-License-Identifier: Apache-2.0 */
/* The two nodes and the wire. */
#include "peer_fixture.h"

#include "handle/handlers.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static const char token_text[] = "the token of the cluster";

static void wait_a_moment(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
}

void wait_for(atomic_int *count, int wanted)
{
    for (int i = 0; i < WAIT_MS && atomic_load(count) != wanted; i++)
        wait_a_moment();
    assert_int_equal(atomic_load(count), wanted);
}

void wait_at_least(atomic_int *count, int wanted)
{
    for (int i = 0; i < WAIT_MS && atomic_load(count) < wanted; i++)
        wait_a_moment();
    assert_true(atomic_load(count) >= wanted);
}

void wait_flag(atomic_bool *flag)
{
    for (int i = 0; i < WAIT_MS && !atomic_load(flag); i++)
        wait_a_moment();
    assert_true(atomic_load(flag));
}

/* ---- the node that answers ---- */

static struct answerer *answerer_of(struct request *request)
{
    return container_of(request->broker, struct answerer, broker);
}

static bool answerer_supports(int16_t key)
{
    return key == API_PEER_HELLO || key == API_PEER_PROOF || key == API_TEXT_READ ||
           key == API_TEXT_STAT;
}

static bool answerer_admit(struct request *request)
{
    (void)request;
    return false;
}

static void answerer_prepare(struct request *request, struct codec_context *context)
{
    (void)request;
    (void)context;
}

static void read_start(struct request *request)
{
    const struct text_read_request *body = request->body;
    struct text_read_response *response = request_response(request);
    uint8_t *bytes = arena_allocate(&request->arena, (size_t)body->max_bytes);
    if (response == NULL || bytes == NULL) {
        request_fail(request);
        return;
    }
    for (int32_t i = 0; i < body->max_bytes; i++)
        bytes[i] = (uint8_t)(body->position + i);
    response->batch_position = body->position;
    response->records.data = slice_from(bytes, (size_t)body->max_bytes);
    request_complete(request);
}

static void stat_end(struct request *request)
{
    const struct text_stat_request *body = request->body;
    struct text_stat_response *response = request_response(request);
    if (response != NULL)
        response->topics = arena_allocate_array(&request->arena, 1, sizeof *response->topics);
    if (response == NULL || response->topics == NULL || body->topics_count != 1) {
        request_fail(request);
        return;
    }
    text_stat_response_topic_answer_init(&response->topics[0]);
    response->topics[0].topic_id = body->topics[0].topic_id;
    response->topics_count = 1;
    request_complete(request);
}

static void stat_cancel(struct request *request)
{
    struct answerer *answerer = answerer_of(request);
    list_remove(&request->task.link);
    answerer->parked_count--;
    answerer->cancelled_count++;
    if (answerer->dies)
        request_fail(request);
    else
        stat_end(request);
}

static void stat_start(struct request *request)
{
    const struct text_stat_request *body = request->body;
    struct answerer *answerer = answerer_of(request);
    if (body->max_wait_ms == 0) {
        stat_end(request);
        return;
    }
    request->cancel = stat_cancel;
    list_push(&answerer->parked, &request->task.link);
    answerer->parked_count++;
}

static void answerer_begin(struct request *request)
{
    struct answerer *answerer = answerer_of(request);
    if (request->api->key == API_PEER_HELLO) {
        handle_peer_hello(request);
        return;
    }
    if (request->api->key == API_PEER_PROOF) {
        handle_peer_proof(request);
        return;
    }
    if (request->requester.peer_node_id == PEER_CLIENT) {
        request_refuse_stranger(request, offsetof(struct text_read_response, error_code));
        return;
    }
    answerer->served_count++;
    answerer->last_peer = request->requester.peer_node_id;
    if (request->api->key == API_TEXT_READ)
        read_start(request);
    else
        stat_start(request);
}

static void raft_arrived(void *context, int descriptor, int32_t node_id, const char *address)
{
    struct answerer *answerer = context;
    answerer->raft_node_id = node_id;
    (void)snprintf(answerer->raft_address, sizeof answerer->raft_address, "%s", address);
    atomic_store(&answerer->raft_descriptor, descriptor);
}

static enum peer_standing answerer_standing(void *context, const struct peer_identity *peer)
{
    (void)peer;
    return ((struct answerer *)context)->standing;
}

void answerer_init(struct answerer *answerer)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *answerer = (struct answerer){.raft_descriptor = -1, .standing = PEER_STANDING_UNKNOWN};
    answerer->raft_accepted = raft_arrived;
    answerer->raft_context = answerer;
    list_init(&answerer->parked);
    answerer->token.size = strlen(token_text);
    memcpy(answerer->token.bytes, token_text, answerer->token.size);
    answerer->keeper = (struct peer_doorkeeper){
        .token = &answerer->token,
        .identity = {.cluster_id = {{1}}, .node_id = 2, .node_uuid = {{22}}},
        .standing = answerer_standing,
        .context = answerer,
    };
}

void answerer_restart(struct answerer *answerer)
{
    assert_int_equal(monitor_new(1, NULL, NULL, &answerer->monitor), ERROR_NONE);
    answerer->broker.executor = monitor_executor(answerer->monitor);
    answerer->broker.doorkeeper = &answerer->keeper;
    struct net_listener_options listener = {.name = "PLAINTEXT",
                                            .host = "127.0.0.1",
                                            .port = answerer->port,
                                            .advertised_host = "127.0.0.1"};
    struct net_options options = {
        .monitor = answerer->monitor,
        .broker = &answerer->broker,
        .handler = {answerer_supports, answerer_admit, answerer_prepare, answerer_begin},
        .listeners = &listener,
        .listener_count = 1,
        .limits = net_limits_default(),
        .raft_accepted = answerer->raft_accepted,
        .raft_context = answerer->raft_context,
    };
    if (answerer->connections_max > 0)
        options.limits.connections_max = answerer->connections_max;
    if (answerer->connections_per_ip_max > 0)
        options.limits.connections_per_ip_max = answerer->connections_per_ip_max;
    struct failure failure = {0};
    if (net_open(&options, &answerer->net, &failure) != ERROR_NONE)
        fail_msg("%s", failure.where);
    assert_int_equal(net_start(answerer->net, &failure), ERROR_NONE);
    answerer->port = net_port(answerer->net, 0);
}

void answerer_start(struct answerer *answerer)
{
    answerer_restart(answerer);
}

static void answerer_closed(void *context)
{
    atomic_store(&((struct answerer *)context)->closed, true);
}

void answerer_stop(struct answerer *answerer)
{
    atomic_store(&answerer->closed, false);
    net_close(answerer->net, 0, answerer_closed, answerer);
    wait_flag(&answerer->closed);
    net_free(answerer->net);
    monitor_free(answerer->monitor);
    answerer->net = NULL;
}

void answerer_release(struct answerer *answerer)
{
    monitor_enter(answerer->monitor);
    while (!list_empty(&answerer->parked)) {
        struct request *request =
            container_of(answerer->parked.previous, struct request, task.link);
        list_remove(&request->task.link);
        answerer->parked_count--;
        stat_end(request);
    }
    monitor_leave(answerer->monitor);
}

static int answerer_count(struct answerer *answerer, const int *count)
{
    monitor_enter(answerer->monitor);
    int value = *count;
    monitor_leave(answerer->monitor);
    return value;
}

int answerer_parked(struct answerer *answerer)
{
    return answerer_count(answerer, &answerer->parked_count);
}

int answerer_cancelled(struct answerer *answerer)
{
    return answerer_count(answerer, &answerer->cancelled_count);
}

int answerer_served(struct answerer *answerer)
{
    return answerer_count(answerer, &answerer->served_count);
}

void wait_answerer(struct answerer *answerer, int (*count)(struct answerer *), int wanted)
{
    for (int i = 0; i < WAIT_MS && count(answerer) != wanted; i++)
        wait_a_moment();
    assert_int_equal(count(answerer), wanted);
}

/* ---- the node that asks ---- */

static bool asker_address(void *context, int32_t node_id, char ret_host[PEER_HOST_BYTES],
                          uint16_t *ret_port)
{
    struct asker *asker = context;
    int port = atomic_load(&asker->port);
    if (node_id != 2 || port == 0)
        return false;
    (void)snprintf(ret_host, PEER_HOST_BYTES, "%s", asker->host);
    *ret_port = (uint16_t)port;
    return true;
}

static void asker_lost(void *context, int32_t node_id, enum peer_loss loss)
{
    struct asker *asker = context;
    assert_int_equal(node_id, 2);
    (void)atomic_fetch_add(loss == PEER_REFUSED ? &asker->refused_count : &asker->lost_count, 1);
}

void asker_init(struct asker *asker, uint16_t port)
{
    *asker = (struct asker){
        .port = port,
        .host = "127.0.0.1",
        .identity = {.cluster_id = {{1}}, .node_id = 1, .node_uuid = {{11}}},
    };
    asker->token.size = strlen(token_text);
    memcpy(asker->token.bytes, token_text, asker->token.size);
}

void asker_start(struct asker *asker)
{
    assert_int_equal(monitor_new(1, NULL, NULL, &asker->monitor), ERROR_NONE);
    struct peers_options options = {
        .monitor = asker->monitor,
        .token = asker->token.size == 0 ? NULL : &asker->token,
        .identity = asker->identity,
        .address = asker_address,
        .lost = asker_lost,
        .context = asker,
        .attempt_timeout_ms = asker->attempt_timeout_ms,
    };
    struct failure failure = {0};
    assert_int_equal(peers_open(&options, &asker->peers, &failure), ERROR_NONE);
}

void asker_closed(void *context)
{
    atomic_store(&((struct asker *)context)->closed, true);
}

void asker_stop(struct asker *asker)
{
    atomic_store(&asker->closed, false);
    peers_close(asker->peers, asker_closed, asker);
    wait_flag(&asker->closed);
    peers_free(asker->peers);
    monitor_free(asker->monitor);
}

static void asked_done(struct call *call)
{
    static atomic_int orders;
    struct asked *asked = container_of(call, struct asked, call);
    asked->order = atomic_fetch_add(&orders, 1) + 1;
    atomic_store(&asked->over, true);
}

void asked_begin(struct asker *asker, struct asked *asked)
{
    asked->asker = asker;
    asked->call.done = asked_done;
    monitor_enter(asker->monitor);
    call_start(monitor_executor(asker->monitor), &asked->call);
    monitor_leave(asker->monitor);
}

void ask_read(struct asker *asker, struct asked *asked, enum call_channel channel, int64_t position,
              int32_t size)
{
    *asked = (struct asked){0};
    call_init(&asked->call, peers_caller(asker->peers), api_find(API_TEXT_READ), 2, channel,
              WAIT_MS);
    text_read_request_init(&asked->body.text_read);
    asked->body.text_read.position = position;
    asked->body.text_read.max_bytes = size;
    asked->call.body = &asked->body.text_read;
    asked_begin(asker, asked);
}

void ask_stat(struct asker *asker, struct asked *asked, enum call_channel channel, int64_t number,
              int32_t max_wait_ms, int64_t timeout_ms)
{
    *asked = (struct asked){0};
    call_init(&asked->call, peers_caller(asker->peers), api_find(API_TEXT_STAT), 2, channel,
              timeout_ms);
    text_stat_request_init(&asked->body.text_stat);
    text_stat_request_topic_init(&asked->topic);
    memcpy(asked->topic.topic_id.bytes, &number, sizeof number);
    asked->body.text_stat.topics = &asked->topic;
    asked->body.text_stat.topics_count = 1;
    asked->body.text_stat.max_wait_ms = max_wait_ms;
    asked->call.body = &asked->body.text_stat;
    asked_begin(asker, asked);
}

void asked_cancel(struct asked *asked)
{
    monitor_enter(asked->asker->monitor);
    call_cancel(&asked->call);
    monitor_leave(asked->asker->monitor);
}

static void read_check(const struct asked *asked)
{
    const struct text_read_response *response = asked->call.response;
    assert_int_equal(response->error_code, 0);
    assert_int_equal(response->batch_position, asked->body.text_read.position);
    assert_int_equal(response->records.data.size, asked->body.text_read.max_bytes);
    for (size_t i = 0; i < response->records.data.size; i++) {
        if (response->records.data.data[i] != (uint8_t)(response->batch_position + (int64_t)i))
            assert_int_equal(i, SIZE_MAX); /* Prints where. */
    }
}

enum error asked_wait(struct asked *asked)
{
    wait_flag(&asked->over);
    enum error error = asked->call.error;
    if (error == ERROR_NONE && asked->call.api->key == API_TEXT_READ)
        read_check(asked);
    if (error == ERROR_NONE && asked->call.api->key == API_TEXT_STAT) {
        const struct text_stat_response *response = asked->call.response;
        assert_int_equal(response->error_code, 0);
        assert_int_equal(response->topics_count, 1);
        assert_true(uuid_equals(&response->topics[0].topic_id, &asked->topic.topic_id));
    }
    call_done(&asked->call);
    return error;
}

/* ---- the wire ---- */

enum { WIRE_PAIRS_MAX = 32 };

struct pair {
    int asker;
    int answerer;
    long answered;
    bool stalled;
};

static int connect_to(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        return descriptor;
    (void)close(descriptor);
    return -1;
}

static void pair_end(struct pair *pair, bool reset)
{
    struct linger at_once = {.l_onoff = 1};
    if (reset)
        (void)setsockopt(pair->asker, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(pair->asker);
    (void)close(pair->answerer);
    pair->asker = -1;
}

static bool send_all(int descriptor, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Answers on their way; false when the connection is over. */
static bool wire_answer(struct wire *wire, struct pair *pair, const uint8_t *bytes, size_t size)
{
    int mode = atomic_load(&wire->mode);
    long left = atomic_load(&wire->at) - pair->answered;
    bool reached = mode != WIRE_FORWARD && left < (long)size;
    size_t part = reached ? (left < 0 ? 0 : (size_t)left) : size;
    if (!send_all(pair->asker, bytes, part))
        return false;
    pair->answered += (long)part;
    (void)atomic_fetch_add(&wire->answered, (int)part);
    if (!reached)
        return true;
    pair->stalled = true;
    if (mode == WIRE_REPLACE)
        (void)send_all(pair->asker, wire->evil, wire->evil_size);
    return mode == WIRE_STALL || mode == WIRE_REPLACE;
}

static void pair_serve(struct wire *wire, struct pair *pair, short from_asker, short from_answerer)
{
    uint8_t bytes[16 * 1024];
    bool open = true;
    if (from_asker != 0) {
        ssize_t got = recv(pair->asker, bytes, sizeof bytes, 0);
        open = got > 0 && send_all(pair->answerer, bytes, (size_t)got);
    }
    if (open && from_answerer != 0) {
        ssize_t got = recv(pair->answerer, bytes, sizeof bytes, 0);
        open = got > 0 && (pair->stalled || wire_answer(wire, pair, bytes, (size_t)got));
    }
    if (!open)
        pair_end(pair, atomic_load(&wire->mode) == WIRE_RESET);
}

static void wire_accept(struct wire *wire, struct pair *pair)
{
    int one = 1;
    pair->asker = accept(wire->listener, NULL, NULL);
    if (pair->asker < 0)
        return;
    pair->answerer = connect_to(wire->target);
    if (pair->answerer < 0) {
        (void)close(pair->asker);
        pair->asker = -1;
        return;
    }
    (void)setsockopt(pair->asker, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(pair->answerer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pair->answered = 0;
    pair->stalled = false;
    (void)atomic_fetch_add(&wire->connections, 1);
}

static void *wire_thread(void *argument)
{
    struct wire *wire = argument;
    struct pair pairs[WIRE_PAIRS_MAX];
    for (int i = 0; i < WIRE_PAIRS_MAX; i++)
        pairs[i].asker = -1;
    while (!atomic_load(&wire->stopping)) {
        struct pollfd polls[2 + 2 * WIRE_PAIRS_MAX];
        polls[0] = (struct pollfd){.fd = wire->listener, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = wire->wake[0], .events = POLLIN};
        struct pair *spare = NULL;
        for (int i = 0; i < WIRE_PAIRS_MAX; i++) {
            bool open = pairs[i].asker >= 0;
            polls[2 + 2 * i] = (struct pollfd){.fd = open ? pairs[i].asker : -1, .events = POLLIN};
            polls[3 + 2 * i] =
                (struct pollfd){.fd = open ? pairs[i].answerer : -1, .events = POLLIN};
            if (!open)
                spare = &pairs[i];
        }
        (void)poll(polls, 2 + 2 * WIRE_PAIRS_MAX, -1);
        for (int i = 0; i < WIRE_PAIRS_MAX; i++) {
            if (pairs[i].asker >= 0)
                pair_serve(wire, &pairs[i], polls[2 + 2 * i].revents, polls[3 + 2 * i].revents);
        }
        if (polls[0].revents != 0 && spare != NULL)
            wire_accept(wire, spare);
    }
    for (int i = 0; i < WIRE_PAIRS_MAX; i++) {
        if (pairs[i].asker >= 0)
            pair_end(&pairs[i], false);
    }
    return NULL;
}

void wire_start(struct wire *wire, uint16_t target)
{
    wire_start_at(wire, target, 0);
}

void wire_start_at(struct wire *wire, uint16_t target, uint16_t port)
{
    int one = 1;
    *wire = (struct wire){.target = target};
    wire->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(wire->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(wire->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(wire->listener, 64), 0);
    assert_int_equal(getsockname(wire->listener, (struct sockaddr *)&address, &size), 0);
    wire->port = ntohs(address.sin_port);
    assert_int_equal(pipe(wire->wake), 0);
    assert_int_equal(pthread_create(&wire->thread, NULL, wire_thread, wire), 0);
}

void wire_stop(struct wire *wire)
{
    atomic_store(&wire->stopping, true);
    assert_int_equal(write(wire->wake[1], "", 1), 1);
    (void)pthread_join(wire->thread, NULL);
    (void)close(wire->listener);
    (void)close(wire->wake[0]);
    (void)close(wire->wake[1]);
}
