/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out while records are written, read and looked up. */
#include "handle/memory_sweep.h"
#include "handle/produce_fixture.h"
#include "wire/api_delete_records.h"
#include "wire/api_describe_log_dirs.h"
#include "wire/api_describe_producers.h"
#include "wire/api_fetch.h"
#include "wire/api_init_producer_id.h"
#include "wire/api_list_offsets.h"
#include "wire/api_offset_for_leader_epoch.h"
#include "wire/api_produce.h"

#include <cmocka.h>

/* Topic "orders" of two partitions, in the first of which are 10 records of producer 3. */
static void some_records(struct broker_fixture *f)
{
    fixture_topic(f, "orders", 2);
    fixture_append(f, "orders", 0, 10, 3);
}

static void empty_topic(struct broker_fixture *f)
{
    fixture_topic(f, "orders", 2);
}

/* ---- Produce ---- */

static void fill_produce(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct produce_request *produce = body;
    struct buffer *batch = batch_make_idempotent(20, 7, 0, 0);
    struct slice records = arena_copy(arena, slice_from(batch->data, batch->size));
    (void)f;
    buffer_unref(batch);
    produce->acks = -1;
    produce->timeout_ms = 1000;
    produce->topic_data_count = 1;
    produce->topic_data = arena_allocate(arena, sizeof *produce->topic_data);
    struct produce_request_topic_produce_data *topic = produce->topic_data;
    topic->name = slice_of("orders");
    topic->partition_data_count = 2;
    topic->partition_data = arena_allocate_array(arena, 2, sizeof *topic->partition_data);
    for (int32_t i = 0; i < 2; i++) {
        topic->partition_data[i].index = i;
        topic->partition_data[i].records.data = records;
    }
}

static int16_t produce_error(const void *answer)
{
    const struct produce_response *produce = answer;
    for (uint32_t i = 0; i < produce->responses[0].partition_responses_count; i++) {
        if (produce->responses[0].partition_responses[i].error_code != 0)
            return produce->responses[0].partition_responses[i].error_code;
    }
    return 0;
}

/* By the direct way, to a log not there yet. */
static void produce_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_PRODUCE,
                                  .version = 9,
                                  .prepare = empty_topic,
                                  .fill = fill_produce,
                                  .error = produce_error});
}

/* By way of admit and prepare. */
static void produce_in_both_steps_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_PRODUCE,
                                  .version = 9,
                                  .by_both_steps = true,
                                  .prepare = some_records,
                                  .fill = fill_produce,
                                  .error = produce_error});
}

static void compressed_topic(struct broker_fixture *f)
{
    fixture_set(f, "compression.type", "zstd");
    fixture_topic(f, "orders", 2);
}

/* With the batch compressed anew. */
static void produce_that_compresses_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_PRODUCE,
                                  .version = 9,
                                  .by_both_steps = true,
                                  .prepare = compressed_topic,
                                  .fill = fill_produce,
                                  .error = produce_error});
}

/* ---- Fetch ---- */

static void fill_fetch(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct fetch_request *fetch = body;
    (void)f;
    fetch->max_wait_ms = 500;
    fetch->min_bytes = 1;
    fetch->max_bytes = 1 << 20;
    fetch->topics_count = 1;
    fetch->topics = arena_allocate(arena, sizeof *fetch->topics);
    fetch->topics->topic = slice_of("orders");
    fetch->topics->partitions_count = 2;
    fetch->topics->partitions = arena_allocate_array(arena, 2, sizeof *fetch->topics->partitions);
    for (int32_t i = 0; i < 2; i++) {
        fetch_request_fetch_partition_init(&fetch->topics->partitions[i]);
        fetch->topics->partitions[i].partition = i;
        fetch->topics->partitions[i].partition_max_bytes = 1 << 20;
    }
}

static int16_t fetch_error(const void *answer)
{
    const struct fetch_response *fetch = answer;
    if (fetch->error_code != 0)
        return fetch->error_code;
    for (uint32_t i = 0; i < fetch->responses[0].partitions_count; i++) {
        if (fetch->responses[0].partitions[i].error_code != 0)
            return fetch->responses[0].partitions[i].error_code;
    }
    return 0;
}

/* Records, at once. */
static void fetch_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_FETCH,
                                  .version = 12,
                                  .prepare = some_records,
                                  .fill = fill_fetch,
                                  .error = fetch_error});
}

/* Nothing there: parked, then an empty answer. */
static void a_parked_fetch_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_FETCH,
                                  .version = 12,
                                  .prepare = empty_topic,
                                  .fill = fill_fetch,
                                  .error = fetch_error});
}

static void fill_session_fetch(struct broker_fixture *f, struct arena *arena, void *body)
{
    fill_fetch(f, arena, body);
    ((struct fetch_request *)body)->session_epoch = 0;
}

/* Without memory a session is not made, which is no error: the client is told so by id 0. */
static int16_t session_error(const void *answer)
{
    const struct fetch_response *fetch = answer;
    return fetch->session_id == 0 ? 1 : fetch_error(answer);
}

/* With a session to be made. */
static void a_session_fetch_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_FETCH,
                                  .version = 12,
                                  .prepare = some_records,
                                  .fill = fill_session_fetch,
                                  .error = session_error});
}

/* ---- lookups ---- */

