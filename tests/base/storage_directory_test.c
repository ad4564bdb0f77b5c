/* SPDX-License-Identifier: Apache-2.0 */
/* The real storage on a directory of its own: contract, errors, a full disk. */
#include "base/memory.h"
#include "base/storage.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/topicfs-storage-XXXXXX";
static struct storage *storage;

static int set_up(void **state)
{
    (void)state;
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(root));
    assert_int_equal(storage_directory_open(root, &storage), ERROR_NONE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct storage *parent;
    storage_directory_close(storage);
    assert_int_equal(storage_directory_open("/tmp", &parent), ERROR_NONE);
    assert_int_equal(storage_remove(parent, root + strlen("/tmp/")), ERROR_NONE);
    storage_directory_close(parent);
    return 0;
}

static struct storage_file *open_file(const char *path)
{
    struct storage_file *file;
    assert_int_equal(storage_open(storage, path, STORAGE_WRITE | STORAGE_CREATE, &file),
                     ERROR_NONE);
    return file;
}

/* What is written at a position is read back there; a gap is zeros; the end is short. */
static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct storage_file *file = open_file("a");
    assert_int_equal(storage_write(file, 3, "xyz", 3), ERROR_NONE);
    assert_int_equal(storage_sync(file), ERROR_NONE);

    char bytes[10];
    size_t size;
    assert_int_equal(storage_read(file, 0, bytes, sizeof bytes, &size), ERROR_NONE);
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "\0\0\0xyz", 6);
    assert_int_equal(storage_read(file, 6, bytes, sizeof bytes, &size), ERROR_NONE);
    assert_int_equal(size, 0);

    assert_int_equal(storage_truncate(file, 4), ERROR_NONE);
    uint64_t file_size;
    assert_int_equal(storage_size(file, &file_size), ERROR_NONE);
    assert_int_equal(file_size, 4);
    storage_close(file);
}

/* The descriptor is the file's, closes on exec, and the file is nobody else's to read. */
static void the_descriptor_closes_on_exec_and_the_file_is_private(void **state)
{
    (void)state;
    struct storage_file *file = open_file("a");
    struct stat status;
    int descriptor = storage_descriptor(file);
    assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fstat(descriptor, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    storage_close(file);
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
}

/* The flags mean what open(2) says, and errors are the seam's. */
static void opening_tells_what_is_wrong(void **state)
{
    (void)state;
    struct storage_file *file;
    assert_int_equal(storage_open(storage, "no", STORAGE_READ, &file), ERROR_NOT_FOUND);
    assert_int_equal(storage_open(storage, "no/a", STORAGE_WRITE | STORAGE_CREATE, &file),
                     ERROR_NOT_FOUND);
    file = open_file("a");
    assert_int_equal(storage_write(file, 0, "x", 1), ERROR_NONE);
    storage_close(file);
    unsigned exclusive = STORAGE_WRITE | STORAGE_CREATE | STORAGE_EXCLUSIVE;
    assert_int_equal(storage_open(storage, "a", exclusive, &file), ERROR_EXISTS);
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    assert_int_equal(storage_open(storage, "d", STORAGE_READ, &file), ERROR_STORAGE);

    assert_int_equal(storage_open(storage, "a", STORAGE_READ, &file), ERROR_NONE);
    assert_int_equal(storage_write(file, 0, "y", 1), ERROR_STORAGE);
    storage_close(file);

    assert_int_equal(storage_open(storage, "a", STORAGE_WRITE | STORAGE_TRUNCATE, &file),
                     ERROR_NONE);
    uint64_t size;
    assert_int_equal(storage_size(file, &size), ERROR_NONE);
    assert_int_equal(size, 0);
    storage_close(file);
}

/* A FIFO somebody left in the data directory is refused, not waited for. */
static void a_fifo_is_refused_at_once(void **state)
{
    (void)state;
    char path[sizeof root + 8];
    (void)snprintf(path, sizeof path, "%s/fifo", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct storage_file *file;
    assert_int_equal(storage_open(storage, "fifo", STORAGE_READ, &file), ERROR_STORAGE);
}

static void names_add(void *context, const struct storage_entry *entry)
{
    char *names = context;
    size_t used = strlen(names);
    (void)snprintf(names + used, 100 - used, "%s%s ", entry->name, entry->is_directory ? "/" : "");
}

/* Directories: one level made, listed without the dots, moved over, removed with all below. */
static void directories_are_made_listed_moved_and_removed(void **state)
{
    (void)state;
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_EXISTS);
    assert_int_equal(storage_make_directory(storage, "x/y"), ERROR_NOT_FOUND);
    assert_int_equal(storage_make_directory(storage, "d/e"), ERROR_NONE);
    storage_close(open_file("d/e/f"));
    assert_int_equal(storage_sync_directory(storage, "d/e"), ERROR_NONE);
    assert_int_equal(storage_sync_directory(storage, ""), ERROR_NONE);
    assert_int_equal(storage_sync_directory(storage, "no"), ERROR_NOT_FOUND);

    char names[100] = "";
    assert_int_equal(storage_list(storage, "d", names_add, names), ERROR_NONE);
    assert_string_equal(names, "e/ ");
    names[0] = '\0';
    assert_int_equal(storage_list(storage, "d/e", names_add, names), ERROR_NONE);
    assert_string_equal(names, "f ");
    assert_int_equal(storage_list(storage, "no", names_add, names), ERROR_NOT_FOUND);

    assert_int_equal(storage_make_directory(storage, "g"), ERROR_NONE);
    assert_int_equal(storage_rename(storage, "g", "d"), ERROR_EXISTS);
    assert_int_equal(storage_rename(storage, "d", "g"), ERROR_NONE);
    assert_int_equal(storage_remove(storage, "g"), ERROR_NONE);
    assert_int_equal(storage_remove(storage, "g"), ERROR_NOT_FOUND);
    names[0] = '\0';
    assert_int_equal(storage_list(storage, "", names_add, names), ERROR_NONE);
    assert_string_equal(names, "");
}

/* A removal does not follow a link out of the directory. */
static void removing_a_link_leaves_what_it_points_to(void **state)
{
    (void)state;
    char path[sizeof root + 8];
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    assert_int_equal(storage_make_directory(storage, "e"), ERROR_NONE);
    storage_close(open_file("e/f"));
    (void)snprintf(path, sizeof path, "%s/d/l", root);
    assert_int_equal(symlink("../e", path), 0);

    assert_int_equal(storage_remove(storage, "d"), ERROR_NONE);

    struct storage_file *file;
    assert_int_equal(storage_open(storage, "e/f", STORAGE_READ, &file), ERROR_NONE);
    storage_close(file);
}

/* Thousands of names go too, though the directory shrinks while it is read. */
static void a_large_directory_is_removed_whole(void **state)
{
    (void)state;
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    for (int i = 0; i < 3000; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "d/%d", i);
        storage_close(open_file(path));
    }
    assert_int_equal(storage_remove(storage, "d"), ERROR_NONE);
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
}

