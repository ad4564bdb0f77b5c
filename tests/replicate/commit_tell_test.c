/* SPDX-License-Identifier: Apache-2.0 */
/* What is committed, told at once: to whom, behind what, and to whom not. */
#include "replicate/engine/state.h"

#include "base/memory.h"

#include <cmocka.h>

enum { SENT_MAX = 8 };

/* An engine of which only what commit_tell looks at is there; member 1 is this node. */
struct fixture {
    struct engine engine;
    struct raft_io io;
    struct raft_server servers[3];
    char address[4];
    struct raft_message sent[SENT_MAX];
    struct raft_io_send *requests[SENT_MAX];
    raft_io_send_cb ended[SENT_MAX];
    unsigned sent_count;
    int refusal;
};

static int note_send(struct raft_io *io, struct raft_io_send *request,
                     const struct raft_message *message, raft_io_send_cb ended)
{
    struct fixture *fixture = io->data;
    if (fixture->refusal != 0)
        return fixture->refusal;
    assert_true(fixture->sent_count < SENT_MAX);
    fixture->sent[fixture->sent_count] = *message;
    fixture->requests[fixture->sent_count] = request;
    fixture->ended[fixture->sent_count++] = ended;
    return 0;
}

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = memory_allocate(sizeof *fixture);
    assert_non_null(fixture);
    for (unsigned i = 0; i < 3; i++)
        fixture->servers[i] = (struct raft_server){.id = i + 1, .address = fixture->address};
    fixture->io.data = fixture;
    fixture->io.send = note_send;
    fixture->engine.io = &fixture->io;
    fixture->engine.guard.io = fixture->io;
    struct raft *raft = &fixture->engine.raft;
    raft->id = 1;
    raft->state = RAFT_LEADER;
    raft->current_term = 4;
    raft->configuration.servers = fixture->servers;
    raft->configuration.n = 3;
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->sent_count; i++)
        fixture->ended[i](fixture->requests[i], 0);
    memory_free(fixture);
}

/* Entries of term 4 behind `previous`, as libraft sends them. */
static void send_entries(struct fixture *fixture, uint64_t id, uint64_t previous, unsigned count,
                         uint64_t commit)
{
    struct raft_entry entries[4] = {{.term = 4}, {.term = 4}, {.term = 4}, {.term = 4}};
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .server_id = id,
        .append_entries = {.version = 1,
                           .term = 4,
                           .prev_log_index = previous,
                           .prev_log_term = 3,
                           .leader_commit = commit,
                           .entries = entries,
                           .n_entries = count},
    };
    assert_true(count <= 4);
    commit_told(&fixture->engine, &message);
}

/* Both members were sent entries up to 12; the commit index reaches 11. */
static void members_that_have_it_are_told_behind_what_they_were_sent(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    send_entries(fixture, 2, 10, 2, 10);
    send_entries(fixture, 3, 10, 2, 10);
    fixture->engine.raft.commit_index = 11;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct raft_append_entries *told = &fixture->sent[i].append_entries;
        assert_int_equal(fixture->sent[i].server_id, i + 2);
        assert_int_equal(told->term, 4);
        assert_int_equal(told->prev_log_index, 12);
        assert_int_equal(told->prev_log_term, 4);
        assert_int_equal(told->leader_commit, 11);
        assert_int_equal(told->n_entries, 0);
        assert_int_equal(told->version, 1);
    }
    commit_tell(&fixture->engine); /* Nothing moved since. */
    assert_int_equal(fixture->sent_count, 2);
    fixture_free(fixture);
}

/* A heartbeat without entries: the term behind it is that of what came before. */
static void a_heartbeat_is_followed_by_its_own_place(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    send_entries(fixture, 2, 12, 0, 10);
    fixture->engine.raft.commit_index = 12;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 1);
    assert_int_equal(fixture->sent[0].append_entries.prev_log_index, 12);
    assert_int_equal(fixture->sent[0].append_entries.prev_log_term, 3);
    fixture_free(fixture);
}

/* One was told with later entries, one lags behind the commit index, one was sent nothing. */
static void who_knows_or_lacks_it_is_left_to_libraft(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    send_entries(fixture, 2, 10, 2, 12);
    send_entries(fixture, 3, 5, 2, 4);
    fixture->engine.raft.commit_index = 12;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 0);
    fixture_free(fixture);
}

/* What was sent in an earlier term is no place to go on from; nor does anybody but a leader tell.
 */
static void nothing_is_told_of_another_term_or_by_a_follower(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    send_entries(fixture, 2, 10, 2, 10);
    fixture->engine.raft.current_term = 5;
    fixture->engine.raft.commit_index = 12;
    commit_tell(&fixture->engine);
    fixture->engine.raft.state = RAFT_FOLLOWER;
    fixture->engine.raft.current_term = 4;
    fixture->engine.raft.commit_index = 13;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 0);
    fixture_free(fixture);
}

/* Without memory for it, or when the io refuses, the next heartbeat tells it. */
static void a_refusal_is_passed_over(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    send_entries(fixture, 2, 10, 2, 10);
    fixture->refusal = RAFT_NOMEM;
    fixture->engine.raft.commit_index = 12;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 0);
    fixture_free(fixture);
}

/* More members than there is room for: those beyond hear it by heartbeats. */
static void members_beyond_the_room_are_passed_over(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    for (uint64_t id = 10; id < 10 + GUARD_TOLD_MAX; id++)
        send_entries(fixture, id, 10, 2, 10);
    send_entries(fixture, 2, 10, 2, 10);
    fixture->engine.raft.commit_index = 12;
    commit_tell(&fixture->engine);
    assert_int_equal(fixture->sent_count, 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_have_it_are_told_behind_what_they_were_sent),
        cmocka_unit_test(a_heartbeat_is_followed_by_its_own_place),
        cmocka_unit_test(who_knows_or_lacks_it_is_left_to_libraft),
        cmocka_unit_test(nothing_is_told_of_another_term_or_by_a_follower),
        cmocka_unit_test(a_refusal_is_passed_over),
        cmocka_unit_test(members_beyond_the_room_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
