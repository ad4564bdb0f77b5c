/* SPDX-License-Identifier: Apache-2.0 */
/* Asking leaders, and translating their text positions. */
#include "fs/remote.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_text_stat.h"
#include "wire/call.h"

enum {
    CALL_PARTITIONS_MAX = 512,
    CALL_TIMEOUT_MS = 2000,
    RETRY_FIRST_MS = 20,
    RETRY_MOST_MS = 250,
    STALE_MS = 250, /* Others of the topic that are older are asked for in the same call. */
};

struct remote_topic {
    struct list link;
    struct uuid id;
    uint32_t count;
    struct remote_partition *partitions;
};

/* One request to one leader. Each partition has the anchor as its first place; the places of a look
 * follow in a call of its own. */
struct remote_call {
    struct list link;
    struct call call;
    struct tree *tree;
    struct list looks;
    int32_t leader;
    bool has_places;
    struct text_stat_request body;
    struct text_stat_request_topic topic;
    struct text_stat_request_partition *partitions;
    struct text_stat_request_place *places;
};

/* ---- what is known ---- */

static struct remote_topic *topic_find(struct remotes *remotes, const struct uuid *topic_id)
{
    list_for_each(link, &remotes->topics)
    {
        struct remote_topic *topic = container_of(link, struct remote_topic, link);
        if (uuid_equals(&topic->id, topic_id))
            return topic;
    }
    return NULL;
}

static void topic_free(struct remote_topic *topic)
{
    list_remove(&topic->link);
    memory_free(topic->partitions);
    memory_free(topic);
}

/* With room for all partitions there are; NULL: out of memory, or it was deleted. */
static struct remote_topic *topic_get(struct tree *tree, const struct uuid *topic_id)
{
    struct remote_topic *topic = topic_find(&tree->remotes, topic_id);
    const struct catalog_topic *known = catalog_topic_find_id(tree->broker->catalog, topic_id);
    if (known == NULL)
        return NULL;
    if (topic == NULL) {
        topic = memory_allocate(sizeof *topic);
        if (topic == NULL)
            return NULL;
        topic->id = *topic_id;
        list_push(&tree->remotes.topics, &topic->link);
    }
    if (topic->count < known->partition_count) {
        struct remote_partition *grown =
            memory_allocate_array(known->partition_count, sizeof *grown);
        if (grown == NULL)
            return NULL;
        if (topic->count > 0)
            memcpy(grown, topic->partitions, topic->count * sizeof *grown);
        memory_free(topic->partitions);
        topic->partitions = grown;
        topic->count = known->partition_count;
    }
    return topic;
}

static void topic_deleted(struct catalog_watcher *watcher, const struct catalog_topic *deleted)
{
    struct remotes *remotes = container_of(watcher, struct remotes, watcher);
    struct remote_topic *topic = topic_find(remotes, &deleted->id);
    if (topic != NULL)
        topic_free(topic);
}

void remotes_init(struct tree *tree)
{
    list_init(&tree->remotes.topics);
    list_init(&tree->remotes.calls);
    tree->remotes.watcher.topic_deleted = topic_deleted;
    catalog_watch(tree->broker->catalog, &tree->remotes.watcher);
}

void remotes_done(struct tree *tree)
{
    ASSERT(list_empty(&tree->remotes.calls));
    catalog_unwatch(tree->broker->catalog, &tree->remotes.watcher);
    while (!list_empty(&tree->remotes.topics))
        topic_free(container_of(tree->remotes.topics.next, struct remote_topic, link));
}

struct remote_partition *remote_find(struct tree *tree, const struct uuid *topic_id, int32_t index)
{
    struct remote_topic *topic = topic_find(&tree->remotes, topic_id);
    if (topic == NULL || (uint32_t)index >= topic->count || !topic->partitions[index].known)
        return NULL;
    return &topic->partitions[index];
}