/* An open file outlives its name (unlink(2)): readers of a deleted segment finish. */
static void an_open_file_is_readable_after_its_removal(void **state)
{
    (void)state;
    struct storage_file *file = open_file("a");
    assert_int_equal(storage_write(file, 0, "abc", 3), ERROR_NONE);
    assert_int_equal(storage_remove(storage, "a"), ERROR_NONE);
    char bytes[3];
    size_t size;
    assert_int_equal(storage_read(file, 0, bytes, 3, &size), ERROR_NONE);
    assert_memory_equal(bytes, "abc", 3);
    storage_close(file);
}

/* Paths go through the held directory, wherever it has been moved. */
static void the_root_is_held_through_a_rename(void **state)
{
    (void)state;
    char moved[sizeof root + 8];
    (void)snprintf(moved, sizeof moved, "%s.moved", root);
    assert_int_equal(rename(root, moved), 0);
    storage_close(open_file("a"));
    assert_int_equal(rename(moved, root), 0);
    struct storage_file *file;
    assert_int_equal(storage_open(storage, "a", STORAGE_READ, &file), ERROR_NONE);
    storage_close(file);
}

/* A root that is not there is made with its parents, for its owner only; a file is no root. */
static void a_missing_root_is_made_private(void **state)
{
    (void)state;
    char path[sizeof root + 32];
    (void)snprintf(path, sizeof path, "%s/p/q//r/", root);
    struct storage *deep;
    assert_int_equal(storage_directory_open(path, &deep), ERROR_NONE);
    storage_directory_close(deep);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);

    storage_close(open_file("file"));
    (void)snprintf(path, sizeof path, "%s/file", root);
    assert_int_equal(storage_directory_open(path, &deep), ERROR_STORAGE);
    (void)snprintf(path, sizeof path, "%s/file/below", root);
    assert_int_equal(storage_directory_open(path, &deep), ERROR_STORAGE);
    storage_directory_close(NULL);
    storage_close(NULL);
}

