/* SPDX-License-Identifier: Apache-2.0 */
/* Failing everything once: a scenario is run with its 1st, then its 2nd, ... call refused, until a
 * run meets no refusal. A refused run must report an error (swallowing one fails the test), and
 * what was there before must still be there. For cmocka tests. */
#ifndef TESTS_SIM_SWEEP_H
#define TESTS_SIM_SWEEP_H

#include "sim/simulated_storage.h"

struct sweep {
    /* Builds what the scenario starts from on an empty disk, without faults. May be NULL. */
    void (*prepare)(struct storage *storage, void *context);

    /* The operation under test; leaves nothing open. */
    enum error (*scenario)(struct storage *storage, void *context);

    /* Looks at what is left, without faults (after a power cut in sweep_crashes). `got` is what the
     * scenario returned. May be NULL. */
    void (*check)(struct storage *storage, void *context, enum error got);

    void *context;
    uint64_t seed;
    unsigned operations; /* Which calls fail; 0 for SIMULATED_ANY. */
    enum error error;    /* How; NONE for ERROR_STORAGE. */
    bool persistent;     /* The disk stays broken. */
    bool may_succeed;    /* The scenario rightly survives some faults (say why at the use). */
};

/* Refuses storage calls; returns the number of runs. */
int sweep_faults(const struct sweep *sweep);

/* Refuses allocations (memory_fault_arm). */
int sweep_memory(const struct sweep *sweep);

/* Cuts the power at the 1st, 2nd, ... changing call, `cuts` times each with another choice of what
 * the disk keeps; check then sees the disk after the restart. */
int sweep_crashes(const struct sweep *sweep, int cuts);

#endif
