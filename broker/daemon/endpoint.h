/* SPDX-License-Identifier: Apache-2.0 */
/* `listeners` and `advertised.listeners`: NAME://HOST:PORT, comma-separated. */
#ifndef BROKER_DAEMON_ENDPOINT_H
#define BROKER_DAEMON_ENDPOINT_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

enum { ENDPOINTS_MAX = 16, ENDPOINT_NAME_BYTES = 64, ENDPOINT_HOST_BYTES = 256 };

struct endpoint {
    char name[ENDPOINT_NAME_BYTES]; /* Upper case, as Kafka has it. */
    char host[ENDPOINT_HOST_BYTES]; /* "": every address. An IPv6 address has no brackets. */
    uint16_t port;
};

/* One element. INVALID_CONFIG with a failure that quotes it. */
enum error endpoint_parse(struct slice text, struct endpoint *ret_endpoint,
                          struct failure *failure);

/* A list of at most ENDPOINTS_MAX. */
enum error endpoint_parse_list(const char *key, const char *list, struct endpoint *ret_endpoints,
                               uint32_t *ret_count, struct failure *failure);

/* PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, by listener.security.protocol.map. */
enum error endpoint_protocol(const char *map, const char *name, struct slice *ret_protocol,
                             struct failure *failure);

#endif
