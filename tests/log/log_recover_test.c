/* SPDX-License-Identifier: Apache-2.0 */
/* Files torn, rotten, cut short, missing: what can be made anew is, what cannot is never served. */
#include "log/fixture.h"

#include <stdio.h>

#define SEGMENT_ZERO FIXTURE_DIRECTORY "/00000000000000000000"

/* A closed log of `batches` batches in the first segment. */
static int64_t closed_log(struct fixture *fixture, int batches)
{
    fixture_init(fixture, 11);
    fixture->config.index_interval_bytes = 150;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < batches; i++)
        fixture_append(fixture->log, 1 + i % 4, i / 4);
    int64_t end = log_end_offset(fixture->log);
    assert_int_equal(fixture_sync(fixture->log), ERROR_NONE);
    fixture_close(fixture, true);
    return end;
}

static struct storage_file *file_open(struct fixture *fixture, const char *path)
{
    struct storage_file *file;
    assert_int_equal(storage_open(fixture->storage, path, STORAGE_WRITE | STORAGE_CREATE, &file),
                     ERROR_NONE);
    return file;
}

static void file_truncate(struct fixture *fixture, const char *path, uint64_t size)
{
    struct storage_file *file = file_open(fixture, path);
    assert_int_equal(storage_truncate(file, size), ERROR_NONE);
    storage_close(file);
}

static void file_append(struct fixture *fixture, const char *path, const void *bytes, size_t size)
{
    struct storage_file *file = file_open(fixture, path);
    uint64_t end;
    assert_int_equal(storage_size(file, &end), ERROR_NONE);
    assert_int_equal(storage_write(file, end, bytes, size), ERROR_NONE);
    storage_close(file);
}

static uint64_t size_of(struct fixture *fixture, const char *path)
{
    uint64_t size;
    assert_non_null(simulated_storage_contents(fixture->disk, path, &size));
    return size;
}

/* Everything served by the open log is what was written; returns what could be read. */
static int64_t served(struct fixture *fixture)
{
    enum error error;
    int64_t reached =
        fixture_read_from(fixture->log, log_start_offset(fixture->log), LOG_READ_END, &error);
    if (log_damage(fixture->log).offset >= 0) {
        assert_int_equal(error, ERROR_CORRUPT_MESSAGE);
        assert_int_equal(reached, log_damage(fixture->log).offset);
    } else {
        assert_int_equal(error, ERROR_NONE);
        assert_int_equal(reached, log_end_offset(fixture->log));
    }
    return reached;
}

/* A log that a crash cut at any byte ends with the last batch that is whole. */
static void a_log_cut_at_any_byte_keeps_its_whole_batches(void **state)
{
    (void)state;
    struct fixture first;
    int64_t end = closed_log(&first, 6);
    uint64_t size = size_of(&first, SEGMENT_ZERO ".log");
    fixture_done(&first);
    int64_t last = end;
    for (uint64_t cut = size; cut-- > 0;) {
        struct fixture fixture;
        (void)closed_log(&fixture, 6);
        file_truncate(&fixture, SEGMENT_ZERO ".log", cut);

        fixture_open(&fixture, cut % 2 == 0, 0);

        assert_int_equal(log_damage(fixture.log).offset, -1);
        int64_t reached = served(&fixture);
        assert_true(reached <= last);
        last = reached;
        assert_int_equal(log_end_offset(fixture.log), reached);
        fixture_append(fixture.log, 3, 9);
        (void)served(&fixture);
        fixture_done(&fixture);
    }
    assert_int_equal(last, 0);
}

/* What was synced cannot be missing after a crash: a file cut below the recovery point is damage
 * there, and none of the offsets that were given is given again, however often it is opened. */
