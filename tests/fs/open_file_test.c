/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: counted for the mount and for each user, and given back. */
#include "base/memory.h"
#include "fs/kernel_fixture.h"

#include <cmocka.h>

enum { OPEN_MAX = 16, SOMEBODY = 65001, ANOTHER = 65002, FAULTS = 8 };

static struct tree *mount(struct broker_fixture *f, struct kernel *kernel)
{
    fixture_set(f, "topicfs.mount.open.files.max", "16");
    kernel_mount(kernel, f, "");
    assert_int_equal(kernel->tree.open_files_max, OPEN_MAX);
    kernel->tree.uid = 1000;
    return &kernel->tree;
}

/* Opens as many as are given; returns how many. */
static uint32_t open_all(struct tree *tree, uid_t uid, struct open_file **files)
{
    uint32_t count = 0;
    while (open_file_new(tree, tree->root, uid, &files[count]) == ERROR_NONE)
        count++;
    return count;
}

/* One user may have half, the node's own the rest, and all of it once the other has closed. */
static void a_user_has_half_of_them(void **state)
{
    struct kernel kernel;
    struct open_file *theirs[OPEN_MAX + 1], *ours[OPEN_MAX + 1], *more;
    struct tree *tree = mount(*state, &kernel);
    assert_int_equal(open_all(tree, SOMEBODY, theirs), OPEN_MAX / 2);
    assert_int_equal(open_file_new(tree, tree->root, ANOTHER, &more), ERROR_NONE);
    open_file_free(tree, more);
    assert_int_equal(open_all(tree, tree->uid, ours), OPEN_MAX / 2);
    assert_int_equal(open_file_new(tree, tree->root, 0, &more), ERROR_TOO_MANY_OPEN_FILES);
    for (int i = 0; i < OPEN_MAX / 2; i++) {
        open_file_free(tree, theirs[i]);
        open_file_free(tree, ours[i]);
    }
    assert_true(list_empty(&tree->file_owners));
    assert_int_equal(open_all(tree, 0, ours), OPEN_MAX);
    for (int i = 0; i < OPEN_MAX; i++)
        open_file_free(tree, ours[i]);
    open_file_free(tree, NULL);
    assert_int_equal(tree->open_file_count, 0);
    kernel_umount(&kernel);
}

/* Without memory nothing is open and nobody is counted. */
static void memory_that_runs_out_counts_nobody(void **state)
{
    struct kernel kernel;
    struct open_file *file;
    struct tree *tree = mount(*state, &kernel);
    for (long at = 0;; at++) {
        assert_true(at < FAULTS);
        memory_fault_arm(at);
        enum error error = open_file_new(tree, tree->root, SOMEBODY, &file);
        bool fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        if (!fired) {
            assert_int_equal(error, ERROR_NONE);
            break;
        }
        assert_int_equal(error, ERROR_OUT_OF_MEMORY);
        assert_int_equal(tree->open_file_count, 0);
        assert_true(list_empty(&tree->file_owners));
    }
    open_file_free(tree, file);
    kernel_umount(&kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_user_has_half_of_them),
        WITH_BROKER(memory_that_runs_out_counts_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
