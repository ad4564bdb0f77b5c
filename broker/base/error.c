/* SPDX-License-Identifier: Apache-2.0 */
/* The error list's three columns as functions, and the text that travels with a failure. */
#include "base/error.h"

#include "base/assertion.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct error_row {
    const char *name;
    const char *text;
    int errno_value;
    int16_t kafka;
};

static const struct error_row rows[ERROR_COUNT] = {
#define ERROR_ROW(name, kafka, errno_value, text) {#name, text, errno_value, kafka},
    ERROR_LIST(ERROR_ROW)
#undef ERROR_ROW
};

static const struct error_row *row_of(enum error error)
{
    ASSERT((int)error >= 0 && error < ERROR_COUNT);
    return &rows[error];
}

int16_t error_to_kafka(enum error error)
{
    return row_of(error)->kafka;
}

enum error error_from_kafka(int16_t code)
{
    for (int error = 0; error < ERROR_COUNT; error++) {
        if (rows[error].kafka == code)
            return (enum error)error;
    }
    return ERROR_UNKNOWN_SERVER;
}

int error_to_errno(enum error error)
{
    return row_of(error)->errno_value;
}

const char *error_text(enum error error)
{
    return row_of(error)->text;
}

const char *error_name(enum error error)
{
    return row_of(error)->name;
}

enum error error_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return ERROR_NONE;
    case ENOSPC:
    case EDQUOT:
        return ERROR_DISK_FULL;
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_EXISTS;
    case ENOMEM:
        return ERROR_OUT_OF_MEMORY;
    case EINTR:
        return ERROR_INTERRUPTED;
    default:
        return ERROR_STORAGE;
    }
}

enum error failure_at(struct failure *failure, enum error code, const char *format, ...)
{
    ASSERT(code != ERROR_NONE);
    if (failure == NULL)
        return code;

    char step[sizeof failure->where];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(step, sizeof step, format, arguments);
    va_end(arguments);

    char inner[sizeof failure->where];
    if (failure->code == ERROR_NONE) {
        failure->code = code;
        (void)snprintf(inner, sizeof inner, "%s", error_text(code));
    } else {
        memcpy(inner, failure->where, sizeof inner);
    }
    size_t used = strlen(step);
    memcpy(failure->where, step, used + 1);
    (void)snprintf(failure->where + used, sizeof failure->where - used, ": %s", inner);
    return code;
}

enum error failure_because(struct failure *failure, enum error code, const char *format, ...)
{
    ASSERT(code != ERROR_NONE);
    if (failure == NULL)
        return code;
    ASSERT(failure->code == ERROR_NONE);
    failure->code = code;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failure->where, sizeof failure->where, format, arguments);
    va_end(arguments);
    return code;
}
