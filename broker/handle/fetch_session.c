/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of fetch sessions: ids are random, epochs count up from 1 and wrap to 1. */
#include "handle/fetch_session.h"

#include "base/assertion.h"
#include "catalog/catalog.h"

enum { SESSION_IDLE_MS = 120000, SESSION_ENTRIES_MAX = 100000 };

struct fetch_session {
    UT_hash_handle hh;
    struct fetch_sessions *sessions;
    struct list recent; /* In sessions->recent, the longest idle first. */
    int32_t id;
    int32_t epoch; /* Expected of the next request. */
    bool by_id;
    bool cached; /* In the table; false once closed or evicted. */
    uint32_t references;
    int64_t used_ms;
    struct list entries;
    struct fetch_session_entry *by_key;
    uint32_t count;
};

struct fetch_sessions {
    struct executor *executor;
    struct fetch_session *by_id;
    struct list recent;
    uint32_t count;
    uint32_t slots_max;
};

enum error fetch_sessions_new(struct executor *executor, uint32_t slots_max,
                              struct fetch_sessions **ret_sessions)
{
    struct fetch_sessions *sessions = memory_allocate(sizeof *sessions);
    if (sessions == NULL)
        return ERROR_OUT_OF_MEMORY;
    sessions->executor = executor;
    sessions->slots_max = slots_max;
    list_init(&sessions->recent);
    *ret_sessions = sessions;
    return ERROR_NONE;
}

static void entry_remove(struct fetch_session *session, struct fetch_session_entry *entry)
{
    HASH_DELETE(hh, session->by_key, entry);
    list_remove(&entry->link);
    session->count--;
    memory_free(entry);
}

void fetch_session_unref(struct fetch_session *session)
{
    if (session == NULL || --session->references > 0)
        return;
    ASSERT(!session->cached);
    list_for_each_safe(link, &session->entries)
        entry_remove(session, container_of(link, struct fetch_session_entry, link));
    memory_free(session);
}

static void session_uncache(struct fetch_session *session)
{
    struct fetch_sessions *sessions = session->sessions;
    ASSERT(session->cached);
    HASH_DELETE(hh, sessions->by_id, session);
    list_remove(&session->recent);
    sessions->count--;
    session->cached = false;
    fetch_session_unref(session);
}

void fetch_sessions_free(struct fetch_sessions *sessions)
{
    if (sessions == NULL)
        return;
    list_for_each_safe(link, &sessions->recent)
        session_uncache(container_of(link, struct fetch_session, recent));
    memory_free(sessions);
}

static struct fetch_session *session_find(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *session = NULL;
    HASH_FIND(hh, sessions->by_id, &id, sizeof id, session);
    return session;
}

static bool make_room(struct fetch_sessions *sessions)
{
    if (sessions->count < sessions->slots_max)
        return true;
    if (list_empty(&sessions->recent))
        return false;
    struct fetch_session *oldest =
        container_of(sessions->recent.next, struct fetch_session, recent);
    if (executor_monotonic_ms(sessions->executor) - oldest->used_ms < SESSION_IDLE_MS)
        return false;
    session_uncache(oldest);
    return true;
}

static struct fetch_session *session_new(struct fetch_sessions *sessions, bool by_id)
{
    if (!make_room(sessions))
        return NULL;
    struct fetch_session *session = memory_allocate(sizeof *session);
    if (session == NULL)
        return NULL;
    do {
        session->id = (int32_t)(executor_random(sessions->executor) & INT32_MAX);
    } while (session->id == 0 || session_find(sessions, session->id) != NULL);
    HASH_ADD(hh, sessions->by_id, id, sizeof session->id, session);
    if (session->hh.tbl == NULL) {
        memory_free(session);
        return NULL;
    }
    session->sessions = sessions;
    session->epoch = 1;
    session->by_id = by_id;
    session->cached = true;
    session->references = 1;
    list_init(&session->entries);
    list_push(&sessions->recent, &session->recent);
    sessions->count++;
    return session;
}

int32_t fetch_session_id(const struct fetch_session *session)
{
    return session->id;
}

uint32_t fetch_session_count(const struct fetch_session *session)
{
    return session->count;
}

struct list *fetch_session_entries(struct fetch_session *session)
{
    return &session->entries;
}

/* An entry's key as it lies in it: looking one up takes no memory. */
struct entry_key {
    int32_t partition;
    struct uuid topic_id;
    uint16_t topic_size;
    char topic[TOPIC_NAME_BYTES_MAX];
};

_Static_assert(offsetof(struct fetch_session_entry, topic) -
                       offsetof(struct fetch_session_entry, partition) ==
                   offsetof(struct entry_key, topic),
               "a key is one run of bytes");

static size_t key_size(size_t topic_size)
{
    return offsetof(struct entry_key, topic) + topic_size;
}

