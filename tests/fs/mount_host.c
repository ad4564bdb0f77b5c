/* SPDX-License-Identifier: Apache-2.0 */
/* A node without a port and without consensus, for trying and measuring the mount alone:
 *
 *   mount_host DATA-DIRECTORY MOUNTPOINT [MOUNT-OPTIONS [KEY=VALUE | :TOPIC=PARTITIONS]...]
 *
 * Commands are applied the moment they are proposed; metadata is gone when it ends. SIGTERM, SIGINT
 * and umount end it. */
#include "base/memory.h"
#include "base/report.h"
#include "fs/mount.h"
#include "group/group.h"
#include "handle/broker.h"
#include "handle/fetch_session.h"
#include "handle/topic_creation.h"
#include "log/directory.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct host {
    struct monitor *monitor;
    struct broker broker;
    struct log_directory *directory;
    struct catalog_proposer proposer;
    struct config_set *config;
    int64_t index;
    struct catalog_proposal cluster_init, node_register;
    struct partition_reporter reporter;
    struct broker_follower *follower;
    pthread_t main_thread;
};

static void on_wake(void *context, int64_t delay_ms)
{
    (void)context;
    (void)delay_ms; /* Timers are looked at every few milliseconds. */
}

static void proposal_applied(struct task *task)
{
    struct catalog_proposal *proposal = container_of(task, struct catalog_proposal, task);
    proposal->done(proposal);
}

static void apply_at_once(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct host *host = container_of(proposer, struct host, proposer);
    proposal->outcome =
        catalog_apply(host->broker.catalog, ++host->index, 1, proposal->bytes, proposal->size);
    memory_free(proposal->bytes);
    proposal->bytes = NULL;
    proposal->task.run = proposal_applied;
    executor_post(host->broker.executor, &proposal->task);
}

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    (void)reporter;
    char subject[400];
    (void)snprintf(subject, sizeof subject, "topic=%s partition=%d", topic, partition);
    report((enum report_level)level, event, subject, "%s", detail);
}

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

static void must(enum error error, const char *step)
{
    if (error == ERROR_NONE)
        return;
    (void)fprintf(stderr, "mount_host: %s: %s\n", step, error_text(error));
    exit(1);
}

static void nothing_done(struct catalog_proposal *proposal)
{
    (void)proposal;
}

static void make_groups(struct broker *broker)
{
    struct group_coordinator_options groups = {
        .executor = broker->executor,
        .partitions = broker->partitions,
        .config = {.min_session_timeout_ms = 6000,
                   .max_session_timeout_ms = 1800000,
                   .offsets_retention_ms = 86400000,
                   .offsets_retention_check_interval_ms = 600000,
                   .commit_timeout_ms = 5000,
                   .max_size = 1000,
                   .offset_metadata_max_bytes = 4096},
        .offsets_partition_count = offsets_partition_count,
        .context = broker,
    };
    must(group_coordinator_new(&groups, &broker->groups), "make the group coordinator");
}

/* Inside the monitor. */
static void make_parts(struct host *host, const char *data_directory)
{
    struct broker *broker = &host->broker;
    struct failure failure = {0};
    broker->executor = monitor_executor(host->monitor);
    must(storage_directory_open(data_directory, &broker->storage), "open the data directory");
    must(log_directory_open(broker->storage, broker->executor, &host->directory, &failure),
         "open the log directory");
    must(catalog_new(broker->executor, &broker->catalog), "make the catalog");
    host->proposer.submit = apply_at_once;
    catalog_set_proposer(broker->catalog, &host->proposer);
    broker->config = host->config;
    broker->data_directory = data_directory;
    broker->node_id = 1;
    host->reporter.report = partition_reported;
    struct partition_table_options table = {
        .storage = broker->storage,
        .executor = broker->executor,
        .directory = host->directory,
        .reporter = &host->reporter,
        .node_id = broker->node_id,
        .replica_lag_time_max_ms = 30000,
        .retention_check_interval_ms = 1000,
        .checkpoint_interval_ms = 60000,
    };
    must(partition_table_new(&table, &broker->partitions), "make the partition table");
    make_groups(broker);
    must(fetch_sessions_new(broker->executor, 100, &broker->fetch_sessions), "fetch sessions");
    must(broker_follow_catalog(broker, &host->follower), "follow the catalog");
}

