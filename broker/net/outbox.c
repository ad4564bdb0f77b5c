/* SPDX-License-Identifier: Apache-2.0 */
/* Sending what a connection owes. */
#include "net/outbox.h"

#include "base/assertion.h"
#include "base/report.h"
#include "base/storage.h"
#include "net/connection.h"

#include <errno.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    PIECES_MAX = 64,       /* In one sendmsg. */
    SHARE_BYTES = 4 << 20, /* Of one connection in one turn of the loop. */
    /* A range of a file no larger than this is read, and goes out in one call with what is before
     * and behind it: sendfile takes three, and a packet more. */
    COPIED_BYTES_MAX = 16 << 10,
};

/* The chunks at the head of the queue, up to the first large file range. */
struct gathered {
    struct iovec pieces[PIECES_MAX];
    size_t count;
    size_t size;
    size_t copied; /* Of the loop's scratch that small file ranges take up. */
    bool file_follows;
};

static struct exchange *exchange_first(struct connection *connection)
{
    if (list_empty(&connection->exchanges))
        return NULL;
    struct exchange *exchange = container_of(connection->exchanges.next, struct exchange, link);
    return exchange->state == EXCHANGE_ANSWERED ? exchange : NULL;
}

/* A small range of a file in the scratch; NULL: it is to go out as a file. A read that fails is
 * told when it is its turn. */
static const uint8_t *copy_range(struct connection *connection, const struct chunk *chunk,
                                 struct gathered *gathered)
{
    if (chunk->size > COPIED_BYTES_MAX || chunk->size > LOOP_SCRATCH_BYTES - gathered->copied)
        return NULL;
    uint8_t *to = connection->loop->scratch + gathered->copied;
    size_t got = 0;
    if (storage_read(chunk->file, chunk->position, to, chunk->size, &got) != ERROR_NONE ||
        got < chunk->size)
        return NULL;
    gathered->copied += chunk->size;
    return to;
}

static void gather(struct connection *connection, struct gathered *ret_gathered)
{
    ret_gathered->count = 0;
    ret_gathered->size = 0;
    ret_gathered->copied = 0;
    ret_gathered->file_follows = false;
    list_for_each(link, &connection->exchanges)
    {
        struct exchange *exchange = container_of(link, struct exchange, link);
        if (exchange->state != EXCHANGE_ANSWERED)
            return;
        for (struct chunk *chunk = exchange->outgoing.first; chunk != NULL; chunk = chunk->next) {
            if (ret_gathered->count == PIECES_MAX)
                return;
            const uint8_t *data = chunk->data;
            if (data == NULL)
                data = copy_range(connection, chunk, ret_gathered);
            if (data == NULL) {
                ret_gathered->file_follows = true;
                return;
            }
            ret_gathered->pieces[ret_gathered->count++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = chunk->size};
            ret_gathered->size += chunk->size;
        }
    }
}

/* Drops answers at the head that have nothing left to send. */
static void drop_sent(struct connection *connection)
{
    for (struct exchange *exchange;
         (exchange = exchange_first(connection)) != NULL && exchange->outgoing.first == NULL;) {
        connection_drop(connection, exchange);
    }
}

/* The peer's system has taken `size` bytes from the head of the queue. */
static void sent(struct connection *connection, size_t size)
{
    struct io_loop *loop = connection->loop;
    ASSERT(size <= connection->unsent_bytes);
    connection->unsent_bytes -= size;
    connection->sent_ms = loop_now_ms(loop);
    connection->active_ms = connection->sent_ms;
    while (size > 0) {
        struct exchange *exchange = exchange_first(connection);
        ASSERT(exchange != NULL);
        struct chunk *chunk = exchange->outgoing.first;
        ASSERT(chunk != NULL);
        size_t part = size < chunk->size ? size : chunk->size;
        size -= part;
        chunk->size -= part;
        if (chunk->data != NULL)
            chunk->data += part;
        else
            chunk->position += part;
        if (chunk->size == 0) {
            exchange->outgoing.first = chunk->next;
            chunk_release(chunk);
        }
        drop_sent(connection);
    }
}

/* Sorts out what a sending call returned; true when something was sent. */
static bool took(struct connection *connection, ssize_t result, enum error *ret_error)
{
    if (result > 0) {
        sent(connection, (size_t)result);
        return true;
    }
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        connection->send_blocked = true;
    else if (result == 0 || errno != EINTR)
        *ret_error = ERROR_CLOSING;
    return false;
}

static ssize_t send_memory(struct connection *connection, struct gathered *gathered)
{
    struct msghdr message = {.msg_iov = gathered->pieces, .msg_iovlen = gathered->count};
    return sendmsg(connection->descriptor, &message,
                   MSG_NOSIGNAL | (gathered->file_follows ? MSG_MORE : 0));
}

static enum error file_failed(const struct connection *connection, const char *what)
{
    report(REPORT_ERROR, "answer_unreadable", "",
           "peer=%s reason=\"%s\" lost=nothing do=\"check the disk\"", connection->client_host + 1,
           what);
    return ERROR_STORAGE;
}

/* A storage without descriptors is read into the scratch, a piece at a time. */
static enum error send_copied(struct connection *connection, const struct chunk *chunk)
{
    uint8_t *scratch = connection->loop->scratch;
    size_t wanted = chunk->size < LOOP_SCRATCH_BYTES ? chunk->size : LOOP_SCRATCH_BYTES;
    size_t got = 0;
    enum error error = storage_read(chunk->file, chunk->position, scratch, wanted, &got);
    if (error != ERROR_NONE || got == 0)
        return file_failed(connection, error == ERROR_NONE ? "the file ends" : error_text(error));
    ssize_t result = send(connection->descriptor, scratch, got, MSG_NOSIGNAL);
    (void)took(connection, result, &error);
    return error;
}

static enum error send_file(struct connection *connection, const struct chunk *chunk)
{
    int descriptor = storage_descriptor(chunk->file);
    if (descriptor < 0)
        return send_copied(connection, chunk);
    off_t position = (off_t)chunk->position;
    size_t wanted = chunk->size < SHARE_BYTES ? chunk->size : SHARE_BYTES;
    ssize_t result = sendfile(connection->descriptor, descriptor, &position, wanted);
    if (result == 0)
        return file_failed(connection, "the file ends");
    if (result < 0 && (errno == EIO || errno == EINVAL || errno == EBADF))
        return file_failed(connection, "the disk refused a read");
    enum error error = ERROR_NONE;
    (void)took(connection, result, &error);
    return error;
}

enum error outbox_send(struct connection *connection)
{
    drop_sent(connection);
    uint64_t before = connection->unsent_bytes;
    enum error error = ERROR_NONE;
    while (error == ERROR_NONE && !connection->send_blocked) {
        struct exchange *exchange = exchange_first(connection);
        if (exchange == NULL)
            break;
        if (before - connection->unsent_bytes >= SHARE_BYTES) {
            connection->send_blocked = true; /* Others first: poll says when again. */
            break;
        }
        struct gathered gathered;
        gather(connection, &gathered);
        if (gathered.count == 0) {
            error = send_file(connection, exchange->outgoing.first);
            continue;
        }
        ssize_t result = send_memory(connection, &gathered);
        if (took(connection, result, &error) && (size_t)result < gathered.size)
            connection->send_blocked = true;
    }
    return error;
}
