/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a proved connection: requests out, answers in.
 *
 *   small   recv -> scratch | answer | answer | ans     each copied into a buffer of its own
 *   large   recv -> a frame buffer | size | answer ...  no copy; the next is expected alike
 *
 * A size is checked before anything is allocated for it, and the buffer of a large answer grows
 * only as its bytes come. */
#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/memory.h"
#include "replicate/peer/state.h"
#include "wire/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SIZE_BYTES = 4,
    DIRECT_BYTES_MIN = 16 * 1024,  /* An answer of this size is read into its own buffer. */
    FIRST_BYTES = 64 * 1024,       /* What a claimed size gets before its bytes come. */
    ROOM_SHARE = 64,               /* A buffer is made so much larger than the last answer was. */
    SPARE_BYTES_MAX = 16 << 20,    /* Larger buffers are not kept. */
    RECEIVE_SHARE_BYTES = 4 << 20, /* Of one stream in one turn of the loop. */
    ENCODED_BYTES_MAX = 1 << 20,   /* Beyond it no more is encoded before it is sent. */
    PIECES_MAX = 64                /* In one sendmsg. */
};

static void stream_event(uv_poll_t *poll, int status, int events);

/* ---- sending ---- */

static void stream_poll(struct stream *stream)
{
    int wanted = UV_READABLE | (stream->send_blocked ? UV_WRITABLE : 0);
    if (wanted == stream->polled)
        return;
    stream->polled = wanted;
    if (uv_poll_start(&stream->poll, wanted, stream_event) != 0)
        link_failed(stream->owner, error_text(ERROR_OUT_OF_MEMORY));
}

/* Encodes the oldest that waits and puts it behind what is being sent. */
static void encode_next(struct link *link)
{
    struct outbound *outbound = container_of(link->waiting.next, struct outbound, link);
    struct call *call = outbound->call;
    struct outgoing outgoing = {0};
    int32_t correlation_id = link->correlation_id + 1;
    enum error error = frame_request_encode(call->api, call->version, correlation_id,
                                            slice_of("topicfs"), call->body, &outgoing);
    list_remove(&outbound->link);
    if (error == ERROR_NONE) {
        outbound->correlation_id = correlation_id;
        HASH_ADD_INT(link->on_way, correlation_id, outbound);
        if (outbound->hh.tbl == NULL) {
            outgoing_done(&outgoing);
            error = ERROR_OUT_OF_MEMORY;
        }
    }
    if (error != ERROR_NONE) {
        outbound_end(outbound, error);
        return;
    }
    link->correlation_id = correlation_id == INT32_MAX ? 0 : correlation_id;
    outbound->outgoing = outgoing;
    link->unsent_bytes += outgoing.size_bytes;
    list_push(&link->sending, &outbound->link);
}

static size_t gather(const struct link *link, struct iovec pieces[PIECES_MAX], size_t *ret_size)
{
    size_t count = 0;
    *ret_size = 0;
    list_for_each(at, &link->sending)
    {
        const struct outbound *outbound = container_of(at, struct outbound, link);
        for (const struct chunk *chunk = outbound->outgoing.first; chunk != NULL;
             chunk = chunk->next) {
            if (count == PIECES_MAX)
                return count;
            ASSERT(chunk->data != NULL); /* Requests are made of memory. */
            pieces[count++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)chunk->data, .iov_len = chunk->size};
            *ret_size += chunk->size;
        }
    }
    return count;
}

/* The system has taken `size` bytes of what is being sent. */
static void sent(struct link *link, size_t size)
{
    ASSERT(size <= link->unsent_bytes);
    link->unsent_bytes -= size;
    while (!list_empty(&link->sending)) {
        struct outbound *outbound = container_of(link->sending.next, struct outbound, link);
        struct chunk *chunk = outbound->outgoing.first;
        while (chunk != NULL && size >= chunk->size) {
            size -= chunk->size;
            outbound->outgoing.first = chunk->next;
            chunk_release(chunk);
            chunk = chunk->next;
        }
        if (chunk != NULL) {
            chunk->data += size;
            chunk->size -= size;
            return;
        }
        list_remove(&outbound->link);
        outgoing_done(&outbound->outgoing);
        outbound->outgoing = (struct outgoing){0};
        outbound->sent_ms = peers_now_ms(link->peers);
    }
    ASSERT(size == 0);
}

