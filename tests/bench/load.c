/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's one thread: epoll over all connections, non-blocking both ways. */
#include "load.h"

#include "base/byteorder.h"
#include "measure.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVE_BYTES_MIN = 64 << 10, FRAME_BYTES_MAX = 256 << 20, SIZE_BYTES = 4 };
enum { STALLED_MS = 60000 };

struct connection {
    int socket;
    uint32_t index;
    bool want_write;
    uint64_t sent_count;           /* Requests begun. */
    const struct request *sending; /* Not sent to its end yet. */
    size_t sent_bytes;
    uint64_t *due_ns; /* Ring of in_flight: of the requests that are not answered. */
    uint32_t due_first;
    uint32_t due_count;
    uint8_t *received;
    size_t received_bytes;
    size_t received_room;
    int64_t offset; /* Next to fetch. */
};

struct load {
    const struct load_wish *wish;
    struct load_result *result;
    struct connection *connections;
    struct arena arena;
    int epoll;
    uint64_t begun;
    uint64_t ended;
    uint64_t wanted;
    uint64_t start_ns;         /* Of the schedule. */
    uint64_t measure_start_ns; /* 0: not begun. */
    double cpu_start;
};

static void *memory_of(size_t size)
{
    void *block = calloc(1, size);
    if (block == NULL)
        fail("allocate %zu bytes", size);
    return block;
}

static int connect_to(const struct load_place *place)
{
    const char *host = place->host, *port = place->port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int status = getaddrinfo(host, port, &hints, &found);
    errno = 0;
    if (status != 0)
        fail("%s:%s: %s", host, port, gai_strerror(status));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        fail("connect to %s:%s", host, port);
    freeaddrinfo(found);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* ---- sending ---- */

static void watch(struct load *load, struct connection *connection, bool want_write)
{
    if (connection->want_write == want_write)
        return;
    struct epoll_event event = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0),
                                .data.ptr = connection};
    if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->socket, &event) != 0)
        fail("epoll_ctl");
    connection->want_write = want_write;
}

static uint64_t due_at(const struct load *load, const struct connection *connection)
{
    double number = (double)(connection->sent_count * load->wish->connections + connection->index);
    return load->start_ns + (uint64_t)(number * 1e9 / load->wish->requests_per_second);
}

/* True when the connection may begin a request now. */
static bool may_begin(const struct load *load, const struct connection *connection, uint64_t now_ns)
{
    if (load->begun == load->wanted || connection->due_count == load->wish->in_flight)
        return false;
    return load->wish->requests_per_second <= 0 || due_at(load, connection) <= now_ns;
}

static void begin_request(struct load *load, struct connection *connection, uint64_t now_ns)
{
    const struct load_wish *wish = load->wish;
    uint64_t number = wish->is_fetch
                          ? connection->index
                          : connection->sent_count * wish->connections + connection->index;
    struct request *request = &wish->ready[number % wish->ready_count];
    if (wish->is_fetch)
        store_be64(request->fetch_offset, (uint64_t)connection->offset);
    uint64_t due_ns = wish->requests_per_second > 0 ? due_at(load, connection) : now_ns;
    if (!wish->unanswered) {
        uint32_t last = (connection->due_first + connection->due_count) % wish->in_flight;
        connection->due_ns[last] = due_ns;
        connection->due_count++;
    }
    connection->sending = request;
    connection->sent_bytes = 0;
    connection->sent_count++;
    load->begun++;
}

static void request_ended(struct load *load, uint64_t due_ns, uint64_t now_ns, size_t bytes)
{
    const struct load_wish *wish = load->wish;
    load->ended++;
    if (load->measure_start_ns != 0) {
        load->result->requests++;
        load->result->bytes += bytes;
        if (due_ns != 0)
            histogram_add(&load->result->latencies, now_ns > due_ns ? now_ns - due_ns : 0);
    } else if (load->ended >= wish->requests_before) {
        load->measure_start_ns = now_ns;
        load->cpu_start = measure_cpu_seconds(wish->pids, wish->pid_count);
    }
}

static void send_what_may_go(struct load *load, struct connection *connection)
{
    for (;;) {
        uint64_t now_ns = measure_now_ns();
        if (connection->sending == NULL) {
            if (!may_begin(load, connection, now_ns))
                break;
            begin_request(load, connection, now_ns);
        }
        const struct request *request = connection->sending;
        ssize_t sent = send(connection->socket, request->bytes + connection->sent_bytes,
                            request->size - connection->sent_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(load, connection, true);
            return;
        }
        if (sent < 0)
            fail("send");
        connection->sent_bytes += (size_t)sent;
        if (connection->sent_bytes < request->size)
            continue;
        connection->sending = NULL;
        if (load->wish->unanswered)
            request_ended(load, 0, now_ns, 0);
    }
    watch(load, connection, false);
}

/* ---- answers ---- */

static void take_answer(struct load *load, struct connection *connection, struct slice answer)
{
    size_t bytes = 0;
    uint64_t now_ns = measure_now_ns();
    errno = 0;
    if (connection->due_count == 0)
        fail("an answer that nobody waits for");
    if (load->wish->is_fetch) {
        connection->offset = answer_check_fetch(answer, &load->arena, connection->offset, &bytes);
        if (bytes == 0)
            fail("nothing to fetch");
    } else {
        answer_check_produce(answer, &load->arena);
    }
    uint64_t due_ns = connection->due_ns[connection->due_first];
    connection->due_first = (connection->due_first + 1) % load->wish->in_flight;
    connection->due_count--;
    request_ended(load, due_ns, now_ns, bytes);
}

