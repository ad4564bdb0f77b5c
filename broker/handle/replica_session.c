/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions of follower nodes: entries, and which of them have news. */
#include "handle/replica_session.h"

#include "base/assertion.h"

/* How long a high watermark alone waits for company: the follower's readers wait for it, but most
 * often the next records take it along. */
enum { SOFT_NEWS_MS = 2 };

/* What is held is looked at so often at least: the rate, or who is throttled, may have changed. */
enum { HELD_MS_MAX = 1000 };

struct replica_sessions {
    struct executor *executor;
    struct partition_table *partitions;
    struct list list;
    struct rate_limit quota; /* Of throttled replicas. */
    struct timer held_timer; /* Runs while some are held. */
    int32_t last_id;
    bool stopped;
};

static void held_due(struct timer *timer);

enum error replica_sessions_new(struct executor *executor, struct partition_table *partitions,
                                struct replica_sessions **ret_sessions)
{
    struct replica_sessions *sessions = memory_allocate(sizeof *sessions);
    if (sessions == NULL)
        return ERROR_OUT_OF_MEMORY;
    sessions->executor = executor;
    sessions->partitions = partitions;
    /* An id that a follower still has from this node's earlier life should be none of this one's.
     */
    sessions->last_id = (int32_t)(executor_random(executor) & 0x3fffffff);
    list_init(&sessions->list);
    rate_limit_init(&sessions->quota, executor_monotonic_ms(executor));
    sessions->held_timer.fire = held_due;
    *ret_sessions = sessions;
    return ERROR_NONE;
}

/* ---- entries ---- */

static void entry_free(struct replica_entry *entry)
{
    struct replica_session *session = entry->session;
    HASH_DELETE(hh, session->entries, entry);
    list_remove(&entry->link);
    partition_news_remove(&entry->news);
    partition_unref(entry->partition);
    memory_free(entry);
}

static void session_wake(struct replica_session *session)
{
    if (session->parked != NULL && list_empty(&session->task.link))
        executor_post(session->sessions->executor, &session->task);
}

static void entry_urge(struct replica_entry *entry)
{
    list_remove(&entry->link);
    entry->held = false;
    list_push(&entry->session->urgent, &entry->link);
    session_wake(entry->session);
}

void replica_session_soften(struct replica_session *session)
{
    if (session->parked != NULL && !list_empty(&session->soft) &&
        !timer_running(&session->soft_timer))
        executor_timer_start(session->sessions->executor, &session->soft_timer, SOFT_NEWS_MS);
}

static void entry_hint(struct replica_entry *entry)
{
    if (!list_empty(&entry->link))
        return;
    list_push(&entry->session->soft, &entry->link);
    replica_session_soften(entry->session);
}

static void entry_news(struct partition_news *news, unsigned kinds)
{
    struct replica_entry *entry = container_of(news, struct replica_entry, news);
    if ((kinds & PARTITION_NEWS_ROLE) != 0) {
        entry->waiting = false;
        entry_urge(entry);
    } else if (entry->waiting || entry->held) {
        return;
    } else if ((kinds & PARTITION_NEWS_END) != 0) {
        entry_urge(entry);
    } else if ((kinds & (PARTITION_NEWS_HIGH_WATERMARK | PARTITION_NEWS_START)) != 0) {
        entry_hint(entry);
    }
}

static struct replica_entry *entry_find(struct replica_session *session,
                                        const struct replica_key *key)
{
    struct replica_entry *entry = NULL;
    HASH_FIND(hh, session->entries, key, sizeof *key, entry);
    return entry;
}

