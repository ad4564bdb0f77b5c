/* SPDX-License-Identifier: Apache-2.0 */
/* What a follower takes over, and what it refuses. */
#include "pair_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

/* Batches of another log, for a follower's hands. */
struct batches {
    uint8_t *bytes;
    size_t size;
};

static struct batches take(struct partition *leader, int64_t offset)
{
    struct batches batches;
    batches.bytes = pair_read(leader, offset, &batches.size);
    return batches;
}

static enum error check(const struct batches *batches, struct partition_batches *ret_batches)
{
    return partition_batches_check(batches->bytes, batches->size, NULL, ret_batches);
}

/* Everything a leader has arrives as it is, offsets, epochs and all; what it committed is committed
 * here, and no more. */
static void a_follower_becomes_a_copy(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 5);
    a = pair_lead(f, 'a', 2);
    b = pair_follow(f, 'b', 2);
    pair_append(f, a, 5);

    (void)pair_replicate(f, a, b);

    pair_expect_equal(a, b);
    assert_int_equal(fixture_high_watermark(b), 10);
    struct partition_position position;
    assert_int_equal(partition_position(b, &position), ERROR_NONE);
    assert_int_equal(position.synced_offset, 10);
    assert_int_equal(position.last_epoch, 2);
}

/* A position of a partition that never held anything costs no log. */
static void a_follower_without_records_makes_no_log(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    uint64_t before = simulated_storage_counters(f->disk).writes;

    assert_false(pair_fetch(f, a, b));
    assert_false(pair_fetch(f, a, b));

    assert_int_equal(simulated_storage_counters(f->disk).writes, before);
    assert_false(partition_has_log(a));
    assert_false(partition_has_log(b));
}

/* A flipped bit anywhere in the second of three batches: nothing is written, not even the first. */
static void damage_on_the_way_is_never_written(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    struct batches batches = take(a, 0);
    size_t one = batches.size / 3;
    for (size_t at = one; at < 2 * one; at++) {
        if (at - one < BATCH_MAGIC_AT)
            continue; /* Outside the checksum: offset, size and epoch have checks of their own. */
        batches.bytes[at] ^= 0x10;
        struct partition_batches checked;
        enum error error = check(&batches, &checked);
        assert_true(error == ERROR_CORRUPT_MESSAGE ||
                    error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
        batches.bytes[at] ^= 0x10;
    }
    assert_false(partition_has_log(b));
    memory_free(batches.bytes);
}

/* Offsets that go back, inside an answer or against the log, are refused. */
static void offsets_out_of_order_are_refused(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    struct batches batches = take(a, 0);
    struct partition_batches checked;
    batch_set_base_offset(batches.bytes, 1);
    assert_int_equal(check(&batches, &checked), ERROR_CORRUPT_MESSAGE);
    batch_set_base_offset(batches.bytes, -1);
    assert_int_equal(check(&batches, &checked), ERROR_CORRUPT_MESSAGE);
    batch_set_base_offset(batches.bytes, 0);
    (void)pair_replicate(f, a, b);

    assert_int_equal(check(&batches, &checked), ERROR_NONE);
    assert_int_equal(partition_append_replica(b, 1, &checked), ERROR_CORRUPT_MESSAGE);

    partition_batches_done(&checked);
    memory_free(batches.bytes);
    pair_expect_equal(a, b);
}

/* A batch of an epoch that is yet to come cannot be from this leader. */
static void a_batch_of_a_later_epoch_is_refused(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 7);
    struct partition *b = pair_follow(f, 'b', 6);
    pair_append(f, a, 1);
    struct batches batches = take(a, 0);
    struct partition_batches checked;
    assert_int_equal(check(&batches, &checked), ERROR_NONE);

    assert_int_equal(partition_append_replica(b, 6, &checked), ERROR_CORRUPT_MESSAGE);

    assert_int_equal(fixture_end(b), 0);
    partition_batches_done(&checked);
    memory_free(batches.bytes);
}

/* An answer cut short keeps its whole batches. */
static void a_torn_batch_at_the_end_is_left_out(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    pair_append(f, a, 3);
    struct batches batches = take(a, 0);
    size_t whole = batches.size;
    for (batches.size = 0; batches.size <= whole; batches.size++) {
        struct partition_batches checked;
        assert_int_equal(check(&batches, &checked), ERROR_NONE);
        assert_int_equal(checked.count, batches.size / (whole / 3));
        assert_int_equal(checked.size, checked.count * (whole / 3));
        partition_batches_done(&checked);
    }
    memory_free(batches.bytes);
}

