/* SPDX-License-Identifier: Apache-2.0 */
/* Appending: when a segment is rolled, what a follower may bring, what is written. */
#include "log/fixture.h"

static struct batch_facts facts_at(struct buffer *batch)
{
    struct codec_context context;
    codec_context_init(&context);
    struct batch_facts facts;
    assert_int_equal(batch_validate_log(batch->data, batch->size, CODEC_DECOMPRESSED_BYTES_MAX,
                                        &context, &facts),
                     ERROR_NONE);
    codec_context_done(&context);
    return facts;
}

static enum error replica_append(struct log *log, int64_t offset, int count, int32_t epoch)
{
    struct buffer *batch = fixture_batch(offset, count, CODEC_NONE);
    batch_set_base_offset(batch->data, offset);
    batch_set_leader_epoch(batch->data, epoch);
    struct batch_facts facts = facts_at(batch);
    enum error error = log_append_replica(log, &facts, 1);
    buffer_unref(batch);
    return error;
}

/* segment.bytes: a segment is never larger, but for one batch that is. */
static void a_full_segment_is_rolled(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 81);
    fixture.config.segment_bytes = 200;
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 30, 0); /* Larger than a segment, in an empty one. */
    assert_int_equal(log_segment_count(fixture.log), 1);
    fixture_append(fixture.log, 1, 0);
    assert_int_equal(log_segment_count(fixture.log), 2);
    fixture_verify(fixture.log, 0);
    assert_int_equal(log_roll(fixture.log), ERROR_NONE);
    assert_int_equal(log_roll(fixture.log), ERROR_NONE); /* Empty: nothing to roll. */
    assert_int_equal(log_segment_count(fixture.log), 3);
    fixture_done(&fixture);
}

/* segment.ms, by the records' own timestamps. */
static void an_old_segment_is_rolled(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 82);
    fixture.config.segment_ms = 100; /* Records are 10 ms apart. */
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 50; i++)
        fixture_append(fixture.log, 1, 0);
    assert_in_range(log_segment_count(fixture.log), 4, 6);
    fixture_verify(fixture.log, 0);
    fixture_done(&fixture);
}

/* segment.index.bytes. */
static void a_full_index_rolls_the_segment(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 83);
    fixture.config.segment_index_bytes = 80;
    fixture.config.index_interval_bytes = 0;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 50; i++)
        fixture_append(fixture.log, 1, 0);
    assert_true(log_segment_count(fixture.log) >= 5);
    fixture_verify(fixture.log, 0);
    fixture_done(&fixture);
}

/* A follower keeps offsets and epochs, gaps too, and refuses what lies below its end. */
static void a_replica_keeps_its_leaders_offsets(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 84);
    fixture.config.segment_bytes = 2000;
    fixture_open(&fixture, false, -1);
    int64_t end = 0;
    for (int i = 0; i < 60; i++) {
        int64_t offset = end + (i % 4 == 3 ? 5 : 0);
        assert_int_equal(replica_append(fixture.log, offset, 2, i / 20), ERROR_NONE);
        end = offset + 2;
    }
    assert_int_equal(replica_append(fixture.log, end - 1, 2, 2), ERROR_CORRUPT_MESSAGE);
    assert_int_equal(replica_append(fixture.log, end, 2, 1), ERROR_FENCED_LEADER_EPOCH);
    /* Farther than a relative offset reaches: a new segment begins there. */
    assert_int_equal(replica_append(fixture.log, INT64_C(5000000000), 2, 2), ERROR_NONE);
    assert_int_equal(log_end_offset(fixture.log), INT64_C(5000000002));
    fixture_verify_with_gaps(fixture.log, 0);
    fixture_verify_with_gaps(fixture.log, 8); /* In a gap: the next batch. */
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);
    fixture_open(&fixture, true, INT64_C(5000000002));
    fixture_verify_with_gaps(fixture.log, 0);
    fixture_done(&fixture);
}

/* A batch costs one write, but where an index is flushed or a segment made. */
static void a_batch_is_one_write(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 85);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 1, 0);
    struct simulated_counters before = simulated_storage_counters(fixture.disk);
    for (int i = 0; i < 100; i++)
        fixture_append(fixture.log, 1, 0);
    struct simulated_counters after = simulated_storage_counters(fixture.disk);
    assert_int_equal(after.calls - before.calls, 100);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_segment_is_rolled),
        cmocka_unit_test(an_old_segment_is_rolled),
        cmocka_unit_test(a_full_index_rolls_the_segment),
        cmocka_unit_test(a_replica_keeps_its_leaders_offsets),
        cmocka_unit_test(a_batch_is_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
