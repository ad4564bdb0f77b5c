/* SPDX-License-Identifier: Apache-2.0 */
/* Who is proposed for the ISR, and when. */
#include "partition_fixture.h"

#include <cmocka.h>

enum { LAG_MS = 30000 };

static struct partition *lead(struct partition_fixture *f, const char *isr)
{
    struct partition_assignment assignment = fixture_assignment(0, 5, 10, isr);
    return fixture_take(f, &assignment);
}

static void append(struct partition_fixture *f, struct partition *partition, int32_t count)
{
    struct fixture_append append;
    fixture_append_start(partition, &append, count, 1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(append.append.error, ERROR_NONE);
    fixture_append_done(&append);
}

static void apply(struct partition_fixture *f, int32_t partition_epoch, const char *isr)
{
    struct partition_assignment assignment = fixture_assignment(0, 5, partition_epoch, isr);
    fixture_expect_isr(f, isr);
    (void)fixture_take(f, &assignment);
    fixture_isr_ended(f, ERROR_NONE);
}

/* A member that gets nothing for replica.lag.time.max.ms leaves; the record it held up is then
 * committed, not before. */
static void a_member_that_lags_is_taken_out_and_frees_what_waited(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "012");
    struct fixture_append waits;
    fixture_append_start(partition, &waits, 1, -1, 10 * LAG_MS);
    fixture_run(f);
    fixture_progress(f, partition, 1, 1, 1);
    simulated_executor_run_for(f->events, LAG_MS / 2);
    fixture_expect_isr(f, NULL);

    simulated_executor_run_for(f->events, LAG_MS);
    fixture_expect_isr(f, "01");
    assert_int_equal(waits.done, 0);
    apply(f, 11, "01");
    fixture_run(f);

    assert_int_equal(waits.append.error, ERROR_NONE);
    fixture_append_done(&waits);
}

/* A member that is always a little behind a busy leader stays. */
static void a_member_that_follows_a_busy_leader_stays(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    for (int i = 0; i < 100; i++) {
        append(f, partition, 10);
        simulated_executor_run_for(f->events, 1000);
        fixture_progress(f, partition, 1, 10 * i, 10 * i);
        fixture_expect_isr(f, NULL);
    }
}

/* Another partition of the topic changes, and the node is told of this one as it was: what it has
 * proposed may still be applied, so that who joins counts on (invariant 5). */
static void a_joining_member_counts_when_the_same_assignment_comes_again(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "02");
    fixture_progress(f, partition, 2, 0, 0);
    fixture_progress(f, partition, 1, 0, 0);
    fixture_expect_isr(f, "012");

    struct partition_assignment again = fixture_assignment(0, 5, 10, "02");
    (void)fixture_take(f, &again);
    simulated_executor_run_for(f->events, 2 * LAG_MS); /* It is not only waited for. */
    append(f, partition, 10);
    fixture_progress(f, partition, 2, 10, 10);

    assert_int_equal(fixture_high_watermark(partition), 0);
    apply(f, 11, "012");
    fixture_progress(f, partition, 1, 10, 10);
    assert_int_equal(fixture_high_watermark(partition), 10);
}

/* One without traffic stays, however long nobody hears of it: it has all there is. */
static void a_member_of_a_partition_at_rest_stays(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);

    simulated_executor_run_for(f->events, 10 * LAG_MS);

    fixture_expect_isr(f, NULL);
}

/* One joins at the high watermark, with its vote: neither below it nor unsynced. */
static void a_follower_joins_once_its_vote_is_at_the_high_watermark(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    assert_int_equal(fixture_high_watermark(partition), 10);
    fixture_progress(f, partition, 2, 4, 4);
    fixture_expect_isr(f, NULL);
    fixture_progress(f, partition, 2, 10, 4);
    fixture_expect_isr(f, NULL);

    fixture_progress(f, partition, 2, 10, 10);

    apply(f, 11, "02");
    fixture_expect_isr(f, NULL);
}

/* The high watermark may be old in a new epoch: a follower must also have what the leader had when
 * it was elected (Kafka: isFollowerInSync). */
