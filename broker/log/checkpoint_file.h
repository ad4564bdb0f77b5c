/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka's checkpoint files (CheckpointFile): text, a version line "0", a line with the number of
 * entries, one entry a line. Read here line by line; written whole by their owners. */
#ifndef BROKER_LOG_CHECKPOINT_FILE_H
#define BROKER_LOG_CHECKPOINT_FILE_H

#include "base/storage.h"

struct checkpoint_reader {
    char *text; /* Owned. */
    const char *next;
    const char *end;
    int64_t count; /* Of entries, as the file says; at most one a byte of it. */
};

/* Reads the file and its first two lines. NOT_FOUND, TOO_LARGE, MALFORMED. */
enum error checkpoint_open(struct storage *storage, const char *path, size_t size_max,
                           struct checkpoint_reader *ret_reader);
void checkpoint_close(struct checkpoint_reader *reader);

/* A decimal number up to `delimiter`, which is taken too. False when there is none. */
bool checkpoint_read_number(struct checkpoint_reader *reader, char delimiter, int64_t *ret_number);

/* A word of at most `size` - 1 characters up to `delimiter`. */
bool checkpoint_read_word(struct checkpoint_reader *reader, char delimiter, char *ret_word,
                          size_t size);

/* Nothing is left. */
bool checkpoint_read_end(const struct checkpoint_reader *reader);

#endif
