/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the files of a partition directory, made and parsed. */
#include "log/file_name.h"

#include "base/assertion.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void file_path(const struct file_place *place, const char *suffix, char *ret_path)
{
    int length = snprintf(ret_path, FILE_PATH_BYTES, "%s/%020" PRId64 "%s", place->directory,
                          place->base_offset, suffix);
    ASSERT(length > 0 && length < FILE_PATH_BYTES);
}

void file_path_in(const char *directory, const char *name, char *ret_path)
{
    int length = snprintf(ret_path, FILE_PATH_BYTES, "%s/%s", directory, name);
    ASSERT(length > 0 && length < FILE_PATH_BYTES);
}

bool file_name_parse(const char *name, int64_t *ret_offset, const char **ret_suffix)
{
    int64_t offset = 0;
    for (int i = 0; i < FILE_OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        if (__builtin_mul_overflow(offset, 10, &offset) ||
            __builtin_add_overflow(offset, name[i] - '0', &offset))
            return false;
    }
    if (name[FILE_OFFSET_DIGITS] != '.')
        return false;
    *ret_offset = offset;
    *ret_suffix = name + FILE_OFFSET_DIGITS;
    return true;
}

enum error file_remove(const struct file_place *place, const char *suffix)
{
    char path[FILE_PATH_BYTES];
    file_path(place, suffix, path);
    enum error error = storage_remove(place->storage, path);
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}
