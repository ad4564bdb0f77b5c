/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer says of each partition: records are checked, on the pool when they are many, then
 * appended; logs that part are cut; refusals are waited out.
 *
 *   arrived: few --checked at once--.
 *            many ------------------+--> landed, in order --many: the pool--> append, vote
 *                 '--> the next is asked for ahead
 *
 * While parts wait to be appended nothing else is done with their partition. What an answer asks
 * for then (to cut, to begin anew, to wait) it will ask for again: what is ahead is given up, and
 * the partition is named anew once its parts have ended. */
#include "base/assertion.h"
#include "replicate/core/fetcher_state.h"

/* ---- truncations ---- */

static void truncation_done(struct partition_truncation *truncation)
{
    struct fetched *fetched = container_of(truncation, struct fetched, truncation);
    fetched->fetcher->fetchers->view.truncating--;
    enum error error = truncation->error;
    ASSERT(fetched->state == FETCHED_TRUNCATING);
    fetched->state = FETCHED_FETCHING;
    if (fetched_release(fetched))
        return;
    if (error != ERROR_NONE)
        fetched_fail(fetched, error);
    else
        fetched_announce(fetched);
}

static void truncation_prepare(struct fetched *fetched)
{
    ASSERT(fetched->parts == 0);
    fetched->state = FETCHED_TRUNCATING;
    fetched->awaited = false;
    list_remove(&fetched->link);
    fetched->fetcher->fetchers->view.truncating++;
    fetched->truncation = (struct partition_truncation){.done = truncation_done};
}

static void out_of_range(struct fetched *fetched,
                         const struct replica_fetch_response_replica_partition *answer)
{
    struct partition_position position;
    enum error error = partition_position(fetched->partition, &position);
    int64_t start = answer->log_start_offset;
    /* Between the leader's start and end its log knows nothing of our last epoch: no place where
     * the logs agree can be found, and nothing of ours is thrown away for a guess. */
    bool above = position.last_epoch < 0 && position.end_offset > answer->diverging_end_offset;
    if (error == ERROR_NONE && (start < 0 || (position.end_offset >= start && !above)))
        error = ERROR_OFFSET_OUT_OF_RANGE;
    if (error != ERROR_NONE) {
        fetched_fail(fetched, error);
        return;
    }
    truncation_prepare(fetched);
    partition_reset_replica(fetched->partition, fetched->leader_epoch, start, &fetched->truncation);
}

/* ---- records ---- */

static void batches_check(struct flight *flight, struct slice records,
                          struct partition_batches *ret_batches, enum error *ret_error)
{
    *ret_error = partition_batches_check(records.data, records.size, &flight->codec, ret_batches);
}

static size_t records_bytes(const struct replica_fetch_response *response, uint32_t *ret_count)
{
    size_t bytes = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        for (uint32_t k = 0; k < response->topics[i].partitions_count; k++)
            bytes += response->topics[i].partitions[k].records.data.size;
        *ret_count += response->topics[i].partitions_count;
    }
    return bytes;
}

void flight_check_early(struct call *call)
{
    struct flight *flight = container_of(call, struct flight, call);
    const struct replica_fetch_response *response = call->response;
    uint32_t count;
    size_t bytes = records_bytes(response, &count);
    if (bytes == 0 || bytes > flight->early_bytes_max)
        return;
    flight->early = arena_allocate_array(&call->arena, count, sizeof *flight->early);
    if (flight->early == NULL)
        return; /* The pool tries again. */
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct replica_fetch_response_replica_topic *topic = &response->topics[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            struct early_check *early = &flight->early[flight->early_count++];
            *early = (struct early_check){0};
            batches_check(flight, topic->partitions[k].records.data, &early->batches,
                          &early->error);
        }
    }
    codec_context_trim(&flight->codec);
}

void flight_early_done(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->early_count; i++)
        partition_batches_done(&flight->early[i].batches);
    flight->early = NULL;
    flight->early_count = 0;
}

static void parts_check(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->parts_count; i++) {
        struct flight_part *part = &flight->parts[i];
        batches_check(flight, part->records, &part->batches, &part->error);
    }
    codec_context_trim(&flight->codec);
}

/* Nothing more of what is on its way counts; the partition is named anew after its parts. */
static void ahead_give_up(struct fetched *fetched)
{
    ASSERT(fetched->state == FETCHED_CHECKING);
    ASSERT(fetched->parts > 0);
    fetched->ahead_offset = -1;
    fetched->awaited = false;
    fetched->renewed = true;
    list_remove(&fetched->link);
}