void stream_pump(struct stream *stream)
{
    struct link *link = stream->owner;
    while (!stream->send_blocked) {
        while (!list_empty(&link->waiting) && link->unsent_bytes < ENCODED_BYTES_MAX)
            encode_next(link);
        if (list_empty(&link->sending))
            break;
        struct iovec pieces[PIECES_MAX];
        size_t size;
        struct msghdr message = {.msg_iov = pieces};
        message.msg_iovlen = gather(link, pieces, &size);
        ssize_t taken = sendmsg(stream->descriptor, &message, MSG_NOSIGNAL);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            link_failed(link, strerror(errno));
            return;
        }
        stream->send_blocked = taken < 0 || (size_t)taken < size;
        if (taken > 0)
            sent(link, (size_t)taken);
    }
    stream_poll(stream);
}

/* ---- buffers ---- */

/* A buffer of at least `capacity`: one given out before that has come back, or a new one. */
static struct buffer *buffer_take(struct stream *stream, size_t capacity)
{
    for (size_t i = 0; i < sizeof stream->spares / sizeof stream->spares[0]; i++) {
        struct buffer *buffer = stream->spares[i];
        /* With one reference it is ours alone, and nobody can take another. */
        if (buffer == NULL || buffer->capacity < capacity || buffer->capacity / 4 > capacity ||
            atomic_load_explicit(&buffer->references, memory_order_acquire) != 1)
            continue;
        stream->spares[i] = NULL;
        buffer->size = 0;
        return buffer;
    }
    return buffer_new(capacity);
}

/* Remembers a buffer whose answer was given out; drops our reference of it otherwise. */
static void buffer_given(struct stream *stream, struct buffer *buffer)
{
    if (buffer->capacity >= DIRECT_BYTES_MIN && buffer->capacity <= SPARE_BYTES_MAX) {
        struct buffer *oldest = stream->spares[1];
        stream->spares[1] = stream->spares[0];
        stream->spares[0] = buffer;
        buffer = oldest;
    }
    buffer_unref(buffer);
}

/* ---- receiving ---- */

enum received {
    RECEIVED_SOME,
    RECEIVED_ALL, /* There is no more at the moment. */
    RECEIVED_END  /* The link has failed: the stream is not to be touched. */
};

static enum received fail(struct stream *stream, const char *why)
{
    link_failed(stream->owner, why);
    return RECEIVED_END;
}

/* *ret_total: the answer with its size, 0 when that has not come yet. False: no such answer. */
static bool answer_total(const uint8_t *bytes, size_t size, size_t *ret_total)
{
    *ret_total = 0;
    if (size < SIZE_BYTES)
        return true;
    uint32_t answer_size = load_be32(bytes);
    if (answer_size == 0 || answer_size > CALL_RESPONSE_BYTES_MAX)
        return false;
    *ret_total = SIZE_BYTES + (size_t)answer_size;
    return true;
}

static enum received answer_give(struct stream *stream, struct buffer *buffer, struct slice frame)
{
    /* Small ones between large ones do not make the next large one a surprise. */
    size_t total = SIZE_BYTES + frame.size;
    size_t before = stream->expected_bytes;
    stream->expected_bytes = total > before - before / 4 ? total : before - before / 4;
    enum error error = link_answered(stream->owner, buffer, frame);
    return error == ERROR_NONE ? RECEIVED_SOME : fail(stream, "it answers what was not asked");
}

/* What an answer of `total` may take now, with `have` bytes of it here. A stream that has brought
 * one as large is believed. */
