/* SPDX-License-Identifier: Apache-2.0 */
/* Node 0's heartbeat in a cluster of three. Sessions of 2 s, beats every 500 ms: the lease lasts
 * 1.6 s from the sending of the last answered beat. */
#ifndef TESTS_REPLICATE_HEARTBEAT_FIXTURE_H
#define TESTS_REPLICATE_HEARTBEAT_FIXTURE_H

#include "replicate/cluster_fixture.h"
#include "replicate/core/heartbeat.h"

enum { EPOCH = 5, INTERVAL_MS = 500, SESSION_MS = 2000, LEASE_MS = 1600 };

struct fixture {
    struct cluster_fixture cluster;
    struct heartbeat *heartbeat; /* Node 0's. */
    struct cluster_view *view;
    struct heartbeat_events events;
    int lease_count, fenced_count, unregistered_count, stale_count;
    bool lease, fenced;
    int shutdown_count;
    enum error shutdown_error;
    int64_t shutdown_ms;
};

/* A cmocka test's setup and teardown: `*state` is the fixture. */
int heartbeat_fixture_setup(void **state);
int heartbeat_fixture_teardown(void **state);

int64_t now_ms(struct fixture *f);

#endif
