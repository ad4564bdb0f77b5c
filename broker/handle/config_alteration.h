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

/* One resource of the request, and where its part of the answer goes. */
struct config_resource_change {
    int8_t resource_type;
    struct slice resource_name;
    struct config_key_change *changes;
    uint32_t change_count;
    int16_t *ret_error_code;
    struct slice *ret_error_message;
};

/* Checks and proposes each resource's changes and completes the request once all are answered. The
 * array is in the request's arena. With `replace` a key that is not named loses its value. */
void config_alteration_start(struct request *request, struct config_resource_change *resources,
                             uint32_t count, bool replace, bool validate_only);

#endif
