/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of a node that runs inside the monitor, put together over its seams: the daemon gives
 * it sockets, files and libraft, the simulator gives it memory and a seed.
 *
 *   core_start -> registered -> partitions taken up -> unfenced -> started
 *   core_stop_requests -> core_stop_cluster -> core_quiet? -> core_stop -> core_idle? -> core_close
 *
 * In a cluster of one (no caller) there is nobody to register with but oneself: it is unfenced at
 * once, has no heartbeat and no controller. The catalog and the engine are there before the core,
 * are recovered, and outlive it. Inside the monitor. */
#ifndef BROKER_DAEMON_CORE_H
#define BROKER_DAEMON_CORE_H

#include "handle/broker.h"
#include "log/directory.h"
#include "replicate/core/controller.h"
#include "replicate/core/fetcher.h"
#include "replicate/core/founding.h"
#include "replicate/core/heartbeat.h"
#include "replicate/core/isr.h"
#include "replicate/core/route.h"

struct core_options {
    struct executor *executor;
    struct storage *storage;
    struct log_directory *directory; /* Identified: cluster id, node id, directory id. */
    struct catalog *catalog;
    struct catalog_proposer *local;  /* The engine's. */
    const struct config_set *config; /* The static one. */
    const char *data_directory;      /* Absolute, for DescribeLogDirs. */
    int32_t node_id;
    const char *host; /* Where clients and nodes reach it: what it registers. */
    int32_t port;
    const char *rack;                    /* NULL: none. */
    const char *version;                 /* Of the program. */
    struct partition_reporter *reporter; /* May be NULL. */
    bool fresh;                          /* The data directory was made just now. */
    struct caller *caller;               /* NULL: a cluster of one. */
    struct quorum *quorum;               /* NULL with the caller. */
    const struct founding *founding; /* Of one that founds the cluster with others, else NULL. */
    size_t fetch_early_bytes_max;    /* See fetchers_config. */
    /* Once, as a task: NONE when the node serves, or why it cannot; not after core_stop_cluster. */
    void (*started)(void *context, enum error error, const char *step);
    /* The cluster does not know this node any more: it is to stop. Once, as a task. */
    void (*removed)(void *context);
    void *context;
};

/* Zero-initialised is closed. */
struct core {
    struct broker broker;
    struct core_options options;
    struct broker_follower *follower;
    struct catalog_proposal proposal; /* Of the start and of registering again: one at a time. */
    const char *step;                 /* What the proposal is for. */
    void (*next)(struct core *core);
    struct timer register_timer; /* Runs while another node has this one's id. */
    int64_t register_until_ms;   /* Then it is refused. */
    int64_t node_epoch;          /* Of the registration; -1: none yet. */
    bool opened;                 /* The partitions are taken up: requests may come. */
    bool is_started;             /* `started` was told. */
    bool proposing;
    bool stopping;        /* Coordinators take nothing new. */
    bool cluster_stopped; /* No start, heartbeat or controller any more. */

    /* In a cluster only, else NULL: */
    struct route *route;
    struct controller *controller;
    struct heartbeat *heartbeat;
    struct heartbeat_events events;
    struct fetchers *fetchers;
    struct partition_lease lease;
    struct isr_changes isr;
    struct catalog_watcher watcher; /* Of configurations that replication goes by. */
    bool watching;
};

/* Before anything else: what requests between nodes need before the core is open. */
void core_init(struct core *core, struct executor *executor, struct catalog *catalog,
               const struct config_set *config);

/* After the engine is ready. What the options point to is borrowed until core_close, except strings
 * of the registration. OUT_OF_MEMORY: what was made stays for the stopping functions. */
enum error core_start(struct core *core, const struct core_options *options);

/* A node's address refused a connection: the controller looks closer. */
void core_node_unreachable(struct core *core, int32_t node_id);

/* The port may hand requests of clients to the handlers. */
static inline bool core_is_open(const struct core *core)
{
    return core->opened;
}

/* Asks the controller to have others lead what this node leads, and hands on the quorum's
 * leadership; `done` comes once, as a task, at the latest after `timeout_ms`. False: there is
 * nobody to ask. */
bool core_hand_over(struct core *core, int64_t timeout_ms,
                    void (*done)(void *context, enum error error), void *context);

/* Requests must have ended or end soon: coordinators take nothing new. Again is harmless. */
void core_stop_requests(struct core *core);

/* No heartbeat, proposal or fetch begins any more; those under way end, which core_quiet tells. */
void core_stop_cluster(struct core *core);
bool core_quiet(const struct core *core);

/* Once quiet and no request is in flight: stops what is left, whose last writes and syncs go on
 * until core_idle. */
void core_stop(struct core *core);

/* To be asked until true: also lets go of what has ended. */
bool core_idle(struct core *core);

/* Once idle and no partition is held by anybody. With `clean` the directory is marked so when every
 * log is on stable storage, else STORAGE; without the mark the next start recovers. */
enum error core_close(struct core *core, bool clean);

/* ---- between core.c and core_start.c ---- */

/* Partition table, coordinators, sessions, the catalog's follower; recovers logs. */
enum error core_open(struct core *core);

/* Fetchers and the lease, once the partitions are there. */
enum error core_join_replication(struct core *core);

#endif
