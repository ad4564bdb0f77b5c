/* SPDX-License-Identifier: Apache-2.0 */
/* Topic names as Kafka's org.apache.kafka.common.internals.Topic has them. */
#include "catalog/catalog.h"

static bool is_legal(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool topic_name_valid(struct slice name)
{
    if (slice_is_null(name) || name.size == 0 || name.size > TOPIC_NAME_BYTES_MAX)
        return false;
    if (slice_equals_text(name, ".") || slice_equals_text(name, ".."))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!is_legal(name.data[i]))
            return false;
    return true;
}

bool topic_name_collides(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        uint8_t x = a.data[i] == '.' ? '_' : a.data[i];
        uint8_t y = b.data[i] == '.' ? '_' : b.data[i];
        if (x != y)
            return false;
    }
    return true;
}

bool topic_name_internal(struct slice name)
{
    return slice_equals_text(name, "__consumer_offsets") ||
           slice_equals_text(name, "__transaction_state") ||
           slice_equals_text(name, "__share_group_state");
}
