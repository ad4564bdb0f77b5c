/* SPDX-License-Identifier: Apache-2.0 */
/* A broker of one node under the simulated executor and storage, with a quorum that applies the
 * moment it is asked: for testing handlers. Requests and answers go through their bytes, so a test
 * sees what a client of that version sees. */
#ifndef TESTS_HANDLE_BROKER_FIXTURE_H
#define TESTS_HANDLE_BROKER_FIXTURE_H

#include "handle/request.h"
#include "log/directory.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

struct broker_fixture {
    struct simulated_executor *executor;
    struct simulated_storage *storage;
    struct log_directory *directory;
    struct config_set *config; /* The static one. */
    struct broker broker;
    struct broker_follower *follower;
    struct catalog_proposer proposer;
    enum error proposer_error; /* Not NONE: what proposals come to instead of being applied. */
    bool proposals_wait;       /* Until fixture_propose_waiting. */
    struct list waiting;
    int64_t index; /* Of the last proposal. */
    uint32_t proposal_count;
};

/* For cmocka_unit_test_setup_teardown; *state is the fixture. Node 1, no topics. */
int broker_fixture_setup(void **state);
int broker_fixture_teardown(void **state);

/* Sets a key of the static configuration (before it is asked for). */
void fixture_set(struct broker_fixture *f, const char *key, const char *value);

/* Applies the proposals that waited, and those to come. */
void fixture_propose_waiting(struct broker_fixture *f);

/* Registers another node, so that topics can have more replicas. */
void fixture_add_node(struct broker_fixture *f, int32_t id);

/* One command, applied. */
struct catalog_outcome fixture_propose(struct broker_fixture *f,
                                       const struct catalog_command *command);

/* Registers nodes 2 and 3 and makes a topic of three partitions on 1,2,3 and 2,3,1 and 3,1,2. */
const struct catalog_topic *fixture_replicated_topic(struct broker_fixture *f, const char *name);

/* The node is not heard of any more, or again. */
void fixture_fence(struct broker_fixture *f, int32_t id, bool fenced);

struct catalog_partition fixture_partition(struct broker_fixture *f, const char *topic,
                                           int32_t index);

/* Makes a topic with one replica a partition on node 1. */
const struct catalog_topic *fixture_topic(struct broker_fixture *f, const char *name,
                                          uint32_t partitions);

/* Appends `count` records as one batch, through Produce with acks=-1; -1: no producer id. */
void fixture_append(struct broker_fixture *f, const char *topic, int32_t partition, int count,
                    int64_t producer_id);

/* One record, not waiting for other replicas unless acks is -1. */
void fixture_produce_one(struct broker_fixture *f, const char *topic, int32_t partition,
                         int16_t acks);

/* One request: its answer as decoded from bytes. */
struct exchange {
    struct request request;
    struct arena arena; /* For the body that the test fills in, and for the decoded answer. */
    void *body;
    void *answer;              /* NULL: the connection is closed instead. */
    struct slice answer_bytes; /* As they are sent. */
    int done;
};

/* Gives the API's request struct, initialised, to be filled in. */
void *exchange_begin(struct broker_fixture *f, struct exchange *exchange, int16_t api_key,
                     int16_t version);
/* Sends it; runs until it is answered. */
void *exchange_run(struct broker_fixture *f, struct exchange *exchange);
/* Brings the body through its bytes, as arrived; the test then calls the handler itself. */
void exchange_encode(struct exchange *exchange);
/* Sends it and leaves it at that. */
void exchange_start(struct broker_fixture *f, struct exchange *exchange);
/* The same by way of handle_admit and handle_prepare, as a connection sends a Produce. */
void exchange_start_prepared(struct broker_fixture *f, struct exchange *exchange);
/* After `done`. */
void *exchange_answer(struct exchange *exchange);
void exchange_done(struct exchange *exchange);

#define WITH_BROKER(name)                                                                          \
    cmocka_unit_test_setup_teardown(name, broker_fixture_setup, broker_fixture_teardown)

/* Fails with the names of both. */
void assert_kafka_error(int16_t got, enum error expected);
void assert_slice(struct slice got, const char *expected);

#endif
