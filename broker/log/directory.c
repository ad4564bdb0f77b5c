/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory around the partitions: whose it is, how it was left, what was checkpointed. */
#include "log/directory.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/checkpoint_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROPERTIES_NAME "meta.properties"
#define CLEAN_NAME ".kafka_cleanshutdown"

enum { PROPERTIES_BYTES_MAX = 64 << 10, TOPIC_BYTES_MAX = 249 };

static const char *const checkpoint_names[CHECKPOINT_KINDS] = {
    [CHECKPOINT_RECOVERY_POINT] = "recovery-point-offset-checkpoint",
    [CHECKPOINT_START_OFFSET] = "log-start-offset-checkpoint",
    [CHECKPOINT_HIGH_WATERMARK] = "replication-offset-checkpoint",
};

struct log_directory {
    struct storage *storage;
    struct executor *executor;
    struct log_identity identity;
    struct checkpoint_table table;
    bool was_clean;
};

/* ---- meta.properties ---- */

/* A line "key=value" of a Java properties file, as far as ids and numbers need it. */
static void property_read(char *line, struct log_identity *identity, unsigned *seen, bool *sound)
{
    enum { SEEN_VERSION = 1, SEEN_CLUSTER = 2, SEEN_NODE = 4, SEEN_DIRECTORY = 8 };
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#' || *line == '!')
        return;
    char *value = strchr(line, '=');
    if (value == NULL) {
        *sound = false;
        return;
    }
    *value++ = '\0';
    int used = 0;
    int number = 0;
    bool is_number = sscanf(value, "%9d%n", &number, &used) == 1 && value[used] == '\0';
    if (strcmp(line, "version") == 0) {
        *sound = *sound && is_number && number == 1;
        *seen |= SEEN_VERSION;
    } else if (strcmp(line, "cluster.id") == 0) {
        *sound = *sound && uuid_from_text(value, &identity->cluster_id);
        *seen |= SEEN_CLUSTER;
    } else if (strcmp(line, "node.id") == 0) {
        *sound = *sound && is_number && number >= 0;
        identity->node_id = number;
        *seen |= SEEN_NODE;
    } else if (strcmp(line, "directory.id") == 0) {
        *sound = *sound && uuid_from_text(value, &identity->directory_id);
        *seen |= SEEN_DIRECTORY;
    }
}

static enum error properties_parse(char *text, size_t size, struct log_identity *ret_identity)
{
    struct log_identity identity = {0};
    unsigned seen = 0;
    bool sound = strlen(text) == size;
    char *rest = text;
    char *line;
    while (sound && (line = strsep(&rest, "\n")) != NULL) {
        size_t length = strlen(line);
        if (length > 0 && line[length - 1] == '\r')
            line[length - 1] = '\0';
        property_read(line, &identity, &seen, &sound);
    }
    /* Kafka before 3.7 had no directory.id. */
    if (!sound || (seen & 7) != 7)
        return ERROR_MALFORMED;
    *ret_identity = identity;
    return ERROR_NONE;
}

static enum error identity_load(struct log_directory *directory, struct failure *failure)
{
    char *text;
    size_t size;
    enum error error =
        storage_read_whole(directory->storage, PROPERTIES_NAME, PROPERTIES_BYTES_MAX, &text, &size);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error == ERROR_NONE) {
        error = properties_parse(text, size, &directory->identity);
        memory_free(text);
    }
    return error == ERROR_NONE ? ERROR_NONE : failure_at(failure, error, "%s", PROPERTIES_NAME);
}

const struct log_identity *log_directory_identity(const struct log_directory *directory)
{
    return &directory->identity;
}

enum error log_directory_identify(struct log_directory *directory,
                                  const struct log_identity *identity)
{
    char cluster[UUID_TEXT_BYTES];
    char own[UUID_TEXT_BYTES];
    char text[256];
    uuid_to_text(&identity->cluster_id, cluster);
    uuid_to_text(&identity->directory_id, own);
    int size = snprintf(text, sizeof text,
                        "#\ncluster.id=%s\ndirectory.id=%s\nnode.id=%" PRId32 "\nversion=1\n",
                        cluster, own, identity->node_id);
    ASSERT(size > 0 && (size_t)size < sizeof text);
    enum error error = storage_write_whole(directory->storage, PROPERTIES_NAME, text, (size_t)size);
    if (error == ERROR_NONE)
        directory->identity = *identity;
    return error;
}

