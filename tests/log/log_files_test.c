/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash leaves in a partition directory, and whose directory it is. */
#include "log/fixture.h"

static bool is_there(struct fixture *fixture, const char *path)
{
    uint64_t size;
    return simulated_storage_contents(fixture->disk, path, &size) != NULL;
}

static void file_copy(struct fixture *fixture, const char *from, const char *to)
{
    uint64_t size;
    const uint8_t *bytes = simulated_storage_contents(fixture->disk, from, &size);
    assert_non_null(bytes);
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    struct storage_file *file;
    assert_int_equal(storage_open(fixture->storage, to,
                                  STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE, &file),
                     ERROR_NONE);
    assert_int_equal(storage_write(file, 0, copy, size), ERROR_NONE);
    storage_close(file);
    free(copy);
}

static void closed_log(struct fixture *fixture)
{
    fixture_init(fixture, 91);
    fixture->config.segment_bytes = 1000;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < 40; i++)
        fixture_append(fixture->log, 2, 0);
    fixture_close(fixture, true);
}

#define AT(name) FIXTURE_DIRECTORY "/" name
#define FIRST "00000000000000000000"

/* Temporary files, deleted segments and indexes without a .log go; others stay. */
static void leftovers_are_removed(void **state)
{
    (void)state;
    static const char *const gone[] = {AT(FIRST ".log.cleaned"),
                                       AT(FIRST ".index.cleaned"),
                                       AT("00000000000000000077.log.deleted"),
                                       AT("partition.metadata.tmp"),
                                       AT("00000000000000000077.index"),
                                       AT("00000000000000000077.lineindex"),
                                       AT("00000000000000000077.timeindex.swap")};
    static const char *const kept[] = {AT("notes.txt"), AT("00000000000000000077.other")};
    struct fixture fixture;
    closed_log(&fixture);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        file_copy(&fixture, AT(FIRST ".index"), gone[i]);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        file_copy(&fixture, AT(FIRST ".index"), kept[i]);
    fixture_open(&fixture, true, 80);
    assert_int_equal(fixture_verify(fixture.log, 0), 80);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        assert_false(is_there(&fixture, gone[i]));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_true(is_there(&fixture, kept[i]));
    fixture_done(&fixture);
}

/* A swap that was complete is finished; one that was not is undone. */
static void a_swap_is_finished_or_undone(void **state)
{
    (void)state;
    for (int complete = 0; complete < 2; complete++) {
        struct fixture fixture;
        closed_log(&fixture);
        file_copy(&fixture, AT(FIRST ".log"), AT(FIRST ".log.swap"));
        file_copy(&fixture, AT(FIRST ".index"), AT(FIRST ".index.swap"));
        if (complete) /* The segment it replaces is gone already. */
            assert_int_equal(storage_remove(fixture.storage, AT(FIRST ".log")), ERROR_NONE);
        else
            file_copy(&fixture, AT(FIRST ".index"), AT(FIRST ".timeindex.cleaned"));
        fixture_open(&fixture, true, 80);
        assert_int_equal(log_start_offset(fixture.log), 0);
        assert_int_equal(fixture_verify(fixture.log, 0), 80);
        assert_false(is_there(&fixture, AT(FIRST ".log.swap")));
        assert_false(is_there(&fixture, AT(FIRST ".index.swap")));
        fixture_done(&fixture);
    }
}

/* The topic id is written once, kept, and another one refused. */
static void another_topics_directory_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    closed_log(&fixture);
    struct log_open_options options = {.storage = fixture.storage,
                                       .executor = fixture.executor,
                                       .directory = FIXTURE_DIRECTORY,
                                       .config = fixture.config,
                                       .recovery_point = 0,
                                       .log_start_offset = -1};
    struct failure failure = {0};
    options.topic_id = (struct uuid){{9, 9}};
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_INCONSISTENT_TOPIC_ID);
    options.topic_id = UUID_ZERO;
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_NONE);
    struct uuid id = log_topic_id(fixture.log);
    assert_true(uuid_equals(&id, &(struct uuid){{1, 2, 3}}));
    fixture_close(&fixture, true);
    assert_int_equal(
        storage_write_whole(fixture.storage, AT("partition.metadata"), "version: 1\n", 11),
        ERROR_NONE);
    /* Cut short where nothing was ever synced: nobody knows whose it is. */
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_INCONSISTENT_TOPIC_ID);
    options.clean = true; /* After a clean stop, too: of a log that could not be opened then. */
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_INCONSISTENT_TOPIC_ID);
    options.clean = false;
    options.recovery_point = 1;
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_MALFORMED);
    static const char rotten[] = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAA!A";
    assert_int_equal(
        storage_write_whole(fixture.storage, AT("partition.metadata"), rotten, sizeof rotten - 1),
        ERROR_NONE);
    options.recovery_point = 0; /* Whole, so that no crash explains it. */
    assert_int_equal(log_open(&options, &fixture.log, &failure), ERROR_MALFORMED);
    fixture_done(&fixture);
}

/* Without `create` an absent directory is NOT_FOUND and stays absent. */
static void an_absent_directory_is_not_made_unasked(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 92);
    struct log_open_options options = {.storage = fixture.storage,
                                       .executor = fixture.executor,
                                       .directory = "absent-0",
                                       .config = fixture.config};
    assert_int_equal(log_open(&options, &fixture.log, NULL), ERROR_NOT_FOUND);
    options.topic_id = (struct uuid){{1}};
    assert_int_equal(log_open(&options, &fixture.log, NULL), ERROR_NOT_FOUND);
    assert_int_equal(storage_make_directory(fixture.storage, "absent-0"), ERROR_NONE);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leftovers_are_removed),
        cmocka_unit_test(a_swap_is_finished_or_undone),
        cmocka_unit_test(another_topics_directory_is_refused),
        cmocka_unit_test(an_absent_directory_is_not_made_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
