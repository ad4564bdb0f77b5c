/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoint text read word by word. */
#include "log/checkpoint_file.h"
#include "log/fixture.h"

static enum error open_text(struct simulated_storage *disk, const char *text,
                            struct checkpoint_reader *ret_reader)
{
    struct storage *storage = simulated_storage_seam(disk);
    assert_int_equal(storage_write_whole(storage, "file", text, strlen(text)), ERROR_NONE);
    return checkpoint_open(storage, "file", 1000, ret_reader);
}

/* Words and numbers, in order, to the end. */
static void words_and_numbers_are_read(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct checkpoint_reader reader;
    assert_int_equal(open_text(disk, "0\n1\norders -3 9223372036854775807\n", &reader), ERROR_NONE);
    assert_int_equal(reader.count, 1);
    char word[8];
    int64_t number;
    assert_false(checkpoint_read_number(&reader, ' ', &number));
    assert_false(checkpoint_read_word(&reader, ' ', word, 6)); /* No room for the NUL. */
    assert_true(checkpoint_read_word(&reader, ' ', word, 7));
    assert_string_equal(word, "orders");
    assert_true(checkpoint_read_number(&reader, ' ', &number));
    assert_int_equal(number, -3);
    assert_false(checkpoint_read_end(&reader));
    assert_true(checkpoint_read_number(&reader, '\n', &number));
    assert_int_equal(number, INT64_MAX);
    assert_true(checkpoint_read_end(&reader));
    checkpoint_close(&reader);
    simulated_storage_free(disk);
}

/* Heads that no checkpoint has. */
static void other_heads_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",        "0",         "0\n",
                                        "0\n1",    "1\n0\n",    "x\n0\n",
                                        "0\n-1\n", "0\n5\nabc", "0\n9223372036854775808\n"};
    struct simulated_storage *disk = simulated_storage_new(1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct checkpoint_reader reader;
        assert_int_equal(open_text(disk, texts[i], &reader), ERROR_MALFORMED);
    }
    struct checkpoint_reader reader;
    assert_int_equal(checkpoint_open(simulated_storage_seam(disk), "absent", 10, &reader),
                     ERROR_NOT_FOUND);
    simulated_storage_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_numbers_are_read),
        cmocka_unit_test(other_heads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
