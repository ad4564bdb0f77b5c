/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd how the service is: sd_notify(3)'s protocol, a datagram to $NOTIFY_SOCKET. */
#ifndef BROKER_DAEMON_NOTIFY_H
#define BROKER_DAEMON_NOTIFY_H

/* `state` is "READY=1", "STOPPING=1". Nothing without $NOTIFY_SOCKET or when nobody listens. */
void notify_service_manager(const char *state);

#endif
