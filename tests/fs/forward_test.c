/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to a leader on another node: stored once, whatever becomes of the calls. */
#include "elsewhere_fixture.h"

#include <cmocka.h>
#include <fcntl.h>

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

static void assert_stored(struct elsewhere *e, const char *expected)
{
    assert_int_equal(kernel_cat(&e->kernel, "orders/0", text, sizeof text), 0);
    assert_string_equal(text, expected);
}

/* A line written here is the leader's, once. */
static void a_line_arrives(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "one\ntwo\n"), 0);
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "three\n"), 0);
    assert_stored(&e, "one\ntwo\nthree\n");
    elsewhere_end(&e);
}

struct writing {
    fuse_ino_t node;
    struct fuse_file_info info;
    struct fuse_req *request;
};

static void write_start(struct elsewhere *e, struct writing *writing, const char *line)
{
    assert_int_equal(kernel_path(&e->kernel, "orders/0", &writing->node), 0);
    assert_int_equal(kernel_open(&e->kernel, writing->node, O_WRONLY | O_APPEND, &writing->info),
                     0);
    writing->request = request_new(&e->kernel);
    e->kernel.ops.write(writing->request, writing->node, line, strlen(line), 0, &writing->info);
}

static int write_end(struct elsewhere *e, struct writing *writing)
{
    int error = request_finish(writing->request);
    request_free(writing->request);
    kernel_release(&e->kernel, writing->node, &writing->info);
    kernel_forget(&e->kernel, writing->node);
    return error;
}

/* Answers are lost after the records were stored: the same bytes go again, and nothing is there
 * twice. */
static void a_lost_answer_stores_nothing_twice(void **state)
{
    struct elsewhere e;
    struct writing writing;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "before\n"), 0);
    write_start(&e, &writing, "once\n");
    e.mode = CALLS_LOSE_ANSWERS;
    simulated_executor_run_for(e.far->executor, 1000);
    assert_int_equal(writing.request->answers, 0);
    e.mode = CALLS_WORK;
    assert_int_equal(write_end(&e, &writing), 0);
    assert_stored(&e, "before\nonce\n");
    elsewhere_end(&e);
}

/* No connection for a while: the write waits, and is stored then. */
static void a_write_waits_for_a_connection(void **state)
{
    struct elsewhere e;
    struct writing writing;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    write_start(&e, &writing, "waits\n");
    e.mode = CALLS_REFUSED;
    simulated_executor_run_for(e.far->executor, 2000);
    assert_int_equal(writing.request->answers, 0);
    e.mode = CALLS_WORK;
    assert_int_equal(write_end(&e, &writing), 0);
    assert_stored(&e, "waits\n");
    elsewhere_end(&e);
}

/* A leader that never answers: ETIMEDOUT after timeo. */
static void a_leader_that_hangs_is_waited_for_so_long(void **state)
{
    struct elsewhere e;
    struct writing writing;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "before\n"), 0);
    int64_t begun_ms = executor_monotonic_ms(e.far->broker.executor);
    write_start(&e, &writing, "lost\n");
    e.mode = CALLS_HANG;
    assert_int_equal(write_end(&e, &writing), ETIMEDOUT);
    int64_t took_ms = executor_monotonic_ms(e.far->broker.executor) - begun_ms;
    assert_in_range(took_ms, 5000, 6000);
    e.mode = CALLS_WORK;
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "after\n"), 0);
    assert_stored(&e, "before\nafter\n");
    elsewhere_end(&e);
}

/* The topic goes while a write waits for its leader, or for an answer: ESTALE at once. */
static void a_deleted_topic_is_not_waited_for(void **state)
{
    struct elsewhere e;
    struct writing writing;
    static const enum calls_mode modes[] = {CALLS_REFUSED, CALLS_HANG, CALLS_LOSE_ANSWERS};
    elsewhere_start(&e, *state, "timeo=5");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        fixture_topic(*state, "orders", 1);
        write_start(&e, &writing, "lost\n");
        e.mode = modes[i];
        simulated_executor_run_for(e.far->executor, 1000);
        assert_int_equal(writing.request->answers, 0);
        assert_int_equal(kernel_rmdir(&e.kernel, "orders"), 0);
        simulated_executor_run_for(e.far->executor, 10);
        assert_int_equal(writing.request->answers, 1);
        assert_int_equal(write_end(&e, &writing), ESTALE);
        e.mode = CALLS_WORK;
    }
    elsewhere_end(&e);
}

/* The mount ends while a leader hangs: the writer is let go at once. */
static void the_mount_ends_while_a_leader_hangs(void **state)
{
    struct elsewhere e;
    struct writing writing;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    write_start(&e, &writing, "lost\n");
    e.mode = CALLS_HANG;
    simulated_executor_run_for(e.far->executor, 100);
    kernel_forget(&e.kernel, writing.node);
    elsewhere_end(&e);
    assert_int_equal(writing.request->answers, 1);
    request_free(writing.request);
}

/* fsync asks the leader, and says when it cannot. */
static void fsync_asks_the_leader(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    struct fuse_file_info info;
    size_t count;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &node), 0);
    assert_int_equal(kernel_open(&e.kernel, node, O_WRONLY | O_APPEND, &info), 0);
    assert_int_equal(kernel_write(&e.kernel, node, &info, "tail", &count), 0);
    assert_int_equal(kernel_fsync(&e.kernel, node, &info), 0);
    e.mode = CALLS_HANG;
    assert_int_equal(kernel_fsync(&e.kernel, node, &info), EIO);
    e.mode = CALLS_WORK;
    kernel_release(&e.kernel, node, &info);
    kernel_forget(&e.kernel, node);
    assert_stored(&e, "tail\n");
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_line_arrives),
        WITH_BROKER(a_lost_answer_stores_nothing_twice),
        WITH_BROKER(a_write_waits_for_a_connection),
        WITH_BROKER(a_leader_that_hangs_is_waited_for_so_long),
        WITH_BROKER(a_deleted_topic_is_not_waited_for),
        WITH_BROKER(the_mount_ends_while_a_leader_hangs),
        WITH_BROKER(fsync_asks_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
