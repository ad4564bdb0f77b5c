/* SPDX-License-Identifier: Apache-2.0 */
/* The disk seam in memory, for tests and the simulator (see base/storage.h). One thread.
 *
 * What may break, and why it must be survived:
 *  - a power cut drops, keeps or tears (by 512-byte sectors, any subset) each write and drops or
 *    keeps each truncation since the file's last sync, in any combination;
 *  - names (create, rename, remove, make_directory) last only once their directory is synced: of
 *    those since, a power cut keeps a prefix per directory, a rename being all or nothing. Syncing
 *    a file does not keep its name;
 *  - a call fails, after a part of a write was done; a disk is full; bits rot;
 *  - a failed sync may drop what it was to sync, and the next sync then reports success; one of the
 *    whole disk may drop what any file has unsynced, and each such file's own next sync fails once.
 *
 *   write ---> current  <--- what reads see
 *                 | sync
 *                 v
 *              synced   <--- what a power cut leaves, plus some of the unsynced */
#ifndef TESTS_SIM_SIMULATED_STORAGE_H
#define TESTS_SIM_SIMULATED_STORAGE_H

#include "base/storage.h"
#include "sim/random.h"

enum { SIMULATED_SECTOR_BYTES = 512 };

struct simulated_storage;

enum simulated_operation {
    SIMULATED_OPEN = 1 << 0,
    SIMULATED_READ = 1 << 1,
    SIMULATED_WRITE = 1 << 2,
    SIMULATED_SYNC = 1 << 3,
    SIMULATED_TRUNCATE = 1 << 4,
    SIMULATED_SIZE = 1 << 5,
    SIMULATED_RENAME = 1 << 6,
    SIMULATED_REMOVE = 1 << 7,
    SIMULATED_MAKE_DIRECTORY = 1 << 8,
    SIMULATED_SYNC_DIRECTORY = 1 << 9,
    SIMULATED_LIST = 1 << 10,
    SIMULATED_SPACE = 1 << 11,
    SIMULATED_ANY = (1 << 12) - 1,
    /* Those that change what is on the disk. */
    SIMULATED_CHANGE = SIMULATED_OPEN | SIMULATED_WRITE | SIMULATED_SYNC | SIMULATED_TRUNCATE |
                       SIMULATED_RENAME | SIMULATED_REMOVE | SIMULATED_MAKE_DIRECTORY |
                       SIMULATED_SYNC_DIRECTORY,
};

/* Which call fails, and how. */
struct simulated_fault {
    unsigned operations;   /* Of enum simulated_operation. */
    const char *path_part; /* Only paths that contain it; NULL for all. Must outlive the fault. */
    long countdown;        /* Matching calls that still succeed first. */
    enum error error;
    bool persistent; /* Every matching call from then on, otherwise one. */
};

struct simulated_counters {
    uint64_t calls;
    uint64_t opens;
    uint64_t reads;
    uint64_t writes;
    uint64_t syncs;
    uint64_t directory_syncs;
    uint64_t write_backs; /* Those that wait. */
    uint64_t whole_syncs;
    uint64_t bytes_read;
    uint64_t bytes_written;
};

/* An empty disk without limit. `seed` decides what a failed write or sync leaves behind. Aborts
 * when memory is out; memory_fault_arm refuses only what the real storage would allocate. */
struct simulated_storage *simulated_storage_new(uint64_t seed);

/* Also frees files left open. Accepts NULL. */
void simulated_storage_free(struct simulated_storage *simulated);

struct storage *simulated_storage_seam(struct simulated_storage *simulated);

/* The power goes and comes back: the disk holds what was synced and, as `random` decides, some of
 * what was not. Files open now are dead: using one is an ASSERT, closing it is allowed. The fault
 * that was set ends. */
void simulated_storage_crash(struct simulated_storage *simulated, struct random *random);

/* The same with everything unsynced lost. */
void simulated_storage_crash_losing_all(struct simulated_storage *simulated);

/* The process is gone without closing anything: its open files are closed, so that their memory can
 * go, too. Follow with kill or crash. */
void simulated_storage_forget(struct simulated_storage *simulated);

/* The process dies, the kernel lives: nothing is lost, open files are dead. */
void simulated_storage_kill(struct simulated_storage *simulated);

/* Replaces the fault that was set. */
void simulated_storage_fail(struct simulated_storage *simulated,
                            const struct simulated_fault *fault);
void simulated_storage_fail_end(struct simulated_storage *simulated);

/* Calls that failed by the fault since it was set. */
uint64_t simulated_storage_faults_met(const struct simulated_storage *simulated);

/* From now every call fails with ERROR_STORAGE and changes nothing: the power is off while the
 * crashed node's structs are torn down. Ends with crash or kill. */
void simulated_storage_power_off(struct simulated_storage *simulated);

/* Whether all files can be synced in one go; not at first. */
void simulated_storage_syncs_all(struct simulated_storage *simulated, bool possible);

/* Files together may hold `bytes`; a write beyond keeps what fits and says DISK_FULL, as do
 * creations on a full disk. UINT64_MAX for no limit. */
void simulated_storage_limit(struct simulated_storage *simulated, uint64_t bytes);

/* Flips one bit of a file, on the disk and in what is read; the file must be that long. */
void simulated_storage_rot(struct simulated_storage *simulated, const char *path, uint64_t position,
                           unsigned bit);

/* What a read of the whole file would give; NULL when there is no such file. Valid until the next
 * call. Not counted, never fails. */
const uint8_t *simulated_storage_contents(struct simulated_storage *simulated, const char *path,
                                          uint64_t *ret_size);

struct simulated_counters simulated_storage_counters(const struct simulated_storage *simulated);

/* Of everything on the disk, synced and not: two runs of one seed give the same. */
uint64_t simulated_storage_dump(const struct simulated_storage *simulated);

#endif
