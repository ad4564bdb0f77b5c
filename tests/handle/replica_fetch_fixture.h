/* SPDX-License-Identifier: Apache-2.0 */
/* A follower's requests to the leader of topic `orders`: made, named, run and ended. */
#ifndef TOPICFS_HANDLE_REPLICA_FETCH_FIXTURE_H
#define TOPICFS_HANDLE_REPLICA_FETCH_FIXTURE_H

#include "handle/broker_fixture.h"
#include "handle/replica_session.h"

enum { FOLLOWER = 2, WAIT_MS = 500 };

/* One request of a follower, which names at most one partition. */
struct fetching {
    struct exchange exchange;
    struct replica_fetch_request *body;
    struct replica_fetch_request_replica_topic topic;
    struct replica_fetch_request_replica_partition partition;
    struct replica_fetch_request_forgotten_topic forgotten;
};

struct appending {
    struct partition_append append;
    struct buffer *batch;
    int done;
};

struct partition *follower_orders(struct broker_fixture *f);
int64_t follower_epoch_of(struct broker_fixture *f, int32_t node_id);
void follower_begin(struct broker_fixture *f, struct fetching *fetching, int32_t session_id,
                    int32_t session_epoch);
/* `orders` 0, whose log ends at `end` with a record of `last_epoch`, all of it synced. */
void follower_name(struct broker_fixture *f, struct fetching *fetching, int64_t end,
                   int32_t last_epoch);
const struct replica_fetch_response *follower_run(struct broker_fixture *f,
                                                  struct fetching *fetching);
void follower_end(struct fetching *fetching);
/* A session that named `orders` 0 at its end `at`; its id. */
int32_t follower_session_begin(struct broker_fixture *f, int64_t at, int32_t last_epoch);
void appending_start(struct broker_fixture *f, struct appending *appending, int8_t acks);
void orders_append(struct broker_fixture *f);

#endif
