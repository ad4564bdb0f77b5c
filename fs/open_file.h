/* SPDX-License-Identifier: Apache-2.0 */
/* What one open(2) or opendir(2) holds between its operations. */
#ifndef FS_OPEN_FILE_H
#define FS_OPEN_FILE_H

#include "fs/inode.h"
#include "fs/lines.h"
#include "fs/listing.h"
#include "fs/text.h"
#include "fs/text_reader.h"

#include <pthread.h>
#include <sys/types.h>

/* What a partition's topic wants of a batch, as last seen. */
struct append_settings {
    int32_t batch_bytes_max; /* max.message.bytes. */
    size_t line_bytes_max;   /* The longest value that fits a batch of that size alone. */
    enum codec codec;
    int32_t level;
    bool append_time;
    bool compacted;
};

struct open_file {
    struct list link;    /* In tree->open_files; inside the monitor. */
    struct inode *inode; /* Referenced. */
    struct file_owner *owner;
    bool is_writable;

    uint32_t holds; /* Inside the monitor: reads under way that the kernel no longer waits for. */
    bool freed;     /* Once the last of them ends. */
    int32_t ask_bytes; /* What is asked of a leader elsewhere; grows while reading goes on. */

    /* Around the reader; the monitor may be entered while it is held. */
    pthread_mutex_t reading;
    struct text_reader reader;
    struct codec_context decoders;
    uint64_t text_base;  /* The text position of position 0. */
    uint64_t text_limit; /* The text position where it ends; UINT64_MAX: none. */

    /* Around what is being written; may be taken inside the monitor, never the other way round. */
    pthread_mutex_t writing;
    struct lines lines;
    struct codec_context encoders;
    struct append_settings settings;
    /* The thread whose write(2) left the line begun; 0 unless the kernel may have cut that write in
     * pieces and this was not its last. */
    pid_t cut_writer;

    /* Small files: the contents as they were at open, or as the last write left them. */
    struct text text;
    struct listing listing; /* Directories. */
};

/* How many files a user has open; there while it has any. */
struct file_owner {
    struct list link; /* In tree->file_owners. */
    uid_t uid;
    uint32_t open_files;
};

/* Zeroed with a reference on the inode, put into tree->open_files, counted for its user. Inside the
 * monitor. OUT_OF_MEMORY; TOO_MANY_OPEN_FILES when the mount holds topicfs.mount.open.files.max, or
 * this user half of that (the node's own user and root may have all: they can look what is wrong).
 */
enum error open_file_new(struct tree *tree, struct inode *inode, uid_t uid,
                         struct open_file **ret_file);

/* Inside the monitor. Accepts NULL. While it is held the struct, its reader and its inode stay. */
void open_file_free(struct tree *tree, struct open_file *file);

/* Inside the monitor. */
void open_file_hold(struct open_file *file);
void open_file_release(struct tree *tree, struct open_file *file);

#endif