/* ---- opening ---- */

/* The mark says how the last run ended, not how this one will. */
static enum error clean_mark_take(struct log_directory *directory)
{
    struct storage_file *file;
    enum error error = storage_open(directory->storage, CLEAN_NAME, STORAGE_READ, &file);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    storage_close(file);
    error = storage_remove(directory->storage, CLEAN_NAME);
    if (error == ERROR_NONE)
        error = storage_sync_directory(directory->storage, "");
    directory->was_clean = error == ERROR_NONE;
    return error;
}

static enum error directory_load(struct log_directory *directory, struct failure *failure)
{
    enum error error = identity_load(directory, failure);
    if (error != ERROR_NONE)
        return error;
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        error = checkpoint_table_load(&directory->table, kind, directory->storage,
                                      checkpoint_names[kind]);
        /* Kafka too starts from nothing where a checkpoint cannot be understood. */
        if (error != ERROR_NONE && error != ERROR_NOT_FOUND && error != ERROR_MALFORMED &&
            error != ERROR_TOO_LARGE)
            return failure_at(failure, error, "%s", checkpoint_names[kind]);
    }
    error = clean_mark_take(directory);
    return error == ERROR_NONE ? ERROR_NONE : failure_at(failure, error, "%s", CLEAN_NAME);
}

enum error log_directory_open(struct storage *storage, struct executor *executor,
                              struct log_directory **ret_directory, struct failure *failure)
{
    struct log_directory *directory = memory_allocate(sizeof *directory);
    if (directory == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "open the data directory");
    directory->storage = storage;
    directory->executor = executor;
    checkpoint_table_init(&directory->table);
    enum error error = directory_load(directory, failure);
    if (error != ERROR_NONE) {
        log_directory_close(directory);
        return failure_at(failure, error, "open the data directory");
    }
    *ret_directory = directory;
    return ERROR_NONE;
}

void log_directory_close(struct log_directory *directory)
{
    if (directory == NULL)
        return;
    checkpoint_table_done(&directory->table);
    memory_free(directory);
}

bool log_directory_was_clean(const struct log_directory *directory)
{
    return directory->was_clean;
}

/* ---- checkpoints ---- */

int64_t log_directory_recovery_point(const struct log_directory *directory, const char *topic,
                                     int32_t partition)
{
    return checkpoint_table_get(&directory->table, topic, partition, CHECKPOINT_RECOVERY_POINT);
}

int64_t log_directory_start_offset(const struct log_directory *directory, const char *topic,
                                   int32_t partition)
{
    return checkpoint_table_get(&directory->table, topic, partition, CHECKPOINT_START_OFFSET);
}

int64_t log_directory_high_watermark(const struct log_directory *directory, const char *topic,
                                     int32_t partition)
{
    return checkpoint_table_get(&directory->table, topic, partition, CHECKPOINT_HIGH_WATERMARK);
}

enum error log_directory_set(struct log_directory *directory, const char *topic, int32_t partition,
                             int64_t recovery_point, int64_t start_offset, int64_t high_watermark)
{
    const int64_t offsets[CHECKPOINT_KINDS] = {
        [CHECKPOINT_RECOVERY_POINT] = recovery_point,
        [CHECKPOINT_START_OFFSET] = start_offset,
        [CHECKPOINT_HIGH_WATERMARK] = high_watermark,
    };
    return checkpoint_table_set(&directory->table, topic, partition, offsets);
}

void log_directory_forget(struct log_directory *directory, const char *topic, int32_t partition)
{
    checkpoint_table_forget(&directory->table, topic, partition);
}

