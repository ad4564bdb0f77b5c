/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a broker's port: `drive_port create|produce|fetch [OPTION...]` prints one line of JSON.
 * The same for topicfs, Apache Kafka and the bare loop. */
#include "load.h"
#include "measure.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>

enum { CONFIGS_MAX = 16, READY_BYTES_MAX = 256 << 20 };

struct options {
    const char *verb;
    const char *host;
    const char *port;
    const char *topic;
    long partitions;
    long connections;
    long in_flight;
    long record_bytes;
    long batch_bytes;
    long fetch_bytes;
    long acks;
    long requests;
    long requests_before;
    long pid;
    double mib_per_second;
    char *configs[CONFIGS_MAX];
    size_t config_count;
};

static const struct argp_option option_rows[] = {
    {"host", 'h', "HOST", 0, "127.0.0.1", 0},
    {"port", 'p', "PORT", 0, "9092", 0},
    {"topic", 't', "NAME", 0, "bench", 0},
    {"partitions", 'P', "N", 0, "requests go round them (1)", 0},
    {"connections", 'c', "N", 0, "(1)", 0},
    {"in-flight", 'f', "N", 0, "requests on each connection (1)", 0},
    {"record-bytes", 'r', "N", 0, "of each record's value (1024)", 0},
    {"batch-bytes", 'b', "N", 0, "of values in a batch, whole records (65536)", 0},
    {"fetch-bytes", 'm', "N", 0, "at most in an answer (1048576)", 0},
    {"acks", 'a', "0|1|-1", 0, "(1)", 0},
    {"requests", 'n', "N", 0, "to measure (1000)", 0},
    {"requests-before", 'w', "N", 0, "to send before measuring (0)", 0},
    {"rate", 'R', "MIB", 0, "MiB of values a second; 0: as fast as answers come (0)", 0},
    {"pid", 'i', "PID", 0, "the broker's, for its processor time", 0},
    {"config", 'C', "KEY=VALUE", 0, "create: of the topic; may be repeated", 0},
    {0},
};

