/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that tie several configuration keys together. */
#include "catalog/config.h"

#include <stdio.h>
#include <stdlib.h>

static enum error refuse(char ret_reason[CONFIG_REASON_BYTES], const char *what)
{
    snprintf(ret_reason, CONFIG_REASON_BYTES, "%s", what);
    return ERROR_INVALID_CONFIG;
}

/* LogConfig.validateTopicLogConfigValues. */
enum error config_topic_check(const struct config_set *node, const struct config_set *topic,
                              char ret_reason[CONFIG_REASON_BYTES])
{
    if (config_topic_number(node, topic, "min.compaction.lag.ms") >
        config_topic_number(node, topic, "max.compaction.lag.ms"))
        return refuse(ret_reason, "min.compaction.lag.ms must not be above max.compaction.lag.ms");
    return ERROR_NONE;
}

static bool has_several(const struct config_set *node, const char *key)
{
    const char *list = config_node_value(node, key, NULL);
    struct slice element;
    return config_list_next(&list, &element) && config_list_next(&list, &element);
}

/* KafkaConfig.validateValues, as far as its keys mean something here. */
enum error config_node_check(const struct config_set *node, char ret_reason[CONFIG_REASON_BYTES])
{
    if (config_node_number(node, "group.min.session.timeout.ms") >
        config_node_number(node, "group.max.session.timeout.ms"))
        return refuse(ret_reason, "group.min.session.timeout.ms must not be above "
                                  "group.max.session.timeout.ms");
    if (config_node_number(node, "log.cleaner.min.compaction.lag.ms") >
        config_node_number(node, "log.cleaner.max.compaction.lag.ms"))
        return refuse(ret_reason, "log.cleaner.min.compaction.lag.ms must not be above "
                                  "log.cleaner.max.compaction.lag.ms");
    if (config_node_number(node, "replica.fetch.wait.max.ms") >
        config_node_number(node, "replica.lag.time.max.ms"))
        return refuse(ret_reason,
                      "replica.fetch.wait.max.ms must not be above replica.lag.time.max.ms");
    if (2 * config_node_number(node, "broker.heartbeat.interval.ms") >
        config_node_number(node, "broker.session.timeout.ms"))
        return refuse(ret_reason, "broker.heartbeat.interval.ms must be at most half of "
                                  "broker.session.timeout.ms");
    if (has_several(node, "controller.quorum.voters") ||
        has_several(node, "controller.quorum.bootstrap.servers"))
        return refuse(ret_reason,
                      "controller.quorum.voters and controller.quorum.bootstrap.servers "
                      "may name one node only: name a cluster's nodes in topicfs.nodes");
    return ERROR_NONE;
}
