/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory of a node (one of log.dirs): identity, Kafka's checkpoint files,
 * clean-shutdown mark. Inside the monitor, except where said. */
#ifndef BROKER_LOG_DIRECTORY_H
#define BROKER_LOG_DIRECTORY_H

#include "base/executor.h"
#include "base/storage.h"
#include "base/uuid.h"

struct log_directory;

struct log_identity {
    struct uuid cluster_id;
    int32_t node_id;
    struct uuid directory_id;
};

/* Reads meta.properties (NOT_FOUND in a fresh directory), the checkpoints and the clean mark, which
 * it then removes. A foreign or damaged meta.properties is an error that names the file. */
enum error log_directory_open(struct storage *storage, struct executor *executor,
                              struct log_directory **ret_directory, struct failure *failure);
void log_directory_close(struct log_directory *directory);

/* Zero ids while the directory is fresh. */
const struct log_identity *log_directory_identity(const struct log_directory *directory);
enum error log_directory_identify(struct log_directory *directory,
                                  const struct log_identity *identity);

/* The last stop was clean (.kafka_cleanshutdown was there). */
bool log_directory_was_clean(const struct log_directory *directory);

/* Checkpointed values by topic and partition; -1 when absent. */
int64_t log_directory_recovery_point(const struct log_directory *directory, const char *topic,
                                     int32_t partition);
int64_t log_directory_start_offset(const struct log_directory *directory, const char *topic,
                                   int32_t partition);
int64_t log_directory_high_watermark(const struct log_directory *directory, const char *topic,
                                     int32_t partition);

/* Remembers values for the next write; -1 leaves one as it is. OUT_OF_MEMORY: nothing changed. */
enum error log_directory_set(struct log_directory *directory, const char *topic, int32_t partition,
                             int64_t recovery_point, int64_t start_offset, int64_t high_watermark);
void log_directory_forget(struct log_directory *directory, const char *topic, int32_t partition);
/* Whether the files still have a partition that was forgotten: log_directory_checkpoint must
 * succeed before a log of that name begins, or after a crash the old offsets are taken for the new
 * log's. */
bool log_directory_owes(const struct log_directory *directory);
/* Forgets every partition for which `keep` says false: those deleted just before a crash. */
void log_directory_retain(struct log_directory *directory,
                          bool (*keep)(void *context, const char *topic, int32_t partition),
                          void *context);

/* Writes recovery-point-offset-checkpoint, log-start-offset-checkpoint and
 * replication-offset-checkpoint, each atomically, if something changed. */
enum error log_directory_checkpoint(struct log_directory *directory);

/* Checkpoints, then leaves the clean mark: last step of a clean stop. */
enum error log_directory_mark_clean(struct log_directory *directory);

/* Names of the partition directories found: calls each(topic, partition, directory name).
 * Directories ending in -delete are removed, others that do not parse are left alone and reported
 * through `stray`. */
enum error log_directory_each(struct log_directory *directory,
                              void (*each)(void *context, const char *topic, int32_t partition,
                                           const char *name),
                              void (*stray)(void *context, const char *name), void *context);

/* "orders", 3 -> "orders-3". ret_name has LOG_DIRECTORY_NAME_BYTES. */
enum { LOG_DIRECTORY_NAME_BYTES = 300 };
void log_directory_name(const char *topic, int32_t partition, char *ret_name);

#endif
