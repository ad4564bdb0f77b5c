/* SPDX-License-Identifier: Apache-2.0 */
/* Incremental fetch sessions (KIP-227): what a client fetches, remembered between its requests, so
 * that each request names only what changed and each answer only what is new. Inside the monitor.
 *
 * Bounded: at most max.incremental.fetch.session.cache.slots sessions; a full cache evicts the one
 * idle longest if it has been idle for two minutes, else the client goes without a session (id 0).
 */
#ifndef BROKER_HANDLE_FETCH_SESSION_H
#define BROKER_HANDLE_FETCH_SESSION_H

#include "base/executor.h"
#include "base/table.h"
#include "base/uuid.h"
#include "wire/api_fetch.h"

struct fetch_sessions;
struct fetch_session;

/* One partition of a session; in the order it is to be served. */
struct fetch_session_entry {
    struct list link;
    UT_hash_handle hh;
    int64_t fetch_offset;
    int64_t log_start_offset; /* Last sent to the client; -1 before the first time. */
    int64_t high_watermark;
    int64_t last_stable_offset;
    int32_t max_bytes;
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    bool known_to_client; /* Was in an answer already. */
    int32_t partition;    /* The key begins here: partition, topic id, topic name. */
    struct uuid topic_id;
    uint16_t topic_size;
    char topic[];
};

enum error fetch_sessions_new(struct executor *executor, uint32_t slots_max,
                              struct fetch_sessions **ret_sessions);
void fetch_sessions_free(struct fetch_sessions *sessions);

/* What a request means for sessions. On ERROR_NONE: *ret_session is NULL for a sessionless fetch
 * (serve body->topics), otherwise counted, with the request's changes applied. `ret_new`: this
 * request makes it. FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
 * FETCH_SESSION_TOPIC_ID_ERROR are top-level answers. */
enum error fetch_session_enter(struct fetch_sessions *sessions, const struct fetch_request *body,
                               bool by_id, struct fetch_session **ret_session, bool *ret_new);

int32_t fetch_session_id(const struct fetch_session *session);
uint32_t fetch_session_count(const struct fetch_session *session);

/* First to last: entry->link.next until &head. */
struct list *fetch_session_entries(struct fetch_session *session);
struct fetch_session_entry *fetch_session_find(struct fetch_session *session,
                                               const struct uuid *topic_id, struct slice topic,
                                               int32_t partition);
/* Served: goes to the back, so that a small response limit starves nobody. */
void fetch_session_to_back(struct fetch_session *session, struct fetch_session_entry *entry);

void fetch_session_unref(struct fetch_session *session);

#endif
