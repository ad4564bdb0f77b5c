/* SPDX-License-Identifier: Apache-2.0 */
/* Everything at once: clients that ask, wait, break off and talk nonsense while the node answers,
 * runs out of memory, and stops. */
#include "node.h"

#include "base/memory.h"

#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 8, ROUNDS = 60, SWEEP_MAX = 400 };

struct storm {
    struct node node;
    atomic_int clients_running;
};

struct storm_client {
    struct storm *storm;
    uint64_t random;
    pthread_t thread;
};

static uint32_t next_random(struct storm_client *client)
{
    client->random = client->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(client->random >> 33);
}

/* Up to thirty requests of all kinds; some of them wait. Returns how many bytes. */
static size_t compose(struct storm_client *client, uint8_t *bytes, size_t room, int *ret_answers)
{
    size_t size = 0;
    *ret_answers = 0;
    for (uint32_t left = 1 + next_random(client) % 30; left > 0; left--) {
        switch (next_random(client) % 4) {
        case 0:
            size += frame_heartbeat(*ret_answers, 5, bytes + size, room - size);
            break;
        case 1:
            size += frame_heartbeat(*ret_answers, -5, bytes + size, room - size);
            break;
        case 2:
            size += frame_fetch(*ret_answers, (int32_t)(1 + next_random(client) % 50000), 0,
                                bytes + size, room - size);
            break;
        default:
            size += frame_produce(*ret_answers, 1, 1, next_random(client) % 60000, bytes + size,
                                  room - size);
            break;
        }
        ++*ret_answers;
    }
    return size;
}

/* Reads answers whole and checks their order. */
static void read_answers(int descriptor, int answers)
{
    static const size_t frame_max = 1 << 20;
    uint8_t *rest = memory_allocate_raw(frame_max);
    assert_non_null(rest);
    for (int i = 0; i < answers; i++) {
        uint8_t head[8];
        assert_true(client_read(descriptor, head, sizeof head));
        assert_int_equal(load_be32(head + 4), i);
        size_t size = load_be32(head) - 4;
        assert_true(size <= frame_max);
        assert_true(client_read(descriptor, rest, size));
    }
    memory_free(rest);
}

static void *storm_client_run(void *argument)
{
    static const size_t room = 2 << 20;
    struct storm_client *client = argument;
    uint8_t *bytes = memory_allocate_raw(room);
    assert_non_null(bytes);
    for (int i = 0; i < ROUNDS; i++) {
        int answers;
        size_t size = compose(client, bytes, room, &answers);
        int descriptor = client_connect(&client->storm->node);
        switch (next_random(client) % 5) {
        case 0: /* Breaks off in the middle of a request. */
            client_send(descriptor, bytes, next_random(client) % size);
            break;
        case 1: /* Leaves while all of it is under way. */
            client_send(descriptor, bytes, size);
            break;
        case 2: { /* Leaves with a reset. */
            struct linger hard = {.l_onoff = 1};
            (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            client_send(descriptor, bytes, size);
            break;
        }
        case 3: /* Nonsense behind good requests. */
            client_send(descriptor, bytes, size);
            client_send(descriptor, "HELO there\r\n", 12);
            read_answers(descriptor, answers);
            assert_true(client_is_closed(descriptor));
            break;
        default:
            client_send(descriptor, bytes, size);
            read_answers(descriptor, answers);
            break;
        }
        (void)close(descriptor);
    }
    memory_free(bytes);
    (void)atomic_fetch_sub(&client->storm->clients_running, 1);
    return NULL;
}

/* Whatever clients do to their connections, every answer that is read is whole and in order, and in
 * the end every connection, request and file range is gone. */
static void clients_may_do_anything(void **state)
{
    (void)state;
    struct storm storm;
    struct net_limits limits = node_limits();
    limits.connection_requests_max = 10;
    limits.connection_bytes_max = 256 * 1024;
    node_start(&storm.node, &limits);
    node_file_make(&storm.node, 64 * 1024);
    atomic_init(&storm.clients_running, CLIENTS);
    struct storm_client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct storm_client){.storm = &storm, .random = (uint64_t)i + 1};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, storm_client_run, &clients[i]),
                         0);
    }
    while (atomic_load(&storm.clients_running) > 0)
        node_answer_parked(&storm.node);
    for (int i = 0; i < CLIENTS; i++)
        (void)pthread_join(clients[i].thread, NULL);
    node_answer_parked(&storm.node);
    node_wait(&storm.node, node_connections, 0);
    node_stop(&storm.node);
}

/* What one client asks in the sweep: every kind of request, answered or broken off. */
static void ask_everything(struct node *node, const uint8_t *bytes, size_t size)
{
    int descriptor = client_connect(node);
    client_send(descriptor, bytes, size);
    (void)shutdown(descriptor, SHUT_WR);
    uint8_t byte;
    while (client_read(descriptor, &byte, 1))
        ;
    (void)close(descriptor);
}

/* The Nth allocation is refused, for every N: the connection may close, nothing else happens, and
 * the next client is served. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    static uint8_t bytes[512 * 1024];
    size_t size = frame_heartbeat(1, 5, bytes, sizeof bytes);
    size += frame_produce(2, 1, 1, 100000, bytes + size, sizeof bytes - size);
    size += frame_fetch(3, 50000, 0, bytes + size, sizeof bytes - size);
    size += frame_produce(4, 1, 1, 100000, bytes + size, sizeof bytes - size);
    size += frame_heartbeat(5, 5, bytes + size, sizeof bytes - size);
    for (long refused = 0; refused < SWEEP_MAX; refused++) {
        struct node node;
        struct net_limits limits = node_limits();
        limits.io_threads = 1;
        node_start(&node, &limits);
        node_file_make(&node, 64 * 1024);
        memory_fault_arm(refused);
        ask_everything(&node, bytes, size);
        bool fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        node_wait(&node, node_connections, 0);
        int client = client_connect(&node);
        client_heartbeat(client, 1, 1);
        client_expect_heartbeat(client, 1, 1);
        (void)close(client);
        node_stop(&node);
        if (!fired) {
            assert_true(refused > 10); /* It did refuse some. */
            return;
        }
    }
    fail_msg("still failing after %d allocations", SWEEP_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_may_do_anything),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
