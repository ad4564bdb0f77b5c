/* SPDX-License-Identifier: Apache-2.0 */
/* Every storage call and every allocation refused once: the error is reported, nothing that was
 * there is lost, and the log goes on or opens again. */
#include "log/fixture.h"
#include "sim/sweep.h"

struct scene {
    struct simulated_executor *time;
    struct log_config config;
    int64_t end; /* What prepare left. */
    enum error (*act)(struct log *log);
    bool clean;
    int64_t lowest_end; /* What the act may leave. */
    int64_t highest_end;
    int64_t appended_most;
};

static struct scene scene_make(void)
{
    struct scene scene = {.time = simulated_executor_new(5, NULL), .config = fixture_config()};
    scene.config.segment_bytes = 2000;
    scene.config.index_interval_bytes = 200;
    scene.config.file_delete_delay_ms = 0;
    return scene;
}

/* Sixty batches, some of a producer, synced and cleanly closed. */
static void scene_prepare(struct storage *storage, void *context)
{
    struct scene *scene = context;
    struct log *log;
    assert_int_equal(fixture_open_on(storage, simulated_executor_seam(scene->time), &scene->config,
                                     false, -1, &log),
                     ERROR_NONE);
    for (int i = 0; i < 60; i++) {
        if (i % 9 == 4)
            fixture_append_producer(log, 100 + i % 2, 0, i / 18 * 2, 2);
        else
            fixture_append(log, 1 + i % 6, i / 25);
    }
    assert_int_equal(fixture_sync(log), ERROR_NONE);
    scene->end = log_end_offset(log);
    scene->lowest_end = scene->end;
    scene->highest_end = scene->end + scene->appended_most;
    log_close(log, true);
}

/* Opens, acts, closes. */
static enum error scene_run(struct storage *storage, void *context)
{
    struct scene *scene = context;
    struct log *log;
    enum error error = fixture_open_on(storage, simulated_executor_seam(scene->time),
                                       &scene->config, scene->clean, scene->end, &log);
    if (error != ERROR_NONE)
        return error;
    log_visible_advance(log, scene->end);
    if (scene->act != NULL)
        error = scene->act(log);
    if (error == ERROR_NONE && log_visible_offset(log) < scene->end &&
        log_end_offset(log) >= scene->end)
        error = ERROR_STORAGE; /* visible_advance had no other way to say it. */
    log_close(log, false);
    return error;
}

/* What prepare left must be there, as far as the act did not take it away. */
static void scene_check(struct storage *storage, void *context, enum error got)
{
    (void)got;
    struct scene *scene = context;
    struct log *log;
    assert_int_equal(fixture_open_on(storage, simulated_executor_seam(scene->time), &scene->config,
                                     false, 0, &log),
                     ERROR_NONE);
    assert_int_equal(log_damage(log).offset, -1);
    assert_true(log_end_offset(log) >= scene->lowest_end);
    assert_true(log_end_offset(log) <= scene->highest_end);
    fixture_verify(log, log_start_offset(log));
    log_close(log, true);
}

static void scene_sweep(struct scene *scene, bool may_succeed)
{
    struct sweep sweep = {.prepare = scene_prepare,
                          .scenario = scene_run,
                          .check = scene_check,
                          .context = scene,
                          .seed = 7,
                          .may_succeed = may_succeed};
    (void)sweep_faults(&sweep);
    sweep.error = ERROR_DISK_FULL;
    sweep.operations = SIMULATED_WRITE | SIMULATED_OPEN | SIMULATED_RENAME;
    (void)sweep_faults(&sweep);
    (void)sweep_memory(&sweep);
    simulated_executor_free(scene->time);
}

/* Opening after a clean stop and, with scanning, without one. */
static void opening_reports_every_fault(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct scene scene = scene_make();
        scene.clean = clean != 0;
        /* Index entries and snapshots may fail to be written: the next open makes them anew. */
        scene_sweep(&scene, true);
    }
}

static enum error act_append(struct log *log)
{
    for (int i = 0; i < 40; i++) {
        enum error error = fixture_try_append(log, 1 + i % 6, 2 + i / 30);
        if (error != ERROR_NONE)
            return error;
    }
    return fixture_sync(log);
}

/* Appends, rolls and syncs: a failed one leaves whole batches only. */
static void appending_survives_every_fault(void **state)
{
    (void)state;
    struct scene scene = scene_make();
    scene.act = act_append;
    scene.clean = true;
    scene.appended_most = 200;
    scene_sweep(&scene, true);
}

static enum error act_retain(struct log *log)
{
    struct log_config config = fixture_config();
    config.segment_bytes = 2000;
    config.retention_bytes = 3000;
    config.file_delete_delay_ms = 0;
    log_configure(log, &config);
    uint32_t deleted;
    enum error error = log_retention(log, SIMULATED_WALL_CLOCK_MS, &deleted);
    log_remove_deleted(log, INT64_MAX);
    return error;
}

/* Deleting old segments half-way leaves a log that begins later, never one with a hole. */
static void retention_survives_every_fault(void **state)
{
    (void)state;
    struct scene scene = scene_make();
    scene.act = act_retain;
    scene.clean = true;
    scene_sweep(&scene, true);
}

