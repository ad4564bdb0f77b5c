/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's own options, as `-o name[=value][,...]` gives them (fs/README.md lists them). */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct mount_options {
    int8_t acks;            /* acks=all|1|0: -1, 1, 0. What a write(2) waits for. Default all. */
    bool read_uncommitted;  /* isolation=read_uncommitted. */
    bool internal_shown;    /* internal=show: internal topics are listed. */
    bool allow_other;       /* Default when the caller is root; allow_other, noallow_other. */
    bool read_only;         /* ro. */
    bool carriage_stripped; /* crlf=strip: a '\r' before the '\n' is not part of the record. */
    int64_t
        write_timeout_ms; /* timeo=SECONDS: how long a write waits for its commit. Default 30. */
};

struct mount_options mount_options_default(bool is_root);

/* Reads a comma-separated list over what `options` holds. INVALID_CONFIG names the option that is
 * unknown or has a value that it cannot have; `options` is then as before. */
enum error mount_options_parse(const char *text, struct mount_options *options,
                               struct failure *failure);

#endif
