/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys, put together from one file of rows a subject.
 *
 * Defaults, types and bounds are Apache Kafka 4.3's (LogConfig, ReplicationConfigs,
 * SocketServerConfigs, GroupCoordinatorConfig, TransactionLogConfig, KRaftConfigs) unless the help
 * says otherwise. A key of a feature that is not here is left out on purpose: refusing it is
 * honest, accepting and ignoring it is not. */
#include "catalog/config.h"

/* Number rows: type, key, default, least, most. Text rows: type, key, default, choices. Topic rows
 * then name the node key that gives the default, node rows say whether a change needs a restart. */
#define TOPIC_NUMBER(type_, key_, default_, minimum_, maximum_, synonym_, help_)                   \
    {                                                                                              \
        .scope = CONFIG_TOPIC, .type = CONFIG_##type_, .key = key_, .default_text = default_,      \
        .minimum = minimum_, .maximum = maximum_, .synonym = synonym_, .help = help_               \
    }
#define TOPIC_TEXT(type_, key_, default_, choices_, synonym_, help_)                               \
    {                                                                                              \
        .scope = CONFIG_TOPIC, .type = CONFIG_##type_, .key = key_, .default_text = default_,      \
        .choices = choices_, .synonym = synonym_, .help = help_                                    \
    }
#define NODE_NUMBER(type_, key_, default_, minimum_, maximum_, change_, help_)                     \
    {                                                                                              \
        .scope = CONFIG_NODE, .type = CONFIG_##type_, .key = key_, .default_text = default_,       \
        .minimum = minimum_, .maximum = maximum_, .read_only = (change_) == FIXED, .help = help_   \
    }
#define NODE_TEXT(type_, key_, default_, choices_, change_, help_)                                 \
    {                                                                                              \
        .scope = CONFIG_NODE, .type = CONFIG_##type_, .key = key_, .default_text = default_,       \
        .choices = choices_, .read_only = (change_) == FIXED, .help = help_                        \
    }

/* FIXED needs a restart; LIVE may be altered while the node runs. */
enum { LIVE, FIXED };

#define BOOLEANS "true,false"
#define LONG_MAX_TEXT "9223372036854775807"
#define INT_MAX_TEXT "2147483647"
#define COMPRESSION_TYPES "uncompressed,zstd,lz4,snappy,gzip,producer"
#define GZIP_LEVELS "-1,1,2,3,4,5,6,7,8,9"
/* Of rows accepted so that a server.properties written for Kafka works as it is. */
#define NO_EFFECT ACCEPTED("it tunes Apache Kafka's own machinery: no effect here.")
#define ACCEPTED(why_) "Accepted for compatibility; " why_, .no_effect = true
/* Of rows whose feature is not here yet: what it will do, and why it does not. Setting one is
 * reported when the node starts. */
#define NOT_YET(help_, why_) help_ " No effect yet: " why_ ".", .no_effect = true
#define NO_TRANSACTIONS "there are no transactions here"
#define NO_COMPACTION "logs are not compacted here"
#define NO_FLUSHING "the system writes back what topicfs.durability does not sync"

const struct config_row config_rows[] = {
#include "catalog/config_rows_cluster.inc"
#include "catalog/config_rows_group.inc"
#include "catalog/config_rows_log.inc"
#include "catalog/config_rows_node.inc"
#include "catalog/config_rows_topic.inc"
};

const uint32_t config_row_count = sizeof config_rows / sizeof config_rows[0];
