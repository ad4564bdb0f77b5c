/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of the process behind a write. */
#ifndef FS_WRITER_H
#define FS_WRITER_H

#include <stdbool.h>
#include <sys/types.h>

/* True while the thread lives and no signal is ending it. One that is gone already did not close
 * its file itself: it counts as killed. */
bool writer_is_well(pid_t thread);

/* Whether a signal is ending it, from the text of /proc/PID/stat (proc(5)). Pure. */
bool writer_stat_killed(const char *stat);

#endif