static size_t answer_capacity(const struct stream *stream, size_t total, size_t have)
{
    if (total <= stream->expected_bytes)
        return total;
    size_t capacity = have < FIRST_BYTES / 2 ? FIRST_BYTES : have * 2;
    return capacity < total ? capacity : total;
}

/* Keeps the beginning of an answer. */
static enum received partial_keep(struct stream *stream, const uint8_t *bytes, size_t size)
{
    ASSERT(stream->partial == NULL);
    if (size == 0)
        return RECEIVED_SOME;
    size_t total;
    if (!answer_total(bytes, size, &total))
        return fail(stream, "it answers with something of no possible size");
    size_t capacity = total == 0 ? FIRST_BYTES : answer_capacity(stream, total, size);
    stream->partial = buffer_take(stream, capacity < size ? size : capacity);
    if (stream->partial == NULL)
        return fail(stream, error_text(ERROR_OUT_OF_MEMORY));
    memcpy(stream->partial->data, bytes, size);
    stream->partial->size = size;
    return RECEIVED_SOME;
}

/* Gives out every whole answer in `bytes`, each in a copy, and keeps the rest. */
static enum received answers_copy(struct stream *stream, const uint8_t *bytes, size_t size)
{
    for (;;) {
        size_t total;
        if (!answer_total(bytes, size, &total))
            return fail(stream, "it answers with something of no possible size");
        if (total == 0 || total > size)
            return partial_keep(stream, bytes, size);
        struct buffer *buffer = buffer_new(total - SIZE_BYTES);
        if (buffer == NULL)
            return fail(stream, error_text(ERROR_OUT_OF_MEMORY));
        buffer->size = total - SIZE_BYTES;
        memcpy(buffer->data, bytes + SIZE_BYTES, buffer->size);
        enum received result = answer_give(stream, buffer, slice_from(buffer->data, buffer->size));
        buffer_unref(buffer);
        if (result == RECEIVED_END)
            return result;
        bytes += total;
        size -= total;
    }
}

/* Gives out the answer in `partial`, if it is whole, without copying it, and what is behind it. */
static enum received partial_give(struct stream *stream)
{
    struct buffer *buffer = stream->partial;
    size_t total;
    if (!answer_total(buffer->data, buffer->size, &total))
        return fail(stream, "it answers with something of no possible size");
    if (total == 0 || total > buffer->size)
        return RECEIVED_SOME;
    stream->partial = NULL;
    enum received result =
        answer_give(stream, buffer, slice_from(buffer->data + SIZE_BYTES, total - SIZE_BYTES));
    if (result != RECEIVED_END && buffer->size > total)
        result = answers_copy(stream, buffer->data + total, buffer->size - total);
    if (result == RECEIVED_END)
        buffer_unref(buffer);
    else
        buffer_given(stream, buffer);
    return result;
}

/* Makes room behind what has come of the answer. */
static bool partial_grow(struct stream *stream, size_t total)
{
    struct buffer *buffer = stream->partial;
    size_t capacity = answer_capacity(stream, total, buffer->size);
    struct buffer *larger = memory_resize(buffer, sizeof *buffer + capacity);
    if (larger == NULL)
        return false;
    larger->capacity = capacity;
    stream->partial = larger;
    return true;
}

/* Where the next bytes go: the scratch, or a buffer of the answer's own. */
static enum received room_make(struct stream *stream, uint8_t **ret_to, size_t *ret_size)
{
    struct peers *peers = stream->peers;
    if (stream->partial == NULL && stream->expected_bytes < DIRECT_BYTES_MIN) {
        *ret_to = peers->scratch;
        *ret_size = PEER_SCRATCH_BYTES;
        return RECEIVED_SOME;
    }
    if (stream->partial == NULL)
        stream->partial =
            buffer_take(stream, stream->expected_bytes + stream->expected_bytes / ROOM_SHARE);
    struct buffer *buffer = stream->partial;
    if (buffer == NULL)
        return fail(stream, error_text(ERROR_OUT_OF_MEMORY));
    size_t total;
    bool possible = answer_total(buffer->data, buffer->size, &total);
    ASSERT(possible); /* Looked at when it came. */
    size_t goal = total == 0 ? buffer->capacity : total;
    if (buffer->size >= buffer->capacity && !partial_grow(stream, goal))
        return fail(stream, error_text(ERROR_OUT_OF_MEMORY));
    buffer = stream->partial;
    *ret_to = buffer->data + buffer->size;
    *ret_size = (goal < buffer->capacity ? goal : buffer->capacity) - buffer->size;
    return RECEIVED_SOME;
}

