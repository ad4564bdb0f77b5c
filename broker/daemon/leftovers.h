/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash can leave in the data directory: deletions half done, directories no topic owns. */
#ifndef BROKER_DAEMON_LEFTOVERS_H
#define BROKER_DAEMON_LEFTOVERS_H

#include "handle/broker.h"
#include "log/directory.h"

/* Removes directories whose deletion had begun, and names those of partitions that this node does
 * not hold; they are left as they are. At start, inside the monitor, once the partitions are taken
 * up. */
enum error leftovers_clear(struct broker *broker, struct log_directory *directory);

#endif
