/* SPDX-License-Identifier: Apache-2.0 */
/* write(2) on a partition file: lines into batches outside the monitor, all batches of one write
 * appended in one stay inside, one answer when the last of them is acknowledged.
 *
 *   append_write: cut and build -> (monitor) partition_append ... -> append_done -> answer */
#include "fs/append.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "fs/fuse.h"
#include "fs/lane.h"
#include "record/build.h"

#include <stdio.h>

enum {
    INTERRUPT_GRACE_MS = 1000,
    /* Larger requests may be a piece of a write(2) that the kernel cut at 256 pages, the first of
     * which need not be whole (fuse.md 1). */
    WHOLE_WRITE_BYTES_MAX = 255 * 4096,
};

/* One batch of the write. */
struct append_batch {
    struct append_batch *next;
    struct append_op *owner;
    struct buffer *buffer;
    size_t taken; /* Bytes of the request that are stored once this batch is. */
    struct lane_batch way;
};

struct append_op {
    struct op op;
    struct open_file *file; /* NULL for a tail: the file may be gone by then. */
    struct slice bytes;     /* The request's; borrowed until the batches are built. */
    size_t accepted;        /* The answer when everything is stored. */
    struct lines previous;  /* What was kept before, for when nothing is stored. */
    struct append_settings settings;
    struct append_batch *batches;
    uint32_t pending;
    struct append_watch *watch; /* Who wants to hear of a tail; NULL: nobody. */
    struct timer grace;         /* Runs after an interrupt. */
    struct append_batch first;  /* Most writes are one batch. */
};

/* ---- what the topic wants ---- */

/* The longest value that alone makes a batch of at most `batch_bytes_max`. */
static size_t line_bytes_max(size_t batch_bytes_max)
{
    static const uint8_t some_value[1];
    if (batch_bytes_max <= BATCH_HEADER_BYTES + RECORD_BYTES_MIN)
        return 0;
    size_t size = batch_bytes_max - BATCH_HEADER_BYTES - RECORD_BYTES_MIN;
    for (;; size--) {
        struct record record = {.value = slice_from(some_value, size)};
        if (size == 0 || BATCH_HEADER_BYTES + record_size(&record, 0, 0) <= batch_bytes_max)
            return size;
    }
}

struct append_settings append_settings_of(struct tree *tree, const struct inode *inode)
{
    const struct catalog_topic *topic = inode_topic(tree, inode);
    struct partition_config here;
    const struct partition_config *config = &here;
    if (inode->partition != NULL && !partition_deleted(inode->partition))
        config = partition_config(inode->partition);
    else
        here = broker_partition_config(tree->broker, topic == NULL ? NULL : topic->config);
    struct append_settings settings = {
        .batch_bytes_max = config->max_message_bytes,
        .codec = config->compression_codec > 0 ? (enum codec)config->compression_codec : CODEC_NONE,
        .level = config->compression_level,
        .append_time = config->log_append_time,
        .compacted = config->compacted,
    };
    if (settings.batch_bytes_max > config->log.segment_bytes)
        settings.batch_bytes_max = (int32_t)config->log.segment_bytes;
    return settings;
}

static bool settings_equal(const struct append_settings *a, const struct append_settings *b)
{
    return a->batch_bytes_max == b->batch_bytes_max && a->codec == b->codec &&
           a->level == b->level && a->append_time == b->append_time && a->compacted == b->compacted;
}

/* ---- building ---- */

static void batches_free(struct append_op *op)
{
    while (op->batches != NULL) {
        struct append_batch *batch = op->batches;
        op->batches = batch->next;
        buffer_unref(batch->buffer);
        if (batch != &op->first)
            memory_free(batch);
    }
    op->first = (struct append_batch){0};
}

/* What batches are built with; lives for one attempt. */
struct append_build {
    struct append_op *op;
    struct batch_builder builder;
    struct append_batch **end; /* Where the next batch is linked. */
    int64_t now_ms;
    uint64_t text_bytes; /* Of the batch being built. */
};

