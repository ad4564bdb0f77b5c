/* SPDX-License-Identifier: Apache-2.0 */
/* Refusing each allocation of a handler once. */
#include "handle/memory_sweep.h"

#include "base/memory.h"

#include <cmocka.h>

enum { RUNS_MAX = 5000, ARENA_RUNS_MAX = 300, ANSWER_MS_MAX = 60000 };

static bool is_answered(void *context)
{
    const struct exchange *exchange = context;
    return exchange->done > 0;
}

static void begin(struct broker_fixture *f, const struct swept *swept, struct exchange *exchange)
{
    void *body = exchange_begin(f, exchange, (int16_t)swept->key, swept->version);
    exchange->request.requester.client_id = slice_of("client");
    exchange->request.requester.client_host = slice_of("/127.0.0.1");
    swept->fill(f, &exchange->arena, body);
    exchange_encode(exchange);
}

/* From here to the answer memory may be refused. */
static void run(struct broker_fixture *f, const struct swept *swept, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (swept->by_both_steps) {
        struct codec_context context;
        codec_context_init(&context);
        if (handle_admit(request))
            handle_prepare(request, &context);
        codec_context_done(&context);
    }
    handle_start(request);
    assert_true(simulated_executor_run_until(f->executor, is_answered, exchange, ANSWER_MS_MAX));
    assert_int_equal(exchange->done, 1);
}

/* Without memory: an error or no answer, unless it is the very one that it is with memory. */
static void judge(const struct swept *swept, const char *what, size_t at, struct exchange *exchange,
                  struct slice expected)
{
    const void *answer = exchange_answer(exchange);
    if (answer == NULL) {
        assert_true(exchange->request.close_connection);
        return;
    }
    if (swept->error(answer) == 0 && !slice_equals(exchange->answer_bytes, expected))
        fail_msg("%s %zu: the answer is another without saying why", what, at);
}

static void again(struct broker_fixture *f, const struct swept *swept)
{
    struct exchange exchange;
    begin(f, swept, &exchange);
    run(f, swept, &exchange);
    assert_non_null(exchange_answer(&exchange));
    assert_false(exchange.request.close_connection);
    exchange_done(&exchange);
}

static struct broker_fixture *broker_new(const struct swept *swept)
{
    void *state;
    assert_int_equal(broker_fixture_setup(&state), 0);
    if (swept->prepare != NULL)
        swept->prepare(state);
    return state;
}

static void broker_free(struct broker_fixture *f)
{
    void *state = f;
    assert_int_equal(broker_fixture_teardown(&state), 0);
}

/* The answer with memory, in the arena; how much of its own arena the request takes. */
static struct slice answer_with_memory(const struct swept *swept, struct arena *arena,
                                       size_t *ret_used_bytes)
{
    struct exchange exchange;
    struct broker_fixture *f = broker_new(swept);
    begin(f, swept, &exchange);
    run(f, swept, &exchange);
    assert_non_null(exchange_answer(&exchange));
    assert_int_equal(swept->error(exchange.answer), 0);
    struct slice answer = arena_copy(arena, exchange.answer_bytes);
    *ret_used_bytes = exchange.request.arena.used_bytes;
    exchange_done(&exchange);
    broker_free(f);
    return answer;
}

/* True while there was something to refuse. */
static bool refuse_allocation(const struct swept *swept, long countdown, struct slice expected)
{
    struct exchange exchange;
    struct broker_fixture *f = broker_new(swept);
    begin(f, swept, &exchange);
    memory_fault_arm(countdown);
    run(f, swept, &exchange);
    bool fired = memory_fault_fired() != 0;
    memory_fault_arm(-1);
    judge(swept, "allocation", (size_t)countdown, &exchange, expected);
    exchange_done(&exchange);
    if (fired)
        again(f, swept);
    broker_free(f);
    return fired;
}

static void limit_arena(const struct swept *swept, size_t limit_bytes, struct slice expected)
{
    struct exchange exchange;
    struct broker_fixture *f = broker_new(swept);
    begin(f, swept, &exchange);
    exchange.request.arena.limit_bytes = limit_bytes;
    run(f, swept, &exchange);
    judge(swept, "arena of bytes", limit_bytes, &exchange, expected);
    exchange_done(&exchange);
    again(f, swept);
    broker_free(f);
}

void sweep_handler(const struct swept *swept)
{
    struct arena arena;
    size_t used_bytes;
    long refused = 0;
    arena_init(&arena, 1 << 20);
    struct slice answer = answer_with_memory(swept, &arena, &used_bytes);
    while (refuse_allocation(swept, refused, answer)) {
        refused++;
        assert_true(refused < RUNS_MAX);
    }
    assert_true(refused > 0);
    size_t step = used_bytes / ARENA_RUNS_MAX / 16 * 16 + 16;
    for (size_t limit = 0; limit < used_bytes; limit += step)
        limit_arena(swept, limit, answer);
    arena_done(&arena);
}
