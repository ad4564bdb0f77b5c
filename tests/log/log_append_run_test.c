/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that came with one answer of a leader: one write, and yet the same log. */
#include "log/fixture.h"
#include "log/log_state.h"
#include "sim/sweep.h"

enum { RUN_BATCHES = 60, RUN_BYTES_MAX = 64 * 1024 };

/* Batches back to back in memory, from offset 0 on. */
struct run {
    uint8_t bytes[RUN_BYTES_MAX];
    size_t size;
    struct batch_facts facts[RUN_BATCHES];
    int64_t end_offset;
};

/* Of 1 to 6 records; the epoch changes in the middle when `epochs`. */
static void run_fill(struct run *run, bool epochs)
{
    struct codec_context context;
    codec_context_init(&context);
    run->size = 0;
    run->end_offset = 0;
    for (int i = 0; i < RUN_BATCHES; i++) {
        int count = 1 + i % 6;
        struct buffer *batch = fixture_batch(run->end_offset, count, CODEC_NONE);
        batch_set_base_offset(batch->data, run->end_offset);
        batch_set_leader_epoch(batch->data, epochs ? i / 25 : 0);
        uint8_t *at = run->bytes + run->size;
        assert_true(run->size + batch->size <= sizeof run->bytes);
        memcpy(at, batch->data, batch->size);
        assert_int_equal(batch_validate_log(at, batch->size, CODEC_DECOMPRESSED_BYTES_MAX, &context,
                                            &run->facts[i]),
                         ERROR_NONE);
        run->size += batch->size;
        run->end_offset += count;
        buffer_unref(batch);
    }
    codec_context_done(&context);
}

/* Without an index entry to flush the run is a single call of the storage. */
static void a_run_is_one_write(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run run;
    run_fill(&run, false);
    fixture_init(&fixture, 91);
    fixture_open(&fixture, false, -1);
    assert_int_equal(log_append_replica(fixture.log, run.facts, 1), ERROR_NONE);
    struct simulated_counters before = simulated_storage_counters(fixture.disk);
    assert_int_equal(log_append_replica(fixture.log, run.facts + 1, RUN_BATCHES - 1), ERROR_NONE);
    struct simulated_counters after = simulated_storage_counters(fixture.disk);
    assert_int_equal(after.calls - before.calls, 1);
    assert_int_equal(after.bytes_written - before.bytes_written,
                     run.size - run.facts[0].header.size);
    assert_int_equal(fixture_verify(fixture.log, 0), run.end_offset);
    fixture_done(&fixture);
}

static void assert_same_segments(const struct log *one, const struct log *other)
{
    assert_int_equal(one->segment_count, other->segment_count);
    assert_int_equal(one->end_offset, other->end_offset);
    for (uint32_t i = 0; i < one->segment_count; i++) {
        const struct segment *a = one->segments[i];
        const struct segment *b = other->segments[i];
        assert_int_equal(a->place.base_offset, b->place.base_offset);
        assert_int_equal(a->size_bytes, b->size_bytes);
        assert_int_equal(a->text_bytes, b->text_bytes);
        assert_int_equal(a->first_timestamp, b->first_timestamp);
        assert_int_equal(a->ahead_bytes, 0);
        assert_int_equal(sparse_index_count(&a->offsets), sparse_index_count(&b->offsets));
        assert_int_equal(sparse_index_count(&a->times), sparse_index_count(&b->times));
        assert_int_equal(sparse_index_count(&a->lines), sparse_index_count(&b->lines));
    }
}

/* Segments and index entries are where they are when every batch comes alone: by size, by time, by
 * a full index, with a new epoch in the run. */
static void a_run_makes_the_log_that_its_batches_make(void **state)
{
    (void)state;
    struct run run;
    run_fill(&run, true);
    for (int i = 0; i < 4; i++) {
        struct fixture together;
        struct fixture alone;
        struct fixture *both[] = {&together, &alone};
        for (int k = 0; k < 2; k++) {
            fixture_init(both[k], 92);
            both[k]->config.index_interval_bytes = 200;
            if (i == 1)
                both[k]->config.segment_bytes = 2000;
            else if (i == 2)
                both[k]->config.segment_ms = 300;
            else if (i == 3)
                both[k]->config.segment_index_bytes = 80;
            fixture_open(both[k], false, -1);
        }
        assert_int_equal(log_append_replica(together.log, run.facts, RUN_BATCHES), ERROR_NONE);
        for (int k = 0; k < RUN_BATCHES; k++)
            assert_int_equal(log_append_replica(alone.log, run.facts + k, 1), ERROR_NONE);
        assert_true(i == 0 || log_segment_count(alone.log) > 3);
        assert_same_segments(together.log, alone.log);
        assert_int_equal(log_epoch_latest(together.log), log_epoch_latest(alone.log));
        assert_int_equal(fixture_verify(together.log, 0), run.end_offset);
        fixture_close(&together, false); /* What recovery finds is the same, too. */
        fixture_open(&together, false, 0);
        assert_int_equal(fixture_verify(together.log, 0), run.end_offset);
        fixture_done(&together);
        fixture_done(&alone);
    }
}

