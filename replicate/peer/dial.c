/* SPDX-License-Identifier: Apache-2.0 */
/* From a host name to a socket that both sides have proved: the asking side of
 * secure/peer_handshake.h.
 *
 *   LOOKUP --> CONNECT --> HELLO --answer--> PROOF --answer--> done
 *                 ^  |       lookup, connect and handshake each in time
 *                 '--' the next address
 *
 * No byte behind the last answer is read: it is the next owner's. */
#include "base/assertion.h"
#include "replicate/peer/hello.h"
#include "replicate/peer/state.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 1500, /* One SYN and its repetition; later ones come too far apart. */
    USER_TIMEOUT_MS = 5000,    /* Bytes not acknowledged so long: the other end is gone. */
    KEEPALIVE_IDLE_S = 5,
    KEEPALIVE_INTERVAL_S = 2,
    KEEPALIVE_COUNT = 3
};

enum dial_state { DIAL_LOOKUP, DIAL_CONNECT, DIAL_HELLO, DIAL_PROOF, DIAL_CLOSED };

/* One attempt at one address; its own block, because libuv lets go of it later. */
struct attempt {
    uv_poll_t poll;
    struct peers *peers;
    struct dial *dial; /* NULL once it is over. */
};

struct dial {
    struct peers *peers;
    enum dial_state state;
    struct dial_options options;
    char host[PEER_HOST_BYTES];
    struct timer deadline;
    struct lookup *lookup; /* LOOKUP */
    struct lookup_result found;
    uint32_t address_next;
    bool refused; /* By every address so far. */
    struct attempt *attempt;
    int descriptor; /* -1: none. */
    struct hello hello;
    uint8_t out[HELLO_FRAME_BYTES_MAX];
    size_t out_size;
    size_t out_sent;
    uint8_t in[HELLO_FRAME_BYTES_MAX];
    size_t in_size;
    char reason[PEER_REASON_BYTES]; /* Of the failure of the last address. */
};

/* ---- ending ---- */

static void attempt_closed(uv_handle_t *handle)
{
    struct attempt *attempt = handle->data;
    struct peers *peers = attempt->peers;
    memory_free(attempt);
    ASSERT(peers->dials > 0);
    peers->dials--;
    peers_check_closed(peers);
}

/* Lets go of the socket, which is closed unless it is kept. */
static void attempt_end(struct dial *dial, bool keep)
{
    if (dial->attempt != NULL) {
        dial->attempt->dial = NULL;
        uv_close((uv_handle_t *)&dial->attempt->poll, attempt_closed);
        dial->attempt = NULL;
    }
    if (dial->descriptor >= 0 && !keep)
        (void)close(dial->descriptor);
    dial->descriptor = -1;
}

static void dial_free(struct dial *dial)
{
    ASSERT(dial->state != DIAL_CLOSED);
    dial->state = DIAL_CLOSED;
    if (dial->lookup != NULL)
        lookup_cancel(dial->lookup);
    attempt_end(dial, false);
    peers_timer_stop(dial->peers, &dial->deadline);
    hello_done(&dial->hello);
    memory_free(dial);
}

void dial_cancel(struct dial *dial)
{
    dial_free(dial);
}

