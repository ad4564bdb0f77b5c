/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, read by argp(3). */
#include "daemon/options.h"

#include "base/memory.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A command line that makes no sense; argp finds it by name. */
error_t argp_err_exit_status = 2;

enum { KEY_OVERRIDE = 256, KEY_NO_MOUNT, KEY_HELP, KEY_VERSION };

static const struct argp_option rows[] = {
    {"foreground", 'f', NULL, 0, "Stay in the foreground and report to standard error", 0},
    {"config", 'c', "FILE", 0, "Read server.properties from FILE", 0},
    {"override", KEY_OVERRIDE, "KEY=VALUE", 0, "Set one configuration key, over the file's", 0},
    {"options", 'o', "OPTION[,OPTION]", 0, "Options of the mount", 0},
    {"no-mount", KEY_NO_MOUNT, NULL, 0, "Serve the Kafka port only", 0},
    {"help", KEY_HELP, "config", OPTION_ARG_OPTIONAL,
     "Print this help, or every configuration key with its default", -1},
    {"version", KEY_VERSION, NULL, 0, "Print the version", -1},
    {0},
};

static const char documentation[] =
    "A Kafka-compatible node whose topics are a filesystem.\v"
    "Mounts the cluster's topics at MOUNTPOINT and serves the Kafka protocol, by default on "
    "127.0.0.1:9092. Records are kept in log.dirs, by default /var/lib/topicfs for root and "
    "~/.local/share/topicfs otherwise.\n\n"
    "Without -f the command returns when the mount and the port answer. The node then reports to "
    "topicfs.report and writes its process id to topicfs.pid, both in the data directory. SIGTERM "
    "or umount stops it; SIGHUP opens the report file anew.";

static bool append(char ***list, size_t *count, char *value)
{
    char **longer = memory_resize(*list, (*count + 1) * sizeof **list);
    if (longer == NULL)
        return false;
    longer[(*count)++] = value;
    *list = longer;
    return true;
}

static void check_target(const struct options *options, struct argp_state *state)
{
    if (options->help_config)
        return;
    if (options->mount_point == NULL && !options->no_mount)
        argp_error(state, "a mount point is missing, or --no-mount");
    if (options->mount_point != NULL && options->no_mount)
        argp_error(state, "both a mount point and --no-mount");
    if (options->mount_option_count > 0 && options->no_mount)
        argp_error(state, "both options of a mount and --no-mount");
}

static error_t help(struct options *options, char *topic, struct argp_state *state)
{
    if (topic == NULL) {
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return 0;
    }
    if (strcmp(topic, "config") != 0)
        argp_error(state, "--help knows --help=config");
    options->help_config = true;
    return 0;
}

static error_t option_parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'f':
        options->foreground = true;
        return 0;
    case 'c':
        options->config_file = argument;
        return 0;
    case 'o':
        return append(&options->mount_options, &options->mount_option_count, argument) ? 0 : ENOMEM;
    case KEY_OVERRIDE:
        return append(&options->overrides, &options->override_count, argument) ? 0 : ENOMEM;
    case KEY_NO_MOUNT:
        options->no_mount = true;
        return 0;
    case KEY_HELP:
        return help(options, argument, state);
    case KEY_VERSION:
        printf("topicfs %s\n", TOPICFS_VERSION);
        exit(EXIT_SUCCESS);
    case ARGP_KEY_ARG:
        if (options->mount_point != NULL)
            argp_error(state, "more than one mount point");
        options->mount_point = argument;
        return 0;
    case ARGP_KEY_END:
        check_target(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

enum error options_parse(int argc, char **argv, struct options *ret_options)
{
    static const struct argp parser = {
        rows, option_parse, "MOUNTPOINT\n--no-mount", documentation, NULL, NULL, NULL};
    struct options options = {0};
    if (argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options) != 0) {
        options_done(&options);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_options = options;
    return ERROR_NONE;
}

void options_done(struct options *options)
{
    memory_free(options->mount_options);
    memory_free(options->overrides);
    *options = (struct options){0};
}
