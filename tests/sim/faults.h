/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in the simulated world, and the restarts after it. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "sim/world.h"

enum fault_stop { FAULT_POWER_CUT, FAULT_KILL, FAULT_CLEAN_STOP };

/* Which kinds this seed has. */
void faults_choose(struct world *world);

/* One of them, now. */
void faults_act(struct world *world);

/* Restarts a node that can go on no more without one. */
void faults_watch(struct world *world);

/* The disk is sound again and has room; the node is restarted so that nothing is fenced. */
void faults_end(struct world *world);

/* Stops the node so and starts it again; a clean stop on a disk whose sync failed becomes a power
 * cut, since only that shows what is on the disk. */
void faults_restart(struct world *world, enum fault_stop stop);

#endif