static void a_follower_joins_only_from_where_the_epoch_begins(void **state)
{
    struct partition_fixture *f = *state;
    f->config.min_insync_replicas = 2;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    struct partition_assignment again = fixture_assignment(0, 6, 11, "0");
    (void)fixture_take(f, &again);
    assert_int_equal(fixture_high_watermark(partition), 0);
    assert_int_equal(partition_epoch_start(partition), 10);

    fixture_progress(f, partition, 1, 5, 5);
    fixture_expect_isr(f, NULL);
    fixture_progress(f, partition, 1, 10, 10);

    fixture_expect_isr(f, "01");
}

/* KAFKA-19996: under min.insync.replicas the high watermark rests, and one that is at it but far
 * from the end would join only to be taken out again. */
static void a_follower_at_a_resting_high_watermark_must_keep_up_to_join(void **state)
{
    struct partition_fixture *f = *state;
    f->config.min_insync_replicas = 2;
    struct partition *partition = lead(f, "0");
    append(f, partition, 100);

    fixture_progress(f, partition, 1, 10, 10);
    fixture_expect_isr(f, NULL);
    simulated_executor_run_for(f->events, 10);
    fixture_progress(f, partition, 1, 100, 100);

    fixture_expect_isr(f, "01");
}

/* KAFKA-13916: a fenced node is not proposed; once it may, nobody has to ask again. */
static void a_fenced_follower_joins_as_soon_as_it_may(void **state)
{
    struct partition_fixture *f = *state;
    f->quorum.may_not_join[1] = true;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);
    fixture_expect_isr(f, NULL);
    append(f, partition, 1);
    assert_int_equal(fixture_high_watermark(partition), 11); /* KAFKA-15021: nobody waits for it. */
    fixture_progress(f, partition, 1, 11, 11);

    f->quorum.may_not_join[1] = false;
    simulated_executor_run_for(f->events, 1000);

    fixture_expect_isr(f, "01");
}

/* KIP-903: what reported was another life of the node. */
static void a_follower_that_registered_anew_joins_only_by_its_new_votes(void **state)
{
    struct partition_fixture *f = *state;
    f->quorum.may_not_join[1] = true;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);
    f->quorum.epochs[1] = 300;
    f->quorum.may_not_join[1] = false;
    simulated_executor_run_for(f->events, 1000);
    fixture_expect_isr(f, NULL);

    fixture_progress(f, partition, 1, 0, 0);
    fixture_expect_isr(f, NULL);
    fixture_progress(f, partition, 1, 10, 10);

    fixture_expect_isr(f, "01");
}

/* It reports sooner than this node applies its registration, and does not report again: an
 * assignment that is applied between the two must not forget what it said. */
static void a_follower_of_a_registration_not_applied_yet_is_not_forgotten(void **state)
{
    struct partition_fixture *f = *state;
    f->quorum.may_not_join[1] = true;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    f->quorum.epochs[1] = 300;
    fixture_progress(f, partition, 1, 10, 10);
    f->quorum.epochs[1] = 101;
    struct partition_assignment again = fixture_assignment(0, partition_leader_epoch(partition),
                                                           partition_epoch(partition) + 1, "0");
    (void)fixture_take(f, &again);
    fixture_expect_isr(f, NULL);

    f->quorum.epochs[1] = 300;
    f->quorum.may_not_join[1] = false;
    simulated_executor_run_for(f->events, 1000);

    fixture_expect_isr(f, "01");
}

/* Under load the high watermark waits for one that keeps up and may join, else it never could. */
static void the_high_watermark_waits_for_one_about_to_join(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = lead(f, "0");
    for (int i = 1; i < 20 && f->quorum.partition == NULL; i++) {
        append(f, partition, 10);
        simulated_executor_run_for(f->events, 1);
        fixture_progress(f, partition, 1, 10 * i - 5, 0);
    }
    fixture_expect_isr(f, "01");
}

/* A member that lost what was committed is out of sync, whatever its last vote. */
static void a_member_that_lost_committed_records_is_taken_out_at_once(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "012");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);
    fixture_progress(f, partition, 2, 10, 10);
    assert_int_equal(fixture_high_watermark(partition), 10);

    fixture_progress(f, partition, 2, 3, 3);

    fixture_expect_isr(f, "01");
}

