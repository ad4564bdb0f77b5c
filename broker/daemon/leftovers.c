/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting the data directory at start. */
#include "daemon/leftovers.h"

#include "base/report.h"

#include <stdio.h>

static void partition_found(void *context, const char *topic, int32_t partition, const char *name)
{
    struct broker *broker = context;
    if (partition_table_find(broker->partitions, slice_of(topic), partition) != NULL)
        return;
    char subject[LOG_DIRECTORY_NAME_BYTES + 16];
    (void)snprintf(subject, sizeof subject, "directory=%s", name);
    report(REPORT_WARNING, "stray_directory", subject,
           "reason=\"no topic owns it\" lost=nothing do=\"remove it when nobody misses it\"");
}

/* Not a partition's name: the metadata log, or something of the operator's. */
static void other_found(void *context, const char *name)
{
    (void)context;
    (void)name;
}

enum error leftovers_clear(struct broker *broker, struct log_directory *directory)
{
    return log_directory_each(directory, partition_found, other_found, broker);
}
