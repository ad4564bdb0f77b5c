/* SPDX-License-Identifier: Apache-2.0 */
/* Recovering a segment nobody vouches for: every batch is checked, the indexes are made anew, and
 * where the batches stop being sound it is decided whether that is the end of what was written
 * (cut) or damage to what was (kept, reported, not served).
 *
 * Above the recovery point:
 *   | sound | sound | ? ..               the file ends in it, or zeros in it: a torn tail, cut
 *   | sound | ? .. zeros | sound |       a hole: writes lost out of order in a crash, cut
 *   | sound | sound | ? whole |          every sector of it was written: damage
 *   | sound | ? | sound | sound |        damage
 * Below it all was synced, so that no crash explains it: damage.
 */
#include "log/batch_check.h"
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/transaction_index.h"

#include <inttypes.h>

/* A sound batch that waits for the next one: a header's offset and epoch lie outside its checksum,
 * so where they jump, only what follows can confirm them. */
struct pending_batch {
    bool there;
    bool offset_jumps;
    bool epoch_jumps;
    uint64_t position;
    uint8_t *bytes; /* Owned; the header points into it. */
    struct batch_header header;
    int64_t text_bytes;
};

struct recover {
    struct log *log;
    struct segment *segment;
    struct log_recovery *recovery;
    struct batch_check check;
    struct pending_batch pending;
    uint64_t end;     /* Of the file. */
    int64_t expected; /* The offset behind the last sound batch. */
    int32_t epoch;    /* Of the last sound batch, -1 so far. */
};

/* Above the recovery point the batch is right: no sync has covered it, and the epoch file may be
 * older than it. Later epochs in the file are those of batches that were cut, or come again. */
static enum error epochs_agree(struct recover *recover, const struct batch_header *header)
{
    struct epoch_cache *epochs = &recover->log->epochs;
    int32_t epoch = header->leader_epoch;
    int64_t last_offset = batch_last_offset(header);
    if (epoch < 0 || epoch_cache_at(epochs, last_offset) == epoch)
        return ERROR_NONE;
    bool synced = header->base_offset < recover->recovery->recovery_point;
    if (synced && epoch <= epoch_cache_latest(epochs))
        return ERROR_NONE;
    recover->recovery->epochs_changed = true;
    epoch_cache_drop_above(epochs, epoch);
    if (epoch_cache_at(epochs, last_offset) == epoch)
        return ERROR_NONE;
    return epoch_cache_assign(epochs, epoch, header->base_offset);
}

static enum error pending_apply(struct recover *recover)
{
    struct pending_batch *pending = &recover->pending;
    if (!pending->there)
        return ERROR_NONE;
    struct log *log = recover->log;
    ASSERT(pending->position == recover->segment->size_bytes);
    enum error error = producer_state_reserve(&log->producers, &pending->header);
    if (error == ERROR_NONE)
        error = segment_note(recover->segment, &pending->header, pending->text_bytes,
                             log->config.index_interval_bytes);
    if (error == ERROR_NONE)
        error = log_producer_note(log, recover->segment, &pending->header);
    if (error == ERROR_NONE && recover->recovery->epochs_known)
        error = epochs_agree(recover, &pending->header);
    memory_free(pending->bytes);
    *pending = (struct pending_batch){0};
    return error;
}

static void pending_drop(struct recover *recover)
{
    memory_free(recover->pending.bytes);
    recover->pending = (struct pending_batch){0};
}

/* Takes the checked batch as the pending one. */
static void pending_set(struct recover *recover, uint64_t position)
{
    const struct batch_header *header = &recover->check.facts.header;
    const struct epoch_cache *epochs = &recover->log->epochs;
    /* Its last offset: the log may start inside the batch, and so do the epochs known then. */
    const struct log_recovery *recovery = recover->recovery;
    bool epoch_known = recovery->epochs_known &&
                       epoch_cache_at(epochs, batch_last_offset(header)) == header->leader_epoch;
    /* What no sync has covered may have come without the file that says when its epoch began. */
    bool epoch_may_be = header->base_offset >= recovery->recovery_point &&
                        header->leader_epoch <= recovery->leader_epoch;
    recover->pending = (struct pending_batch){
        .there = true,
        .offset_jumps = header->base_offset > recover->expected,
        .epoch_jumps = recover->epoch >= 0 && header->leader_epoch > recover->epoch &&
                       !epoch_known && !epoch_may_be,
        .position = position,
        .bytes = recover->check.bytes,
        .header = *header,
        .text_bytes = (int64_t)recover->check.facts.text_bytes,
    };
    recover->pending.header.bytes = recover->check.bytes;
    recover->check.bytes = NULL;
    recover->expected = batch_last_offset(header) + 1;
    if (header->leader_epoch >= 0)
        recover->epoch = header->leader_epoch;
}

