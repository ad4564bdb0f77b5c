/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and their text, against Kafka's Uuid. */
#include "base/uuid.h"
#include "sim/simulated_executor.h"

#include <cmocka.h>

/* Known pairs: java.util.Base64.getUrlEncoder().withoutPadding() of the 16 bytes. */
static void text_is_base64url_without_padding(void **state)
{
    (void)state;
    char text[UUID_TEXT_BYTES];
    struct uuid uuid = UUID_ZERO;
    uuid_to_text(&uuid, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    uuid.bytes[15] = 1; /* Kafka's METADATA_TOPIC_ID. */
    uuid_to_text(&uuid, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    memset(uuid.bytes, 0xff, UUID_BYTES);
    uuid_to_text(&uuid, text);
    assert_string_equal(text, "_____________________w");
    memset(uuid.bytes, 0xfb, UUID_BYTES);
    uuid_to_text(&uuid, text);
    assert_string_equal(text, "-_v7-_v7-_v7-_v7-_v7-w");
}

/* Every id survives the way to text and back. */
static void text_reads_back(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 10000; i++) {
        struct uuid uuid;
        struct uuid back;
        char text[UUID_TEXT_BYTES];
        random_fill(&random, uuid.bytes, UUID_BYTES);
        uuid_to_text(&uuid, text);
        assert_int_equal(strlen(text), 22);
        assert_true(uuid_from_text(text, &back));
        assert_true(uuid_equals(&uuid, &back));
    }
}

/* Anything but 22 characters of the alphabet, with no bit too many, is refused. */
static void other_text_is_refused(void **state)
{
    (void)state;
    struct uuid uuid = {{7}};
    const char *refused[] = {"",
                             "AAAAAAAAAAAAAAAAAAAAA",
                             "AAAAAAAAAAAAAAAAAAAAAAA",
                             "AAAAAAAAAAAAAAAAAAAAAA==",
                             "AAAAAAAAAAAAAAAAAAAAAB",
                             "+AAAAAAAAAAAAAAAAAAAAA",
                             "AAAAAAAAAA/AAAAAAAAAAA",
                             "AAAAAAAAAAAA AAAAAAAAA",
                             "AAAAAAAAAAAAAAAAAAAAA\xc3"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(uuid_from_text(refused[i], &uuid));
    assert_int_equal(uuid.bytes[0], 7);
}

/* Version 4, the RFC's variant, no leading '-', no two alike. */
static void random_ids_are_version_4_and_no_option(void **state)
{
    (void)state;
    struct simulated_executor *simulated = simulated_executor_new(1, NULL);
    struct executor *executor = simulated_executor_seam(simulated);
    struct uuid last = UUID_ZERO;
    for (int i = 0; i < 10000; i++) {
        struct uuid uuid = uuid_random(executor);
        char text[UUID_TEXT_BYTES];
        uuid_to_text(&uuid, text);
        assert_int_not_equal(text[0], '-');
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_false(uuid_is_zero(&uuid));
        assert_false(uuid_equals(&uuid, &last));
        last = uuid;
    }
    simulated_executor_free(simulated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_base64url_without_padding),
        cmocka_unit_test(text_reads_back),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(random_ids_are_version_4_and_no_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
