/* SPDX-License-Identifier: Apache-2.0 */
/* A load on a broker's port: connections with requests in flight, one thread.
 *
 * Closed loop: every answer is followed by the next request. Fixed rate: request k of connection c
 * is due at start + (k * connections + c) / rate, and its latency counts from then, however late it
 * could be sent: waiting behind others is the broker's doing. */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "histogram.h"
#include "request.h"

#include <stdbool.h>

struct load_place {
    char host[256];
    char port[8];
};

enum { LOAD_PIDS_MAX = 16 };

struct load_wish {
    struct load_place *places; /* Connection c goes to number c modulo count. */
    uint32_t place_count;
    uint32_t connections;
    uint32_t in_flight;         /* On each connection; 1 for fetches. */
    double requests_per_second; /* 0: closed loop. */
    uint64_t requests;          /* Measured. */
    uint64_t requests_before;   /* Sent before measuring begins. */
    const int *pids;            /* Of brokers whose processor time is wanted, all together. */
    uint32_t pid_count;
    bool unanswered; /* acks=0. */
    bool is_fetch;
    struct request *ready; /* Connection c sends number k * connections + c, modulo count. A fetch
                              connection keeps to number c. */
    uint32_t ready_count;
};

struct load_result {
    uint64_t requests;
    uint64_t bytes; /* Of records in fetched answers. */
    double seconds;
    double cpu_seconds;
    struct histogram latencies; /* ns */
};

/* Ends the program when the broker refuses anything. */
void load_run(const struct load_wish *wish, struct load_result *ret_result);

/* Sends one request on a connection of its own and gives its answer, for the caller to free. */
struct slice load_ask(const struct load_place *place, const struct request *request,
                      uint8_t **ret_memory);

#endif
