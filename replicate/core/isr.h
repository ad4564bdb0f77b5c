/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a leader's in-sync replicas to the catalog: Kafka's AlterPartition as a command
 * (KIP-497, KIP-841, KIP-903). Inside the monitor. */
#ifndef REPLICATE_CORE_ISR_H
#define REPLICATE_CORE_ISR_H

#include "catalog/catalog.h"
#include "partition/partition.h"

struct isr_changes {
    struct partition_quorum quorum; /* For partition_table_options. */
    struct catalog *catalog;
    int32_t node_id;
    uint32_t under_way;
};

void isr_changes_init(struct isr_changes *changes, struct catalog *catalog, int32_t node_id);

/* No proposal is under way: what it points to may go. */
bool isr_changes_idle(const struct isr_changes *changes);

#endif
