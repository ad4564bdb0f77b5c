/* SPDX-License-Identifier: Apache-2.0 */
/* Numbering, sending, sending again. */
#include "fs/lane.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/forward.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "handle/producer_ids.h"

enum {
    IN_FLIGHT_MAX = 5, /* What a leader remembers of a producer. */
    RETRY_FIRST_MS = 10,
    RETRY_MOST_MS = 200,
};

struct lane_producer {
    struct tree *tree;
    int64_t id; /* PRODUCER_ID_NONE: not given yet. */
    int32_t
        epoch_next; /* Rises, so that a partition's next lane is never taken for an older one. */
    bool asking;
    bool freed; /* To be freed when the id comes. */
    struct producer_id_wait wait;
    struct list lanes; /* Wait for the id. */
    struct list all;   /* By lane->member. */
    struct catalog_watcher watcher;
};

struct lane {
    struct list link; /* In producer->lanes, or alone. */
    struct list member;
    struct tree *tree;
    struct inode *inode; /* Owns the lane. */
    struct list waiting;
    struct list sent;
    uint32_t sent_count;
    int32_t sent_epoch; /* The leader epoch that what is sent was sent in. */
    uint64_t number_next;
    int64_t producer_id; /* PRODUCER_ID_NONE: the next batch begins an epoch. */
    int16_t producer_epoch;
    int32_t sequence_next;
    /* A batch of this epoch was stored. Until then a leader that does not know the producer takes
     * whatever comes first (protocol facts (d), row 21), so only one batch is on its way. */
    bool proven;
    bool deleted; /* The topic is gone: nothing waits any more. */
    bool broken;  /* A number was used for a batch that will not come: a new epoch is due. */
    struct timer retry;
    int64_t retry_ms;
};

static void lane_pump(struct lane *lane);

/* ---- leaders ---- */

/* Who leads by the catalog; false: nobody, or the topic is gone. */
static bool lane_leader(const struct lane *lane, int32_t *ret_leader, int32_t *ret_epoch)
{
    struct catalog_partition partition;
    struct catalog *catalog = lane->tree->broker->catalog;
    const struct catalog_topic *topic = inode_topic(lane->tree, lane->inode);
    if (topic == NULL || !catalog_partition_find(catalog, topic, lane->inode->index, &partition))
        return false;
    *ret_leader = partition.leader;
    *ret_epoch = partition.leader_epoch;
    return partition.leader >= 0;
}

/* What is on its way to a leader that is none any more is given up waiting for: a node that hangs
 * would keep it. The next leader is tried at once. */
static void lane_look(struct lane *lane)
{
    int32_t leader, epoch = -1;
    bool is_led = lane_leader(lane, &leader, &epoch);
    list_for_each(link, &lane->sent)
    {
        struct lane_batch *batch = container_of(link, struct lane_batch, link);
        if (batch->forward != NULL && epoch != lane->sent_epoch)
            forward_end(batch->forward);
    }
    if (is_led && !list_empty(&lane->waiting)) {
        lane->retry_ms = RETRY_FIRST_MS;
        executor_timer_start(tree_executor(lane->tree), &lane->retry, 0);
    }
}

static void leaders_changed(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct lane_producer *producer = container_of(watcher, struct lane_producer, watcher);
    list_for_each(link, &producer->all)
    {
        struct lane *lane = container_of(link, struct lane, member);
        if (uuid_equals(&lane->inode->topic_id, &topic->id))
            lane_look(lane);
    }
}

static void lane_end(struct lane *lane);

/* Nobody will ever take them: those that wait end at once, those on their way as soon as they can
 * be called back. */
static void topic_gone(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    struct lane_producer *producer = container_of(watcher, struct lane_producer, watcher);
    list_for_each(link, &producer->all)
    {
        struct lane *lane = container_of(link, struct lane, member);
        if (uuid_equals(&lane->inode->topic_id, &topic->id))
            lane_end(lane);
    }
}

/* ---- ids and epochs ---- */

enum error lane_producer_new(struct tree *tree, struct lane_producer **ret_producer)
{
    struct lane_producer *producer = memory_allocate(sizeof *producer);
    if (producer == NULL)
        return ERROR_OUT_OF_MEMORY;
    producer->tree = tree;
    producer->id = PRODUCER_ID_NONE;
    list_init(&producer->lanes);
    list_init(&producer->all);
    producer->watcher.topic_changed = leaders_changed;
    producer->watcher.topic_deleted = topic_gone;
    catalog_watch(tree->broker->catalog, &producer->watcher);
    *ret_producer = producer;
    return ERROR_NONE;
}

