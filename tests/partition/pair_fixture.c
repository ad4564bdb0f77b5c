/* SPDX-License-Identifier: Apache-2.0 */
/* Replication by hand. */
#include "pair_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

static struct partition *assign(struct partition_fixture *f, char name, int32_t leader,
                                int32_t leader_epoch)
{
    const char topic[] = {name, '\0'};
    struct uuid id = fixture_id((uint8_t)name);
    struct partition_assignment assignment = partition_assigned_alone(leader, leader_epoch);
    struct partition *partition = NULL;
    assert_int_equal(
        partition_table_assign(f->table, topic, &id, 0, &f->config, &assignment, &partition, NULL),
        ERROR_NONE);
    return partition;
}

struct partition *pair_lead(struct partition_fixture *f, char name, int32_t leader_epoch)
{
    return assign(f, name, 0, leader_epoch);
}

struct partition *pair_follow(struct partition_fixture *f, char name, int32_t leader_epoch)
{
    return assign(f, name, 9, leader_epoch);
}

void pair_append(struct partition_fixture *f, struct partition *leader, int count)
{
    for (int i = 0; i < count; i++) {
        struct fixture_append append;
        fixture_append_start(leader, &append, 1, 1, FIXTURE_WAIT_MS);
        fixture_run(f);
        assert_int_equal(append.append.error, ERROR_NONE);
        fixture_append_done(&append);
    }
}

struct truncating {
    struct partition_truncation truncation;
    bool ended;
};

static void truncated(struct partition_truncation *truncation)
{
    container_of(truncation, struct truncating, truncation)->ended = true;
}

static bool has_ended(void *context)
{
    return ((struct truncating *)context)->ended;
}

static enum error truncating_run(struct partition_fixture *f, struct truncating *truncating)
{
    assert_false(truncating->ended);
    assert_true(simulated_executor_run_until(f->events, has_ended, truncating, FIXTURE_WAIT_MS));
    return truncating->truncation.error;
}

enum error pair_truncate(struct partition_fixture *f, struct partition *follower,
                         int32_t leader_epoch, struct partition_divergence divergence)
{
    struct truncating truncating = {.truncation.done = truncated};
    partition_truncate_replica(follower, leader_epoch, divergence, &truncating.truncation);
    return truncating_run(f, &truncating);
}

enum error pair_reset(struct partition_fixture *f, struct partition *follower, int32_t leader_epoch,
                      int64_t offset)
{
    struct truncating truncating = {.truncation.done = truncated};
    partition_reset_replica(follower, leader_epoch, offset, &truncating.truncation);
    return truncating_run(f, &truncating);
}

static uint8_t *slice_bytes(struct log_slice *slice)
{
    uint8_t *bytes = memory_allocate_raw(slice->size + 1);
    assert_non_null(bytes);
    size_t size = 0;
    if (slice->size > 0)
        assert_int_equal(storage_read(slice->file, slice->position, bytes, slice->size, &size),
                         ERROR_NONE);
    assert_int_equal(size, slice->size);
    return bytes;
}

bool pair_fetch(struct partition_fixture *f, struct partition *leader, struct partition *follower)
{
    int32_t epoch = partition_leader_epoch(leader);
    assert_int_equal(partition_leader_epoch(follower), epoch);
    struct partition_position position;
    assert_int_equal(partition_position(follower, &position), ERROR_NONE);
    struct log_slice slice;
    struct partition_offsets offsets;
    struct partition_divergence divergence;
    enum error error =
        partition_read_replica(leader, epoch, position.last_epoch, position.end_offset, 1 << 20,
                               true, &slice, &offsets, &divergence);
    if (error == ERROR_OFFSET_OUT_OF_RANGE) {
        assert_true(position.end_offset < offsets.log_start_offset);
        assert_int_equal(pair_reset(f, follower, epoch, offsets.log_start_offset), ERROR_NONE);
        return true;
    }
    assert_int_equal(error, ERROR_NONE);
    if (divergence.epoch >= 0) {
        assert_int_equal(pair_truncate(f, follower, epoch, divergence), ERROR_NONE);
        return true;
    }
    uint8_t *bytes = slice_bytes(&slice);
    struct partition_batches batches;
    assert_int_equal(partition_batches_check(bytes, slice.size, NULL, &batches), ERROR_NONE);
    assert_int_equal(partition_append_replica(follower, epoch, &batches), ERROR_NONE);
    bool any = batches.count > 0;
    partition_batches_done(&batches);
    memory_free(bytes);
    log_slice_release(&slice);
    fixture_run(f);
    assert_int_equal(partition_replica_high_watermark(follower, epoch, offsets.high_watermark,
                                                      offsets.log_start_offset),
                     ERROR_NONE);
    return any;
}

int pair_replicate(struct partition_fixture *f, struct partition *leader,
                   struct partition *follower)
{
    int truncations = 0;
    for (int rounds = 0;; rounds++) {
        assert_true(rounds < 100);
        struct partition_position before, after;
        assert_int_equal(partition_position(follower, &before), ERROR_NONE);
        bool any = pair_fetch(f, leader, follower);
        assert_int_equal(partition_position(follower, &after), ERROR_NONE);
        if (any && (after.end_offset < before.end_offset || after.last_epoch < before.last_epoch))
            truncations++;
        if (!any)
            return truncations;
    }
}

uint8_t *pair_read(struct partition *partition, int64_t offset, size_t *ret_size)
{
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    struct log_slice slice;
    assert_int_equal(log_read(log, offset, 1 << 20, true, LOG_READ_END, &slice), ERROR_NONE);
    uint8_t *bytes = slice_bytes(&slice);
    *ret_size = slice.size;
    log_slice_release(&slice);
    return bytes;
}

void pair_expect_equal(struct partition *one, struct partition *other)
{
    struct partition_position first, second;
    assert_int_equal(partition_position(one, &first), ERROR_NONE);
    assert_int_equal(partition_position(other, &second), ERROR_NONE);
    assert_int_equal(first.end_offset, second.end_offset);
    int64_t from = first.log_start_offset > second.log_start_offset ? first.log_start_offset
                                                                    : second.log_start_offset;
    size_t size, other_size;
    uint8_t *bytes = pair_read(one, from, &size);
    uint8_t *other_bytes = pair_read(other, from, &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(bytes, other_bytes, size);
    memory_free(bytes);
    memory_free(other_bytes);
}
