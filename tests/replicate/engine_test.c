/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on a real loop and a real disk: what it acknowledged is there after any restart. */
#include "engine_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_flag(void *context)
{
    *(int *)context = 1;
}

static void note_ready(void *context, enum error error)
{
    *(enum error *)context = error;
}

/* A proposal is applied and answered once, with what apply said. */
static void a_proposal_is_applied_and_answered(void **state)
{
    struct engine_fixture *f = *state;
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    assert_int_equal(make_topic(f, 1), ERROR_NONE);
    assert_int_equal(make_topic(f, 1), ERROR_TOPIC_ALREADY_EXISTS);
    assert_true(topic_exists(f, 1));

    struct engine_state now = engine_state(f->engine);
    assert_int_equal(now.role, ENGINE_LEADER);
    assert_int_equal(now.leader_id, 1);
    assert_int_equal(now.applied_index, now.commit_index);
    assert_int_equal(catalog_applied_index(f->catalog), now.applied_index);
    assert_int_equal(catalog_applied_term(f->catalog), now.term);
    assert_int_equal(catalog_node_find(f->catalog, 1)->epoch, now.applied_index - 2);
}

/* Many at once keep their order, each with its own answer. */
static void proposals_in_flight_keep_their_order(void **state)
{
    struct engine_fixture *f = *state;
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    static struct awaited awaited[200];
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1};
    for (int i = 0; i < 200; i++)
        propose(f, &awaited[i], &command);
    for (int i = 0; i < 200; i++) {
        if (awaited[i].done == 0)
            await(f, &awaited[i]);
        assert_int_equal(awaited[i].done, 1);
        assert_int_equal(awaited[i].proposal.outcome.error, ERROR_NONE);
        assert_int_equal(awaited[i].proposal.outcome.producer_id_first,
                         i * CATALOG_PRODUCER_ID_BLOCK);
    }
}

/* A restart recovers the log; founding again does nothing. */
static void a_restart_recovers_the_log(void **state)
{
    struct engine_fixture *f = *state;
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(make_topic(f, i), ERROR_NONE);
    uint64_t hash = catalog_hash(f->catalog);
    int64_t index = catalog_applied_index(f->catalog);
    fixture_close(f);

    assert_int_equal(fixture_open(f), ERROR_NONE);
    assert_int_equal(catalog_hash(f->catalog), hash);
    assert_int_equal(catalog_applied_index(f->catalog), index);
    assert_int_equal(make_topic(f, 20), ERROR_NONE);
    assert_true(catalog_applied_index(f->catalog) > index);
}

/* Enough commands for a snapshot: the restart takes it and the log behind it, and the log in front
 * of it is gone from the disk. */
static void a_restart_recovers_snapshot_and_log(void **state)
{
    struct engine_fixture *f = *state;
    char path[300];
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    for (uint32_t i = 0; i < 1200; i++)
        assert_int_equal(make_topic(f, i), ERROR_NONE);
    assert_true(engine_state(f->engine).snapshot_index > 0);
    uint64_t hash = catalog_hash(f->catalog);
    fixture_close(f);
    assert_true(files_named(f, "snapshot-", path) >= 2);

    assert_int_equal(fixture_open(f), ERROR_NONE);
    assert_int_equal(catalog_hash(f->catalog), hash);
    assert_int_equal(catalog_topic_count(f->catalog), 1200);
    assert_true(engine_state(f->engine).snapshot_index > 0);
}

/* Closing answers what was not answered, and what comes afterwards. */
static void closing_answers_every_proposal(void **state)
{
    struct engine_fixture *f = *state;
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1};
    struct awaited sent, waiting, late;
    propose(f, &sent, &command);
    uv_run(&f->loop, UV_RUN_NOWAIT); /* It is with libraft now. */
    propose(f, &waiting, &command);
    struct engine *engine = f->engine;
    struct catalog *catalog = f->catalog;
    int closed = 0;
    engine_close(engine, set_flag, &closed);
    propose(f, &late, &command);
    while (closed == 0)
        uv_run(&f->loop, UV_RUN_ONCE);

    assert_int_equal(sent.done, 1);
    assert_int_equal(waiting.done, 1);
    assert_int_equal(waiting.proposal.outcome.error, ERROR_CLOSING);
    assert_int_equal(late.done, 1);
    assert_int_equal(late.proposal.outcome.error, ERROR_CLOSING);
    engine_free(engine);
    catalog_free(catalog);
    f->engine = NULL;
}

/* Opening and closing at once, before it is ready, leaves nothing behind. */
static void an_engine_may_be_closed_before_it_is_ready(void **state)
{
    struct engine_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(catalog_new(monitor_executor(f->monitor), &f->catalog), ERROR_NONE);
        int closed = 0;
        enum error got = ERROR_NONE;
        struct engine_options options = {.loop = &f->loop,
                                         .monitor = f->monitor,
                                         .catalog = f->catalog,
                                         .directory = f->directory,
                                         .node_id = 1,
                                         .address = "127.0.0.1:9092",
                                         .bootstrap = true,
                                         .ready = note_ready,
                                         .context = &got};
        struct engine *engine = NULL;
        assert_int_equal(engine_open(&options, &engine, NULL), ERROR_NONE);
        engine_close(engine, set_flag, &closed);
        while (closed == 0)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(got, ERROR_CLOSING);
        engine_free(engine);
        catalog_free(f->catalog);
        f->catalog = NULL;
    }
    assert_int_equal(fixture_open(f), ERROR_NONE);
}