void log_directory_retain(struct log_directory *directory,
                          bool (*keep)(void *context, const char *topic, int32_t partition),
                          void *context)
{
    checkpoint_table_retain(&directory->table, keep, context);
}

bool log_directory_owes(const struct log_directory *directory)
{
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        if (directory->table.forgot[kind])
            return true;
    }
    return false;
}

enum error log_directory_checkpoint(struct log_directory *directory)
{
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        enum error error = checkpoint_table_store(&directory->table, kind, directory->storage,
                                                  checkpoint_names[kind]);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

enum error log_directory_mark_clean(struct log_directory *directory)
{
    static const char mark[] = "{\"version\":0,\"brokerEpoch\":-1}";
    enum error error = log_directory_checkpoint(directory);
    if (error != ERROR_NONE)
        return error;
    return storage_write_whole(directory->storage, CLEAN_NAME, mark, sizeof mark - 1);
}

/* ---- partition directories ---- */

void log_directory_name(const char *topic, int32_t partition, char *ret_name)
{
    int length = snprintf(ret_name, LOG_DIRECTORY_NAME_BYTES, "%s-%" PRId32, topic, partition);
    ASSERT(length > 0 && length < LOG_DIRECTORY_NAME_BYTES);
}

/* Splits "orders-3" at the last '-'. */
static bool name_parse(const char *name, char ret_topic[TOPIC_BYTES_MAX + 1],
                       int32_t *ret_partition)
{
    const char *dash = strrchr(name, '-');
    if (dash == NULL || dash == name || dash - name > TOPIC_BYTES_MAX)
        return false;
    const char *digits = dash + 1;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 10 || digits[count] != '\0' || (digits[0] == '0' && count > 1))
        return false;
    int64_t number = 0;
    for (size_t i = 0; i < count; i++)
        number = number * 10 + (digits[i] - '0');
    if (number > INT32_MAX)
        return false;
    size_t length = (size_t)(dash - name);
    for (size_t i = 0; i < length; i++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]) ==
            NULL)
            return false;
    }
    memcpy(ret_topic, name, length);
    ret_topic[length] = '\0';
    *ret_partition = (int32_t)number;
    return true;
}

/* Names one behind the other, each with its NUL: the directory must not change while listed. */
struct name_list {
    char *text;
    size_t size;
    size_t capacity;
    enum error error;
};

static void name_collect(void *context, const struct storage_entry *entry)
{
    struct name_list *list = context;
    if (list->error != ERROR_NONE || !entry->is_directory)
        return;
    size_t length = strlen(entry->name) + 1;
    if (length >= LOG_DIRECTORY_NAME_BYTES)
        return; /* No file system gives such names. */
    if (list->capacity - list->size < length) {
        size_t capacity = list->capacity * 2 + 1024;
        char *grown = memory_resize(list->text, capacity);
        if (grown == NULL) {
            list->error = ERROR_OUT_OF_MEMORY;
            return;
        }
        list->text = grown;
        list->capacity = capacity;
    }
    memcpy(list->text + list->size, entry->name, length);
    list->size += length;
}

static bool is_deleted_name(const char *name)
{
    static const char end[] = "-delete";
    size_t length = strlen(name);
    return length > sizeof end - 1 && strcmp(name + length - (sizeof end - 1), end) == 0;
}

enum error log_directory_each(struct log_directory *directory,
                              void (*each)(void *context, const char *topic, int32_t partition,
                                           const char *name),
                              void (*stray)(void *context, const char *name), void *context)
{
    struct name_list list = {0};
    enum error error = storage_list(directory->storage, "", name_collect, &list);
    if (error == ERROR_NONE)
        error = list.error;
    for (size_t at = 0; error == ERROR_NONE && at < list.size; at += strlen(list.text + at) + 1) {
        const char *name = list.text + at;
        char topic[TOPIC_BYTES_MAX + 1];
        int32_t partition;
        if (is_deleted_name(name))
            error = storage_remove(directory->storage, name);
        else if (name_parse(name, topic, &partition))
            each(context, topic, partition, name);
        else
            stray(context, name);
    }
    memory_free(list.text);
    return error;
}
