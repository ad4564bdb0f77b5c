/* SPDX-License-Identifier: Apache-2.0 */
/* read(2) of files elsewhere: every byte, over many answers, through what may become of calls. */
#include "elsewhere_fixture.h"

#include <cmocka.h>
#include <fcntl.h>

enum { TEXT_BYTES = 4 << 20 };

static char expected[TEXT_BYTES], text[TEXT_BYTES];

/* About 2 MiB in many writes, so in many batches and answers. */
static void fill(struct elsewhere *e)
{
    size_t used = 0;
    for (int i = 0; i < 40; i++) {
        size_t begun = used;
        for (int k = 0; k < 1000; k++)
            used += (size_t)snprintf(expected + used, sizeof expected - used,
                                     "a line of some length, number %d in write %d\n", k, i);
        assert_int_equal(kernel_append(&e->kernel, "orders/0", expected + begun), 0);
    }
}

/* All of it, in order. */
static void a_long_file_is_read_whole(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    fill(&e);
    assert_int_equal(kernel_cat(&e.kernel, "orders/0", text, sizeof text), 0);
    assert_string_equal(text, expected);
    elsewhere_end(&e);
}

/* Answers are lost for a while: the reader waits, and misses nothing. */
static void lost_answers_are_asked_for_again(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    struct fuse_file_info info;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "one\ntwo\n"), 0);
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &node), 0);
    assert_int_equal(kernel_open(&e.kernel, node, O_RDONLY, &info), 0);
    e.mode = CALLS_LOSE_ANSWERS;
    struct fuse_req *request = request_new(&e.kernel);
    e.kernel.ops.read(request, node, 4096, 0, &info);
    simulated_executor_run_for(e.far->executor, 2000);
    assert_int_equal(request->answers, 0);
    e.mode = CALLS_WORK;
    assert_int_equal(request_finish(request), 0);
    assert_string_equal(request->bytes, "one\ntwo\n");
    request_free(request);
    kernel_release(&e.kernel, node, &info);
    kernel_forget(&e.kernel, node);
    elsewhere_end(&e);
}

/* An interrupt ends a read at once, and after timeo it ends by itself. */
static void a_read_that_waits_is_let_go(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    struct fuse_file_info info;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "one\n"), 0);
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &node), 0);
    assert_int_equal(kernel_open(&e.kernel, node, O_RDONLY, &info), 0);
    e.mode = CALLS_HANG;
    struct fuse_req *request = request_new(&e.kernel);
    e.kernel.ops.read(request, node, 4096, 0, &info);
    simulated_executor_run_for(e.far->executor, 100);
    assert_non_null(request->interrupted);
    request->interrupted(request, request->context);
    assert_int_equal(request->answers, 1);
    assert_int_equal(request->error, EINTR);
    request_free(request);
    request = request_new(&e.kernel);
    e.kernel.ops.read(request, node, 4096, 0, &info);
    assert_int_equal(request_finish(request), ETIMEDOUT);
    request_free(request);
    e.mode = CALLS_WORK;
    kernel_release(&e.kernel, node, &info);
    kernel_forget(&e.kernel, node);
    elsewhere_end(&e);
}

/* A place in the middle, then another before it. */
static void places_are_read_in_any_order(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    struct fuse_file_info info;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    fill(&e);
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &node), 0);
    assert_int_equal(kernel_open(&e.kernel, node, O_RDONLY, &info), 0);
    static const off_t places[] = {1500000, 3, 900001, 900001 + 4096, 0};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct fuse_req *request = request_new(&e.kernel);
        e.kernel.ops.read(request, node, 4096, places[i], &info);
        assert_int_equal(request_finish(request), 0);
        assert_int_equal(request->count, 4096);
        assert_memory_equal(request->bytes, expected + places[i], 4096);
        request_free(request);
    }
    kernel_release(&e.kernel, node, &info);
    kernel_forget(&e.kernel, node);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_long_file_is_read_whole),
        WITH_BROKER(lost_answers_are_asked_for_again),
        WITH_BROKER(a_read_that_waits_is_let_go),
        WITH_BROKER(places_are_read_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