static struct replica_entry *entry_make(struct replica_session *session,
                                        const struct replica_key *key)
{
    struct replica_entry *entry = memory_allocate(sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->key = *key;
    HASH_ADD(hh, session->entries, key, sizeof entry->key, entry);
    if (entry->hh.tbl == NULL) {
        memory_free(entry);
        return NULL;
    }
    entry->session = session;
    entry->leader_epoch = -1;
    entry->news.changed = entry_news;
    list_init(&entry->link);
    list_init(&entry->news.link);
    return entry;
}

/* The replica there is now: a deleted one may have been made again. */
static void entry_attach(struct replica_entry *entry)
{
    if (entry->partition != NULL && !partition_deleted(entry->partition))
        return;
    partition_news_remove(&entry->news);
    partition_unref(entry->partition);
    entry->partition = partition_table_find_id(entry->session->sessions->partitions,
                                               &entry->key.topic_id, entry->key.index);
    if (entry->partition == NULL)
        return;
    (void)partition_ref(entry->partition);
    partition_news_add(entry->partition, &entry->news);
}

void replica_entry_answered(struct replica_entry *entry, bool waiting, bool sent_records)
{
    list_remove(&entry->link);
    entry->held = false;
    entry->waiting = waiting;
    entry->sent_records = sent_records;
    if (entry->partition == NULL || partition_deleted(entry->partition))
        entry_free(entry);
}

/* ---- the throttle ---- */

bool replica_entry_hold(struct replica_entry *entry, int64_t rate)
{
    struct replica_sessions *sessions = entry->session->sessions;
    if (rate_is_unlimited(rate) ||
        rate_limit_left(&sessions->quota, rate, executor_monotonic_ms(sessions->executor)))
        return false;
    list_remove(&entry->link);
    list_push(&entry->session->held, &entry->link);
    entry->held = true;
    int64_t wait_ms = rate_limit_wait_ms(&sessions->quota, rate);
    if (!timer_running(&sessions->held_timer))
        executor_timer_start(sessions->executor, &sessions->held_timer,
                             wait_ms < HELD_MS_MAX ? wait_ms : HELD_MS_MAX);
    return true;
}

void replica_entry_spend(const struct replica_entry *entry, size_t bytes)
{
    rate_limit_spend(&entry->session->sessions->quota, bytes);
}

static void held_due(struct timer *timer)
{
    struct replica_sessions *sessions = container_of(timer, struct replica_sessions, held_timer);
    list_for_each(link, &sessions->list)
    {
        struct replica_session *session = container_of(link, struct replica_session, link);
        while (!list_empty(&session->held))
            entry_urge(container_of(session->held.next, struct replica_entry, link));
    }
}

/* ---- sessions ---- */

static void session_end(struct replica_session *session)
{
    if (session->parked != NULL)
        replica_fetch_answer(session->parked);
    executor_timer_stop(session->sessions->executor, &session->soft_timer);
    list_remove(&session->task.link);
    while (session->entries != NULL)
        entry_free(session->entries);
    list_remove(&session->link);
    memory_free(session);
}

static void session_due(struct replica_session *session)
{
    if (session->parked != NULL)
        replica_fetch_answer(session->parked);
}

static void session_woken(struct task *task)
{
    session_due(container_of(task, struct replica_session, task));
}

static void session_soft_due(struct timer *timer)
{
    session_due(container_of(timer, struct replica_session, soft_timer));
}

static struct replica_session *session_of(struct replica_sessions *sessions, int32_t node_id)
{
    list_for_each(link, &sessions->list)
    {
        struct replica_session *session = container_of(link, struct replica_session, link);
        if (session->node_id == node_id)
            return session;
    }
    return NULL;
}

static enum error session_make(struct replica_sessions *sessions,
                               const struct replica_fetch_request *body,
                               struct replica_session **ret_session)
{
    struct replica_session *session = memory_allocate(sizeof *session);
    if (session == NULL)
        return ERROR_OUT_OF_MEMORY;
    session->sessions = sessions;
    session->node_id = body->node_id;
    session->node_epoch = body->node_epoch;
    sessions->last_id = sessions->last_id == INT32_MAX ? 1 : sessions->last_id + 1;
    session->id = sessions->last_id;
    session->epoch = 1;
    session->task.run = session_woken;
    session->soft_timer.fire = session_soft_due;
    list_init(&session->task.link);
    list_init(&session->urgent);
    list_init(&session->soft);
    list_init(&session->held);
    list_push(&sessions->list, &session->link);
    *ret_session = session;
    return ERROR_NONE;
}

enum error replica_session_enter(struct replica_sessions *sessions,
                                 const struct replica_fetch_request *body,
                                 struct replica_session **ret_session)
{
    if (sessions == NULL || sessions->stopped)
        return ERROR_CLOSING;
    struct replica_session *session = session_of(sessions, body->node_id);
    if (session != NULL && session->node_epoch > body->node_epoch)
        return ERROR_STALE_BROKER_EPOCH;
    if (body->session_id == 0) {
        if (session != NULL)
            session_end(session);
        return session_make(sessions, body, ret_session);
    }
    if (session == NULL || session->id != body->session_id ||
        session->node_epoch != body->node_epoch)
        return ERROR_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != body->session_epoch)
        return ERROR_INVALID_FETCH_SESSION_EPOCH;
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    *ret_session = session;
    return ERROR_NONE;
}

