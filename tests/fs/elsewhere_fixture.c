/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that arrive at the fixture's own handlers. */
#include "elsewhere_fixture.h"

#include "base/memory.h"

#include <cmocka.h>

enum { NEAR_NODE = 7, POLL_MS = 1 };

struct passage {
    struct list link;
    struct elsewhere *elsewhere;
    struct call *call; /* NULL: cancelled. */
    struct timer timer;
    struct timer deadline;
    bool sent;
    struct exchange exchange;
};

static struct executor *executor_of(struct elsewhere *e)
{
    return e->far->broker.executor;
}

static void passage_end(struct passage *passage, enum error error)
{
    struct elsewhere *e = passage->elsewhere;
    struct call *call = passage->call;
    executor_timer_stop(executor_of(e), &passage->deadline);
    if (!passage->sent)
        executor_timer_stop(executor_of(e), &passage->timer);
    passage->call = NULL;
    call->implementation = NULL;
    call_complete(executor_of(e), call, error);
}

static void passage_poll(struct timer *timer)
{
    struct passage *passage = container_of(timer, struct passage, timer);
    struct elsewhere *e = passage->elsewhere;
    if (!passage->sent && e->mode == CALLS_HANG) {
        executor_timer_start(executor_of(e), timer, POLL_MS);
        return;
    }
    if (!passage->sent && e->mode == CALLS_REFUSED) {
        passage_end(passage, ERROR_LEADER_NOT_AVAILABLE);
        return;
    }
    if (!passage->sent) {
        struct call *call = passage->call;
        long countdown = memory_fault_pause(); /* The other node has memory. */
        void *body =
            exchange_begin(e->far, &passage->exchange, (int16_t)call->api->key, call->version);
        memcpy(body, call->body, call->api->request.size);
        passage->exchange.request.requester.peer_node_id = NEAR_NODE;
        passage->sent = true;
        exchange_start(e->far, &passage->exchange);
        memory_fault_resume(countdown);
    }
    if (passage->exchange.done == 0) {
        executor_timer_start(executor_of(e), timer, POLL_MS);
        return;
    }
    long countdown = memory_fault_pause();
    void *answer = exchange_answer(&passage->exchange);
    memory_fault_resume(countdown);
    list_remove(&passage->link);
    list_push(&e->over, &passage->link);
    if (passage->call == NULL)
        return;
    bool is_lost = e->lose_count > 0 && e->losing == (int16_t)passage->call->api->key;
    e->lose_count -= is_lost;
    if (answer == NULL || is_lost || e->mode == CALLS_LOSE_ANSWERS) {
        passage_end(passage, ERROR_NETWORK);
        return;
    }
    passage->call->response = answer;
    countdown = memory_fault_pause();
    passage->call->frame = buffer_new(1);
    memory_fault_resume(countdown);
    assert_non_null(passage->call->frame);
    passage_end(passage, ERROR_NONE);
}

static void passage_late(struct timer *timer)
{
    passage_end(container_of(timer, struct passage, deadline), ERROR_REQUEST_TIMED_OUT);
}

static void start(struct caller *caller, struct call *call)
{
    struct elsewhere *e = container_of(caller, struct elsewhere, caller);
    struct passage *passage = calloc(1, sizeof *passage);
    assert_non_null(passage);
    assert_int_equal(call->node_id, 1);
    e->calls++;
    passage->elsewhere = e;
    passage->call = call;
    passage->timer.fire = passage_poll;
    passage->deadline.fire = passage_late;
    call->implementation = passage;
    list_push(&e->under_way, &passage->link);
    executor_timer_start(executor_of(e), &passage->timer, POLL_MS);
    executor_timer_start(executor_of(e), &passage->deadline, call->timeout_ms);
}

static void cancel(struct caller *caller, struct call *call)
{
    (void)caller;
    if (call->implementation != NULL)
        passage_end(call->implementation, ERROR_INTERRUPTED);
}

static const struct caller_ops ops = {.start = start, .cancel = cancel};

void elsewhere_start(struct elsewhere *e, struct broker_fixture *far, const char *options)
{
    *e = (struct elsewhere){.far = far, .near = *far, .caller = {.ops = &ops}};
    list_init(&e->under_way);
    list_init(&e->over);
    e->near.broker.node_id = NEAR_NODE;
    e->near.broker.caller = &e->caller;
    struct partition_table_options table = {.storage = far->broker.storage,
                                            .executor = far->broker.executor,
                                            .directory = far->directory,
                                            .node_id = NEAR_NODE,
                                            .replica_lag_time_max_ms = 30000,
                                            .retention_check_interval_ms = 300000,
                                            .checkpoint_interval_ms = 60000};
    assert_int_equal(partition_table_new(&table, &e->near.broker.partitions), ERROR_NONE);
    kernel_mount(&e->kernel, &e->near, options);
}

static bool is_quiet(void *context)
{
    struct elsewhere *e = context;
    list_for_each(link, &e->under_way)
    {
        if (container_of(link, struct passage, link)->sent)
            return false;
    }
    return true;
}

static void passages_free(struct list *passages)
{
    for (struct list *link; (link = list_take(passages)) != NULL;) {
        struct passage *passage = container_of(link, struct passage, link);
        if (passage->sent)
            exchange_done(&passage->exchange);
        free(passage);
    }
}

void elsewhere_end(struct elsewhere *e)
{
    kernel_umount(&e->kernel);
    assert_true(simulated_executor_run_until(e->far->executor, is_quiet, e, 100000));
    passages_free(&e->under_way);
    passages_free(&e->over);
    partition_table_stop(e->near.broker.partitions);
    simulated_executor_run_until_idle(e->far->executor);
    (void)partition_table_close(e->near.broker.partitions, false);
}
