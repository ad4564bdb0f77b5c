/* SPDX-License-Identifier: Apache-2.0 */
/* Peers as a whole: closing in every state, and memory that is refused. */
#include "peer_fixture.h"

#include "base/memory.h"

#include <cmocka.h>

struct three {
    struct answerer answerer;
    struct wire wire;
    struct asker asker;
};

static void three_start(struct three *three)
{
    answerer_init(&three->answerer);
    answerer_start(&three->answerer);
    wire_start(&three->wire, three->answerer.port);
    asker_init(&three->asker, three->wire.port);
    asker_start(&three->asker);
}

static void three_stop(struct three *three)
{
    wire_stop(&three->wire);
    answerer_stop(&three->answerer);
}

/* Nothing was ever asked. */
static void peers_without_calls_close(void **state)
{
    (void)state;
    struct asker asker;
    asker_init(&asker, 1);
    asker_start(&asker);
    asker_stop(&asker);
}

/* Calls in the mailbox, in a handshake that stalls, waiting for an attempt, on their way, and one
 * that is being answered: all end once, with CLOSING or what came before it. */
static void closing_ends_every_call(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    for (int stall_at = -1; stall_at < 400; stall_at += 20) {
        struct three three;
        three_start(&three);
        if (stall_at >= 0) {
            atomic_store(&three.wire.at, stall_at);
            atomic_store(&three.wire.mode, WIRE_STALL);
        }
        struct asked asked[COUNT];
        for (int i = 0; i < COUNT; i++)
            ask_stat(&three.asker, &asked[i], (enum call_channel)(i % CALL_CHANNELS), i,
                     i >= COUNT / 2 ? 10000 : 0, 10000);
        if (stall_at < 0)
            wait_answerer(&three.answerer, answerer_parked, COUNT / 2);
        else
            wait_at_least(&three.wire.answered, stall_at > 0 ? 1 : 0);
        asker_stop(&three.asker);
        for (int i = 0; i < COUNT; i++) {
            enum error error = asked_wait(&asked[i]);
            assert_true(error == ERROR_CLOSING || (i < COUNT / 2 && error == ERROR_NONE));
        }
        three_stop(&three);
    }
}

/* Called while closing, at whatever moment: ends with CLOSING. */
static void calls_started_while_closing_end(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    for (int tries = 0; tries < 50; tries++) {
        struct asked asked[COUNT];
        struct asker asker;
        asker_init(&asker, 1);
        asker_start(&asker);
        atomic_store(&asker.closed, false);
        peers_close(asker.peers, asker_closed, &asker);
        for (int i = 0; i < COUNT; i++)
            ask_stat(&asker, &asked[i], CALL_CONTROL, i, 0, 10000);
        for (int i = 0; i < COUNT; i++) {
            enum error error = asked_wait(&asked[i]);
            assert_true(error == ERROR_CLOSING);
        }
        wait_flag(&asker.closed);
        peers_free(asker.peers);
        monitor_free(asker.monitor);
    }
}

/* Every allocation of a connection and a call on either side refused once: the call ends, with an
 * error or its answer, the next one is answered, nothing leaks (ASan). */
static void refused_memory_ends_calls_and_nothing_else(void **state)
{
    (void)state;
    int clean = 0;
    for (long countdown = 0; clean < 3; countdown++) {
        struct three three;
        three_start(&three);
        struct asked asked;
        memory_fault_arm(countdown);
        ask_read(&three.asker, &asked, CALL_CONTROL, 5, 70000);
        (void)asked_wait(&asked);
        if (!memory_fault_fired())
            clean++;
        memory_fault_arm(-1);
        enum error error = ERROR_OUT_OF_MEMORY;
        for (int i = 0; i < 100 && error != ERROR_NONE; i++) {
            ask_read(&three.asker, &asked, CALL_CONTROL, 5, 70000);
            error = asked_wait(&asked);
        }
        assert_int_equal(error, ERROR_NONE);
        asker_stop(&three.asker);
        three_stop(&three);
        assert_true(countdown < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_without_calls_close),
        cmocka_unit_test(closing_ends_every_call),
        cmocka_unit_test(calls_started_while_closing_end),
        cmocka_unit_test(refused_memory_ends_calls_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