static void dial_fail(struct dial *dial, enum error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void dial_fail(struct dial *dial, enum error error, const char *format, ...)
{
    char reason[PEER_REASON_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    struct dial_options options = dial->options;
    bool refused = dial->refused;
    dial_free(dial);
    options.done(options.context, error, -1, reason, refused);
}

static void dial_succeed(struct dial *dial)
{
    struct dial_options options = dial->options;
    int descriptor = dial->descriptor;
    attempt_end(dial, true);
    dial_free(dial);
    options.done(options.context, ERROR_NONE, descriptor, "", false);
}

static void connect_failed(struct dial *dial, int errno_value);

static void deadline_fired(struct timer *timer)
{
    struct dial *dial = container_of(timer, struct dial, deadline);
    static const char *const waits[] = {
        [DIAL_LOOKUP] = "its name was not found in time",
        [DIAL_HELLO] = "it accepts connections and does not answer",
        [DIAL_PROOF] = "it does not answer the proof of the token",
    };
    if (dial->state == DIAL_CONNECT) {
        connect_failed(dial, ETIMEDOUT);
        return;
    }
    dial->refused = false;
    dial_fail(dial, ERROR_LEADER_NOT_AVAILABLE, "%s", waits[dial->state]);
}

/* ---- the handshake ---- */

static void dial_event(uv_poll_t *poll, int status, int events);

static void dial_wait(struct dial *dial, int events)
{
    if (uv_poll_start(&dial->attempt->poll, events, dial_event) != 0)
        dial_fail(dial, ERROR_OUT_OF_MEMORY, "%s", error_text(ERROR_OUT_OF_MEMORY));
}

static void connection_broke(struct dial *dial)
{
    dial_fail(dial, ERROR_LEADER_NOT_AVAILABLE, "it closed the connection in the handshake");
}

static void dial_send(struct dial *dial)
{
    while (dial->out_sent < dial->out_size) {
        ssize_t sent = send(dial->descriptor, dial->out + dial->out_sent,
                            dial->out_size - dial->out_sent, MSG_NOSIGNAL);
        if (sent >= 0) {
            dial->out_sent += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            dial_wait(dial, UV_WRITABLE);
            return;
        } else if (errno != EINTR) {
            connection_broke(dial);
            return;
        }
    }
    dial_wait(dial, UV_READABLE);
}

static void dial_ask(struct dial *dial, enum dial_state state, enum error encoded)
{
    if (encoded != ERROR_NONE) {
        dial_fail(dial, encoded, "%s", error_text(encoded));
        return;
    }
    dial->state = state;
    dial->out_sent = 0;
    dial->in_size = 0;
    dial_send(dial);
}

static void dial_answered(struct dial *dial, struct slice frame)
{
    char why[PEER_REASON_BYTES];
    bool hello = dial->state == DIAL_HELLO;
    enum error error = hello ? hello_answer(&dial->hello, frame, why, sizeof why)
                             : hello_proof_answer(&dial->hello, frame, why, sizeof why);
    if (error != ERROR_NONE)
        dial_fail(dial, error, "%s", why);
    else if (hello)
        dial_ask(dial, DIAL_PROOF, hello_proof(&dial->hello, dial->out, &dial->out_size));
    else
        dial_succeed(dial);
}

/* How much of the answer is wanted next: its size, then exactly that. 0: it is all here. */
static size_t dial_wants(const struct dial *dial)
{
    if (dial->in_size < 4)
        return 4 - dial->in_size;
    uint32_t size = load_be32(dial->in);
    if (size == 0 || size > sizeof dial->in - 4)
        return SIZE_MAX;
    return 4 + size - dial->in_size;
}

static void dial_receive(struct dial *dial)
{
    for (size_t wanted; (wanted = dial_wants(dial)) != 0;) {
        if (wanted == SIZE_MAX) {
            dial_fail(dial, ERROR_LEADER_NOT_AVAILABLE, "what listens there is no node");
            return;
        }
        ssize_t got = recv(dial->descriptor, dial->in + dial->in_size, wanted, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got <= 0) {
            connection_broke(dial);
            return;
        }
        dial->in_size += (size_t)got;
    }
    dial_answered(dial, slice_from(dial->in + 4, dial->in_size - 4));
}

/* ---- TCP ---- */

static void connect_next(struct dial *dial);

static void options_set(int descriptor)
{
    const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(descriptor, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
}

/* This address is not it. */
static void connect_failed(struct dial *dial, int errno_value)
{
    if (errno_value != ECONNREFUSED)
        dial->refused = false;
    (void)snprintf(dial->reason, sizeof dial->reason, "%s", strerror(errno_value));
    attempt_end(dial, false);
    connect_next(dial);
}

static void connected(struct dial *dial)
{
    int errno_value = 0;
    socklen_t size = sizeof errno_value;
    if (getsockopt(dial->descriptor, SOL_SOCKET, SO_ERROR, &errno_value, &size) != 0)
        errno_value = errno;
    if (errno_value != 0) {
        connect_failed(dial, errno_value);
        return;
    }
    dial->refused = false;
    peers_timer_start(dial->peers, &dial->deadline, dial->peers->options.attempt_timeout_ms);
    dial_ask(dial, DIAL_HELLO, hello_ask(&dial->hello, dial->out, &dial->out_size));
}

static void dial_event(uv_poll_t *poll, int status, int events)
{
    struct attempt *attempt = poll->data;
    struct dial *dial = attempt->dial;
    struct peers *peers = attempt->peers;
    (void)events;
    if (dial->state == DIAL_CONNECT)
        connected(dial);
    else if (status < 0)
        connection_broke(dial);
    else if (dial->out_sent < dial->out_size)
        dial_send(dial);
    else
        dial_receive(dial);
    peers_settle(peers);
}

/* 0, or the errno. */
static int attempt_start(struct dial *dial, const struct sockaddr_storage *address)
{
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    dial->descriptor = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->descriptor < 0)
        return errno;
    options_set(dial->descriptor);
    if (connect(dial->descriptor, (const struct sockaddr *)address, size) != 0 &&
        errno != EINPROGRESS)
        return errno;
    struct attempt *attempt = memory_allocate(sizeof *attempt);
    if (attempt == NULL)
        return ENOMEM;
    if (uv_poll_init(&dial->peers->uv, &attempt->poll, dial->descriptor) != 0) {
        memory_free(attempt);
        return ENOMEM;
    }
    dial->peers->dials++;
    attempt->poll.data = attempt;
    attempt->peers = dial->peers;
    attempt->dial = dial;
    dial->attempt = attempt;
    return 0;
}

static void connect_next(struct dial *dial)
{
    dial->state = DIAL_CONNECT;
    while (dial->address_next < dial->found.count) {
        int errno_value = attempt_start(dial, &dial->found.addresses[dial->address_next++]);
        if (errno_value == 0) {
            int64_t most_ms = dial->peers->options.attempt_timeout_ms;
            peers_timer_start(dial->peers, &dial->deadline,
                              most_ms < CONNECT_TIMEOUT_MS ? most_ms : CONNECT_TIMEOUT_MS);
            dial_wait(dial, UV_WRITABLE);
            return;
        }
        if (errno_value != ECONNREFUSED)
            dial->refused = false;
        (void)snprintf(dial->reason, sizeof dial->reason, "%s", strerror(errno_value));
        attempt_end(dial, false);
    }
    char reason[PEER_REASON_BYTES];
    memcpy(reason, dial->reason, sizeof reason);
    dial_fail(dial, ERROR_LEADER_NOT_AVAILABLE, "%s", reason);
}

/* ---- beginning ---- */

static void found(void *context, const struct lookup_result *result)
{
    struct dial *dial = context;
    dial->lookup = NULL;
    dial->found = *result;
    dial->refused = result->count > 0;
    memcpy(dial->reason, result->reason, sizeof result->reason);
    connect_next(dial);
}

/* The first step, from the loop and not from inside dial_start. */
static void begin_fired(struct timer *timer)
{
    struct dial *dial = container_of(timer, struct dial, deadline);
    struct peers *peers = dial->peers;
    dial->deadline.fire = deadline_fired;
    peers_timer_start(peers, &dial->deadline, peers->options.attempt_timeout_ms);
    struct lookup_result result;
    enum error error = lookup_start(peers->desk, dial->host, dial->options.port, found, dial,
                                    &dial->lookup, &result);
    if (error != ERROR_NONE)
        dial_fail(dial, error, "%s", error_text(error));
    else if (dial->lookup == NULL)
        found(dial, &result);
}

struct dial *dial_start(struct peers *peers, const struct dial_options *options)
{
    struct dial *dial = memory_allocate(sizeof *dial);
    if (dial == NULL)
        return NULL;
    dial->peers = peers;
    dial->options = *options;
    dial->descriptor = -1;
    (void)snprintf(dial->host, sizeof dial->host, "%s", options->host);
    dial->options.host = dial->host;
    struct peer_identity identity = peers_identity(peers);
    hello_init(&dial->hello, peers->options.token, &identity, options->node_id, options->purpose,
               options->address);
    dial->deadline.fire = begin_fired;
    peers_timer_start(peers, &dial->deadline, 0);
    return dial;
}