struct remote_partition *remote_seed(struct tree *tree, const struct uuid *topic_id, int32_t index,
                                     int64_t anchor_offset, uint64_t anchor_text)
{
    struct remote_partition *found = remote_find(tree, topic_id, index);
    if (found != NULL)
        return found;
    struct remote_topic *topic = topic_get(tree, topic_id);
    if (topic == NULL || (uint32_t)index >= topic->count)
        return NULL;
    found = &topic->partitions[index];
    *found = (struct remote_partition){
        .known = true,
        .epoch = -1,
        .anchor_offset = anchor_offset,
        .anchor_text = anchor_text,
        .looked_ms = INT64_MIN / 2,
        .text_end = anchor_text,
        .high_watermark = anchor_offset,
        .max_timestamp = -1,
    };
    return found;
}

bool remote_is_fresh(struct tree *tree, const struct uuid *topic_id, int32_t index, int64_t age_ms)
{
    const struct remote_partition *known = remote_find(tree, topic_id, index);
    return known != NULL && known->epoch >= 0 &&
           executor_monotonic_ms(tree_executor(tree)) - known->looked_ms < age_ms;
}

void remote_forget_age(struct tree *tree, const struct uuid *topic_id, int32_t index)
{
    struct remote_partition *known = remote_find(tree, topic_id, index);
    if (known != NULL)
        known->looked_ms = INT64_MIN / 2;
}

bool remote_error_passes(struct tree *tree, const struct uuid *topic_id, enum error error)
{
    switch (error) {
    case ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_UNKNOWN_TOPIC_ID:
        return catalog_topic_find_id(tree->broker->catalog, topic_id) != NULL;
    case ERROR_LEADER_NOT_AVAILABLE:
    case ERROR_NOT_LEADER_OR_FOLLOWER:
    case ERROR_FENCED_LEADER_EPOCH:
    case ERROR_UNKNOWN_LEADER_EPOCH:
    case ERROR_OFFSET_NOT_AVAILABLE:
    case ERROR_NETWORK:
    case ERROR_REQUEST_TIMED_OUT:
    case ERROR_INTERRUPTED:
    case ERROR_CLUSTER_AUTHORIZATION_FAILED: /* It does not know this node yet. */
        return true;
    default:
        return false;
    }
}

/* ---- what is heard ---- */

static uint64_t to_ours(const struct remote_partition *known, int64_t theirs)
{
    return theirs < known->shift ? 0 : (uint64_t)(theirs - known->shift);
}

static void partition_heard(struct tree *tree, struct remote_partition *known,
                            const struct text_stat_response_partition_answer *answer)
{
    if (!known->known) {
        known->shift = 0;
        known->text_end = 0;
    } else if (known->epoch != answer->leader_epoch) {
        known->shift = answer->places[0].position - (int64_t)known->anchor_text;
    }
    known->known = true;
    known->epoch = answer->leader_epoch;
    known->looked_ms = executor_monotonic_ms(tree_executor(tree));
    known->text_start = to_ours(known, answer->text_start);
    known->anchor_offset = answer->high_watermark;
    known->anchor_text = to_ours(known, answer->text_end);
    if (known->text_end < known->anchor_text)
        known->text_end = known->anchor_text;
    known->log_start_offset = answer->log_start_offset;
    known->high_watermark = answer->high_watermark;
    known->last_stable_offset = answer->last_stable_offset;
    known->log_end_offset = answer->log_end_offset;
    known->log_size_bytes = answer->log_size_bytes;
    known->max_timestamp = answer->max_timestamp;
}

static const struct text_stat_response_partition_answer *answer_find(const struct remote_call *call,
                                                                     int32_t index)
{
    const struct text_stat_response *response = call->call.response;
    if (response->topics_count != 1 ||
        response->topics[0].partitions_count != call->topic.partitions_count)
        return NULL;
    for (uint32_t i = 0; i < call->topic.partitions_count; i++) {
        const struct text_stat_response_partition_answer *answer =
            &response->topics[0].partitions[i];
        if (answer->partition_index == index &&
            answer->places_count == call->partitions[i].places_count)
            return answer;
    }
    return NULL;
}

static void answers_take(struct remote_call *call)
{
    struct remote_topic *topic = topic_find(&call->tree->remotes, &call->topic.topic_id);
    for (uint32_t i = 0; topic != NULL && i < call->topic.partitions_count; i++) {
        int32_t index = call->partitions[i].partition_index;
        const struct text_stat_response_partition_answer *answer = answer_find(call, index);
        if (answer != NULL && answer->error_code == 0)
            partition_heard(call->tree, &topic->partitions[index], answer);
    }
}

