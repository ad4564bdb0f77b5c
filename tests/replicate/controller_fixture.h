/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster fixture whose nodes each have a controller: sessions of 2 s. Beats are the test's own.
 */
#ifndef TESTS_REPLICATE_CONTROLLER_FIXTURE_H
#define TESTS_REPLICATE_CONTROLLER_FIXTURE_H

#include "handle/cluster_view.h"
#include "replicate/cluster_fixture.h"
#include "replicate/core/controller.h"
#include "replicate/core/founding.h"

enum { SESSION_MS = 2000, ELECTION_MS = 500 };

struct control {
    struct cluster_fixture cluster;
    struct config_set *static_config;
    const struct config_set *config; /* The same. */
    struct controller *controllers[CLUSTER_NODES_MAX];
    struct founding founding; /* Who else founded: nobody, unless a test says so. */
    struct cluster_view *views[CLUSTER_NODES_MAX];
    int64_t epochs[CLUSTER_NODES_MAX]; /* Of their last registration here. */
    bool silent[CLUSTER_NODES_MAX];    /* control_live does not beat for it. */
};

/* `count` nodes from id 0, all registered and serving, all voters; node 0 leads. */
void control_setup(struct control *control, uint32_t count);
void control_teardown(struct control *control);

void control_set(struct control *control, const char *key, const char *value);

/* A heartbeat of `id` under its epoch, to the controller of `at`, with everything in order; a test
 * may change it before sending. */
struct node_heartbeat_request control_beat(struct control *control, int32_t id);
struct membership_answer control_send(struct control *control, int32_t at,
                                      const struct node_heartbeat_request *request);

/* Lets time pass while every node but the silent ones beats at the leader, each 100 ms. */
void control_live(struct control *control, int64_t ms);

bool control_fenced(struct control *control, int32_t id);

/* How many lines the node's events hold that contain `text`. */
uint32_t control_events(struct control *control, int32_t id, const char *text);

/* The same of what was reported as a warning or an error by this process so far. */
uint32_t control_reports(const char *text);

#endif