/* Ends the batch under way; `taken` bytes of the request are stored with it. */
static enum error build_batch(struct append_build *build, size_t taken)
{
    struct append_op *op = build->op;
    struct buffer *buffer;
    enum error error = batch_builder_finish(&build->builder, &op->file->encoders, &buffer);
    if (error != ERROR_NONE)
        return error;
    struct append_batch *batch = op->batches == NULL ? &op->first : memory_allocate(sizeof *batch);
    if (batch == NULL) {
        buffer_unref(buffer);
        return ERROR_OUT_OF_MEMORY;
    }
    *batch = (struct append_batch){.owner = op, .buffer = buffer, .taken = taken};
    *build->end = batch;
    build->end = &batch->next;
    batch->way.buffer = buffer;
    batch->way.append = (struct partition_append){
        .batch = buffer->data,
        .size = buffer->size,
        .acks = op->op.tree->options.acks,
        .timeout_ms = (int32_t)op->op.tree->options.write_timeout_ms,
        .facts = {.max_timestamp = build->now_ms,
                  .offsets_in_order = true,
                  .text_bytes = build->text_bytes},
    };
    build->text_bytes = 0;
    return batch_header_read(buffer->data, buffer->size, &batch->way.append.facts.header);
}

/* Adds one line, beginning another batch when this one is full. */
static enum error build_line(struct append_build *build, struct slice line, size_t taken_before)
{
    if (build->op->op.tree->options.carriage_stripped && line.size > 0 &&
        line.data[line.size - 1] == '\r')
        line.size--;
    enum error error = batch_builder_append_next(&build->builder, build->now_ms, SLICE_NULL, line);
    if (error == ERROR_TOO_LARGE && batch_builder_size(&build->builder) > 0) {
        error = build_batch(build, taken_before);
        if (error == ERROR_NONE)
            error = batch_builder_append_next(&build->builder, build->now_ms, SLICE_NULL, line);
    }
    if (error == ERROR_NONE)
        build->text_bytes += line.size + 1;
    return error == ERROR_TOO_LARGE ? ERROR_MESSAGE_TOO_LARGE : error;
}

/* `file->writing` is held. */
static void build_start(struct append_build *build, struct append_op *op)
{
    struct append_settings *settings = &op->file->settings;
    if (settings->line_bytes_max == 0)
        settings->line_bytes_max = line_bytes_max((size_t)settings->batch_bytes_max);
    op->settings = *settings;
    int64_t now_ms = executor_wall_clock_ms(tree_executor(op->op.tree));
    struct batch_options options = batch_options_default();
    options.codec = settings->codec;
    options.level = settings->level;
    options.size_bytes_max = (size_t)settings->batch_bytes_max;
    if (settings->append_time) {
        options.timestamp_type = TIMESTAMP_APPEND;
        options.append_timestamp = now_ms;
    }
    *build = (struct append_build){.op = op, .end = &op->batches, .now_ms = now_ms};
    batch_builder_init(&build->builder, &options);
}

/* The request's lines as batches, in op->batches; the state of the file moves on. */
static enum error append_build(struct append_op *op)
{
    struct append_build build;
    struct lines *lines = &op->file->lines;
    struct lines_cut cut;
    build_start(&build, op);
    lines_cut_start(&cut, lines, op->bytes, op->settings.line_bytes_max);
    struct slice line;
    enum error ended, error = ERROR_NONE;
    for (;;) {
        size_t before = cut.taken;
        ended = lines_cut_next(&cut, &line);
        if (ended != ERROR_NONE)
            break;
        error = build_line(&build, line, before);
        if (error != ERROR_NONE)
            break;
    }
    if (error == ERROR_NONE && ended == ERROR_MESSAGE_TOO_LARGE && cut.taken == 0) {
        lines_cut_refuse(&cut);
        error = ended;
    } else if (error == ERROR_NONE && ended == ERROR_OUT_OF_MEMORY) {
        error = ended;
    }
    op->accepted = ended == ERROR_NOT_FOUND ? op->bytes.size : cut.taken;
    if (error == ERROR_NONE && batch_builder_size(&build.builder) > 0)
        error = build_batch(&build, op->accepted);
    if (error == ERROR_NONE && op->batches != NULL && op->settings.compacted)
        error = ERROR_INVALID_RECORD; /* A line has no key. */
    if (error == ERROR_NONE)
        error = lines_cut_finish(&cut, ended == ERROR_NOT_FOUND, &op->previous);
    batch_builder_done(&build.builder);
    if (error != ERROR_NONE)
        batches_free(op);
    return error;
}

