/* SPDX-License-Identifier: Apache-2.0 */
/* Groups whose coordinator is another node: read, written, made and deleted, whatever becomes of
 * the calls. */
#include "elsewhere_fixture.h"
#include "group/group.h"
#include "wire/api_delete_groups.h"
#include "wire/api_offset_commit.h"

#include <cmocka.h>
#include <fcntl.h>

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

/* A topic of ten records and a group at 2. */
static void begin(struct elsewhere *e, void *broker)
{
    fixture_topic(broker, "__consumer_offsets", 3);
    fixture_topic(broker, "orders", 1);
    fixture_append(broker, "orders", 0, 10, -1);
    elsewhere_start(e, broker, "timeo=5");
    assert_int_equal(kernel_mkdir_in(&e->kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_create(&e->kernel, ".groups/billing/orders", "0", "2\n"), 0);
}

static void assert_offset(struct elsewhere *e, const char *expected)
{
    assert_int_equal(kernel_cat(&e->kernel, ".groups/billing/orders/0", text, sizeof text), 0);
    assert_string_equal(text, expected);
}

static int set(struct elsewhere *e, const char *value)
{
    return kernel_append(&e->kernel, ".groups/billing/orders/0", value);
}

/* Every word for a place, resolved by the partition's leader and committed at the coordinator. */
static void a_group_elsewhere_is_read_and_written(void **state)
{
    struct elsewhere e;
    static const struct {
        const char *word;
        const char *offset;
    } places[] = {{"start\n", "0\n"}, {"end\n", "10\n"}, {"-4\n", "6\n"}, {"+1\n", "7\n"},
                  {"+9\n", "10\n"},   {"-99\n", "0\n"},  {"@0\n", "0\n"}, {"5\n", "5\n"}};
    begin(&e, *state);
    assert_offset(&e, "2\n");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        assert_int_equal(set(&e, places[i].word), 0);
        assert_offset(&e, places[i].offset);
    }
    assert_int_equal(set(&e, "11\n"), ERANGE);
    assert_int_equal(set(&e, "soon\n"), EINVAL);
    assert_offset(&e, "5\n");
    assert_int_equal(kernel_cat(&e.kernel, ".groups/billing/.state", text, sizeof text), 0);
    assert_non_null(strstr(text, "\nEmpty\t\t\t1\t0\n"));
    assert_int_equal(kernel_list(&e.kernel, ".groups/billing/orders", text, sizeof text), 0);
    assert_non_null(strstr(text, " 0 "));
    assert_true(e.calls > 0);
    elsewhere_end(&e);
}

/* A step whose answer is lost is taken once: the number goes again, not the step. */
static void a_lost_answer_takes_no_step_twice(void **state)
{
    struct elsewhere e;
    begin(&e, *state);
    e.losing = API_OFFSET_COMMIT;
    e.lose_count = 3;
    assert_int_equal(set(&e, "+1\n"), 0);
    assert_int_equal(e.lose_count, 0);
    assert_offset(&e, "3\n");
    elsewhere_end(&e);
}

/* Made by mkdir it is there, also for others; twice is once too often. */
static void a_group_is_made_and_deleted(void **state)
{
    struct elsewhere e;
    struct group_view view;
    begin(&e, *state);
    e.losing = API_OFFSET_COMMIT;
    e.lose_count = 1;
    assert_int_equal(kernel_mkdir_in(&e.kernel, ".groups", "made"), 0);
    assert_int_equal(group_describe(e.far->broker.groups, slice_of("made"), &view), ERROR_NONE);
    assert_int_equal(kernel_mkdir_in(&e.kernel, ".groups", "made"), EEXIST);
    assert_int_equal(kernel_mkdir_in(&e.kernel, ".groups", "%~empty"), EINVAL);
    assert_int_equal(kernel_rmdir_in(&e.kernel, ".groups", "made"), 0);
    assert_int_equal(kernel_rmdir_in(&e.kernel, ".groups", "made"), ENOENT);
    assert_int_equal(group_describe(e.far->broker.groups, slice_of("made"), &view),
                     ERROR_GROUP_ID_NOT_FOUND);
    elsewhere_end(&e);
}

/* A deletion whose answer is lost finds no group when it is tried again: that is what was asked. */
static void a_lost_answer_is_no_missing_group(void **state)
{
    struct elsewhere e;
    begin(&e, *state);
    e.losing = API_DELETE_GROUPS;
    e.lose_count = 1;
    assert_int_equal(kernel_rmdir_in(&e.kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_rmdir_in(&e.kernel, ".groups", "billing"), ENOENT);
    elsewhere_end(&e);
}

/* A coordinator that cannot be reached is waited for so long, and one that comes back is found. */
static void a_coordinator_is_waited_for(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    struct fuse_file_info info;
    begin(&e, *state);
    assert_int_equal(kernel_path(&e.kernel, ".groups/billing/orders/0", &node), 0);
    assert_int_equal(kernel_open(&e.kernel, node, O_WRONLY, &info), 0);
    e.mode = CALLS_REFUSED;
    int64_t begun_ms = executor_monotonic_ms(e.far->broker.executor);
    size_t count;
    assert_int_equal(kernel_write(&e.kernel, node, &info, "end\n", &count), ETIMEDOUT);
    assert_in_range(executor_monotonic_ms(e.far->broker.executor) - begun_ms, 5000, 6000);
    struct fuse_req *request = request_new(&e.kernel);
    e.kernel.ops.write(request, node, "7\n", 2, 0, &info);
    simulated_executor_run_for(e.far->executor, 3000);
    assert_int_equal(request->answers, 0);
    e.mode = CALLS_WORK;
    assert_int_equal(request_finish(request), 0);
    request_free(request);
    kernel_release(&e.kernel, node, &info);
    kernel_forget(&e.kernel, node);
    assert_offset(&e, "7\n");
    elsewhere_end(&e);
}

/* Whoever waits for a coordinator that hangs may be killed. */
static void a_wait_is_interrupted(void **state)
{
    struct elsewhere e;
    fuse_ino_t groups;
    begin(&e, *state);
    assert_int_equal(kernel_path(&e.kernel, ".groups", &groups), 0);
    e.mode = CALLS_HANG;
    struct fuse_req *request = request_new(&e.kernel);
    e.kernel.ops.lookup(request, groups, "billing");
    simulated_executor_run_for(e.far->executor, 100);
    assert_int_equal(request->answers, 0);
    request->interrupted(request, request->context);
    assert_int_equal(request_finish(request), EINTR);
    request_free(request);
    kernel_forget(&e.kernel, groups);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_group_elsewhere_is_read_and_written),
        WITH_BROKER(a_lost_answer_takes_no_step_twice),
        WITH_BROKER(a_group_is_made_and_deleted),
        WITH_BROKER(a_lost_answer_is_no_missing_group),
        WITH_BROKER(a_coordinator_is_waited_for),
        WITH_BROKER(a_wait_is_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