/* Inside the monitor. */
static void found_cluster(struct host *host)
{
    struct executor *executor = host->broker.executor;
    struct catalog_command command = {
        .kind = CATALOG_CLUSTER_INIT,
        .id = uuid_random(executor),
        .cluster_id = uuid_random(executor),
    };
    host->cluster_init.done = nothing_done;
    catalog_propose(host->broker.catalog, &command, &host->cluster_init);
    command = (struct catalog_command){
        .kind = CATALOG_NODE_REGISTER,
        .id = uuid_random(executor),
        .node = {.id = 1,
                 .host = "localhost",
                 .port = 9092,
                 .incarnation_id = uuid_random(executor),
                 .directory_id = uuid_random(executor)},
    };
    host->node_register.done = nothing_done;
    catalog_propose(host->broker.catalog, &command, &host->node_register);
}

struct made_topic {
    struct topic_creation creation;
    struct arena arena;
};

static void topic_made(struct topic_creation *creation)
{
    must(creation->error, "make a topic");
    struct made_topic *made = container_of(creation, struct made_topic, creation);
    arena_done(&made->arena);
    memory_free(made);
}

/* Inside the monitor. ":orders", "3". */
static void make_topic(struct host *host, const char *name, const char *partitions)
{
    struct made_topic *made = memory_allocate(sizeof *made);
    if (made == NULL)
        must(ERROR_OUT_OF_MEMORY, name);
    struct slice reason = SLICE_EMPTY;
    arena_init(&made->arena, 16 << 20);
    made->creation.name = slice_of(name + 1);
    made->creation.partition_count = (int32_t)strtol(partitions, NULL, 10);
    made->creation.replication_factor = -1;
    made->creation.done = topic_made;
    must(topic_creation_plan(&host->broker, &made->arena, &made->creation, &reason), name);
    topic_creation_start(&host->broker, &made->creation);
}

static void mount_ended(void *context)
{
    struct host *host = context;
    (void)pthread_kill(host->main_thread, SIGTERM);
}

static void run_until_signal(struct host *host)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    for (;;) {
        int64_t timeout_ms = monitor_timeout_ms(host->monitor);
        if (timeout_ms < 0 || timeout_ms > 5)
            timeout_ms = 5;
        struct timespec pause = {0, timeout_ms * 1000000};
        if (sigtimedwait(&ending, NULL, &pause) > 0)
            return;
        monitor_run_timers(host->monitor);
    }
}

static void read_settings(struct host *host, int count, char **settings)
{
    char reason[CONFIG_REASON_BYTES];
    must(config_set_new(&host->config), "make the configuration");
    for (int i = 0; i < count; i++) {
        char *equals = strchr(settings[i], '=');
        if (equals == NULL)
            must(ERROR_INVALID_CONFIG, settings[i]);
        *equals = '\0';
        if (settings[i][0] == ':')
            continue;
        must(config_set_put(host->config, CONFIG_NODE, settings[i], equals + 1, reason),
             settings[i]);
    }
}

static void run_mount(struct host *host, const char *path, const char *options)
{
    struct failure failure = {0};
    struct mount *mount;
    struct mount_settings settings = {
        .path = path,
        .options = mount_options_default(geteuid() == 0),
        .threads = MOUNT_THREADS_DEFAULT,
        .monitor = host->monitor,
        .broker = &host->broker,
        .ended = mount_ended,
        .context = host,
    };
    enum error error = mount_options_parse(options, &settings.options, &failure);
    must(error, failure.where);
    error = mount_open(&settings, &mount, &failure);
    must(error, failure.where);
    run_until_signal(host);
    mount_close(mount);
    mount_free(mount);
}

int main(int argument_count, char **arguments)
{
    struct host host = {0};
    if (argument_count < 3) {
        (void)fprintf(stderr, "mount_host DATA MOUNTPOINT [OPTIONS [KEY=VALUE...]]\n");
        return 2;
    }
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ending, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    host.main_thread = pthread_self();
    read_settings(&host, argument_count > 4 ? argument_count - 4 : 0, arguments + 4);
    must(monitor_new(2, on_wake, NULL, &host.monitor), "make the monitor");
    monitor_enter(host.monitor);
    make_parts(&host, arguments[1]);
    found_cluster(&host);
    monitor_leave(host.monitor); /* The node is registered when it is left. */
    monitor_enter(host.monitor);
    for (int i = 4; i < argument_count; i++)
        if (arguments[i][0] == ':')
            make_topic(&host, arguments[i], arguments[i] + strlen(arguments[i]) + 1);
    monitor_leave(host.monitor);
    run_mount(&host, arguments[2], argument_count > 3 ? arguments[3] : "");
    return 0;
}
