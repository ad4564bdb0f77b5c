/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of produce and fetch: one epoll thread that does only what cannot be left out.
 *
 *   Produce v12   receive, check CRC-32C, write the batch to its partition's file, answer
 *   Fetch v12     header, then sendfile of whole batches
 *
 * `bare_node PORT DIR` serves one topic of any name. A partition's batches must all be as large as
 * its first one: then the offset's place is a multiplication, and no index is needed. */
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "measure.h"
#include "record/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PARTITIONS_MAX = 64,
    RECEIVE_BYTES = 256 << 10,
    FRAME_BYTES_MAX = 8 << 20,
    ANSWERS_BYTES = 64 << 10,
    ANSWER_BYTES_MAX = 512,
    NAME_BYTES_MAX = 127,
    SIZE_BYTES = 4,
    KEY_PRODUCE = 0,
    KEY_FETCH = 1,
    VERSION = 12,
};

struct partition {
    int file;
    uint64_t size_bytes;
    size_t batch_bytes;
    int32_t batch_records;
};

struct connection {
    int socket;
    bool want_write;
    uint8_t *received;
    size_t received_bytes;
    size_t received_room;
    uint8_t answers[ANSWERS_BYTES];
    size_t answers_begin;
    size_t answers_end;
    int file; /* A range to send behind the answers. */
    off_t file_position;
    size_t file_bytes;
};

struct node {
    int epoll;
    int directory;
    struct partition partitions[PARTITIONS_MAX];
};

/* A place in a request; `bad` when it ran out of bytes or past what is understood. */
struct place {
    const uint8_t *next;
    const uint8_t *end;
    bool bad;
};

static const uint8_t *take(struct place *place, size_t size)
{
    static const uint8_t nothing[16];
    if (place->bad || (size_t)(place->end - place->next) < size) {
        place->bad = true;
        return nothing;
    }
    place->next += size;
    return place->next - size;
}

static uint32_t take_uvarint(struct place *place)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = *take(place, 1);
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    place->bad = true;
    return 0;
}

/* ---- answers ---- */

struct answer {
    uint8_t *next;
};

static void put(struct answer *answer, const void *bytes, size_t size)
{
    memcpy(answer->next, bytes, size);
    answer->next += size;
}

static void put8(struct answer *answer, unsigned value)
{
    *answer->next++ = (uint8_t)value;
}

static void put16(struct answer *answer, unsigned value)
{
    store_be16(answer->next, (uint16_t)value);
    answer->next += 2;
}

static void put32(struct answer *answer, uint32_t value)
{
    store_be32(answer->next, value);
    answer->next += 4;
}

static void put64(struct answer *answer, uint64_t value)
{
    store_be64(answer->next, value);
    answer->next += 8;
}

static void put_uvarint(struct answer *answer, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        put8(answer, (value & 0x7f) | 0x80);
    put8(answer, value);
}

/* What both requests begin with, behind the header. */
struct topic {
    uint32_t correlation_id;
    const uint8_t *name;
    size_t name_size;
    uint32_t partition;
};

static struct answer answer_begin(struct connection *connection, const struct topic *topic)
{
    struct answer answer = {connection->answers + connection->answers_end + SIZE_BYTES};
    put32(&answer, topic->correlation_id);
    put8(&answer, 0); /* Tags of the header. */
    return answer;
}

static void answer_topic(struct answer *answer, const struct topic *topic)
{
    put8(answer, 2); /* One topic, one partition. */
    put_uvarint(answer, (uint32_t)topic->name_size + 1);
    put(answer, topic->name, topic->name_size);
    put8(answer, 2);
    put32(answer, topic->partition);
    put16(answer, 0); /* No error. */
}

static void answer_end(struct connection *connection, struct answer *answer, size_t file_bytes)
{
    uint8_t *start = connection->answers + connection->answers_end;
    store_be32(start, (uint32_t)((size_t)(answer->next - start) - SIZE_BYTES + file_bytes));
    connection->answers_end = (size_t)(answer->next - connection->answers);
}

/* ---- requests ---- */

static struct partition *partition_of(struct node *node, uint32_t index)
{
    if (index >= PARTITIONS_MAX)
        fail("partition %u: %d is the most", index, PARTITIONS_MAX);
    struct partition *partition = &node->partitions[index];
    if (partition->file == 0) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", index);
        partition->file =
            openat(node->directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (partition->file < 0)
            fail("open %s", name);
    }
    return partition;
}