/* Whether the checked batch can follow what came before it. */
static bool follows(const struct recover *recover)
{
    const struct batch_header *header = &recover->check.facts.header;
    return header->base_offset >= recover->expected &&
           batch_last_offset(header) - recover->segment->place.base_offset <= INT32_MAX &&
           (header->leader_epoch < 0 || header->leader_epoch >= recover->epoch);
}

static bool pending_jumps(const struct recover *recover)
{
    return recover->pending.there &&
           (recover->pending.offset_jumps || recover->pending.epoch_jumps);
}

/* Whether a jump of the last sound batch, which ends at `position`, is to be believed. */
static bool jump_holds(const struct recover *recover, uint64_t position)
{
    const struct log_recovery *recovery = recover->recovery;
    if (recovery->recovery_point == recover->expected)
        return true; /* Synced as it is. */
    if (position < recover->end)
        return false; /* What is behind it should have confirmed it. */
    if (recovery->next_base >= 0)
        return recovery->next_base >= recover->expected;
    if (recover->pending.offset_jumps && !recover->log->config.compact_enabled)
        return false;
    /* Invariant 5: the epoch file would know the epoch. */
    return !recovery->epochs_known || !recover->pending.epoch_jumps ||
           recover->pending.header.leader_epoch <= epoch_cache_latest(&recover->log->epochs);
}

/* Walks the sound batches; *ret_position is where they end, *ret_offset the offset lost there. */
static enum error batches_walk(struct recover *recover, uint64_t *ret_position)
{
    uint64_t position = 0;
    for (;;) {
        bool valid = false;
        enum error error = ERROR_NONE;
        if (position < recover->end)
            error =
                batch_check_at(&recover->check, recover->segment, position, recover->end, &valid);
        if (error != ERROR_NONE)
            return error;
        bool next = valid && follows(recover);
        if (!next && pending_jumps(recover) && !jump_holds(recover, position)) {
            *ret_position = recover->pending.position;
            pending_drop(recover);
            return ERROR_NONE;
        }
        error = pending_apply(recover);
        if (error != ERROR_NONE)
            return error;
        if (!next) {
            *ret_position = position;
            return ERROR_NONE;
        }
        size_t size = recover->check.facts.header.size;
        pending_set(recover, position);
        position += size;
    }
}

/* The offset behind the last sound batch anywhere behind `position`. */
static enum error damage_end(struct recover *recover, uint64_t position, int64_t *ret_offset)
{
    int64_t offset = recover->segment->next_offset;
    for (;;) {
        bool found;
        enum error error =
            batch_search(recover->segment, position, recover->end, offset, &found, &position);
        if (error != ERROR_NONE)
            return error;
        if (!found || position == recover->end)
            break;
        bool valid = true;
        while (valid && position < recover->end) {
            error =
                batch_check_at(&recover->check, recover->segment, position, recover->end, &valid);
            if (error != ERROR_NONE)
                return error;
            int64_t last = batch_last_offset(&recover->check.facts.header);
            if (!valid || last < offset || last - recover->segment->place.base_offset > INT32_MAX)
                break;
            offset = last + 1;
            position += recover->check.facts.header.size;
        }
        position++;
    }
    *ret_offset = offset;
    return ERROR_NONE;
}

static enum error segment_cut(struct recover *recover, uint64_t position)
{
    enum error error = storage_truncate(recover->segment->file, position);
    /* Or a second crash could bring the cut bytes back behind what is appended until then. */
    if (error == ERROR_NONE)
        error = storage_sync(recover->segment->file);
    recover->segment->unsynced = true;
    recover->recovery->cut = true;
    recover->log->tail_cut_bytes += recover->end - position;
    return error;
}