static enum error part_append(struct flight_part *part)
{
    struct fetched *fetched = part->fetched;
    struct partition_position position;
    enum error error = part->error;
    /* Not even one whole batch: the leader gives at least that. */
    if (error == ERROR_NONE && part->batches.count == 0)
        error = ERROR_CORRUPT_MESSAGE;
    if (error == ERROR_NONE)
        error = partition_position(fetched->partition, &position);
    /* A gap would be taken for one that compaction has left. */
    if (error == ERROR_NONE && position.end_offset != part->from_offset)
        error = ERROR_OFFSET_OUT_OF_RANGE;
    if (error == ERROR_NONE)
        error = partition_append_replica(fetched->partition, fetched->leader_epoch, &part->batches);
    if (error == ERROR_NONE)
        error = partition_replica_high_watermark(fetched->partition, fetched->leader_epoch,
                                                 part->high_watermark, part->log_start_offset);
    return error;
}

static void part_apply(struct flight_part *part)
{
    struct fetched *fetched = part->fetched;
    ASSERT(fetched->parts > 0);
    fetched->parts--;
    if (fetched_release(fetched))
        return;
    bool silent = false;
    if (part->life == fetched->life) {
        ASSERT(fetched->state == FETCHED_CHECKING);
        enum error error = part_append(part);
        if (error != ERROR_NONE) {
            fetched_fail(fetched, error);
            return;
        }
        fetched->fetcher->fetchers->view.bytes += part->batches.size;
        throttle_spend(fetched, part->batches.size);
        fetched_succeed(fetched);
        fetched->leader_high_watermark = part->high_watermark;
        const struct batch_facts *last = &part->batches.facts[part->batches.count - 1];
        silent = fetched_vote_can_wait(fetched, batch_last_offset(&last->header) + 1);
    }
    if (fetched->state != FETCHED_CHECKING)
        return;
    if (fetched->parts == 0) {
        fetched->state = FETCHED_FETCHING;
        fetched->ahead_offset = -1; /* There the log ends now. */
    }
    if (fetched_may_be_named(fetched) && !silent)
        fetched_announce(fetched);
}

static void parts_apply(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->parts_count; i++) {
        part_apply(&flight->parts[i]);
        partition_batches_done(&flight->parts[i].batches);
    }
    flight->parts_count = 0;
}

static void landed_proceed(struct fetcher *fetcher);

static void landed_end(struct flight *flight)
{
    flight->landed = false;
    flight->checked = false;
    list_remove(&flight->link);
    parts_apply(flight);
}

static void checking_run(struct work *work)
{
    parts_check(container_of(work, struct flight, work));
}

static void checking_done(struct work *work)
{
    struct flight *flight = container_of(work, struct flight, work);
    struct fetcher *fetcher = flight->fetcher;
    flight->checking = false;
    landed_end(flight);
    call_done(&flight->call);
    arena_done(&flight->arena);
    landed_proceed(fetcher);
    if (!fetcher->fetchers->stopping)
        fetcher_wake(fetcher);
}

/* One after the other: what was asked for later is of use only behind what was asked for before. */
static void landed_proceed(struct fetcher *fetcher)
{
    while (!list_empty(&fetcher->landed)) {
        struct flight *flight = container_of(fetcher->landed.next, struct flight, link);
        if (flight->checking)
            return;
        if (!flight->checked) {
            flight->checking = true;
            flight->work = (struct work){.run = checking_run, .done = checking_done};
            executor_work(fetcher->fetchers->options.executor, &flight->work);
            return;
        }
        landed_end(flight);
        if (flight->waited) {
            call_done(&flight->call);
            arena_done(&flight->arena);
        }
    }
}

/* What is behind the records, as their headers have it; nothing is believed but where to ask. */
static void ahead_look(struct fetched *fetched, struct slice records)
{
    size_t at = 0;
    fetched->ahead_offset = -1;
    while (records.size - at >= BATCH_HEADER_BYTES) {
        struct batch_header header;
        if (batch_header_peek(records.data + at, records.size - at, &header) != ERROR_NONE ||
            header.size > records.size - at)
            break;
        if (header.base_offset < 0 || header.last_offset_delta < 0 ||
            header.base_offset > INT64_MAX - INT32_MAX - 1 ||
            batch_last_offset(&header) < fetched->asked_offset)
            break;
        fetched->ahead_offset = batch_last_offset(&header) + 1;
        fetched->ahead_epoch = header.leader_epoch;
        at += header.size;
    }
}

