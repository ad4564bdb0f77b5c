/* SPDX-License-Identifier: Apache-2.0 */
/* The reserve on a small disk of its own. Needs root: skipped otherwise. */
#include "daemon/reserve.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/topicfs-reserve-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(root));
    (void)snprintf(path, sizeof path, "%s/topicfs.reserve", root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)umount(root);
    assert_int_equal(rmdir(root), 0);
    return 0;
}

static void disk_mount(const char *size)
{
    if (mount("tmpfs", root, "tmpfs", 0, size) == 0)
        return;
    assert_true(errno == EPERM || errno == EACCES);
    skip();
}

static int64_t size_of(const char *file)
{
    struct stat status;
    return stat(file, &status) == 0 ? status.st_size : -1;
}

/* Takes all that is left of the disk. */
static void fill(void)
{
    char other[64];
    (void)snprintf(other, sizeof other, "%s/other", root);
    int file = open(other, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(file >= 0);
    static char block[4096];
    while (write(file, block, sizeof block) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(close(file), 0);
}

/* Kept while there is room, lent on a full disk, once, and not taken back before there is room. */
static void the_reserve_is_lent_on_a_full_disk(void **state)
{
    (void)state;
    disk_mount("size=32m");
    reserve_keep(root);
    assert_int_equal(size_of(path), RESERVE_BYTES);
    assert_false(reserve_lend(root));
    assert_int_equal(size_of(path), RESERVE_BYTES);
    fill();
    assert_true(reserve_lend(root));
    assert_int_equal(size_of(path), 0);
    assert_false(reserve_lend(root));
    reserve_keep(root);
    assert_int_equal(size_of(path), 0);
    char other[64];
    (void)snprintf(other, sizeof other, "%s/other", root);
    assert_int_equal(unlink(other), 0);
    reserve_keep(root);
    assert_int_equal(size_of(path), RESERVE_BYTES);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_true((int64_t)status.st_blocks * 512 >= RESERVE_BYTES);
}

/* A small disk, or a full one, is left to the records. */
static void no_reserve_is_made_without_room(void **state)
{
    (void)state;
    disk_mount("size=4m");
    reserve_keep(root);
    assert_int_equal(size_of(path), -1);
    assert_false(reserve_lend(root));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_reserve_is_lent_on_a_full_disk),
        CASE(no_reserve_is_made_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
