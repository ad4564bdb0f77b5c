/* SPDX-License-Identifier: Apache-2.0 */
/* What an open engine is made of; private to this folder. */
#ifndef REPLICATE_ENGINE_STATE_H
#define REPLICATE_ENGINE_STATE_H

#include "base/list.h"
#include "replicate/engine/engine.h"

#include <raft.h>
#include <raft/uv.h>

/* One proposal on its way through libraft. Owned by the loop's thread until its callback. */
struct submission {
    struct raft_apply apply;
    struct list link;
    struct engine *engine;
    struct catalog_proposal *proposal; /* NULL once it was answered. */
};

struct engine {
    struct raft raft;
    struct raft_io io;
    struct raft_uv_transport transport;
    struct raft_fsm machine;
    struct raft_barrier barrier; /* Of the first leadership: everything recovered is applied. */
    struct catalog_proposer proposer;
    struct monitor *monitor;
    struct catalog *catalog;
    void (*ready)(void *context, enum error error); /* NULL once it was called. */
    void *ready_context;
    void (*closed)(void *context);
    void *closed_context;
    uv_async_t wake; /* The mailbox has something. */
    uv_check_t check;
    int open_handles;
    bool barrier_sent;
    struct list submitted; /* struct submission in log order; the loop's. */
    struct list mailbox;   /* struct catalog_proposal; guarded by the monitor. */
    bool closing;          /* Guarded by the monitor. */
    bool restore_failed;
    uint64_t snapshot_index;
    uv_mutex_t state_lock;
    struct engine_state state; /* A copy for other threads; guarded by state_lock. */
    char directory[];
};

/* ---- transport.c: libraft's way to other nodes ---- */

/* Never listens: nodes talk over the node's own authenticated listener, not over a port of
 * libraft's. Connecting fails until that link is there. */
void transport_init(struct raft_uv_transport *transport);

/* ---- segment_check.c ---- */

/* MALFORMED, with the file and the byte: an open segment rotted, which libraft would take for a
 * write that was cut off and silently shorten. */
enum error segments_check(const char *directory, struct failure *failure);

/* ---- machine.c: the state machine that libraft drives ---- */

void machine_init(struct engine *engine);

/* Ends the proposal of a submission, if it was not ended yet. Inside the monitor. */
void submission_answer(struct submission *submission, const struct catalog_outcome *outcome);

/* ---- command_entry.c: log entries and snapshots as libraft wants them ----
 *
 *   size 4 | zero 4 | term 8 | bytes | zeros up to a multiple of 8 */

enum { ENTRY_HEADER_BYTES = 16 };

/* raft_malloc'ed; false without memory. */
bool entry_encode(const uint8_t *bytes, size_t size, uint64_t term, struct raft_buffer *ret_buffer);

/* Points into the buffer; false when it is no such entry. */
bool entry_decode(const struct raft_buffer *buffer, const uint8_t **ret_bytes, size_t *ret_size,
                  uint64_t *ret_term);

#endif