/* Keeps what follows `position` and serves nothing of it. Its offsets are not given again. */
static void damage_note(struct recover *recover, uint64_t position, int64_t next_offset)
{
    struct log *log = recover->log;
    struct segment *segment = recover->segment;
    if (!log_damaged(log))
        log->damage =
            (struct log_damage){segment->next_offset, segment->place.base_offset, position};
    if (next_offset > segment->next_offset)
        segment->next_offset = next_offset;
}

/* Whether a crash can have left this at `position`: never below the recovery point, which is
 * synced; above it where writes are missing, by the file's end or by a hole. `found_at` is where
 * sound batches go on, or the end of the file. */
static enum error crash_explains(struct recover *recover, uint64_t position, bool found,
                                 uint64_t found_at, bool *ret_crash, int64_t *ret_next_offset)
{
    int64_t offset = recover->segment->next_offset;
    *ret_crash = false;
    if (offset < recover->recovery->recovery_point)
        return ERROR_NONE;
    bool hole = true;
    enum error error = ERROR_NONE;
    if (found)
        error = batch_hole_at(recover->segment, position, found_at, &hole);
    bool whole = false;
    if (error == ERROR_NONE && !found)
        error = batch_was_whole(recover->segment, position, recover->end, offset, &whole,
                                ret_next_offset);
    *ret_crash = hole && !whole;
    return error;
}

/* What follows `position` is not sound: the end of what was written, or damage? */
static enum error unsound_judge(struct recover *recover, uint64_t position)
{
    struct segment *segment = recover->segment;
    const struct log_recovery *recovery = recover->recovery;
    int64_t next_offset = segment->next_offset;
    bool found;
    uint64_t found_at = recover->end;
    enum error error =
        batch_search(segment, position + 1, recover->end, next_offset, &found, &found_at);
    bool crash = false;
    if (error == ERROR_NONE)
        error = crash_explains(recover, position, found, found_at, &crash, &next_offset);
    if (error == ERROR_NONE && crash)
        return segment_cut(recover, position);
    if (error == ERROR_NONE && found && recovery->next_base < 0)
        error = damage_end(recover, found_at, &next_offset);
    if (error != ERROR_NONE)
        return error;
    if (next_offset < recovery->recovery_point)
        next_offset = recovery->recovery_point;
    damage_note(recover, position, recovery->next_base < 0 ? next_offset : recovery->next_base);
    return ERROR_NONE;
}

static enum error segment_walk(struct recover *recover)
{
    struct segment *segment = recover->segment;
    const struct log_recovery *recovery = recover->recovery;
    uint64_t position;
    enum error error = batches_walk(recover, &position);
    if (error != ERROR_NONE)
        return error;
    ASSERT(position == segment->size_bytes);
    if (position < recover->end)
        return unsound_judge(recover, position);
    /* Our own segments follow each other without a gap: offsets missing above the recovery point
     * are the end of this file, lost in a crash that kept the next file. */
    if (recovery->next_base > segment->next_offset && !recover->log->config.compact_enabled &&
        segment->next_offset >= recovery->recovery_point)
        recover->recovery->cut = true;
    return ERROR_NONE;
}

enum error log_segment_recover(struct log *log, struct segment *segment,
                               struct log_recovery *recovery, struct failure *failure)
{
    struct recover recover = {.log = log,
                              .segment = segment,
                              .recovery = recovery,
                              .end = segment->size_bytes,
                              .expected = segment->place.base_offset,
                              .epoch = -1};
    enum error error = ERROR_NONE;
    if (!recovery->producers_ready)
        error = log_producers_seek(log, segment->place.base_offset);
    if (error == ERROR_NONE)
        error = file_remove(&segment->place, TRANSACTION_INDEX_SUFFIX);
    if (error == ERROR_NONE)
        error = segment_index_reset(segment);
    if (error != ERROR_NONE)
        return error;
    batch_check_init(&recover.check);
    error = segment_walk(&recover);
    pending_drop(&recover);
    batch_check_done(&recover.check);
    if (error == ERROR_NONE && recovery->next_base >= 0 && !recovery->cut)
        error = segment_seal(segment);
    recovery->producers_ready = true;
    log->directory_unsynced = true;
    if (error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        return failure_at(failure, error, "a message of Kafka before 0.11 (magic 0 or 1)");
    return error;
}
