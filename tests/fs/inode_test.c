/* SPDX-License-Identifier: Apache-2.0 */
/* The inode table: one inode a thing, numbers that come back, references that free. */
#include "fs/inode.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>

static const struct inode_class directory_class = {.name = "directory", .mode = S_IFDIR | 0755};
static const struct inode_class file_class = {.name = "file", .mode = S_IFREG | 0644};

struct fixture {
    struct inode_table table;
    struct inode *root;
};

static int set_up(void **state)
{
    struct fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    assert_int_equal(inode_table_init(&f->table), ERROR_NONE);
    struct inode_key key = {&directory_class, NULL, NULL, -1, SLICE_EMPTY, NULL};
    f->root = inode_get(&f->table, &key);
    assert_non_null(f->root);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    inode_table_done(&f->table);
    memory_free(f);
    return 0;
}

static struct inode *get(struct fixture *f, struct inode *parent, const struct inode_class *class,
                         const struct uuid *id, const char *name)
{
    struct inode_key key = {class, parent, id, -1, slice_of(name), NULL};
    return inode_get(&f->table, &key);
}

/* A topic made again under its old name is another inode; the same one is found again. */
static void what_it_stands_for_decides_which_inode_it_is(void **state)
{
    struct fixture *f = *state;
    struct uuid first = {{1}}, second = {{2}};

    struct inode *a = get(f, f->root, &directory_class, &first, "orders");
    struct inode *b = get(f, f->root, &directory_class, &second, "orders");
    assert_ptr_not_equal(a, b);
    assert_int_not_equal(a->number, b->number);
    assert_ptr_equal(get(f, f->root, &directory_class, &first, "orders"), a);
    assert_int_equal(a->references, 2);
    assert_ptr_not_equal(get(f, f->root, &file_class, &first, "orders"), a);
    assert_int_equal(f->root->number, INODE_ROOT_NUMBER);
}

/* Forgotten and found again, it has the number it had: tail -F and backups rely on it. Its
 * generation is another: a file handle of the old one must not find what has its address now. */
static void a_number_is_the_same_in_the_next_life(void **state)
{
    struct fixture *f = *state;
    struct uuid id = {{7}};
    struct inode *topic = get(f, f->root, &directory_class, &id, "orders");
    struct inode *file = get(f, topic, &file_class, NULL, "0");
    uint64_t number = file->number;
    uint32_t generation = file->generation;
    assert_int_not_equal(generation, 0);
    f->table.generation = UINT32_MAX;
    assert_true(uuid_equals(&file->topic_id, &id));

    inode_unref(&f->table, topic, 1);
    assert_int_equal(f->table.count, 3);
    inode_unref(&f->table, file, 1);
    assert_int_equal(f->table.count, 1);

    topic = get(f, f->root, &directory_class, &id, "orders");
    file = get(f, topic, &file_class, NULL, "0");
    assert_int_equal(file->number, number);
    assert_int_not_equal(file->generation, generation);
    assert_int_not_equal(file->generation, 0);
    assert_int_not_equal(topic->generation, 0);
}

/* Ten thousand names: all found, no two numbers alike, all gone at the end. */
static void many_inodes_are_found_after_the_table_grew(void **state)
{
    struct fixture *f = *state;
    static struct inode *made[10000];
    char name[16];
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        made[i] = get(f, f->root, &file_class, NULL, name);
        assert_non_null(made[i]);
    }
    assert_true(f->table.bucket_count >= 8192);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_ptr_equal(get(f, f->root, &file_class, NULL, name), made[i]);
    }
    for (int i = 0; i < 10000; i++)
        inode_unref(&f->table, made[i], 2);
    assert_int_equal(f->table.count, 1);
    assert_int_equal(f->root->references, 1);
}

static void a_path_names_every_directory(void **state)
{
    struct fixture *f = *state;
    char path[64];
    struct inode *topic = get(f, f->root, &directory_class, NULL, "orders");
    struct inode *file = get(f, topic, &file_class, NULL, "0");
    assert_string_equal(inode_path(file, path, sizeof path), "orders/0");
    assert_string_equal(inode_path(f->root, path, sizeof path), "");
    assert_string_equal(inode_path(file, path, 5), "orde");
}

/* Nothing is half made when memory is refused. */
static void refused_memory_leaves_the_table_as_it_was(void **state)
{
    struct fixture *f = *state;
    for (long countdown = 0;; countdown++) {
        memory_fault_arm(countdown);
        struct inode *inode = get(f, f->root, &file_class, NULL, "0");
        int fired = memory_fault_fired();
        memory_fault_arm(-1);
        if (!fired) {
            assert_non_null(inode);
            return;
        }
        assert_null(inode);
        assert_int_equal(f->table.count, 1);
        assert_int_equal(f->root->references, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_it_stands_for_decides_which_inode_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_number_is_the_same_in_the_next_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_inodes_are_found_after_the_table_grew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_path_names_every_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_memory_leaves_the_table_as_it_was, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
