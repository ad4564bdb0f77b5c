/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer says of each partition: records are checked, on the pool when they are many, then
 * appended; logs that part are cut; refusals are waited out. */
#include "base/assertion.h"
#include "replicate/core/fetcher_state.h"

/* Checking less than this costs less than the way to the pool and back. */
enum { CHECK_INLINE_BYTES = 32 << 10 };

/* ---- truncations ---- */

static void truncation_done(struct partition_truncation *truncation)
{
    struct fetched *fetched = container_of(truncation, struct fetched, truncation);
    fetched->fetcher->fetchers->view.truncating--;
    enum error error = truncation->error;
    if (fetched_release(fetched))
        return;
    ASSERT(fetched->state == FETCHED_TRUNCATING);
    fetched->state = FETCHED_FETCHING;
    if (error != ERROR_NONE)
        fetched_fail(fetched, error);
    else
        fetched_announce(fetched);
}

static void truncation_prepare(struct fetched *fetched)
{
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

static void parts_check(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->parts_count; i++) {
        struct flight_part *part = &flight->parts[i];
        part->error = partition_batches_check(part->records.data, part->records.size,
                                              &flight->codec, &part->batches);
    }
    codec_context_trim(&flight->codec);
}

static void part_apply(struct flight_part *part)
{
    struct fetched *fetched = part->fetched;
    if (fetched_release(fetched))
        return;
    ASSERT(fetched->state == FETCHED_CHECKING);
    fetched->state = FETCHED_FETCHING;
    enum error error = part->error;
    /* Not even one whole batch: the leader gives at least that. */
    if (error == ERROR_NONE && part->batches.count == 0)
        error = ERROR_CORRUPT_MESSAGE;
    if (error == ERROR_NONE)
        error = partition_append_replica(fetched->partition, fetched->leader_epoch, &part->batches);
    if (error == ERROR_NONE)
        error = partition_replica_high_watermark(fetched->partition, fetched->leader_epoch,
                                                 part->high_watermark, part->log_start_offset);
    if (error != ERROR_NONE) {
        fetched_fail(fetched, error);
        return;
    }
    fetched->fetcher->fetchers->view.bytes += part->batches.size;
    throttle_spend(fetched, part->batches.size);
    fetched_succeed(fetched);
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

static void checking_run(struct work *work)
{
    parts_check(container_of(work, struct flight, work));
}

static void checking_done(struct work *work)
{
    struct flight *flight = container_of(work, struct flight, work);
    struct fetcher *fetcher = flight->fetcher;
    flight->checking = false;
    parts_apply(flight);
    call_done(&flight->call);
    arena_done(&flight->arena);
    if (!fetcher->fetchers->stopping)
        fetcher_wake(fetcher);
}

static void part_add(struct flight *flight, struct fetched *fetched,
                     const struct replica_fetch_response_replica_partition *answer)
{
    flight->parts[flight->parts_count++] = (struct flight_part){
        .fetched = fetched,
        .records = answer->records.data,
        .high_watermark = answer->high_watermark,
        .log_start_offset = answer->log_start_offset,
    };
    fetched->state = FETCHED_CHECKING;
    fetched->awaited = false;
    list_remove(&fetched->link);
}

/* ---- answers ---- */

/* Whether the answer is one to what was last asked, and not to an earlier life of the partition. */
static struct fetched *fetched_for(struct flight *flight, const struct uuid *topic_id,
                                   const struct replica_fetch_response_replica_partition *answer)
{
    struct fetched_key key = {.topic_id = *topic_id, .index = answer->partition_index};
    struct fetched *fetched = fetched_find(flight->fetcher, &key);
    if (fetched == NULL || fetched->leader_epoch != answer->leader_epoch ||
        fetched->state != FETCHED_FETCHING || !fetched->awaited)
        return NULL;
    return fetched;
}

static void answer_take(struct flight *flight, const struct uuid *topic_id,
                        const struct replica_fetch_response_replica_partition *answer)
{
    struct fetched *fetched = fetched_for(flight, topic_id, answer);
    if (fetched == NULL)
        return;
    enum error error = answer->error_code == 0 ? ERROR_NONE : error_from_kafka(answer->error_code);
    if (error == ERROR_OFFSET_OUT_OF_RANGE) {
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
        part_add(flight, fetched, answer);
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
    uint32_t count = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        for (uint32_t k = 0; k < response->topics[i].partitions_count; k++) {
            count++;
            bytes += response->topics[i].partitions[k].records.data.size;
        }
    }
    ASSERT(flight->parts_count == 0);
    flight->parts = arena_allocate_array(&flight->call.arena, count, sizeof *flight->parts);
    if (flight->parts == NULL && count > 0) {
        fetcher_restart(flight->fetcher, true);
        return;
    }
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct replica_fetch_response_replica_topic *topic = &response->topics[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++)
            answer_take(flight, &topic->topic_id, &topic->partitions[k]);
    }
    if (flight->parts_count == 0)
        return;
    if (bytes <= CHECK_INLINE_BYTES) {
        parts_check(flight);
        parts_apply(flight);
        return;
    }
    flight->checking = true;
    flight->work = (struct work){.run = checking_run, .done = checking_done};
    executor_work(flight->fetcher->fetchers->options.executor, &flight->work);
}
