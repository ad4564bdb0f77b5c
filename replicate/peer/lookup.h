/* SPDX-License-Identifier: Apache-2.0 */
/* Looking host names up without waiting: getaddrinfo(3) on threads of its own, not libuv's, which
 * Raft's disk work shares, because it may take as long as a name server likes. A thread that is
 * stuck is left behind at the end and frees what is its own when it returns.
 *
 *   lookup_start -> thread: getaddrinfo -> finished [mutex] -> wake -> lookup_desk_deliver -> done
 */
#ifndef REPLICATE_PEER_LOOKUP_H
#define REPLICATE_PEER_LOOKUP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct lookup;
struct lookup_desk;

enum { LOOKUP_ADDRESSES_MAX = 8, LOOKUP_THREADS_MAX = 4 };

struct lookup_result {
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX];
    uint32_t count; /* 0: there are none, and `reason` says why. */
    char reason[96];
};

/* `wake` is called on any thread when lookup_desk_deliver has something to do. */
enum error lookup_desk_new(void (*wake)(void *context), void *context,
                           struct lookup_desk **ret_desk);

/* Nothing is delivered any more, and `wake` does not come again. Accepts NULL. */
void lookup_desk_free(struct lookup_desk *desk);

/* An address in numbers is found at once, into *ret_result; *ret_lookup is NULL then. Otherwise
 * `done` comes from lookup_desk_deliver. OUT_OF_MEMORY. */
enum error lookup_start(struct lookup_desk *desk, const char *host, uint16_t port,
                        void (*done)(void *context, const struct lookup_result *result),
                        void *context, struct lookup **ret_lookup,
                        struct lookup_result *ret_result);

/* `done` does not come. Before it. */
void lookup_cancel(struct lookup *lookup);

void lookup_desk_deliver(struct lookup_desk *desk);

#endif
