/* SPDX-License-Identifier: Apache-2.0 */
/* Internet addresses, over getaddrinfo(3) and inet_ntop(3). */
#include "net/address.h"

#include "base/assertion.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Every address: :: takes IPv4 too, unless the machine has no IPv6. */
static void any_address(uint16_t port, struct address *ret_address)
{
    *ret_address = (struct address){0};
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        (void)close(probe);
        struct sockaddr_in6 any = {
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
        memcpy(&ret_address->storage, &any, sizeof any);
        ret_address->size = sizeof any;
        return;
    }
    struct sockaddr_in any = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    memcpy(&ret_address->storage, &any, sizeof any);
    ret_address->size = sizeof any;
}

enum error address_resolve(const char *host, uint16_t port, struct address *ret_address,
                           struct failure *failure)
{
    if (host[0] == '\0') {
        any_address(port, ret_address);
        return ERROR_NONE;
    }
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int refused = getaddrinfo(host, service, &hints, &found);
    if (refused != 0)
        return failure_because(failure, ERROR_NOT_FOUND, "resolve %s: %s", host,
                               gai_strerror(refused));
    ASSERT(found->ai_addrlen <= sizeof ret_address->storage);
    *ret_address = (struct address){.size = found->ai_addrlen};
    memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return ERROR_NONE;
}

bool address_is_local(const struct address *address)
{
    struct address any_port = *address;
    if (any_port.storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&any_port.storage)->sin6_port = 0;
    else
        ((struct sockaddr_in *)&any_port.storage)->sin_port = 0;
    int probe = socket(any_port.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return false;
    bool local = bind(probe, (struct sockaddr *)&any_port.storage, any_port.size) == 0;
    (void)close(probe);
    return local;
}

void address_key(const struct address *address, uint8_t ret_key[16])
{
    static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memset(ret_key, 0, 16);
    if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)&address->storage;
        memcpy(ret_key, &six->sin6_addr, 16);
    } else if (address->storage.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)&address->storage;
        memcpy(ret_key, mapped_prefix, sizeof mapped_prefix);
        memcpy(ret_key + 12, &four->sin_addr, 4);
    }
}

bool address_is_loopback(const struct address *address)
{
    struct in6_addr key;
    address_key(address, key.s6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&key))
        return key.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&key);
}

void address_text(const struct address *address, char ret_text[ADDRESS_TEXT_BYTES])
{
    struct in6_addr key;
    address_key(address, key.s6_addr);
    const char *printed;
    if (IN6_IS_ADDR_V4MAPPED(&key))
        printed = inet_ntop(AF_INET, &key.s6_addr[12], ret_text, ADDRESS_TEXT_BYTES);
    else
        printed = inet_ntop(AF_INET6, &key, ret_text, ADDRESS_TEXT_BYTES);
    ASSERT(printed != NULL);
}

uint16_t address_port(const struct address *address)
{
    if (address->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address->storage)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)&address->storage)->sin_port);
}

static bool set_option(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

/* NULL, or the call that refused, with errno set. */
static const char *socket_prepare(int descriptor, const struct address *address,
                                  const struct address_listen_options *options)
{
    (void)set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    (void)set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    if (address->storage.ss_family == AF_INET6)
        (void)set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (options->send_buffer_bytes >= 0 &&
        !set_option(descriptor, SOL_SOCKET, SO_SNDBUF, options->send_buffer_bytes))
        return "socket.send.buffer.bytes";
    if (options->receive_buffer_bytes >= 0 &&
        !set_option(descriptor, SOL_SOCKET, SO_RCVBUF, options->receive_buffer_bytes))
        return "socket.receive.buffer.bytes";
    if (bind(descriptor, (const struct sockaddr *)&address->storage, address->size) != 0)
        return "bind";
    if (listen(descriptor, options->backlog) != 0)
        return "listen";
    return NULL;
}

static enum error error_of_socket(int errno_value)
{
    switch (errno_value) {
    case EADDRINUSE:
        return ERROR_EXISTS;
    case EACCES:
    case EPERM:
        return ERROR_NOT_PERMITTED;
    case EADDRNOTAVAIL:
        return ERROR_NOT_FOUND;
    case ENOMEM:
    case ENOBUFS:
        return ERROR_OUT_OF_MEMORY;
    default:
        return ERROR_UNKNOWN_SERVER;
    }
}

enum error address_listen(const struct address *address,
                          const struct address_listen_options *options, int *ret_descriptor,
                          struct failure *failure)
{
    char text[ADDRESS_TEXT_BYTES];
    address_text(address, text);
    int descriptor =
        socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return failure_because(failure, error_of_socket(errno), "socket: %s", strerror(errno));
    const char *refused = socket_prepare(descriptor, address, options);
    if (refused != NULL) {
        enum error error = error_of_socket(errno);
        error = failure_because(failure, error, "%s %s port %u: %s", refused, text,
                                address_port(address), strerror(errno));
        (void)close(descriptor);
        return error;
    }
    *ret_descriptor = descriptor;
    return ERROR_NONE;
}
