/* SPDX-License-Identifier: Apache-2.0 */
/* From options and properties to checked settings. */
#include "daemon/settings.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/mount.h"
#include "net/address.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROPERTIES_BYTES_MAX = 1 << 20, IO_THREADS_MAX = 64 };

/* ---- keys ---- */

struct loading {
    struct config_set *config;
    struct failure *failure;
};

static enum error put(const struct loading *loading, const char *key, const char *value)
{
    if (config_find(CONFIG_NODE, key) == NULL)
        return failure_because(loading->failure, ERROR_INVALID_CONFIG,
                               "unknown key %s; the nearest known one is %s", key,
                               config_nearest(CONFIG_NODE, key));
    char reason[CONFIG_REASON_BYTES];
    enum error error = config_set_put(loading->config, CONFIG_NODE, key, value, reason);
    if (error == ERROR_INVALID_CONFIG)
        return failure_because(loading->failure, error, "%s=%s %s", key, value, reason);
    return error;
}

static enum error put_property(void *context, const char *key, const char *value)
{
    return put(context, key, value);
}

/* The whole of a small file, NUL behind it. */
static enum error file_read(const char *path, char **ret_text, size_t *ret_size,
                            struct failure *failure)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG, "%s: %s", path, strerror(errno));
    char *text = memory_allocate_raw(PROPERTIES_BYTES_MAX + 1);
    size_t size = text == NULL ? 0 : fread(text, 1, PROPERTIES_BYTES_MAX + 1, file);
    int refused = ferror(file) ? errno : 0;
    (void)fclose(file);
    enum error error = ERROR_NONE;
    if (text == NULL)
        error = ERROR_OUT_OF_MEMORY;
    else if (refused != 0)
        error = failure_because(failure, ERROR_INVALID_CONFIG, "%s: %s", path, strerror(refused));
    else if (size > PROPERTIES_BYTES_MAX)
        error = failure_because(failure, ERROR_INVALID_CONFIG, "%s: larger than 1 MiB", path);
    if (error != ERROR_NONE) {
        memory_free(text);
        return error;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return ERROR_NONE;
}

static enum error load_file(struct loading *loading, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    enum error error = file_read(path, &text, &size, loading->failure);
    if (error != ERROR_NONE)
        return error;
    uint32_t line = 0;
    error = config_parse_properties(text, size, put_property, loading, &line);
    memory_free(text);
    if (error != ERROR_NONE)
        return failure_at(loading->failure, error, "%s line %u", path, line);
    return ERROR_NONE;
}

static enum error load_override(const struct loading *loading, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return failure_because(loading->failure, ERROR_INVALID_CONFIG,
                               "--override %s is not KEY=VALUE", text);
    char *key = memory_copy_text(text, (size_t)(equals - text));
    if (key == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = put(loading, key, equals + 1);
    memory_free(key);
    return error;
}

static enum error load_config(const struct options *options, struct config_set *config,
                              struct failure *failure)
{
    struct loading loading = {.config = config, .failure = failure};
    enum error error = ERROR_NONE;
    if (options->config_file != NULL)
        error = load_file(&loading, options->config_file);
    for (size_t i = 0; error == ERROR_NONE && i < options->override_count; i++)
        error = load_override(&loading, options->overrides[i]);
    if (error != ERROR_NONE)
        return error;
    char reason[CONFIG_REASON_BYTES];
    error = config_node_check(config, reason);
    if (error == ERROR_INVALID_CONFIG)
        return failure_because(failure, error, "%s", reason);
    return error;
}

/* ---- paths ---- */

static char *format_path(const char *first, const char *second)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s%s", first, second);
    return size < 0 || (size_t)size >= sizeof path ? NULL : memory_copy_text(path, (size_t)size);
}

static char *absolute_path(struct slice path)
{
    char text[PATH_MAX];
    if (path.size >= sizeof text)
        return NULL;
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    if (text[0] == '/')
        return memory_copy_text(text, path.size);
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL)
        return NULL;
    size_t used = strlen(here);
    if (used + 1 >= sizeof here)
        return NULL;
    here[used] = '/';
    here[used + 1] = '\0';
    return format_path(here, text);
}

static enum error choose_data_directory(struct settings *settings, struct failure *failure)
{
    const char *list = config_node_value(settings->config, "log.dirs", NULL);
    if (list == NULL) {
        const char *home = getenv("HOME");
        if (geteuid() != 0 && (home == NULL || home[0] != '/'))
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "log.dirs is not set and HOME says nothing");
        settings->data_directory = geteuid() == 0 ? format_path("/var/lib/topicfs", "")
                                                  : format_path(home, "/.local/share/topicfs");
    } else {
        struct slice first;
        struct slice other;
        if (!config_list_next(&list, &first))
            return failure_because(failure, ERROR_INVALID_CONFIG, "log.dirs is empty");
        if (config_list_next(&list, &other))
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "log.dirs names several directories: one node keeps one here");
        settings->data_directory = absolute_path(first);
    }
    if (settings->data_directory == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG, "log.dirs is too long a path");
    return ERROR_NONE;
}

