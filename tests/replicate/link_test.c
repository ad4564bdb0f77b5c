/* SPDX-License-Identifier: Apache-2.0 */
/* Calls over real connections: their order, and every way they end. */
#include "peer_fixture.h"

#include <cmocka.h>

struct both {
    struct answerer answerer;
    struct asker asker;
};

static void both_start(struct both *both)
{
    answerer_init(&both->answerer);
    answerer_start(&both->answerer);
    asker_init(&both->asker, both->answerer.port);
    asker_start(&both->asker);
}

static void both_stop(struct both *both)
{
    asker_stop(&both->asker);
    answerer_stop(&both->answerer);
}

static enum error stat_outcome(struct both *both, enum call_channel channel)
{
    struct asked asked;
    ask_stat(&both->asker, &asked, channel, 5, 0, 10000);
    return asked_wait(&asked);
}

/* A thousand started together are all answered, each with its own answer, over one connection; on
 * the channel of replicas in their order. */
static void calls_are_answered_in_their_order(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct asked asked[COUNT];
    for (int channel = 0; channel < CALL_CHANNELS; channel++) {
        struct both both;
        both_start(&both);
        for (int i = 0; i < COUNT; i++)
            ask_stat(&both.asker, &asked[i], (enum call_channel)channel, i, 0, 10000);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(asked_wait(&asked[i]), ERROR_NONE);
        for (int i = 1; i < COUNT; i++)
            assert_true(channel != CALL_REPLICA || asked[i].order > asked[i - 1].order);
        assert_int_equal(net_connection_count(both.answerer.net), 1);
        both_stop(&both);
    }
}

/* A channel has a connection of its own: what waits on one holds nothing back on another, and but
 * on the one of replicas not even there. */
static void only_replicas_wait_for_what_is_before_them(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    for (int channel = 0; channel < CALL_CHANNELS; channel++) {
        struct asked waiting;
        struct asked next;
        ask_stat(&both.asker, &waiting, (enum call_channel)channel, 1, 10000, 10000);
        wait_answerer(&both.answerer, answerer_parked, 1);
        ask_stat(&both.asker, &next, (enum call_channel)channel, 2, 0, 10000);
        if (channel == CALL_REPLICA) {
            wait_answerer(&both.answerer, answerer_served, 2 * channel + 2);
            assert_false(atomic_load(&next.over));
        } else {
            assert_int_equal(asked_wait(&next), ERROR_NONE);
        }
        assert_false(atomic_load(&waiting.over));
        answerer_release(&both.answerer);
        assert_int_equal(asked_wait(&waiting), ERROR_NONE);
        if (channel == CALL_REPLICA)
            assert_int_equal(asked_wait(&next), ERROR_NONE);
    }
    assert_int_equal(net_connection_count(both.answerer.net), CALL_CHANNELS);
    both_stop(&both);
}

/* More than a client may have under way: a node's connection takes them. */
static void a_node_may_wait_for_much(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct asked asked[COUNT];
    struct both both;
    both_start(&both);
    for (int i = 0; i < COUNT; i++)
        ask_stat(&both.asker, &asked[i], CALL_READ, i, 10000, 10000);
    wait_answerer(&both.answerer, answerer_parked, COUNT);
    assert_int_equal(stat_outcome(&both, CALL_READ), ERROR_NONE);
    answerer_release(&both.answerer);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(asked_wait(&asked[i]), ERROR_NONE);
    both_stop(&both);
}

/* Nobody answers in time: the connection is taken for dead and made anew; what else was on its way
 * may have been carried out. */
