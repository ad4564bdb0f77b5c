/* SPDX-License-Identifier: Apache-2.0 */
/* What each follower node fetches from this one, remembered between its requests: a request names
 * only partitions with news from there, an answer only those with news from here.
 *
 *   entry:  quiet --news--> urgent (records, role, divergence, refusal) --answered--> waiting
 *             ^  '--------> soft (only the high watermark or log start moved) --told-.  |
 *             '----------------------- named in the next request --------------------+--'
 *
 * A waiting entry was sent something the follower has to act on; nothing more is sent before it
 * names the partition again. Named at the same place while records are on their way there, it has
 * only voted; a follower to whom they were of no use forgets the partition before it names it. The
 * place may be ahead of the follower's end, which is its vote: what is between them was sent in
 * this session and epoch, and it works on it still. What is throttled
 * (leader.replication.throttled.rate) is held, neither urgent nor soft, until there is rate again.
 * One session a node; inside the monitor. */
#ifndef BROKER_HANDLE_REPLICA_SESSION_H
#define BROKER_HANDLE_REPLICA_SESSION_H

#include "base/rate_limit.h"
#include "base/table.h"
#include "partition/partition.h"
#include "wire/api_replica_fetch.h"

struct replica_fetch;
struct replica_sessions;

struct replica_key {
    struct uuid topic_id;
    int32_t index;
};

/* One partition as the follower last described it. */
struct replica_entry {
    UT_hash_handle hh;
    struct list link; /* In urgent, soft or held of the session, or in none. */
    struct partition_news news;
    struct replica_session *session;
    struct partition *partition; /* Counted; NULL: there is none here. */
    struct replica_key key;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    int64_t fetch_offset;
    bool unproven; /* It asks ahead of its log's end, though nothing was sent for that. */
    bool waiting;
    bool held;
    bool sent_records; /* Waiting, for records that were sent. */
};

struct replica_session {
    struct list link;
    struct replica_sessions *sessions;
    int32_t node_id;
    int64_t node_epoch;
    int32_t id;
    int32_t epoch; /* Expected of the next request. */
    struct replica_entry *entries;
    struct list urgent;
    struct list soft;
    struct list held;
    struct replica_fetch *parked; /* The request that waits for news; NULL: none. */
    struct task task;             /* Posted: answer the parked request. */
    struct timer soft_timer;      /* Runs while one is parked and soft holds some. */
};

enum error replica_sessions_new(struct executor *executor, struct partition_table *partitions,
                                struct replica_sessions **ret_sessions);

/* Lets go of every partition; parked requests are answered, later ones refused with CLOSING. */
void replica_sessions_stop(struct replica_sessions *sessions);

/* Once stopped. Accepts NULL. */
void replica_sessions_free(struct replica_sessions *sessions);

/* The request's session: a new one in the place of the node's old, with id 0, or the known one.
 * STALE_BROKER_EPOCH when a later life of the node has one, FETCH_SESSION_ID_NOT_FOUND,
 * INVALID_FETCH_SESSION_EPOCH, CLOSING, OUT_OF_MEMORY. */
enum error replica_session_enter(struct replica_sessions *sessions,
                                 const struct replica_fetch_request *body,
                                 struct replica_session **ret_session);

/* Takes in what the request says: votes count at once. OUT_OF_MEMORY: some of it was left out, the
 * follower must begin anew. */
enum error replica_session_take(struct replica_session *session,
                                const struct replica_fetch_request *body);

/* One is parked: what only the high watermark's move made news is told soon. */
void replica_session_soften(struct replica_session *session);

/* Answered: the entry rests until there is news, or, `waiting`, until it is named again. One
 * without a partition is freed. */
void replica_entry_answered(struct replica_entry *entry, bool waiting, bool sent_records);

/* True: nothing is left of the `rate` that throttled replicas share, and the entry is held. */
bool replica_entry_hold(struct replica_entry *entry, int64_t rate);
/* Records of a throttled replica are on their way. */
void replica_entry_spend(const struct replica_entry *entry, size_t bytes);

/* replica_fetch.c: answers what is parked with what there is; nothing is parked any more. */
void replica_fetch_answer(struct replica_fetch *fetch);

#endif
