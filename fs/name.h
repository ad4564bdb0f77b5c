/* SPDX-License-Identifier: Apache-2.0 */
/* File names for things whose names may hold anything, and back.
 *
 * Root entries that begin with '.' are the filesystem's own: topic ".groups" is shown as
 * "%2Egroups". Group ids keep [A-Za-z0-9._+:@=-] but a leading '.', everything else is %XX; ids
 * longer than NAME_ESCAPED_MAX bytes escaped have no file name of their own. Any thread. */
#ifndef FS_NAME_H
#define FS_NAME_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FILE_NAME_BYTES_MAX = 255,
    NAME_ESCAPED_MAX = 200, /* Of a group id, escaped. */
};

/* The file name of a topic; topic names are at most 249 bytes. */
void name_of_topic(const char *topic, char ret_name[FILE_NAME_BYTES_MAX + 1]);

/* The topic that a root entry's name stands for. False when no topic can have that file name. */
bool name_to_topic(const char *name, char ret_topic[FILE_NAME_BYTES_MAX + 1]);

/* The file name of a group id; "%~empty" for the empty one. False when it is too long. */
bool name_of_group(struct slice id, char ret_name[FILE_NAME_BYTES_MAX + 1]);

/* The id that the file name stands for, NUL-terminated. False when no group can have that name: a
 * byte that would have been escaped, or an escape that would not. */
bool name_to_group(const char *name, char ret_id[FILE_NAME_BYTES_MAX + 1], size_t *ret_size);

/* A partition's file name: decimal, no sign, no leading zero. */
bool name_to_partition(const char *name, int32_t *ret_index);

#endif
