/* SPDX-License-Identifier: Apache-2.0 */
/* At start: what the data directory holds and the catalog does not know of; after an unclean stop
 * then every log. */
#include "partition/replica.h"

#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>

/* Leaves time for the first syncs of what was recovered. */
enum { RECOVERED_CHECKPOINT_MS = 1000 };

static bool is_known(void *context, const char *topic, int32_t index)
{
    return partition_table_find(context, slice_of(topic), index) != NULL;
}

static void report_stray(struct partition_table *table, const char *topic, int32_t index,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

static void report_stray(struct partition_table *table, const char *topic, int32_t index,
                         const char *format, ...)
{
    struct partition_reporter *reporter = table->options.reporter;
    if (reporter == NULL)
        return;
    char detail[2 * LOG_DIRECTORY_NAME_BYTES + 300];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    reporter->report(reporter, REPORT_WARNING, "stray_directory", topic, index, detail);
}

static void stray_found(void *context, const char *topic, int32_t index, const char *name)
{
    struct partition_table *table = context;
    if (!is_known(table, topic, index))
        report_stray(table, topic, index,
                     "directory=%s reason=\"no topic owns it\" lost=nothing do=\"remove it when "
                     "nobody misses it\"",
                     name);
}

static void stray_set_aside(void *context, const char *topic, int32_t index, const char *name)
{
    struct partition_table *table = context;
    if (is_known(table, topic, index))
        return;
    char path[LOG_DIRECTORY_NAME_BYTES + 80];
    enum error error = directory_set_aside(table, name, path);
    report_stray(table, topic, index,
                 "directory=%s renamed=%s error=\"%s\" reason=\"its topic is deleted or unknown\" "
                 "lost=nothing do=\"remove it when nobody misses it\"",
                 name, path, error_text(error));
}

/* Not a partition's: the quorum's, or somebody else's. */
static void other_found(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void open_one(void *context, struct partition *partition)
{
    (void)context;
    (void)partition_open(partition, NULL); /* Reported there; the others go on. */
}

enum error partition_table_sort(struct partition_table *table)
{
    return log_directory_each(table->options.directory, stray_found, other_found, table);
}

void partition_table_recover(struct partition_table *table)
{
    log_directory_retain(table->options.directory, is_known, table);
    /* What cannot be listed or removed now is met again by the next start. */
    (void)log_directory_each(table->options.directory, stray_set_aside, other_found, table);
    partition_table_each(table, open_one, NULL);
    /* What was read again need not be read a third time, should the node go down once more. */
    executor_timer_start(table->options.executor, &table->checkpoint_timer,
                         RECOVERED_CHECKPOINT_MS);
}