/* A place where no directory can be made is named. */
static void a_directory_that_cannot_be_is_named(void **state)
{
    struct engine_fixture *f = *state;
    snprintf(f->directory, sizeof f->directory, "%s/no/such", f->root);
    assert_int_equal(fixture_open(f), ERROR_NOT_FOUND);
    assert_non_null(strstr(f->failure.where, f->directory));
    snprintf(f->directory, sizeof f->directory, "%s/file", f->root);
    close(open(f->directory, O_CREAT | O_WRONLY, 0600));
    assert_int_not_equal(fixture_open(f), ERROR_NONE);
    assert_non_null(strstr(f->failure.where, f->directory));
}

static void flip(const char *path, long at, int whence)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, whence);
    int was = fgetc(file);
    fseek(file, at, whence);
    fputc(was ^ 0x10, file);
    fclose(file);
}

static void flip_byte(const char *path, long from_end)
{
    flip(path, from_end, SEEK_END);
}

static void flip_byte_at(const char *path, long at)
{
    flip(path, at, SEEK_SET);
}

/* Bit rot in a closed segment: refused, the file named, nothing renamed or dropped. */
static void a_damaged_segment_is_refused_and_named(void **state)
{
    struct engine_fixture *f = *state;
    char path[300];
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(make_topic(f, i), ERROR_NONE);
    fixture_close(f);
    assert_true(files_named(f, "0000", path) > 0);
    flip_byte(path, -60);

    for (int round = 0; round < 2; round++) {
        assert_int_equal(fixture_open(f), ERROR_MALFORMED);
        assert_non_null(strstr(f->failure.where, strrchr(path, '/') + 1));
    }
    flip_byte(path, -60);
    assert_int_equal(fixture_open(f), ERROR_NONE);
    assert_int_equal(catalog_topic_count(f->catalog), 20);
}

/* Metadata that says which term and vote: damaged, it is refused and named too. */
static void damaged_votes_are_refused(void **state)
{
    struct engine_fixture *f = *state;
    char path[300];
    assert_int_equal(fixture_open(f), ERROR_NONE);
    fixture_close(f);
    assert_int_equal(files_named(f, "metadata", path), 2);
    FILE *file = fopen(path, "r+b");
    fputc(0x77, file);
    fclose(file);
    assert_int_not_equal(fixture_open(f), ERROR_NONE);
    assert_non_null(strstr(f->failure.where, "metadata"));
}

/* A directory whose log is gone is not quietly founded again unless that is asked for. */
static void a_missing_log_is_refused(void **state)
{
    struct engine_fixture *f = *state;
    f->no_bootstrap = true;
    assert_int_equal(fixture_open(f), ERROR_NOT_FOUND);
    assert_non_null(strstr(f->failure.where, f->directory));
    f->no_bootstrap = false;
    assert_int_equal(fixture_open(f), ERROR_NONE);
    fixture_close(f);
    f->no_bootstrap = true;
    assert_int_equal(fixture_open(f), ERROR_NONE);
}

/* The child proposes topic after topic and writes each number it had acknowledged to the pipe. */
static void propose_until_killed(const char *directory, int acknowledged)
{
    struct engine_fixture f = {.engine = NULL};
    fixture_init(&f, directory);
    if (fixture_open(&f) != ERROR_NONE)
        _exit(2);
    if (catalog_node_find(f.catalog, 1) == NULL)
        register_node(&f);
    for (uint32_t i = catalog_topic_count(f.catalog);; i++) {
        enum error error = make_topic(&f, i);
        if (error != ERROR_NONE && error != ERROR_TOPIC_ALREADY_EXISTS)
            _exit(3);
        if (write(acknowledged, &i, sizeof i) != sizeof i)
            _exit(4);
    }
}

/* A node with `count` topics, killed: its last segment stays open. Gives the segment's path. */
static void leave_an_open_segment(struct engine_fixture *f, uint32_t count, char ret_path[300])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        propose_until_killed(f->directory, ends[1]);
    close(ends[1]);
    uint32_t number = 0;
    while (number + 1 < count)
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
    assert_true(files_named(f, "open-", ret_path) > 0);
    snprintf(ret_path, 300, "%s/open-1", f->directory);
}

/* A rotten byte anywhere in an open segment is refused with file and place, not taken for a write
 * that was cut off. */
