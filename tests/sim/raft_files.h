/* SPDX-License-Identifier: Apache-2.0 */
/* What libraft keeps on the simulated disk: term and vote, entries, the newest snapshot.
 *
 *   metadata/vote{0,1}  version 8 | term 8 | voted for 8 | crc 4            the newer one counts
 *   metadata/entries    | size 4 | crc 4 | index 8 | term 8 | type 8 | data | ...   a torn tail is
 * cut metadata/snapshot   index 8 | term 8 | conf index 8 | conf size 8 | data size 8 | conf | data
 * | crc
 *
 * Every call blocks until what it wrote is synced. The real files are raft_uv's (not run here). */
#ifndef TESTS_SIM_RAFT_FILES_H
#define TESTS_SIM_RAFT_FILES_H

#include "base/storage.h"

#include <raft.h>

struct raft_files_entry {
    uint64_t term;
    uint64_t position; /* In the file. */
};

struct raft_files {
    struct storage *storage;
    uint64_t vote_version; /* 0: nothing was ever stored. */
    uint64_t term;
    uint64_t voted_for;
    struct storage_file *file; /* Entries. */
    uint64_t first_index;      /* Of the entries; 1 when there never was a snapshot. */
    struct raft_files_entry *entries;
    size_t count, capacity;
    uint64_t end_position;
    uint64_t snapshot_index; /* 0: none. */
    uint64_t snapshot_term;
    /* Planted by tests: */
    bool skip_sync; /* Of appended entries. */
};

/* Opens what is there, cutting off a torn tail; what is left is synced. */
enum error raft_files_open(struct raft_files *files, struct storage *storage);
void raft_files_close(struct raft_files *files);

/* The contents for raft_io->load, raft_malloc'ed. */
enum error raft_files_load(struct raft_files *files, struct raft_snapshot **ret_snapshot,
                           struct raft_entry **ret_entries, size_t *ret_count);

/* The index behind the last entry. */
uint64_t raft_files_next_index(const struct raft_files *files);

enum error raft_files_vote(struct raft_files *files, uint64_t term, uint64_t voted_for);

/* From raft_files_next_index on. On error nothing was added. */
enum error raft_files_append(struct raft_files *files, const struct raft_entry *entries,
                             unsigned count);

/* Drops entries from `index` on. */
enum error raft_files_truncate(struct raft_files *files, uint64_t index);

/* Keeps `trailing` entries before it; with 0 drops all entries. */
enum error raft_files_snapshot_put(struct raft_files *files, const struct raft_snapshot *snapshot,
                                   unsigned trailing);

/* raft_malloc'ed. */
enum error raft_files_snapshot_get(struct raft_files *files, struct raft_snapshot **ret_snapshot);

#endif
