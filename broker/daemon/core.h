/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of a node that runs inside the monitor, put together over its seams: the daemon gives
 * it sockets, files and libraft, the simulator gives it memory and a seed.
 *
 *   core_open -> (events) -> core_stop -> core_idle? -> core_close
 *
 * The catalog is there before it, recovered and being applied to, and outlives it. Inside the
 * monitor. */
#ifndef BROKER_DAEMON_CORE_H
#define BROKER_DAEMON_CORE_H

#include "handle/broker.h"
#include "log/directory.h"

struct core_options {
    struct executor *executor;
    struct storage *storage;
    struct log_directory *directory;
    struct catalog *catalog;
    const struct config_set *config; /* The static one. */
    const char *data_directory;      /* Absolute, for DescribeLogDirs. */
    int32_t node_id;
    struct partition_reporter *reporter; /* May be NULL. */
    bool fresh;                          /* The data directory was made just now. */
};

/* Zero-initialised is closed. */
struct core {
    struct broker broker;
    struct log_directory *directory;
    struct broker_follower *follower;
    bool stopping;
};

/* Takes up the partitions the catalog gives this node, recovering their logs when the last stop was
 * not clean. On error what was made stays for core_stop and core_close. */
enum error core_open(struct core *core, const struct core_options *options);

/* Requests must have ended or end soon: coordinators take nothing new. Again is harmless. */
void core_stop_requests(struct core *core);

/* Once no request is in flight and no proposal either: stops what is left, whose last writes and
 * syncs go on until core_idle. */
void core_stop(struct core *core);

/* To be asked until true: also lets go of what has ended. */
bool core_idle(struct core *core);

/* Once idle and no partition is held by anybody. With `clean` the directory is marked so when every
 * log is on stable storage; otherwise, and on errors, the next start recovers. */
enum error core_close(struct core *core, bool clean);

#endif