/* A follower that was made leader, or follows another epoch, takes nothing for the old one. */
static void an_answer_for_another_epoch_is_fenced(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 2);
    pair_append(f, a, 1);
    struct batches batches = take(a, 0);
    struct partition_batches checked;
    assert_int_equal(check(&batches, &checked), ERROR_NONE);

    assert_int_equal(partition_append_replica(b, 1, &checked), ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(partition_replica_high_watermark(b, 1, 1, 0), ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(partition_append_replica(a, 1, &checked), ERROR_FENCED_LEADER_EPOCH);

    partition_batches_done(&checked);
    memory_free(batches.bytes);
}

/* A leader tells a replica of another epoch so, whichever is behind (KIP-320). */
static void a_leader_serves_replicas_of_its_epoch_only(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 3);
    struct log_slice slice;
    struct partition_offsets offsets;
    struct partition_divergence divergence;
    for (int32_t epoch = 2; epoch <= 4; epoch++)
        assert_int_equal(
            partition_read_replica(a, epoch, -1, 0, 100, true, &slice, &offsets, &divergence),
            epoch < 3   ? ERROR_FENCED_LEADER_EPOCH
            : epoch > 3 ? ERROR_UNKNOWN_LEADER_EPOCH
                        : ERROR_NONE);
    a = pair_follow(f, 'a', 4);
    assert_int_equal(partition_read_replica(a, 4, -1, 0, 100, true, &slice, &offsets, &divergence),
                     ERROR_NOT_LEADER_OR_FOLLOWER);
}

/* Replicas read what is not committed yet, consumers and files do not. */
static void replicas_read_beyond_the_high_watermark(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment led = fixture_assignment(0, 1, 1, "012");
    struct partition *partition = fixture_take(f, &led);
    pair_append(f, partition, 2);
    struct log_slice slice;
    struct partition_offsets offsets;
    struct partition_divergence divergence;
    assert_int_equal(
        partition_read_replica(partition, 1, -1, 0, 10000, true, &slice, &offsets, &divergence),
        ERROR_NONE);
    assert_true(slice.size > 0);
    log_slice_release(&slice);
    assert_int_equal(
        partition_read(partition, 1, 0, 10000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_NONE);
    assert_int_equal(slice.size, 0);
    assert_int_equal(partition_read_local(partition, 0, 10000, true, &slice, &offsets), ERROR_NONE);
    assert_int_equal(slice.size, 0);
    assert_int_equal(offsets.log_end_offset, 2);
}

static void woken(struct task *task)
{
    struct partition_wait *wait = container_of(task, struct partition_wait, task);
    wait->posted = false;
}

/* A file on a follower sees a record once the leader says it is committed, and wakes then. */
static void a_files_reader_on_a_follower_wakes_at_the_high_watermark(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment led = fixture_assignment(0, 1, 1, "012");
    struct partition *leader = fixture_take(f, &led);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, leader, 2);
    (void)pair_replicate(f, leader, b);
    assert_int_equal(fixture_high_watermark(b), 0);
    struct partition_wait wait = {.task.run = woken};
    list_init(&wait.link);
    list_init(&wait.task.link);
    partition_wait_add(b, &wait);

    assert_int_equal(partition_replica_high_watermark(b, 1, 1, 0), ERROR_NONE);

    assert_true(wait.posted);
    fixture_run(f);
    struct log_slice slice;
    struct partition_offsets offsets;
    assert_int_equal(partition_read_local(b, 0, 10000, true, &slice, &offsets), ERROR_NONE);
    assert_true(slice.size > 0);
    assert_int_equal(offsets.high_watermark, 1);
    log_slice_release(&slice);
}

/* The leader's log start moves the follower's, never beyond what is committed here. */
static void the_log_start_follows_the_leader(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 5);
    (void)pair_replicate(f, a, b);

    assert_int_equal(partition_replica_high_watermark(b, 1, 5, 3), ERROR_NONE);
    struct partition_position position;
    assert_int_equal(partition_position(b, &position), ERROR_NONE);
    assert_int_equal(position.log_start_offset, 3);
    assert_int_equal(partition_replica_high_watermark(b, 1, 9, 9), ERROR_NONE);

    assert_int_equal(partition_position(b, &position), ERROR_NONE);
    assert_int_equal(position.log_start_offset, 5);
    assert_int_equal(position.high_watermark, 5);
}

