/* SPDX-License-Identifier: Apache-2.0 */
/* Lock and identity of the data directory. */
#include "daemon/data.h"

#include "daemon/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ".lock" is Kafka's name: its broker and ours keep out of each other's directories. Kafka locks by
 * fcntl(2), so both kinds are taken. */
static enum error lock_file(const char *directory, int *ret_lock, struct failure *failure)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/.lock", directory);
    if (size < 0 || (size_t)size >= sizeof path)
        return failure_because(failure, ERROR_INVALID_CONFIG, "log.dirs is too long a path");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return failure_because(failure, error_from_errno(errno), "%s: %s", path, strerror(errno));
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (flock(lock, LOCK_EX | LOCK_NB) != 0 || fcntl(lock, F_SETLK, &whole) != 0) {
        int refused = errno;
        (void)close(lock);
        if (refused == EWOULDBLOCK || refused == EAGAIN || refused == EACCES)
            return failure_because(failure, ERROR_EXISTS, "%s is in use by another node",
                                   directory);
        return failure_because(failure, error_from_errno(refused), "%s: %s", path,
                               strerror(refused));
    }
    *ret_lock = lock;
    return ERROR_NONE;
}

enum error data_lock(const struct settings *settings, struct data *ret_data,
                     struct failure *failure)
{
    struct data data = {.lock = -1};
    enum error error = storage_directory_open(settings->data_directory, &data.storage);
    if (error != ERROR_NONE)
        return failure_because(failure, error, "log.dirs=%s: %s", settings->data_directory,
                               strerror(errno));
    error = lock_file(settings->data_directory, &data.lock, failure);
    if (error == ERROR_NONE)
        (void)reserve_lend(settings->data_directory);
    if (error != ERROR_NONE) {
        storage_directory_close(data.storage);
        return error;
    }
    *ret_data = data;
    return ERROR_NONE;
}

static enum error check_identity(const struct settings *settings, const struct data *data,
                                 struct failure *failure)
{
    const struct log_identity *known = log_directory_identity(data->directory);
    if (uuid_is_zero(&known->cluster_id) || settings->node_id < 0 ||
        known->node_id == settings->node_id)
        return ERROR_NONE;
    return failure_because(failure, ERROR_INVALID_CONFIG,
                           "%s belongs to node %d, but node.id is %d", settings->data_directory,
                           known->node_id, settings->node_id);
}

bool data_is_identified(const struct data *data)
{
    return !uuid_is_zero(&log_directory_identity(data->directory)->cluster_id);
}

enum error data_identify(const struct settings *settings, struct data *data,
                         const struct log_identity *identity, struct failure *failure)
{
    enum error error = log_directory_identify(data->directory, identity);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "%s/meta.properties", settings->data_directory);
    return ERROR_NONE;
}

/* A node alone is a cluster from its first start on. */
static enum error identify_alone(const struct settings *settings, struct executor *executor,
                                 struct data *data, struct failure *failure)
{
    struct log_identity identity = {
        .cluster_id = uuid_random(executor),
        .node_id = settings->node_id,
        .directory_id = uuid_random(executor),
    };
    return data_identify(settings, data, &identity, failure);
}

static void note_partition(void *context, const char *topic, int32_t partition, const char *name)
{
    (void)topic;
    (void)partition;
    (void)name;
    *(bool *)context = true;
}

static void ignore_stray(void *context, const char *name)
{
    (void)context; /* Reported when the partitions are taken up. */
    (void)name;
}

enum error data_open(const struct settings *settings, struct executor *executor, struct data *data,
                     struct failure *failure)
{
    enum error error = log_directory_open(data->storage, executor, &data->directory, failure);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "open %s", settings->data_directory);
    error = check_identity(settings, data, failure);
    if (error != ERROR_NONE)
        return error;
    if (!data_is_identified(data)) {
        data->fresh = true;
        return settings->cluster.node_count > 0 ? ERROR_NONE
                                                : identify_alone(settings, executor, data, failure);
    }
    /* A first start that was cut off between the identity and the metadata log left nothing that
     * founding again could lose. */
    bool any = false;
    error = log_directory_each(data->directory, note_partition, ignore_stray, &any);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "list %s", settings->data_directory);
    data->fresh = !any;
    return ERROR_NONE;
}

void data_close(struct data *data)
{
    if (data->directory != NULL)
        log_directory_close(data->directory);
    if (data->storage != NULL)
        storage_directory_close(data->storage);
    if (data->lock >= 0)
        (void)close(data->lock);
    *data = (struct data){.lock = -1};
}

enum error pid_file_write(const char *path, struct failure *failure)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum error error = ERROR_NONE;
    if (file < 0 || write(file, text, (size_t)size) != size)
        error = failure_because(failure, ERROR_STORAGE, "%s: %s", path, strerror(errno));
    if (file >= 0)
        (void)close(file);
    return error;
}
