/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life: completed once, from a clean stack, when its last part is there. */
#include "handle/broker_fixture.h"

#include <cmocka.h>

struct life {
    struct request request;
    int done;
    int dropped;
    int cancelled;
};

static void life_done(struct request *request)
{
    container_of(request, struct life, request)->done++;
}

static void life_dropped(struct request *request)
{
    container_of(request, struct life, request)->dropped++;
}

static void life_cancelled(struct request *request)
{
    container_of(request, struct life, request)->cancelled++;
    request_complete(request);
}

static void begin(struct broker_fixture *f, struct life *life)
{
    *life = (struct life){.done = 0};
    request_init(&life->request, &f->broker, api_find(API_METADATA), 9);
    life->request.done = life_done;
    life->request.drop_response = life_dropped;
    life->request.cancel = life_cancelled;
}

/* `done` is a task of its own; what nobody took is dropped, once. */
static void done_comes_later_and_once(void **state)
{
    struct broker_fixture *f = *state;
    struct life life;
    begin(f, &life);
    request_complete(&life.request);
    assert_int_equal(life.done, 0);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(life.done, 1);
    request_done(&life.request);
    request_done(&life.request);
    assert_int_equal(life.dropped, 1);
}

/* The door took the answer: it is its own to let go of. */
static void an_answer_taken_is_not_dropped(void **state)
{
    struct broker_fixture *f = *state;
    struct life life;
    begin(f, &life);
    request_end(&life.request, true);
    simulated_executor_run_until_idle(f->executor);
    life.request.response_taken = true;
    request_done(&life.request);
    assert_int_equal(life.dropped, 0);
    assert_false(life.request.close_connection);
}

/* Parts that end on their own complete it together, in whatever order. */
static void the_last_hold_completes_it(void **state)
{
    struct broker_fixture *f = *state;
    struct life life;
    begin(f, &life);
    request_hold(&life.request);
    request_hold(&life.request);
    request_release(&life.request);
    assert_false(life.request.completed);
    request_hold(&life.request);
    request_release(&life.request);
    assert_false(life.request.completed);
    request_release(&life.request);
    assert_true(life.request.completed);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(life.done, 1);
    request_done(&life.request);
}

/* No memory for an answer: the connection is closed. */
static void what_cannot_be_answered_closes_the_connection(void **state)
{
    struct broker_fixture *f = *state;
    struct life life;
    begin(f, &life);
    assert_non_null(request_response(&life.request));
    request_end(&life.request, false);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(life.done, 1);
    assert_true(life.request.close_connection);
    assert_null(life.request.response);
    request_done(&life.request);
}

/* Cancelled while parked: once; afterwards it means nothing. */
static void a_parked_request_is_cancelled_once(void **state)
{
    struct broker_fixture *f = *state;
    struct life life;
    begin(f, &life);
    request_cancel(&life.request);
    request_cancel(&life.request);
    assert_int_equal(life.cancelled, 1);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(life.done, 1);
    request_done(&life.request);
    begin(f, &life);
    request_complete(&life.request);
    request_cancel(&life.request);
    assert_int_equal(life.cancelled, 0);
    simulated_executor_run_until_idle(f->executor);
    request_done(&life.request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(done_comes_later_and_once),
        WITH_BROKER(an_answer_taken_is_not_dropped),
        WITH_BROKER(the_last_hold_completes_it),
        WITH_BROKER(what_cannot_be_answered_closes_the_connection),
        WITH_BROKER(a_parked_request_is_cancelled_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