static void a_call_without_an_answer_times_out(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    struct asked slow;
    struct asked other;
    ask_stat(&both.asker, &slow, CALL_REPLICA, 1, 10000, 100);
    ask_stat(&both.asker, &other, CALL_REPLICA, 1, 10000, 10000);
    assert_int_equal(asked_wait(&slow), ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(asked_wait(&other), ERROR_NETWORK);
    wait_at_least(&both.asker.lost_count, 1);
    wait_answerer(&both.answerer, answerer_cancelled, 2);
    assert_int_equal(stat_outcome(&both, CALL_REPLICA), ERROR_NONE);
    both_stop(&both);
}

/* One call times out while others are answered: the connection stays, and the late answer is thrown
 * away. */
static void a_late_answer_is_thrown_away(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    struct asked slow;
    ask_stat(&both.asker, &slow, CALL_READ, 1, 10000, 200);
    wait_answerer(&both.answerer, answerer_parked, 1);
    while (!atomic_load(&slow.over))
        assert_int_equal(stat_outcome(&both, CALL_READ), ERROR_NONE);
    assert_int_equal(asked_wait(&slow), ERROR_REQUEST_TIMED_OUT);
    answerer_release(&both.answerer);
    assert_int_equal(stat_outcome(&both, CALL_READ), ERROR_NONE);
    assert_int_equal(atomic_load(&both.asker.lost_count), 0);
    both_stop(&both);
}

/* A cancelled call ends at once; its connection goes on without it. */
static void a_cancelled_call_ends_at_once(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    struct asked asked;
    ask_stat(&both.asker, &asked, CALL_READ, 1, 10000, 10000);
    wait_answerer(&both.answerer, answerer_parked, 1);
    asked_cancel(&asked);
    asked_cancel(&asked);
    wait_flag(&asked.over);
    asked_cancel(&asked); /* After the end: nothing. */
    assert_int_equal(asked_wait(&asked), ERROR_INTERRUPTED);
    assert_int_equal(stat_outcome(&both, CALL_READ), ERROR_NONE);
    answerer_release(&both.answerer);
    assert_int_equal(stat_outcome(&both, CALL_READ), ERROR_NONE);
    assert_int_equal(atomic_load(&both.asker.lost_count), 0);
    both_stop(&both);
}

/* Cancelled at whatever point it has reached: ends once, as itself or interrupted. */
static void calls_can_be_cancelled_at_any_time(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static struct asked asked[COUNT];
    struct both both;
    both_start(&both);
    int ended[ERROR_COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        ask_stat(&both.asker, &asked[i], (enum call_channel)(i % CALL_CHANNELS), i, 0, 10000);
        if (i >= i % 50)
            asked_cancel(&asked[i - i % 50]);
    }
    for (int i = 0; i < COUNT; i++)
        ended[asked_wait(&asked[i])]++;
    assert_int_equal(ended[ERROR_NONE] + ended[ERROR_INTERRUPTED], COUNT);
    assert_int_equal(stat_outcome(&both, CALL_CONTROL), ERROR_NONE);
    both_stop(&both);
}

/* Nobody listens: certainly not sent, and whoever cares is told that the process is gone. */
static void a_node_that_is_not_there_is_told_at_once(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    answerer_stop(&both.answerer);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stat_outcome(&both, CALL_CONTROL), ERROR_LEADER_NOT_AVAILABLE);
    assert_true(atomic_load(&both.asker.refused_count) > 0);
    answerer_restart(&both.answerer);
    int tries = 0;
    while (stat_outcome(&both, CALL_CONTROL) != ERROR_NONE)
        assert_true(tries++ < 100);
    both_stop(&both);
}

/* The catalog knows no such node, yet. */
static void an_unknown_node_is_not_asked(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    atomic_store(&both.asker.port, 0);
    assert_int_equal(stat_outcome(&both, CALL_CONTROL), ERROR_LEADER_NOT_AVAILABLE);
    atomic_store(&both.asker.port, both.answerer.port);
    assert_int_equal(stat_outcome(&both, CALL_CONTROL), ERROR_NONE);
    both_stop(&both);
}

/* The node dies with calls on their way: they may have been carried out; that it is dead is known
 * without another call; it is found again when it is back. */
static void a_node_that_dies_is_noticed_and_found_again(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    both.answerer.dies = true;
    for (int life = 0; life < 3; life++) {
        struct asked asked[2];
        int refused = atomic_load(&both.asker.refused_count);
        for (int tries = 0; stat_outcome(&both, CALL_PRODUCE) != ERROR_NONE; tries++)
            assert_true(tries < 100);
        ask_stat(&both.asker, &asked[0], CALL_PRODUCE, 1, 10000, 10000);
        ask_stat(&both.asker, &asked[1], CALL_PRODUCE, 2, 10000, 10000);
        wait_answerer(&both.answerer, answerer_parked, 2);
        answerer_stop(&both.answerer);
        assert_int_equal(asked_wait(&asked[0]), ERROR_NETWORK);
        assert_int_equal(asked_wait(&asked[1]), ERROR_NETWORK);
        wait_at_least(&both.asker.refused_count, refused + 1);
        answerer_restart(&both.answerer);
    }
    assert_true(atomic_load(&both.asker.lost_count) >= 3);
    both_stop(&both);
}

/* Attempts come later and later: a dead node is not hammered. */
static void attempts_keep_a_distance(void **state)
{
    (void)state;
    struct both both;
    both_start(&both);
    answerer_stop(&both.answerer);
    struct timespec before;
    struct timespec after;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 6; i++) /* 0, then at least half of 20, 40, 80, 160, 320 ms. */
        assert_int_equal(stat_outcome(&both, CALL_CONTROL), ERROR_LEADER_NOT_AVAILABLE);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t took_ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(took_ms >= 300);
    answerer_restart(&both.answerer);
    both_stop(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_in_their_order),
        cmocka_unit_test(only_replicas_wait_for_what_is_before_them),
        cmocka_unit_test(a_node_may_wait_for_much),
        cmocka_unit_test(a_call_without_an_answer_times_out),
        cmocka_unit_test(a_late_answer_is_thrown_away),
        cmocka_unit_test(a_cancelled_call_ends_at_once),
        cmocka_unit_test(calls_can_be_cancelled_at_any_time),
        cmocka_unit_test(a_node_that_is_not_there_is_told_at_once),
        cmocka_unit_test(an_unknown_node_is_not_asked),
        cmocka_unit_test(a_node_that_dies_is_noticed_and_found_again),
        cmocka_unit_test(attempts_keep_a_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
