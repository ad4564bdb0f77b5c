/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's thread, its mailbox, and the order in which work is settled. */
#include "net/loop.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "net/accept.h"
#include "net/connection.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SWEEP_MIN_MS = 20, SWEEP_MAX_MS = 10000 };

int64_t loop_now_ms(const struct io_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

/* ---- what is reused ---- */

struct buffer *loop_buffer_take(struct io_loop *loop, size_t capacity)
{
    loop->idle_sweeps = 0;
    for (int i = 0; i < LOOP_SPARE_BUFFERS; i++) {
        struct buffer *buffer = loop->spare_buffers[i];
        if (buffer == NULL || buffer->capacity < capacity || buffer->capacity / 4 > capacity)
            continue;
        loop->spare_buffers[i] = NULL;
        buffer->size = 0;
        return buffer;
    }
    return buffer_new(capacity);
}

void loop_buffer_drop(struct io_loop *loop, struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    /* With one reference it is ours alone, and nobody can take another. */
    bool last = atomic_load_explicit(&buffer->references, memory_order_acquire) == 1;
    if (last && buffer->capacity >= LOOP_SPARE_BUFFER_BYTES_MIN &&
        buffer->capacity <= LOOP_SPARE_BUFFER_BYTES_MAX) {
        for (int i = 0; i < LOOP_SPARE_BUFFERS; i++) {
            if (loop->spare_buffers[i] == NULL) {
                loop->spare_buffers[i] = buffer;
                return;
            }
        }
    }
    buffer_unref(buffer);
}

static void spare_buffers_free(struct io_loop *loop)
{
    for (int i = 0; i < LOOP_SPARE_BUFFERS; i++) {
        buffer_unref(loop->spare_buffers[i]);
        loop->spare_buffers[i] = NULL;
    }
}

struct exchange *loop_exchange_take(struct io_loop *loop)
{
    struct list *link = list_take(&loop->spare_exchanges);
    struct exchange *exchange;
    if (link != NULL) {
        loop->spare_exchange_count--;
        exchange = container_of(link, struct exchange, link);
    } else {
        exchange = memory_allocate(sizeof *exchange);
        if (exchange == NULL)
            return NULL;
    }
    struct arena arena = exchange->request.arena;
    *exchange = (struct exchange){.loop = loop, .state = EXCHANGE_WAITING};
    exchange->request.arena = arena;
    list_init(&exchange->link);
    list_init(&exchange->step);
    return exchange;
}

void loop_exchange_give(struct io_loop *loop, struct exchange *exchange)
{
    if (loop->spare_exchange_count < LOOP_SPARE_EXCHANGES) {
        list_push(&loop->spare_exchanges, &exchange->link);
        loop->spare_exchange_count++;
        return;
    }
    arena_done(&exchange->request.arena);
    memory_free(exchange);
}

static void spare_exchanges_free(struct io_loop *loop)
{
    for (struct list *link; (link = list_take(&loop->spare_exchanges)) != NULL;) {
        struct exchange *exchange = container_of(link, struct exchange, link);
        arena_done(&exchange->request.arena);
        memory_free(exchange);
    }
    loop->spare_exchange_count = 0;
}

/* ---- mailbox ---- */

/* Call with the mutex held. */
static void mailbox_signal(struct io_loop *loop)
{
    if (loop->signalled || loop->handles_closed)
        return;
    loop->signalled = true;
    (void)uv_async_send(&loop->wake);
}

void loop_post_accepted(struct io_loop *loop, struct accepted *accepted)
{
    (void)pthread_mutex_lock(&loop->mutex);
    list_push(&loop->accepted, &accepted->link);
    mailbox_signal(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
}

void loop_post_closing(struct io_loop *loop)
{
    (void)pthread_mutex_lock(&loop->mutex);
    loop->closing_asked = true;
    mailbox_signal(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
}

void loop_post_accept(struct io_loop *loop)
{
    (void)pthread_mutex_lock(&loop->mutex);
    loop->accept_asked = true;
    mailbox_signal(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
}

void loop_exchange_done(struct io_loop *loop, struct exchange *exchange)
{
    if (pthread_equal(pthread_self(), loop->self)) {
        list_push(&loop->done, &exchange->step);
        return;
    }
    (void)pthread_mutex_lock(&loop->mutex);
    list_push(&loop->posted, &exchange->step);
    mailbox_signal(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
}

/* ---- settling ---- */

void loop_exchange_add(struct io_loop *loop, struct exchange *exchange)
{
    list_push(&loop->starting, &exchange->step);
    loop->starting_bytes += exchange->frame_bytes;
}

/* For all that were read together: one stay in the monitor to learn what their checks need, the
 * checks outside it, one stay to start them. */
static void start_all(struct io_loop *loop)
{
    struct list starting;
    list_move(&loop->starting, &starting);
    loop->starting_bytes = 0;
    monitor_enter(loop->net->monitor);
    list_for_each(link, &starting) exchange_admit(container_of(link, struct exchange, step));
    monitor_leave(loop->net->monitor);
    list_for_each(link, &starting) exchange_prepare(container_of(link, struct exchange, step));
    monitor_enter(loop->net->monitor);
    for (struct list *link; (link = list_take(&starting)) != NULL;)
        exchange_start(container_of(link, struct exchange, step));
    monitor_leave(loop->net->monitor);
}

static void exchange_settle(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    enum error error = exchange_answer(exchange);
    bool closes = exchange->closes;
    bool knocked = exchange->knocked;
    connection_answered(connection, exchange, error);
    if (knocked)
        connection_door_moved(connection);
    if (closes)
        connection_finish(connection);
    connection_release(connection);
}

void loop_settle(struct io_loop *loop)
{
    if (loop->settling)
        return;
    loop->settling = true;
    for (;;) {
        struct list *link;
        if (!list_empty(&loop->starting))
            start_all(loop);
        else if ((link = list_take(&loop->done)) != NULL)
            exchange_settle(container_of(link, struct exchange, step));
        else if ((link = list_take(&loop->flushing)) != NULL)
            connection_flush(container_of(link, struct connection, flush));
        else
            break;
    }
    loop->settling = false;
}

/* ---- deadlines ---- */

static void sweep_fired(uv_timer_t *timer)
{
    struct io_loop *loop = timer->data;
    int64_t now_ms = loop_now_ms(loop);
    list_for_each_safe(link, &loop->connections)
        connection_check_deadlines(container_of(link, struct connection, link), now_ms);
    loop_settle(loop);
    if (loop->idle_sweeps++ > 0)
        spare_buffers_free(loop);
    codec_context_trim(&loop->codecs);
}

static uint64_t sweep_interval_ms(const struct net_limits *limits)
{
    int64_t shortest_ms = limits->receive_timeout_ms < limits->send_timeout_ms
                              ? limits->receive_timeout_ms
                              : limits->send_timeout_ms;
    if (limits->idle_ms >= 0 && limits->idle_ms < shortest_ms)
        shortest_ms = limits->idle_ms;
    int64_t interval_ms = shortest_ms / 4;
    if (interval_ms < SWEEP_MIN_MS)
        interval_ms = SWEEP_MIN_MS;
    return (uint64_t)(interval_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : interval_ms);
}

void loop_connection_added(struct io_loop *loop, struct connection *connection)
{
    list_push(&loop->connections, &connection->link);
    loop->connection_count++;
    if (!uv_is_active((uv_handle_t *)&loop->sweep)) {
        uint64_t interval_ms = sweep_interval_ms(&loop->net->limits);
        (void)uv_timer_start(&loop->sweep, sweep_fired, interval_ms, interval_ms);
    }
}

/* ---- closing ---- */

static void handles_close(struct io_loop *loop)
{
    if (loop->handles_closed)
        return;
    (void)pthread_mutex_lock(&loop->mutex);
    loop->handles_closed = true;
    (void)pthread_mutex_unlock(&loop->mutex);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
    uv_close((uv_handle_t *)&loop->drain, NULL);
    uv_close((uv_handle_t *)&loop->accept_retry, NULL);
}

void loop_connection_gone(struct io_loop *loop)
{
    ASSERT(loop->connection_count > 0);
    loop->connection_count--;
    (void)atomic_fetch_sub(&loop->net->connection_count, 1);
    if (loop->connection_count > 0)
        return;
    (void)uv_timer_stop(&loop->sweep);
    spare_buffers_free(loop);
    spare_exchanges_free(loop);
    if (loop->closing)
        handles_close(loop);
}

static void drain_fired(uv_timer_t *timer)
{
    struct io_loop *loop = timer->data;
    list_for_each_safe(link, &loop->connections)
        connection_close(container_of(link, struct connection, link));
    loop_settle(loop);
}

static void loop_begin_closing(struct io_loop *loop)
{
    if (loop->closing)
        return;
    loop->closing = true;
    if (loop->index == 0) {
        /* The others close after the last socket that was dealt out to them. */
        accept_stop(loop->net);
        for (uint32_t i = 1; i < loop->net->loop_count; i++)
            loop_post_closing(&loop->net->loops[i]);
    }
    if (loop->connection_count == 0) {
        handles_close(loop);
        return;
    }
    (void)uv_timer_start(&loop->drain, drain_fired, (uint64_t)loop->net->grace_ms, 0);
    list_for_each_safe(link, &loop->connections)
    {
        struct connection *connection = container_of(link, struct connection, link);
        connection_finish(connection);
        connection_cancel(connection, false);
    }
    loop_settle(loop);
}

static void mailbox_arrived(uv_async_t *wake)
{
    struct io_loop *loop = wake->data;
    struct list accepted;
    struct list posted;
    (void)pthread_mutex_lock(&loop->mutex);
    loop->signalled = false;
    list_move(&loop->accepted, &accepted);
    list_move(&loop->posted, &posted);
    bool closing = loop->closing_asked;
    bool accept = loop->accept_asked;
    loop->accept_asked = false;
    (void)pthread_mutex_unlock(&loop->mutex);

    for (struct list *link; (link = list_take(&posted)) != NULL;)
        list_push(&loop->done, link);
    for (struct list *link; (link = list_take(&accepted)) != NULL;) {
        struct accepted *one = container_of(link, struct accepted, link);
        if (closing)
            accepted_refuse(one);
        else
            connection_open(loop, one);
    }
    loop_settle(loop);
    if (accept && !closing)
        accept_resume(loop->net);
    if (closing)
        loop_begin_closing(loop);
}

/* ---- life ---- */

enum error loop_init(struct io_loop *loop, struct net *net, uint32_t index)
{
    loop->net = net;
    loop->index = index;
    list_init(&loop->accepted);
    list_init(&loop->posted);
    list_init(&loop->connections);
    list_init(&loop->trials);
    list_init(&loop->starting);
    list_init(&loop->done);
    list_init(&loop->flushing);
    list_init(&loop->spare_exchanges);
    codec_context_init(&loop->codecs);
    loop->scratch = memory_allocate_raw(LOOP_SCRATCH_BYTES);
    if (loop->scratch == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (uv_loop_init(&loop->uv) != 0)
        goto failed_loop;
    if (uv_async_init(&loop->uv, &loop->wake, mailbox_arrived) != 0)
        goto failed_async;
    loop->wake.data = loop;
    uv_timer_t *timers[] = {&loop->sweep, &loop->drain, &loop->accept_retry};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        (void)uv_timer_init(&loop->uv, timers[i]);
        timers[i]->data = loop;
    }
    (void)pthread_mutex_init(&loop->mutex, NULL);
    loop->ready = true;
    return ERROR_NONE;

failed_async:
    (void)uv_loop_close(&loop->uv);
failed_loop:
    memory_free(loop->scratch);
    loop->scratch = NULL;
    return ERROR_OUT_OF_MEMORY;
}

static void *loop_thread(void *argument)
{
    struct io_loop *loop = argument;
    loop->self = pthread_self();
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    struct net *net = loop->net;
    ASSERT(loop->handles_closed);
    if (atomic_fetch_sub(&net->loops_running, 1) == 1)
        net->closed(net->closed_context);
    return NULL;
}

enum error loop_start(struct io_loop *loop, struct failure *failure)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, LOOP_THREAD_STACK_BYTES);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = pthread_create(&loop->thread, &attributes, loop_thread, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (refused == 0) {
        char name[16];
        (void)snprintf(name, sizeof name, "io-%u", loop->index);
        (void)pthread_setname_np(loop->thread, name);
    }
    if (refused != 0)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "start an io thread: %s",
                          strerror(refused));
    loop->started = true;
    return ERROR_NONE;
}

void loop_done(struct io_loop *loop)
{
    if (!loop->ready)
        return;
    if (loop->started) {
        (void)pthread_join(loop->thread, NULL);
    } else {
        if (loop->index == 0)
            accept_stop(loop->net);
        handles_close(loop);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    int busy = uv_loop_close(&loop->uv);
    ASSERT(busy == 0);
    spare_buffers_free(loop);
    spare_exchanges_free(loop);
    codec_context_done(&loop->codecs);
    (void)pthread_mutex_destroy(&loop->mutex);
    memory_free(loop->scratch);
    loop->ready = false;
}
