/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's parts, for its own files: controller.c (life), session.c (who is alive), join.c
 * (who is taken in), upkeep.c (quorum members, defaults, balance). */
#ifndef REPLICATE_CORE_CONTROLLER_STATE_H
#define REPLICATE_CORE_CONTROLLER_STATE_H

#include "base/table.h"
#include "handle/cluster_view.h"
#include "replicate/core/controller.h"

/* What the controller knows of a node's life. Not in the log: it begins anew with each leadership;
 * only `away_since_ms` and `left_ms` are kept on every node. */
struct session {
    int32_t node_id;
    UT_hash_handle hh;
    int64_t epoch;              /* Of the registration it is about; -1: not registered any more. */
    int64_t heard_ms;           /* The last heartbeat, or when this was made. */
    int64_t unreachable_due_ms; /* 0: not reported. */
    int64_t away_since_ms;      /* Since it is fenced; 0: it is not. */
    int64_t away_index; /* Applied here when that was seen: what it must have to serve again. */
    bool was_registered;
    int64_t left_ms; /* Since it is not registered; 0: it is. */
    int64_t applied_index;
    int64_t owed_index;     /* What an answer told it, and it is to apply in a session. */
    int64_t owed_since_ms;  /* Told then, or it has applied something since. */
    bool stands_still;      /* Reported. */
    int64_t shutdown_index; /* What the others must have applied before it may go; 0: not asked. */
    int64_t echoed_ms;      /* The last clock of an answer of this leadership that it has had. */
    bool deciding;          /* A command about it is on its way. */
    bool fencing;           /* That one: what comes of it late must not meet a lease given since. */
    bool returned;          /* Was unfenced: its preferred leaderships wait for it to catch up. */
    int64_t returned_ms;
    bool diverged; /* Reported under this registration. */
    bool skewed;
    bool drained; /* Told. */
};

/* The image's hash after a command, for comparing with what followers say. */
struct known_hash {
    int64_t index;
    uint64_t hash;
};

enum { KNOWN_HASHES = 256, JOIN_RETRY_MS = 100, UPKEEP_MS = 1000 };

struct controller {
    struct controller_options options;
    struct membership membership;
    struct catalog_watcher catalog_watcher;
    struct quorum_watcher quorum_watcher;
    struct cluster_observer observer;
    bool active;
    bool stopped;
    uint32_t under_way;     /* Proposals and changes. */
    int32_t last_leader_id; /* Other than this node. */
    int32_t told_leader_id;
    struct session *sessions;
    bool nodes_changed; /* By the command being applied. */
    struct timer session_timer;
    int64_t session_due_ms;                 /* When it was to fire. */
    struct known_hash hashes[KNOWN_HASHES]; /* A ring by index. */
    /* join.c: one at a time, so that each sees the one before. */
    struct list joins; /* struct membership_join. */
    bool joining;      /* The first one's command is on its way. */
    int64_t join_until_ms;
    struct timer join_timer;
    /* upkeep.c */
    struct timer upkeep_timer;
    bool changing; /* A change of the quorum's members is under way. */
    struct quorum_change change;
    bool defaulting, electing;
    bool placements_changed; /* Since moves were planned. */
    uint32_t moving;         /* Commands of the plan on their way. */
    bool plan_again;
    int64_t leaders_due_ms;
    int32_t stuck_node_id; /* Told; -1: none. */
};

/* A command of the controller's own, through this node's log only. `done` may be NULL. The struct
 * is freed afterwards. */
struct decision {
    struct catalog_proposal proposal;
    struct controller *controller;
    int32_t node_id;
    void (*done)(struct controller *controller, int32_t node_id,
                 const struct catalog_outcome *outcome);
};

/* OUT_OF_MEMORY: nothing was proposed, and `done` does not come. */
enum error controller_decide(struct controller *controller, const struct catalog_command *command,
                             int32_t node_id,
                             void (*done)(struct controller *controller, int32_t node_id,
                                          const struct catalog_outcome *outcome));

int64_t controller_now_ms(const struct controller *controller);

/* ---- session.c ---- */

/* Leadership begins: everybody counts as heard of now. */
void sessions_begin(struct controller *controller);
void sessions_end(struct controller *controller);
/* After a command: sessions are those of the nodes registered. */
void sessions_follow(struct controller *controller);
void sessions_see_member(struct controller *controller, int32_t node_id);
struct session *session_find(const struct controller *controller, int32_t node_id);
void sessions_free(struct controller *controller);
void session_heartbeat(struct controller *controller, const struct node_heartbeat_request *request,
                       struct membership_answer *ret_answer);
/* A voter that carries an answer's clock back had not voted for another by then. */
void session_echo(struct controller *controller, const struct node_heartbeat_request *request);
/* How long ago a majority of the voters certainly followed this controller; -1: not known. Whoever
 * leads after it was elected later, and whatever it decides came later, too. */
int64_t session_proved_ms_ago(const struct controller *controller);
void session_timer_fired(struct timer *timer);
void session_unreachable(struct controller *controller, int32_t node_id);
/* Two nodes with one id: the second is refused while the first is alive (Kafka's
 * ClusterControlManager.registerBroker). DUPLICATE_BROKER_REGISTRATION. */
enum error session_registration_check(struct controller *controller,
                                      const struct catalog_node *node);
/* For voters_options.away_ms; the context is the controller. */
int64_t session_away_ms(void *context, int32_t node_id);

/* ---- join.c ---- */

void join_start(struct controller *controller, struct membership_join *join);
void join_timer_fired(struct timer *timer);
/* Ends those that wait; one whose command is on its way ends with it. */
void joins_end(struct controller *controller, enum error error);

/* ---- upkeep.c ---- */

/* Whether the quorum has it as a member, in whatever role. */
bool controller_has_member(const struct controller *controller, int32_t node_id);
void upkeep_begin(struct controller *controller);
void upkeep_end(struct controller *controller);
/* Looks again soon. */
void upkeep_soon(struct controller *controller);
void upkeep_timer_fired(struct timer *timer);

#endif
