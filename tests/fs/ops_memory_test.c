/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's operations when memory runs out: the Nth allocation is refused, for every N. Each
 * answers an error, once, leaves nothing behind, and does its work when tried again. */
#include "base/memory.h"
#include "elsewhere_fixture.h"

#include <cmocka.h>
#include <fcntl.h>

enum { ALLOCATIONS_MAX = 2000, TEXT_BYTES = 1 << 16, OTHER_NODE = 2 };

/* Something a program does; gives 0 or an errno, and may be repeated. */
typedef int (*deed)(struct kernel *kernel);

static char text[TEXT_BYTES];

static int make_topic(struct kernel *kernel)
{
    int error = kernel_mkdir(kernel, "made");
    if (error == EEXIST) /* By the try whose answer got no memory. */
        error = 0;
    if (error != 0)
        return error;
    return kernel_rmdir(kernel, "made");
}

static int add_partition(struct kernel *kernel)
{
    fuse_ino_t topic;
    char name[16];
    int error = kernel_path(kernel, "grows", &topic);
    if (error != 0)
        return error;
    const struct catalog_topic *grows =
        catalog_topic_find(kernel->tree.broker->catalog, slice_of("grows"));
    (void)snprintf(name, sizeof name, "%u", grows->partition_count);
    struct fuse_req *request = request_new(kernel);
    struct fuse_file_info info = {.flags = O_WRONLY | O_CREAT};
    kernel->ops.create(request, topic, name, 0666, &info);
    error = request_finish(request);
    if (error == 0) {
        kernel_release(kernel, request->entry.ino, &request->info);
        kernel_forget(kernel, request->entry.ino);
    }
    request_free(request);
    kernel_forget(kernel, topic);
    return error;
}

static int append_lines(struct kernel *kernel)
{
    return kernel_append(kernel, "orders/0", "one\ntwo\nthree\n");
}

static int append_tail_and_sync(struct kernel *kernel)
{
    fuse_ino_t node;
    struct fuse_file_info info;
    size_t count;
    int error = kernel_path(kernel, "orders/0", &node);
    if (error != 0)
        return error;
    error = kernel_open(kernel, node, O_WRONLY | O_APPEND, &info);
    if (error == 0) {
        error = kernel_write(kernel, node, &info, "a line\nand its tail", &count);
        if (error == 0)
            error = kernel_fsync(kernel, node, &info);
        kernel_release(kernel, node, &info);
    }
    kernel_forget(kernel, node);
    return error;
}

static int read_records(struct kernel *kernel)
{
    return kernel_cat(kernel, "orders/0", text, sizeof text);
}

static int read_view(struct kernel *kernel)
{
    return kernel_cat(kernel, "orders/0@-2", text, sizeof text);
}

static int read_small_files(struct kernel *kernel)
{
    static const char *const paths[] = {".health",
                                        ".help",
                                        ".errors",
                                        ".config",
                                        ".cluster/id",
                                        ".cluster/quorum",
                                        ".cluster/features",
                                        ".brokers/1/state",
                                        "orders/.info",
                                        "orders/.config/retention.ms",
                                        "orders/.config/partitions",
                                        ".groups/billing/.lag",
                                        ".groups/billing/.state",
                                        ".groups/billing/.members",
                                        ".groups/billing/.coordinator",
                                        ".groups/billing/.protocol",
                                        ".groups/billing/orders/0"};
    int error = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && error == 0; i++)
        error = kernel_cat(kernel, paths[i], text, sizeof text);
    return error;
}

static int list_directories(struct kernel *kernel)
{
    static const char *const paths[] = {"",         "orders",          "orders/.config",
                                        ".groups",  ".groups/billing", ".groups/billing/orders",
                                        ".brokers", ".cluster"};
    int error = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && error == 0; i++)
        error = kernel_list(kernel, paths[i], text, sizeof text);
    return error;
}

static int look_at_attributes(struct kernel *kernel)
{
    fuse_ino_t node;
    int error = kernel_path(kernel, "orders/0", &node);
    if (error != 0)
        return error;
    struct fuse_req *request = request_new(kernel);
    kernel->ops.getattr(request, node, NULL);
    error = request_finish(request);
    request_free(request);
    if (error == 0) {
        request = request_new(kernel);
        kernel->ops.getxattr(request, node, "user.kafka.hwm", 100);
        error = request_finish(request);
        request_free(request);
    }
    kernel_forget(kernel, node);
    return error;
}

