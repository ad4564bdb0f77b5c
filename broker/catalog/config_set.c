/* SPDX-License-Identifier: Apache-2.0 */
/* A set of checked values, and which value is in force when several keys speak for one.
 *
 *   topic's own -> node's synonym -> the synonym's fallbacks (hours for ms) -> default */
#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* What `key` takes its value from while it is not set itself; the value is multiplied by `factor`
 * (0: taken as it is). Nearest first. KafkaConfig.getLogRetentionTimeMillis and the like. */
struct fallback {
    const char *key;
    const char *from;
    int64_t factor;
};

static const struct fallback fallbacks[] = {
    {"log.retention.ms", "log.retention.minutes", 60000},
    {"log.retention.ms", "log.retention.hours", 3600000},
    {"log.roll.ms", "log.roll.hours", 3600000},
    {"log.roll.jitter.ms", "log.roll.jitter.hours", 3600000},
    {"log.flush.interval.ms", "log.flush.scheduler.interval.ms", 0},
    {"log.dirs", "log.dir", 0},
    {"node.id", "broker.id", 0},
};
enum { FALLBACK_COUNT = sizeof fallbacks / sizeof fallbacks[0], DERIVED_BYTES = 24 };

struct config_entry {
    const char *key; /* The row's, or behind the value when there is no row. */
    char *value;
    bool has_row;
    char derived[DERIVED_BYTES]; /* The value times its fallback's factor; "" when it is none. */
};

struct config_set {
    struct config_entry *entries; /* In key order. */
    uint32_t count;
    uint32_t capacity;
};

enum error config_set_new(struct config_set **ret_set)
{
    struct config_set *set = memory_allocate(sizeof *set);
    if (set == NULL)
        return ERROR_OUT_OF_MEMORY;
    *ret_set = set;
    return ERROR_NONE;
}

void config_set_free(struct config_set *set)
{
    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->count; i++)
        memory_free(set->entries[i].value);
    memory_free(set->entries);
    memory_free(set);
}

uint32_t config_set_count(const struct config_set *set)
{
    return set == NULL ? 0 : set->count;
}

/* Where `key` is (true) or belongs (false). */
static bool entry_search(const struct config_set *set, const char *key, uint32_t *ret_at)
{
    uint32_t low = 0;
    uint32_t high = config_set_count(set);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(set->entries[middle].key, key);
        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return false;
}

static const struct config_entry *entry_find(const struct config_set *set, const char *key)
{
    uint32_t at;
    return entry_search(set, key, &at) ? &set->entries[at] : NULL;
}

static enum error entry_make_room(struct config_set *set)
{
    if (set->count < set->capacity)
        return ERROR_NONE;
    uint32_t capacity = set->capacity == 0 ? 2 : set->capacity * 2;
    void *entries = memory_resize(set->entries, capacity * sizeof *set->entries);
    if (entries == NULL)
        return ERROR_OUT_OF_MEMORY;
    set->entries = entries;
    set->capacity = capacity;
    return ERROR_NONE;
}

/* Negative stays -1 (no limit); what would overflow is the largest there is. */
static int64_t multiply_limited(int64_t number, int64_t factor)
{
    if (number < 0)
        return -1;
    return number > INT64_MAX / factor ? INT64_MAX : number * factor;
}

