/* SPDX-License-Identifier: Apache-2.0 */
/* Partition files seen from the outside: how large, from where to where, and the bytes. */
#include "fs/partition_file.h"

#include "base/assertion.h"
#include "fs/selector.h"

/* ---- extent ---- */

/* When the text last grew: what the newest record says at first, then what was seen. */
static void note_growth(struct tree *tree, struct inode *inode, struct log *log, uint64_t text_end)
{
    struct log_found newest;
    if (inode->modified_ms != 0 && text_end == inode->text_end_seen)
        return;
    int64_t now_ms = executor_wall_clock_ms(tree_executor(tree));
    if (inode->modified_ms != 0)
        inode->modified_ms = now_ms;
    else if (log_find_max_timestamp(log, &newest) == ERROR_NONE && newest.timestamp > 0)
        inode->modified_ms = newest.timestamp;
    inode->text_end_seen = text_end;
}

enum error partition_place(struct tree *tree, struct partition *partition,
                           const struct selector *selector, int64_t current, int64_t *ret_offset)
{
    (void)tree;
    struct partition_offsets offsets;
    struct log *log;
    struct log_found found;
    enum error error = partition_log(partition, &log);
    if (error == ERROR_NONE)
        error = partition_offsets(partition, &offsets);
    if (error != ERROR_NONE)
        return error;
    int64_t offset = offsets.high_watermark;
    switch (selector->kind) {
    case SELECTOR_OFFSET:
        offset = selector->value;
        break;
    case SELECTOR_START:
        offset = offsets.log_start_offset;
        break;
    case SELECTOR_END:
        break;
    case SELECTOR_FORWARD:
        if (__builtin_add_overflow(current, selector->value, &offset))
            offset = INT64_MAX;
        break;
    case SELECTOR_BACKWARD:
        offset = current - selector->value;
        break;
    case SELECTOR_TIME:
        error = log_find_timestamp(log, selector->value, &found);
        if (error == ERROR_NONE && found.offset >= 0)
            offset = found.offset;
        break;
    }
    if (error == ERROR_NONE)
        *ret_offset = offset;
    return error;
}

/* The text position of a place, inside what is there. */
static enum error place_text(struct tree *tree, struct inode *inode, struct log *log,
                             const struct selector *selector, uint64_t *ret_text)
{
    int64_t offset;
    struct partition_offsets offsets;
    enum error error = partition_offsets(inode->partition, &offsets);
    if (error == ERROR_NONE)
        error = partition_place(tree, inode->partition, selector, offsets.high_watermark, &offset);
    if (error != ERROR_NONE)
        return error;
    if (offset >= offsets.high_watermark) {
        *ret_text = log_text_end(log);
        return ERROR_NONE;
    }
    if (offset < offsets.log_start_offset)
        offset = offsets.log_start_offset;
    return log_text_of_offset(log, offset, ret_text);
}

bool view_name_valid(struct tree *tree, const char *selector)
{
    struct selector from, to;
    bool has_end;
    return selector_parse_range(selector, executor_wall_clock_ms(tree_executor(tree)), &from, &to,
                                &has_end);
}

/* From where to where a view reads; to is UINT64_MAX when it follows the partition. */
static enum error view_extent(struct tree *tree, struct inode *inode, struct log *log,
                              uint64_t *ret_from, uint64_t *ret_to)
{
    struct selector from, to;
    bool has_end;
    const char *text = strchr(inode->name, '@');
    ASSERT(text != NULL);
    if (!selector_parse_range(text + 1, executor_wall_clock_ms(tree_executor(tree)), &from, &to,
                              &has_end))
        return ERROR_NOT_FOUND;
    uint64_t begin, end = UINT64_MAX;
    enum error error = place_text(tree, inode, log, &from, &begin);
    if (error == ERROR_NONE && has_end)
        error = place_text(tree, inode, log, &to, &end);
    if (error != ERROR_NONE)
        return error;
    *ret_from = begin;
    *ret_to = end < begin ? begin : end;
    return ERROR_NONE;
}