static void a_log_cut_below_the_recovery_point_is_damaged(void **state)
{
    (void)state;
    struct fixture first;
    int64_t end = closed_log(&first, 6);
    uint64_t size = size_of(&first, SEGMENT_ZERO ".log");
    fixture_done(&first);
    for (uint64_t cut = size; cut-- > 0;) {
        struct fixture fixture;
        (void)closed_log(&fixture, 6);
        file_truncate(&fixture, SEGMENT_ZERO ".log", cut);
        for (int life = 0; life < 2; life++) {
            fixture_open(&fixture, cut % 2 == 0, end);
            assert_true(log_damage(fixture.log).offset >= 0);
            assert_true(served(&fixture) < end);
            assert_int_equal(log_end_offset(fixture.log), end);
            assert_int_equal(log_recovery_point(fixture.log), end);
            assert_int_equal(fixture_try_append(fixture.log, 1, 9), ERROR_CORRUPT_MESSAGE);
            log_visible_advance(fixture.log, end);
            assert_int_equal(log_tail_cut_bytes(fixture.log), 0);
            fixture_close(&fixture, cut % 2 == 0);
        }
        assert_int_equal(size_of(&fixture, SEGMENT_ZERO ".log"), cut);
        fixture_done(&fixture);
    }
}

/* Rot in the last batch, of which every byte is there, is no torn tail: not below the recovery
 * point, and not above it where the checkpoint is older than the last sync. */
static void rot_in_the_last_batch_is_damage(void **state)
{
    (void)state;
    struct fixture first;
    int64_t end = closed_log(&first, 6);
    uint64_t size = size_of(&first, SEGMENT_ZERO ".log");
    fixture_done(&first);
    int64_t last = end - 2; /* The sixth batch has two records. */
    for (int i = 0; i < 3; i++) {
        const int64_t recovery_points[] = {end, last, 0};
        for (uint64_t bit = 0; bit < 40; bit++) {
            struct fixture fixture;
            (void)closed_log(&fixture, 6);
            simulated_storage_rot(fixture.disk, SEGMENT_ZERO ".log", size - 1 - bit / 8,
                                  (unsigned)(bit % 8));
            /* Only a cleanly closed segment is trusted unread. */
            assert_int_equal(storage_remove(fixture.storage, SEGMENT_ZERO ".lineindex"),
                             ERROR_NONE);
            fixture_open(&fixture, false, recovery_points[i]);
            assert_int_equal(log_damage(fixture.log).offset, last);
            assert_int_equal(log_end_offset(fixture.log), end);
            assert_int_equal(served(&fixture), last);
            assert_int_equal(size_of(&fixture, SEGMENT_ZERO ".log"), size);
            assert_int_equal(fixture_try_append(fixture.log, 1, 9), ERROR_CORRUPT_MESSAGE);
            fixture_done(&fixture);
        }
    }
}

/* The same in the last batch of a sealed segment: the segments behind it are kept. */
static void rot_at_the_end_of_a_sealed_segment_is_damage(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 13);
    fixture.config.segment_bytes = 600;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 30; i++)
        fixture_append(fixture.log, 3, 0);
    int64_t end = log_end_offset(fixture.log);
    uint32_t segments = log_segment_count(fixture.log);
    assert_true(segments > 3);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, false);
    simulated_storage_rot(fixture.disk, SEGMENT_ZERO ".log",
                          size_of(&fixture, SEGMENT_ZERO ".log") - 1, 3);

    fixture_open(&fixture, false, 0);

    assert_true(log_damage(fixture.log).offset > 0);
    assert_int_equal(log_end_offset(fixture.log), end);
    assert_int_equal(log_segment_count(fixture.log), segments);
    (void)served(&fixture);
    fixture_done(&fixture);
}

/* Opens the log with a checkpointed log start. */
static void open_from(struct fixture *fixture, int64_t recovery_point, int64_t start_offset)
{
    struct log_open_options options = {
        .storage = fixture->storage,
        .executor = fixture->executor,
        .directory = FIXTURE_DIRECTORY,
        .config = fixture->config,
        .topic_id = {{1, 2, 3}},
        .recovery_point = recovery_point,
        .log_start_offset = start_offset,
    };
    assert_int_equal(log_open(&options, &fixture->log, NULL), ERROR_NONE);
}

