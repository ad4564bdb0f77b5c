/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting: loop 0 takes sockets from the listeners, checks the connection limits and deals them
 * out to the loops in turn. On loop 0's thread, except where said. */
#ifndef BROKER_NET_ACCEPT_H
#define BROKER_NET_ACCEPT_H

#include "net/loop.h"

/* Binds and listens; before the loops run. */
enum error listener_open(struct net *net, struct net_listener *listener,
                         const struct net_listener_options *options, struct failure *failure);

/* Frees a listener whose loop no longer runs (or never did). */
void listener_close(struct net_listener *listener);

/* Begins to accept; before loop 0 runs. */
enum error accept_start(struct net *net);

/* After a pause for want of connections or descriptors. */
void accept_resume(struct net *net);

/* For good. */
void accept_stop(struct net *net);

/* Closes a socket that no connection will have. Any loop's thread. */
void accepted_refuse(struct accepted *accepted);

/* A connection on trial asks what a client asks: whether there is room for one by now. */
bool accept_as_client(struct net *net, const uint8_t key[16], bool *counted_by_ip);

/* One client less: it left, or is a node. */
void accept_client_gone(struct net *net, const uint8_t key[16], bool counted_by_ip);

#endif