/* Without memory at any point nothing is half-known, and the next try succeeds. */
static void taking_over_survives_refused_memory(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 20);
    struct batches batches = take(a, 0);
    enum error error = ERROR_OUT_OF_MEMORY;
    for (long countdown = 0; error != ERROR_NONE; countdown++) {
        struct partition_batches checked = {0};
        struct partition_position position;
        memory_fault_arm(countdown);
        error = check(&batches, &checked);
        if (error == ERROR_NONE)
            error = partition_append_replica(b, 1, &checked);
        memory_fault_arm(-1);
        partition_batches_done(&checked);
        assert_true(error == ERROR_NONE || error == ERROR_OUT_OF_MEMORY);
        assert_int_equal(partition_position(b, &position), ERROR_NONE);
        if (error != ERROR_NONE && position.end_offset > 0)
            assert_int_equal(pair_reset(f, b, 1, 0), ERROR_NONE);
    }
    memory_free(batches.bytes);
    fixture_run(f);
    pair_expect_equal(a, b);
}

/* ---- votes ---- */

static int64_t synced_offset(struct partition *partition)
{
    struct partition_position position;
    assert_int_equal(partition_position(partition, &position), ERROR_NONE);
    return position.synced_offset;
}

static void append_replica(struct partition *follower, const struct batches *batches)
{
    struct partition_batches checked;
    assert_int_equal(check(batches, &checked), ERROR_NONE);
    assert_int_equal(partition_append_replica(follower, 1, &checked), ERROR_NONE);
    partition_batches_done(&checked);
}

/* Records that come while a sync runs are synced after it, though no more come: the leader waits
 * for this vote. */
static void what_came_during_a_followers_sync_is_synced_too(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 2);
    struct batches both = take(a, 0);
    struct batches first = {both.bytes, both.size / 2};
    struct batches second = {both.bytes + both.size / 2, both.size / 2};

    append_replica(b, &first);
    fixture_run_tasks(f); /* The sync begins. */
    assert_true(simulated_executor_pending_works(f->events) > 0);
    append_replica(b, &second);
    fixture_run(f);

    assert_int_equal(synced_offset(b), 2);
    memory_free(both.bytes);
}

/* A killed node has records it had not synced: it votes for them once it is back. */
static void a_follower_that_was_killed_syncs_what_it_finds(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    assert_int_equal(synced_offset(b), 0);
    simulated_storage_power_off(f->disk);
    fixture_close(f, false);
    simulated_storage_kill(f->disk);
    f->config.durability = PARTITION_FSYNC;
    fixture_open(f);

    b = pair_follow(f, 'b', 1);
    assert_int_equal(synced_offset(b), 0);
    fixture_run(f);

    assert_int_equal(synced_offset(b), 3);
}

struct synced_news {
    struct partition_news news;
    int told;
};

static void news_changed(struct partition_news *news, unsigned kinds)
{
    container_of(news, struct synced_news, news)->told += (kinds & PARTITION_NEWS_SYNCED) != 0;
}

/* Synced offsets become votes when the topic's durability does: what was never asked for, or never
 * told, is now. */
static void a_stricter_durability_makes_a_follower_vote_anew(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    assert_int_equal(synced_offset(b), 0);
    struct synced_news seen = {.news.changed = news_changed};
    list_init(&seen.news.link);
    partition_news_add(b, &seen.news);

    f->config.durability = PARTITION_FSYNC;
    partition_table_configure(f->table, "b", &f->config);
    assert_int_equal(seen.told, 1);
    fixture_run(f);

    assert_int_equal(seen.told, 2);
    assert_int_equal(synced_offset(b), 3);
    partition_news_remove(&seen.news);
}

#define REPLICA_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLICA_TEST(a_follower_becomes_a_copy),
        REPLICA_TEST(a_follower_without_records_makes_no_log),
        REPLICA_TEST(damage_on_the_way_is_never_written),
        REPLICA_TEST(offsets_out_of_order_are_refused),
        REPLICA_TEST(a_batch_of_a_later_epoch_is_refused),
        REPLICA_TEST(a_torn_batch_at_the_end_is_left_out),
        REPLICA_TEST(an_answer_for_another_epoch_is_fenced),
        REPLICA_TEST(a_leader_serves_replicas_of_its_epoch_only),
        REPLICA_TEST(replicas_read_beyond_the_high_watermark),
        REPLICA_TEST(a_files_reader_on_a_follower_wakes_at_the_high_watermark),
        REPLICA_TEST(the_log_start_follows_the_leader),
        REPLICA_TEST(taking_over_survives_refused_memory),
        REPLICA_TEST(what_came_during_a_followers_sync_is_synced_too),
        REPLICA_TEST(a_follower_that_was_killed_syncs_what_it_finds),
        REPLICA_TEST(a_stricter_durability_makes_a_follower_vote_anew),
    };
    return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
