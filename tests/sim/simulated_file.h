/* SPDX-License-Identifier: Apache-2.0 */
/* One file of the simulated disk: what reads see, what is synced, and the changes between. */
#ifndef TESTS_SIM_SIMULATED_FILE_H
#define TESTS_SIM_SIMULATED_FILE_H

#include "base/list.h"
#include "sim/random.h"

#include <stddef.h>

/* Bytes that grow; what was never written is zero. */
struct simulated_bytes {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
};

struct simulated_contents {
    struct simulated_bytes current;
    struct simulated_bytes synced;
    struct list changes; /* Of struct simulated_change, oldest first. */
    bool write_failed;   /* By a sync of the whole disk; its own next sync tells. */
};

/* Zero-filled; aborts when memory is out. Not base/memory.h: its faults are for the program. */
void *simulation_allocate(size_t size);
void *simulation_resize(void *block, size_t size);
char *simulation_copy_text(const char *text);

uint64_t simulated_hash(uint64_t hash, const void *bytes, uint64_t size);

void simulated_contents_init(struct simulated_contents *contents);
void simulated_contents_done(struct simulated_contents *contents);

void simulated_contents_write(struct simulated_contents *contents, uint64_t at, const void *bytes,
                              uint64_t size);
void simulated_contents_truncate(struct simulated_contents *contents, uint64_t size);

/* All changes are on the disk. */
void simulated_contents_sync(struct simulated_contents *contents);

/* Some changes are on the disk, some still wait, some are lost though reads see them. */
void simulated_contents_sync_failed(struct simulated_contents *contents, struct random *random);

/* Without `random` everything unsynced is lost. */
void simulated_contents_crash(struct simulated_contents *contents, struct random *random);

void simulated_contents_flip(struct simulated_contents *contents, uint64_t position, unsigned bit);

uint64_t simulated_contents_hash(const struct simulated_contents *contents, uint64_t hash);

#endif