/* The first batch of an epoch, with a torn one behind it and the log's start inside it (so that the
 * epochs on record begin there): it was synced, and stays. */
static void a_synced_batch_of_a_new_epoch_stays_before_a_torn_one(void **state)
{
    (void)state;
    for (int64_t start = 3; start <= 9; start++) {
        for (int known = 0; known < 2; known++) {
            struct fixture fixture;
            fixture_init(&fixture, 14);
            fixture_open(&fixture, false, -1);
            fixture_append(fixture.log, 5, 0);
            fixture_append(fixture.log, 4, 1);
            assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
            int64_t size = log_size_bytes(fixture.log);
            fixture_append(fixture.log, 3, 1);
            log_visible_advance(fixture.log, 9);
            assert_int_equal(log_start_advance(fixture.log, start), ERROR_NONE);
            log_discard(fixture.log);
            fixture.log = NULL;
            file_truncate(&fixture, SEGMENT_ZERO ".log", (uint64_t)size + 70);
            if (known == 0)
                assert_int_equal(
                    storage_remove(fixture.storage, FIXTURE_DIRECTORY "/leader-epoch-checkpoint"),
                    ERROR_NONE);

            open_from(&fixture, 9, start);

            assert_int_equal(log_damage(fixture.log).offset, -1);
            assert_int_equal(log_end_offset(fixture.log), 9);
            assert_int_equal(log_tail_cut_bytes(fixture.log), 70);
            assert_int_equal(fixture_verify(fixture.log, start), 9);
            fixture_done(&fixture);
        }
    }
}

/* The log has begun anew at `start` and keeps what is appended there. */
static void begun_anew(struct fixture *fixture, int64_t start)
{
    assert_int_equal(log_damage(fixture->log).offset, -1);
    assert_int_equal(log_start_offset(fixture->log), start);
    assert_int_equal(log_end_offset(fixture->log), start);
    assert_int_equal(log_segment_count(fixture->log), 1);
    assert_int_equal(log_size_bytes(fixture->log), 0);
    assert_int_equal(log_epoch_latest(fixture->log), -1);
    fixture_append(fixture->log, 3, 9);
    assert_int_equal(fixture_sync(fixture->log), ERROR_NONE);
    fixture_close(fixture, false);
    open_from(fixture, start + 3, start);
    assert_int_equal(log_damage(fixture->log).offset, -1);
    assert_int_equal(log_start_offset(fixture->log), start);
    assert_int_equal(fixture_verify(fixture->log, start), start + 3);
}

/* Records were deleted up to a start above what a crash left of the log: it begins anew there, and
 * no offset is given again. */
static void an_end_below_the_checkpointed_start_begins_anew_at_the_start(void **state)
{
    (void)state;
    struct fixture first;
    int64_t end = closed_log(&first, 6);
    uint64_t size = size_of(&first, SEGMENT_ZERO ".log");
    fixture_done(&first);
    for (uint64_t cut = 0; cut <= size; cut++) {
        struct fixture fixture;
        (void)closed_log(&fixture, 6);
        file_truncate(&fixture, SEGMENT_ZERO ".log", cut);
        open_from(&fixture, 0, end + 5);
        begun_anew(&fixture, end + 5);
        fixture_done(&fixture);
    }
}

/* Also below a recovery point, when nothing that is missing was there to be read. */
static void a_shortened_log_of_deleted_records_begins_anew_at_the_start(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t end = closed_log(&fixture, 6);
    file_truncate(&fixture, SEGMENT_ZERO ".log", 0);
    open_from(&fixture, end, end);
    begun_anew(&fixture, end);
    fixture_done(&fixture);
}

/* A start at the end of the log takes nothing away from it. */
static void a_start_at_the_end_is_no_start_above_it(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t end = closed_log(&fixture, 6);
    uint64_t size = size_of(&fixture, SEGMENT_ZERO ".log");
    open_from(&fixture, end, end);
    assert_int_equal(log_start_offset(fixture.log), end);
    assert_int_equal(log_size_bytes(fixture.log), (int64_t)size);
    fixture_done(&fixture);
}

