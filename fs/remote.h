/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of partitions this node has no replica of, asked of their leaders by TextStat.
 *
 *   remote_look --> call to the leader, one for all of the topic it leads --> known, done
 *                     '-- no leader, not it, no answer: again, until the time is over
 *
 * Text positions count in each leader's own log. Here they are kept in one text of the tree's that
 * goes on when the leader changes: `shift` is the difference, found anew in each leader epoch from
 * a place known in both (the anchor: an offset and where it is in the tree's text). Inside the
 * monitor. */
#ifndef FS_REMOTE_H
#define FS_REMOTE_H

#include "base/error.h"
#include "base/executor.h"
#include "base/list.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

struct tree;

struct remote_partition {
    bool known;
    int32_t epoch; /* The leader's that answered; -1: seeded, no leader has answered yet. */
    int64_t shift; /* Its text position less ours. */
    int64_t anchor_offset;
    uint64_t anchor_text;
    int64_t looked_ms;   /* Monotonic; of the last answer. */
    uint64_t text_start; /* In the tree's text. */
    uint64_t text_end;   /* Never goes back. */
    int64_t log_start_offset;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_end_offset;
    int64_t log_size_bytes;
    int64_t max_timestamp; /* -1: no record. */
};

struct remotes {
    struct list topics;
    struct list calls;
    struct catalog_watcher watcher;
};

/* As in text_stat.schema. */
enum remote_place_kind { REMOTE_OFFSET, REMOTE_BEFORE_END, REMOTE_TIME, REMOTE_COMMITTED };

struct remote_place {
    enum remote_place_kind kind;
    int64_t value;
    int64_t offset; /* Results: what is there, nearest to it; and where in the tree's text. */
    uint64_t text;
};

enum { REMOTE_PLACES_MAX = 2 };

/* Owned by whoever looks until done. */
struct remote_look {
    struct uuid topic_id;
    int32_t index;
    uint32_t place_count;
    struct remote_place places[REMOTE_PLACES_MAX];
    int64_t timeout_ms; /* From the start. Then REQUEST_TIMED_OUT. */
    /* NONE: the partition is known as of now, places are found. UNKNOWN_TOPIC_OR_PARTITION: it was
     * deleted. Others as the leader says. */
    enum error error;
    void (*done)(struct remote_look *look);
    /* Its own. */
    struct tree *tree;
    struct list link;
    struct timer timer;
    int64_t deadline_ms;
    int64_t retry_ms;
};

void remotes_init(struct tree *tree);
/* No look is left. */
void remotes_done(struct tree *tree);

/* NULL when nothing was ever heard. Valid until the monitor is left. */
struct remote_partition *remote_find(struct tree *tree, const struct uuid *topic_id, int32_t index);

/* The same, made when missing: of a partition whose replica this node has just lost, from what the
 * replica said last. NULL: out of memory. */
struct remote_partition *remote_seed(struct tree *tree, const struct uuid *topic_id, int32_t index,
                                     int64_t anchor_offset, uint64_t anchor_text);

/* Whether it was looked at less than `age_ms` ago. */
bool remote_is_fresh(struct tree *tree, const struct uuid *topic_id, int32_t index, int64_t age_ms);

/* It is looked at anew by whoever looks next. */
void remote_forget_age(struct tree *tree, const struct uuid *topic_id, int32_t index);

/* Fill topic_id to timeout_ms and done first. Not from inside: done. */
void remote_look_start(struct tree *tree, struct remote_look *look);
/* Ends it without done. Accepts one that is not under way. */
void remote_look_stop(struct remote_look *look);
bool remote_look_running(const struct remote_look *look);

/* Errors that pass when another leader is there, or when it has learnt of the topic. */
bool remote_error_passes(struct tree *tree, const struct uuid *topic_id, enum error error);

#endif
