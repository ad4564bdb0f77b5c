/* SPDX-License-Identifier: Apache-2.0 */
/* Produces through the port until SIGTERM, however often the node dies:
 * port_producer BOOTSTRAP TOPIC PARTITIONS JOURNAL NAME KIND [KEY=VALUE...]
 * KIND: idempotent, plain or unordered (journal.h) */
#include "journal.h"

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum {
    PARTITIONS_MAX = 16,
    FILL_BYTES_MAX = 400,
    BURST_RECORDS = 12,
    OUTSTANDING_MAX = 2000,
    PAUSE_MS = 10,
    FLUSH_MS = 70000,
    /* Before it, a request that may have been taken moved the next sequence on, and the next one
     * out of order was fatal: "rewound sequence number" (librdkafka 2.3.0, #4438). */
    SOUND_VERSION = 0x02030000,
    REPAIRS_MAX = 10
};

struct producer {
    rd_kafka_t *client;
    FILE *journal;
    const char *topic;
    const char *name;
    int partition_count;
    uint64_t sequences[PARTITIONS_MAX];
    int failed;
    int beyond_repair; /* The client refuses to go on: a new one may. */
    int repairs;
};

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
    (void)number;
    stopping = 1;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct producer *producer = context;
    unsigned long long sequence = (unsigned long long)(uintptr_t)message->_private;
    (void)client;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(producer->journal, "ack %d %llu %lld\n", message->partition, sequence,
                (long long)message->offset);
        return;
    }
    fprintf(producer->journal, "unknown %d %llu\n", message->partition, sequence);
    fprintf(stderr, "%s: record %llu of partition %d: %s\n", producer->name, sequence,
            message->partition, rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *context)
{
    struct producer *producer = context;
    char text[512];
    if (error != RD_KAFKA_RESP_ERR__FATAL)
        return;
    rd_kafka_resp_err_t error_of_client = rd_kafka_fatal_error(client, text, sizeof text);
    fprintf(stderr, "%s: fatal: %s: %s\n", producer->name, reason, text);
    producer->beyond_repair = 1;
    producer->repairs++;
    if (producer->repairs > REPAIRS_MAX ||
        error_of_client != RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER ||
        rd_kafka_version() >= SOUND_VERSION)
        producer->failed = 1;
}

static void set(rd_kafka_conf_t *config, const char *key, const char *value)
{
    char reason[256];
    if (rd_kafka_conf_set(config, key, value, reason, sizeof reason) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s=%s: %s\n", key, value, reason);
        exit(2);
    }
}

static rd_kafka_t *client_open(struct producer *producer, const char *bootstrap, int idempotent,
                               int setting_count, char **settings)
{
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    set(config, "bootstrap.servers", bootstrap);
    set(config, "acks", "all");
    set(config, "enable.idempotence", idempotent ? "true" : "false");
    /* A plain producer keeps its order only with one request at a time. */
    set(config, "max.in.flight.requests.per.connection", idempotent ? "5" : "1");
    set(config, "message.timeout.ms", "60000");
    set(config, "request.timeout.ms", "5000");
    /* What a node that is cut off keeps in flight waits so long; sequences go on from it, so the
     * others wait for it. */
    set(config, "socket.timeout.ms", "6000");
    set(config, "retries", "1000000");
    set(config, "retry.backoff.ms", "20");
    set(config, "reconnect.backoff.ms", "10");
    set(config, "reconnect.backoff.max.ms", "100");
    set(config, "linger.ms", "2");
    set(config, "log_level", "2");
    for (int i = 0; i < setting_count; i++) {
        const char *value = strchr(settings[i], '=');
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)(value - settings[i]), settings[i]);
        set(config, key, value + 1);
    }
    rd_kafka_conf_set_opaque(config, producer);
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    rd_kafka_conf_set_error_cb(config, on_error);
    char reason[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, config, reason, sizeof reason);
    if (client == NULL)
        fprintf(stderr, "%s\n", reason);
    return client;
}

static void send_burst(struct producer *producer)
{
    char record[FILL_BYTES_MAX + 128];
    for (int i = 0; i < BURST_RECORDS && rd_kafka_outq_len(producer->client) < OUTSTANDING_MAX;
         i++) {
        int partition = i % producer->partition_count;
        uint64_t sequence = producer->sequences[partition];
        size_t size = record_format(record, producer->name, sequence,
                                    (size_t)(sequence * 37 % FILL_BYTES_MAX));
        rd_kafka_resp_err_t error = rd_kafka_producev(
            producer->client, RD_KAFKA_V_TOPIC(producer->topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_VALUE(record, size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_OPAQUE((void *)(uintptr_t)sequence), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        producer->sequences[partition]++;
    }
}

/* All that the client has is told, delivered or unknown; false when it is not in time. */
static int client_close(struct producer *producer)
{
    int told = rd_kafka_flush(producer->client, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(producer->client);
    return told;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 7)
        return 2;
    struct producer producer = {
        .topic = arguments[2], .name = arguments[5], .partition_count = atoi(arguments[3])};
    if (producer.partition_count < 1 || producer.partition_count > PARTITIONS_MAX)
        return 2;
    signal(SIGTERM, on_stop);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* Not longer than its test. */
    producer.journal = journal_open(arguments[4], producer.name, arguments[6]);
    int idempotent = strcmp(arguments[6], "idempotent") == 0;
    producer.client =
        client_open(&producer, arguments[1], idempotent, argument_count - 7, arguments + 7);
    if (producer.client == NULL || producer.journal == NULL)
        return 2;
    while (!stopping && !producer.failed) {
        send_burst(&producer);
        rd_kafka_poll(producer.client, 0);
        if (producer.beyond_repair && !producer.failed) {
            if (!client_close(&producer))
                return 1;
            producer.beyond_repair = 0;
            producer.client =
                client_open(&producer, arguments[1], idempotent, argument_count - 7, arguments + 7);
            if (producer.client == NULL)
                return 2;
        }
        poll(NULL, 0, PAUSE_MS);
    }
    if (!client_close(&producer))
        producer.failed = 1;
    for (int i = 0; i < producer.partition_count; i++)
        fprintf(producer.journal, "sent %d %llu\n", i, (unsigned long long)producer.sequences[i]);
    fclose(producer.journal);
    return producer.failed;
}
