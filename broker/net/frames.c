/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting the byte stream of a connection. */
#include "net/frames.h"

#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/memory.h"
#include "base/report.h"
#include "net/connection.h"

#include <errno.h>
#include <stdio.h>

enum {
    SIZE_BYTES = 4,
    DIRECT_BYTES_MIN = 16 * 1024, /* A frame of this size is read into its own buffer. */
    FIRST_BYTES = 64 * 1024,      /* What a claimed size gets before its bytes come. */
    SCRATCH_CARRY_BYTES = 4096,   /* So much of a small frame is moved to read on behind it. */
    SHARE_BYTES = 1 << 20,        /* Of one connection in one turn of the loop. */
    START_BYTES = 128 * 1024,     /* Enough read to start it while it is in the cache. */
};

/* ---- refusing ---- */

static const char *protocol_guess(const uint8_t start[SIZE_BYTES])
{
    static const struct {
        const char *start;
        size_t size;
        const char *guess;
    } known[] = {
        {"GET ", 4, "an HTTP request"}, {"POST", 4, "an HTTP request"},
        {"HEAD", 4, "an HTTP request"}, {"PUT ", 4, "an HTTP request"},
        {"OPTI", 4, "an HTTP request"}, {"PRI ", 4, "an HTTP/2 request"},
        {"SSH-", 4, "an SSH client"},   {"\x16\x03", 2, "a TLS client on a plaintext port"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (memcmp(start, known[i].start, known[i].size) == 0)
            return known[i].guess;
    }
    return "not a Kafka request";
}

static enum frames_result frames_refuse(const struct connection *connection, const char *reason)
{
    char subject[ADDRESS_TEXT_BYTES + 8];
    (void)snprintf(subject, sizeof subject, "peer=%s", connection->client_host + 1);
    report(REPORT_WARNING, "connection_closed", subject, "reason=\"%s\" lost=nothing", reason);
    return FRAMES_DAMAGED;
}

/* *ret_total: the frame with its size, 0 when that has not come yet. */
static enum frames_result frame_total(const struct connection *connection, const uint8_t *bytes,
                                      size_t size, size_t *ret_total)
{
    *ret_total = 0;
    if (size < SIZE_BYTES)
        return FRAMES_MORE;
    int32_t frame_size = (int32_t)load_be32(bytes);
    if (frame_size <= 0 || frame_size > connection->loop->net->limits.request_bytes_max)
        return frames_refuse(connection, protocol_guess(bytes));
    *ret_total = SIZE_BYTES + (size_t)frame_size;
    return FRAMES_MORE;
}

/* ---- taking ---- */

static enum frames_result frame_take(struct connection *connection, struct buffer *buffer,
                                     struct slice frame)
{
    struct exchange *exchange;
    enum error error = exchange_decode(connection, buffer, frame, &exchange);
    if (error == ERROR_OUT_OF_MEMORY)
        return FRAMES_FAILED;
    if (error == ERROR_UNSUPPORTED_VERSION)
        return frames_refuse(connection, connection->door == NULL
                                             ? "an API version not offered"
                                             : "a request of a newer release: upgrade this node");
    if (error == ERROR_POLICY_VIOLATION)
        return frames_refuse(connection, "no room for another client: raise max.connections or "
                                         "max.connections.per.ip");
    if (error != ERROR_NONE)
        return frames_refuse(connection, error == ERROR_INVALID_REQUEST ? "an API not offered"
                                                                        : error_text(error));
    connection->expected_bytes = SIZE_BYTES + frame.size;
    list_push(&connection->exchanges, &exchange->link);
    connection->exchange_count++;
    if (exchange->state == EXCHANGE_ANSWERED) {
        if (connection->unsent_bytes == 0)
            connection->sent_ms = loop_now_ms(connection->loop);
        connection->unsent_bytes += exchange->outgoing.size_bytes;
        connection_flush_later(connection);
        return FRAMES_MORE;
    }
    connection->open_requests++;
    connection->open_bytes += frame.size;
    loop_exchange_add(connection->loop, exchange);
    return FRAMES_MORE;
}

/* Takes the complete frames at the start of `bytes`, copying each. */
static enum frames_result frames_copy(struct connection *connection, const uint8_t *bytes,
                                      size_t size, size_t *ret_used)
{
    size_t used = 0;
    enum frames_result result = FRAMES_MORE;
    while (result == FRAMES_MORE && connection_may_read(connection)) {
        size_t total;
        result = frame_total(connection, bytes + used, size - used, &total);
        if (result != FRAMES_MORE || total == 0 || total > size - used)
            break;
        struct buffer *buffer = loop_buffer_take(connection->loop, total - SIZE_BYTES);
        if (buffer == NULL)
            return FRAMES_FAILED;
        buffer->size = total - SIZE_BYTES;
        memcpy(buffer->data, bytes + used + SIZE_BYTES, buffer->size);
        used += total;
        result = frame_take(connection, buffer, slice_from(buffer->data, buffer->size));
        loop_buffer_drop(connection->loop, buffer);
    }
    *ret_used = used;
    return result;
}

/* What a frame of `total` may take now, with `have` bytes of it here. A connection that has sent
 * one as large is believed. */
static size_t frame_capacity(const struct connection *connection, size_t total, size_t have)
{
    if (total <= connection->expected_bytes)
        return total;
    size_t capacity = have < FIRST_BYTES / 2 ? FIRST_BYTES : have * 2;
    return capacity < total ? capacity : total;
}

/* Keeps bytes that could not be taken. */
static enum frames_result frames_stash(struct connection *connection, const uint8_t *bytes,
                                       size_t size)
{
    ASSERT(connection->partial == NULL);
    if (size == 0)
        return FRAMES_MORE;
    size_t total = size < SIZE_BYTES ? SIZE_BYTES : SIZE_BYTES + (size_t)load_be32(bytes);
    size_t capacity = frame_capacity(connection, total, size);
    if (capacity < size)
        capacity = size; /* Complete frames wait in it, too. */
    struct buffer *buffer = loop_buffer_take(connection->loop, capacity);
    if (buffer == NULL)
        return FRAMES_FAILED;
    memcpy(buffer->data, bytes, size);
    buffer->size = size;
    connection->partial = buffer;
    connection->progress_bytes = 0;
    connection->progress_ms = loop_now_ms(connection->loop);
    return FRAMES_MORE;
}

static enum frames_result frames_copy_stash(struct connection *connection, const uint8_t *bytes,
                                            size_t size)
{
    size_t used = 0;
    enum frames_result result = frames_copy(connection, bytes, size, &used);
    if (result != FRAMES_MORE)
        return result;
    return frames_stash(connection, bytes + used, size - used);
}

/* Takes the frame in `partial`, if it is complete, without copying it, and what is behind it. */
static enum frames_result partial_take(struct connection *connection)
{
    struct buffer *buffer = connection->partial;
    size_t total;
    enum frames_result result = frame_total(connection, buffer->data, buffer->size, &total);
    if (result != FRAMES_MORE || total == 0 || total > buffer->size)
        return result;
    connection->partial = NULL;
    size_t behind = buffer->size - total;
    if (behind > total) { /* Mostly others: none of them may hold all this memory. */
        result = frames_copy_stash(connection, buffer->data, buffer->size);
    } else {
        result = frame_take(connection, buffer,
                            slice_from(buffer->data + SIZE_BYTES, total - SIZE_BYTES));
        if (result == FRAMES_MORE)
            result = frames_copy_stash(connection, buffer->data + total, behind);
    }
    loop_buffer_drop(connection->loop, buffer);
    return result;
}

enum frames_result frames_resume(struct connection *connection)
{
    if (connection->partial == NULL)
        return FRAMES_MORE;
    if ((connection->polled & UV_READABLE) == 0) {
        connection->progress_bytes = 0; /* It could not go on before. */
        connection->progress_ms = loop_now_ms(connection->loop);
    }
    return partial_take(connection);
}

/* ---- reading ---- */

/* FRAMES_MORE with *ret_size 0: nothing there at the moment. */
static enum frames_result receive(struct connection *connection, uint8_t *to, size_t size,
                                  size_t *ret_size)
{
    ssize_t got;
    do
        got = recv(connection->descriptor, to, size, 0);
    while (got < 0 && errno == EINTR);
    *ret_size = 0;
    if (got == 0)
        return FRAMES_FINISHED;
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? FRAMES_MORE : FRAMES_FAILED;
    *ret_size = (size_t)got;
    connection->active_ms = loop_now_ms(connection->loop);
    connection->progress_bytes += (size_t)got;
    return FRAMES_MORE;
}

/* One read into the loop's scratch, behind the small part of a frame that is there already. */
static enum frames_result read_small(struct connection *connection, size_t *ret_size,
                                     bool *ret_drained)
{
    uint8_t *scratch = connection->loop->scratch;
    struct buffer *partial = connection->partial;
    size_t have = partial == NULL ? 0 : partial->size;
    size_t got;
    enum frames_result result =
        receive(connection, scratch + have, LOOP_SCRATCH_BYTES - have, &got);
    *ret_size = got;
    *ret_drained = got < LOOP_SCRATCH_BYTES - have;
    if (result != FRAMES_MORE || got == 0)
        return result;
    if (partial != NULL) {
        memcpy(scratch, partial->data, have);
        connection->partial = NULL;
        buffer_unref(partial);
    }
    int64_t progress_ms = connection->progress_ms;
    size_t progress_bytes = connection->progress_bytes;
    struct list *newest = connection->exchanges.previous;
    result = frames_copy_stash(connection, scratch, have + got);
    if (have > 0 && connection->exchanges.previous == newest) {
        connection->progress_ms = progress_ms; /* Still the same frame. */
        connection->progress_bytes = progress_bytes;
    }
    return result;
}

static enum frames_result partial_grow(struct connection *connection, size_t total)
{
    struct buffer *buffer = connection->partial;
    size_t capacity = frame_capacity(connection, total, buffer->size);
    struct buffer *larger = memory_resize(buffer, sizeof *buffer + capacity);
    if (larger == NULL)
        return FRAMES_FAILED;
    larger->capacity = capacity;
    connection->partial = larger;
    return FRAMES_MORE;
}

/* One read into the frame's own buffer. */
static enum frames_result read_large(struct connection *connection, size_t *ret_size,
                                     bool *ret_drained)
{
    if (connection->partial == NULL) {
        connection->partial = loop_buffer_take(connection->loop, connection->expected_bytes);
        if (connection->partial == NULL)
            return FRAMES_FAILED;
        connection->progress_bytes = 0;
        connection->progress_ms = loop_now_ms(connection->loop);
    }
    size_t have = connection->partial->size;
    size_t total;
    enum frames_result result = frame_total(connection, connection->partial->data, have, &total);
    if (result != FRAMES_MORE)
        return result;
    size_t goal = total == 0 ? connection->expected_bytes : total;
    if (goal < SIZE_BYTES)
        goal = SIZE_BYTES;
    if (have >= connection->partial->capacity) {
        result = partial_grow(connection, goal);
        if (result != FRAMES_MORE)
            return result;
    }
    struct buffer *buffer = connection->partial;
    size_t wanted = (goal < buffer->capacity ? goal : buffer->capacity) - have;
    result = receive(connection, buffer->data + have, wanted, ret_size);
    *ret_drained = *ret_size < wanted;
    buffer->size += *ret_size;
    if (buffer->size == 0) {
        connection->partial = NULL;
        loop_buffer_drop(connection->loop, buffer);
    }
    if (result != FRAMES_MORE || *ret_size == 0)
        return result;
    return partial_take(connection);
}

static bool reads_small(const struct connection *connection)
{
    const struct buffer *partial = connection->partial;
    if (partial == NULL)
        return connection->expected_bytes < DIRECT_BYTES_MIN;
    if (partial->size > SCRATCH_CARRY_BYTES)
        return false;
    if (partial->size < SIZE_BYTES)
        return connection->expected_bytes < DIRECT_BYTES_MIN;
    return load_be32(partial->data) < DIRECT_BYTES_MIN;
}

enum frames_result frames_read(struct connection *connection)
{
    size_t share = 0;
    bool drained = false;
    while (!drained && share < SHARE_BYTES && connection_may_read(connection)) {
        size_t got = 0;
        enum frames_result result = reads_small(connection)
                                        ? read_small(connection, &got, &drained)
                                        : read_large(connection, &got, &drained);
        if (result != FRAMES_MORE)
            return result;
        share += got;
        if (connection->loop->starting_bytes >= START_BYTES)
            loop_settle(connection->loop);
    }
    return FRAMES_MORE;
}
