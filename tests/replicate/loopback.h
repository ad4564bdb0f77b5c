/* SPDX-License-Identifier: Apache-2.0 */
/* The way between the nodes of replicas_fixture: a struct caller that hands requests, as bytes, to
 * the handlers of the node they are for. */
#ifndef TESTS_REPLICATE_LOOPBACK_H
#define TESTS_REPLICATE_LOOPBACK_H

#include "replicate/replicas_fixture.h"

void loopback_init(struct replica_node *node);

#endif
