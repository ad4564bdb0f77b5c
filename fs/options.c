/* SPDX-License-Identifier: Apache-2.0 */
/* Mount options: one table of rows, a value each. */
#include "fs/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_BYTES_MAX = 128, TIMEOUT_SECONDS_MAX = 86400 };

struct option_row {
    const char *text; /* The whole option as it is written. */
    size_t field;     /* Offset in struct mount_options. */
    bool is_acks;
    int8_t value;
};

#define OPTION_FLAG(text, field, value)                                                            \
    {                                                                                              \
        text, offsetof(struct mount_options, field), false, value                                  \
    }

static const struct option_row rows[] = {
    {"acks=all", offsetof(struct mount_options, acks), true, -1},
    {"acks=-1", offsetof(struct mount_options, acks), true, -1},
    {"acks=1", offsetof(struct mount_options, acks), true, 1},
    {"acks=0", offsetof(struct mount_options, acks), true, 0},
    OPTION_FLAG("isolation=read_committed", read_uncommitted, false),
    OPTION_FLAG("isolation=read_uncommitted", read_uncommitted, true),
    OPTION_FLAG("internal=show", internal_shown, true),
    OPTION_FLAG("internal=hide", internal_shown, false),
    OPTION_FLAG("allow_other", allow_other, true),
    OPTION_FLAG("noallow_other", allow_other, false),
    OPTION_FLAG("ro", read_only, true),
    OPTION_FLAG("rw", read_only, false),
    OPTION_FLAG("crlf=strip", carriage_stripped, true),
    OPTION_FLAG("crlf=keep", carriage_stripped, false),
};

struct mount_options mount_options_default(bool is_root)
{
    return (struct mount_options){.acks = -1, .allow_other = is_root, .write_timeout_ms = 30000};
}

static bool timeout_parse(const char *text, int64_t *ret_ms)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    long seconds = strtol(text, &end, 10);
    if (*end != '\0' || seconds < 1 || seconds > TIMEOUT_SECONDS_MAX)
        return false;
    *ret_ms = (int64_t)seconds * 1000;
    return true;
}

static bool option_apply(const char *option, struct mount_options *options)
{
    if (strncmp(option, "timeo=", 6) == 0)
        return timeout_parse(option + 6, &options->write_timeout_ms);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].text, option) != 0)
            continue;
        char *field = (char *)options + rows[i].field;
        if (rows[i].is_acks)
            *(int8_t *)field = rows[i].value;
        else
            *(bool *)field = rows[i].value != 0;
        return true;
    }
    return false;
}

enum error mount_options_parse(const char *text, struct mount_options *options,
                               struct failure *failure)
{
    struct mount_options result = *options;
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        char option[OPTION_BYTES_MAX];
        if (size >= sizeof option)
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "a mount option of %zu bytes is too long", size);
        memcpy(option, text, size);
        option[size] = '\0';
        if (size > 0 && !option_apply(option, &result))
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "%s is no mount option or not one of its values", option);
        text += size;
        if (*text == ',')
            text++;
    }
    *options = result;
    return ERROR_NONE;
}
