/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a configuration key and checking a value against its row. */
#include "catalog/config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { KEY_BYTES_MAX = 128, NUMBER_TEXT_BYTES = 64 };

const char *config_type_text(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOLEAN:
        return "boolean";
    case CONFIG_STRING:
        return "string";
    case CONFIG_INT:
        return "int";
    case CONFIG_SHORT:
        return "short";
    case CONFIG_LONG:
        return "long";
    case CONFIG_DOUBLE:
        return "double";
    case CONFIG_LIST:
        return "list";
    case CONFIG_CLASS:
        return "class";
    case CONFIG_PASSWORD:
        return "password";
    }
    return "unknown";
}

uint32_t config_scope_count(enum config_scope scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config_row_count; i++)
        count += config_rows[i].scope == scope;
    return count;
}

const struct config_row *config_find(enum config_scope scope, const char *key)
{
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->scope == scope && strcmp(row->key, key) == 0)
            return row;
    }
    return NULL;
}

/* Levenshtein's distance over the first KEY_BYTES_MAX bytes of each. */
static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t row[KEY_BYTES_MAX + 1];
    uint32_t a_size = (uint32_t)strnlen(a, KEY_BYTES_MAX);
    uint32_t b_size = (uint32_t)strnlen(b, KEY_BYTES_MAX);

    for (uint32_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a_size; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_size; j++) {
            uint32_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            uint32_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = shorter + 1 < replaced ? shorter + 1 : replaced;
        }
    }
    return row[b_size];
}

const char *config_nearest(enum config_scope scope, const char *key)
{
    const char *nearest = NULL;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < config_row_count; i++) {
        if (config_rows[i].scope != scope)
            continue;
        uint32_t distance = edit_distance(key, config_rows[i].key);
        if (distance < least) {
            least = distance;
            nearest = config_rows[i].key;
        }
    }
    return nearest;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static struct slice trim(const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && is_blank(*text)) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    return slice_from(text, size);
}

bool config_list_next(const char **list, struct slice *ret_element)
{
    const char *at = *list;
    while (is_blank(*at) || *at == ',')
        at++;
    const char *end = at;
    while (*end != '\0' && *end != ',')
        end++;
    *list = end;
    while (end > at && is_blank(end[-1]))
        end--;
    if (end == at)
        return false;
    *ret_element = slice_from(at, (size_t)(end - at));
    return true;
}

static enum error refuse(char ret_reason[CONFIG_REASON_BYTES], const char *what)
{
    snprintf(ret_reason, CONFIG_REASON_BYTES, "%s", what);
    return ERROR_INVALID_CONFIG;
}

static bool is_choice(const char *choices, struct slice value, bool any_case)
{
    struct slice choice;
    while (config_list_next(&choices, &choice)) {
        if (choice.size != value.size)
            continue;
        const char *a = (const char *)choice.data;
        const char *b = (const char *)value.data;
        if ((any_case ? strncasecmp(a, b, value.size) : strncmp(a, b, value.size)) == 0)
            return true;
    }
    return false;
}

static enum error check_choice(const struct config_row *row, struct slice value,
                               char ret_reason[CONFIG_REASON_BYTES])
{
    if (row->choices == NULL || is_choice(row->choices, value, row->type == CONFIG_BOOLEAN))
        return ERROR_NONE;
    snprintf(ret_reason, CONFIG_REASON_BYTES, "must be one of %s", row->choices);
    return ERROR_INVALID_CONFIG;
}

static enum error check_list(const struct config_row *row, const char *value,
                             char ret_reason[CONFIG_REASON_BYTES])
{
    struct slice element;
    for (const char *rest = value; config_list_next(&rest, &element);) {
        if (check_choice(row, element, ret_reason) != ERROR_NONE)
            return ERROR_INVALID_CONFIG;
        struct slice other;
        const char *after = rest;
        while (config_list_next(&after, &other))
            if (slice_equals(element, other))
                return refuse(ret_reason, "must not name anything twice");
    }
    return ERROR_NONE;
}

/* Kafka refuses a retention of 0 for a node though not for a topic (KafkaConfig). */
static bool is_node_retention(const struct config_row *row)
{
    return row->scope == CONFIG_NODE && (strcmp(row->key, "log.retention.ms") == 0 ||
                                         strcmp(row->key, "log.retention.minutes") == 0 ||
                                         strcmp(row->key, "log.retention.hours") == 0);
}

static enum error check_bounds(const struct config_row *row, bool below, bool above,
                               char ret_reason[CONFIG_REASON_BYTES])
{
    if (below)
        snprintf(ret_reason, CONFIG_REASON_BYTES, "must be at least %" PRId64, row->minimum);
    else if (above)
        snprintf(ret_reason, CONFIG_REASON_BYTES, "must be at most %" PRId64, row->maximum);
    return below || above ? ERROR_INVALID_CONFIG : ERROR_NONE;
}

static enum error check_integer(const struct config_row *row, const char *text,
                                char ret_reason[CONFIG_REASON_BYTES])
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return refuse(ret_reason, "must be a whole number");
    int64_t least = row->type == CONFIG_SHORT ? INT16_MIN
                    : row->type == CONFIG_INT ? INT32_MIN
                                              : INT64_MIN;
    int64_t most = row->type == CONFIG_SHORT ? INT16_MAX
                   : row->type == CONFIG_INT ? INT32_MAX
                                             : INT64_MAX;
    if (errno == ERANGE || number < least || number > most)
        return refuse(ret_reason, "does not fit its type");
    if (number == 0 && is_node_retention(row))
        return refuse(ret_reason, "must be -1 or at least 1");
    if (row->minimum == 0 && row->maximum == 0)
        return ERROR_NONE;
    return check_bounds(row, number<row->minimum, number> row->maximum, ret_reason);
}

static enum error check_double(const struct config_row *row, const char *text,
                               char ret_reason[CONFIG_REASON_BYTES])
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number))
        return refuse(ret_reason, "must be a number");
    if (row->minimum == 0 && row->maximum == 0)
        return ERROR_NONE;
    return check_bounds(row, number<(double)row->minimum, number>(double) row->maximum, ret_reason);
}

static enum error check_number(const struct config_row *row, struct slice value,
                               char ret_reason[CONFIG_REASON_BYTES])
{
    char text[NUMBER_TEXT_BYTES];
    if (value.size == 0 || value.size >= sizeof text)
        return refuse(ret_reason, "must be a number");
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    enum error error = row->type == CONFIG_DOUBLE ? check_double(row, text, ret_reason)
                                                  : check_integer(row, text, ret_reason);
    return error != ERROR_NONE ? error : check_choice(row, value, ret_reason);
}

enum error config_check(const struct config_row *row, const char *value,
                        char ret_reason[CONFIG_REASON_BYTES])
{
    struct slice trimmed = trim(value);
    switch (row->type) {
    case CONFIG_BOOLEAN:
        if (is_choice("true,false", trimmed, true))
            return ERROR_NONE;
        return refuse(ret_reason, "must be true or false");
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG:
    case CONFIG_DOUBLE:
        return check_number(row, trimmed, ret_reason);
    case CONFIG_LIST:
        return check_list(row, value, ret_reason);
    case CONFIG_STRING:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD:
        break;
    }
    return check_choice(row, trimmed, ret_reason);
}
