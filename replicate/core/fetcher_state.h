/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fetcher share. Only replicate/core/fetcher*.c includes it.
 *
 *   fetchers --1 a leader node--> fetcher --1 a partition--> fetched
 *                                    '-- flights: two requests under way at most, and answers
 *                                        that are worked on
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

enum { FLIGHTS = 3, FLIGHTS_SENT_MAX = 2 };

enum fetched_state {
    FETCHED_FETCHING,
    FETCHED_CHECKING,   /* `parts` of its records are not appended yet. */
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
    bool awaited;                  /* Named, and not answered with anything that needs an answer. */
    int64_t leader_high_watermark; /* As its last records' answer had it. */
    uint64_t named_number;         /* Of the flight that named it at asked_offset first. */
    int64_t asked_offset;
    int64_t
        ahead_offset;    /* CHECKING: behind all parts; -1: nothing is asked for before they end. */
    int32_t ahead_epoch; /* Of the last batch before it. */
    uint32_t parts;      /* In flights. */
    uint32_t life;       /* What was asked for in an earlier one is not appended. */
    bool renewed; /* To be forgotten first: the leader believes that its last answer did arrive. */
    bool gone;    /* Not followed any more; freed when its state lets go. */
    bool throttled;
    int64_t backoff_ms;
    struct timer timer;
    struct partition_truncation truncation;
};

/* A partition's records in an answer. */
struct flight_part {
    struct fetched *fetched;
    uint32_t life;
    int64_t from_offset; /* Where it was asked for. */
    struct slice records;
    int64_t high_watermark;
    int64_t log_start_offset;
    struct partition_batches batches;
    enum error error;
};

/* What was found of the records of one partition's answer before the monitor saw it. */
struct early_check {
    struct partition_batches batches;
    enum error error;
};

/* One request and what comes of its answer. */
struct flight {
    struct call call;
    struct list link; /* In the fetcher's landed, or alone. */
    struct work work;
    struct fetcher *fetcher;
    struct arena arena; /* Of the request, and of the parts. */
    struct replica_fetch_request body;
    struct flight_part *parts;
    uint32_t parts_count;
    struct early_check *early; /* One a partition of the answer, in its order; NULL: none. */
    uint32_t early_count;
    size_t early_bytes_max;
    struct codec_context codec;
    uint64_t number;     /* Of all flights to this leader: answers come in this order. */
    uint32_t generation; /* Of the session it was sent in. */
    bool sent;           /* Until its answer came. */
    bool landed;         /* Its parts are not all appended. */
    bool checking;       /* On the pool. */
    bool checked;        /* Landed, and so were its parts. */
    bool waited;         /* Landed, and left behind others. */
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
    struct list landed; /* struct flight.link: parts to be appended, in the order they came. */
    uint64_t last_number;
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
/* Whether the next request may name it now. */
bool fetched_may_be_named(const struct fetched *fetched);
/* What is behind our records is asked for already, and the leader has committed more than this
 * vote: it moves nothing. A later request takes it along. */
bool fetched_vote_can_wait(const struct fetched *fetched, int64_t vote);
/* It cannot go on: again after a pause, which doubles from time to time. */
void fetched_fail(struct fetched *fetched, enum error error);
/* It went on. */
void fetched_succeed(struct fetched *fetched);
/* Its state lets go of it: true when it is gone; freed with the last that holds it. */
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

/* The call's `arrived`: checks records that are few. Outside the monitor. */
void flight_check_early(struct call *call);
/* What was checked and is not needed. */
void flight_early_done(struct flight *flight);
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