enum error partition_file_extent(struct tree *tree, struct inode *inode, uint64_t *ret_size)
{
    struct log *log;
    if (!partition_has_log(inode->partition)) {
        *ret_size = 0;
        return ERROR_NONE;
    }
    enum error error = partition_log(inode->partition, &log);
    if (error != ERROR_NONE)
        return error;
    uint64_t text_end = log_text_end(log);
    note_growth(tree, inode, log, text_end);
    if (inode->class == &view_class) {
        uint64_t from, to;
        error = view_extent(tree, inode, log, &from, &to);
        if (error == ERROR_NONE)
            *ret_size = (to < text_end ? to : text_end) - from;
        return error;
    }
    if (!inode->based) {
        inode->based = true;
        inode->text_base = log_text_start(log);
    }
    *ret_size = text_end > inode->text_base ? text_end - inode->text_base : 0;
    return ERROR_NONE;
}

/* ---- open and read ---- */

enum error partition_file_open(struct tree *tree, struct open_file *file)
{
    struct inode *inode = file->inode;
    struct log *log;
    uint64_t size;
    enum error error = partition_log(inode->partition, &log); /* Made now, if need be. */
    if (error == ERROR_NONE)
        error = partition_file_extent(tree, inode, &size);
    if (error != ERROR_NONE)
        return error;
    if (inode->class == &view_class)
        return view_extent(tree, inode, log, &file->text_base, &file->text_limit);
    file->text_base = inode->text_base;
    return ERROR_NONE;
}

/* The reader's way into the log: the only part of a read that enters the monitor. */
struct partition_source {
    struct text_source source;
    struct tree *tree;
    struct partition *partition;
};

static enum error partition_locate(struct text_source *source, uint64_t text_position,
                                   struct log_text_location *ret_location,
                                   uint64_t *ret_text_position)
{
    struct partition_source *from = container_of(source, struct partition_source, source);
    struct log *log = NULL;
    monitor_enter(from->tree->monitor);
    enum error error =
        partition_deleted(from->partition) ? ERROR_STALE : partition_log(from->partition, &log);
    if (error == ERROR_NONE) {
        uint64_t start = log_text_start(log);
        if (text_position < start)
            text_position = start;
        error = log_text_locate(log, text_position, ret_location);
    }
    monitor_leave(from->tree->monitor);
    *ret_text_position = text_position;
    return error;
}

enum error partition_file_read(struct tree *tree, struct open_file *file, uint64_t position,
                               size_t size, uint8_t **ret_block, size_t *ret_size)
{
    uint8_t *block = block_pool_take(&tree->blocks);
    if (block == NULL)
        return ERROR_OUT_OF_MEMORY;
    struct partition_source from = {
        .source = {&tree->blocks, &file->decoders, file->text_base, file->text_limit,
                   partition_locate},
        .tree = tree,
        .partition = file->inode->partition,
    };
    if (size > tree->blocks.block_size)
        size = tree->blocks.block_size;
    (void)pthread_mutex_lock(&file->reading);
    enum error error =
        text_reader_read(&file->reader, &from.source, position, block, size, ret_size);
    (void)pthread_mutex_unlock(&file->reading);
    if (error != ERROR_NONE)
        block_pool_give(&tree->blocks, block);
    else
        *ret_block = block;
    return error;
}

static bool partition_alive(struct tree *tree, const struct inode *inode)
{
    (void)tree;
    return !partition_deleted(inode->partition);
}

const struct inode_class partition_class = {
    .name = "partition",
    .mode = S_IFREG | 0666,
    .is_partition = true,
    .alive = partition_alive,
};

const struct inode_class view_class = {
    .name = "view",
    .mode = S_IFREG | 0444,
    .is_partition = true,
    .alive = partition_alive,
};
