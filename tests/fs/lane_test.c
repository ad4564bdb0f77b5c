/* SPDX-License-Identifier: Apache-2.0 */
/* Batches on their way to a leader that comes and goes: stored once, in order, or refused. */
#include "fs/kernel_fixture.h"

#include <cmocka.h>
#include <fcntl.h>

enum { TEXT_BYTES = 1 << 21, OTHER_NODE = 2 };

struct cluster {
    struct broker_fixture *f;
    struct kernel kernel;
    const struct catalog_topic *topic;
    struct partition *partition;
    int32_t epoch;
    char *text;
};

/* What the quorum says of orders-0: who leads, and who is in sync. */
static void assign(struct cluster *c, int32_t leader, uint32_t isr_count)
{
    struct partition_assignment assignment = {
        .leader = leader,
        .leader_epoch = ++c->epoch,
        .partition_epoch = c->epoch,
        .replica_count = 2,
        .isr_count = isr_count,
        .replicas = {1, OTHER_NODE},
        .isr = {1, OTHER_NODE},
    };
    struct partition_config config = broker_partition_config(&c->f->broker, c->topic->config);
    assert_int_equal(partition_table_assign(c->f->broker.partitions, c->topic->name, &c->topic->id,
                                            0, &config, &assignment, &c->partition, NULL),
                     ERROR_NONE);
    simulated_executor_run_until_idle(c->f->executor);
}

static void cluster_start(struct cluster *c, struct broker_fixture *f, bool alone)
{
    *c = (struct cluster){.f = f};
    if (!alone)
        fixture_add_node(f, OTHER_NODE);
    c->topic = fixture_topic(f, "orders", 1);
    c->partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    c->text = malloc(TEXT_BYTES);
    assert_non_null(c->text);
    kernel_mount(&c->kernel, f, "timeo=5");
}

static void cluster_end(struct cluster *c)
{
    kernel_umount(&c->kernel);
    free(c->text);
}

/* A write under way. */
struct writing {
    fuse_ino_t node;
    struct fuse_file_info info;
    struct fuse_req *request;
};

static void write_start(struct cluster *c, struct writing *writing, const char *text)
{
    assert_int_equal(kernel_path(&c->kernel, "orders/0", &writing->node), 0);
    assert_int_equal(kernel_open(&c->kernel, writing->node, O_WRONLY | O_APPEND, &writing->info),
                     0);
    writing->request = request_new(&c->kernel);
    c->kernel.ops.write(writing->request, writing->node, text, strlen(text), 0, &writing->info);
}

static int write_end(struct cluster *c, struct writing *writing)
{
    int error = request_finish(writing->request);
    request_free(writing->request);
    kernel_release(&c->kernel, writing->node, &writing->info);
    kernel_forget(&c->kernel, writing->node);
    return error;
}

static void assert_text(struct cluster *c, const char *expected)
{
    assert_int_equal(kernel_cat(&c->kernel, "orders/0", c->text, TEXT_BYTES), 0);
    assert_string_equal(c->text, expected);
}

struct producers {
    int count;
    struct log_producer last;
};

static void see_producer(void *context, const struct log_producer *producer)
{
    struct producers *producers = context;
    producers->count++;
    if (producers->count == 1 || producer->producer_epoch > producers->last.producer_epoch)
        producers->last = *producer;
}

static struct producers producers_of(struct cluster *c)
{
    struct log *log;
    struct producers producers = {0};
    assert_int_equal(partition_log(c->partition, &log), ERROR_NONE);
    log_producer_each(log, see_producer, &producers);
    return producers;
}

/* Alone, a node appends as it always did: no producer is kept. */
static void a_node_alone_numbers_nothing(void **state)
{
    struct cluster c;
    cluster_start(&c, *state, true);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "a\nb\n"), 0);
    assert_int_equal(producers_of(&c).count, 0);
    assert_text(&c, "a\nb\n");
    cluster_end(&c);
}

/* All writers of a mount are one producer of a partition, numbered in one row. */
static void all_writers_are_one_producer(void **state)
{
    struct cluster c;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "a\nb\n"), 0);
    fuse_ino_t held; /* As the kernel does between uses. */
    assert_int_equal(kernel_path(&c.kernel, "orders/0", &held), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(kernel_append(&c.kernel, "orders/0", "c\nd\ne\n"), 0);
    struct producers producers = producers_of(&c);
    assert_int_equal(producers.count, 1);
    assert_int_equal(producers.last.last_sequence, 26);
    int16_t epoch = producers.last.producer_epoch;
    kernel_forget(&c.kernel, held);
    /* Forgotten and met again: the same producer, a newer epoch. */
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "f\n"), 0);
    producers = producers_of(&c);
    assert_int_equal(producers.count, 1);
    assert_true(producers.last.producer_epoch > epoch);
    assert_int_equal(producers.last.last_sequence, 0);
    cluster_end(&c);
}