/* A batch that does not belong behind the others is refused, and they stay. */
static void a_run_ends_before_the_batch_that_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run run;
    run_fill(&run, false);
    fixture_init(&fixture, 93);
    fixture_open(&fixture, false, -1);
    run.facts[30].header.base_offset -= 1;
    assert_int_equal(log_append_replica(fixture.log, run.facts, RUN_BATCHES),
                     ERROR_CORRUPT_MESSAGE);
    int64_t end = batch_last_offset(&run.facts[29].header) + 1;
    assert_int_equal(log_end_offset(fixture.log), end);
    assert_int_equal(fixture_verify(fixture.log, 0), end);
    run.facts[30].header.base_offset += 1;
    assert_int_equal(log_append_replica(fixture.log, run.facts + 30, RUN_BATCHES - 30), ERROR_NONE);
    assert_int_equal(fixture_verify(fixture.log, 0), run.end_offset);
    fixture_done(&fixture);
}

struct scene {
    struct simulated_executor *time;
    struct log_config config;
    struct run run;
};

static enum error scene_open(struct scene *scene, struct storage *storage, struct log **ret_log)
{
    return fixture_open_on(storage, simulated_executor_seam(scene->time), &scene->config, false, -1,
                           ret_log);
}

/* Ends between two batches, wherever it failed, and takes the rest. */
static enum error scene_run(struct storage *storage, void *context)
{
    struct scene *scene = context;
    struct run *run = &scene->run;
    struct log *log;
    enum error error = scene_open(scene, storage, &log);
    if (error != ERROR_NONE)
        return error;
    error = log_append_replica(log, run->facts, RUN_BATCHES);
    assert_int_equal(log_active(log)->ahead_bytes, 0);
    if (error != ERROR_NONE && !log->failed) {
        uint32_t next = 0;
        while (next < RUN_BATCHES && run->facts[next].header.base_offset < log_end_offset(log))
            next++;
        if (next < RUN_BATCHES)
            assert_int_equal(run->facts[next].header.base_offset, log_end_offset(log));
        enum error rest = log_append_replica(log, run->facts + next, RUN_BATCHES - next);
        assert_true(rest != ERROR_NONE || log_end_offset(log) == run->end_offset);
    }
    log_close(log, false);
    return error;
}

static void scene_check(struct storage *storage, void *context, enum error got)
{
    struct scene *scene = context;
    struct log *log;
    assert_int_equal(scene_open(scene, storage, &log), ERROR_NONE);
    assert_int_equal(log_damage(log).offset, -1);
    assert_true(log_end_offset(log) <= scene->run.end_offset);
    assert_true(got != ERROR_NONE || log_end_offset(log) == scene->run.end_offset);
    fixture_verify(log, log_start_offset(log));
    log_close(log, true);
}

/* Every storage call and every allocation refused once: whole batches are left, and no rest of a
 * run behind them. */
static void a_run_survives_every_fault(void **state)
{
    (void)state;
    struct scene scene = {.time = simulated_executor_new(5, NULL), .config = fixture_config()};
    scene.config.segment_bytes = 2000;
    scene.config.index_interval_bytes = 200;
    run_fill(&scene.run, true);
    struct sweep sweep = {.scenario = scene_run,
                          .check = scene_check,
                          .context = &scene,
                          .seed = 7,
                          .may_succeed = true /* Index entries and snapshots are made again. */};
    (void)sweep_faults(&sweep);
    sweep.error = ERROR_DISK_FULL;
    sweep.operations = SIMULATED_WRITE | SIMULATED_OPEN | SIMULATED_RENAME;
    (void)sweep_faults(&sweep);
    (void)sweep_memory(&sweep);
    simulated_executor_free(scene.time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_one_write),
        cmocka_unit_test(a_run_makes_the_log_that_its_batches_make),
        cmocka_unit_test(a_run_ends_before_the_batch_that_is_refused),
        cmocka_unit_test(a_run_survives_every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
