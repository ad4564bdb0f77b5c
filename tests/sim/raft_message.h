/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of libraft as parcels of the simulated network: copied out of the sender's memory, and
 * into the receiver's as raft_uv hands them over. */
#ifndef TESTS_SIM_RAFT_MESSAGE_H
#define TESTS_SIM_RAFT_MESSAGE_H

#include "sim/simulated_network.h"

#include <raft.h>

enum { RAFT_PARCEL_ADDRESS_BYTES = 64 };

struct raft_parcel {
    struct parcel parcel;
    struct raft_message message; /* Of the simulation's memory. */
    uint64_t sender_id, receiver_id;
    char sender_address[RAFT_PARCEL_ADDRESS_BYTES];
    void (*arrived)(void *context, const struct raft_parcel *parcel);
    void *context;
};

/* A copy of `message`; the rest is the caller's to fill in before simulated_network_send. */
struct raft_parcel *raft_parcel_new(const struct raft_message *message);

/* The message as libraft takes it: raft_malloc'ed but for the parcel's address. */
void raft_parcel_open(const struct raft_parcel *parcel, struct raft_message *ret_message);

#endif
