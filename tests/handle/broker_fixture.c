/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a broker together for handler tests. */
#include "broker_fixture.h"

#include "base/memory.h"
#include "group/group.h"
#include "handle/fetch_session.h"
#include "handle/replica_session.h"
#include "handle/topic_creation.h"
#include "record/build.h"
#include "wire/api_produce.h"

#include <cmocka.h>
#include <stdio.h>

enum { ARENA_BYTES = 64 << 20 };

static void apply(struct broker_fixture *f, struct catalog_proposal *proposal)
{
    struct catalog_outcome outcome = {
        .error = f->proposer_error, .producer_id_first = -1, .node_id_taken = -1};
    if (f->proposer_error == ERROR_NONE)
        outcome = catalog_apply(f->broker.catalog, ++f->index, 1, proposal->bytes, proposal->size);
    catalog_proposal_complete(f->broker.catalog, proposal, &outcome);
}

static void submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct broker_fixture *f = container_of(proposer, struct broker_fixture, proposer);
    f->proposal_count++;
    if (f->proposals_wait)
        list_push(&f->waiting, &proposal->link);
    else
        apply(f, proposal);
}

void fixture_propose_waiting(struct broker_fixture *f)
{
    struct list *link;
    f->proposals_wait = false;
    while ((link = list_take(&f->waiting)) != NULL)
        apply(f, container_of(link, struct catalog_proposal, link));
    simulated_executor_run_until_idle(f->executor);
}

static void nothing_done(struct catalog_proposal *proposal)
{
    (void)proposal;
}

struct catalog_outcome fixture_propose(struct broker_fixture *f,
                                       const struct catalog_command *command)
{
    struct catalog_proposal proposal = {.done = nothing_done};
    catalog_propose(f->broker.catalog, command, &proposal);
    simulated_executor_run_until_idle(f->executor);
    return proposal.outcome;
}

void fixture_add_node(struct broker_fixture *f, int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .node = {.id = id, .port = 9092}};
    snprintf(command.node.host, sizeof command.node.host, "node%d", id);
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

const struct catalog_topic *fixture_replicated_topic(struct broker_fixture *f, const char *name)
{
    static const struct catalog_assignment assignments[] = {
        {.replicas = {1, 2, 3}, .replica_count = 3},
        {.replicas = {2, 3, 1}, .replica_count = 3},
        {.replicas = {3, 1, 2}, .replica_count = 3},
    };
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = uuid_random(f->broker.executor),
                                      .assignments = assignments,
                                      .assignment_count = 3};
    for (int32_t id = 2; id <= 3; id++)
        if (catalog_node_find(f->broker.catalog, id) == NULL)
            fixture_add_node(f, id);
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
    return catalog_topic_find(f->broker.catalog, slice_of(name));
}

void fixture_fence(struct broker_fixture *f, int32_t id, bool fenced)
{
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = fenced};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

struct catalog_partition fixture_partition(struct broker_fixture *f, const char *topic,
                                           int32_t index)
{
    struct catalog_partition partition;
    const struct catalog_topic *found = catalog_topic_find(f->broker.catalog, slice_of(topic));
    assert_non_null(found);
    assert_true(catalog_partition_find(f->broker.catalog, found, index, &partition));
    return partition;
}

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

static void make_parts(struct broker_fixture *f)
{
    struct broker *broker = &f->broker;
    struct partition_table_options table = {.storage = broker->storage,
                                            .executor = broker->executor,
                                            .directory = f->directory,
                                            .node_id = broker->node_id,
                                            .replica_lag_time_max_ms = 30000,
                                            .retention_check_interval_ms = 300000,
                                            .checkpoint_interval_ms = 60000};
    struct group_coordinator_options groups = {
        .executor = broker->executor,
        .config = {.min_session_timeout_ms = 6000,
                   .max_session_timeout_ms = 1800000,
                   .offsets_retention_ms = 604800000,
                   .offsets_retention_check_interval_ms = 600000,
                   .commit_timeout_ms = 5000,
                   .max_size = 1000,
                   .offset_metadata_max_bytes = 4096},
        .offsets_partition_count = offsets_partition_count,
        .context = broker,
    };
    assert_int_equal(partition_table_new(&table, &broker->partitions), ERROR_NONE);
    groups.partitions = broker->partitions;
    assert_int_equal(group_coordinator_new(&groups, &broker->groups), ERROR_NONE);
    assert_int_equal(fetch_sessions_new(broker->executor, 100, &broker->fetch_sessions),
                     ERROR_NONE);
    assert_int_equal(
        replica_sessions_new(broker->executor, broker->partitions, &broker->replica_sessions),
        ERROR_NONE);
    assert_int_equal(broker_follow_catalog(broker, &f->follower), ERROR_NONE);
}

