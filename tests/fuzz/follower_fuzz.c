/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: a follower whose leader proved the cluster's token and answers ReplicaFetch
 * with whatever it likes. Nothing but refusals may come of what makes no sense.
 *
 * Input: answers. Each names a partition, an error, numbers (of a table, or any) for epochs and
 * offsets, and records: none, any bytes, or sound batches, damaged or not, at any offset. */
#include "base/assertion.h"
#include "handle/broker_fixture.h"
#include "record/build.h"
#include "replicate/core/fetcher.h"
#include "wire/api_replica_fetch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWERS_MAX = 64, BATCHES_MAX = 3 };

struct leader {
    struct caller caller;
    struct executor *executor;
    struct list calls; /* Waiting for their answers. */
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take_byte(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static int64_t take_number(struct input *input)
{
    static const int64_t numbers[] = {INT64_MIN, INT32_MIN, -2, -1,        0,         1,        2,
                                      3,         4,         5,  INT16_MAX, INT32_MAX, INT64_MAX};
    uint8_t choice = take_byte(input);
    if (choice < sizeof numbers / sizeof numbers[0])
        return numbers[choice];
    uint64_t low = take_byte(input);
    return (int64_t)(choice < 128 ? low : low << (choice - 128) / 2);
}

static void start(struct caller *caller, struct call *call)
{
    list_push(&container_of(caller, struct leader, caller)->calls, &call->link);
}

static void cancel(struct caller *caller, struct call *call)
{
    list_remove(&call->link);
    call_complete(container_of(caller, struct leader, caller)->executor, call, ERROR_INTERRUPTED);
}

static const struct caller_ops ops = {.start = start, .cancel = cancel};

/* Sound batches one after the other, some of whose bytes may be others then. */
static struct slice take_batches(struct input *input, struct arena *arena)
{
    uint8_t count = take_byte(input) % (BATCHES_MAX + 1);
    struct slice all = {.data = arena_allocate(arena, 4096), .size = 0};
    ASSERT(all.data != NULL);
    for (uint8_t i = 0; i < count; i++) {
        struct batch_options options = batch_options_default();
        struct batch_builder builder;
        struct buffer *batch;
        batch_builder_init(&builder, &options);
        for (uint8_t records = take_byte(input) % 4; records < 4; records++)
            (void)batch_builder_append_next(&builder, 1000, SLICE_NULL, slice_of("a record"));
        enum error error = batch_builder_finish(&builder, NULL, &batch);
        ASSERT(error == ERROR_NONE);
        batch_set_base_offset(batch->data, take_number(input));
        batch_set_leader_epoch(batch->data, (int32_t)take_number(input));
        memcpy((uint8_t *)all.data + all.size, batch->data, batch->size);
        all.size += batch->size;
        buffer_unref(batch);
    }
    for (uint8_t damages = take_byte(input) % 4; damages > 1 && all.size > 0; damages--) {
        size_t at = (size_t)take_byte(input) << 1;
        ((uint8_t *)all.data)[at % all.size] = take_byte(input);
    }
    size_t cut = take_byte(input);
    if (cut < 64 && cut < all.size)
        all.size -= cut;
    return all;
}

static struct slice take_records(struct input *input, struct arena *arena)
{
    switch (take_byte(input) % 4) {
    case 0:
        return SLICE_EMPTY;
    case 1: {
        size_t size = take_byte(input);
        if (size > input->size)
            size = input->size;
        struct slice copy = arena_copy(arena, slice_from(input->data, size));
        input->data += size;
        input->size -= size;
        return copy;
    }
    default:
        return take_batches(input, arena);
    }
}

static void fill(struct input *input, struct call *call, struct broker_fixture *f,
                 struct replica_fetch_response_replica_partition *answer)
{
    static const enum error errors[] = {ERROR_NONE,
                                        ERROR_NONE,
                                        ERROR_NONE,
                                        ERROR_NONE,
                                        ERROR_OFFSET_OUT_OF_RANGE,
                                        ERROR_FENCED_LEADER_EPOCH,
                                        ERROR_UNKNOWN_TOPIC_ID,
                                        ERROR_STORAGE};
    struct partition *partition;
    replica_fetch_response_replica_partition_init(answer);
    answer->partition_index = take_byte(input) % 4;
    partition =
        partition_table_find(f->broker.partitions, slice_of("orders"), answer->partition_index);
    answer->error_code = error_to_kafka(errors[take_byte(input) % 8]);
    answer->leader_epoch = take_byte(input) % 8 == 7 || partition == NULL
                               ? (int32_t)take_number(input)
                               : partition_leader_epoch(partition);
    answer->high_watermark = take_number(input);
    answer->log_start_offset = take_number(input);
    answer->diverging_epoch = take_byte(input) % 4 == 3 ? (int32_t)take_number(input) : -1;
    answer->diverging_end_offset = take_number(input);
    answer->records.data = take_records(input, &call->arena);
}

static void answer_one(struct input *input, struct leader *leader, struct broker_fixture *f)
{
    if (list_empty(&leader->calls))
        return;
    struct call *call = container_of(list_take(&leader->calls), struct call, link);
    uint8_t kind = take_byte(input);
    if (kind % 16 == 15) {
        call_complete(leader->executor, call, ERROR_NETWORK);
        return;
    }
    struct replica_fetch_response *response = arena_allocate(&call->arena, sizeof *response);
    struct replica_fetch_response_replica_topic *topic =
        arena_allocate(&call->arena, sizeof *topic);
    uint32_t count = kind / 16 % 4;
    ASSERT(response != NULL && topic != NULL);
    replica_fetch_response_init(response);
    replica_fetch_response_replica_topic_init(topic);
    response->session_id = kind % 16 == 14 ? (int32_t)take_number(input) : 1;
    response->error_code = kind % 16 == 13 ? error_to_kafka(ERROR_FETCH_SESSION_ID_NOT_FOUND) : 0;
    topic->topic_id = catalog_topic_find(f->broker.catalog, slice_of("orders"))->id;
    topic->partitions = arena_allocate_array(&call->arena, count, sizeof *topic->partitions);
    ASSERT(topic->partitions != NULL);
    topic->partitions_count = count;
    for (uint32_t i = 0; i < count; i++)
        fill(input, call, f, &topic->partitions[i]);
    response->topics = topic;
    response->topics_count = count > 0;
    call->response = response;
    call_complete(leader->executor, call, ERROR_NONE);
}

static int64_t own_epoch(void *context)
{
    (void)context;
    return 1;
}

static void expect_sound(struct partition *partition)
{
    struct partition_position position;
    if (partition_position(partition, &position) != ERROR_NONE)
        return;
    ASSERT(position.log_start_offset <= position.high_watermark);
    ASSERT(position.high_watermark <= position.end_offset);
    ASSERT(position.synced_offset <= position.end_offset);
}

static bool is_idle(void *context)
{
    return fetchers_idle(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *state = NULL;
    (void)broker_fixture_setup(&state);
    struct broker_fixture *f = state;
    struct input input = {data, size};
    struct leader leader = {.caller = {.ops = &ops}, .executor = f->broker.executor};
    struct fetchers *fetchers;
    list_init(&leader.calls);
    (void)fixture_replicated_topic(f, "orders");
    struct fetchers_options options = {
        .executor = f->broker.executor,
        .caller = &leader.caller,
        .partitions = f->broker.partitions,
        .config = {.wait_max_ms = 500,
                   .fetch_max_bytes = 1 << 20,
                   .response_max_bytes = 10 << 20,
                   .backoff_min_ms = 10,
                   .backoff_max_ms = 1000,
                   .request_timeout_ms = 30000,
                   .throttled_rate = INT64_MAX},
        .node_id = 1,
        .node_epoch = own_epoch,
    };
    enum error error = fetchers_new(&options, &fetchers);
    ASSERT(error == ERROR_NONE);
    for (int i = 0; i < ANSWERS_MAX && input.size > 0; i++) {
        simulated_executor_run_for(f->executor, 20);
        answer_one(&input, &leader, f);
        simulated_executor_run_for(f->executor, i % 4 == 3 ? 2000 : 0);
    }
    for (int32_t index = 1; index <= 2; index++)
        expect_sound(partition_table_find(f->broker.partitions, slice_of("orders"), index));
    fetchers_stop(fetchers);
    while (!list_empty(&leader.calls))
        cancel(&leader.caller, container_of(leader.calls.next, struct call, link));
    bool idle = simulated_executor_run_until(f->executor, is_idle, fetchers, 100000);
    ASSERT(idle);
    fetchers_free(fetchers);
    (void)broker_fixture_teardown(&state);
    return 0;
}
