/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that commands and snapshots have in common, as bytes. Reading bounds every count; what
 * does not fit fails the reader. `version` is that of the command or snapshot, which count alike:
 * what version 1 lacks is zero. */
#ifndef BROKER_CATALOG_FIELDS_H
#define BROKER_CATALOG_FIELDS_H

#include "catalog/bytes.h"
#include "catalog/catalog.h"

void write_ids(struct bytes_writer *writer, const int32_t *ids, uint32_t count);
void read_ids(struct bytes_reader *reader, int32_t ret_ids[CATALOG_REPLICAS_MAX],
              uint32_t *ret_count);

/* A string that is not null and holds no NUL. */
struct slice read_text(struct bytes_reader *reader);

void write_node(struct bytes_writer *writer, const struct catalog_node *node);
void read_node(struct bytes_reader *reader, uint8_t version, struct catalog_node *ret_node);

/* Without its index. */
void write_partition(struct bytes_writer *writer, const struct catalog_partition *partition);
void read_partition(struct bytes_reader *reader, uint8_t version,
                    struct catalog_partition *ret_partition);

#endif