/* A refused change is tried again, less and less often; a newer partition epoch makes it moot. */
static void a_refused_change_is_tried_again(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);
    for (uint32_t i = 1; i < 10; i++) {
        assert_int_equal(f->quorum.proposals, i);
        fixture_isr_ended(f, ERROR_NOT_CONTROLLER);
        simulated_executor_run_for(f->events, 1100);
    }
    apply(f, 11, "01");

    simulated_executor_run_for(f->events, LAG_MS);

    assert_int_equal(f->quorum.proposals, 10);
}

/* Without memory to propose nothing is under way, and it is tried again. */
static void a_change_without_memory_is_tried_again(void **state)
{
    struct partition_fixture *f = *state;
    f->quorum.out_of_memory = true;
    struct partition *partition = lead(f, "0");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 10, 10);
    fixture_expect_isr(f, NULL);

    f->quorum.out_of_memory = false;
    simulated_executor_run_for(f->events, 1000);

    fixture_expect_isr(f, "01");
}

/* After an unclean election the leader says that it has recovered, alone if need be. */
static void a_recovering_leader_ends_that(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment unclean = fixture_assignment(0, 5, 10, "0");
    unclean.recovering = true;

    (void)fixture_take(f, &unclean);

    apply(f, 11, "0");
    fixture_expect_isr(f, NULL);
}

/* A leader whose disk fails proposes that one of the others leads, and nobody else comes in. */
static void a_leader_whose_sync_failed_gives_its_place(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "02");
    struct fixture_append refused;
    const struct simulated_fault fault = {.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
    fixture_append_start(partition, &refused, 1, -1, FIXTURE_WAIT_MS);
    simulated_storage_fail(f->disk, &fault);
    fixture_run(f);
    simulated_storage_fail_end(f->disk);
    assert_int_equal(refused.append.error, ERROR_STORAGE);
    fixture_expect_isr(f, "2");
    struct partition_assignment other = fixture_assignment(2, 6, 11, "2");
    (void)fixture_take(f, &other);
    fixture_isr_ended(f, ERROR_NONE);
    assert_int_equal(partition_role(partition), PARTITION_FOLLOWER);
    fixture_append_done(&refused);
}

/* A node that stood still itself takes nobody out for it. */
static void a_leader_that_stood_still_forgives(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    append(f, partition, 10);
    fixture_progress(f, partition, 1, 9, 9);

    simulated_executor_clock(f->events)->now_ns += INT64_C(1000000) * 20 * LAG_MS;
    simulated_executor_run_for(f->events, 1000);

    fixture_expect_isr(f, NULL);
}

#define ISR_TEST(name)                                                                             \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ISR_TEST(a_member_that_lags_is_taken_out_and_frees_what_waited),
        ISR_TEST(a_member_that_follows_a_busy_leader_stays),
        ISR_TEST(a_joining_member_counts_when_the_same_assignment_comes_again),
        ISR_TEST(a_member_of_a_partition_at_rest_stays),
        ISR_TEST(a_follower_joins_once_its_vote_is_at_the_high_watermark),
        ISR_TEST(a_follower_joins_only_from_where_the_epoch_begins),
        ISR_TEST(a_follower_at_a_resting_high_watermark_must_keep_up_to_join),
        ISR_TEST(a_fenced_follower_joins_as_soon_as_it_may),
        ISR_TEST(a_follower_that_registered_anew_joins_only_by_its_new_votes),
        ISR_TEST(a_follower_of_a_registration_not_applied_yet_is_not_forgotten),
        ISR_TEST(the_high_watermark_waits_for_one_about_to_join),
        ISR_TEST(a_member_that_lost_committed_records_is_taken_out_at_once),
        ISR_TEST(a_refused_change_is_tried_again),
        ISR_TEST(a_change_without_memory_is_tried_again),
        ISR_TEST(a_recovering_leader_ends_that),
        ISR_TEST(a_leader_whose_sync_failed_gives_its_place),
        ISR_TEST(a_leader_that_stood_still_forgives),
    };
    return cmocka_run_group_tests_name("isr", tests, NULL, NULL);
}