static enum received receive_once(struct stream *stream, size_t *ret_size)
{
    uint8_t *to;
    size_t size;
    if (room_make(stream, &to, &size) == RECEIVED_END)
        return RECEIVED_END;
    ssize_t got;
    do
        got = recv(stream->descriptor, to, size, 0);
    while (got < 0 && errno == EINTR);
    bool direct = stream->partial != NULL;
    if (direct && got > 0) {
        stream->partial->size += (size_t)got;
    } else if (direct && stream->partial->size == 0) { /* Do not hold it while nothing comes. */
        buffer_given(stream, stream->partial);
        stream->partial = NULL;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return RECEIVED_ALL;
    if (got <= 0)
        return fail(stream, got == 0 ? "it closed the connection" : strerror(errno));
    *ret_size = (size_t)got;
    stream->owner->received_ms = peers_now_ms(stream->peers);
    enum received result = direct ? partial_give(stream) : answers_copy(stream, to, (size_t)got);
    if (result == RECEIVED_SOME && (size_t)got < size)
        return RECEIVED_ALL;
    return result;
}

void stream_receive(struct stream *stream)
{
    size_t share = 0;
    enum received result = RECEIVED_SOME;
    while (result == RECEIVED_SOME && share < RECEIVE_SHARE_BYTES) {
        size_t got = 0;
        result = receive_once(stream, &got);
        share += got;
    }
}

/* ---- life ---- */

/* What is wrong with a socket in words: uv says EBADF of whatever poll(2) calls an error. */
static const char *socket_failure(int descriptor)
{
    int errno_value = 0;
    socklen_t size = sizeof errno_value;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &errno_value, &size) != 0)
        errno_value = errno;
    return errno_value == 0 ? "the connection broke" : strerror(errno_value);
}

static void stream_event(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = poll->data;
    struct peers *peers = stream->peers;
    struct link *link = stream->owner;
    if (status < 0) {
        link_failed(link, socket_failure(stream->descriptor));
    } else {
        if ((events & UV_WRITABLE) != 0) {
            stream->send_blocked = false;
            stream_pump(stream);
        }
        if ((events & UV_READABLE) != 0 && stream->owner != NULL)
            stream_receive(stream);
    }
    peers_settle(peers);
}

enum error stream_new(struct link *link, int descriptor, struct stream **ret_stream)
{
    struct stream *stream = memory_allocate(sizeof *stream);
    if (stream == NULL || uv_poll_init(&link->peers->uv, &stream->poll, descriptor) != 0) {
        memory_free(stream);
        (void)close(descriptor);
        return ERROR_OUT_OF_MEMORY;
    }
    stream->poll.data = stream;
    stream->peers = link->peers;
    stream->owner = link;
    stream->descriptor = descriptor;
    stream->peers->streams++;
    *ret_stream = stream;
    return ERROR_NONE;
}

static void stream_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    struct peers *peers = stream->peers;
    memory_free(stream);
    ASSERT(peers->streams > 0);
    peers->streams--;
    peers_check_closed(peers);
}

void stream_close(struct stream *stream)
{
    stream->owner = NULL;
    buffer_unref(stream->partial);
    stream->partial = NULL;
    for (size_t i = 0; i < sizeof stream->spares / sizeof stream->spares[0]; i++) {
        buffer_unref(stream->spares[i]);
        stream->spares[i] = NULL;
    }
    uv_close((uv_handle_t *)&stream->poll, stream_closed);
    (void)close(stream->descriptor);
    stream->descriptor = -1;
}