int broker_fixture_setup(void **state)
{
    struct broker_fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    struct broker *broker = &f->broker;
    f->executor = simulated_executor_new(1, NULL);
    f->storage = simulated_storage_new(1);
    f->proposer.submit = submit;
    list_init(&f->waiting);
    broker->executor = simulated_executor_seam(f->executor);
    broker->storage = simulated_storage_seam(f->storage);
    broker->data_directory = "/data";
    broker->node_id = 1;
    assert_int_equal(config_set_new(&f->config), ERROR_NONE);
    broker->config = f->config;
    assert_int_equal(log_directory_open(broker->storage, broker->executor, &f->directory, NULL),
                     ERROR_NONE);
    assert_int_equal(catalog_new(broker->executor, &broker->catalog), ERROR_NONE);
    catalog_set_proposer(broker->catalog, &f->proposer);
    struct catalog_command found = {.kind = CATALOG_CLUSTER_INIT,
                                    .cluster_id = uuid_random(broker->executor)};
    assert_int_equal(fixture_propose(f, &found).error, ERROR_NONE);
    fixture_add_node(f, 1);
    make_parts(f);
    *state = f;
    return 0;
}

static bool partitions_idle(void *context)
{
    return partition_table_idle(context);
}

static bool groups_idle(void *context)
{
    return group_coordinator_idle(context);
}

int broker_fixture_teardown(void **state)
{
    struct broker_fixture *f = *state;
    struct broker *broker = &f->broker;
    broker_follow_stop(f->follower);
    simulated_executor_run_until_idle(f->executor);
    group_coordinator_stop(broker->groups);
    assert_true(simulated_executor_run_until(f->executor, groups_idle, broker->groups, 100000));
    group_coordinator_free(broker->groups);
    fetch_sessions_free(broker->fetch_sessions);
    replica_sessions_stop(broker->replica_sessions);
    replica_sessions_free(broker->replica_sessions);
    partition_table_stop(broker->partitions);
    simulated_executor_run_until_idle(f->executor);
    assert_true(partitions_idle(broker->partitions));
    assert_true(partition_table_close(broker->partitions, true));
    log_directory_close(f->directory);
    catalog_free(broker->catalog);
    config_set_free(f->config);
    simulated_executor_free(f->executor);
    simulated_storage_free(f->storage);
    memory_free(f);
    return 0;
}

void fixture_set(struct broker_fixture *f, const char *key, const char *value)
{
    char reason[CONFIG_REASON_BYTES];
    assert_int_equal(config_set_put(f->config, CONFIG_NODE, key, value, reason), ERROR_NONE);
    /* What is in force is put together anew. */
    broker_follow_stop(f->follower);
    assert_int_equal(broker_follow_catalog(&f->broker, &f->follower), ERROR_NONE);
}

const struct catalog_topic *fixture_topic(struct broker_fixture *f, const char *name,
                                          uint32_t partitions)
{
    struct catalog_assignment assignments[64];
    assert_true(partitions <= 64);
    for (uint32_t i = 0; i < partitions; i++)
        assignments[i] = (struct catalog_assignment){.replicas = {1}, .replica_count = 1};
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = uuid_random(f->broker.executor),
                                      .assignments = assignments,
                                      .assignment_count = partitions};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
    return catalog_topic_find(f->broker.catalog, slice_of(name));
}

/* ---- exchanges ---- */

static void exchange_finished(struct request *request)
{
    container_of(request, struct exchange, request)->done++;
}

void *exchange_begin(struct broker_fixture *f, struct exchange *exchange, int16_t api_key,
                     int16_t version)
{
    const struct api *api = api_find(api_key);
    assert_non_null(api);
    assert_true(api_supports(api, version));
    assert_true(handle_supports(api_key));
    *exchange = (struct exchange){.done = 0};
    arena_init(&exchange->arena, ARENA_BYTES);
    request_init(&exchange->request, &f->broker, api, version);
    exchange->request.requester.listener_host = "127.0.0.1";
    exchange->request.requester.listener_port = 19092;
    exchange->request.done = exchange_finished;
    exchange->body = arena_allocate(&exchange->arena, api->request.size);
    api->request.init(exchange->body);
    return exchange->body;
}

