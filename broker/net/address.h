/* SPDX-License-Identifier: Apache-2.0 */
/* Internet addresses: resolving, printing, listening. */
#ifndef BROKER_NET_ADDRESS_H
#define BROKER_NET_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_BYTES = 48 };

struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* "" is every address of the machine, IPv6 and IPv4. NOT_FOUND when the name has none. */
enum error address_resolve(const char *host, uint16_t port, struct address *ret_address,
                           struct failure *failure);

/* 127.0.0.0/8 and ::1, also as an IPv4 address mapped into IPv6. */
bool address_is_loopback(const struct address *address);

/* An address of this machine: one can be bound to it. */
bool address_is_local(const struct address *address);

/* "127.0.0.1", "2001:db8::1"; a mapped IPv4 address prints as IPv4. */
void address_text(const struct address *address, char ret_text[ADDRESS_TEXT_BYTES]);

uint16_t address_port(const struct address *address);

/* The 16 bytes that tell peers apart: the IPv6 address, or the IPv4 one mapped. */
void address_key(const struct address *address, uint8_t ret_key[16]);

struct address_listen_options {
    int backlog;
    int send_buffer_bytes; /* -1: the system's. */
    int receive_buffer_bytes;
};

/* A non-blocking listening socket, close-on-exec; accepted sockets inherit no-delay, keep-alive and
 * buffer sizes from it. EXISTS when the port is in use. */
enum error address_listen(const struct address *address,
                          const struct address_listen_options *options, int *ret_descriptor,
                          struct failure *failure);

#endif
