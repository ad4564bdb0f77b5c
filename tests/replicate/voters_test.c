/* SPDX-License-Identifier: Apache-2.0 */
/* The next change of the quorum's members, for each way they can differ from what they should be.
 */
#include "replicate/core/voters.h"

#include "replicate/cluster_fixture.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { REPLACE_MS = 300000, NODES = 10 };

struct fixture {
    struct cluster_fixture cluster;
    int32_t self;
    int64_t away_ms[NODES];
    struct quorum_member members[NODES];
    uint32_t count;
    struct quorum_change change;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    cluster_setup(&f->cluster, 1);
    f->self = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cluster_teardown(&f->cluster);
    test_free(f);
    return 0;
}

static int64_t away_ms(void *context, int32_t node_id)
{
    return ((struct fixture *)context)->away_ms[node_id];
}

/* "1v 2s 3-": voter, standby, spare. */
static void members(struct fixture *f, const char *text)
{
    f->count = 0;
    for (; *text != '\0'; text += text[2] == ' ' ? 3 : 2) {
        enum quorum_role role = text[1] == 'v'   ? QUORUM_VOTER
                                : text[1] == 's' ? QUORUM_STANDBY
                                                 : QUORUM_SPARE;
        f->members[f->count++] = (struct quorum_member){text[0] - '0', role};
    }
}

/* "add 4", "voter 3", "" for none. */
static const char *planned(struct fixture *f)
{
    static const char *const words[] = {"add", "standby", "voter", "remove", "transfer"};
    static char text[40];
    struct voters_options options = {.catalog = f->cluster.nodes[0].catalog,
                                     .self = f->self,
                                     .away_ms = away_ms,
                                     .context = f,
                                     .replace_ms = REPLACE_MS};
    text[0] = '\0';
    if (voters_plan(&options, f->members, f->count, &f->change))
        snprintf(text, sizeof text, "%s %d", words[f->change.kind], f->change.node_id);
    return text;
}

static void add_nodes(struct fixture *f, int32_t first, int32_t last)
{
    for (int32_t id = first; id <= last; id++)
        (void)cluster_register(&f->cluster, id, false);
}

static void fence(struct fixture *f, int32_t id, int64_t for_ms)
{
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = true};
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
    f->away_ms[id] = for_ms;
}

static void set_drain(struct fixture *f, int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = id, .draining = true};
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
}

/* Registers `id` at the address of another. */
static void register_at(struct fixture *f, int32_t id, int32_t address_of)
{
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .node = {.id = id, .port = 9092, .fenced = true}};
    snprintf(command.node.host, sizeof command.node.host, "node%d", address_of);
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
}

/* Carries changes out until there is none; how many votes there are on the way never matters to a
 * majority that is alive. */
static void settle(struct fixture *f)
{
    for (int i = 0; planned(f)[0] != '\0'; i++) {
        assert_true(i < 50);
        uint32_t at = 0;
        while (at < f->count && f->members[at].node_id != f->change.node_id)
            at++;
        switch (f->change.kind) {
        case QUORUM_ADD_SPARE:
            assert_int_equal(at, f->count);
            f->members[f->count++] = (struct quorum_member){f->change.node_id, QUORUM_SPARE};
            break;
        case QUORUM_REMOVE:
            f->members[at] = f->members[--f->count];
            break;
        case QUORUM_TRANSFER:
            f->self = f->change.node_id;
            break;
        default:
            f->members[at].role =
                f->change.kind == QUORUM_ASSIGN_VOTER ? QUORUM_VOTER : QUORUM_STANDBY;
        }
    }
}

static uint32_t voter_count(struct fixture *f)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->count; i++)
        count += f->members[i].role == QUORUM_VOTER;
    return count;
}

/* A cluster of one is content; the second follows and does not vote; the third makes three voters.
 */
static void voters_grow_with_the_nodes(void **state)
{
    struct fixture *f = *state;
    static const uint32_t votes[] = {0, 1, 1, 3, 3, 5, 5, 5};
    members(f, "1v");
    for (int32_t id = 1; id <= 7; id++) {
        add_nodes(f, id, id);
        settle(f);
        assert_int_equal(f->count, id);
        assert_int_equal(voter_count(f), votes[id]);
    }
}