static void take_topic(struct place *place, struct topic *topic)
{
    if (take_uvarint(place) != 2)
        place->bad = true; /* One topic. */
    topic->name_size = take_uvarint(place) - 1u;
    if (topic->name_size > NAME_BYTES_MAX)
        place->bad = true;
    topic->name = take(place, place->bad ? 0 : topic->name_size);
    if (take_uvarint(place) != 2)
        place->bad = true; /* One partition. */
    topic->partition = load_be32(take(place, 4));
}

static void produce(struct node *node, struct connection *connection, struct place *place,
                    struct topic *topic)
{
    (void)take(place, 1 + 2 + 4); /* Transactional id (null), acks, timeout. */
    take_topic(place, topic);
    size_t size = take_uvarint(place) - 1u;
    uint8_t *batch = (uint8_t *)(uintptr_t)take(place, size);
    if (place->bad || size < BATCH_HEADER_BYTES)
        fail("a Produce request that is not understood");
    if (crc32c(0, batch + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT) !=
        load_be32(batch + BATCH_CRC_AT))
        fail("a damaged batch");
    struct partition *partition = partition_of(node, topic->partition);
    int32_t records = (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT) + 1;
    if (partition->size_bytes == 0) {
        partition->batch_bytes = size;
        partition->batch_records = records;
    }
    if (partition->batch_bytes != size || partition->batch_records != records)
        fail("batches of different sizes");
    int64_t offset = (int64_t)(partition->size_bytes / size) * records;
    batch_set_base_offset(batch, offset);
    if (pwrite(partition->file, batch, size, (off_t)partition->size_bytes) != (ssize_t)size)
        fail("write");
    partition->size_bytes += size;
    struct answer answer = answer_begin(connection, topic);
    answer_topic(&answer, topic);
    put64(&answer, (uint64_t)offset);
    put64(&answer, UINT64_MAX); /* No log append time. */
    put64(&answer, 0);          /* Log start. */
    put8(&answer, 1);           /* No record errors, */
    put8(&answer, 0);           /* no message, */
    put8(&answer, 0);           /* no tags: partition, topic; */
    put8(&answer, 0);
    put32(&answer, 0); /* no throttling, */
    put8(&answer, 0);  /* no tags. */
    answer_end(connection, &answer, 0);
}

static void fetch(struct node *node, struct connection *connection, struct place *place,
                  struct topic *topic)
{
    (void)take(place, 4 + 4 + 4 + 4 + 1 + 4 + 4); /* Replica to session epoch. */
    take_topic(place, topic);
    (void)take(place, 4); /* Leader epoch. */
    uint64_t offset = load_be64(take(place, 8));
    (void)take(place, 4 + 8); /* Last fetched epoch, log start. */
    size_t bytes_max = load_be32(take(place, 4));
    struct partition *partition = partition_of(node, topic->partition);
    if (place->bad || partition->size_bytes == 0)
        fail("a Fetch request that is not understood");
    uint64_t position =
        offset / (uint64_t)partition->batch_records * (uint64_t)partition->batch_bytes;
    uint64_t bytes = position < partition->size_bytes ? partition->size_bytes - position : 0;
    if (bytes > bytes_max)
        bytes = bytes_max - bytes_max % partition->batch_bytes;
    uint64_t last =
        partition->size_bytes / partition->batch_bytes * (uint64_t)partition->batch_records;
    struct answer answer = answer_begin(connection, topic);
    put32(&answer, 0); /* Throttling. */
    put16(&answer, 0); /* Error. */
    put32(&answer, 0); /* Session. */
    answer_topic(&answer, topic);
    put64(&answer, last); /* High watermark, */
    put64(&answer, last); /* last stable offset, */
    put64(&answer, 0);    /* log start. */
    put8(&answer, 0);     /* Aborted transactions: null. */
    put32(&answer, UINT32_MAX);
    put_uvarint(&answer, (uint32_t)bytes + 1);
    connection->file = partition->file;
    connection->file_position = (off_t)position;
    connection->file_bytes = bytes;
    /* The tags behind the records go out with the next answer's bytes: see flush. */
    answer_end(connection, &answer, bytes + 3);
}

