/* SPDX-License-Identifier: Apache-2.0 */
/* Every configuration key, node and topic, as one table of rows: parsing of server.properties and
 * --override, DescribeConfigs, AlterConfigs, `.config/KEY` files and --help=config all derive from
 * it.
 *
 * Values are kept as checked text and read as numbers through the row. Keys are Kafka's own; ours
 * begin with "topicfs.". A topic key names its node-level synonym, whose value is its default. */
#ifndef BROKER_CATALOG_CONFIG_H
#define BROKER_CATALOG_CONFIG_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum config_type { /* Values are Kafka's ConfigDef types as DescribeConfigs sends them. */
                   CONFIG_BOOLEAN = 1,
                   CONFIG_STRING = 2,
                   CONFIG_INT = 3,
                   CONFIG_SHORT = 4,
                   CONFIG_LONG = 5,
                   CONFIG_DOUBLE = 6,
                   CONFIG_LIST = 7,
                   CONFIG_CLASS = 8,
                   CONFIG_PASSWORD = 9
};

enum config_scope { CONFIG_NODE = 1 << 0, CONFIG_TOPIC = 1 << 1, CONFIG_GROUP = 1 << 2 };

enum config_source { /* DescribeConfigs v1+. */
                     CONFIG_SOURCE_TOPIC = 1,
                     CONFIG_SOURCE_DYNAMIC_NODE = 2,
                     CONFIG_SOURCE_DYNAMIC_DEFAULT_NODE = 3,
                     CONFIG_SOURCE_STATIC_NODE = 4,
                     CONFIG_SOURCE_DEFAULT = 5
};

struct config_row {
    const char *key;
    enum config_scope scope;
    enum config_type type;
    const char *default_text; /* NULL: Kafka's null default. */
    int64_t minimum, maximum; /* Numbers only; both 0: what the type holds. */
    const char *choices;      /* "delete,compact": what a value, or a list's element, may be; NULL:
                                 any. */
    const char *synonym;      /* Topic rows: the node key that gives the default; NULL: none. */
    bool read_only;           /* Node rows that need a restart. */
    bool sensitive;           /* Never shown. */
    const char *help;         /* One sentence, our words. */
    bool no_effect;           /* Accepted, and nothing reads it; the help says why. */
};

extern const struct config_row config_rows[];
extern const uint32_t config_row_count;

/* What --help=config prints beside a key: "long", "list". */
const char *config_type_text(enum config_type type);

/* How many rows a scope has. */
uint32_t config_scope_count(enum config_scope scope);

/* NULL when unknown in that scope. */
const struct config_row *config_find(enum config_scope scope, const char *key);

/* The known key of that scope with the smallest edit distance, for refusals. */
const char *config_nearest(enum config_scope scope, const char *key);

enum { CONFIG_REASON_BYTES = 200 };

/* Checks type, bounds and choices; blanks around a value do not count (Kafka's
 * ConfigDef.parseType). INVALID_CONFIG: `ret_reason` holds one clause: "must be at least 14". */
enum error config_check(const struct config_row *row, const char *value,
                        char ret_reason[CONFIG_REASON_BYTES]);

/* A set of key = value, each checked when it went in. Wherever a set is only read, NULL is an empty
 * one. */
struct config_set;
enum error config_set_new(struct config_set **ret_set);
void config_set_free(struct config_set *set);
uint32_t config_set_count(const struct config_set *set);
/* INVALID_CONFIG (with `ret_reason`) when the key is unknown in that scope or the value does not
 * pass config_check; the set is then as before. */
enum error config_set_put(struct config_set *set, enum config_scope scope, const char *key,
                          const char *value, char ret_reason[CONFIG_REASON_BYTES]);
/* Keeps what the quorum agreed on without asking the table, which may differ between releases:
 * every node must hold the same. Checking was the proposer's part. */
enum error config_set_put_agreed(struct config_set *set, enum config_scope scope, const char *key,
                                 const char *value);
bool config_set_remove(struct config_set *set, const char *key);
/* Puts everything `from` holds over what `to` holds: static, then dynamic default, then dynamic
 * node values give the node's effective set. */
enum error config_set_merge(struct config_set *to, const struct config_set *from);
/* NULL when not set. */
const char *config_set_get(const struct config_set *set, const char *key);
void config_set_each(const struct config_set *set,
                     void (*each)(void *context, const char *key, const char *value),
                     void *context); /* In key order. */

bool config_set_equals(const struct config_set *a, const struct config_set *b);

/* The value in force of a topic key: the topic's own, else the node's synonym, else the default;
 * with where it came from. `topic` may be NULL. Never frees or copies: valid until either set
 * changes. */
const char *config_topic_value(const struct config_set *node, const struct config_set *topic,
                               const char *key, enum config_source *ret_source);
/* The same for a node key. log.retention.ms and its .minutes and .hours forms, and the like, are
 * resolved here. */
const char *config_node_value(const struct config_set *node, const char *key,
                              enum config_source *ret_source);

/* Another key that gives `row` its value while it is not set itself ("log.retention.minutes" for
 * "log.retention.ms"), nearest first; NULL after the last. For DescribeConfigs' synonyms. */
const char *config_node_fallback(const char *key, uint32_t index);

/* Numbers and booleans of checked values. The key must be one with a value: null defaults are read
 * with config_node_value and config_topic_value. */
int64_t config_topic_number(const struct config_set *node, const struct config_set *topic,
                            const char *key);
bool config_topic_boolean(const struct config_set *node, const struct config_set *topic,
                          const char *key);
int64_t config_node_number(const struct config_set *node, const char *key);
bool config_node_boolean(const struct config_set *node, const char *key);

/* What no single row can say (Kafka's LogConfig.validateValues and KafkaConfig.validateValues).
 * INVALID_CONFIG: `ret_reason` names the keys. */
enum error config_topic_check(const struct config_set *node, const struct config_set *topic,
                              char ret_reason[CONFIG_REASON_BYTES]);
enum error config_node_check(const struct config_set *node, char ret_reason[CONFIG_REASON_BYTES]);

/* The next element of a comma-separated list value, blanks trimmed, empty ones skipped; false after
 * the last. `*list` moves forward. */
bool config_list_next(const char **list, struct slice *ret_element);

/* Reads `key=value` lines of a Java properties file (comments, continuation lines, escapes, `:` and
 * blanks as separators: java.util.Properties.load, but the bytes are UTF-8). `each` returns an
 * error to stop. MALFORMED: a bad \u escape or a NUL. On error `ret_line` is the line it began on,
 * from 1. */
enum error config_parse_properties(const char *text, size_t size,
                                   enum error (*each)(void *context, const char *key,
                                                      const char *value),
                                   void *context, uint32_t *ret_line);

#endif
