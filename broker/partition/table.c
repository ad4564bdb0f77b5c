/* SPDX-License-Identifier: Apache-2.0 */
/* The node's replicas by topic name, by topic id, and by index. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

#include <stdio.h>

enum error partition_table_new(const struct partition_table_options *options,
                               struct partition_table **ret_table)
{
    struct partition_table *table = memory_allocate(sizeof *table);
    if (table == NULL)
        return ERROR_OUT_OF_MEMORY;
    table->options = *options;
    table->leased = true;
    sync_rounds_init(table);
    upkeep_start(table);
    isr_watch_start(table);
    *ret_table = table;
    return ERROR_NONE;
}

static struct table_topic *topic_find(struct partition_table *table, struct slice name)
{
    struct table_topic *topic = NULL;
    if (name.data != NULL)
        HASH_FIND(by_name, table->by_name, name.data, name.size, topic);
    return topic;
}

static void topic_free(struct table_topic *topic)
{
    memory_free(topic->partitions);
    memory_free(topic->name);
    memory_free(topic);
}

static struct table_topic *topic_add(struct partition_table *table, const char *name,
                                     const struct uuid *id)
{
    struct table_topic *topic = memory_allocate(sizeof *topic);
    if (topic == NULL)
        return NULL;
    topic->id = *id;
    topic->name = memory_copy_text(name, strlen(name));
    if (topic->name == NULL)
        goto refused;
    HASH_ADD_KEYPTR(by_name, table->by_name, topic->name, strlen(topic->name), topic);
    if (topic->by_name.tbl == NULL)
        goto refused;
    HASH_ADD(by_id, table->by_id, id, sizeof topic->id, topic);
    if (topic->by_id.tbl == NULL) {
        HASH_DELETE(by_name, table->by_name, topic);
        goto refused;
    }
    return topic;

refused:
    topic_free(topic);
    return NULL;
}

/* A topic is kept as long as a partition (also a deleted one still referenced) points to it. */
static void topic_drop_if_unused(struct partition_table *table, struct table_topic *topic)
{
    if (topic->used > 0)
        return;
    if (topic->by_name.tbl != NULL)
        HASH_DELETE(by_name, table->by_name, topic);
    if (topic->by_id.tbl != NULL)
        HASH_DELETE(by_id, table->by_id, topic);
    topic_free(topic);
}

void partition_free(struct partition *partition)
{
    ASSERT(!partition->syncing);
    ASSERT(list_empty(&partition->appends));
    ASSERT(list_empty(&partition->synced));
    ASSERT(list_empty(&partition->news));
    ASSERT(list_empty(&partition->isr_link));
    struct table_topic *topic = partition->topic;
    memory_free(partition->followers);
    if (partition->log != NULL)
        log_discard(partition->log);
    ASSERT(topic->used > 0);
    topic->used--;
    topic_drop_if_unused(partition->table, topic);
    memory_free(partition);
}

static enum error topic_reserve(struct table_topic *topic, uint32_t count)
{
    if (count <= topic->capacity)
        return ERROR_NONE;
    uint32_t capacity = topic->capacity * 2 > count ? topic->capacity * 2 : count;
    struct partition **partitions = memory_resize(topic->partitions, capacity * sizeof *partitions);
    if (partitions == NULL)
        return ERROR_OUT_OF_MEMORY;
    memset(partitions + topic->capacity, 0, (capacity - topic->capacity) * sizeof *partitions);
    topic->partitions = partitions;
    topic->capacity = capacity;
    return ERROR_NONE;
}

static enum error partition_new(struct table_topic *topic, struct partition_table *table,
                                int32_t index, struct partition **ret_partition)
{
    struct partition *partition = memory_allocate(sizeof *partition);
    if (partition == NULL)
        return ERROR_OUT_OF_MEMORY;
    partition->table = table;
    partition->topic = topic;
    partition->index = index;
    partition->references = 1;
    partition->leader = -1;
    partition->leader_epoch = -1;
    partition->partition_epoch = -1;
    partition->epoch_start = -1;
    partition->was_clean = log_directory_was_clean(table->options.directory);
    list_init(&partition->appends);
    list_init(&partition->synced);
    list_init(&partition->waits);
    list_init(&partition->news);
    list_init(&partition->sync_link);
    list_init(&partition->isr_link);
    topic->partitions[index] = partition;
    topic->used++;
    *ret_partition = partition;
    return ERROR_NONE;
}

