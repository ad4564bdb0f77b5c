/* SPDX-License-Identifier: Apache-2.0 */
/* Altering the configuration of several resources: what AlterConfigs and IncrementalAlterConfigs
 * have in common. Inside the monitor. */
#ifndef BROKER_HANDLE_CONFIG_ALTERATION_H
#define BROKER_HANDLE_CONFIG_ALTERATION_H

#include "handle/request.h"

/* AlterConfigOp.OpType. */
enum { CONFIG_SET_KEY, CONFIG_DELETE_KEY, CONFIG_APPEND_ELEMENTS, CONFIG_SUBTRACT_ELEMENTS };

struct config_key_change {
    struct slice key;
    int8_t operation;
    struct slice value; /* Null with CONFIG_DELETE_KEY. */
};

/* Where a resource's part of the answer goes. */
struct config_answer {
    int16_t *ret_error_code;
    struct slice *ret_error_message;
};

struct config_alteration;

/* For `count` resources, in the request's arena; NULL without memory. With `replace` a key that is
 * not named loses its value. */
struct config_alteration *config_alteration_new(struct request *request, uint32_t count,
                                                bool replace, bool validate_only);

/* The next resource: its `change_count` changes, to be filled in; NULL without memory. */
struct config_key_change *config_alteration_add(struct config_alteration *alteration,
                                                int8_t resource_type, struct slice resource_name,
                                                uint32_t change_count, struct config_answer answer);

/* Checks and proposes each resource's changes and completes the request once all are answered. */
void config_alteration_start(struct config_alteration *alteration);

#endif