/* A new node is added with its address, follows at once, votes when it serves. */
static void a_newcomer_goes_step_by_step(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 2);
    (void)cluster_register(&f->cluster, 3, true);
    members(f, "1v 2s");
    assert_string_equal(planned(f), "add 3");
    assert_string_equal(f->change.host, "node3");
    assert_int_equal(f->change.port, 9092);
    members(f, "1v 2s 3-");
    assert_string_equal(planned(f), "standby 3");
    members(f, "1v 2s 3s");
    assert_string_equal(planned(f), "voter 2");
    members(f, "1v 2v 3s");
    assert_string_equal(planned(f), "");
    add_nodes(f, 3, 3);
    assert_string_equal(planned(f), "voter 3");
}

/* Founders vote before they have registered: nobody takes that from them while they come up. */
static void founders_keep_their_votes(void **state)
{
    struct fixture *f = *state;
    members(f, "1v 2v 3v 4v 5v");
    assert_string_equal(planned(f), "");
    for (int32_t id = 1; id <= 5; id++) {
        add_nodes(f, id, id);
        assert_string_equal(planned(f), "");
    }
    members(f, "1v 2v");
    assert_string_equal(planned(f), "add 3");
}

/* One that never comes up is removed at last; one that was unregistered at once. */
static void an_unregistered_member_is_removed(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 2);
    members(f, "1v 2v 3v");
    f->away_ms[3] = REPLACE_MS - 1;
    assert_string_equal(planned(f), "");
    f->away_ms[3] = REPLACE_MS;
    assert_string_equal(planned(f), "remove 3");
    f->away_ms[3] = INT64_MAX;
    assert_string_equal(planned(f), "remove 3");
}

/* The leader does not remove itself: the next one does. */
static void a_leader_that_is_unregistered_hands_on(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 2, 3);
    members(f, "1v 2v 3v");
    f->away_ms[1] = INT64_MAX;
    assert_string_equal(planned(f), "transfer 2");
    fence(f, 2, 5);
    assert_string_equal(planned(f), "transfer 3");
    fence(f, 3, 5);
    assert_string_equal(planned(f), "");
}

/* A voter away for long gives its vote to a standby, its own first; back, it stays a standby. */
static void a_silent_voter_is_replaced(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 4);
    members(f, "1v 2v 3v 4s");
    fence(f, 2, REPLACE_MS - 1);
    assert_string_equal(planned(f), "");
    f->away_ms[2] = REPLACE_MS;
    assert_string_equal(planned(f), "standby 2");
    members(f, "1v 2s 3v 4s");
    assert_string_equal(planned(f), "voter 4");
    members(f, "1v 2s 3v 4v");
    assert_string_equal(planned(f), "");
}

/* With nobody to take it over, a silent voter keeps its vote. */
static void a_silent_voter_without_a_substitute_stays(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 4);
    members(f, "1v 2v 3v 4s");
    fence(f, 2, REPLACE_MS);
    fence(f, 4, 10);
    assert_string_equal(planned(f), "");
    members(f, "1v 2v 3v");
    f->away_ms[4] = 0;
    assert_string_equal(planned(f), "add 4");
}

/* A draining voter is replaced, the leader after it has handed on. */
static void a_draining_voter_is_replaced(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 4);
    members(f, "1v 2v 3v 4s");
    set_drain(f, 1);
    assert_string_equal(planned(f), "voter 4"); /* One may fail at any time. */
    members(f, "1v 2v 3v 4v");
    assert_string_equal(planned(f), "transfer 2");
    f->self = 2;
    assert_string_equal(planned(f), "standby 1");
    settle(f);
    assert_int_equal(voter_count(f), 3);
    assert_int_equal(f->members[0].role, QUORUM_STANDBY);
}