static enum error choose_files(struct settings *settings, struct failure *failure)
{
    const char *path = config_node_value(settings->config, "topicfs.pid.file", NULL);
    settings->pid_file = path == NULL ? format_path(settings->data_directory, "/topicfs.pid")
                                      : absolute_path(slice_of(path));
    if (settings->pid_file == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "topicfs.pid.file is too long a path");
    settings->report_file = format_path(settings->data_directory, "/topicfs.report");
    if (settings->report_file == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG, "log.dirs is too long a path");
    return ERROR_NONE;
}

static enum error choose_mount(const struct options *options, struct settings *settings,
                               struct failure *failure)
{
    if (options->mount_point == NULL)
        return ERROR_NONE;
    settings->mount_point = absolute_path(slice_of(options->mount_point));
    if (settings->mount_point == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG, "the mount point is too long a path");
    settings->mount_options = mount_options_default(geteuid() == 0);
    for (size_t i = 0; i < options->mount_option_count; i++) {
        enum error error =
            mount_options_parse(options->mount_options[i], &settings->mount_options, failure);
        if (error != ERROR_NONE)
            return failure_at(failure, error, "-o %s", options->mount_options[i]);
    }
    int64_t threads = config_node_number(settings->config, "topicfs.mount.threads");
    settings->mount_threads = (uint32_t)(threads < MOUNT_THREADS_MAX ? threads : MOUNT_THREADS_MAX);
    return ERROR_NONE;
}

/* ---- cluster ---- */

/* Relative to where the command was typed, as every path. */
static enum error choose_cluster(struct settings *settings, struct failure *failure)
{
    enum error error = cluster_settings_load(settings->config, &settings->cluster, failure);
    if (error != ERROR_NONE || settings->cluster.token_file == NULL)
        return error;
    char *path = absolute_path(slice_of(settings->cluster.token_file));
    if (path == NULL)
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "topicfs.token.file is too long a path");
    memory_free(settings->cluster.token_file);
    settings->cluster.token_file = path;
    return ERROR_NONE;
}

/* ---- network ---- */

/* Kafka's default of 100 KiB is too little for a fast link and fixes what Linux would adapt: only a
 * value that somebody set counts. */
static int socket_buffer(const struct config_set *config, const char *key)
{
    enum config_source source;
    (void)config_node_value(config, key, &source);
    return source == CONFIG_SOURCE_DEFAULT ? -1 : (int)config_node_number(config, key);
}

/* Half the cores: the others are for the mount, for syncs and for the system's own part of the
 * network, which costs as much again. With a thread a core these displace each other, in the midst
 * of the monitor too: fetch by two clients on two cores took 1.6 switches of context a request
 * instead of none. */
int settings_io_threads(long wanted, long cores)
{
    long threads = wanted > 0 ? wanted : cores / 2;
    if (threads < 1)
        return 1;
    return threads > IO_THREADS_MAX ? IO_THREADS_MAX : (int)threads;
}

static void choose_limits(struct settings *settings)
{
    const struct config_set *config = settings->config;
    settings->limits = (struct net_limits){
        .io_threads = settings_io_threads(config_node_number(config, "topicfs.io.threads"),
                                          sysconf(_SC_NPROCESSORS_ONLN)),
        .backlog = (int)config_node_number(config, "socket.listen.backlog.size"),
        .send_buffer_bytes = socket_buffer(config, "socket.send.buffer.bytes"),
        .receive_buffer_bytes = socket_buffer(config, "socket.receive.buffer.bytes"),
        .request_bytes_max = (int32_t)config_node_number(config, "socket.request.max.bytes"),
        .connections_max = (uint32_t)config_node_number(config, "max.connections"),
        .connections_per_ip_max = (uint32_t)config_node_number(config, "max.connections.per.ip"),
        .connection_requests_max =
            (uint32_t)config_node_number(config, "topicfs.connection.requests.max"),
        .connection_bytes_max = (size_t)config_node_number(config, "topicfs.connection.bytes.max"),
        .idle_ms = config_node_number(config, "connections.max.idle.ms"),
        .receive_timeout_ms = config_node_number(config, "topicfs.connection.receive.timeout.ms"),
        .send_timeout_ms = config_node_number(config, "topicfs.connection.send.timeout.ms"),
    };
    settings->insecure = config_node_boolean(config, "topicfs.insecure");
}