enum error partition_table_assign(struct partition_table *table, const char *topic_name,
                                  const struct uuid *topic_id, int32_t index,
                                  const struct partition_config *config,
                                  const struct partition_assignment *assignment,
                                  struct partition **ret_partition, struct failure *failure)
{
    ASSERT(index >= 0);
    struct table_topic *topic = topic_find(table, slice_of(topic_name));
    if (topic == NULL)
        topic = topic_add(table, topic_name, topic_id);
    if (topic == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "assign %s-%d", topic_name, (int)index);
    topic->config = *config;
    enum error error = topic_reserve(topic, (uint32_t)index + 1);
    struct partition *known = error == ERROR_NONE ? topic->partitions[index] : NULL;
    struct partition *partition = known;
    if (error == ERROR_NONE && known == NULL)
        error = partition_new(topic, table, index, &partition);
    if (error == ERROR_NONE)
        error = role_assign(partition, assignment);
    if (error != ERROR_NONE && partition != NULL && known == NULL) {
        topic->partitions[index] = NULL;
        topic->used--;
        memory_free(partition);
    }
    if (error != ERROR_NONE) {
        topic_drop_if_unused(table, topic);
        return failure_at(failure, error, "assign %s-%d", topic_name, (int)index);
    }
    if (ret_partition != NULL)
        *ret_partition = partition;
    return ERROR_NONE;
}

/* Removes a renamed directory outside the monitor: unlinking gigabytes takes its time. */
struct removal {
    struct work work;
    struct partition_table *table;
    char path[LOG_DIRECTORY_NAME_BYTES + 80];
};

static void removal_run(struct work *work)
{
    struct removal *removal = container_of(work, struct removal, work);
    /* What stays behind is removed when the directory is read at the next start. */
    (void)storage_remove(removal->table->options.storage, removal->path);
}

static void removal_done(struct work *work)
{
    struct removal *removal = container_of(work, struct removal, work);
    removal->table->works_under_way--;
    memory_free(removal);
}

static void remove_files(struct partition *partition)
{
    struct partition_table *table = partition->table;
    char directory[LOG_DIRECTORY_NAME_BYTES];
    log_directory_name(partition->topic->name, partition->index, directory);
    struct uuid unique = uuid_random(table->options.executor);
    char unique_text[UUID_TEXT_BYTES];
    uuid_to_text(&unique, unique_text);

    struct removal *removal = memory_allocate(sizeof *removal);
    char path[sizeof removal->path];
    /* Kafka's form: <topic>-<partition>.<uuid>-delete, the topic cut when the name gets too long.
     */
    (void)snprintf(path, sizeof path, "%.200s.%s-delete", directory, unique_text);
    enum error error = storage_rename(table->options.storage, directory, path);
    if (error == ERROR_NONE && removal != NULL) {
        removal->table = table;
        memcpy(removal->path, path, sizeof path);
        removal->work = (struct work){.run = removal_run, .done = removal_done};
        table->works_under_way++;
        executor_work(table->options.executor, &removal->work);
        return;
    }
    memory_free(removal);
    if (error != ERROR_NONE && error != ERROR_NOT_FOUND)
        partition_report(partition, REPORT_ERROR, "delete_failed",
                         "error=\"%s\" directory=%s do=\"remove the directory by hand\"",
                         error_text(error), directory);
}