/* Makes room for the frame that has begun. */
static void make_room(struct connection *connection)
{
    size_t wanted = RECEIVE_BYTES_MIN;
    if (connection->received_bytes >= SIZE_BYTES)
        wanted = (size_t)load_be32(connection->received) + SIZE_BYTES;
    errno = 0;
    if (wanted > FRAME_BYTES_MAX)
        fail("an answer of %zu bytes", wanted);
    if (wanted < RECEIVE_BYTES_MIN)
        wanted = RECEIVE_BYTES_MIN;
    if (wanted <= connection->received_room)
        return;
    connection->received = realloc(connection->received, wanted);
    if (connection->received == NULL)
        fail("allocate %zu bytes", wanted);
    connection->received_room = wanted;
}

static void receive_answers(struct load *load, struct connection *connection)
{
    make_room(connection);
    ssize_t size = recv(connection->socket, connection->received + connection->received_bytes,
                        connection->received_room - connection->received_bytes, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN)
        return;
    errno = size == 0 ? 0 : errno;
    if (size <= 0)
        fail("the broker closed the connection");
    connection->received_bytes += (size_t)size;
    size_t at = 0;
    for (;;) {
        size_t left = connection->received_bytes - at;
        if (left < SIZE_BYTES)
            break;
        size_t frame = load_be32(connection->received + at);
        if (left - SIZE_BYTES < frame)
            break;
        take_answer(load, connection, slice_from(connection->received + at + SIZE_BYTES, frame));
        at += SIZE_BYTES + frame;
    }
    memmove(connection->received, connection->received + at, connection->received_bytes - at);
    connection->received_bytes -= at;
}

/* ---- the loop ---- */

/* Until something comes, or the next request is due. */
static int wait_for_events(struct load *load, struct epoll_event *events, int room)
{
    uint64_t now_ns = measure_now_ns(), next_ns = now_ns + (uint64_t)STALLED_MS * 1000000u;
    if (load->wish->requests_per_second > 0 && load->begun < load->wanted)
        for (uint32_t i = 0; i < load->wish->connections; i++) {
            const struct connection *connection = &load->connections[i];
            if (connection->sending != NULL || connection->due_count == load->wish->in_flight)
                continue;
            uint64_t due_ns = due_at(load, connection);
            next_ns = due_ns < next_ns ? due_ns : next_ns;
        }
    uint64_t left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    struct timespec timeout = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
    int count = epoll_pwait2(load->epoll, events, room, &timeout, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2");
    errno = 0;
    if (count == 0 && left_ns >= (uint64_t)STALLED_MS * 1000000u)
        fail("no answer for %d s: %lu of %lu answered", STALLED_MS / 1000,
             (unsigned long)load->ended, (unsigned long)load->wanted);
    return count < 0 ? 0 : count;
}

static void open_connections(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        fail("epoll_create1");
    load->connections = memory_of(load->wish->connections * sizeof *load->connections);
    for (uint32_t i = 0; i < load->wish->connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->index = i;
        connection->socket = connect_to(&load->wish->places[i % load->wish->place_count]);
        connection->due_ns = memory_of(load->wish->in_flight * sizeof *connection->due_ns);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->socket, &event) != 0)
            fail("epoll_ctl");
    }
}

static void close_connections(struct load *load)
{
    for (uint32_t i = 0; i < load->wish->connections; i++) {
        (void)close(load->connections[i].socket);
        free(load->connections[i].due_ns);
        free(load->connections[i].received);
    }
    free(load->connections);
    (void)close(load->epoll);
}

void load_run(const struct load_wish *wish, struct load_result *ret_result)
{
    struct load load = {.wish = wish, .result = ret_result};
    struct epoll_event events[64];
    load.wanted = wish->requests_before + wish->requests;
    *ret_result = (struct load_result){0};
    arena_init(&load.arena, 1 << 20);
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* Due times are to the microsecond. */
    open_connections(&load);
    load.start_ns = measure_now_ns();
    if (wish->requests_before == 0) {
        load.measure_start_ns = load.start_ns;
        load.cpu_start = measure_cpu_seconds(wish->pids, wish->pid_count);
    }
    for (uint32_t i = 0; i < wish->connections; i++)
        send_what_may_go(&load, &load.connections[i]);
    while (load.ended < load.wanted) {
        int count = wait_for_events(&load, events, sizeof events / sizeof *events);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive_answers(&load, connection);
            send_what_may_go(&load, connection);
        }
        if (wish->requests_per_second > 0)
            for (uint32_t i = 0; i < wish->connections; i++)
                send_what_may_go(&load, &load.connections[i]);
    }
    ret_result->seconds = (double)(measure_now_ns() - load.measure_start_ns) / 1e9;
    ret_result->cpu_seconds = measure_cpu_seconds(wish->pids, wish->pid_count) - load.cpu_start;
    close_connections(&load);
    arena_done(&load.arena);
}

static void receive_all(int socket, uint8_t *bytes, size_t size)
{
    if (recv(socket, bytes, size, MSG_WAITALL) != (ssize_t)size)
        fail("receive an answer");
}

struct slice load_ask(const struct load_place *place, const struct request *request,
                      uint8_t **ret_memory)
{
    int fd = connect_to(place);
    uint8_t head[SIZE_BYTES];
    if (send(fd, request->bytes, request->size, MSG_NOSIGNAL) != (ssize_t)request->size)
        fail("send");
    receive_all(fd, head, sizeof head);
    size_t size = load_be32(head);
    errno = 0;
    if (size > FRAME_BYTES_MAX)
        fail("an answer of %zu bytes", size);
    *ret_memory = memory_of(size + 1);
    receive_all(fd, *ret_memory, size);
    (void)close(fd);
    return slice_from(*ret_memory, size);
}