/* The line begun as a batch of its own; nothing is kept afterwards. */
static enum error append_build_tail(struct append_op *op)
{
    struct append_build build;
    struct lines *lines = &op->file->lines;
    struct slice tail = lines_kept(lines);
    if (tail.size == 0)
        return ERROR_NONE;
    build_start(&build, op);
    enum error error = build_line(&build, tail, 0);
    if (error == ERROR_NONE)
        error = build_batch(&build, 0);
    if (error == ERROR_NONE && op->settings.compacted)
        error = ERROR_INVALID_RECORD;
    batch_builder_done(&build.builder);
    lines_drop_kept(lines);
    if (error != ERROR_NONE)
        batches_free(op);
    return error;
}

/* Why lines made no batches, where the error's own text says too little. */
static const char *build_reason(enum error error)
{
    return error == ERROR_INVALID_RECORD
               ? "the topic is compacted: its records need a key, and a line has none"
               : NULL;
}

/* ---- appending ---- */

void append_watch_end(struct append_watch *watch)
{
    if (watch->op != NULL)
        watch->op->watch = NULL;
    watch->op = NULL;
}

static void watch_tell(struct append_op *op, enum error error)
{
    struct append_watch *watch = op->watch;
    if (watch == NULL)
        return;
    append_watch_end(watch);
    watch->done(watch, error);
}

