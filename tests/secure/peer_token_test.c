/* SPDX-License-Identifier: Apache-2.0 */
/* Which token files are taken, and the one line about each other. */
#include "secure/peer_token.h"

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/topicfs-token-XXXXXX");
    int descriptor = mkstemp(path);
    return descriptor < 0 || close(descriptor) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void fill(const void *bytes, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_TRUNC);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, size), size);
    assert_int_equal(close(descriptor), 0);
}

static void expect_refused(const char *why)
{
    struct peer_token token = {.size = 7};
    struct failure failure = {0};
    assert_int_equal(peer_token_read(path, &token, &failure), ERROR_INVALID_CONFIG);
    assert_non_null(strstr(failure.where, path));
    assert_non_null(strstr(failure.where, why));
    assert_int_equal(token.size, 7);
}

/* What echo writes ends with a new line, which is not part of the token. */
static void white_space_at_the_end_is_not_part_of_the_token(void **state)
{
    (void)state;
    struct peer_token token;
    fill("sixteen bytes in \n", 18);
    assert_int_equal(peer_token_read(path, &token, NULL), ERROR_NONE);
    assert_int_equal(token.size, 16);
    assert_memory_equal(token.bytes, "sixteen bytes in", 16);
    peer_token_done(&token);
    assert_int_equal(token.size, 0);
    assert_int_equal(token.bytes[0], 0);
}

/* Any bytes may be in it, zeros too. */
static void binary_tokens_are_whole(void **state)
{
    (void)state;
    uint8_t bytes[PEER_TOKEN_BYTES_MAX];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    bytes[sizeof bytes - 1] = 'x';
    fill(bytes, sizeof bytes);
    struct peer_token token;
    assert_int_equal(peer_token_read(path, &token, NULL), ERROR_NONE);
    assert_int_equal(token.size, sizeof bytes);
    assert_memory_equal(token.bytes, bytes, sizeof bytes);
}

/* Fifteen bytes, and fifteen with a lot of new lines, are too few; the most and one too many. */
static void lengths_out_of_bounds_are_refused(void **state)
{
    (void)state;
    fill("fifteen bytes..\n\n\n\n\n\n", 21);
    expect_refused("fewer than 16");
    fill("", 0);
    expect_refused("fewer than 16");
    char bytes[PEER_TOKEN_BYTES_MAX + 1];
    memset(bytes, 'x', sizeof bytes);
    fill(bytes, sizeof bytes);
    expect_refused("more than 4096");
}

/* A secret that every user of the machine can read is none. */
static void a_file_open_to_others_is_refused(void **state)
{
    (void)state;
    fill("0123456789abcdef", 16);
    assert_int_equal(chmod(path, 0604), 0);
    expect_refused("chmod 600");
    assert_int_equal(chmod(path, 0640), 0);
    struct peer_token token;
    assert_int_equal(peer_token_read(path, &token, NULL), ERROR_NONE);
}

/* Neither a directory, nor a named pipe that nobody writes to, nor nothing at all. */
static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(unlink(path), 0);
    expect_refused("No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused("is not a file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused("is not a file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(make_path(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_at_the_end_is_not_part_of_the_token),
        cmocka_unit_test(binary_tokens_are_whole),
        cmocka_unit_test(lengths_out_of_bounds_are_refused),
        cmocka_unit_test(a_file_open_to_others_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
