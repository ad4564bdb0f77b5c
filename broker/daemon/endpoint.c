/* SPDX-License-Identifier: Apache-2.0 */
/* Listener lists, by Kafka's rules (SocketServerConfigs.listenerListToEndPoints). */
#include "daemon/endpoint.h"

#include "catalog/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static enum error refuse(struct failure *failure, struct slice text, const char *why)
{
    return failure_because(failure, ERROR_INVALID_CONFIG, "\"%.*s\" %s", SLICE_PRINT(text), why);
}

static bool name_valid(struct slice name)
{
    if (name.size == 0 || name.size >= ENDPOINT_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (!isalnum(name.data[i]) && name.data[i] != '_' && name.data[i] != '-' &&
            name.data[i] != '.')
            return false;
    }
    return true;
}

static bool port_parse(struct slice text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (text.size == 0 || text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit(text.data[i]))
            return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

enum error endpoint_parse(struct slice text, struct endpoint *ret_endpoint, struct failure *failure)
{
    const uint8_t *scheme = memmem(text.data, text.size, "://", 3);
    if (scheme == NULL)
        return refuse(failure, text, "is not NAME://HOST:PORT");
    struct slice name = slice_from(text.data, (size_t)(scheme - text.data));
    struct slice rest = slice_from(scheme + 3, text.size - name.size - 3);
    const uint8_t *colon = memrchr(rest.data, ':', rest.size);
    if (!name_valid(name) || colon == NULL)
        return refuse(failure, text, "is not NAME://HOST:PORT");
    struct slice host = slice_from(rest.data, (size_t)(colon - rest.data));
    struct slice port = slice_from(colon + 1, rest.size - host.size - 1);

    struct endpoint endpoint = {0};
    if (!port_parse(port, &endpoint.port))
        return refuse(failure, text, "has no port from 0 to 65535");
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = slice_from(host.data + 1, host.size - 2);
    if (host.size >= ENDPOINT_HOST_BYTES || memchr(host.data, '/', host.size) != NULL)
        return refuse(failure, text, "has no valid host");
    for (size_t i = 0; i < name.size; i++)
        endpoint.name[i] = (char)toupper(name.data[i]);
    memcpy(endpoint.host, host.data, host.size);
    *ret_endpoint = endpoint;
    return ERROR_NONE;
}

enum error endpoint_parse_list(const char *key, const char *list, struct endpoint *ret_endpoints,
                               uint32_t *ret_count, struct failure *failure)
{
    uint32_t count = 0;
    struct slice element;
    while (config_list_next(&list, &element)) {
        if (count == ENDPOINTS_MAX)
            return failure_because(failure, ERROR_INVALID_CONFIG, "%s: more than %d", key,
                                   ENDPOINTS_MAX);
        enum error error = endpoint_parse(element, &ret_endpoints[count], failure);
        if (error != ERROR_NONE)
            return failure_at(failure, error, "%s", key);
        for (uint32_t i = 0; i < count; i++) {
            if (strcmp(ret_endpoints[i].name, ret_endpoints[count].name) == 0)
                return failure_because(failure, ERROR_INVALID_CONFIG, "%s: two are named %s", key,
                                       ret_endpoints[i].name);
        }
        count++;
    }
    if (count == 0)
        return failure_because(failure, ERROR_INVALID_CONFIG, "%s: none is given", key);
    *ret_count = count;
    return ERROR_NONE;
}

enum error endpoint_protocol(const char *map, const char *name, struct slice *ret_protocol,
                             struct failure *failure)
{
    struct slice element;
    while (config_list_next(&map, &element)) {
        const uint8_t *colon = memchr(element.data, ':', element.size);
        if (colon == NULL)
            return refuse(failure, element, "is not NAME:PROTOCOL");
        size_t size = (size_t)(colon - element.data);
        if (size != strlen(name) || strncasecmp((const char *)element.data, name, size) != 0)
            continue;
        *ret_protocol = slice_from(colon + 1, element.size - size - 1);
        return ERROR_NONE;
    }
    return failure_because(failure, ERROR_INVALID_CONFIG,
                           "listener.security.protocol.map has no protocol for %s", name);
}