/* All batches are acknowledged or refused. Inside the monitor. */
static void append_finish(struct append_op *op)
{
    enum error error = ERROR_NONE;
    size_t taken = 0;
    const char *reason = NULL;
    struct append_batch *batch = op->batches;
    executor_timer_stop(tree_executor(op->op.tree), &op->grace);
    for (; batch != NULL && error == ERROR_NONE; batch = batch->next) {
        error = batch->way.append.error;
        if (error == ERROR_NONE)
            taken = batch->taken;
    }
    if (error == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        error = ERROR_STALE;
    if (op->file != NULL) {
        struct lines *lines = &op->file->lines;
        (void)pthread_mutex_lock(&op->file->writing);
        if (error != ERROR_NONE && taken == 0) {
            lines_restore(lines, &op->previous);
        } else {
            lines_done(&op->previous);
            if (error != ERROR_NONE)
                lines_drop_kept(lines); /* The count ends on a record's edge. */
        }
        (void)pthread_mutex_unlock(&op->file->writing);
    }
    if (error == ERROR_INTERRUPTED) {
        /* Not EINTR, nor a short count: who hears that writes the same again. */
        error = ERROR_STORAGE;
        reason = "interrupted before its records were durable: they may be there";
    } else if (taken > 0 && error != ERROR_NONE) {
        op->accepted = taken;
        error = ERROR_NONE;
    }
    watch_tell(op, error);
    op_complete(&op->op, error, reason);
}

static void append_done(struct partition_append *append)
{
    struct append_batch *batch = container_of(append, struct append_batch, way.append);
    struct append_op *op = batch->owner;
    ASSERT(op->pending > 0);
    if (--op->pending == 0)
        append_finish(op);
}

/* Those behind one that was refused are not sent any more. */
static void way_done(struct lane_batch *way)
{
    struct append_batch *batch = container_of(way, struct append_batch, way);
    if (way->append.error != ERROR_NONE)
        for (struct append_batch *later = batch->next; later != NULL; later = later->next)
            lane_cancel(&later->way);
    append_done(&way->append);
}

/* Inside the monitor. Later batches are not appended behind one that was refused. */
static void append_submit(struct append_op *op)
{
    struct lane *lane = NULL;
    struct tree *tree = op->op.tree;
    struct inode *inode = op->op.inode;
    int64_t deadline_ms =
        executor_monotonic_ms(tree_executor(tree)) + tree->options.write_timeout_ms;
    op->pending = 1; /* Ours: nothing completes before all are submitted. */
    enum error error = lane_of(tree, inode, &lane);
    for (struct append_batch *batch = op->batches; batch != NULL; batch = batch->next) {
        struct lane_batch *way = &batch->way;
        if (error != ERROR_NONE) {
            way->append.error = error;
            continue;
        }
        op->pending++;
        if (lane != NULL) {
            way->deadline_ms = deadline_ms;
            way->done = way_done;
            lane_submit(lane, way);
        } else {
            way->append.done = append_done;
            partition_append(inode->partition, &way->append);
            error = way->append.error;
        }
    }
    if (--op->pending == 0)
        append_finish(op);
}

static void append_abandon(struct append_op *append)
{
    for (struct append_batch *batch = append->batches; batch != NULL; batch = batch->next) {
        if (batch->way.lane != NULL)
            lane_cancel(&batch->way);
        else if (batch->way.append.partition != NULL)
            partition_append_cancel(&batch->way.append);
    }
}

static void append_grace_over(struct timer *timer)
{
    append_abandon(container_of(timer, struct append_op, grace));
}

/* The records are in the log already and cannot be taken back. A signal that does not kill must not
 * make its program write them again, as with a local file, which no signal interrupts; so the
 * answer is waited for a moment longer. */
static void append_cancel(struct op *op)
{
    struct append_op *append = container_of(op, struct append_op, op);
    if (op->tree->closing)
        append_abandon(append);
    else
        executor_timer_start(tree_executor(op->tree), &append->grace, INTERRUPT_GRACE_MS);
}

static void append_release(struct op *op)
{
    struct append_op *append = container_of(op, struct append_op, op);
    batches_free(append);
    memory_free(append);
}

static bool append_reply(struct op *op)
{
    struct append_op *append = container_of(op, struct append_op, op);
    if (op->error != ERROR_NONE)
        return fuse_reply_err(op->fuse, error_to_errno(op->error)) == 0;
    return fuse_reply_write(op->fuse, append->accepted) == 0;
}

static struct append_op *append_op_new(struct tree *tree, struct fuse_req *fuse,
                                       struct open_file *file, const char *verb,
                                       bool (*reply)(struct op *op))
{
    struct append_op *op = memory_allocate(sizeof *op);
    if (op == NULL)
        return NULL;
    op_begin(&op->op, tree, fuse, file->inode, verb);
    op->op.reply = reply;
    op->op.cancel = append_cancel;
    op->op.release = append_release;
    op->grace.fire = append_grace_over;
    op->file = file;
    return op;
}

/* Appends what was built, unless the topic's configuration has moved on meanwhile: then false, and
 * the file knows the new one. */
static bool append_enter(struct append_op *op)
{
    struct tree *tree = op->op.tree;
    bool current = true;
    monitor_enter(tree->monitor);
    struct append_settings settings = append_settings_of(tree, op->op.inode);
    if (!settings_equal(&settings, &op->settings)) {
        current = false;
        (void)pthread_mutex_lock(&op->file->writing);
        op->file->settings = settings;
        if (op->batches != NULL)
            lines_restore(&op->file->lines, &op->previous);
        (void)pthread_mutex_unlock(&op->file->writing);
        batches_free(op);
    } else {
        op_enter(&op->op);
        append_submit(op);
    }
    monitor_leave(tree->monitor);
    return current;
}

void append_write(struct tree *tree, struct fuse_req *fuse, struct open_file *file,
                  struct slice bytes)
{
    struct append_op *op = append_op_new(tree, fuse, file, "write", append_reply);
    if (op == NULL) {
        (void)fuse_reply_err(fuse, ENOMEM);
        return;
    }
    op->bytes = bytes;
    enum error error;
    do {
        (void)pthread_mutex_lock(&file->writing);
        file->cut_writer = bytes.size > WHOLE_WRITE_BYTES_MAX ? fuse_req_ctx(fuse)->pid : 0;
        error = append_build(op);
        (void)pthread_mutex_unlock(&file->writing);
        if (error == ERROR_NONE && op->batches == NULL) {
            /* No line ended: its beginning is kept and nothing needs the monitor. */
            (void)fuse_reply_write(fuse, op->accepted);
            op_unref(&op->op);
            return;
        }
    } while (error == ERROR_NONE && !append_enter(op));
    if (error != ERROR_NONE) {
        monitor_enter(tree->monitor);
        op_enter(&op->op);
        op_complete(&op->op, error, build_reason(error));
        monitor_leave(tree->monitor);
    }
    op_settle(&op->op);
}

/* ---- the unended tail ---- */

static bool tail_reply(struct op *op)
{
    if (op->error == ERROR_NONE)
        return true;
    report(REPORT_ERROR, "tail_not_stored", "",
           "error=\"%s\" lost=\"a line that was not ended by a "
           "newline\" do=\"see .errors; end lines with a newline to be told by write(2)\"",
           error_text(op->error));
    return true;
}

/* Inside the monitor. The caller settles it; NULL when out of memory. */
static struct append_op *tail_start(struct tree *tree, struct open_file *file,
                                    struct append_watch *watch)
{
    struct append_op *op = append_op_new(tree, NULL, file, "close", tail_reply);
    enum error error = op == NULL ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
    if (op != NULL) {
        (void)pthread_mutex_lock(&file->writing);
        file->settings = append_settings_of(tree, file->inode);
        error = append_build_tail(op);
        (void)pthread_mutex_unlock(&file->writing);
        op_enter(&op->op);
        op->file = NULL; /* It goes now; the op does not look at it again. */
        op->watch = watch;
        if (watch != NULL)
            watch->op = op;
        if (error == ERROR_NONE) {
            append_submit(op);
        } else {
            watch_tell(op, error);
            op_complete(&op->op, error, build_reason(error));
        }
    }
    return op;
}

bool append_tail_inside(struct tree *tree, struct open_file *file, struct append_watch *watch)
{
    if (lines_kept(&file->lines).size == 0)
        return false;
    struct append_op *op = tail_start(tree, file, watch);
    if (op != NULL)
        op_settle(&op->op);
    else if (watch != NULL)
        watch->done(watch, ERROR_OUT_OF_MEMORY);
    return true;
}

void append_tail(struct tree *tree, struct open_file *file)
{
    if (lines_kept(&file->lines).size == 0)
        return;
    /* Killed inside a large write: the line begun is the kernel's cut, not the writer's. */
    bool is_cut = file->cut_writer != 0 && !writer_is_well(file->cut_writer);
    monitor_enter(tree->monitor);
    if (is_cut) {
        char path[1024];
        errors_add(&tree->errors, executor_wall_clock_ms(tree_executor(tree)), "close",
                   inode_path(file->inode, path, sizeof path), ERROR_INTERRUPTED,
                   "the writer was killed within a write: the line it had begun is not stored");
        monitor_leave(tree->monitor);
        return;
    }
    struct append_op *op = tail_start(tree, file, NULL);
    monitor_leave(tree->monitor);
    if (op != NULL)
        op_settle(&op->op);
}
