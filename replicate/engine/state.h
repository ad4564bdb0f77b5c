/* SPDX-License-Identifier: Apache-2.0 */
/* What an open engine is made of; private to this folder. */
#ifndef REPLICATE_ENGINE_STATE_H
#define REPLICATE_ENGINE_STATE_H

#include "base/list.h"
#include "replicate/engine/host.h"

#include <pthread.h>
#include <raft.h>

enum { GUARD_SNAPSHOTS = 4, GUARD_TOLD_MAX = 64 };

/* One proposal on its way through libraft. Owned by the loop's thread until its callback. */
struct submission {
    struct raft_apply apply;
    struct list link;
    struct engine *engine;
    uint64_t term;
    struct catalog_proposal *proposal; /* NULL once it was answered. */
};

/* What a member was sent last, by a leader (commit_tell.c). */
struct told_member {
    raft_id id;
    uint64_t term;
    uint64_t last_index, last_term; /* Behind the entries. */
    uint64_t commit;
    unsigned char version;
};

/* What stands between libraft and its io (guard.c). */
struct guard {
    struct raft_io io; /* The functions of the io itself. */
    raft_io_tick_cb tick;
    raft_io_recv_cb receive;
    struct list reads;      /* Of snapshots, to be tried again. */
    uint64_t leader_commit; /* What the leader said is committed; 0: it said nothing yet. */
    struct {
        uint64_t index, term;
    } snapshots[GUARD_SNAPSHOTS]; /* The last ones stored or loaded. */
    unsigned snapshot_count;
    struct told_member told[GUARD_TOLD_MAX];
    unsigned told_count;
    uint64_t commit_told; /* As of when the members were told of it. */
};

struct engine {
    struct raft raft;
    struct raft_io *io; /* NULL until libraft was made. */
    struct raft_fsm machine;
    struct raft_barrier barrier; /* Of a leadership's beginning: what it has is applied. */
    uint64_t barrier_term;
    uint64_t settled_term; /* Of the last barrier that was reached; 0: none. */
    struct catalog_proposer proposer;
    struct engine_host *host;
    struct monitor *monitor; /* NULL: one thread. */
    struct executor *executor;
    struct catalog *catalog;
    void (*ready)(void *context, enum error error); /* NULL once it was called. */
    void (*changed)(void *context, const struct engine_state *state);
    void *context;
    void (*closed)(void *context);
    void *closed_context;
    bool barrier_sent;
    bool raft_closed;
    bool released;
    struct list submitted; /* struct submission in log order; the engine's thread's. */
    struct list mailbox;   /* struct catalog_proposal; guarded by the monitor. */
    bool closing;          /* Guarded by the monitor. */
    bool restore_failed;
    uint64_t snapshot_index;

    struct guard guard;

    struct list changes;                 /* struct engine_change; guarded by the monitor. */
    struct engine_change *change;        /* The one under way; the engine's thread's. */
    struct raft_change raft_change;      /* Its. */
    struct raft_transfer *raft_transfer; /* Its; of its own, as it may outlive a change. */

    pthread_mutex_t state_lock;
    struct engine_state state;     /* A copy for other threads; guarded by state_lock, as are: */
    struct engine_member *members; /* member_count of them. */
    uint32_t member_count;
    uint64_t members_seen[3]; /* What tells that they changed. */
};

static inline void engine_monitor_enter(struct engine *engine)
{
    if (engine->monitor != NULL)
        monitor_enter(engine->monitor);
}

static inline void engine_monitor_leave(struct engine *engine)
{
    if (engine->monitor != NULL)
        monitor_leave(engine->monitor);
}

/* What a status of libraft is to us. */
enum error error_of_raft(int status);

/* ---- guard.c ---- */

/* After raft_init, before anything else is asked of libraft. */
void guard_install(struct engine *engine, struct raft_io *io);
void guard_done(struct engine *engine);

/* ---- commit_tell.c ---- */

/* A message of entries on its way to a member. */
void commit_told(struct engine *engine, const struct raft_message *message);

/* Tells the members what is committed, when it moved since. Outside the monitor. */
void commit_tell(struct engine *engine);

/* ---- members.c ---- */

/* Starts the next change when none is under way. Outside the monitor. */
void changes_turn(struct engine *engine);

/* Those that wait end with CLOSING. Outside the monitor. */
void changes_close(struct engine *engine);

/* Copies the members for other threads when they changed. */
void members_publish(struct engine *engine);

/* The configuration to found a cluster with; close it afterwards also on error. A status of
 * libraft. */
int members_configure(const struct engine_options *options, struct raft_configuration *ret_members);

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
