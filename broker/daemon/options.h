/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. */
#ifndef BROKER_DAEMON_OPTIONS_H
#define BROKER_DAEMON_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
    bool foreground;         /* -f */
    bool no_mount;           /* --no-mount */
    bool help_config;        /* --help=config */
    const char *config_file; /* -c; NULL: none. */
    const char *mount_point; /* NULL with no_mount. */
    char **mount_options;    /* -o, each as given; points into the command line. */
    size_t mount_option_count;
    char **overrides; /* --override, "key=value". */
    size_t override_count;
};

/* Prints and exits for --help, --version and a command line that makes no sense. */
enum error options_parse(int argc, char **argv, struct options *ret_options);
void options_done(struct options *options);

#endif
