/* SPDX-License-Identifier: Apache-2.0 */
/* A heartbeat, and what it has told. */
#include "replicate/heartbeat_fixture.h"

#include "base/memory.h"
#include "handle/cluster_view.h"

#include <cmocka.h>

static struct fixture *fixture_of(struct heartbeat_events *events)
{
    return container_of(events, struct fixture, events);
}

static void told_lease(struct heartbeat_events *events, bool held)
{
    fixture_of(events)->lease = held;
    fixture_of(events)->lease_count++;
}

static void told_fenced(struct heartbeat_events *events, bool fenced)
{
    fixture_of(events)->fenced = fenced;
    fixture_of(events)->fenced_count++;
}

static void told_unregistered(struct heartbeat_events *events)
{
    fixture_of(events)->unregistered_count++;
}

static void told_stale(struct heartbeat_events *events)
{
    fixture_of(events)->stale_count++;
}

static void disk(void *context, int64_t *ret_total_bytes, int64_t *ret_free_bytes)
{
    (void)context;
    *ret_total_bytes = 1000;
    *ret_free_bytes = 400;
}

int heartbeat_fixture_setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    cluster_setup(&f->cluster, 3);
    for (int32_t i = 0; i < 3; i++)
        cluster_register(&f->cluster, i, false);
    struct cluster_node *node = &f->cluster.nodes[0];
    assert_int_equal(cluster_view_new(f->cluster.executor, node->catalog, &f->view), ERROR_NONE);
    f->events = (struct heartbeat_events){.lease = told_lease,
                                          .fenced = told_fenced,
                                          .unregistered = told_unregistered,
                                          .stale_epoch = told_stale};
    struct heartbeat_options options = {.executor = f->cluster.executor,
                                        .caller = &node->caller,
                                        .quorum = &node->quorum,
                                        .catalog = node->catalog,
                                        .membership = &node->membership,
                                        .view = f->view,
                                        .events = &f->events,
                                        .node_id = 0,
                                        .interval_ms = INTERVAL_MS,
                                        .session_timeout_ms = SESSION_MS,
                                        .version = "1.2.3",
                                        .disk = disk};
    assert_int_equal(heartbeat_new(&options, &f->heartbeat), ERROR_NONE);
    for (uint32_t i = 0; i < 3; i++)
        f->cluster.members[i] = (struct quorum_member){.node_id = (int32_t)i, .role = QUORUM_VOTER};
    f->cluster.member_count = 3;
    *state = f;
    return 0;
}

int heartbeat_fixture_teardown(void **state)
{
    struct fixture *f = *state;
    heartbeat_stop(f->heartbeat);
    heartbeat_free(f->heartbeat);
    cluster_view_free(f->view);
    cluster_teardown(&f->cluster);
    test_free(f);
    return 0;
}

int64_t now_ms(struct fixture *f)
{
    return executor_monotonic_ms(f->cluster.executor);
}