void replica_sessions_stop(struct replica_sessions *sessions)
{
    if (sessions == NULL)
        return;
    sessions->stopped = true;
    executor_timer_stop(sessions->executor, &sessions->held_timer);
    while (!list_empty(&sessions->list))
        session_end(container_of(sessions->list.next, struct replica_session, link));
}

void replica_sessions_free(struct replica_sessions *sessions)
{
    if (sessions == NULL)
        return;
    ASSERT(sessions->stopped);
    memory_free(sessions);
}

/* ---- what a request says ---- */

static void entry_take(struct replica_entry *entry,
                       const struct replica_fetch_request_replica_partition *said)
{
    struct replica_session *session = entry->session;
    entry->unproven =
        said->fetch_offset > said->end_offset &&
        (entry->leader_epoch != said->leader_epoch || said->fetch_offset < entry->fetch_offset);
    bool on_their_way = entry->waiting && entry->sent_records &&
                        entry->leader_epoch == said->leader_epoch &&
                        entry->fetch_offset == said->fetch_offset;
    entry->leader_epoch = said->leader_epoch;
    entry->last_fetched_epoch = said->last_fetched_epoch;
    entry->max_bytes = said->max_bytes;
    entry->fetch_offset = said->fetch_offset;
    entry->waiting = on_their_way;
    list_remove(&entry->link);
    entry->held = false;
    entry_attach(entry);
    struct partition_offsets offsets;
    struct partition_divergence divergence;
    enum error error = entry->partition == NULL
                           ? ERROR_UNKNOWN_TOPIC_ID
                           : partition_check_replica(entry->partition, said->leader_epoch,
                                                     said->last_fetched_epoch, said->fetch_offset,
                                                     &offsets, &divergence);
    if (error == ERROR_NONE &&
        (entry->unproven || !partition_has_follower(entry->partition, session->node_id)))
        error = ERROR_UNKNOWN_LEADER_EPOCH;
    if (error != ERROR_NONE || divergence.epoch >= 0) {
        entry->waiting = false;
        entry_urge(entry);
        return;
    }
    int64_t synced =
        said->synced_offset < said->end_offset ? said->synced_offset : said->end_offset;
    partition_replica_progress(entry->partition, session->node_id, session->node_epoch,
                               said->end_offset, synced, said->log_start_offset);
    if (on_their_way)
        return;
    if (offsets.log_end_offset > said->fetch_offset) {
        entry_urge(entry);
        return;
    }
    /* What this vote moved was news just now. */
    int64_t usable =
        offsets.high_watermark < said->end_offset ? offsets.high_watermark : said->end_offset;
    if (usable > said->high_watermark || offsets.log_start_offset > said->log_start_offset)
        entry_hint(entry);
}

static void forget(struct replica_session *session, const struct replica_fetch_request *body)
{
    for (uint32_t i = 0; i < body->forgotten_count; i++) {
        const struct replica_fetch_request_forgotten_topic *topic = &body->forgotten[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            struct replica_key key = {.topic_id = topic->topic_id, .index = topic->partitions[k]};
            struct replica_entry *entry = entry_find(session, &key);
            if (entry != NULL)
                entry_free(entry);
        }
    }
}

enum error replica_session_take(struct replica_session *session,
                                const struct replica_fetch_request *body)
{
    forget(session, body);
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct replica_fetch_request_replica_topic *topic = &body->topics[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            struct replica_key key = {.topic_id = topic->topic_id,
                                      .index = topic->partitions[k].partition_index};
            struct replica_entry *entry = entry_find(session, &key);
            if (entry == NULL)
                entry = entry_make(session, &key);
            if (entry == NULL)
                return ERROR_OUT_OF_MEMORY;
            entry_take(entry, &topic->partitions[k]);
        }
    }
    return ERROR_NONE;
}
