/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes user.kafka.* of topics and partitions: computed, read-only. */
#include "fs/ops.h"
#include "handle/broker.h"

#include <stdio.h>

enum { VALUE_BYTES_MAX = 512 };

static const char prefix[] = "user.kafka.";
static const char user_space[] = "user.";

/* What values are made from; partition things are there for partition files only. */
struct xattr_subject {
    struct inode *inode;
    const struct catalog_topic *topic;
    bool is_partition;
    struct catalog_partition partition;
    struct partition_offsets offsets;
    bool has_offsets;
};

typedef bool xattr_value(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX]);

static bool value_topic_id(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    uuid_to_text(&subject->topic->id, out);
    return true;
}

static bool value_leader(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    (void)snprintf(out, VALUE_BYTES_MAX, "%d", subject->partition.leader);
    return subject->is_partition;
}

static bool print_nodes(const int32_t *nodes, uint32_t count, char out[VALUE_BYTES_MAX])
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, VALUE_BYTES_MAX - used, "%s%d", i > 0 ? "," : "",
                                 nodes[i]);
    return true;
}

static bool value_replicas(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    return subject->is_partition &&
           print_nodes(subject->partition.replicas, subject->partition.replica_count, out);
}

static bool value_isr(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    return subject->is_partition &&
           print_nodes(subject->partition.isr, subject->partition.isr_count, out);
}

static bool print_offset(const struct xattr_subject *subject, int64_t offset,
                         char out[VALUE_BYTES_MAX])
{
    (void)snprintf(out, VALUE_BYTES_MAX, "%lld", (long long)offset);
    return subject->has_offsets;
}

static bool value_high_watermark(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    return print_offset(subject, subject->offsets.high_watermark, out);
}

static bool value_start(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    return print_offset(subject, subject->offsets.log_start_offset, out);
}

static bool value_stable(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    return print_offset(subject, subject->offsets.last_stable_offset, out);
}

static bool value_error(const struct xattr_subject *subject, char out[VALUE_BYTES_MAX])
{
    if (subject->inode->error == NULL)
        return false;
    (void)snprintf(out, VALUE_BYTES_MAX, "%s", subject->inode->error);
    return true;
}

static const struct {
    const char *name;
    xattr_value *value;
} rows[] = {
    {"topic.id", value_topic_id}, {"leader", value_leader},      {"replicas", value_replicas},
    {"isr", value_isr},           {"hwm", value_high_watermark}, {"start", value_start},
    {"lso", value_stable},        {"error", value_error},
};

/* From this node's replica, or as its leader said when the file was looked at last. */
static void subject_measure(struct tree *tree, struct inode *inode, struct xattr_subject *subject)
{
    struct partition *replica = inode_replica(tree, inode);
    const struct remote_partition *known = NULL;
    if (replica == NULL)
        known = remote_find(tree, &inode->topic_id, inode->index);
    if (replica != NULL) {
        subject->has_offsets = !partition_has_log(replica) || /* All zero. */
                               partition_offsets(replica, &subject->offsets) == ERROR_NONE;
    } else if (known != NULL) {
        subject->has_offsets = known->epoch >= 0;
        subject->offsets = (struct partition_offsets){
            .log_start_offset = known->log_start_offset,
            .high_watermark = known->high_watermark,
            .last_stable_offset = known->last_stable_offset,
            .log_end_offset = known->log_end_offset,
            .leader_epoch = known->epoch,
        };
    }
}

/* Inside the monitor. False for inodes that have none. */
static bool subject_of(struct tree *tree, struct inode *inode, struct xattr_subject *ret_subject)
{
    *ret_subject = (struct xattr_subject){.inode = inode};
    if (inode->class != &topic_class && !inode->class->is_partition)
        return false;
    ret_subject->topic = inode_topic(tree, inode);
    if (ret_subject->topic == NULL)
        return false;
    if (inode->class->is_partition) {
        ret_subject->is_partition = catalog_partition_find(
            tree->broker->catalog, ret_subject->topic, inode->index, &ret_subject->partition);
        subject_measure(tree, inode, ret_subject);
    }
    return true;
}

static void ops_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size)
{
    struct tree *tree = tree_of(request);
    char value[VALUE_BYTES_MAX];
    bool found = false;
    if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
        struct xattr_subject subject;
        monitor_enter(tree->monitor);
        if (subject_of(tree, inode_of(tree, number), &subject)) {
            for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
                if (strcmp(rows[i].name, name + sizeof prefix - 1) == 0)
                    found = rows[i].value(&subject, value);
        }
        monitor_leave(tree->monitor);
    }
    size_t needed = found ? strlen(value) : 0;
    /* Of other name spaces than the users' there is nothing: whoever is told so once (ls -l, for
     * security labels and access lists) asks no more, five questions less a directory. */
    if (strncmp(name, user_space, sizeof user_space - 1) != 0)
        (void)fuse_reply_err(request, ENOTSUP);
    else if (!found)
        (void)fuse_reply_err(request, ENODATA);
    else if (size == 0)
        (void)fuse_reply_xattr(request, needed);
    else if (size < needed)
        (void)fuse_reply_err(request, ERANGE);
    else
        (void)fuse_reply_buf(request, value, needed);
}

static void ops_listxattr(fuse_req_t request, fuse_ino_t number, size_t size)
{
    struct tree *tree = tree_of(request);
    struct xattr_subject subject;
    char names[VALUE_BYTES_MAX], value[VALUE_BYTES_MAX];
    size_t used = 0;
    monitor_enter(tree->monitor);
    if (subject_of(tree, inode_of(tree, number), &subject)) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (rows[i].value(&subject, value))
                used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", prefix,
                                         rows[i].name) +
                        1;
    }
    monitor_leave(tree->monitor);
    if (size == 0)
        (void)fuse_reply_xattr(request, used);
    else if (size < used)
        (void)fuse_reply_err(request, ERANGE);
    else
        (void)fuse_reply_buf(request, names, used);
}

/* ENOTSUP is what cp -a and rsync -X pass over. */
static void ops_setxattr(fuse_req_t request, fuse_ino_t number, const char *name, const char *value,
                         size_t size, int flags)
{
    (void)number;
    (void)name;
    (void)value;
    (void)size;
    (void)flags;
    (void)fuse_reply_err(request, ENOTSUP);
}

static void ops_removexattr(fuse_req_t request, fuse_ino_t number, const char *name)
{
    (void)number;
    (void)name;
    (void)fuse_reply_err(request, ENOTSUP);
}

void ops_fill_xattr(struct fuse_lowlevel_ops *ops)
{
    ops->getxattr = ops_getxattr;
    ops->listxattr = ops_listxattr;
    ops->setxattr = ops_setxattr;
    ops->removexattr = ops_removexattr;
}
