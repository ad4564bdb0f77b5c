/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a node, this one or another: filled in and answered the same way.
 *
 *   ask_init -> (fill request.body) -> ask_start --> the handler here      --.
 *                                          '-------> call to the other node --'--> done -> ask_done
 *
 * Inside the monitor. */
#ifndef FS_ASK_H
#define FS_ASK_H

#include "handle/request.h"
#include "wire/call.h"

struct tree;

struct ask {
    struct list link; /* The owner's. */
    struct tree *tree;
    struct request request; /* The body lives in its arena; the answer is request.response. */
    struct call call;       /* While or after another node is asked. */
    int32_t node_id;
    bool running;
    /* NONE: there is an answer. OUT_OF_MEMORY; of another node, as struct call says. */
    enum error error;
    void (*done)(struct ask *ask);
    void *context; /* These two are the owner's. */
    void *notes;
};

/* The body is zeroed, with the defaults of its message. UNSUPPORTED_VERSION: not in this build;
 * OUT_OF_MEMORY. ask_done is owed in any case. */
enum error ask_init(struct ask *ask, struct tree *tree, int16_t api_key, int16_t version);

/* `done` comes exactly once, never from inside. The timeout is another node's; here the handler's
 * own hold. */
void ask_start(struct ask *ask, int32_t node_id, int64_t timeout_ms);

/* `done` comes soon. Accepts one that is not running. */
void ask_cancel(struct ask *ask);

/* Frees the body and the answer; not while it runs. */
void ask_done(struct ask *ask);

#endif