/* Any one bit wrong in the .log file, opened with a scan: nothing wrong is served. */
static void any_flipped_bit_is_found_or_harmless(void **state)
{
    (void)state;
    struct fixture first;
    int64_t end = closed_log(&first, 5);
    uint64_t size = size_of(&first, SEGMENT_ZERO ".log");
    fixture_done(&first);
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        struct fixture fixture;
        (void)closed_log(&fixture, 5);
        simulated_storage_rot(fixture.disk, SEGMENT_ZERO ".log", bit / 8, (unsigned)(bit % 8));

        /* A third of the time the damage is below what is known to be synced. */
        fixture_open(&fixture, false, bit % 3 == 0 ? end - 1 : 0);

        int64_t reached = served(&fixture);
        assert_true(reached <= end);
        if (log_damage(fixture.log).offset >= 0)
            assert_int_equal(fixture_try_append(fixture.log, 1, 9), ERROR_CORRUPT_MESSAGE);
        fixture_done(&fixture);
    }
}

/* What a file of the log may become without the log losing anything. */
static void side_file_spoil(struct fixture *fixture, const char *path, int how)
{
    static const uint8_t zeros[4096] = {0};
    uint8_t garbage[64];
    memset(garbage, 0xa5, sizeof garbage);
    switch (how) {
    case 0:
        assert_int_equal(storage_remove(fixture->storage, path), ERROR_NONE);
        break;
    case 1: /* As an unclean Kafka preallocates. */
        file_append(fixture, path, zeros, sizeof zeros);
        break;
    case 2:
        file_append(fixture, path, garbage, sizeof garbage);
        break;
    case 3:
        file_append(fixture, path, garbage, 5);
        break;
    default:
        file_truncate(fixture, path, (uint64_t)(how - 4));
        break;
    }
}

static void side_file_is_made_anew(const char *path, bool clean)
{
    struct fixture first;
    (void)closed_log(&first, 30);
    uint64_t size = size_of(&first, path);
    fixture_done(&first);
    for (int how = 0; how < 4 + (int)size; how++) {
        struct fixture fixture;
        int64_t end = closed_log(&fixture, 30);
        side_file_spoil(&fixture, path, how);

        fixture_open(&fixture, clean, clean ? end : 0);

        assert_int_equal(served(&fixture), end);
        log_visible_advance(fixture.log, end);
        assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
        assert_int_equal(log_epoch_at(fixture.log, 0), 0);
        assert_int_equal(log_epoch_latest(fixture.log), 29 / 4);
        for (int64_t offset = 0; offset < end; offset += 3) {
            uint64_t text;
            assert_int_equal(log_text_of_offset(fixture.log, offset, &text), ERROR_NONE);
            assert_int_equal(text, fixture_text_between(0, offset));
        }
        fixture_append(fixture.log, 2, 9);
        fixture_close(&fixture, true);
        fixture_open(&fixture, true, -1);
        assert_int_equal(served(&fixture), end + 2);
        fixture_done(&fixture);
    }
}

/* Index, snapshot and epoch files deleted, cut at any byte, followed by zeros or garbage. */
static void spoilt_indexes_are_made_anew_after_an_unclean_stop(void **state)
{
    (void)state;
    side_file_is_made_anew(SEGMENT_ZERO ".index", false);
    side_file_is_made_anew(SEGMENT_ZERO ".timeindex", false);
    side_file_is_made_anew(SEGMENT_ZERO ".lineindex", false);
}

/* Also after a clean stop, where only a look is taken. */
static void missing_indexes_are_made_anew_after_a_clean_stop(void **state)
{
    (void)state;
    static const char *const paths[] = {SEGMENT_ZERO ".index", SEGMENT_ZERO ".timeindex",
                                        SEGMENT_ZERO ".lineindex"};
    for (int i = 0; i < 3; i++) {
        for (int how = 0; how < 4; how++) {
            struct fixture fixture;
            int64_t end = closed_log(&fixture, 30);
            side_file_spoil(&fixture, paths[i], how == 3 ? 4 : how);
            fixture_open(&fixture, true, end);
            assert_int_equal(served(&fixture), end);
            log_visible_advance(fixture.log, end);
            assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
            fixture_done(&fixture);
        }
    }
}