/* Without a leader a write waits for one, and is stored then. */
static void a_write_waits_for_a_leader(void **state)
{
    struct cluster c;
    struct writing writing;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    assign(&c, OTHER_NODE, 2);
    write_start(&c, &writing, "waits\n");
    simulated_executor_run_for(c.f->executor, 2000);
    assert_int_equal(writing.request->answers, 0);
    assign(&c, 1, 1);
    assert_int_equal(write_end(&c, &writing), 0);
    assert_text(&c, "before\nwaits\n");
    cluster_end(&c);
}

/* Stored, and the leader gone before it said so: the next leader has it already and says so. */
static void what_was_stored_is_not_stored_again(void **state)
{
    struct cluster c;
    struct writing writing;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    write_start(&c, &writing, "once\n");
    assert_int_equal(writing.request->answers, 0); /* In the log, and not on the disk. */
    assign(&c, OTHER_NODE, 2);
    simulated_executor_run_for(c.f->executor, 100);
    assert_int_equal(writing.request->answers, 0);
    assign(&c, 1, 1);
    assert_int_equal(write_end(&c, &writing), 0);
    assert_text(&c, "before\nonce\n");
    cluster_end(&c);
}

/* What a follower does when its leader's log parts from its own. */
static void cut_off(struct cluster *c, int64_t offset)
{
    struct log *log;
    assert_int_equal(partition_log(c->partition, &log), ERROR_NONE);
    assert_int_equal(log_truncate(log, offset), ERROR_NONE);
    simulated_executor_run_for(c->f->executor, 100);
}

/* Stored, then cut off by another leader: it is stored again, once, with the same number. */
static void what_was_cut_off_is_stored_again(void **state)
{
    struct cluster c;
    struct writing writing;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    write_start(&c, &writing, "twice sent\n");
    assign(&c, OTHER_NODE, 2);
    cut_off(&c, 1);
    assign(&c, 1, 1);
    assert_int_equal(write_end(&c, &writing), 0);
    assert_text(&c, "before\ntwice sent\n");
    assert_int_equal(producers_of(&c).count, 1);
    cluster_end(&c);
}

/* reliability.md 94: a majority is gone. Writes end with ETIMEDOUT after timeo, what is committed
 * can be read, and afterwards writing goes on. */
static void without_a_quorum_writes_time_out_and_reads_work(void **state)
{
    struct cluster c;
    struct writing writing;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    assign(&c, -1, 2);
    int64_t begun_ms = executor_monotonic_ms(c.f->broker.executor);
    write_start(&c, &writing, "lost\n");
    assert_text(&c, "before\n");
    assert_int_equal(write_end(&c, &writing), ETIMEDOUT);
    int64_t took_ms = executor_monotonic_ms(c.f->broker.executor) - begun_ms;
    assert_in_range(took_ms, 5000, 5500);
    assert_text(&c, "before\n");
    assert_int_equal(kernel_cat(&c.kernel, ".errors", c.text, TEXT_BYTES), 0);
    assert_non_null(strstr(c.text, "write\torders/0\tETIMEDOUT"));
    assign(&c, 1, 1);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "after\n"), 0);
    assert_text(&c, "before\nafter\n");
    cluster_end(&c);
}

/* What waited behind a write that was given up is numbered anew and stored. */
static void a_gap_in_the_numbers_is_closed(void **state)
{
    struct cluster c;
    struct writing first, second;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    assign(&c, -1, 2);
    write_start(&c, &first, "lost\n");
    simulated_executor_run_for(c.f->executor, 3000);
    write_start(&c, &second, "kept\n");
    assert_int_equal(request_finish(first.request), ETIMEDOUT);
    assert_int_equal(second.request->answers, 0);
    assign(&c, 1, 1);
    assert_int_equal(request_finish(second.request), 0);
    assert_int_equal(write_end(&c, &first), ETIMEDOUT);
    assert_int_equal(write_end(&c, &second), 0);
    assert_text(&c, "before\nkept\n");
    cluster_end(&c);
}

/* The leader has forgotten the producer (producer.id.expiration.ms): nobody notices. */
static void a_forgotten_producer_goes_on(void **state)
{
    struct cluster c;
    struct log *log;
    fuse_ino_t held;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_path(&c.kernel, "orders/0", &held), 0);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "a\n"), 0);
    assert_int_equal(partition_log(c.partition, &log), ERROR_NONE);
    log_producer_expire(log, INT64_MAX / 2);
    assert_int_equal(producers_of(&c).count, 0);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "b\n"), 0);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "c\n"), 0);
    assert_text(&c, "a\nb\nc\n");
    kernel_forget(&c.kernel, held);
    cluster_end(&c);
}

/* A leader that knows other numbers than ours (it lost some): a new epoch, nothing lost. */
static void a_leader_that_lost_batches_is_begun_with_anew(void **state)
{
    struct cluster c;
    struct log *log;
    fuse_ino_t held;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_path(&c.kernel, "orders/0", &held), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kernel_append(&c.kernel, "orders/0", "a\n"), 0);
    assert_int_equal(partition_log(c.partition, &log), ERROR_NONE);
    int64_t id = producers_of(&c).last.producer_id;
    log_producer_expire(log, INT64_MAX / 2);
    fixture_append(c.f, "orders", 0, 1, id); /* Ours as of our first batch. */
    assert_int_equal(producers_of(&c).last.last_sequence, 0);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "b\n"), 0);
    assert_int_equal(log_end_offset(log), 5);
    assert_true(producers_of(&c).last.producer_epoch > 0);
    assert_int_equal(producers_of(&c).last.last_sequence, 0);
    kernel_forget(&c.kernel, held);
    cluster_end(&c);
}