static enum error check_protocol(const struct settings *settings, const struct endpoint *endpoint,
                                 struct failure *failure)
{
    struct slice protocol;
    const char *map = config_node_value(settings->config, "listener.security.protocol.map", NULL);
    enum error error = endpoint_protocol(map, endpoint->name, &protocol, failure);
    if (error != ERROR_NONE)
        return error;
    if (!slice_equals_text(protocol, "PLAINTEXT"))
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "listener %s: %.*s is not supported yet, only PLAINTEXT",
                               endpoint->name, SLICE_PRINT(protocol));
    return ERROR_NONE;
}

/* What clients are told when nothing is set: the listener's own address, or this machine's name
 * when it listens on every address. */
static void advertise_by_default(struct endpoint *endpoint)
{
    bool every = endpoint->host[0] == '\0' || strcmp(endpoint->host, "0.0.0.0") == 0 ||
                 strcmp(endpoint->host, "::") == 0;
    if (every && gethostname(endpoint->host, sizeof endpoint->host - 1) != 0)
        (void)snprintf(endpoint->host, sizeof endpoint->host, "localhost");
}

static enum error choose_advertised(struct settings *settings, struct failure *failure)
{
    struct endpoint listed[ENDPOINTS_MAX];
    uint32_t count = 0;
    const char *list = config_node_value(settings->config, "advertised.listeners", NULL);
    if (list != NULL) {
        enum error error =
            endpoint_parse_list("advertised.listeners", list, listed, &count, failure);
        if (error != ERROR_NONE)
            return error;
    }
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        settings->advertised[i] = settings->listeners[i];
        advertise_by_default(&settings->advertised[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < settings->listener_count &&
               strcmp(settings->listeners[at].name, listed[i].name) != 0)
            at++;
        if (at == settings->listener_count)
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "advertised.listeners: listeners has no %s", listed[i].name);
        if (listed[i].host[0] == '\0')
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "advertised.listeners: %s has no host", listed[i].name);
        settings->advertised[at] = listed[i];
    }
    return ERROR_NONE;
}

/* A node of a list listens where the list says it is, and for this machine on loopback too. */
static enum error listen_as_listed(struct settings *settings, struct failure *failure)
{
    struct cluster_settings *cluster = &settings->cluster;
    enum error error = cluster_self_by_address(cluster, &cluster->self, failure);
    if (error != ERROR_NONE)
        return error;
    const struct bootstrap_address *self = &cluster->nodes[cluster->self];
    struct address address;
    error = address_resolve(self->host, self->port, &address, failure);
    if (error != ERROR_NONE)
        return error;
    struct endpoint *listener = &settings->listeners[settings->listener_count++];
    *listener = (struct endpoint){.name = "PLAINTEXT", .port = self->port};
    memcpy(listener->host, self->host, sizeof self->host);
    if (!address_is_loopback(&address))
        settings->listeners[settings->listener_count++] =
            (struct endpoint){.name = "LOCAL", .host = "127.0.0.1", .port = self->port};
    return choose_advertised(settings, failure);
}

static bool listeners_are_set(const struct settings *settings)
{
    enum config_source source;
    (void)config_node_value(settings->config, "listeners", &source);
    return source != CONFIG_SOURCE_DEFAULT;
}

/* The others know this node by what the list says, unless it is told to say something else. */
static void advertise_as_listed(struct settings *settings)
{
    const struct cluster_settings *cluster = &settings->cluster;
    if (cluster->self < 0 ||
        config_node_value(settings->config, "advertised.listeners", NULL) != NULL)
        return;
    const struct bootstrap_address *self = &cluster->nodes[cluster->self];
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        if (settings->advertised[i].port == self->port)
            memcpy(settings->advertised[i].host, self->host, sizeof self->host);
    }
}

/* controller.listener.names: a server.properties for Kafka has a port for its controllers, which
 * nodes here do not need. */
static void leave_out_controllers(struct settings *settings)
{
    const char *names = config_node_value(settings->config, "controller.listener.names", NULL);
    struct slice name;
    while (config_list_next(&names, &name)) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < settings->listener_count; i++) {
            const char *listener = settings->listeners[i].name;
            if (strlen(listener) != name.size ||
                strncasecmp(listener, (const char *)name.data, name.size) != 0)
                settings->listeners[kept++] = settings->listeners[i];
        }
        settings->listener_count = kept;
    }
}

