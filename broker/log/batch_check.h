/* SPDX-License-Identifier: Apache-2.0 */
/* Telling batches from other bytes in a segment file that may be torn or damaged. */
#ifndef BROKER_LOG_BATCH_CHECK_H
#define BROKER_LOG_BATCH_CHECK_H

#include "log/segment.h"
#include "record/validate.h"

/* One batch read back; bytes are owned and NULL unless valid. */
struct batch_check {
    struct codec_context codec;
    uint8_t *bytes;
    struct batch_facts facts;
};

void batch_check_init(struct batch_check *check);
void batch_check_done(struct batch_check *check);

/* Whether a whole sound batch lies at `position` of a file that ends at `end`. An error is the
 * disk's or memory's, or UNSUPPORTED_FOR_MESSAGE_FORMAT for a message of Kafka before 0.11. */
enum error batch_check_at(struct batch_check *check, struct segment *segment, uint64_t position,
                          uint64_t end, bool *ret_valid);

/* The next place in [position, end) where a batch with a matching checksum begins whose offsets are
 * at least `offset_min`. *ret_found is false when there is none. When telling costs too many bytes
 * (hostile contents) it answers true, *ret_position being `end`. */
enum error batch_search(struct segment *segment, uint64_t position, uint64_t end,
                        int64_t offset_min, bool *ret_found, uint64_t *ret_position);

/* Whether [position, end) looks as if a write there never reached the disk: a header, a sector or
 * an end of zeros. */
enum error batch_hole_at(struct segment *segment, uint64_t position, uint64_t end, bool *ret_hole);

/* Whether an unsound batch at `position`, which should begin at `offset`, was once written whole:
 * its length is there, the file holds all of it, and no sector of it is missing. A crash leaves no
 * such thing; its bytes changed later. *ret_end_offset: the offset behind it, as far as it still
 * says. */
enum error batch_was_whole(struct segment *segment, uint64_t position, uint64_t end, int64_t offset,
                           bool *ret_whole, int64_t *ret_end_offset);

#endif
