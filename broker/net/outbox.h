/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the answers at the head of a connection's queue: several in one call, memory by sendmsg,
 * file ranges by sendfile. */
#ifndef BROKER_NET_OUTBOX_H
#define BROKER_NET_OUTBOX_H

#include "base/error.h"

struct connection;

/* Until nothing is left, the socket is full (send_blocked), or it was a fair share (send_blocked
 * too). STORAGE: a file range could not be read; CLOSING: the peer is gone. */
enum error outbox_send(struct connection *connection);

#endif