static void a_spoilt_epoch_file_is_made_anew(void **state)
{
    (void)state;
    side_file_is_made_anew(FIXTURE_DIRECTORY "/leader-epoch-checkpoint", false);
}

/* Damage with sound batches behind it is kept, told, and never served; before it all goes on. */
static void damage_is_contained(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t end = closed_log(&fixture, 30);
    simulated_storage_rot(fixture.disk, SEGMENT_ZERO ".log",
                          size_of(&fixture, SEGMENT_ZERO ".log") / 2, 3);
    uint64_t size = size_of(&fixture, SEGMENT_ZERO ".log");

    fixture_open(&fixture, false, end - 1);

    struct log_damage damage = log_damage(fixture.log);
    assert_true(damage.offset > 0 && damage.offset < end);
    assert_int_equal(log_end_offset(fixture.log), end);
    assert_int_equal(served(&fixture), damage.offset);
    log_visible_advance(fixture.log, end);
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, damage.offset));
    struct log_slice slice;
    assert_int_equal(log_read(fixture.log, end - 1, 100, true, LOG_READ_VISIBLE, &slice),
                     ERROR_CORRUPT_MESSAGE);
    assert_int_equal(fixture_try_append(fixture.log, 1, 9), ERROR_CORRUPT_MESSAGE);
    assert_int_equal(size_of(&fixture, SEGMENT_ZERO ".log"), size);
    fixture_close(&fixture, true);
    fixture_open(&fixture, false, end - 1); /* And is found again. */
    assert_int_equal(log_damage(fixture.log).offset, damage.offset);
    fixture_done(&fixture);
}

/* A message of magic 1 as the first thing in a segment refuses the log, by name. */
static void an_old_message_format_is_refused(void **state)
{
    (void)state;
    uint8_t message[12 + 22 + 5] = {0};
    store_be32(message + 8, 22 + 5);
    message[16] = 1;
    store_be32(message + 26, UINT32_MAX); /* No key. */
    store_be32(message + 30, 5);
    memcpy(message + 34, "hello", 5);
    struct fixture fixture;
    fixture_init(&fixture, 12);
    assert_int_equal(storage_make_directory(fixture.storage, FIXTURE_DIRECTORY), ERROR_NONE);
    file_append(&fixture, SEGMENT_ZERO ".log", message, sizeof message);
    file_append(&fixture, SEGMENT_ZERO ".log", message, sizeof message);

    assert_int_equal(fixture_try_open(&fixture, true, -1), ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_cut_at_any_byte_keeps_its_whole_batches),
        cmocka_unit_test(a_log_cut_below_the_recovery_point_is_damaged),
        cmocka_unit_test(rot_in_the_last_batch_is_damage),
        cmocka_unit_test(rot_at_the_end_of_a_sealed_segment_is_damage),
        cmocka_unit_test(an_end_below_the_checkpointed_start_begins_anew_at_the_start),
        cmocka_unit_test(a_shortened_log_of_deleted_records_begins_anew_at_the_start),
        cmocka_unit_test(a_start_at_the_end_is_no_start_above_it),
        cmocka_unit_test(a_synced_batch_of_a_new_epoch_stays_before_a_torn_one),
        cmocka_unit_test(any_flipped_bit_is_found_or_harmless),
        cmocka_unit_test(spoilt_indexes_are_made_anew_after_an_unclean_stop),
        cmocka_unit_test(missing_indexes_are_made_anew_after_a_clean_stop),
        cmocka_unit_test(a_spoilt_epoch_file_is_made_anew),
        cmocka_unit_test(damage_is_contained),
        cmocka_unit_test(an_old_message_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
