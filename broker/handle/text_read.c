/* SPDX-License-Identifier: Apache-2.0 */
/* TextRead: a node that has no replica of a partition reads its file from the leader, as whole
 * batches straight from the segment. */
#include "handle/handlers.h"
#include "wire/api_text_read.h"

/* As much as one answer may hold, whatever is asked for. */
enum { TEXT_READ_BYTES_MAX = 64 << 20 };

static void release_segment(void *holder)
{
    segment_unref(holder);
}

/* The response was never encoded. */
static void text_read_drop(struct request *request)
{
    const struct text_read_response *response = request->response;
    if (response == NULL)
        return;
    for (uint32_t i = 0; i < response->records.parts_count; i++)
        response->records.release(response->records.parts[i].holder);
}

/* The slice is the response's afterwards, or released. */
static enum error fill_records(struct request *request, struct log_slice *slice, size_t size_max)
{
    struct text_read_response *response = request->response;
    struct records_part *part = NULL;
    if (slice->size > 0)
        part = arena_allocate(&request->arena, sizeof *part);
    if (part == NULL) {
        enum error error = slice->size > 0 ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
        log_slice_release(slice);
        return error;
    }
    *part = (struct records_part){.file = slice->file,
                                  .position = slice->position,
                                  .size = slice->size < size_max ? slice->size : size_max,
                                  .holder = slice->segment};
    response->records.parts = part;
    response->records.parts_count = 1;
    response->records.release = release_segment;
    return ERROR_NONE;
}

static enum error text_read(struct request *request, struct partition *partition)
{
    const struct text_read_request *body = request->body;
    struct text_read_response *response = request->response;
    struct log_text_location location = {0};
    struct log *log;
    enum error error = partition_check_leader(partition, body->leader_epoch);
    if (error != ERROR_NONE || !partition_has_log(partition))
        return error;
    error = partition_log(partition, &log);
    if (error != ERROR_NONE)
        return error;
    uint64_t start = log_text_start(log), position = (uint64_t)body->position;
    error = log_text_locate(log, position < start ? start : position, &location);
    if (error != ERROR_NONE)
        return error;
    response->text_start = (int64_t)start;
    response->batch_position = (int64_t)location.text_position;
    return fill_records(request, &location.slice,
                        body->max_bytes < TEXT_READ_BYTES_MAX ? (size_t)body->max_bytes
                                                              : TEXT_READ_BYTES_MAX);
}

void handle_text_read(struct request *request)
{
    const struct text_read_request *body = request->body;
    struct text_read_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    request->drop_response = text_read_drop;
    response->records.data = SLICE_EMPTY;
    struct partition *partition = partition_table_find_id(request->broker->partitions,
                                                          &body->topic_id, body->partition_index);
    enum error error = partition == NULL ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_NONE;
    if (body->position < 0 || body->max_bytes <= 0)
        error = ERROR_INVALID_REQUEST;
    if (error == ERROR_NONE)
        error = text_read(request, partition);
    response->error_code = error_to_kafka(error);
    request_complete(request);
}