void partition_table_remove(struct partition_table *table, const char *topic_name, int32_t index)
{
    struct partition *partition = partition_table_find(table, slice_of(topic_name), index);
    if (partition == NULL)
        return;
    struct table_topic *topic = partition->topic;
    topic->partitions[index] = NULL;
    partition->deleted = true;
    role_end(partition);
    partition_abandon(partition, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    log_directory_forget(table->options.directory, topic->name, index);
    remove_files(partition);
    if (!partition->syncing) {
        log_discard(partition->log);
        partition->log = NULL;
    }
    /* A topic of the same name may be made at once: this one leaves the tables with its last
     * replica. */
    bool last = true;
    for (uint32_t i = 0; i < topic->capacity; i++)
        last = last && topic->partitions[i] == NULL;
    if (last) {
        HASH_DELETE(by_name, table->by_name, topic);
        topic->by_name.tbl = NULL;
        HASH_DELETE(by_id, table->by_id, topic);
        topic->by_id.tbl = NULL;
        /* Now, as Kafka: what was true of this topic must not be found for a later one of its name.
         * Should it fail, the next start forgets it (partition_table_recover). */
        (void)log_directory_checkpoint(table->options.directory);
    }
    partition_unref(partition);
}

void partition_table_configure(struct partition_table *table, const char *topic_name,
                               const struct partition_config *config)
{
    struct table_topic *topic = topic_find(table, slice_of(topic_name));
    if (topic == NULL)
        return;
    bool stricter =
        topic->config.durability != PARTITION_FSYNC && config->durability == PARTITION_FSYNC;
    topic->config = *config;
    for (uint32_t i = 0; i < topic->capacity; i++) {
        struct partition *partition = topic->partitions[i];
        if (partition == NULL || partition->log == NULL)
            continue;
        log_configure(partition->log, &config->log);
        partition_commit(partition); /* A laxer durability may commit what waits. */
        partition_sync_vote(partition);
        if (stricter) /* Synced offsets did not count until now, and may not have been told. */
            partition_tell(partition, PARTITION_NEWS_SYNCED);
    }
}

static struct partition *topic_partition(const struct table_topic *topic, int32_t index)
{
    if (topic == NULL || index < 0 || (uint32_t)index >= topic->capacity)
        return NULL;
    return topic->partitions[index];
}

struct partition *partition_table_find(struct partition_table *table, struct slice topic,
                                       int32_t index)
{
    return topic_partition(topic_find(table, topic), index);
}

struct partition *partition_table_find_id(struct partition_table *table,
                                          const struct uuid *topic_id, int32_t index)
{
    struct table_topic *topic = NULL;
    HASH_FIND(by_id, table->by_id, topic_id, sizeof *topic_id, topic);
    return topic_partition(topic, index);
}

void partition_table_each(struct partition_table *table,
                          void (*each)(void *context, struct partition *partition), void *context)
{
    for (struct table_topic *topic = table->by_name, *next; topic != NULL; topic = next) {
        next = topic->by_name.next;
        for (uint32_t i = 0; i < topic->capacity; i++) {
            if (topic->partitions[i] != NULL)
                each(context, topic->partitions[i]);
        }
    }
}

bool partition_table_idle(const struct partition_table *table)
{
    return table->works_under_way == 0 && list_empty(&table->sync_wanted);
}

static void stop_one(void *context, struct partition *partition)
{
    (void)context;
    partition_abandon(partition, ERROR_CLOSING);
    if (partition->log != NULL)
        log_finish(partition->log);
    (void)partition_sync(partition); /* Whatever the durability: a clean stop keeps everything. */
}

void partition_table_stop(struct partition_table *table)
{
    table->closing = true;
    upkeep_stop(table);
    isr_watch_stop(table);
    partition_table_each(table, stop_one, NULL);
    sync_rounds_stop(table);
}

/* Nothing of it would be lost by a power cut. */
static bool all_synced(const struct partition *partition)
{
    return partition->log == NULL ||
           (!partition->sync_failed &&
            log_synced_offset(partition->log) == log_end_offset(partition->log));
}

/* False when a log was not clean. */
static bool close_topic(struct partition_table *table, struct table_topic *topic, bool clean)
{
    bool all_clean = clean;
    topic->used++; /* Our own hold: the last replica would free it below us. */
    for (uint32_t i = 0; i < topic->capacity; i++) {
        struct partition *partition = topic->partitions[i];
        if (partition == NULL)
            continue;
        all_clean = all_clean && all_synced(partition);
        partition_close_log(partition, clean && all_synced(partition));
        topic->partitions[i] = NULL;
        partition->deleted = true;
        partition_unref(partition);
    }
    topic->used--;
    ASSERT(topic->used == 0); /* Nobody holds a partition any more. */
    topic_drop_if_unused(table, topic);
    return all_clean;
}

bool partition_table_close(struct partition_table *table, bool clean)
{
    if (table == NULL)
        return false;
    ASSERT(table->closing);
    ASSERT(partition_table_idle(table));
    list_remove(&table->round_task.link); /* The last round may have begun before it ran. */
    bool all_clean = clean;
    while (table->by_name != NULL)
        all_clean = close_topic(table, table->by_name, clean) && all_clean;
    memory_free(table);
    return all_clean;
}
