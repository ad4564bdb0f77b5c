/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the files of a partition directory: an offset in 20 digits and a suffix
 * (Kafka: LogFileUtils). */
#ifndef BROKER_LOG_FILE_NAME_H
#define BROKER_LOG_FILE_NAME_H

#include "base/storage.h"

#include <stdbool.h>
#include <stdint.h>

enum { FILE_OFFSET_DIGITS = 20, FILE_PATH_BYTES = 400 };

/* Where the files of one segment are. `directory` belongs to the log. */
struct file_place {
    struct storage *storage;
    const char *directory;
    int64_t base_offset;
};

/* "orders-3/00000000000000004096" + suffix; ret_path has FILE_PATH_BYTES. */
void file_path(const struct file_place *place, const char *suffix, char *ret_path);

/* "orders-3/leader-epoch-checkpoint". */
void file_path_in(const char *directory, const char *name, char *ret_path);

/* Splits "00000000000000004096.index.swap" into the offset and ".index.swap" (in `name`). False
 * when it does not begin with 20 digits of a number that fits int64_t, followed by a dot. */
bool file_name_parse(const char *name, int64_t *ret_offset, const char **ret_suffix);

/* storage_remove, where an absent file is no error. */
enum error file_remove(const struct file_place *place, const char *suffix);

#endif
