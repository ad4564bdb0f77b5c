/* SPDX-License-Identifier: Apache-2.0 */
/* One file operation under way: it owns the one answer that the kernel is owed.
 *
 *   worker thread      op_begin -> monitor_enter -> work -> monitor_leave -> op_settle
 *                                                    |                           |
 *   completed in that stay:  op_complete             '---------------> reply here, outside
 *   completed later:         op_complete ... reply there, inside the monitor, by whoever runs it
 *
 * An op that is not complete when its thread leaves is parked: the kernel's interrupt finds it in
 * tree->parked and calls its `cancel`. Nothing that waits ignores an interrupt: a daemon that does
 * leaves processes nobody can kill (filesystem.md 0.7). */
#ifndef FS_OP_H
#define FS_OP_H

#include "fs/ask.h"
#include "fs/inode.h"
#include "fs/leader_stats.h"
#include "fs/listing.h"
#include "fs/open_file.h"
#include "fs/remote.h"

#include <stdatomic.h>

struct fuse_req;

struct op {
    struct list link; /* In tree->parked until complete. */
    struct tree *tree;
    struct fuse_req *fuse;
    struct inode *inode;    /* Referenced until complete. */
    const char *verb;       /* "write", "mkdir": for .errors. */
    const char *name;       /* The entry's name in a directory op, else NULL. */
    bool complete;          /* Inside the monitor. */
    bool inside;            /* `reply` is being called inside the monitor. */
    atomic_uint state;      /* OP_COMPLETE, OP_LEFT. */
    atomic_uint references; /* The answer's and that of whatever is still under way. */
    enum error error;
    /* Answers the kernel from op->error and the results; called once, on any thread, inside the
     * monitor or outside. Returns false when the kernel no longer wanted it. */
    bool (*reply)(struct op *op);
    /* Inside the monitor, on a parked op: makes it complete soon, at once when tree->closing. Comes
     * for an interrupt, and for what is left when the mount closes. */
    void (*cancel)(struct op *op);
    /* Frees the struct that embeds the op, when the last reference goes. */
    void (*release)(struct op *op);
};

/* Fills the common part. Enters nothing. */
void op_begin(struct op *op, struct tree *tree, struct fuse_req *fuse, struct inode *inode,
              const char *verb);

/* Inside the monitor, first thing: parks it and takes the inode reference. */
void op_enter(struct op *op);

/* Inside the monitor, exactly once. `reason` (NULL: the error's own text) goes to .errors. */
void op_complete(struct op *op, enum error error, const char *reason);

/* Outside the monitor, last thing the worker does: replies if complete, else leaves the op parked
 * with its interrupt registered. The op is not the caller's afterwards. */
void op_settle(struct op *op);

void op_unref(struct op *op);

/* Ends the wait of every parked op (the mount is going). Inside the monitor. */
void op_cancel_all(struct tree *tree);

/* ---- operations on names, directories and small files ---- */

struct node_op {
    struct op op;
    char name[256];
    struct text text;       /* render's result. */
    struct listing listing; /* list's result. */
    struct slice input;     /* store's input; lies in input_text. */
    struct text input_text;
    struct inode *found; /* lookup's and make's result: one reference. */
    struct stat found_stat;
    struct open_file *file;                                 /* Being opened or read; may be NULL. */
    int flags;                                              /* open(2)'s. */
    uid_t uid;                                              /* Who opens. */
    void (*opens)(struct node_op *op, struct inode *inode); /* Set: what was found is opened too. */
    char reason[200]; /* Why it failed, "" : the error says it. */
    uint64_t number;  /* For the class. */
    int64_t value;    /* The same. */
    struct ask ask;   /* The request under way, or answered. */
    bool has_ask;
    void (*answered)(struct node_op *op);
    struct list asks; /* Of a gathering: see node_op_gather_add. */
    uint32_t asks_running;
    void (*gathered)(struct node_op *op);
    struct leader_stats stats;
    void (*replied)(struct node_op *op); /* These two: see group_ask (fs/group_files.h). */
    void (*restart)(struct node_op *op);
    struct remote_look look; /* See node_op_look. */
    void (*looked)(struct node_op *op);
    struct timer retry; /* See node_op_again. */
    void (*again)(struct node_op *op);
    int64_t retry_until_ms; /* Monotonic; 0: nothing was retried yet. */
};

/* Zeroed, begun; NULL when out of memory (then ENOMEM was answered). */
struct node_op *node_op_new(struct tree *tree, struct fuse_req *fuse, struct inode *inode,
                            const char *verb, bool (*reply)(struct op *op));

static inline struct node_op *node_op_of(struct op *op)
{
    return container_of(op, struct node_op, op);
}

/* Completion: with the found inode (its reference is taken over; NULL means out of memory); with an
 * error; with an error and a printf-formatted reason. */
void node_op_found(struct node_op *op, struct inode *found);
void node_op_done(struct node_op *op, enum error error);
void node_op_fail(struct node_op *op, enum error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A handler call on behalf of the op: prepare, fill ask.request.body, start; `answered` then comes
 * inside the monitor with the response, unless the op was interrupted. The body is zeroed, with
 * the defaults of its message. False: out of memory, and the op is complete. */
bool node_op_request(struct node_op *op, int16_t api_key, int16_t version);
void node_op_start(struct node_op *op, void (*answered)(struct node_op *op));

/* The same of any node, this one included; `answered` comes without a response too: ask.error. */
void node_op_ask(struct node_op *op, int32_t node_id, int64_t timeout_ms,
                 void (*answered)(struct node_op *op));

/* Several at once: add each (NULL: out of memory, and the op is complete), fill its body, gather.
 * `gathered` comes when each has an answer or an error; at once when there is none. Answers stay in
 * op->asks until they are cleared or the op ends; more may be gathered. */
void node_op_gather_clear(struct node_op *op);
struct ask *node_op_gather_add(struct node_op *op, int16_t api_key, int16_t version,
                               int32_t node_id);
void node_op_gather(struct node_op *op, int64_t timeout_ms, void (*gathered)(struct node_op *op));

/* Runs `again` after a while, unless the op is interrupted before. */
void node_op_again(struct node_op *op, int64_t delay_ms, void (*again)(struct node_op *op));

/* Has the partition behind an inode looked at, unless this node has a replica of it or it was
 * looked at less than `age_ms` ago, then runs `looked`: at once, or later. op->look.error says what
 * came of it; what was known before is still known. */
void node_op_look(struct node_op *op, struct inode *inode, int64_t age_ms, int64_t timeout_ms,
                  void (*looked)(struct node_op *op));

/* The row of a Kafka error code; UNKNOWN_SERVER when there is none. */
enum error node_op_error(int16_t error_code);

/* Completes with a Kafka error code of a response; its message is the reason. Nothing happens and
 * false is returned when the code is 0. */
bool node_op_refused(struct node_op *op, int16_t error_code, struct slice message);

/* The same for what adds partitions: a policy it violates is the quota (EDQUOT). */
bool node_op_creation_refused(struct node_op *op, int16_t error_code, struct slice message);

#endif