static void serve(struct node *node, struct connection *connection, const uint8_t *frame,
                  size_t size)
{
    struct place place = {frame, frame + size, false};
    struct topic topic = {0};
    const uint8_t *head = take(&place, 2 + 2 + 4 + 2);
    unsigned key = load_be16(head), version = load_be16(head + 2);
    topic.correlation_id = load_be32(head + 4);
    (void)take(&place, (size_t)load_be16(head + 8) + 1); /* Client id, tags. */
    if (place.bad || version != VERSION || (key != KEY_PRODUCE && key != KEY_FETCH))
        fail("request %u version %u: only Produce and Fetch of version %d", key, version, VERSION);
    if (key == KEY_PRODUCE)
        produce(node, connection, &place, &topic);
    else
        fetch(node, connection, &place, &topic);
}

/* ---- sockets ---- */

/* False when the socket is full. */
static bool flush(struct connection *connection)
{
    while (connection->answers_begin < connection->answers_end) {
        ssize_t sent = send(connection->socket, connection->answers + connection->answers_begin,
                            connection->answers_end - connection->answers_begin,
                            MSG_NOSIGNAL | (connection->file_bytes > 0 ? MSG_MORE : 0));
        if (sent < 0)
            return false;
        connection->answers_begin += (size_t)sent;
    }
    connection->answers_begin = connection->answers_end = 0;
    while (connection->file_bytes > 0) {
        ssize_t sent = sendfile(connection->socket, connection->file, &connection->file_position,
                                connection->file_bytes);
        if (sent <= 0)
            return false;
        connection->file_bytes -= (size_t)sent;
    }
    if (connection->file > 0) { /* The three empty tag sections that end a Fetch answer. */
        connection->file = 0;
        memset(connection->answers, 0, 3);
        connection->answers_end = 3;
        return flush(connection);
    }
    return true;
}

static void serve_received(struct node *node, struct connection *connection)
{
    size_t at = 0;
    while (connection->received_bytes - at >= SIZE_BYTES && connection->file == 0 &&
           connection->answers_end < ANSWERS_BYTES - ANSWER_BYTES_MAX) {
        size_t size = load_be32(connection->received + at);
        if (size > FRAME_BYTES_MAX)
            fail("a frame of %zu bytes", size);
        if (size + SIZE_BYTES > connection->received_room) {
            connection->received_room = size + SIZE_BYTES + RECEIVE_BYTES;
            connection->received = realloc(connection->received, connection->received_room);
            if (connection->received == NULL)
                fail("allocate");
        }
        if (connection->received_bytes - at - SIZE_BYTES < size)
            break;
        serve(node, connection, connection->received + at + SIZE_BYTES, size);
        at += SIZE_BYTES + size;
    }
    memmove(connection->received, connection->received + at, connection->received_bytes - at);
    connection->received_bytes -= at;
}

static void watch(struct node *node, struct connection *connection, bool want_write)
{
    if (connection->want_write == want_write)
        return;
    struct epoll_event event = {.events = want_write ? EPOLLOUT : EPOLLIN, .data.ptr = connection};
    (void)epoll_ctl(node->epoll, EPOLL_CTL_MOD, connection->socket, &event);
    connection->want_write = want_write;
}

/* False when the connection is gone. */
static bool connection_ready(struct node *node, struct connection *connection)
{
    if (!connection->want_write) {
        ssize_t size = recv(connection->socket, connection->received + connection->received_bytes,
                            connection->received_room - connection->received_bytes, 0);
        if (size == 0 || (size < 0 && errno != EAGAIN)) {
            (void)close(connection->socket);
            free(connection->received);
            free(connection);
            return false;
        }
        connection->received_bytes += size > 0 ? (size_t)size : 0;
    }
    serve_received(node, connection);
    watch(node, connection, !flush(connection));
    return true;
}

static void accept_one(struct node *node, int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        fail("accept");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (connection->received = malloc(RECEIVE_BYTES)) == NULL)
        fail("allocate");
    connection->socket = fd;
    connection->received_room = RECEIVE_BYTES;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(node->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        fail("listen on port %u", port);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage: bare_node PORT DIR");
    static struct node node; /* Zeroed, and too large for a stack. */
    struct epoll_event events[64];
    node.directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    node.epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((unsigned)strtoul(argv[1], NULL, 10));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (node.directory < 0 || node.epoll < 0 ||
        epoll_ctl(node.epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("start in %s", argv[2]);
    for (;;) {
        int count = epoll_wait(node.epoll, events, sizeof events / sizeof *events, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_one(&node, listener);
            else
                (void)connection_ready(&node, events[i].data.ptr);
        }
    }
}