static void part_add(struct flight *flight, struct fetched *fetched,
                     const struct replica_fetch_response_replica_partition *answer,
                     struct early_check *early)
{
    struct flight_part *part = &flight->parts[flight->parts_count++];
    *part = (struct flight_part){
        .fetched = fetched,
        .life = fetched->life,
        .from_offset = fetched->asked_offset,
        .records = answer->records.data,
        .high_watermark = answer->high_watermark,
        .log_start_offset = answer->log_start_offset,
    };
    if (early != NULL) {
        part->batches = early->batches;
        part->error = early->error;
        early->batches = (struct partition_batches){0};
    }
    fetched->parts++;
    fetched->state = FETCHED_CHECKING;
    fetched->awaited = false;
    fetched->ahead_offset = -1;
    list_remove(&fetched->link);
    /* A throttled one pays for what it has first. */
    bool waits = early == NULL || !list_empty(&flight->fetcher->landed);
    if (waits && !fetched->throttled)
        ahead_look(fetched, answer->records.data);
    if (fetched_may_be_named(fetched))
        fetched_announce(fetched);
}

/* ---- answers ---- */

/* Whether the answer is one to what was last asked, and not to an earlier life of the partition. */
static struct fetched *fetched_for(struct flight *flight, const struct uuid *topic_id,
                                   const struct replica_fetch_response_replica_partition *answer)
{
    struct fetched_key key = {.topic_id = *topic_id, .index = answer->partition_index};
    struct fetched *fetched = fetched_find(flight->fetcher, &key);
    if (fetched == NULL || fetched->leader_epoch != answer->leader_epoch ||
        !fetched_may_be_named(fetched) || !fetched->awaited ||
        flight->number < fetched->named_number)
        return NULL;
    return fetched;
}

static void answer_take(struct flight *flight, const struct uuid *topic_id,
                        const struct replica_fetch_response_replica_partition *answer,
                        struct early_check *early)
{
    struct fetched *fetched = fetched_for(flight, topic_id, answer);
    if (fetched == NULL)
        return;
    enum error error = answer->error_code == 0 ? ERROR_NONE : error_from_kafka(answer->error_code);
    bool acts = error != ERROR_NONE || answer->diverging_epoch >= 0;
    if (acts && fetched->parts > 0) {
        ahead_give_up(fetched);
    } else if (error == ERROR_OFFSET_OUT_OF_RANGE) {
        out_of_range(fetched, answer);
    } else if (error != ERROR_NONE) {
        fetched_fail(fetched, error);
    } else if (answer->diverging_epoch >= 0) {
        struct partition_divergence divergence = {.epoch = answer->diverging_epoch,
                                                  .end_offset = answer->diverging_end_offset};
        truncation_prepare(fetched);
        partition_truncate_replica(fetched->partition, fetched->leader_epoch, divergence,
                                   &fetched->truncation);
    } else if (answer->records.data.size > 0) {
        part_add(flight, fetched, answer, early);
    } else {
        error = partition_replica_high_watermark(fetched->partition, fetched->leader_epoch,
                                                 answer->high_watermark, answer->log_start_offset);
        if (error != ERROR_NONE)
            fetched_fail(fetched, error);
        else
            fetched_succeed(fetched);
    }
}

void flight_take(struct flight *flight, const struct replica_fetch_response *response)
{
    struct fetcher *fetcher = flight->fetcher;
    uint32_t count;
    (void)records_bytes(response, &count);
    ASSERT(flight->parts_count == 0);
    ASSERT(!flight->landed);
    flight->parts = arena_allocate_array(&flight->call.arena, count, sizeof *flight->parts);
    if (flight->parts == NULL && count > 0) {
        fetcher_restart(fetcher, true);
        return;
    }
    uint32_t number = 0;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct replica_fetch_response_replica_topic *topic = &response->topics[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++, number++)
            answer_take(flight, &topic->topic_id, &topic->partitions[k],
                        flight->early == NULL ? NULL : &flight->early[number]);
    }
    if (flight->parts_count == 0)
        return;
    flight->landed = true;
    flight->checked = flight->early != NULL;
    flight->waited = false;
    list_push(&fetcher->landed, &flight->link);
    landed_proceed(fetcher);
    flight->waited = flight->landed;
}
