/* SPDX-License-Identifier: Apache-2.0 */
/* Listing, names, memory per topic, and the way of a proposal. */
#include "base/memory.h"
#include "catalog_fixture.h"

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>

/* Takes proposals and keeps them until the test lets them through. */
struct held_proposer {
    struct catalog_proposer base;
    struct catalog_proposal *held;
};

static void held_submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    container_of(proposer, struct held_proposer, base)->held = proposal;
}

struct awaited {
    struct catalog_proposal proposal;
    int done;
};

static void awaited_done(struct catalog_proposal *proposal)
{
    container_of(proposal, struct awaited, proposal)->done++;
}

static bool append_name(void *context, const struct catalog_topic *topic)
{
    char *text = context;
    snprintf(text + strlen(text), 100 - strlen(text), "%s ", topic->name);
    return strcmp(topic->name, "c") != 0;
}

/* In byte order, from anywhere, whatever order they were made in. */
static void topics_are_listed_in_name_order(void **state)
{
    struct catalog_fixture *f = *state;
    static const char *const names[] = {"d", "b", "a-1", "c", "a.1", "B"};
    for (uint8_t i = 0; i < 6; i++)
        make_topic(f, names[i], (uint8_t)(i + 1), 1);

    char text[100] = "";
    catalog_topic_each(f->catalog, append_name, text);
    assert_string_equal(text, "B a-1 a.1 b c ");
    assert_string_equal(catalog_topic_next(f->catalog, SLICE_NULL)->name, "B");
    assert_string_equal(catalog_topic_next(f->catalog, SLICE_EMPTY)->name, "B");
    assert_string_equal(catalog_topic_next(f->catalog, slice_of("a"))->name, "a-1");
    assert_string_equal(catalog_topic_next(f->catalog, slice_of("a.1"))->name, "b");
    assert_null(catalog_topic_next(f->catalog, slice_of("d")));
    assert_null(catalog_topic_find(f->catalog, SLICE_EMPTY));
    assert_null(catalog_topic_find(f->catalog, SLICE_NULL));
    assert_null(catalog_topic_find(f->catalog, slice_of("D")));
}

/* A name that would be the same file name in Kafka's metrics is found. */
static void a_colliding_topic_is_found(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "a.b_c", 1, 1);
    assert_string_equal(catalog_topic_colliding(f->catalog, slice_of("a_b.c"))->name, "a.b_c");
    assert_null(catalog_topic_colliding(f->catalog, slice_of("a.b_c")));
    assert_null(catalog_topic_colliding(f->catalog, slice_of("a-b_c")));
    assert_null(catalog_topic_colliding(f->catalog, slice_of("a.b_cd")));
}