static void fill_list_offsets(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct list_offsets_request *list = body;
    static const int64_t timestamps[] = {-1, -2, -3, SIMULATED_WALL_CLOCK_MS + 3};
    (void)f;
    list->topics_count = 4;
    list->topics = arena_allocate_array(arena, 4, sizeof *list->topics);
    for (uint32_t i = 0; i < 4; i++) {
        list->topics[i].name = slice_of("orders");
        list->topics[i].partitions_count = 1;
        list->topics[i].partitions = arena_allocate(arena, sizeof *list->topics[i].partitions);
        list->topics[i].partitions[0] =
            (struct list_offsets_request_list_offsets_partition){0, -1, timestamps[i]};
    }
}

static int16_t list_offsets_error(const void *answer)
{
    const struct list_offsets_response *list = answer;
    for (uint32_t i = 0; i < list->topics_count; i++) {
        if (list->topics[i].partitions[0].error_code != 0)
            return list->topics[i].partitions[0].error_code;
    }
    return 0;
}

static void list_offsets_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LIST_OFFSETS,
                                  .version = 7,
                                  .prepare = some_records,
                                  .fill = fill_list_offsets,
                                  .error = list_offsets_error});
}

static void fill_leader_epoch(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct offset_for_leader_epoch_request *request = body;
    (void)f;
    request->topics_count = 1;
    request->topics = arena_allocate(arena, sizeof *request->topics);
    request->topics->topic = slice_of("orders");
    request->topics->partitions_count = 1;
    request->topics->partitions = arena_allocate(arena, sizeof *request->topics->partitions);
    request->topics->partitions[0].partition = 1;
    request->topics->partitions[0].current_leader_epoch = -1;
}

static int16_t leader_epoch_error(const void *answer)
{
    const struct offset_for_leader_epoch_response *response = answer;
    return response->topics[0].partitions[0].error_code;
}

static void offset_for_leader_epoch_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_OFFSET_FOR_LEADER_EPOCH,
                                  .version = 4,
                                  .prepare = empty_topic,
                                  .fill = fill_leader_epoch,
                                  .error = leader_epoch_error});
}

static void fill_delete_records(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct delete_records_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topics_count = 1;
    request->topics = arena_allocate(arena, sizeof *request->topics);
    request->topics->name = slice_of("orders");
    request->topics->partitions_count = 2;
    request->topics->partitions =
        arena_allocate_array(arena, 2, sizeof *request->topics->partitions);
    request->topics->partitions[0] = (struct delete_records_request_delete_records_partition){0, 4};
    request->topics->partitions[1] = (struct delete_records_request_delete_records_partition){1, 0};
}

static int16_t delete_records_error(const void *answer)
{
    const struct delete_records_response *response = answer;
    return response->topics[0].partitions[0].error_code != 0
               ? response->topics[0].partitions[0].error_code
               : response->topics[0].partitions[1].error_code;
}

static void delete_records_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DELETE_RECORDS,
                                  .version = 2,
                                  .prepare = some_records,
                                  .fill = fill_delete_records,
                                  .error = delete_records_error});
}

static void fill_describe_log_dirs(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    ((struct describe_log_dirs_request *)body)->topics = NULL;
}

static int16_t describe_log_dirs_error(const void *answer)
{
    const struct describe_log_dirs_response *response = answer;
    return response->error_code;
}

/* A version that does not tell the free space, which a log made meanwhile changes. */
static void describe_log_dirs_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_LOG_DIRS,
                                  .version = 3,
                                  .prepare = some_records,
                                  .fill = fill_describe_log_dirs,
                                  .error = describe_log_dirs_error});
}

static void fill_describe_producers(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct describe_producers_request *request = body;
    (void)f;
    request->topics_count = 1;
    request->topics = arena_allocate(arena, sizeof *request->topics);
    request->topics->name = slice_of("orders");
    request->topics->partition_indexes_count = 2;
    request->topics->partition_indexes =
        arena_allocate_array(arena, 2, sizeof *request->topics->partition_indexes);
    request->topics->partition_indexes[1] = 1;
}

static int16_t describe_producers_error(const void *answer)
{
    const struct describe_producers_response *response = answer;
    return response->topics[0].partitions[0].error_code != 0
               ? response->topics[0].partitions[0].error_code
               : response->topics[0].partitions[1].error_code;
}

static void describe_producers_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_PRODUCERS,
                                  .version = 0,
                                  .prepare = some_records,
                                  .fill = fill_describe_producers,
                                  .error = describe_producers_error});
}

static void fill_init_producer_id(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    ((struct init_producer_id_request *)body)->transactional_id = SLICE_NULL;
}

static int16_t init_producer_id_error(const void *answer)
{
    const struct init_producer_id_response *response = answer;
    return response->error_code;
}

static void init_producer_id_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_INIT_PRODUCER_ID,
                                  .version = 4,
                                  .fill = fill_init_producer_id,
                                  .error = init_producer_id_error});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(produce_survives),
        cmocka_unit_test(produce_in_both_steps_survives),
        cmocka_unit_test(produce_that_compresses_survives),
        cmocka_unit_test(fetch_survives),
        cmocka_unit_test(a_parked_fetch_survives),
        cmocka_unit_test(a_session_fetch_survives),
        cmocka_unit_test(list_offsets_survives),
        cmocka_unit_test(offset_for_leader_epoch_survives),
        cmocka_unit_test(delete_records_survives),
        cmocka_unit_test(describe_log_dirs_survives),
        cmocka_unit_test(describe_producers_survives),
        cmocka_unit_test(init_producer_id_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