void lane_producer_free(struct lane_producer *producer)
{
    if (producer == NULL)
        return;
    ASSERT(list_empty(&producer->lanes));
    ASSERT(list_empty(&producer->all));
    catalog_unwatch(producer->tree->broker->catalog, &producer->watcher);
    producer->freed = true;
    if (!producer->asking)
        memory_free(producer);
}

static void id_given(struct producer_id_wait *wait)
{
    struct lane_producer *producer = container_of(wait, struct lane_producer, wait);
    struct list lanes;
    producer->asking = false;
    if (producer->freed) {
        memory_free(producer);
        return;
    }
    if (wait->error != ERROR_NONE)
        return; /* The lanes ask again as their timers fire. */
    producer->id = wait->producer_id;
    producer->epoch_next = 0;
    list_move(&producer->lanes, &lanes);
    for (struct list *link; (link = list_take(&lanes)) != NULL;) {
        struct lane *lane = container_of(link, struct lane, link);
        executor_timer_stop(tree_executor(lane->tree), &lane->retry);
        lane_pump(lane);
    }
}

/* False while there is no id: the lane is pumped again when it comes. */
static bool epoch_begin(struct lane *lane)
{
    struct lane_producer *producer = lane->tree->producer;
    if (producer->id == PRODUCER_ID_NONE || producer->epoch_next > INT16_MAX) {
        if (list_empty(&lane->link))
            list_push(&producer->lanes, &lane->link);
        if (!producer->asking) {
            producer->asking = true;
            producer->wait.done = id_given;
            producer_ids_take(lane->tree->broker->producer_ids, &producer->wait);
        }
        return false;
    }
    lane->producer_id = producer->id;
    lane->producer_epoch = (int16_t)producer->epoch_next++;
    lane->sequence_next = 0;
    lane->proven = false;
    return true;
}

/* ---- the lane ---- */

static void retry_due(struct timer *timer);

enum error lane_of(struct tree *tree, struct inode *inode, struct lane **ret_lane)
{
    if (inode_topic(tree, inode) == NULL)
        return ERROR_STALE; /* Deleted: there is nobody to wait for. */
    if (inode->lane == NULL) {
        if (catalog_node_count(tree->broker->catalog) > 1 || inode_replica(tree, inode) == NULL) {
            inode->lane = memory_allocate(sizeof *inode->lane);
            if (inode->lane == NULL)
                return ERROR_OUT_OF_MEMORY;
            *inode->lane = (struct lane){.tree = tree,
                                         .inode = inode,
                                         .producer_id = PRODUCER_ID_NONE,
                                         .retry_ms = RETRY_FIRST_MS,
                                         .retry = {.fire = retry_due}};
            list_init(&inode->lane->link);
            list_push(&tree->producer->all, &inode->lane->member);
            list_init(&inode->lane->waiting);
            list_init(&inode->lane->sent);
        }
    }
    *ret_lane = inode->lane;
    return ERROR_NONE;
}

void lane_free(struct lane *lane)
{
    if (lane == NULL)
        return;
    ASSERT(list_empty(&lane->waiting));
    ASSERT(list_empty(&lane->sent));
    list_remove(&lane->link);
    list_remove(&lane->member);
    executor_timer_stop(tree_executor(lane->tree), &lane->retry);
    memory_free(lane);
}

static struct lane_batch *batch_at(struct list *link)
{
    return container_of(link, struct lane_batch, link);
}

static void finished(struct task *task)
{
    struct lane_batch *batch = container_of(task, struct lane_batch, task);
    batch->done(batch);
}

/* It is over. The batch is in no list. */
static void batch_finish(struct lane *lane, struct lane_batch *batch, enum error error)
{
    batch->append.error = error;
    batch->lane = NULL;
    batch->task.run = finished;
    executor_post(tree_executor(lane->tree), &batch->task);
}

static void lane_end(struct lane *lane)
{
    lane->deleted = true;
    executor_timer_stop(tree_executor(lane->tree), &lane->retry);
    for (struct list *link; (link = list_take(&lane->waiting)) != NULL;)
        batch_finish(lane, batch_at(link), ERROR_STALE);
    list_for_each(link, &lane->sent)
    {
        struct lane_batch *batch = batch_at(link);
        if (batch->forward != NULL)
            forward_end(batch->forward);
    }
}

