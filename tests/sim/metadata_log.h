/* SPDX-License-Identifier: Apache-2.0 */
/* The quorum of one of a simulated node: a catalog_proposer that keeps every command in a file of
 * the simulated disk, written and synced before it is applied. It stands where replicate/engine
 * stands in the daemon; what libraft does is not simulated here, what the catalog makes of its
 * commands is.
 *
 *   metadata/commands:  | size 4 | crc 4 | index 8 | command | ...     a torn tail is cut off */
#ifndef TESTS_SIM_METADATA_LOG_H
#define TESTS_SIM_METADATA_LOG_H

#include "base/buffer.h"
#include "base/storage.h"
#include "catalog/catalog.h"

struct metadata_log {
    struct catalog_proposer proposer;
    struct catalog *catalog;
    struct executor *executor;
    struct storage_file *file;
    uint64_t end_position;
    int64_t index;       /* Of the last command applied. */
    struct list waiting; /* struct catalog_proposal. */
    struct list writing;
    struct buffer *bytes; /* Of those being written. */
    struct work work;
    bool busy;
    bool failed; /* A write or sync failed: no command is taken any more. */
    bool closing;
    enum error write_error;
    /* Told the image's hash after each command, at replay too. */
    void (*applied)(void *context, int64_t index, uint64_t hash);
    void *context;
};

/* Replays what is there into the empty catalog and becomes its proposer. `metadata` is filled in
 * but for `applied` and `context`, which the caller sets first. */
enum error metadata_log_open(struct metadata_log *metadata, struct storage *storage,
                             struct executor *executor, struct catalog *catalog);

/* Ends those waiting with CLOSING. */
void metadata_log_stop(struct metadata_log *metadata);
bool metadata_log_idle(const struct metadata_log *metadata);
void metadata_log_close(struct metadata_log *metadata);

#endif