static enum error choose_listeners(struct settings *settings, struct failure *failure)
{
    struct cluster_settings *cluster = &settings->cluster;
    settings->listeners = memory_allocate_array(ENDPOINTS_MAX, sizeof *settings->listeners);
    settings->advertised = memory_allocate_array(ENDPOINTS_MAX, sizeof *settings->advertised);
    if (settings->listeners == NULL || settings->advertised == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (cluster->node_count > 0 && !listeners_are_set(settings))
        return listen_as_listed(settings, failure);
    const char *list = config_node_value(settings->config, "listeners", NULL);
    enum error error = endpoint_parse_list("listeners", list, settings->listeners,
                                           &settings->listener_count, failure);
    if (error == ERROR_NONE)
        leave_out_controllers(settings);
    if (error == ERROR_NONE && settings->listener_count == 0)
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "listeners: none is left for clients");
    for (uint32_t i = 0; error == ERROR_NONE && i < settings->listener_count; i++)
        error = check_protocol(settings, &settings->listeners[i], failure);
    if (error == ERROR_NONE)
        error = choose_advertised(settings, failure);
    if (error != ERROR_NONE)
        return error;
    cluster->self = cluster_self_by_port(cluster, settings->advertised, settings->listener_count);
    if (cluster->self < 0)
        cluster->self =
            cluster_self_by_port(cluster, settings->listeners, settings->listener_count);
    advertise_as_listed(settings);
    return ERROR_NONE;
}

/* inter.broker.listener.name; the first one when it is not set. */
static enum error choose_node_listener(struct settings *settings, struct failure *failure)
{
    const char *name = config_node_value(settings->config, "inter.broker.listener.name", NULL);
    for (uint32_t i = 0; name != NULL && i < settings->listener_count; i++) {
        if (strcasecmp(settings->listeners[i].name, name) == 0) {
            settings->node_listener = i;
            return ERROR_NONE;
        }
    }
    if (name == NULL)
        return ERROR_NONE;
    return failure_because(failure, ERROR_INVALID_CONFIG,
                           "inter.broker.listener.name: listeners has no %s", name);
}

/* ---- all ---- */

enum error settings_load(const struct options *options, struct settings *ret_settings,
                         struct failure *failure)
{
    struct settings settings = {0};
    enum error error = config_set_new(&settings.config);
    if (error == ERROR_NONE)
        error = load_config(options, settings.config, failure);
    if (error == ERROR_NONE)
        error = choose_data_directory(&settings, failure);
    if (error == ERROR_NONE)
        error = choose_files(&settings, failure);
    if (error == ERROR_NONE)
        error = choose_mount(options, &settings, failure);
    if (error == ERROR_NONE)
        error = choose_cluster(&settings, failure);
    if (error == ERROR_NONE)
        error = choose_listeners(&settings, failure);
    if (error == ERROR_NONE)
        error = choose_node_listener(&settings, failure);
    if (error != ERROR_NONE) {
        settings_done(&settings);
        return error;
    }
    choose_limits(&settings);
    settings.node_id = settings.cluster.node_count > 0
                           ? settings.cluster.wanted_node_id
                           : (int32_t)config_node_number(settings.config, "node.id");
    *ret_settings = settings;
    return ERROR_NONE;
}

void settings_done(struct settings *settings)
{
    config_set_free(settings->config);
    memory_free(settings->data_directory);
    memory_free(settings->mount_point);
    memory_free(settings->pid_file);
    memory_free(settings->report_file);
    memory_free(settings->listeners);
    memory_free(settings->advertised);
    cluster_settings_done(&settings->cluster);
    *settings = (struct settings){0};
}

struct key_list {
    char *out;
    size_t size;
    size_t used;
    uint32_t left_out;
};

static void add_without_effect(void *context, const char *key, const char *value)
{
    enum { MORE_BYTES = 24 }; /* " and 4294967295 more" */
    struct key_list *list = context;
    const struct config_row *row = config_find(CONFIG_NODE, key);
    if (row == NULL || !row->no_effect ||
        (row->default_text != NULL && strcmp(value, row->default_text) == 0))
        return;
    size_t needed = strlen(key) + 2;
    if (list->left_out > 0 || list->used + needed + MORE_BYTES > list->size) {
        list->left_out++;
        return;
    }
    list->used += (size_t)snprintf(list->out + list->used, list->size - list->used, "%s%s",
                                   list->used == 0 ? "" : ", ", key);
}

void settings_without_effect(const struct settings *settings, char *out, size_t size)
{
    struct key_list list = {.out = out, .size = size};
    out[0] = '\0';
    config_set_each(settings->config, add_without_effect, &list);
    if (list.left_out > 0)
        (void)snprintf(out + list.used, size - list.used, " and %u more", list.left_out);
}

void settings_print_help(void)
{
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if ((row->scope & CONFIG_NODE) == 0)
            continue;
        printf("%s\n    %s, default %s", row->key, config_type_text(row->type),
               row->default_text == NULL ? "not set" : row->default_text);
        if (row->choices != NULL)
            printf(", one of %s", row->choices);
        else if (row->minimum != 0 || row->maximum != 0)
            printf(", %lld to %lld", (long long)row->minimum, (long long)row->maximum);
        printf("%s%s\n    %s\n", row->read_only ? "" : ", may change while the node runs",
               row->no_effect ? ", no effect" : "", row->help);
    }
}