/* What came of one look. */
static enum error look_result(struct remote_call *call, struct remote_look *look)
{
    if (call->call.error != ERROR_NONE)
        return call->call.error;
    const struct text_stat_response_partition_answer *answer = answer_find(call, look->index);
    const struct remote_partition *known = remote_find(call->tree, &look->topic_id, look->index);
    if (answer == NULL)
        return ERROR_NETWORK;
    enum error error = error_from_kafka(answer->error_code);
    if (error == ERROR_NONE && known == NULL)
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    for (uint32_t i = 0; error == ERROR_NONE && i < look->place_count; i++) {
        look->places[i].offset = answer->places[i + 1].offset;
        look->places[i].text = to_ours(known, answer->places[i + 1].position);
    }
    return error;
}

/* ---- looking ---- */

static void look_again(struct timer *timer);

static void look_end(struct remote_look *look, enum error error)
{
    look->error = error;
    look->done(look);
}

static void look_ended(struct remote_look *look, enum error error)
{
    struct executor *executor = tree_executor(look->tree);
    if (error == ERROR_UNKNOWN_TOPIC_ID)
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!remote_error_passes(look->tree, &look->topic_id, error)) {
        look_end(look, error);
        return;
    }
    if (executor_monotonic_ms(executor) >= look->deadline_ms) {
        look_end(look, ERROR_REQUEST_TIMED_OUT);
        return;
    }
    look->timer.fire = look_again;
    executor_timer_start(executor, &look->timer, look->retry_ms);
    look->retry_ms = look->retry_ms * 2 < RETRY_MOST_MS ? look->retry_ms * 2 : RETRY_MOST_MS;
}

static void call_free(struct remote_call *call)
{
    call_done(&call->call);
    memory_free(call->partitions);
    memory_free(call->places);
    memory_free(call);
}

static void call_ended(struct call *ended)
{
    struct remote_call *call = container_of(ended, struct remote_call, call);
    struct tree *tree = call->tree;
    list_remove(&call->link);
    if (ended->error == ERROR_NONE)
        answers_take(call);
    for (struct list *link; (link = list_take(&call->looks)) != NULL;) {
        struct remote_look *look = container_of(link, struct remote_look, link);
        look_ended(look, look_result(call, look));
    }
    call_free(call);
    atomic_fetch_sub_explicit(&tree->operations, 1, memory_order_release);
}

/* Those of the topic that the same node leads and that are not fresh, from `look` on. */
static void call_gather(struct remote_call *call, const struct remote_look *look,
                        const struct catalog_topic *topic)
{
    struct tree *tree = call->tree;
    uint32_t count = 0, most = call->has_places ? 1 : CALL_PARTITIONS_MAX;
    for (uint32_t i = (uint32_t)look->index; i < topic->partition_count && count < most; i++) {
        struct catalog_partition partition;
        bool wanted =
            i == (uint32_t)look->index ||
            (catalog_partition_find(tree->broker->catalog, topic, (int32_t)i, &partition) &&
             partition.leader == call->leader &&
             !remote_is_fresh(tree, &topic->id, (int32_t)i, STALE_MS) &&
             partition_table_find_id(tree->broker->partitions, &topic->id, (int32_t)i) == NULL);
        if (!wanted)
            continue;
        const struct remote_partition *known = remote_find(tree, &topic->id, (int32_t)i);
        struct text_stat_request_partition *asked = &call->partitions[count];
        text_stat_request_partition_init(asked);
        asked->partition_index = (int32_t)i;
        asked->places = &call->places[count++];
        asked->places_count = 1;
        text_stat_request_place_init(asked->places);
        asked->places[0].kind = REMOTE_COMMITTED;
        asked->places[0].value = known == NULL ? 0 : known->anchor_offset;
    }
    call->topic.partitions = call->partitions;
    call->topic.partitions_count = count;
}

static void call_add_places(struct remote_call *call, const struct remote_look *look)
{
    struct text_stat_request_partition *asked = &call->partitions[0];
    for (uint32_t i = 0; i < look->place_count; i++) {
        struct text_stat_request_place *place = &asked->places[asked->places_count++];
        text_stat_request_place_init(place);
        place->kind = (int8_t)look->places[i].kind;
        place->value = look->places[i].value;
    }
}

