/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a broker's port: `drive_port create|leaders|produce|fetch [OPTION...]` prints one line of
 * JSON. The same for topicfs, Apache Kafka and the bare loop. */
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
    long replicas;
    bool leaders;
    int pids[LOAD_PIDS_MAX];
    uint32_t pid_count;
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
    {"pid", 'i', "PID[,PID...]", 0, "the brokers', for their processor time", 0},
    {"leaders", 'L', NULL, 0,
     "each connection to the leader of its partition; as many connections "
     "as partitions, or a multiple",
     0},
    {"replicas", 'F', "N", 0, "create: of each partition (as the broker thinks right)", 0},
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
    case 'F':
        return &options->replicas;
    default:
        return NULL;
    }
}

static void take_pids(struct options *options, const char *text, struct argp_state *state)
{
    for (const char *next = text; *next != '\0';) {
        char *end;
        long pid = strtol(next, &end, 10);
        if (end == next || pid <= 0 || (*end != '\0' && *end != ','))
            argp_error(state, "not process ids: %s", text);
        if (options->pid_count == LOAD_PIDS_MAX)
            argp_error(state, "more than %d process ids", LOAD_PIDS_MAX);
        options->pids[options->pid_count++] = (int)pid;
        next = *end == ',' ? end + 1 : end;
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
    case 'i':
        take_pids(options, value, state);
        return 0;
    case 'L':
        options->leaders = true;
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
            options->partitions < 1 || options->record_bytes < 1 ||
            (options->leaders && options->connections % options->partitions != 0))
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct load_place place_of(const struct options *options)
{
    struct load_place place;
    (void)snprintf(place.host, sizeof place.host, "%s", options->host);
    (void)snprintf(place.port, sizeof place.port, "%s", options->port);
    return place;
}

static void run_create(const struct options *options)
{
    struct topic_wish wish = {
        .name = options->topic,
        .partitions = (int32_t)options->partitions,
        .replicas = (int16_t)options->replicas,
        .configs = (char **)options->configs,
        .config_count = options->config_count,
    };
    struct request request;
    struct arena arena;
    uint8_t *memory;
    struct load_place place = place_of(options);
    arena_init(&arena, 64 << 20);
    request_make_create(&wish, &request);
    answer_check_create(load_ask(&place, &request, &memory), &arena);
    free(memory);
    request_done(&request);
    arena_done(&arena);
    printf("{\"created\": \"%s\"}\n", options->topic);
}

/* Where the connections go, for the caller to free: one place, or one a partition. */
static struct load_place *places_of(const struct options *options, uint32_t *ret_count)
{
    uint32_t count = options->leaders ? (uint32_t)options->partitions : 1;
    struct load_place *places = calloc(count, sizeof *places);
    if (places == NULL)
        fail("allocate places");
    *ret_count = count;
    places[0] = place_of(options);
    if (!options->leaders)
        return places;
    struct load_place asked = places[0];
    struct request request;
    struct arena arena;
    uint8_t *memory;
    arena_init(&arena, 64 << 20);
    request_make_metadata(options->topic, &request);
    answer_take_leaders(load_ask(&asked, &request, &memory), &arena, (int32_t)count, places);
    free(memory);
    request_done(&request);
    arena_done(&arena);
    return places;
}

static void run_leaders(const struct options *options)
{
    uint32_t count;
    struct options wanted = *options;
    wanted.leaders = true;
    struct load_place *places = places_of(&wanted, &count);
    printf("{\"ports\": [");
    for (uint32_t i = 0; i < count; i++)
        printf("%s%s", i == 0 ? "" : ", ", places[i].port);
    printf("]}\n");
    free(places);
}

static struct load_wish wish_of(const struct options *options)
{
    uint32_t place_count;
    struct load_place *places = places_of(options, &place_count);
    return (struct load_wish){
        .places = places,
        .place_count = place_count,
        .connections = (uint32_t)options->connections,
        .in_flight = (uint32_t)options->in_flight,
        .requests = (uint64_t)options->requests,
        .requests_before = (uint64_t)options->requests_before,
        .pids = options->pids,
        .pid_count = options->pid_count,
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
    free(wish.places);
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
    free(wish.places);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_rows,
        .parser = take_option,
        .args_doc = "create|leaders|produce|fetch",
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
        .replicas = -1,
    };
    (void)argp_parse(&parser, argc, argv, 0, NULL, &options);
    if (strcmp(options.verb, "create") == 0)
        run_create(&options);
    else if (strcmp(options.verb, "leaders") == 0)
        run_leaders(&options);
    else if (strcmp(options.verb, "produce") == 0)
        run_produce(&options);
    else if (strcmp(options.verb, "fetch") == 0)
        run_fetch(&options);
    else
        fail("%s: create, leaders, produce or fetch is wanted", options.verb);
    return 0;
}
