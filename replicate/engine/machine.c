/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine that libraft drives: applies committed entries to the catalog, takes and
 * restores snapshots of it. Everything here runs on the loop's thread and enters the monitor for
 * the catalog. */
#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "replicate/engine/state.h"

#include <inttypes.h>
#include <stdlib.h>

void submission_answer(struct submission *submission, const struct catalog_outcome *outcome)
{
    if (submission->proposal == NULL)
        return;
    catalog_proposal_complete(submission->engine->catalog, submission->proposal, outcome);
    submission->proposal = NULL;
}

/* The submission of an entry. One with its index and another term lost its place in the log to
 * another leader's entry, and its callback has not come yet. */
static struct submission *submission_of(struct engine *engine, uint64_t index, uint64_t term)
{
    list_for_each(link, &engine->submitted)
    {
        struct submission *submission = container_of(link, struct submission, link);
        if (submission->apply.index == index && submission->term == term)
            return submission;
    }
    return NULL;
}

/* A node that cannot apply what the others applied must not serve from an image that has a hole:
 * it stops, and recovers when it is started again. */
_Noreturn static void stop_the_node(uint64_t index, const char *why)
{
    report(REPORT_ERROR, "metadata_apply_failed", "",
           "index=%" PRIu64 " reason=\"%s\" lost=nothing "
           "do=\"start the node again\"",
           index, why);
    abort();
}

static int machine_apply(struct raft_fsm *machine, const struct raft_buffer *buffer, void **result)
{
    struct engine *engine = machine->data;
    const uint8_t *bytes;
    size_t size;
    uint64_t term;
    uint64_t index = raft_last_applied(&engine->raft) + 1;
    *result = NULL;
    if (!entry_decode(buffer, &bytes, &size, &term))
        stop_the_node(index, "an entry of another program");

    engine_monitor_enter(engine);
    struct catalog_outcome outcome =
        catalog_apply(engine->catalog, (int64_t)index, (int32_t)term, bytes, size);
    if (outcome.error == ERROR_OUT_OF_MEMORY)
        stop_the_node(index, "out of memory");
    struct submission *submission = submission_of(engine, index, term);
    if (submission != NULL)
        submission_answer(submission, &outcome);
    engine_monitor_leave(engine);
    return 0;
}

static int machine_snapshot(struct raft_fsm *machine, struct raft_buffer **ret_buffers,
                            unsigned *ret_count)
{
    struct engine *engine = machine->data;
    uint8_t *bytes = NULL;
    size_t size = 0;
    engine_monitor_enter(engine);
    enum error error = catalog_snapshot(engine->catalog, &bytes, &size);
    engine_monitor_leave(engine);
    struct raft_buffer *buffers = error == ERROR_NONE ? raft_malloc(sizeof *buffers) : NULL;
    bool taken =
        buffers != NULL && entry_encode(bytes, size, raft_current_term(&engine->raft), buffers);
    memory_free(bytes);
    if (!taken) { /* libraft tries again after the next entries. */
        raft_free(buffers);
        report(REPORT_WARNING, "metadata_snapshot_failed", "", "reason=\"%s\" lost=nothing",
               error_text(ERROR_OUT_OF_MEMORY));
        return RAFT_NOMEM;
    }
    engine->snapshot_index = raft_last_applied(&engine->raft);
    *ret_buffers = buffers;
    *ret_count = 1;
    return 0;
}

/* Takes the buffer when it returns 0. */
static int machine_restore(struct raft_fsm *machine, struct raft_buffer *buffer)
{
    struct engine *engine = machine->data;
    const uint8_t *bytes;
    size_t size;
    uint64_t term;
    enum error error = ERROR_MALFORMED;
    if (entry_decode(buffer, &bytes, &size, &term)) {
        engine_monitor_enter(engine);
        error = catalog_restore(engine->catalog, bytes, size);
        engine->snapshot_index = (uint64_t)catalog_applied_index(engine->catalog);
        engine_monitor_leave(engine);
    }
    if (error != ERROR_NONE) {
        engine->restore_failed = true;
        return error == ERROR_OUT_OF_MEMORY ? RAFT_NOMEM : RAFT_CORRUPT;
    }
    raft_free(buffer->base);
    return 0;
}

void machine_init(struct engine *engine)
{
    engine->machine = (struct raft_fsm){
        .version = 1,
        .data = engine,
        .apply = machine_apply,
        .snapshot = machine_snapshot,
        .restore = machine_restore,
    };
}