/* With another voter away the rest might be no majority, and the change never committed. */
static void a_draining_voter_stays_while_another_is_away(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 4);
    members(f, "1v 2v 3v 4s");
    set_drain(f, 3);
    fence(f, 2, REPLACE_MS);
    assert_string_equal(planned(f), "standby 2");
    members(f, "1v 2s 3v 4s"); /* Nor is one voter left alone for a moment. */
    assert_string_equal(planned(f), "voter 4");
    members(f, "1v 2s 3v 4v");
    assert_string_equal(planned(f), "");
}

/* A node whose disk was lost came back as another, at its address: the old one leaves before the
 * new one comes, since no two members may have one address. */
static void a_superseded_member_leaves_first(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 3);
    members(f, "1v 2v 3v");
    fence(f, 2, 10);
    register_at(f, 4, 2);
    assert_int_equal(voters_superseded_by(f->cluster.nodes[0].catalog, 2), -1);
    set_drain(f, 2);
    assert_int_equal(voters_superseded_by(f->cluster.nodes[0].catalog, 2), 4);
    assert_int_equal(voters_superseded_by(f->cluster.nodes[0].catalog, 4), -1);
    assert_string_equal(planned(f), "remove 2");
    members(f, "1v 3v");
    assert_string_equal(planned(f), "add 4");
    members(f, "1v 3v 4-");
    assert_string_equal(planned(f), "standby 4");
    members(f, "1v 3v 4s");
    assert_string_equal(planned(f), "");
    struct catalog_command serves = {.kind = CATALOG_NODE_FENCE, .node_id = 4, .fenced = false};
    assert_int_equal(cluster_apply(&f->cluster, &serves).error, ERROR_NONE);
    assert_string_equal(planned(f), "voter 4");
}

/* Nodes that trade addresses are not taken for dead ones. */
static void a_traded_address_supersedes_nobody(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 3);
    members(f, "1v 2v 3v");
    fence(f, 2, 10);
    register_at(f, 3, 2);
    assert_string_equal(planned(f), "");
}

/* More voters than the nodes left call for: away ones first, never the leader. */
static void surplus_voters_lose_their_vote(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 4);
    members(f, "1v 2v 3v 4v");
    assert_string_equal(planned(f), "standby 4");
    fence(f, 2, 10);
    assert_string_equal(planned(f), "standby 2");
    f->self = 4;
    fence(f, 3, 10);
    members(f, "1v 3v 4v 2v");
    settle(f);
    assert_int_equal(voter_count(f), 3);
}

/* Two founders both vote: with one voter fewer the wrong loss would be the end. */
static void two_voters_stay_two(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 2);
    members(f, "1v 2v");
    assert_string_equal(planned(f), "");
}

/* Votes are spread over racks. */
static void voters_stand_in_different_racks(void **state)
{
    struct fixture *f = *state;
    static const char *const racks[] = {"a", "a", "a", "b", "b"};
    for (int32_t id = 1; id <= 5; id++) {
        struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                          .node = {.id = id, .port = id, .host = "h"}};
        snprintf(command.node.rack, sizeof command.node.rack, "%s", racks[id - 1]);
        assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
    }
    members(f, "1v 2s 3s 4s 5s");
    assert_string_equal(planned(f), "voter 4");
    members(f, "1v 2s 3s 4v 5s");
    assert_string_equal(planned(f), "voter 2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(voters_grow_with_the_nodes),
        TEST(a_newcomer_goes_step_by_step),
        TEST(founders_keep_their_votes),
        TEST(an_unregistered_member_is_removed),
        TEST(a_leader_that_is_unregistered_hands_on),
        TEST(a_silent_voter_is_replaced),
        TEST(a_silent_voter_without_a_substitute_stays),
        TEST(a_draining_voter_is_replaced),
        TEST(a_draining_voter_stays_while_another_is_away),
        TEST(a_superseded_member_leaves_first),
        TEST(a_traded_address_supersedes_nobody),
        TEST(surplus_voters_lose_their_vote),
        TEST(two_voters_stay_two),
        TEST(voters_stand_in_different_racks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