/* The sweep's prepare is the same: truncation runs on a log whose visible offset stays low. */
static enum error run_truncate(struct storage *storage, void *context)
{
    struct scene *scene = context;
    struct log *log;
    enum error error = fixture_open_on(storage, simulated_executor_seam(scene->time),
                                       &scene->config, true, scene->end, &log);
    if (error != ERROR_NONE)
        return error;
    error = log_truncate(log, 31);
    log_close(log, false);
    return error;
}

static void check_truncate(struct storage *storage, void *context, enum error got)
{
    struct scene *scene = context;
    scene->lowest_end = 0;
    scene->highest_end = got == ERROR_NONE ? 31 : scene->end;
    scene_check(storage, context, got);
}

/* A truncation that fails half-way leaves a log that ends somewhere above, whole. */
static void truncation_survives_every_fault(void **state)
{
    (void)state;
    struct scene scene = scene_make();
    struct sweep sweep = {.prepare = scene_prepare,
                          .scenario = run_truncate,
                          .check = check_truncate,
                          .context = &scene,
                          .seed = 8,
                          .may_succeed = true /* Closing files and pruning. */};
    (void)sweep_faults(&sweep);
    (void)sweep_memory(&sweep);
    simulated_executor_free(scene.time);
}

/* A full disk refuses appends, keeps the log readable, and takes appends again when there is
 * space. */
static void a_full_disk_heals(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 9);
    fixture_open(&fixture, false, -1);
    simulated_storage_limit(fixture.disk, 5000);

    enum error error = ERROR_NONE;
    int64_t end = 0;
    for (int i = 0; i < 1000 && error == ERROR_NONE; i++) {
        error = fixture_try_append(fixture.log, 7, 0);
        if (error == ERROR_NONE)
            end += 7;
    }
    assert_int_equal(error, ERROR_DISK_FULL);
    assert_int_equal(fixture_try_append(fixture.log, 7, 0), ERROR_DISK_FULL);
    assert_int_equal(fixture_verify(fixture.log, 0), end);

    simulated_storage_limit(fixture.disk, UINT64_MAX);
    fixture_append(fixture.log, 7, 0);
    assert_int_equal(fixture_verify(fixture.log, 0), end + 7);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);
    fixture_open(&fixture, true, end + 7);
    assert_int_equal(fixture_verify(fixture.log, 0), end + 7);
    fixture_done(&fixture);
}

/* After a failed sync nothing is appended or called synced until the log is opened again. */
static void a_failed_sync_is_final(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 0);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_append(fixture.log, 5, 0);
    struct simulated_fault fault = {.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
    simulated_storage_fail(fixture.disk, &fault);

    assert_int_equal(fixture_sync(fixture.log), ERROR_STORAGE);

    assert_int_equal(log_synced_offset(fixture.log), 5);
    assert_int_equal(fixture_try_append(fixture.log, 5, 0), ERROR_STORAGE);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE); /* Nothing is even tried. */
    assert_int_equal(log_synced_offset(fixture.log), 5);
    fixture_close(&fixture, true);
    fixture_open(&fixture, true, 5); /* Scanned, although the stop was clean. */
    assert_true(log_end_offset(fixture.log) >= 5);
    fixture_verify(fixture.log, 0);
    fixture_append(fixture.log, 5, 0);
    fixture_done(&fixture);
}

/* What a refused write left is off the disk before anything is written in its place: a power cut
 * could mix the two. Where that sync fails, it is final as every one is. */
static void a_refused_write_is_cut_off_for_good_before_the_next(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 11);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 0);
    struct simulated_fault fault = {.operations = SIMULATED_WRITE, .error = ERROR_DISK_FULL};
    simulated_storage_fail(fixture.disk, &fault);
    assert_int_equal(fixture_try_append(fixture.log, 5, 0), ERROR_DISK_FULL);
    simulated_storage_fail_end(fixture.disk);
    uint64_t before = simulated_storage_counters(fixture.disk).syncs;
    fixture_append(fixture.log, 5, 0);
    assert_int_equal(simulated_storage_counters(fixture.disk).syncs, before + 1);
    fixture_append(fixture.log, 5, 0);
    assert_int_equal(simulated_storage_counters(fixture.disk).syncs, before + 1);

    simulated_storage_fail(fixture.disk, &fault);
    assert_int_equal(fixture_try_append(fixture.log, 5, 0), ERROR_DISK_FULL);
    fault = (struct simulated_fault){.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
    simulated_storage_fail(fixture.disk, &fault);
    assert_int_equal(fixture_try_append(fixture.log, 5, 0), ERROR_STORAGE);
    simulated_storage_fail_end(fixture.disk);
    assert_int_equal(fixture_try_append(fixture.log, 5, 0), ERROR_STORAGE);
    fixture_close(&fixture, false);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_reports_every_fault),
        cmocka_unit_test(appending_survives_every_fault),
        cmocka_unit_test(retention_survives_every_fault),
        cmocka_unit_test(truncation_survives_every_fault),
        cmocka_unit_test(a_full_disk_heals),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(a_refused_write_is_cut_off_for_good_before_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
