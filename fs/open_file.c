/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: their life, and how many each user may have. */
#include "fs/open_file.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/tree.h"

static struct file_owner *owner_find(struct tree *tree, uid_t uid)
{
    list_for_each(link, &tree->file_owners)
    {
        struct file_owner *owner = container_of(link, struct file_owner, link);
        if (owner->uid == uid)
            return owner;
    }
    return NULL;
}

/* One more file of this user: its entry, made when there is none. */
static enum error owner_take(struct tree *tree, uid_t uid, struct file_owner **ret_owner)
{
    struct file_owner *owner = owner_find(tree, uid);
    bool is_unbounded = uid == 0 || uid == tree->uid;
    uint32_t most = is_unbounded ? tree->open_files_max : tree->open_files_max / 2;
    if (tree->open_file_count >= tree->open_files_max ||
        (owner != NULL && owner->open_files >= most))
        return ERROR_TOO_MANY_OPEN_FILES;
    if (owner == NULL) {
        owner = memory_allocate(sizeof *owner);
        if (owner == NULL)
            return ERROR_OUT_OF_MEMORY;
        owner->uid = uid;
        list_push(&tree->file_owners, &owner->link);
    }
    owner->open_files++;
    tree->open_file_count++;
    *ret_owner = owner;
    return ERROR_NONE;
}

static void owner_give(struct tree *tree, struct file_owner *owner)
{
    ASSERT(owner->open_files > 0);
    ASSERT(tree->open_file_count > 0);
    tree->open_file_count--;
    if (--owner->open_files > 0)
        return;
    list_remove(&owner->link);
    memory_free(owner);
}

enum error open_file_new(struct tree *tree, struct inode *inode, uid_t uid,
                         struct open_file **ret_file)
{
    struct open_file *file = memory_allocate(sizeof *file);
    if (file == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = owner_take(tree, uid, &file->owner);
    if (error != ERROR_NONE) {
        memory_free(file);
        return error;
    }
    (void)pthread_mutex_init(&file->reading, NULL); /* Cannot fail with default attributes. */
    (void)pthread_mutex_init(&file->writing, NULL);
    codec_context_init(&file->decoders);
    codec_context_init(&file->encoders);
    file->text_limit = UINT64_MAX;
    file->inode = inode_ref(inode);
    list_push(&tree->open_files, &file->link);
    *ret_file = file;
    return ERROR_NONE;
}

static void open_file_done(struct tree *tree, struct open_file *file)
{
    text_reader_done(&file->reader, &tree->blocks);
    lines_done(&file->lines);
    codec_context_done(&file->decoders);
    codec_context_done(&file->encoders);
    text_done(&file->text);
    listing_done(&file->listing);
    (void)pthread_mutex_destroy(&file->reading);
    (void)pthread_mutex_destroy(&file->writing);
    inode_unref(&tree->inodes, file->inode, 1);
    memory_free(file);
}

void open_file_free(struct tree *tree, struct open_file *file)
{
    if (file == NULL)
        return;
    list_remove(&file->link);
    owner_give(tree, file->owner);
    file->freed = true;
    if (file->holds == 0)
        open_file_done(tree, file);
}

void open_file_hold(struct open_file *file)
{
    file->holds++;
}

void open_file_release(struct tree *tree, struct open_file *file)
{
    ASSERT(file->holds > 0);
    if (--file->holds == 0 && file->freed)
        open_file_done(tree, file);
}