/* Back among those that wait, in order. */
static void batch_put_back(struct lane *lane, struct lane_batch *batch)
{
    struct list *before = lane->waiting.next;
    while (before != &lane->waiting && batch_at(before)->number < batch->number)
        before = before->next;
    list_push(before, &batch->link);
}

/* Whether a batch submitted before it is still on its way. */
static bool has_predecessor(const struct lane *lane, const struct lane_batch *batch)
{
    return (!list_empty(&lane->waiting) && batch_at(lane->waiting.next)->number < batch->number) ||
           (!list_empty(&lane->sent) && batch_at(lane->sent.next)->number < batch->number);
}

/* It will not be sent again. */
static void batch_give_up(struct lane *lane, struct lane_batch *batch, enum error error)
{
    if (batch->is_numbered)
        lane->broken = true;
    batch_finish(lane, batch, error);
}

/* Errors that pass by themselves: a leader is found, replicas or a connection come back. */
static bool is_passing(enum error error)
{
    return error == ERROR_NOT_LEADER_OR_FOLLOWER || error == ERROR_LEADER_NOT_AVAILABLE ||
           error == ERROR_FENCED_LEADER_EPOCH || error == ERROR_UNKNOWN_LEADER_EPOCH ||
           error == ERROR_NOT_ENOUGH_REPLICAS || error == ERROR_NETWORK;
}

/* The leader does not go on from where we are: it lost batches, or forgot us and learnt anew. */
static bool is_out_of_sequence(enum error error)
{
    return error == ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER || error == ERROR_UNKNOWN_PRODUCER_ID ||
           error == ERROR_INVALID_PRODUCER_EPOCH;
}

static void retry_later(struct lane *lane)
{
    if (lane->retry.slot != NULL)
        return;
    executor_timer_start(tree_executor(lane->tree), &lane->retry, lane->retry_ms);
    lane->retry_ms = lane->retry_ms * 2 < RETRY_MOST_MS ? lane->retry_ms * 2 : RETRY_MOST_MS;
}

static void batch_refused(struct lane *lane, struct lane_batch *batch, enum error error)
{
    if (is_passing(error)) {
        if (!batch->refused_at_once && error != ERROR_NOT_ENOUGH_REPLICAS)
            batch->maybe_stored = true;
        if (executor_monotonic_ms(tree_executor(lane->tree)) < batch->deadline_ms) {
            batch_put_back(lane, batch);
            retry_later(lane);
        } else {
            batch_give_up(lane, batch, error);
        }
    } else if (!is_out_of_sequence(error)) {
        batch_give_up(lane, batch, error);
    } else if (has_predecessor(lane, batch)) {
        batch_put_back(lane, batch);
    } else if (batch->maybe_stored) {
        batch_give_up(lane, batch, ERROR_STORAGE);
    } else {
        lane->broken = true;
        batch_put_back(lane, batch);
    }
}

static void batch_answered(struct partition_append *append)
{
    struct lane_batch *batch = container_of(append, struct lane_batch, append);
    struct lane *lane = batch->lane;
    ASSERT(lane->sent_count > 0);
    list_remove(&batch->link);
    lane->sent_count--;
    if (append->error == ERROR_NONE) {
        lane->proven = true;
        lane->retry_ms = RETRY_FIRST_MS;
        batch_finish(lane, batch, ERROR_NONE);
    } else if (lane->deleted && append->error != ERROR_INTERRUPTED) {
        batch_finish(lane, batch, ERROR_STALE);
    } else if (append->error == ERROR_REQUEST_TIMED_OUT || append->error == ERROR_INTERRUPTED) {
        batch_finish(lane, batch, append->error); /* In the log: its number is taken. */
    } else {
        batch_refused(lane, batch, append->error);
    }
    lane_pump(lane);
}

/* ---- sending ---- */

static void batch_number(struct lane *lane, struct lane_batch *batch)
{
    struct partition_append *append = &batch->append;
    batch_set_producer(append->batch, append->size, lane->producer_id, lane->producer_epoch,
                       lane->sequence_next);
    enum error error = batch_header_read(append->batch, append->size, &append->facts.header);
    ASSERT(error == ERROR_NONE);
    lane->sequence_next = sequence_add(lane->sequence_next, append->facts.header.record_count);
    batch->is_numbered = true;
}

static void forward_answered(struct lane_batch *batch, bool maybe_stored)
{
    batch->refused_at_once = !maybe_stored;
    batch_answered(&batch->append);
}

/* The one place where a batch leaves; the bytes stay as they are until it is answered. False: it
 * could not, and waits as it did. */