/* Everything that would be sent, records in files too. */
static struct slice take_bytes(struct outgoing *outgoing, struct arena *arena)
{
    uint8_t *bytes = arena_allocate(arena, (size_t)outgoing->size_bytes);
    size_t at = 0;
    assert_non_null(bytes);
    for (struct chunk *chunk = outgoing->first; chunk != NULL; chunk = chunk->next) {
        size_t got = chunk->size;
        if (chunk->data != NULL)
            memcpy(bytes + at, chunk->data, chunk->size);
        else
            assert_int_equal(
                storage_read(chunk->file, chunk->position, bytes + at, chunk->size, &got),
                ERROR_NONE);
        assert_int_equal(got, chunk->size);
        at += chunk->size;
    }
    outgoing_done(outgoing);
    return slice_from(bytes, at);
}

/* There and back through bytes. */
static void *through_bytes(const struct api_message *message, int16_t version, const void *from,
                           struct arena *arena, struct slice *ret_bytes)
{
    struct writer writer;
    struct reader reader;
    struct outgoing outgoing;
    writer_init(&writer);
    message->encode(&writer, version, from);
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
    *ret_bytes = take_bytes(&outgoing, arena);
    reader_init(&reader, *ret_bytes);
    void *to = arena_allocate(arena, message->size);
    assert_int_equal(message->decode(&reader, version, arena, to), ERROR_NONE);
    assert_int_equal(reader_left(&reader), 0);
    return to;
}

void exchange_encode(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct slice bytes;
    request->body = through_bytes(&request->api->request, request->version, exchange->body,
                                  &exchange->arena, &bytes);
}

void exchange_start(struct broker_fixture *f, struct exchange *exchange)
{
    (void)f;
    exchange_encode(exchange);
    handle_start(&exchange->request);
    assert_int_equal(exchange->done, 0);
}

void exchange_start_prepared(struct broker_fixture *f, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct codec_context context;
    (void)f;
    exchange_encode(exchange);
    codec_context_init(&context);
    if (handle_admit(request))
        handle_prepare(request, &context);
    codec_context_done(&context);
    handle_start(request);
    assert_int_equal(exchange->done, 0);
}

void *exchange_answer(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    assert_int_equal(exchange->done, 1);
    if (request->response != NULL && !request->close_connection && !request->response_taken) {
        request->response_taken = true;
        exchange->answer =
            through_bytes(&request->api->response, request->version, request->response,
                          &exchange->arena, &exchange->answer_bytes);
    }
    return exchange->answer;
}

void *exchange_run(struct broker_fixture *f, struct exchange *exchange)
{
    exchange_start(f, exchange);
    simulated_executor_run_until_idle(f->executor);
    return exchange_answer(exchange);
}

void exchange_done(struct exchange *exchange)
{
    request_done(&exchange->request);
    arena_done(&exchange->arena);
}

static struct buffer *make_batch(int count, int64_t producer_id)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct buffer *batch = NULL;
    if (producer_id >= 0) {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = 0;
    }
    batch_builder_init(&builder, &options);
    for (int i = 0; i < count; i++)
        assert_int_equal(batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS + i,
                                                   slice_of("key"), slice_of("value")),
                         ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    return batch;
}

static void produce(struct broker_fixture *f, const char *topic, int32_t partition, int count,
                    int64_t producer_id, int16_t acks)
{
    struct exchange exchange;
    struct buffer *batch = make_batch(count, producer_id);
    struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, 9);
    body->acks = acks;
    body->timeout_ms = 1000;
    body->topic_data = arena_allocate(&exchange.arena, sizeof *body->topic_data);
    body->topic_data_count = 1;
    body->topic_data[0].name = slice_of(topic);
    body->topic_data[0].partition_data =
        arena_allocate(&exchange.arena, sizeof *body->topic_data[0].partition_data);
    body->topic_data[0].partition_data_count = 1;
    body->topic_data[0].partition_data[0].index = partition;
    body->topic_data[0].partition_data[0].records.data = slice_from(batch->data, batch->size);
    const struct produce_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->responses[0].partition_responses[0].error_code, ERROR_NONE);
    exchange_done(&exchange);
    buffer_unref(batch);
}

void fixture_append(struct broker_fixture *f, const char *topic, int32_t partition, int count,
                    int64_t producer_id)
{
    produce(f, topic, partition, count, producer_id, -1);
}

void fixture_produce_one(struct broker_fixture *f, const char *topic, int32_t partition,
                         int16_t acks)
{
    produce(f, topic, partition, 1, -1, acks);
}

void assert_kafka_error(int16_t got, enum error expected)
{
    if (got != error_to_kafka(expected))
        fail_msg("answered %d, not %d (%s)", got, error_to_kafka(expected), error_name(expected));
}

void assert_slice(struct slice got, const char *expected)
{
    if (!slice_equals_text(got, expected))
        fail_msg("'%.*s' is not '%s'", SLICE_PRINT(got), expected);
}