/* Every refused allocation is said, and nothing is left open or half made. */
static void a_refused_allocation_is_reported(void **state)
{
    (void)state;
    for (long countdown = 0; countdown < 2; countdown++) {
        struct storage *other;
        memory_fault_arm(countdown);
        enum error error = storage_directory_open(root, &other);
        memory_fault_arm(-1);
        assert_int_equal(error, ERROR_OUT_OF_MEMORY);
    }
    struct storage_file *file;
    memory_fault_arm(0);
    enum error error = storage_open(storage, "a", STORAGE_WRITE | STORAGE_CREATE, &file);
    memory_fault_arm(-1);
    assert_int_equal(error, ERROR_OUT_OF_MEMORY);
    assert_int_equal(storage_remove(storage, "a"), ERROR_NOT_FOUND);
}

static void space_is_that_of_the_disk(void **state)
{
    (void)state;
    struct storage_space space;
    assert_int_equal(storage_space(storage, &space), ERROR_NONE);
    assert_true(space.total_bytes > 0);
    assert_true(space.free_bytes <= space.total_bytes);
}

/* Few files are not worth a sync of the whole disk; many are where its filesystem can be trusted
 * with it and others hold little back. */
static void all_files_are_synced_at_once_when_it_pays(void **state)
{
    (void)state;
    assert_false(storage_can_sync_all(storage, 2));
    struct storage_file *files[3];
    for (int i = 0; i < 3; i++) {
        char path[] = "a";
        path[0] = (char)('a' + i);
        files[i] = open_file(path);
        assert_int_equal(storage_write(files[i], 0, "xyz", 3), ERROR_NONE);
        assert_int_equal(storage_write_back(files[i], false), ERROR_NONE);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(storage_write_back(files[i], true), ERROR_NONE);
    if (storage_can_sync_all(storage, 100000))
        assert_int_equal(storage_sync_all(storage), ERROR_NONE);
    for (int i = 0; i < 3; i++)
        storage_close(files[i]);
}

/* Only ext2, 3 and 4 are known to do what it says. Root only. */
static void a_filesystem_that_cannot_be_trusted_is_not_synced_at_once(void **state)
{
    (void)state;
    if (mount("tmpfs", root, "tmpfs", 0, "size=64k") != 0) {
        assert_true(errno == EPERM || errno == EACCES);
        skip();
    }
    struct storage *memory;
    assert_int_equal(storage_directory_open(root, &memory), ERROR_NONE);
    assert_false(storage_can_sync_all(memory, 100000));
    storage_directory_close(memory);
    assert_int_equal(umount(root), 0);
}

/* A real full disk: the write says DISK_FULL, reads go on, removing makes room. Root only. */
static void a_full_disk_says_so(void **state)
{
    (void)state;
    if (mount("tmpfs", root, "tmpfs", 0, "size=64k") != 0) {
        assert_true(errno == EPERM || errno == EACCES);
        skip();
    }
    struct storage *small;
    assert_int_equal(storage_directory_open(root, &small), ERROR_NONE);
    struct storage_file *file;
    assert_int_equal(storage_open(small, "a", STORAGE_WRITE | STORAGE_CREATE, &file), ERROR_NONE);
    static char block[100 * 1024];
    memset(block, 'b', sizeof block);

    assert_int_equal(storage_write(file, 0, block, sizeof block), ERROR_DISK_FULL);
    struct storage_space space;
    assert_int_equal(storage_space(small, &space), ERROR_NONE);
    assert_int_equal(space.total_bytes, 64 * 1024);
    char bytes[10];
    size_t size;
    assert_int_equal(storage_read(file, 0, bytes, sizeof bytes, &size), ERROR_NONE);
    assert_memory_equal(bytes, "bbbbbbbbbb", 10);
    assert_int_equal(storage_truncate(file, 0), ERROR_NONE);
    assert_int_equal(storage_write(file, 0, block, 4096), ERROR_NONE);

    storage_close(file);
    storage_directory_close(small);
    assert_int_equal(umount(root), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read_back),
        CASE(the_descriptor_closes_on_exec_and_the_file_is_private),
        CASE(opening_tells_what_is_wrong),
        CASE(a_fifo_is_refused_at_once),
        CASE(directories_are_made_listed_moved_and_removed),
        CASE(removing_a_link_leaves_what_it_points_to),
        CASE(a_large_directory_is_removed_whole),
        CASE(an_open_file_is_readable_after_its_removal),
        CASE(the_root_is_held_through_a_rename),
        CASE(a_missing_root_is_made_private),
        CASE(a_refused_allocation_is_reported),
        CASE(space_is_that_of_the_disk),
        CASE(all_files_are_synced_at_once_when_it_pays),
        CASE(a_filesystem_that_cannot_be_trusted_is_not_synced_at_once),
        CASE(a_full_disk_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