static void entry_derive(struct config_entry *entry)
{
    entry->derived[0] = '\0';
    for (uint32_t i = 0; i < FALLBACK_COUNT; i++) {
        const struct fallback *fallback = &fallbacks[i];
        if (fallback->factor == 0 || strcmp(fallback->from, entry->key) != 0)
            continue;
        int64_t number = multiply_limited(strtoll(entry->value, NULL, 10), fallback->factor);
        snprintf(entry->derived, sizeof entry->derived, "%" PRId64, number);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The value without the blanks around it; behind its NUL the key, when that needs a place. */
static char *copy_value(const char *value, const char *key, const char **ret_key)
{
    size_t size = strlen(value);
    while (size > 0 && is_blank(value[size - 1]))
        size--;
    while (size > 0 && is_blank(*value)) {
        value++;
        size--;
    }
    size_t key_size = key == NULL ? 0 : strlen(key) + 1;
    char *copy = memory_allocate(size + 1 + key_size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, value, size);
    if (key != NULL)
        *ret_key = memcpy(copy + size + 1, key, key_size);
    return copy;
}

static enum error entry_put(struct config_set *set, bool has_row, const char *key,
                            const char *value)
{
    uint32_t at;
    bool known = entry_search(set, key, &at);
    const char *kept_key = key;
    char *copy = copy_value(value, has_row ? NULL : key, &kept_key);
    if (copy == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (!known) {
        if (entry_make_room(set) != ERROR_NONE) {
            memory_free(copy);
            return ERROR_OUT_OF_MEMORY;
        }
        memmove(&set->entries[at + 1], &set->entries[at], (set->count - at) * sizeof *set->entries);
        set->entries[at].value = NULL;
        set->count++;
    }
    memory_free(set->entries[at].value);
    set->entries[at].key = kept_key;
    set->entries[at].value = copy;
    set->entries[at].has_row = has_row;
    entry_derive(&set->entries[at]);
    return ERROR_NONE;
}

enum error config_set_put(struct config_set *set, enum config_scope scope, const char *key,
                          const char *value, char ret_reason[CONFIG_REASON_BYTES])
{
    const struct config_row *row = config_find(scope, key);
    if (row == NULL) {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "is not a known key; the nearest is %s",
                 config_nearest(scope, key) == NULL ? "none" : config_nearest(scope, key));
        return ERROR_INVALID_CONFIG;
    }
    enum error error = config_check(row, value, ret_reason);
    if (error != ERROR_NONE)
        return error;
    error = entry_put(set, true, row->key, value);
    if (error != ERROR_NONE)
        snprintf(ret_reason, CONFIG_REASON_BYTES, "cannot be kept: %s", error_text(error));
    return error;
}

enum error config_set_put_agreed(struct config_set *set, enum config_scope scope, const char *key,
                                 const char *value)
{
    const struct config_row *row = config_find(scope, key);
    return entry_put(set, row != NULL, row == NULL ? key : row->key, value);
}

bool config_set_remove(struct config_set *set, const char *key)
{
    uint32_t at;
    if (!entry_search(set, key, &at))
        return false;
    memory_free(set->entries[at].value);
    set->count--;
    memmove(&set->entries[at], &set->entries[at + 1], (set->count - at) * sizeof *set->entries);
    return true;
}

enum error config_set_merge(struct config_set *to, const struct config_set *from)
{
    for (uint32_t i = 0; i < config_set_count(from); i++) {
        const struct config_entry *entry = &from->entries[i];
        enum error error = entry_put(to, entry->has_row, entry->key, entry->value);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

const char *config_set_get(const struct config_set *set, const char *key)
{
    const struct config_entry *entry = entry_find(set, key);
    return entry == NULL ? NULL : entry->value;
}

void config_set_each(const struct config_set *set,
                     void (*each)(void *context, const char *key, const char *value), void *context)
{
    for (uint32_t i = 0; i < config_set_count(set); i++)
        each(context, set->entries[i].key, set->entries[i].value);
}

bool config_set_equals(const struct config_set *a, const struct config_set *b)
{
    if (config_set_count(a) != config_set_count(b))
        return false;
    for (uint32_t i = 0; i < config_set_count(a); i++)
        if (strcmp(a->entries[i].key, b->entries[i].key) != 0 ||
            strcmp(a->entries[i].value, b->entries[i].value) != 0)
            return false;
    return true;
}

const char *config_node_fallback(const char *key, uint32_t index)
{
    for (uint32_t i = 0; i < FALLBACK_COUNT; i++)
        if (strcmp(fallbacks[i].key, key) == 0 && index-- == 0)
            return fallbacks[i].from;
    return NULL;
}

/* The value `node` gives for `key`, itself or by a fallback; NULL when nothing there speaks for it.
 */
static const char *node_set_value(const struct config_set *node, const char *key)
{
    if (config_set_count(node) == 0)
        return NULL;
    const char *value = config_set_get(node, key);
    for (uint32_t i = 0; value == NULL && i < FALLBACK_COUNT; i++) {
        if (strcmp(fallbacks[i].key, key) != 0)
            continue;
        const struct config_entry *entry = entry_find(node, fallbacks[i].from);
        if (entry != NULL)
            value = fallbacks[i].factor == 0 ? entry->value : entry->derived;
    }
    return value;
}

static void set_source(enum config_source *ret_source, enum config_source source)
{
    if (ret_source != NULL)
        *ret_source = source;
}

const char *config_topic_value(const struct config_set *node, const struct config_set *topic,
                               const char *key, enum config_source *ret_source)
{
    const char *value = config_set_get(topic, key);
    if (value != NULL) {
        set_source(ret_source, CONFIG_SOURCE_TOPIC);
        return value;
    }
    const struct config_row *row = config_find(CONFIG_TOPIC, key);
    ASSERT(row != NULL);
    value = row->synonym == NULL ? NULL : node_set_value(node, row->synonym);
    set_source(ret_source, value == NULL ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_STATIC_NODE);
    return value == NULL ? row->default_text : value;
}

const char *config_node_value(const struct config_set *node, const char *key,
                              enum config_source *ret_source)
{
    const char *value = node_set_value(node, key);
    set_source(ret_source, value == NULL ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_STATIC_NODE);
    if (value != NULL)
        return value;
    const struct config_row *row = config_find(CONFIG_NODE, key);
    ASSERT(row != NULL);
    return row->default_text;
}

static int64_t number_of(const char *value)
{
    ASSERT(value != NULL);
    return strtoll(value, NULL, 10);
}

static bool boolean_of(const char *value)
{
    ASSERT(value != NULL);
    return strcasecmp(value, "true") == 0;
}

int64_t config_topic_number(const struct config_set *node, const struct config_set *topic,
                            const char *key)
{
    return number_of(config_topic_value(node, topic, key, NULL));
}

bool config_topic_boolean(const struct config_set *node, const struct config_set *topic,
                          const char *key)
{
    return boolean_of(config_topic_value(node, topic, key, NULL));
}

int64_t config_node_number(const struct config_set *node, const char *key)
{
    return number_of(config_node_value(node, key, NULL));
}

bool config_node_boolean(const struct config_set *node, const char *key)
{
    return boolean_of(config_node_value(node, key, NULL));
}
