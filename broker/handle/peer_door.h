/* SPDX-License-Identifier: Apache-2.0 */
/* The door other nodes come in by: the answering side of PeerHello and PeerProof
 * (secure/peer_handshake.h).
 *
 *   SHUT --PeerHello: well formed--> GREETED --PeerProof: knows the token, fits in--> OPEN
 *     '------------- anything else: answered with why, refusal set, connection closed
 *
 * Nothing but the door itself, which belongs to the connection, remembers who knocks. Inside the
 * monitor. */
#ifndef BROKER_HANDLE_PEER_DOOR_H
#define BROKER_HANDLE_PEER_DOOR_H

#include "secure/peer_handshake.h"

struct request;

/* What requester.peer_node_id is besides a node's id. */
enum {
    PEER_CLIENT = -1, /* A client: proved nothing. */
    PEER_GUEST = -2   /* Knows the token and has no place in the cluster yet, or this node has none:
                         ClusterQuery and NodeJoin are for it. */
};

enum peer_door_state { PEER_DOOR_SHUT, PEER_DOOR_GREETED, PEER_DOOR_OPEN };

enum { PEER_REFUSAL_BYTES = 256 };

/* Of one connection. Zero-filled is SHUT. */
struct peer_door {
    enum peer_door_state state;
    enum peer_purpose purpose;
    int32_t peer_node_id; /* OPEN: the node's id, or PEER_GUEST. */
    struct peer_transcript transcript;
    char address[PEER_ADDRESS_BYTES_MAX + 1]; /* What the peer calls itself, for Raft. */
    char refusal[PEER_REFUSAL_BYTES];         /* For the operator: why and what to do; "": none. */
};

/* What the catalog knows of a node that knocks. */
enum peer_standing {
    PEER_STANDING_GOOD,    /* Registered, and this is it. */
    PEER_STANDING_UNKNOWN, /* Not registered, or this node does not know yet: let in. */
    PEER_STANDING_STALE    /* The id is registered with another uuid. */
};

/* Of the node; made by its owner, changed inside the monitor. */
struct peer_doorkeeper {
    const struct peer_token *token; /* NULL: nobody is let in. */
    struct peer_identity identity;
    /* Inside the monitor; NULL: everybody is UNKNOWN. */
    enum peer_standing (*standing)(void *context, const struct peer_identity *peer);
    void *context;
};

#endif
