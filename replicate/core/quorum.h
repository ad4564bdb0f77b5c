/* SPDX-License-Identifier: Apache-2.0 */
/* What the core needs to know and to ask of the metadata quorum, as a seam: over libraft in the
 * daemon, a few variables in a test. Inside the monitor. */
#ifndef REPLICATE_CORE_QUORUM_H
#define REPLICATE_CORE_QUORUM_H

#include "base/error.h"
#include "base/executor.h"

enum { QUORUM_MEMBERS_MAX = 256, QUORUM_HOST_BYTES = 256 };

/* A voter decides, a standby follows the log, a spare does nothing yet. */
enum quorum_role { QUORUM_SPARE, QUORUM_STANDBY, QUORUM_VOTER };

struct quorum_member {
    int32_t node_id;
    enum quorum_role role;
};

enum quorum_change_kind {
    QUORUM_ADD_SPARE, /* node_id, host, port. */
    QUORUM_ASSIGN_STANDBY,
    QUORUM_ASSIGN_VOTER, /* Waits until it has caught up with the log. */
    QUORUM_REMOVE,
    QUORUM_TRANSFER /* node_id -1: to whichever voter is up to date. */
};

/* One change. Owned by the caller until `done` (the contract of base/executor.h); the leader
 * carries them out one at a time. */
struct quorum_change {
    struct list link; /* These three are the implementation's own until done. */
    struct task task;
    void *implementation;
    enum quorum_change_kind kind;
    int32_t node_id;
    char host[QUORUM_HOST_BYTES];
    int32_t port;
    /* NOT_CONTROLLER: this node does not lead; anything else but NONE: not made, or not known. */
    enum error error;
    void (*done)(struct quorum_change *change);
};

struct quorum;

/* Told when leader, term, or whether this node leads has changed. */
struct quorum_watcher {
    struct list link;
    void (*changed)(struct quorum_watcher *watcher);
};

struct quorum_ops {
    int32_t (*leader_id)(struct quorum *); /* -1: nobody known. */
    bool (*leads)(struct quorum *); /* This node leads, and has applied its term's barrier. */
    int64_t (*term)(struct quorum *);
    /* At most `capacity` of them in order of node id; how many there are. */
    uint32_t (*members)(struct quorum *, struct quorum_member *ret_members, uint32_t capacity);
    void (*change)(struct quorum *, struct quorum_change *);
    void (*watch)(struct quorum *, struct quorum_watcher *); /* list_remove ends it. */
};

struct quorum {
    const struct quorum_ops *ops;
};

static inline int32_t quorum_leader_id(struct quorum *quorum)
{
    return quorum->ops->leader_id(quorum);
}

static inline bool quorum_leads(struct quorum *quorum)
{
    return quorum->ops->leads(quorum);
}

static inline int64_t quorum_term(struct quorum *quorum)
{
    return quorum->ops->term(quorum);
}

static inline uint32_t quorum_members(struct quorum *quorum, struct quorum_member *ret_members,
                                      uint32_t capacity)
{
    return quorum->ops->members(quorum, ret_members, capacity);
}

static inline void quorum_change_start(struct quorum *quorum, struct quorum_change *change)
{
    quorum->ops->change(quorum, change);
}

/* The watcher is the caller's; quorum_unwatch before it goes. */
static inline void quorum_watch(struct quorum *quorum, struct quorum_watcher *watcher)
{
    quorum->ops->watch(quorum, watcher);
}

static inline void quorum_unwatch(struct quorum_watcher *watcher)
{
    list_remove(&watcher->link);
}

#endif
