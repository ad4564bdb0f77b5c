/* SPDX-License-Identifier: Apache-2.0 */
/* Files of partitions elsewhere, looked at: sizes, views, and what is asked of leaders for it. */
#include "elsewhere_fixture.h"

#include <cmocka.h>
#include <fcntl.h>

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

static off_t size_of(struct elsewhere *e, const char *path)
{
    fuse_ino_t node;
    assert_int_equal(kernel_path(&e->kernel, path, &node), 0);
    struct fuse_req *request = request_new(&e->kernel);
    e->kernel.ops.getattr(request, node, NULL);
    assert_int_equal(request_finish(request), 0);
    off_t size = request->attributes.st_size;
    request_free(request);
    kernel_forget(&e->kernel, node);
    return size;
}

/* What the leader stores is the file's size, and a stat soon after another asks nobody. */
static void sizes_are_the_leaders(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(size_of(&e, "orders/0"), 0);
    fixture_append(*state, "orders", 0, 3, -1);
    simulated_executor_run_for(e.far->executor, 1000);
    off_t size = size_of(&e, "orders/0");
    assert_true(size > 0);
    int calls = e.calls;
    assert_int_equal(size_of(&e, "orders/0"), size);
    assert_int_equal(e.calls, calls);
    simulated_executor_run_for(e.far->executor, 1000);
    assert_int_equal(size_of(&e, "orders/0"), size);
    assert_int_equal(e.calls, calls + 1);
    elsewhere_end(&e);
}

/* ls -l of many partitions is one question to a leader, not one each. */
static void many_partitions_are_one_question(void **state)
{
    struct elsewhere e;
    char path[32];
    fixture_topic(*state, "orders", 64);
    elsewhere_start(&e, *state, "timeo=5");
    for (int i = 0; i < 64; i++) {
        (void)snprintf(path, sizeof path, "orders/%d", i);
        assert_int_equal(size_of(&e, path), 0);
    }
    assert_int_equal(e.calls, 1);
    elsewhere_end(&e);
}

/* A leader that cannot be reached: ls goes on with what was known, opening waits and says so. */
static void without_a_leader_the_last_size_stands(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    elsewhere_start(&e, *state, "timeo=5");
    off_t size = size_of(&e, "orders/0");
    fuse_ino_t held;
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &held), 0);
    e.mode = CALLS_REFUSED;
    simulated_executor_run_for(e.far->executor, 1000);
    assert_int_equal(size_of(&e, "orders/0"), size);
    assert_int_equal(kernel_cat(&e.kernel, "orders/0", text, sizeof text), ETIMEDOUT);
    e.mode = CALLS_WORK;
    assert_int_equal(kernel_cat(&e.kernel, "orders/0", text, sizeof text), 0);
    assert_int_equal(strlen(text), size);
    kernel_forget(&e.kernel, held);
    elsewhere_end(&e);
}

/* Views begin and end where the leader finds their places. */
static void views_are_found_by_the_leader(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_append(&e.kernel, "orders/0", "a\nbb\nccc\ndddd\n"), 0);
    static const struct {
        const char *path;
        const char *text;
    } views[] = {{"orders/0@1", "bb\nccc\ndddd\n"},
                 {"orders/0@1:3", "bb\nccc\n"},
                 {"orders/0@-1", "dddd\n"},
                 {"orders/0@end", ""},
                 {"orders/0@start", "a\nbb\nccc\ndddd\n"},
                 {"orders/0@99", ""}};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        assert_int_equal(kernel_cat(&e.kernel, views[i].path, text, sizeof text), 0);
        assert_string_equal(text, views[i].text);
        assert_int_equal(size_of(&e, views[i].path), strlen(views[i].text));
    }
    elsewhere_end(&e);
}

/* A topic that goes takes what was known of it away. */
static void a_deleted_topic_is_forgotten(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", 1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(size_of(&e, "orders/0"), 0);
    assert_false(list_empty(&e.kernel.tree.remotes.topics));
    assert_int_equal(kernel_rmdir(&e.kernel, "orders"), 0);
    assert_true(list_empty(&e.kernel.tree.remotes.topics));
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(sizes_are_the_leaders),
        WITH_BROKER(many_partitions_are_one_question),
        WITH_BROKER(without_a_leader_the_last_size_stands),
        WITH_BROKER(views_are_found_by_the_leader),
        WITH_BROKER(a_deleted_topic_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
