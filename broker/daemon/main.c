/* SPDX-License-Identifier: Apache-2.0 */
/* topicfs: a Kafka-compatible node whose topics are a filesystem. */
#include "daemon/node.h"

#include "base/assertion.h"
#include "daemon/mount_point.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct options options;
    if (options_parse(argc, argv, &options) != ERROR_NONE) {
        (void)fprintf(stderr, "topicfs: out of memory\n");
        return EXIT_FAILURE;
    }
    if (options.help_config) {
        settings_print_help();
        options_done(&options);
        return EXIT_SUCCESS;
    }
    struct failure failure = {0};
    struct settings settings = {0};
    struct background background = {.descriptor = -1};
    enum error error = settings_load(&options, &settings, &failure);
    if (error == ERROR_NONE)
        error = mount_point_check(&settings, &failure);
    if (error == ERROR_NONE)
        error = background_begin(&background, options.foreground, &failure);
    int status = EXIT_FAILURE;
    if (error != ERROR_NONE)
        (void)fprintf(stderr, "topicfs: %s\n",
                      failure.code == ERROR_NONE ? error_text(error) : failure.where);
    else
        status = node_run(&settings, &background);
    settings_done(&settings);
    options_done(&options);
    return status;
}
