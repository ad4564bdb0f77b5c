/* SPDX-License-Identifier: Apache-2.0 */
/* A port with a tiny set of handlers behind it, and a client of it, for the tests of net.
 *
 *   Heartbeat   answered at once with error code = generation id; a negative one waits until
 *               node_answer_parked (in reverse order) or its cancellation (error 27)
 *   Produce     counted; answered with no topics; timeout -1 with acks 0 closes the connection
 *   Fetch       session id bytes of the test's file from position max wait, as records
 */
#ifndef TESTS_NET_NODE_H
#define TESTS_NET_NODE_H

#include "base/monitor.h"
#include "base/storage.h"
#include "net/listener.h"
#include "wire/api_fetch.h"
#include "wire/api_heartbeat.h"
#include "wire/api_produce.h"
#include "wire/frame.h"

#include <stdatomic.h>

enum { NODE_CANCELLED_CODE = 27 };

struct node {
    struct monitor *monitor;
    struct net *net;
    struct broker broker;
    struct storage *storage; /* NULL until node_file_make. */
    struct storage_file *file;
    char directory[64];
    struct list parked; /* Inside the monitor, like the counts. */
    int parked_count;
    int cancelled_count;
    int produced_count;
    int64_t produced_last; /* Timeout of the last Produce: its number. */
    bool produced_in_order;
    atomic_int holders_given;
    atomic_int holders_released;
    atomic_bool closed;
};

/* Small limits suit a test; io_threads 2. */
struct net_limits node_limits(void);

void node_start(struct node *node, const struct net_limits *limits);
void node_stop(struct node *node);

/* `size` bytes: byte i is i * 31 + i / 251. */
void node_file_make(struct node *node, size_t size);
uint8_t node_file_byte(size_t position);

/* Reads one of the counts inside the monitor. */
int node_parked(struct node *node);
int node_cancelled(struct node *node);
int node_produced(struct node *node);

/* Completes every parked request, newest first, from the calling thread. */
void node_answer_parked(struct node *node);

/* Waits until `count(node)` is `wanted`, failing the test after ten seconds. */
void node_wait(struct node *node, int (*count)(struct node *), int wanted);
int node_connections(struct node *node);

/* ---- client: blocking, fails the test after ten seconds ---- */

int client_connect(const struct node *node);
void client_send(int descriptor, const void *bytes, size_t size);

/* Reads exactly `size`; false when the other side closed (or reset) before that. */
bool client_read(int descriptor, void *bytes, size_t size);

/* The other side closes without sending anything. */
bool client_is_closed(int descriptor);

/* One frame as bytes in `ret_bytes` (room for `room`); returns the size. */
size_t frame_heartbeat(int32_t correlation_id, int32_t generation, uint8_t *ret_bytes, size_t room);
size_t frame_produce(int32_t correlation_id, int16_t acks, int32_t number, size_t records_size,
                     uint8_t *ret_bytes, size_t room);
size_t frame_fetch(int32_t correlation_id, int32_t size, int32_t position, uint8_t *ret_bytes,
                   size_t room);

void client_heartbeat(int descriptor, int32_t correlation_id, int32_t generation);

/* Reads a Heartbeat answer and checks both. */
void client_expect_heartbeat(int descriptor, int32_t correlation_id, int16_t error_code);

/* Reads a Fetch answer and checks every byte of the file range in it. */
void client_expect_fetch(int descriptor, int32_t correlation_id, size_t size, size_t position);

#endif
