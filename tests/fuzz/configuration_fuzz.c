/* SPDX-License-Identifier: Apache-2.0 */
/* Properties files from anywhere: parsed, every pair offered to the node's and to a topic's
 * configuration, and whatever was accepted read in every way. The first byte chooses the scope. */
#include "base/assertion.h"
#include "catalog/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct offered {
    struct config_set *set;
    enum config_scope scope;
};

static enum error offer(void *context, const char *key, const char *value)
{
    struct offered *offered = context;
    char reason[CONFIG_REASON_BYTES] = "";
    const struct config_row *row = config_find(offered->scope, key);
    enum error error = config_set_put(offered->set, offered->scope, key, value, reason);
    if (error != ERROR_NONE) {
        ASSERT(reason[0] != '\0');
        ASSERT(strlen(reason) < CONFIG_REASON_BYTES);
        return strlen(key) % 2 == 0 ? error : ERROR_NONE;
    }
    ASSERT(row != NULL);
    /* What is kept is accepted again, and unchanged by it. */
    const char *kept = config_set_get(offered->set, key);
    ASSERT(config_check(row, kept, reason) == ERROR_NONE);
    return ERROR_NONE;
}

static void read_all(const struct offered *offered)
{
    char reason[CONFIG_REASON_BYTES];
    bool topic = offered->scope == CONFIG_TOPIC;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->scope != offered->scope)
            continue;
        const char *value = topic ? config_topic_value(NULL, offered->set, row->key, NULL)
                                  : config_node_value(offered->set, row->key, NULL);
        if (value == NULL || row->type == CONFIG_DOUBLE || row->minimum >= row->maximum)
            continue;
        int64_t number = topic ? config_topic_number(NULL, offered->set, row->key)
                               : config_node_number(offered->set, row->key);
        ASSERT(number >= row->minimum);
        ASSERT(number <= row->maximum);
    }
    if (topic)
        (void)config_topic_check(NULL, offered->set, reason);
    else
        (void)config_node_check(offered->set, reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    struct offered offered = {.scope = input[0] % 2 == 0 ? CONFIG_NODE : CONFIG_TOPIC};
    if (config_set_new(&offered.set) != ERROR_NONE)
        abort();
    uint32_t line = 0;
    enum error error =
        config_parse_properties((const char *)input + 1, size - 1, offer, &offered, &line);
    ASSERT(error == ERROR_NONE || line > 0);
    read_all(&offered);
    config_set_free(offered.set);
    return 0;
}