/* Topic.validate. */
static void topic_names_follow_kafkas_rules(void **state)
{
    (void)state;
    char longest[TOPIC_NAME_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    assert_true(topic_name_valid(slice_from(longest, TOPIC_NAME_BYTES_MAX)));
    assert_false(topic_name_valid(slice_from(longest, TOPIC_NAME_BYTES_MAX + 1)));
    assert_true(topic_name_valid(slice_of("Orders-1_a.b")));
    assert_true(topic_name_valid(slice_of("...")));
    assert_false(topic_name_valid(slice_of(".")));
    assert_false(topic_name_valid(slice_of("..")));
    assert_false(topic_name_valid(SLICE_EMPTY));
    assert_false(topic_name_valid(SLICE_NULL));
    assert_false(topic_name_valid(slice_of("a/b")));
    assert_false(topic_name_valid(slice_of("a\nb")));
    assert_false(topic_name_valid(slice_of("caf\xc3\xa9")));
    assert_false(topic_name_valid(slice_from("a\0b", 3)));
    assert_true(topic_name_internal(slice_of("__consumer_offsets")));
    assert_false(topic_name_internal(slice_of("__consumer_offset")));
}

/* 10,000 topics of one partition must not take more than a few megabytes. */
static void ten_thousand_partitions_take_little_memory(void **state)
{
    struct catalog_fixture *f = *state;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (uint32_t i = 0; i < 10000; i++) {
        char name[40];
        snprintf(name, sizeof name, "a-topic-of-some-length-%u", i);
        struct catalog_command command = topic_command(name, 1, 4);
        command.assignments += 3; /* One replica. */
        command.assignment_count = 1;
        memcpy(command.topic_id.bytes + 4, &i, sizeof i);
        command.topic_id.bytes[1] = 9;
        assert_int_equal(apply(f, &command).error, ERROR_NONE);
    }
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    print_message("%zu bytes a topic of one partition\n", used / 10000);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(used / 10000 < 512);
#endif
}

/* `done` comes as a task, after submit, with what the proposer said. */
static void a_proposal_is_done_once_and_later(void **state)
{
    struct catalog_fixture *f = *state;
    struct held_proposer proposer = {.base.submit = held_submit};
    struct awaited awaited = {.proposal.done = awaited_done};
    struct catalog_command command = topic_command("orders", 1, 1);
    catalog_set_proposer(f->catalog, &proposer.base);

    catalog_propose(f->catalog, &command, &awaited.proposal);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(awaited.done, 0);
    assert_ptr_equal(proposer.held, &awaited.proposal);
    struct catalog_outcome outcome =
        catalog_apply(f->catalog, ++f->index, 1, awaited.proposal.bytes, awaited.proposal.size);
    catalog_proposal_complete(f->catalog, &awaited.proposal, &outcome);
    assert_int_equal(awaited.done, 0);
    simulated_executor_run_until_idle(f->executor);

    assert_int_equal(awaited.done, 1);
    assert_int_equal(awaited.proposal.outcome.error, ERROR_NONE);
    assert_int_equal(awaited.proposal.outcome.index, f->index);
    assert_non_null(catalog_topic_find(f->catalog, slice_of("orders")));
}

/* Two proposals that set no id are two commands. */
static void a_proposal_gets_an_id_of_its_own(void **state)
{
    struct catalog_fixture *f = *state;
    struct held_proposer proposer = {.base.submit = held_submit};
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1};
    int64_t first[2];
    catalog_set_proposer(f->catalog, &proposer.base);
    for (int i = 0; i < 2; i++) {
        struct awaited awaited = {.proposal.done = awaited_done};
        catalog_propose(f->catalog, &command, &awaited.proposal);
        struct catalog_outcome outcome =
            catalog_apply(f->catalog, ++f->index, 1, awaited.proposal.bytes, awaited.proposal.size);
        first[i] = outcome.producer_id_first;
        catalog_proposal_complete(f->catalog, &awaited.proposal, &outcome);
        simulated_executor_run_until_idle(f->executor);
    }
    assert_int_not_equal(first[0], first[1]);
}

/* Without a proposer, without memory, or with too much to say: an answer all the same. */
static void a_proposal_that_cannot_go_is_answered(void **state)
{
    struct catalog_fixture *f = *state;
    struct held_proposer proposer = {.base.submit = held_submit};
    struct awaited awaited = {.proposal.done = awaited_done};
    struct catalog_command command = topic_command("orders", 1, 1);

    catalog_propose(f->catalog, &command, &awaited.proposal);
    assert_int_equal(awaited.done, 0);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(awaited.proposal.outcome.error, ERROR_NOT_CONTROLLER);
    catalog_set_proposer(f->catalog, &proposer.base);
    memory_fault_arm(0);
    catalog_propose(f->catalog, &command, &awaited.proposal);
    memory_fault_arm(-1);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(awaited.proposal.outcome.error, ERROR_OUT_OF_MEMORY);
    command.assignment_count = CATALOG_COMMAND_PARTITIONS_MAX + 1;
    catalog_propose(f->catalog, &command, &awaited.proposal);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(awaited.proposal.outcome.error, ERROR_TOO_LARGE);
    assert_int_equal(awaited.done, 3);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(topics_are_listed_in_name_order),
        WITH_CATALOG(a_colliding_topic_is_found),
        cmocka_unit_test(topic_names_follow_kafkas_rules),
        WITH_CATALOG(ten_thousand_partitions_take_little_memory),
        WITH_CATALOG(a_proposal_is_done_once_and_later),
        WITH_CATALOG(a_proposal_gets_an_id_of_its_own),
        WITH_CATALOG(a_proposal_that_cannot_go_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
