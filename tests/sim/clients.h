/* SPDX-License-Identifier: Apache-2.0 */
/* What simulated clients do: each `act` is one thing a client may do now, if it can. */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include "sim/model.h"

/* Producers by port (idempotent and plain) and by file (lines, through partition_append). */
struct producer *producers_new(struct world *world);
void producers_free(struct producer *producers);
void producers_crashed(struct world *world);
/* `finish`: only what is under way, nothing new. */
void producer_act(struct world *world, struct producer *producer, bool finish);
void producers_act(struct world *world);
bool producers_idle(struct world *world);
/* True when every record sent has its answer, or will never have one. */
bool producers_finish(struct world *world);

/* Consumers with fetch sessions, and readers of the text view. */
struct consumer *consumers_new(struct world *world);
void consumers_free(struct consumer *consumers);
void consumers_crashed(struct world *world);
void consumers_act(struct world *world);
bool consumers_idle(struct world *world);
void consumers_cancel(struct world *world);

/* Reads the batches of `bytes` into the model, from `offset` on; returns the offset behind the last
 * whole one. A batch whose checksum is wrong ends it: the client sees that. */
int64_t batches_read(struct world *world, struct model_partition *partition, int64_t offset,
                     const uint8_t *bytes, size_t size);

/* Reads every partition from start to high watermark, as log and as text, and checks both. */
void world_read_all(struct world *world);

/* Consumers that commit offsets on their own. */
struct committer *committers_new(struct world *world);
void committers_free(struct committer *committers);
void committers_crashed(struct world *world);
void committers_act(struct world *world);
bool committers_idle(struct world *world);
/* Starts asking for every group offset; the answers are checked. */
void committers_verify(struct world *world);

/* Topics made and deleted, configurations changed, records deleted. */
struct admin *admin_new(struct world *world);
void admin_free(struct admin *admin);
void admin_crashed(struct world *world);
void admin_act(struct world *world);
bool admin_idle(struct world *world);

#endif
