/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection: large and many answers, halves of them, and such as no node sends. */
#include "peer_fixture.h"

#include <cmocka.h>
#include <malloc.h>

struct three {
    struct answerer answerer;
    struct asker asker;
    struct wire wire;
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
    asker_stop(&three->asker);
    wire_stop(&three->wire);
    answerer_stop(&three->answerer);
}

static enum error read_outcome(struct three *three, int32_t size)
{
    struct asked asked;
    ask_read(&three->asker, &asked, CALL_CONTROL, size, size);
    return asked_wait(&asked);
}

/* The outcome once a connection is there again. */
static enum error wait_read(struct three *three, int32_t size)
{
    enum error error = ERROR_LEADER_NOT_AVAILABLE;
    for (int i = 0; i < 100 && error == ERROR_LEADER_NOT_AVAILABLE; i++)
        error = read_outcome(three, size);
    return error;
}

/* Bytes of answers that go over the wire before the first answer to a call. */
static long handshake_size(struct three *three)
{
    assert_int_equal(read_outcome(three, 0), ERROR_NONE);
    return atomic_load(&three->wire.answered) - (4 + 4 + 1 + 2 + 8 + 8 + 1 + 1);
}

/* Small after large and large after small, every byte right. */
static void answers_of_all_sizes_are_whole(void **state)
{
    (void)state;
    struct three three;
    three_start(&three);
    static const int32_t sizes[] = {0,         1,       1000,     16365,   16366,   17000,   0,
                                    65516,     65536,   65537,    1 << 20, 1 << 20, 1 << 20, 100,
                                    (1 << 20), 3 << 20, 20 << 20, 0,       1 << 20, 20 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(read_outcome(&three, sizes[i]), ERROR_NONE);
    three_stop(&three);
}

/* Asked for all at once, they come mixed in what the socket gives. */
static void many_answers_at_once_are_whole(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct asked asked[COUNT];
    struct three three;
    three_start(&three);
    for (int i = 0; i < COUNT; i++)
        ask_read(&three.asker, &asked[i], CALL_CONTROL, i, (i * i * 7) % 40000);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(asked_wait(&asked[i]), ERROR_NONE);
    three_stop(&three);
}

/* The connection ends at every byte of an answer: the call may have been carried out, the next one
 * is answered. */
static void half_an_answer_is_none(void **state)
{
    (void)state;
    struct three three;
    three_start(&three);
    long handshake = handshake_size(&three);
    asker_stop(&three.asker);
    for (long at = 0; at < 121; at += 3) {
        asker_init(&three.asker, three.wire.port);
        asker_start(&three.asker);
        atomic_store(&three.wire.at, handshake + at);
        atomic_store(&three.wire.mode, at % 2 == 0 ? WIRE_CUT : WIRE_RESET);
        assert_int_equal(wait_read(&three, 100), ERROR_NETWORK);
        atomic_store(&three.wire.mode, WIRE_FORWARD);
        assert_int_equal(wait_read(&three, 100), ERROR_NONE);
        asker_stop(&three.asker);
    }
    asker_init(&three.asker, three.wire.port);
    asker_start(&three.asker);
    three_stop(&three);
}

/* Sizes no answer has, an answer nobody asked for, one that does not decode. */
static void what_no_node_answers_ends_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        enum error error;
    } evils[] = {
        {"\xff\xff\xff\xff", 4, ERROR_NETWORK},
        {"\x80\0\0\0", 4, ERROR_NETWORK},
        {"\x10\0\0\1", 4, ERROR_NETWORK}, /* One more than the most. */
        {"\0\0\0\0", 4, ERROR_NETWORK},
        {"\0\0\0\3abc", 7, ERROR_NETWORK},
        {"\0\0\0\5\0\0\0\x63\0", 9, ERROR_NETWORK}, /* To call 99. */
        {"\0\0\0\5\0\0\0\1\0", 9, ERROR_MALFORMED}, /* To the first: no body. */
        {"\0\0\0\x1c\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xf", 32,
         ERROR_MALFORMED},
    };
    struct three three;
    three_start(&three);
    long handshake = handshake_size(&three);
    asker_stop(&three.asker);
    for (size_t i = 0; i < sizeof evils / sizeof evils[0]; i++) {
        asker_init(&three.asker, three.wire.port);
        asker_start(&three.asker);
        three.wire.evil = (const uint8_t *)evils[i].bytes;
        three.wire.evil_size = evils[i].size;
        atomic_store(&three.wire.at, handshake);
        atomic_store(&three.wire.mode, WIRE_REPLACE);
        assert_int_equal(read_outcome(&three, 100), evils[i].error);
        atomic_store(&three.wire.mode, WIRE_FORWARD);
        assert_int_equal(wait_read(&three, 100), ERROR_NONE);
        asker_stop(&three.asker);
    }
    asker_init(&three.asker, three.wire.port);
    asker_start(&three.asker);
    three_stop(&three);
}

/* Reliability 5: an answer says it has 200 MiB and sends a little of them: no memory is taken for
 * what has not come. */
static void a_claimed_size_takes_no_memory(void **state)
{
    (void)state;
    struct three three;
    three_start(&three);
    long handshake = handshake_size(&three);
    asker_stop(&three.asker);
    static uint8_t evil[8192] = {0x0c, 0x80, 0, 0, 0, 0, 0, 1};
    three.wire.evil = evil;
    three.wire.evil_size = sizeof evil;
    atomic_store(&three.wire.at, handshake);
    atomic_store(&three.wire.mode, WIRE_REPLACE);
    asker_init(&three.asker, three.wire.port);
    asker_start(&three.asker);
    struct mallinfo2 before = mallinfo2();
    struct asked asked;
    ask_stat(&three.asker, &asked, CALL_CONTROL, 1, 0, 300);
    assert_int_equal(asked_wait(&asked), ERROR_REQUEST_TIMED_OUT);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.arena + after.hblkhd < before.arena + before.hblkhd + (8 << 20));
    three_stop(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_all_sizes_are_whole),
        cmocka_unit_test(many_answers_at_once_are_whole),
        cmocka_unit_test(half_an_answer_is_none),
        cmocka_unit_test(what_no_node_answers_ends_the_connection),
        cmocka_unit_test(a_claimed_size_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