/* Writes one value into a small file. */
static int store(struct kernel *kernel, const char *path, const char *value)
{
    return kernel_append(kernel, path, value);
}

static int alter_config(struct kernel *kernel)
{
    int error = store(kernel, "orders/.config/retention.ms", "1000\n");
    return error != 0 ? error : store(kernel, "orders/.config/retention.ms", "default\n");
}

static int commit_offset(struct kernel *kernel)
{
    return store(kernel, ".groups/billing/orders/0", "end\n");
}

static int step_offset(struct kernel *kernel)
{
    return store(kernel, ".groups/billing/orders/0", "-1\n");
}

static int make_and_delete_group(struct kernel *kernel)
{
    int error = kernel_mkdir_in(kernel, ".groups", "made");
    if (error == EEXIST) /* By the try whose answer got no memory. */
        error = 0;
    if (error != 0)
        return error;
    error = kernel_rmdir_in(kernel, ".groups", "made");
    return error == ENOENT ? 0 : error;
}

static int be_refused(struct kernel *kernel)
{
    int error = store(kernel, "orders/.config/retention.ms", "soon\n");
    return error == EINVAL ? 0 : error;
}

/* Errors that say that memory is short, or that what was asked may or may not have been done. */
static bool is_honest(int error)
{
    return error == ENOMEM || error == EIO || error == ETIMEDOUT;
}

static void sweep(struct kernel *kernel, deed act, size_t number)
{
    for (long at = 0;; at++) {
        assert_true(at < ALLOCATIONS_MAX);
        memory_fault_arm(at);
        int error = act(kernel);
        bool fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        if (!fired) {
            assert_int_equal(error, 0);
            return;
        }
        if (error != 0 && !is_honest(error))
            fail_msg("deed %zu, allocation %ld refused: errno %d", number, at, error);
        error = act(kernel);
        if (error != 0)
            fail_msg("deed %zu, allocation %ld refused: errno %d afterwards", number, at, error);
        assert_int_equal(kernel->tree.open_file_count, 0);
        assert_int_equal(kernel->tree.inodes.count, 1);
        assert_true(list_empty(&kernel->tree.parked));
    }
}

/* A group with an offset. */
static void make_group(struct kernel *kernel)
{
    assert_int_equal(kernel_mkdir_in(kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_create(kernel, ".groups/billing/orders", "0", "end\n"), 0);
}

/* One topic with two records, and the mount. */
static void begin(struct kernel *kernel, struct broker_fixture *f)
{
    fixture_topic(f, "orders", 1);
    fixture_topic(f, "grows", 1);
    kernel_mount(kernel, f, "timeo=1");
    assert_int_equal(kernel_append(kernel, "orders/0", "first\nsecond\n"), 0);
}

static void operations_survive_refused_memory(void **state)
{
    struct kernel kernel;
    static const deed deeds[] = {make_topic,
                                 add_partition,
                                 append_lines,
                                 read_records,
                                 append_tail_and_sync,
                                 read_view,
                                 read_small_files,
                                 list_directories,
                                 look_at_attributes,
                                 alter_config,
                                 commit_offset,
                                 step_offset,
                                 make_and_delete_group,
                                 be_refused};
    begin(&kernel, *state);
    make_group(&kernel);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        sweep(&kernel, deeds[i], i);
    kernel_umount(&kernel);
}

/* In a cluster batches are numbered and wait in a lane. */
static void writes_in_a_cluster_survive_refused_memory(void **state)
{
    struct kernel kernel;
    static const deed deeds[] = {append_lines, append_tail_and_sync, read_records};
    struct broker_fixture *f = *state;
    fixture_add_node(f, OTHER_NODE);
    begin(&kernel, f);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        sweep(&kernel, deeds[i], i);
    kernel_umount(&kernel);
}

/* Leaders and coordinators are another node: everything is asked of it. */
static void operations_elsewhere_survive_refused_memory(void **state)
{
    struct elsewhere e;
    static const deed deeds[] = {append_lines,      append_tail_and_sync, read_records,
                                 read_view,         read_small_files,     list_directories,
                                 commit_offset,     step_offset,          make_and_delete_group,
                                 look_at_attributes};
    fixture_topic(*state, "__consumer_offsets", 3);
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    elsewhere_start(&e, *state, "timeo=1");
    make_group(&e.kernel);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        sweep(&e.kernel, deeds[i], i);
    assert_true(e.calls > 0);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(operations_survive_refused_memory),
        WITH_BROKER(writes_in_a_cluster_survive_refused_memory),
        WITH_BROKER(operations_elsewhere_survive_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
