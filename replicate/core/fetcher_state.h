/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fetcher share. Only replicate/core/fetcher*.c includes it.
 *
 *   fetchers --1 a leader node--> fetcher --1 a partition--> fetched
 *                                    '-- flights: the requests under way, two at most
 *
 * A fetched is in its fetcher's `news` while the next request has to name it, in `held` while a
 * throttle holds it back, else in no list. */
#ifndef REPLICATE_CORE_FETCHER_STATE_H
#define REPLICATE_CORE_FETCHER_STATE_H

#include "base/rate_limit.h"
#include "base/table.h"
#include "record/codec.h"
#include "replicate/core/fetcher.h"
#include "wire/api_replica_fetch.h"

enum { FLIGHTS = 2 };

enum fetched_state {
    FETCHED_FETCHING,
    FETCHED_CHECKING,   /* Its records are on the pool. */
    FETCHED_TRUNCATING, /* Or beginning anew. */
    FETCHED_FAILED      /* Until its timer. */
};

struct fetched_key {
    struct uuid topic_id;
    int32_t index;
};

/* One partition this node follows. */
struct fetched {
    UT_hash_handle hh; /* By key, in the fetcher. */
    struct list link;
    struct partition_news news;
    struct partition *partition; /* Counted. */
    struct fetcher *fetcher;
    struct fetched_key key;
    int32_t leader_epoch;
    enum fetched_state state;
    bool awaited; /* Named, and not answered with anything that needs an answer. */
    bool renewed; /* To be forgotten first: the leader believes that its last answer did arrive. */
    bool gone;    /* Not followed any more; freed when its state lets go. */
    bool throttled;
    int64_t backoff_ms;
    struct timer timer;
    struct partition_truncation truncation;
};

/* A partition's records in an answer. */
struct flight_part {
    struct fetched *fetched; /* CHECKING. */
    struct slice records;
    int64_t high_watermark;
    int64_t log_start_offset;
    struct partition_batches batches;
    enum error error;
};

/* One request and what comes of its answer. */
struct flight {
    struct call call;
    struct work work;
    struct fetcher *fetcher;
    struct arena arena; /* Of the request, and of the parts. */
    struct replica_fetch_request body;
    struct flight_part *parts;
    uint32_t parts_count;
    struct codec_context codec;
    uint32_t generation; /* Of the session it was sent in. */
    bool sent;           /* Until its answer came. */
    bool checking;       /* On the pool. */
};

/* What comes from one leader node. */
struct fetcher {
    struct list link;
    struct fetchers *fetchers;
    int32_t node_id;
    struct fetched *by_key;
    uint32_t count;
    struct list news;
    struct list held;
    struct fetched_key *forgotten; /* To be told to the leader. */
    uint32_t forgotten_count;
    uint32_t forgotten_capacity;
    int64_t node_epoch; /* This node's, as the session knows it. */
    int32_t session_id; /* 0: none; the next request begins one. */
    int32_t session_epoch;
    uint32_t generation; /* Of sessions: answers of an older one are not looked at. */
    struct flight flights[FLIGHTS];
    struct task task;   /* Posted: consider the next request. */
    struct timer timer; /* Runs while nothing is to be sent after a failure. */
    int64_t backoff_ms;
};

struct fetchers {
    struct fetchers_options options;
    struct partition_feed feed;
    struct list list;
    struct timer throttle_timer;
    struct rate_limit quota; /* Of throttled partitions. */
    struct fetchers_view view;
    bool stopping;
};

/* ---- fetcher.c ---- */

/* The next request has to name it. */
void fetched_announce(struct fetched *fetched);
/* It cannot go on: again after a pause, which doubles from time to time. */
void fetched_fail(struct fetched *fetched, enum error error);
/* It went on. */
void fetched_succeed(struct fetched *fetched);
/* Its state lets go of it: freed if it is gone. True then. */
bool fetched_release(struct fetched *fetched);

struct fetched *fetched_find(struct fetcher *fetcher, const struct fetched_key *key);

/* Posts the task that considers the next request. */
void fetcher_wake(struct fetcher *fetcher);
/* Everything is asked for anew, in a new session, after the pause or at once. */
void fetcher_restart(struct fetcher *fetcher, bool pause);

/* ---- fetcher_request.c ---- */

/* Sends the next request if there is reason to and nothing against it. */
void fetcher_consider(struct fetcher *fetcher);

/* ---- fetcher_answer.c ---- */

/* An answer without an error of its own: every partition of it. */
void flight_take(struct flight *flight, const struct replica_fetch_response *response);

/* ---- fetcher_throttle.c ---- */

void throttle_init(struct fetchers *fetchers);
/* What is held back is announced again: the rate may be another. */
void throttle_release(struct fetchers *fetchers);
/* False: it is held back, and announced again when there is quota. */
bool throttle_admits(struct fetched *fetched);
void throttle_spend(struct fetched *fetched, size_t bytes);

#endif
