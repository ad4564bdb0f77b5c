/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the mount point can be one; the mount itself is fs/mount.h. */
#ifndef BROKER_DAEMON_MOUNT_POINT_H
#define BROKER_DAEMON_MOUNT_POINT_H

#include "daemon/settings.h"

/* INVALID_CONFIG: it is missing, no directory, not empty, or the data would be inside it. A mount
 * left behind by a killed node (ENOTCONN) passes: fs detaches it. Nothing without a mount point. */
enum error mount_point_check(const struct settings *settings, struct failure *failure);

#endif
