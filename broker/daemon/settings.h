/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line and server.properties together mean. Read once, in the process that was
 * started, so that relative paths and refusals are the user's own. */
#ifndef BROKER_DAEMON_SETTINGS_H
#define BROKER_DAEMON_SETTINGS_H

#include "catalog/config.h"
#include "daemon/cluster_settings.h"
#include "daemon/endpoint.h"
#include "daemon/options.h"
#include "fs/options.h"
#include "net/listener.h"

struct settings {
    struct config_set *config;
    struct cluster_settings cluster;
    int32_t node_id;      /* In a cluster -1 until it is agreed, unless it is set. */
    char *data_directory; /* Absolute. */
    char *mount_point;    /* Absolute; NULL: none. */
    struct mount_options mount_options;
    uint32_t mount_threads;
    char *pid_file;    /* Absolute. */
    char *report_file; /* Absolute: where a daemon's standard error goes. */
    struct endpoint *listeners;
    struct endpoint *advertised; /* As many as listeners, in their order. */
    uint32_t listener_count;
    uint32_t node_listener; /* inter.broker.listener.name: where other nodes reach this one. */
    bool insecure;
    struct net_limits limits;
};

/* INVALID_CONFIG: the failure is one line that says which key or path and why. */
enum error settings_load(const struct options *options, struct settings *ret_settings,
                         struct failure *failure);
void settings_done(struct settings *settings);

/* How many loops serve connections: topicfs.io.threads, or when that is 0 what suits the cores. */
int settings_io_threads(long wanted, long cores);

/* The keys that are set, to something else than their default, and have no effect: "a, b". Cut
 * short with "and N more" when it is too long. `out` is empty when there is none. */
void settings_without_effect(const struct settings *settings, char *out, size_t size);

/* Every node key with type, default and help: --help=config. */
void settings_print_help(void);

#endif
