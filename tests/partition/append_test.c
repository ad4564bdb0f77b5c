/* SPDX-License-Identifier: Apache-2.0 */
/* Who is answered when, and with what. */
#include "partition_fixture.h"

#include <cmocka.h>

/* acks=0 asks for nothing: it is answered before any sync. */
static void acks_0_is_answered_without_a_sync(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, 0, 1000);
    assert_int_equal(append.done, 0);                           /* Never inside submit. */
    uint64_t syncs = simulated_storage_counters(f->disk).syncs; /* The leader epoch's. */

    fixture_run_tasks(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NONE);
    assert_int_equal(simulated_storage_counters(f->disk).syncs, syncs);
    fixture_append_done(&append);
    fixture_run(f);
}

/* With durability fsync acks=1 and -1 wait for stable storage. */
static void fsync_durability_answers_after_the_sync(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append one, all;
    fixture_append_start(partition, &one, 1, 1, 1000);
    fixture_append_start(partition, &all, 2, -1, 1000);
    uint64_t before = simulated_storage_counters(f->disk).syncs;
    fixture_run_tasks(f);
    assert_int_equal(one.done + all.done, 0);
    assert_int_equal(fixture_high_watermark(partition), 0);

    fixture_run(f);

    assert_int_equal(one.done, 1);
    assert_int_equal(all.done, 1);
    assert_int_equal(one.append.base_offset, 0);
    assert_int_equal(all.append.base_offset, 1);
    assert_true(simulated_storage_counters(f->disk).syncs > before);
    assert_int_equal(fixture_high_watermark(partition), 3);
    fixture_append_done(&one);
    fixture_append_done(&all);
}

/* With durability replicated a cluster of one commits at once (Kafka's meaning). */
static void replicated_durability_answers_at_once(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append append;
    fixture_append_start(partition, &append, 3, -1, 1000);

    fixture_run_tasks(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(fixture_high_watermark(partition), 3);
    assert_int_equal(simulated_executor_pending_works(f->events), 0);
    fixture_append_done(&append);
}

/* A record that is not synced in time may still become committed. */
static void an_append_times_out_and_is_committed_later(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    simulated_executor_work_takes(f->events, 5000);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 1);

    simulated_executor_run_for(f->events, 1);
    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_REQUEST_TIMED_OUT);

    fixture_run(f);
    assert_int_equal(append.done, 1);
    assert_int_equal(fixture_high_watermark(partition), 2);
    fixture_append_done(&append);
}

/* An interrupted writer is let go once, also when its answer is on the way. */
static void a_cancelled_append_is_answered_once(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 1000);
    partition_append_cancel(&append.append);
    partition_append_cancel(&append.append);

    fixture_run(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_INTERRUPTED);
    assert_int_equal(append.append.base_offset, -1);
    fixture_append_done(&append);
}

/* A batch sent twice is in the log once, and both answers name its offset. */
static void a_repeated_batch_is_answered_with_its_first_offset(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    struct fixture_append first, again;
    fixture_produce_start(partition, &first, 7, 0, 2);
    fixture_produce_start(partition, &again, 7, 0, 2); /* Before the first is synced. */

    fixture_run(f);

    assert_int_equal(first.append.error, ERROR_NONE);
    assert_int_equal(again.append.error, ERROR_NONE);
    assert_int_equal(first.append.base_offset, 1);
    assert_int_equal(again.append.base_offset, 1);
    assert_int_equal(fixture_end(partition), 3);
    fixture_append_done(&first);
    fixture_append_done(&again);
}

/* What is missing between two batches is not skipped. */
static void a_sequence_gap_is_refused(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append first, later;
    fixture_produce_start(partition, &first, 7, 0, 2);
    fixture_produce_start(partition, &later, 7, 4, 1);

    fixture_run(f);

    assert_int_equal(later.append.error, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(fixture_end(partition), 2);
    fixture_append_done(&first);
    fixture_append_done(&later);
}

/* A follower takes no records. */
static void a_follower_refuses(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct uuid id = fixture_id(1);
    struct partition_assignment led_by_another = partition_assigned_alone(7, 1);
    assert_int_equal(
        partition_table_assign(f->table, "orders", &id, 0, &f->config, &led_by_another, NULL, NULL),
        ERROR_NONE);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 1000);

    fixture_run(f);

    assert_int_equal(append.append.error, ERROR_NOT_LEADER_OR_FOLLOWER);
    fixture_append_done(&append);
}

/* A full disk refuses writes and heals without a restart; reads go on meanwhile. */
static void a_full_disk_heals(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    struct storage_space space;
    assert_int_equal(storage_space(simulated_storage_seam(f->disk), &space), ERROR_NONE);
    simulated_storage_limit(f->disk, space.total_bytes - space.free_bytes + 10);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 1000);
    fixture_run(f);
    assert_int_equal(append.append.error, ERROR_DISK_FULL);
    fixture_append_done(&append);
    struct log_slice slice;
    struct partition_offsets offsets;
    assert_int_equal(
        partition_read(partition, -1, 0, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_NONE);
    assert_true(slice.size > 0);
    log_slice_release(&slice);

    simulated_storage_limit(f->disk, UINT64_MAX);

    assert_int_equal(fixture_append_one(f, partition), 1);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(acks_0_is_answered_without_a_sync),
        TEST(fsync_durability_answers_after_the_sync),
        TEST(replicated_durability_answers_at_once),
        TEST(an_append_times_out_and_is_committed_later),
        TEST(a_cancelled_append_is_answered_once),
        TEST(a_repeated_batch_is_answered_with_its_first_offset),
        TEST(a_sequence_gap_is_refused),
        TEST(a_follower_refuses),
        TEST(a_full_disk_heals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
