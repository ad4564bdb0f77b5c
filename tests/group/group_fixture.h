/* SPDX-License-Identifier: Apache-2.0 */
/* A group coordinator on the simulated disk and clock, with the partitions of __consumer_offsets
 * under it, and clients that remember how they were answered. */
#ifndef TESTS_GROUP_GROUP_FIXTURE_H
#define TESTS_GROUP_GROUP_FIXTURE_H

#include "base/arena.h"
#include "group/group.h"
#include "log/fixture.h"

enum {
    OFFSETS_PARTITIONS = 4,
    INITIAL_DELAY_MS = 3000,
    SESSION_MS = 10000,
    REBALANCE_MS = 30000,
    OFFSETS_RETENTION_MS = 7 * 86400000,
    EXPIRY_CHECK_MS = 600000,
    COMMIT_TIMEOUT_MS = 5000,
    GROUP_MAX_SIZE = 3,
    OFFSET_METADATA_MAX_BYTES = 16,
};

struct node {
    struct fixture disk;
    struct log_directory *directory;
    struct partition_table *table;
    struct group_coordinator *coordinator;
    uint32_t partition_count; /* Of __consumer_offsets; 0: it is not there. */
    int creations;            /* How often its making was asked for. */
};

/* For cmocka_unit_test_setup_teardown: *state is a node that leads all of __consumer_offsets. */
int node_setup(void **state);
int node_teardown(void **state);
#define WITH_NODE(name) cmocka_unit_test_setup_teardown(name, node_setup, node_teardown)

/* Makes the partitions and leads them, without waiting for the loading. */
void node_lead(struct node *node);
void node_load(struct node *node); /* Waits for it. */
/* Stops and starts again with what the disk kept; loaded. */
void node_restart(struct node *node);
void node_crash(struct node *node); /* What was not synced is lost. */
void node_start(struct node *node); /* Up, leading nothing. */
void node_stop(struct node *node, bool clean);
void node_run(struct node *node, int64_t ms);

/* ---- clients ---- */

struct joiner {
    struct group_join join;
    struct arena arena;
    struct group_protocol protocols[4];
    int answers;
};

/* Protocols are "name=metadata", separated by spaces. Change `join` before joiner_send. */
void joiner_init(struct joiner *joiner, const char *member_id, const char *protocols);
void joiner_send(struct node *node, struct joiner *joiner);
void joiner_done(struct joiner *joiner);

struct syncer {
    struct group_sync sync;
    struct arena arena;
    struct group_assignment assignments[4];
    int answers;
};

/* As the member that `joiner` became. */
void syncer_init(struct syncer *syncer, const struct joiner *joiner);
void syncer_assign(struct syncer *syncer, struct slice member_id, const char *assignment);
void syncer_send(struct node *node, struct syncer *syncer);
void syncer_done(struct syncer *syncer);

/* Joins, waits out the delay, syncs with "all" as its assignment: a stable group of one. */
void become_stable(struct node *node, struct joiner *joiner);

/* Two members of one generation, `first` leading; neither has synced. */
void join_two(struct node *node, struct joiner *first, struct joiner *second);
/* The leader gives both their parts and both have them. */
void sync_two(struct node *node, const struct joiner *first, const struct joiner *second);
void join_again_init(struct joiner *again, const struct joiner *was, const char *protocols);
/* Sends one join and gives its error; it must be answered at once. */
enum error join_error(struct node *node, struct joiner *joiner);

struct slice group_name(void); /* The group of all clients: "readers". */

/* Commits offset of orders-0 and waits; member NULL: outside of the group. The offset's error. */
enum error commit(struct node *node, const struct joiner *member, int64_t offset,
                  const char *metadata);
enum error commit_nothing(struct node *node);
enum error commit_remove(struct node *node, const char *topic);
/* -1: none. */
int64_t committed(struct node *node, const char *topic);
enum error delete_group(struct node *node);
enum error heartbeat(struct node *node, const struct joiner *joiner);
enum error leave(struct node *node, const struct joiner *joiner);
/* Fails unless the group looks so; NULL state: there is no group. */
void assert_group(struct node *node, const char *state, int32_t generation_id, uint32_t members);

void assert_error(enum error got, enum error expected);
void assert_text(struct slice got, const char *expected);

#endif