/* NULL: out of memory. */
static struct remote_call *call_new(struct remote_look *look, const struct catalog_topic *topic,
                                    int32_t leader)
{
    struct tree *tree = look->tree;
    uint32_t most = topic->partition_count - (uint32_t)look->index;
    struct remote_call *call = memory_allocate(sizeof *call);
    if (call == NULL)
        return NULL;
    if (look->place_count > 0)
        most = 1;
    else if (most > CALL_PARTITIONS_MAX)
        most = CALL_PARTITIONS_MAX;
    call_init(&call->call, tree->broker->caller, api_find(API_TEXT_STAT), leader, CALL_READ,
              CALL_TIMEOUT_MS);
    call->tree = tree;
    call->leader = leader;
    call->has_places = look->place_count > 0;
    list_init(&call->looks);
    list_init(&call->link);
    call->partitions = memory_allocate_array(most, sizeof *call->partitions);
    call->places = memory_allocate_array(most + REMOTE_PLACES_MAX, sizeof *call->places);
    if (call->partitions == NULL || call->places == NULL || topic_get(tree, &topic->id) == NULL) {
        call_free(call);
        return NULL;
    }
    text_stat_request_init(&call->body);
    text_stat_request_topic_init(&call->topic);
    call->topic.topic_id = topic->id;
    call_gather(call, look, topic);
    call_add_places(call, look);
    call->body.topics = &call->topic;
    call->body.topics_count = 1;
    call->call.body = &call->body;
    call->call.done = call_ended;
    return call;
}

static bool call_asks(const struct remote_call *call, const struct remote_look *look,
                      int32_t leader)
{
    if (call->has_places || look->place_count > 0 || call->leader != leader ||
        !uuid_equals(&call->topic.topic_id, &look->topic_id))
        return false;
    for (uint32_t i = 0; i < call->topic.partitions_count; i++)
        if (call->partitions[i].partition_index == look->index)
            return true;
    return false;
}

/* Joins a call that is under way, or begins one. */
static void look_ask(struct remote_look *look)
{
    struct tree *tree = look->tree;
    struct catalog_partition partition;
    const struct catalog_topic *topic =
        catalog_topic_find_id(tree->broker->catalog, &look->topic_id);
    if (topic == NULL ||
        !catalog_partition_find(tree->broker->catalog, topic, look->index, &partition)) {
        look_end(look, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    if (partition.leader < 0 || partition.leader == tree->broker->node_id) {
        look_ended(look, ERROR_LEADER_NOT_AVAILABLE);
        return;
    }
    list_for_each(link, &tree->remotes.calls)
    {
        struct remote_call *call = container_of(link, struct remote_call, link);
        if (!call_asks(call, look, partition.leader))
            continue;
        list_push(&call->looks, &look->link);
        return;
    }
    struct remote_call *call = call_new(look, topic, partition.leader);
    if (call == NULL) {
        look_end(look, ERROR_OUT_OF_MEMORY);
        return;
    }
    list_push(&call->looks, &look->link);
    list_push(&tree->remotes.calls, &call->link);
    /* The tree waits for it as for an operation. */
    atomic_fetch_add_explicit(&tree->operations, 1, memory_order_relaxed);
    call_start(tree_executor(tree), &call->call);
}

static void look_again(struct timer *timer)
{
    look_ask(container_of(timer, struct remote_look, timer));
}

void remote_look_start(struct tree *tree, struct remote_look *look)
{
    look->tree = tree;
    look->deadline_ms = executor_monotonic_ms(tree_executor(tree)) + look->timeout_ms;
    look->retry_ms = RETRY_FIRST_MS;
    look->timer.fire = look_again;
    list_init(&look->link);
    executor_timer_start(tree_executor(tree), &look->timer, 0);
}

bool remote_look_running(const struct remote_look *look)
{
    return look->tree != NULL && (!list_empty(&look->link) || timer_running(&look->timer));
}

void remote_look_stop(struct remote_look *look)
{
    if (look->tree == NULL)
        return;
    executor_timer_stop(tree_executor(look->tree), &look->timer);
    list_remove(&look->link);
}