static void a_damaged_open_segment_is_refused_and_named(void **state)
{
    struct engine_fixture *f = *state;
    char path[300];
    leave_an_open_segment(f, 20, path);
    for (long at = 200; at < 1500; at += 97) {
        flip_byte_at(path, at);
        assert_int_equal(fixture_open(f), ERROR_MALFORMED);
        assert_non_null(strstr(f->failure.where, "open-1"));
        flip_byte_at(path, at);
    }
    assert_int_equal(fixture_open(f), ERROR_NONE);
    assert_true(catalog_topic_count(f->catalog) >= 20);
}

/* A write that was cut off is not rot: what lies before it is recovered. */
static void a_write_that_was_cut_off_is_dropped(void **state)
{
    struct engine_fixture *f = *state;
    char path[300];
    static const char zeros[8192];
    leave_an_open_segment(f, 40, path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 2048, SEEK_SET);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    fclose(file);
    assert_int_equal(fixture_open(f), ERROR_NONE);
    uint32_t left = catalog_topic_count(f->catalog);
    assert_true(left > 2);
    assert_true(left < 40);
    assert_int_equal(make_topic(f, left), ERROR_NONE);
}

/* kill -9 at any moment: every acknowledged command is there afterwards, none twice. */
static void a_killed_node_loses_nothing_it_acknowledged(void **state)
{
    struct engine_fixture *f = *state;
    uint32_t acknowledged_count = 0;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            propose_until_killed(f->directory, ends[1]);
        }
        close(ends[1]);
        uint32_t number;
        int wanted = 1 + (round * 37) % 100;
        for (int i = 0; i < wanted; i++) {
            assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
            acknowledged_count = number + 1;
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &number, sizeof number) == sizeof number)
            acknowledged_count = number + 1;
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));

        assert_int_equal(fixture_open(f), ERROR_NONE);
        for (uint32_t i = 0; i < acknowledged_count; i++)
            assert_true(topic_exists(f, i));
        assert_true(catalog_topic_count(f->catalog) <= acknowledged_count + 1);
        fixture_close(f);
    }
}

/* No space left: proposals are refused, and taken again once there is. */
static void a_full_disk_refuses_until_there_is_space(void **state)
{
    struct engine_fixture *f = *state;
    char small[80], filler[120];
    snprintf(small, sizeof small, "%s/small", f->root);
    snprintf(filler, sizeof filler, "%s/filler", small);
    mkdir(small, 0700);
    if (mount("tmpfs", small, "tmpfs", 0, "size=40m") != 0) {
        print_message("no right to mount a tmpfs here: skipped\n");
        skip();
    }
    snprintf(f->directory, sizeof f->directory, "%s/metadata", small);
    assert_int_equal(fixture_open(f), ERROR_NONE);
    register_node(f);
    int file = open(filler, O_CREAT | O_WRONLY, 0600);
    static char block[65536];
    while (write(file, block, sizeof block) > 0)
        continue;
    close(file);

    uint32_t number = 0;
    enum error error = ERROR_NONE;
    static char big[60000];
    memset(big, 'x', sizeof big - 1);
    const struct catalog_pair pair = {slice_of("retention.ms"), slice_of(big)};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_NODE,
                                      .resource_name = SLICE_EMPTY,
                                      .pairs = &pair,
                                      .pair_count = 1};
    while (error == ERROR_NONE && number++ < 2000)
        error = propose_and_wait(f, &command).error;
    assert_int_equal(error, ERROR_DISK_FULL);
    assert_int_equal(unlink(filler), 0);
    for (int i = 0; i < 100 && error != ERROR_NONE; i++) {
        error = make_topic(f, 1);
        if (error != ERROR_NONE) { /* libraft looks again every half second. */
            for (int turns = 0; turns < 10; turns++)
                uv_run(&f->loop, UV_RUN_ONCE);
        }
    }
    assert_int_equal(error, ERROR_NONE);
    uint64_t hash = catalog_hash(f->catalog);
    fixture_close(f);
    assert_int_equal(fixture_open(f), ERROR_NONE);
    assert_int_equal(catalog_hash(f->catalog), hash);
    fixture_close(f);
    assert_int_equal(umount(small), 0);
}

int main(void)
{
#define WITH_ENGINE(name)                                                                          \
    cmocka_unit_test_setup_teardown(name, engine_fixture_setup, engine_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_ENGINE(a_proposal_is_applied_and_answered),
        WITH_ENGINE(proposals_in_flight_keep_their_order),
        WITH_ENGINE(a_restart_recovers_the_log),
        WITH_ENGINE(a_restart_recovers_snapshot_and_log),
        WITH_ENGINE(closing_answers_every_proposal),
        WITH_ENGINE(an_engine_may_be_closed_before_it_is_ready),
        WITH_ENGINE(a_directory_that_cannot_be_is_named),
        WITH_ENGINE(a_damaged_segment_is_refused_and_named),
        WITH_ENGINE(damaged_votes_are_refused),
        WITH_ENGINE(a_missing_log_is_refused),
        WITH_ENGINE(a_killed_node_loses_nothing_it_acknowledged),
        WITH_ENGINE(a_damaged_open_segment_is_refused_and_named),
        WITH_ENGINE(a_write_that_was_cut_off_is_dropped),
        WITH_ENGINE(a_full_disk_refuses_until_there_is_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
