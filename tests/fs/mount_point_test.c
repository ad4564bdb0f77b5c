/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/self/mountinfo says about a path. */
#include "fs/mount_point.h"

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

static const char mountinfo[] = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
                                "40 22 0:39 / /mnt/kafka rw,nosuid,nodev shared:7 master:2 - "
                                "fuse.topicfs topicfs rw,user_id=0\n"
                                "41 22 0:40 / /mnt/other rw - fuse.sshfs host: rw\n"
                                "42 22 0:41 / /mnt/with\\040blank rw - fuse.topicfs topicfs rw\n"
                                "43 22 0:42 / /mnt/twice rw - fuse.topicfs topicfs rw\n"
                                "44 43 0:43 / /mnt/twice rw - tmpfs tmpfs rw\n";

/* The last mount on a path is the one that is seen there. */
static void the_topmost_mount_is_found(void **state)
{
    (void)state;
    struct mount_point found = mount_point_parse(mountinfo, "/mnt/kafka");
    assert_true(found.is_mounted);
    assert_true(found.is_ours);
    found = mount_point_parse(mountinfo, "/mnt/other");
    assert_true(found.is_mounted);
    assert_false(found.is_ours);
    found = mount_point_parse(mountinfo, "/mnt/with blank");
    assert_true(found.is_ours);
    found = mount_point_parse(mountinfo, "/mnt/twice");
    assert_true(found.is_mounted);
    assert_false(found.is_ours);
    assert_false(mount_point_parse(mountinfo, "/mnt/kafka2").is_mounted);
    assert_false(mount_point_parse(mountinfo, "/mnt").is_mounted);
    assert_false(mount_point_parse("", "/mnt").is_mounted);
}

/* Lines that are cut off or odd are passed over. */
static void odd_lines_are_no_mounts(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "22",   "22 1 254:0 / /mnt/kafka",       "22 1 254:0 / /mnt/kafka rw -",
        "\n\n", "22 1 254:0 / /mnt/kafka rw - ", "22 1 0:1 / /mnt\\04"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_false(mount_point_parse(odd[i], "/mnt/kafka").is_mounted);
}

/* Only an empty directory will do. */
static void a_directory_that_is_not_empty_is_refused(void **state)
{
    (void)state;
    char directory[] = "/tmp/topicfs-mount-point-XXXXXX", path[64], found[256];
    struct failure failure = {0};
    assert_non_null(mkdtemp(directory));
    assert_int_equal(mount_point_prepare(directory, found, sizeof found, &failure), ERROR_NONE);
    assert_string_equal(found, directory);

    (void)snprintf(path, sizeof path, "%s/file", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(mount_point_prepare(directory, found, sizeof found, &failure), ERROR_EXISTS);
    assert_non_null(strstr(failure.where, "not empty"));
    assert_int_equal(mount_point_prepare(path, found, sizeof found, NULL), ERROR_NOT_FOUND);
    (void)unlink(path);
    (void)rmdir(directory);
    assert_int_equal(mount_point_prepare(directory, found, sizeof found, NULL), ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_topmost_mount_is_found),
        cmocka_unit_test(odd_lines_are_no_mounts),
        cmocka_unit_test(a_directory_that_is_not_empty_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
