/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's low-level interface at one version: what Debian 12 (3.14) and 13 (3.17) both offer. */
#ifndef FS_FUSE_H
#define FS_FUSE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>

#endif