static long *number_of(struct options *options, int key)
{
    switch (key) {
    case 'P':
        return &options->partitions;
    case 'c':
        return &options->connections;
    case 'f':
        return &options->in_flight;
    case 'r':
        return &options->record_bytes;
    case 'b':
        return &options->batch_bytes;
    case 'm':
        return &options->fetch_bytes;
    case 'a':
        return &options->acks;
    case 'n':
        return &options->requests;
    case 'w':
        return &options->requests_before;
    case 'i':
        return &options->pid;
    default:
        return NULL;
    }
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct options *options = state->input;
    long *number = number_of(options, key);
    char *end = value;
    if (number != NULL) {
        *number = strtol(value, &end, 10);
        if (*end != '\0' || end == value || *number < (key == 'a' ? -1 : 0))
            argp_error(state, "not a number: %s", value);
        return 0;
    }
    switch (key) {
    case 'h':
        options->host = value;
        return 0;
    case 'p':
        options->port = value;
        return 0;
    case 't':
        options->topic = value;
        return 0;
    case 'R':
        options->mib_per_second = strtod(value, &end);
        if (*end != '\0' || options->mib_per_second < 0)
            argp_error(state, "not a rate: %s", value);
        return 0;
    case 'C':
        if (options->config_count == CONFIGS_MAX)
            argp_error(state, "more than %d --config", CONFIGS_MAX);
        options->configs[options->config_count++] = value;
        return 0;
    case ARGP_KEY_ARG:
        if (options->verb != NULL)
            argp_usage(state);
        options->verb = value;
        return 0;
    case ARGP_KEY_END:
        if (options->verb == NULL || options->connections < 1 || options->in_flight < 1 ||
            options->partitions < 1 || options->record_bytes < 1)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void run_create(const struct options *options)
{
    struct topic_wish wish = {
        .name = options->topic,
        .partitions = (int32_t)options->partitions,
        .configs = (char **)options->configs,
        .config_count = options->config_count,
    };
    struct request request;
    struct arena arena;
    uint8_t *memory;
    arena_init(&arena, 64 << 20);
    request_make_create(&wish, &request);
    answer_check_create(load_ask(options->host, options->port, &request, &memory), &arena);
    free(memory);
    request_done(&request);
    arena_done(&arena);
    printf("{\"created\": \"%s\"}\n", options->topic);
}

static struct load_wish wish_of(const struct options *options)
{
    return (struct load_wish){
        .host = options->host,
        .port = options->port,
        .connections = (uint32_t)options->connections,
        .in_flight = (uint32_t)options->in_flight,
        .requests = (uint64_t)options->requests,
        .requests_before = (uint64_t)options->requests_before,
        .pid = (int)options->pid,
    };
}

static void print_result(const struct load_result *result, double bytes)
{
    printf("{\"requests\": %lu, \"bytes\": %.0f, \"seconds\": %.6f, \"cpu_seconds\": %.3f, ",
           (unsigned long)result->requests, bytes, result->seconds, result->cpu_seconds);
    histogram_print_ms(&result->latencies);
    printf("}\n");
}

static void run_produce(const struct options *options)
{
    struct load_wish wish = wish_of(options);
    struct produce_wish produce = {
        .topic = options->topic,
        .acks = (int16_t)options->acks,
        .record_bytes = (size_t)options->record_bytes,
        .records = (size_t)(options->batch_bytes / options->record_bytes),
    };
    if (produce.records == 0)
        produce.records = 1;
    double batch_bytes = (double)(produce.records * produce.record_bytes);
    wish.requests_per_second = options->mib_per_second * 1048576.0 / batch_bytes;
    wish.unanswered = options->acks == 0;
    wish.ready_count = (uint32_t)options->partitions;
    if (batch_bytes * wish.ready_count > (double)READY_BYTES_MAX)
        fail("more than %d MiB of ready-made requests", READY_BYTES_MAX >> 20);
    wish.ready = calloc(wish.ready_count, sizeof *wish.ready);
    if (wish.ready == NULL)
        fail("allocate requests");
    for (uint32_t i = 0; i < wish.ready_count; i++) {
        produce.partition = (int32_t)i;
        request_make_produce(&produce, &wish.ready[i]);
    }
    struct load_result result;
    load_run(&wish, &result);
    print_result(&result, (double)result.requests * batch_bytes);
    for (uint32_t i = 0; i < wish.ready_count; i++)
        request_done(&wish.ready[i]);
    free(wish.ready);
}

static void run_fetch(const struct options *options)
{
    struct load_wish wish = wish_of(options);
    struct fetch_wish fetch = {.topic = options->topic, .bytes_max = (int32_t)options->fetch_bytes};
    wish.in_flight = 1; /* The next offset is known only from the answer. */
    wish.is_fetch = true;
    wish.ready_count = wish.connections;
    wish.ready = calloc(wish.ready_count, sizeof *wish.ready);
    if (wish.ready == NULL)
        fail("allocate requests");
    for (uint32_t i = 0; i < wish.ready_count; i++) {
        fetch.partition = (int32_t)(i % (uint32_t)options->partitions);
        request_make_fetch(&fetch, &wish.ready[i]);
    }
    struct load_result result;
    load_run(&wish, &result);
    print_result(&result, (double)result.bytes);
    for (uint32_t i = 0; i < wish.ready_count; i++)
        request_done(&wish.ready[i]);
    free(wish.ready);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_rows,
        .parser = take_option,
        .args_doc = "create|produce|fetch",
        .doc = "Drives the port of a Kafka broker with ready-made requests.",
    };
    struct options options = {
        .host = "127.0.0.1",
        .port = "9092",
        .topic = "bench",
        .partitions = 1,
        .connections = 1,
        .in_flight = 1,
        .record_bytes = 1024,
        .batch_bytes = 65536,
        .fetch_bytes = 1 << 20,
        .acks = 1,
        .requests = 1000,
    };
    (void)argp_parse(&parser, argc, argv, 0, NULL, &options);
    if (strcmp(options.verb, "create") == 0)
        run_create(&options);
    else if (strcmp(options.verb, "produce") == 0)
        run_produce(&options);
    else if (strcmp(options.verb, "fetch") == 0)
        run_fetch(&options);
    else
        fail("%s: create, produce or fetch is wanted", options.verb);
    return 0;
}