static struct fetch_session_entry *entry_new(const struct uuid *topic_id, struct slice topic,
                                             int32_t partition)
{
    struct fetch_session_entry *entry = memory_allocate(sizeof *entry + topic.size);
    if (entry == NULL)
        return NULL;
    entry->partition = partition;
    entry->topic_id = *topic_id;
    entry->topic_size = (uint16_t)topic.size;
    if (topic.size > 0)
        memcpy(entry->topic, topic.data, topic.size);
    entry->log_start_offset = -1;
    entry->high_watermark = -1;
    entry->last_stable_offset = -1;
    return entry;
}

struct fetch_session_entry *fetch_session_find(struct fetch_session *session,
                                               const struct uuid *topic_id, struct slice topic,
                                               int32_t partition)
{
    struct entry_key key = {
        .partition = partition, .topic_id = *topic_id, .topic_size = (uint16_t)topic.size};
    struct fetch_session_entry *found = NULL;
    if (topic.size > sizeof key.topic)
        return NULL;
    if (topic.size > 0)
        memcpy(key.topic, topic.data, topic.size);
    HASH_FIND(hh, session->by_key, &key, key_size(topic.size), found);
    return found;
}

static enum error entry_put(struct fetch_session *session, const struct uuid *topic_id,
                            struct slice topic, const struct fetch_request_fetch_partition *asked)
{
    struct fetch_session_entry *entry =
        fetch_session_find(session, topic_id, topic, asked->partition);
    if (entry == NULL) {
        ASSERT(topic.size <= TOPIC_NAME_BYTES_MAX);
        if (session->count >= SESSION_ENTRIES_MAX)
            return ERROR_INVALID_REQUEST;
        entry = entry_new(topic_id, topic, asked->partition);
        if (entry == NULL)
            return ERROR_OUT_OF_MEMORY;
        HASH_ADD_KEYPTR(hh, session->by_key, &entry->partition, key_size(topic.size), entry);
        if (entry->hh.tbl == NULL) {
            memory_free(entry);
            return ERROR_OUT_OF_MEMORY;
        }
        list_push(&session->entries, &entry->link);
        session->count++;
    }
    entry->fetch_offset = asked->fetch_offset;
    entry->max_bytes = asked->partition_max_bytes;
    entry->current_leader_epoch = asked->current_leader_epoch;
    entry->last_fetched_epoch = asked->last_fetched_epoch;
    return ERROR_NONE;
}

static enum error apply_changes(struct fetch_session *session, const struct fetch_request *body)
{
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &body->topics[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            enum error error =
                entry_put(session, &topic->topic_id, topic->topic, &topic->partitions[j]);
            if (error != ERROR_NONE)
                return error;
        }
    }
    for (uint32_t i = 0; i < body->forgotten_topics_data_count; i++) {
        const struct fetch_request_forgotten_topic *topic = &body->forgotten_topics_data[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            struct fetch_session_entry *entry =
                fetch_session_find(session, &topic->topic_id, topic->topic, topic->partitions[j]);
            if (entry != NULL)
                entry_remove(session, entry);
        }
    }
    return ERROR_NONE;
}

/* What a session can hold: names of that length no topic has. */
static bool names_fit(const struct fetch_request *body)
{
    for (uint32_t i = 0; i < body->topics_count; i++) {
        if (body->topics[i].topic.size > TOPIC_NAME_BYTES_MAX)
            return false;
    }
    return true;
}

static void close_named(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *session = id == 0 ? NULL : session_find(sessions, id);
    if (session != NULL)
        session_uncache(session);
}

static void session_touch(struct fetch_session *session)
{
    session->used_ms = executor_monotonic_ms(session->sessions->executor);
    list_remove(&session->recent);
    list_push(&session->sessions->recent, &session->recent);
}

enum error fetch_session_enter(struct fetch_sessions *sessions, const struct fetch_request *body,
                               bool by_id, struct fetch_session **ret_session, bool *ret_new)
{
    *ret_session = NULL;
    *ret_new = false;
    if (body->session_epoch == -1 || body->session_epoch == 0) {
        close_named(sessions, body->session_id);
        if (body->session_epoch == -1 || body->topics_count == 0)
            return ERROR_NONE;
    }
    struct fetch_session *session = NULL;
    if (body->session_epoch == 0) {
        session = names_fit(body) ? session_new(sessions, by_id) : NULL;
        if (session == NULL)
            return ERROR_NONE; /* Goes without. */
        *ret_new = true;
    } else {
        session = session_find(sessions, body->session_id);
        if (session == NULL)
            return ERROR_FETCH_SESSION_ID_NOT_FOUND;
        if (session->epoch != body->session_epoch)
            return ERROR_INVALID_FETCH_SESSION_EPOCH;
        if (session->by_id != by_id)
            return ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
        if (!names_fit(body)) { /* The client begins anew, and goes without. */
            session_uncache(session);
            return ERROR_FETCH_SESSION_ID_NOT_FOUND;
        }
        session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    }
    session_touch(session);
    enum error error = apply_changes(session, body);
    if (error != ERROR_NONE) {
        session_uncache(session);
        return error;
    }
    session->references++;
    *ret_session = session;
    return ERROR_NONE;
}

void fetch_session_to_back(struct fetch_session *session, struct fetch_session_entry *entry)
{
    list_remove(&entry->link);
    list_push(&session->entries, &entry->link);
}