static bool batch_send(struct lane *lane, struct lane_batch *batch, int32_t leader)
{
    struct tree *tree = lane->tree;
    int64_t left_ms = batch->deadline_ms - executor_monotonic_ms(tree_executor(tree));
    int32_t timeout_ms = left_ms < 0 ? 0 : (int32_t)left_ms;
    struct partition *replica =
        leader == tree->broker->node_id ? inode_replica(tree, lane->inode) : NULL;
    if (replica == NULL && leader == tree->broker->node_id)
        return false; /* Being made. */
    if (!batch->is_numbered)
        batch_number(lane, batch);
    batch->append.error = ERROR_NONE;
    if (replica == NULL &&
        forward_start(tree, lane->inode, batch, leader, timeout_ms, forward_answered) != ERROR_NONE)
        return false;
    list_remove(&batch->link);
    list_push(&lane->sent, &batch->link);
    lane->sent_count++;
    if (replica == NULL)
        return true;
    batch->append.done = batch_answered;
    batch->append.timeout_ms = timeout_ms;
    partition_append(replica, &batch->append);
    batch->refused_at_once = batch->append.error != ERROR_NONE;
    return true;
}

/* Ends a broken epoch, once nothing of it is on its way. */
static void epoch_end(struct lane *lane)
{
    list_for_each_safe(link, &lane->waiting)
    {
        struct lane_batch *batch = batch_at(link);
        if (batch->is_numbered && batch->maybe_stored) {
            list_remove(link);
            batch_finish(lane, batch, ERROR_STORAGE);
        }
        batch->is_numbered = false;
    }
    lane->producer_id = PRODUCER_ID_NONE;
    lane->broken = false;
}

/* Sends what may be sent. What was sent before goes again one by one, and only when nothing else is
 * on its way. */
static void lane_pump(struct lane *lane)
{
    int32_t leader, epoch;
    if (lane->retry.slot != NULL)
        return;
    if (lane->broken && lane->sent_count == 0)
        epoch_end(lane);
    while (!list_empty(&lane->waiting) && !lane->broken && lane_leader(lane, &leader, &epoch)) {
        struct lane_batch *batch = batch_at(lane->waiting.next);
        uint32_t most = lane->proven ? IN_FLIGHT_MAX : 1;
        if (lane->producer_id == PRODUCER_ID_NONE && !epoch_begin(lane))
            break;
        if (lane->sent_count >= (batch->is_numbered ? 1 : most) ||
            (lane->sent_count > 0 && lane->sent_epoch != epoch))
            return;
        if (!batch_send(lane, batch, leader))
            break;
        lane->sent_epoch = epoch;
    }
    if (!list_empty(&lane->waiting) && lane->sent_count == 0)
        retry_later(lane);
}

/* Those whose time is over go; the others are tried. */
static void retry_due(struct timer *timer)
{
    struct lane *lane = container_of(timer, struct lane, retry);
    int64_t now_ms = executor_monotonic_ms(tree_executor(lane->tree));
    list_for_each_safe(link, &lane->waiting)
    {
        struct lane_batch *batch = batch_at(link);
        if (now_ms < batch->deadline_ms)
            continue;
        list_remove(link);
        batch_give_up(lane, batch,
                      batch->append.error == ERROR_NONE ? ERROR_REQUEST_TIMED_OUT
                                                        : batch->append.error);
    }
    lane_pump(lane);
}

void lane_submit(struct lane *lane, struct lane_batch *batch)
{
    batch->lane = lane;
    batch->number = lane->number_next++;
    batch->append.error = ERROR_NONE;
    if (lane->deleted) {
        batch_finish(lane, batch, ERROR_STALE);
        return;
    }
    list_push(&lane->waiting, &batch->link);
    lane_pump(lane);
}

void lane_cancel(struct lane_batch *batch)
{
    struct lane *lane = batch->lane;
    if (lane == NULL)
        return;
    list_for_each(link, &lane->sent)
    {
        if (link != &batch->link)
            continue;
        if (batch->forward == NULL) {
            partition_append_cancel(&batch->append);
            return;
        }
        forward_leave(batch->forward);
        list_remove(&batch->link);
        lane->sent_count--;
        batch_finish(lane, batch, ERROR_INTERRUPTED);
        lane_pump(lane);
        return;
    }
    list_remove(&batch->link);
    batch_give_up(lane, batch, ERROR_INTERRUPTED);
    lane_pump(lane);
}
