/* SPDX-License-Identifier: Apache-2.0 */
/* Partition files seen from the outside: how large, from where to where, and the bytes. */
#include "fs/partition_file.h"

#include "base/assertion.h"
#include "fs/selector.h"
#include "handle/broker.h"

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
static enum error place_text(struct tree *tree, struct partition *replica, struct log *log,
                             const struct selector *selector, uint64_t *ret_text)
{
    int64_t offset;
    struct partition_offsets offsets;
    enum error error = partition_offsets(replica, &offsets);
    if (error == ERROR_NONE)
        error = partition_place(tree, replica, selector, offsets.high_watermark, &offset);
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

/* What a view's name says; *ret_to means something with *ret_has_end. */
static bool view_range(struct tree *tree, const struct inode *inode, struct selector *ret_from,
                       struct selector *ret_to, bool *ret_has_end)
{
    const char *text = strchr(inode->name, '@');
    ASSERT(text != NULL);
    return selector_parse_range(text + 1, executor_wall_clock_ms(tree_executor(tree)), ret_from,
                                ret_to, ret_has_end);
}

/* From where to where a view reads in the replica's text; to is UINT64_MAX when it follows the
 * partition. */
static enum error view_extent(struct tree *tree, struct inode *inode, struct partition *replica,
                              struct log *log, uint64_t *ret_from, uint64_t *ret_to)
{
    struct selector from, to;
    bool has_end;
    if (!view_range(tree, inode, &from, &to, &has_end))
        return ERROR_NOT_FOUND;
    uint64_t begin, end = UINT64_MAX;
    enum error error = place_text(tree, replica, log, &from, &begin);
    if (error == ERROR_NONE && has_end)
        error = place_text(tree, replica, log, &to, &end);
    if (error != ERROR_NONE)
        return error;
    *ret_from = begin;
    *ret_to = end < begin ? begin : end;
    return ERROR_NONE;
}

struct remote_place place_elsewhere(const struct selector *selector)
{
    struct remote_place place = {.kind = REMOTE_BEFORE_END};
    switch (selector->kind) {
    case SELECTOR_OFFSET:
        place.kind = REMOTE_OFFSET;
        place.value = selector->value;
        break;
    case SELECTOR_START:
        place.kind = REMOTE_OFFSET;
        break;
    case SELECTOR_END:
    case SELECTOR_FORWARD: /* Behind the end there is nothing. */
        break;
    case SELECTOR_BACKWARD:
        place.value = selector->value;
        break;
    case SELECTOR_TIME:
        place.kind = REMOTE_TIME;
        place.value = selector->value;
        break;
    }
    return place;
}

void view_places(struct tree *tree, const struct inode *inode, struct remote_look *look)
{
    struct selector from, to;
    bool has_end;
    if (!view_range(tree, inode, &from, &to, &has_end))
        return; /* The name was checked when it was looked up. */
    look->places[look->place_count++] = place_elsewhere(&from);
    if (has_end)
        look->places[look->place_count++] = place_elsewhere(&to);
}

void view_looked(struct inode *inode, const struct remote_look *look)
{
    if (look->error != ERROR_NONE || look->place_count == 0)
        return;
    inode->view_from = look->places[0].text;
    inode->view_to = look->place_count > 1 ? look->places[1].text : UINT64_MAX;
    if (inode->view_to < inode->view_from)
        inode->view_to = inode->view_from;
}

/* Without a replica: as last heard of the leader, nothing when that never was. */
static uint64_t remote_extent(struct tree *tree, struct inode *inode)
{
    const struct remote_partition *known = remote_find(tree, &inode->topic_id, inode->index);
    if (known == NULL)
        return 0;
    if (inode->modified_ms == 0)
        inode->modified_ms = known->max_timestamp > 0 ? known->max_timestamp : 0;
    else if (known->text_end != inode->text_end_seen)
        inode->modified_ms = executor_wall_clock_ms(tree_executor(tree));
    inode->text_end_seen = known->text_end;
    if (inode->class == &view_class) {
        uint64_t end = inode->view_to < known->text_end ? inode->view_to : known->text_end;
        return end > inode->view_from ? end - inode->view_from : 0;
    }
    if (!inode->based) {
        inode->based = true;
        inode->text_base = known->text_start;
    }
    return known->text_end > inode->text_base ? known->text_end - inode->text_base : 0;
}

/* Where the file goes on if the replica goes. */
static void note_anchor(struct inode *inode, struct partition *replica, uint64_t text_end)
{
    struct partition_offsets offsets;
    if (partition_offsets(replica, &offsets) != ERROR_NONE)
        return;
    inode->anchor_offset = offsets.high_watermark;
    inode->anchor_text = text_end - (uint64_t)inode->local_shift;
}

enum error partition_file_extent(struct tree *tree, struct inode *inode, uint64_t *ret_size)
{
    struct log *log;
    struct partition *replica = inode_replica(tree, inode);
    if (replica == NULL || !partition_has_log(replica)) {
        *ret_size = replica == NULL ? remote_extent(tree, inode) : 0;
        return ERROR_NONE;
    }
    enum error error = partition_log(replica, &log);
    if (error != ERROR_NONE)
        return error;
    uint64_t text_end = log_text_end(log);
    note_growth(tree, inode, log, text_end);
    if (inode->class == &view_class) {
        uint64_t from, to;
        error = view_extent(tree, inode, replica, log, &from, &to);
        if (error == ERROR_NONE)
            *ret_size = (to < text_end ? to : text_end) - from;
        return error;
    }
    note_anchor(inode, replica, text_end);
    if (!inode->based) {
        inode->based = true;
        inode->text_base = log_text_start(log) - (uint64_t)inode->local_shift;
    }
    text_end -= (uint64_t)inode->local_shift;
    *ret_size = text_end > inode->text_base ? text_end - inode->text_base : 0;
    return ERROR_NONE;
}

/* ---- open and read ---- */

/* Without a replica: where the leader's text was when it was looked at. */
static enum error remote_open(struct tree *tree, struct open_file *file)
{
    struct inode *inode = file->inode;
    if (remote_find(tree, &inode->topic_id, inode->index) == NULL)
        return ERROR_REQUEST_TIMED_OUT;
    (void)remote_extent(tree, inode);
    file->text_base = inode->text_base;
    if (inode->class == &view_class) {
        file->text_base = inode->view_from;
        file->text_limit = inode->view_to;
    }
    return ERROR_NONE;
}

enum error partition_file_open(struct tree *tree, struct open_file *file)
{
    struct inode *inode = file->inode;
    struct partition *replica = inode_replica(tree, inode);
    struct log *log;
    uint64_t size;
    if (replica == NULL)
        return remote_open(tree, file);
    enum error error = partition_log(replica, &log); /* Made now, if need be. */
    if (error == ERROR_NONE)
        error = partition_file_extent(tree, inode, &size);
    if (error != ERROR_NONE)
        return error;
    if (inode->class != &view_class) {
        file->text_base = inode->text_base;
        return ERROR_NONE;
    }
    error = view_extent(tree, inode, replica, log, &file->text_base, &file->text_limit);
    file->text_base -= (uint64_t)inode->local_shift;
    if (file->text_limit != UINT64_MAX)
        file->text_limit -= (uint64_t)inode->local_shift;
    return error;
}

/* In this node's replica: the only part of a read that enters the monitor. */
static enum error locate_here(struct partition_source *from, uint64_t *text_position,
                              struct log_text_location *ret_location)
{
    struct log *log = NULL;
    struct inode *inode = from->inode;
    monitor_enter(from->tree->monitor);
    bool alive = inode_alive(from->tree, inode);
    struct partition *replica = alive ? inode_replica(from->tree, inode) : NULL;
    enum error error = alive ? ERROR_LEADER_NOT_AVAILABLE : ERROR_STALE;
    if (replica != NULL)
        error = partition_log(replica, &log);
    if (error == ERROR_NONE) {
        uint64_t shift = (uint64_t)inode->local_shift;
        uint64_t start = log_text_start(log), wanted = *text_position + shift;
        if ((int64_t)wanted < (int64_t)start)
            wanted = start;
        error = log_text_locate(log, wanted, ret_location);
        ret_location->text_position -= shift;
        *text_position = wanted - shift;
    }
    monitor_leave(from->tree->monitor);
    from->starved = error == ERROR_LEADER_NOT_AVAILABLE;
    return error;
}

/* In what the leader sent. */
static enum error locate_there(struct partition_source *from, uint64_t *text_position,
                               struct log_text_location *ret_location)
{
    if (!from->given || *text_position != from->wanted) {
        from->starved = true;
        return ERROR_LEADER_NOT_AVAILABLE;
    }
    from->given = false;
    from->at_end = from->piece == NULL;
    if (*text_position < from->text_start)
        *text_position = from->text_start;
    if (from->at_end)
        return ERROR_NONE;
    if (from->batch_text > *text_position)
        return ERROR_CORRUPT_MESSAGE;
    ret_location->slice.file = &from->piece->file;
    ret_location->slice.size = from->piece->bytes.size;
    ret_location->text_position = from->batch_text;
    from->source.piece = from->piece;
    from->piece = NULL;
    return ERROR_NONE;
}

static enum error partition_locate(struct text_source *source, uint64_t text_position,
                                   struct log_text_location *ret_location,
                                   uint64_t *ret_text_position)
{
    struct partition_source *from = container_of(source, struct partition_source, source);
    uint64_t wanted = text_position;
    enum error error = from->is_elsewhere ? locate_there(from, &text_position, ret_location)
                                          : locate_here(from, &text_position, ret_location);
    if (from->starved)
        from->wanted = wanted;
    *ret_text_position = text_position;
    return error;
}

void partition_source_init(struct partition_source *from, struct tree *tree, struct open_file *file)
{
    *from = (struct partition_source){
        .source = {.pool = &tree->blocks,
                   .codecs = &file->decoders,
                   .base = file->text_base,
                   .limit = file->text_limit,
                   .locate = partition_locate},
        .tree = tree,
        .inode = file->inode,
    };
}

enum error partition_source_read(struct partition_source *from, struct open_file *file,
                                 uint64_t position, uint8_t *out, size_t size, size_t *ret_size)
{
    from->starved = false;
    (void)pthread_mutex_lock(&file->reading);
    enum error error =
        text_reader_read(&file->reader, &from->source, position, out, size, ret_size);
    (void)pthread_mutex_unlock(&file->reading);
    text_piece_free(from->source.piece); /* Located, and not taken over. */
    from->source.piece = NULL;
    if (!from->starved)
        return error;
    if (error != ERROR_NONE)
        *ret_size = 0;
    return ERROR_NONE;
}

static bool partition_alive(struct tree *tree, const struct inode *inode)
{
    const struct catalog_topic *topic = inode_topic(tree, inode);
    return topic != NULL && (uint32_t)inode->index < topic->partition_count;
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