/* Many batches of one write, the leader changing again and again among them: all once, in order. */
static void a_long_write_survives_many_leaders(void **state)
{
    struct cluster c;
    struct writing writing;
    char *text = malloc(TEXT_BYTES), *at = text;
    assert_non_null(text);
    cluster_start(&c, *state, false);
    fixture_set(*state, "message.max.bytes", "200");
    for (int i = 0; i < 500; i++)
        at += snprintf(at, 32, "record number %d\n", i);
    for (int round = 0; round < 30; round++) {
        if (round == 0)
            write_start(&c, &writing, text);
        simulated_executor_run_for(c.f->executor, 7 + round % 11);
        assign(&c, round % 2 == 0 ? OTHER_NODE : 1, 1 + (uint32_t)round % 3 % 2);
    }
    assign(&c, 1, 1);
    assert_int_equal(write_end(&c, &writing), 0);
    assert_text(&c, text);
    assert_int_equal(producers_of(&c).count, 1);
    free(text);
    cluster_end(&c);
}

/* No id can be had: writes wait for one, to the end of their time; then it is had. */
static void without_a_producer_id_writes_wait(void **state)
{
    struct cluster c;
    struct writing writing;
    cluster_start(&c, *state, false);
    c.f->proposer_error = ERROR_NOT_CONTROLLER;
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "lost\n"), ETIMEDOUT);
    write_start(&c, &writing, "kept\n");
    simulated_executor_run_for(c.f->executor, 1000);
    assert_int_equal(writing.request->answers, 0);
    c.f->proposer_error = ERROR_NONE;
    assert_int_equal(write_end(&c, &writing), 0);
    assert_text(&c, "kept\n");
    cluster_end(&c);
}

/* fsync of an unended line waits for a leader, and tells when there is none. */
static void fsync_waits_for_the_tail(void **state)
{
    struct cluster c;
    fuse_ino_t node;
    size_t count;
    struct fuse_file_info info;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_path(&c.kernel, "orders/0", &node), 0);
    assert_int_equal(kernel_open(&c.kernel, node, O_WRONLY | O_APPEND, &info), 0);
    assign(&c, -1, 2);
    assert_int_equal(kernel_write(&c.kernel, node, &info, "lost", &count), 0);
    assert_int_equal(kernel_fsync(&c.kernel, node, &info), EIO);
    assert_int_equal(kernel_write(&c.kernel, node, &info, "kept", &count), 0);
    struct fuse_req *request = request_new(&c.kernel);
    c.kernel.ops.fsync(request, node, 0, &info);
    simulated_executor_run_for(c.f->executor, 1000);
    assert_int_equal(request->answers, 0);
    assign(&c, 1, 1);
    assert_int_equal(request_finish(request), 0);
    request_free(request);
    assert_text(&c, "kept\n");
    kernel_release(&c.kernel, node, &info);
    kernel_forget(&c.kernel, node);
    cluster_end(&c);
}

/* An interrupted writer is let go after a moment; the mount ends while others wait. */
static void waiting_writes_are_let_go(void **state)
{
    struct cluster c;
    struct writing interrupted, last;
    cluster_start(&c, *state, false);
    assert_int_equal(kernel_append(&c.kernel, "orders/0", "before\n"), 0);
    assign(&c, -1, 2);
    write_start(&c, &interrupted, "a\n");
    write_start(&c, &last, "b\n");
    assert_non_null(interrupted.request->interrupted);
    interrupted.request->interrupted(interrupted.request, interrupted.request->context);
    assert_int_equal(request_finish(interrupted.request), EIO);
    assert_int_equal(last.request->answers, 0);
    assert_int_equal(write_end(&c, &interrupted), EIO);
    kernel_forget(&c.kernel, last.node);
    cluster_end(&c);
    assert_int_equal(last.request->answers, 1);
    request_free(last.request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_node_alone_numbers_nothing),
        WITH_BROKER(all_writers_are_one_producer),
        WITH_BROKER(a_write_waits_for_a_leader),
        WITH_BROKER(what_was_stored_is_not_stored_again),
        WITH_BROKER(what_was_cut_off_is_stored_again),
        WITH_BROKER(without_a_quorum_writes_time_out_and_reads_work),
        WITH_BROKER(a_gap_in_the_numbers_is_closed),
        WITH_BROKER(a_forgotten_producer_goes_on),
        WITH_BROKER(a_leader_that_lost_batches_is_begun_with_anew),
        WITH_BROKER(a_long_write_survives_many_leaders),
        WITH_BROKER(without_a_producer_id_writes_wait),
        WITH_BROKER(fsync_waits_for_the_tail),
        WITH_BROKER(waiting_writes_are_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
