/* SPDX-License-Identifier: Apache-2.0 */
/* One node: its parts in the order they start and stop.
 *
 *   STARTING --all answer--> RUNNING --signal, umount--> STOPPING --> STOPPED
 *       |                                                   ^
 *       '-- a part refuses: its line is the node's ---------'
 *
 *   start   port bound, data locked and read, (in a cluster: port served to nodes, cluster found,)
 *           engine ready, this node registered, partitions taken up, port served, mount
 *   stop    mount, (leadership handed over,) port (answers sent), heartbeat and fetchers, engine,
 *           links to other nodes, groups, partitions (closed clean), data
 *
 * Everything here runs on the control loop's thread. */
#ifndef BROKER_DAEMON_NODE_H
#define BROKER_DAEMON_NODE_H

#include "daemon/background.h"
#include "daemon/control.h"
#include "daemon/core.h"
#include "daemon/data.h"
#include "daemon/node_cluster.h"
#include "daemon/settings.h"
#include "fs/mount.h"
#include "net/listener.h"
#include "replicate/engine/engine.h"

enum node_state { NODE_STARTING, NODE_RUNNING, NODE_STOPPING, NODE_STOPPED };

struct node {
    const struct settings *settings;
    struct background *background;
    enum node_state state;
    int64_t started_ns;     /* For the report of how long the start took. */
    struct failure failure; /* Why it could not start. */

    struct control control;
    bool control_opened;
    struct data data;
    struct net *net;
    bool net_started;
    struct catalog *catalog;
    struct engine *engine;
    struct node_cluster cluster;
    struct core core;
    struct partition_reporter reporter;
    struct mount *mount;
    enum error core_error; /* What the core's start came to, and at which step. */
    const char *core_step;

    struct control_call cluster_found;
    struct control_call core_started;
    struct control_call removed;
    struct control_call handed_over;
    struct control_call peers_closed;
    struct control_call port_closed;
    bool port_is_closed;
    bool core_quietening;
    bool engine_stopping;
    bool engine_is_closed;
    struct control_call stop_asked; /* By the mount. */
    uv_timer_t stop_timer;          /* Waits for partitions, and the deadline of stopping. */
    int64_t stop_started_ms;
    int64_t quiet_asked_ms;
    bool stop_timer_opened;
    uv_timer_t reserve_timer; /* While running: looks after the reserve. */
    bool reserve_timer_opened;
    bool pid_file_written;
};

/* Starts the node, runs it until it is told to stop, stops it. The exit status. */
int node_run(const struct settings *settings, struct background *background);

/* ---- for the steps, in node_start.c and node_stop.c ---- */

/* Binds the port, opens data and engine; the rest follows on the loop. */
enum error node_start(struct node *node);

/* Something refused after the loop began: remembers why and stops. */
void node_start_failed(struct node *node, enum error error, const char *step);

/* What other nodes and clients reach the first listener by. */
int32_t node_advertised_port(const struct node *node);

/* The node knows which cluster it is in: opens the engine. */
enum error node_cluster_agreed(struct node *node);

/* Begins to stop; again is harmless. */
void node_stop(struct node *node);

/* After the loop: frees whatever was made. */
void node_done(struct node *node);

#endif
