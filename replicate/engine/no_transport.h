/* SPDX-License-Identifier: Apache-2.0 */
/* libraft's way to other nodes where there are none. */
#ifndef REPLICATE_ENGINE_NO_TRANSPORT_H
#define REPLICATE_ENGINE_NO_TRANSPORT_H

#include <raft/uv.h>

/* Never listens and never connects. */
void no_transport_init(struct raft_uv_transport *transport);

#endif
