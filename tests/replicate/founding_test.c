/* SPDX-License-Identifier: Apache-2.0 */
/* The founding file: what was stored comes back, and nothing else is believed. */
#include "base/memory.h"
#include "replicate/core/founding.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct founding sample(void)
{
    struct founding founding = {.node_uuid = {{1, 2, 3}},
                                .agreed = true,
                                .founder = true,
                                .node_id = 2,
                                .cluster_id = {{9}},
                                .member_count = FOUNDING_MEMBERS_MAX};
    for (uint32_t i = 0; i < FOUNDING_MEMBERS_MAX; i++) {
        founding.members[i] = (struct founding_member){
            .node_id = (int32_t)i + 1, .port = 9092, .uuid = {{(uint8_t)(i + 1)}}};
        (void)snprintf(founding.members[i].host, sizeof founding.members[i].host, "host-%u.lan",
                       (unsigned)i);
    }
    return founding;
}

/* Whole, with the most members there may be. */
static void what_was_stored_comes_back(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct founding stored = sample();
    struct founding loaded;
    assert_int_equal(founding_store(simulated_storage_seam(disk), &stored), ERROR_NONE);
    assert_int_equal(founding_load(simulated_storage_seam(disk), &loaded, NULL), ERROR_NONE);
    assert_memory_equal(&loaded, &stored, sizeof stored);
    assert_ptr_equal(founding_member_of(&loaded, &stored.members[5].uuid), &loaded.members[5]);
    assert_ptr_equal(founding_member_find(&loaded, 7), &loaded.members[6]);
    assert_null(founding_member_find(&loaded, 700));
    simulated_storage_free(disk);
}

/* Before anything was agreed there is only the uuid. */
static void a_node_alone_has_its_uuid(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct founding stored = {.node_id = -1, .node_uuid = {{4}}};
    struct founding loaded;
    assert_int_equal(founding_load(simulated_storage_seam(disk), &loaded, NULL), ERROR_NOT_FOUND);
    assert_int_equal(founding_store(simulated_storage_seam(disk), &stored), ERROR_NONE);
    assert_int_equal(founding_load(simulated_storage_seam(disk), &loaded, NULL), ERROR_NONE);
    assert_memory_equal(&loaded, &stored, sizeof stored);
    simulated_storage_free(disk);
}

/* Each cut and each changed byte gives a founding that says the same, or MALFORMED; it never
 * crashes. */
static void damage_is_found_or_harmless(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    struct founding stored = sample();
    stored.member_count = 2;
    assert_int_equal(founding_store(storage, &stored), ERROR_NONE);
    char *text;
    size_t size;
    assert_int_equal(storage_read_whole(storage, "topicfs.founding", 1 << 16, &text, &size),
                     ERROR_NONE);
    for (size_t i = 0; i < size; i++) {
        char kept = text[i];
        struct founding loaded;
        struct failure failure = {0};
        for (int change = 0; change < 3; change++) {
            text[i] = change == 0 ? '\0' : change == 1 ? '\n' : (char)(kept ^ 0x15);
            assert_int_equal(storage_write_whole(storage, "topicfs.founding", text, size),
                             ERROR_NONE);
            enum error error = founding_load(storage, &loaded, &failure);
            assert_true(error == ERROR_NONE || error == ERROR_MALFORMED);
            failure = (struct failure){0};
        }
        text[i] = kept;
        assert_int_equal(storage_write_whole(storage, "topicfs.founding", text, i), ERROR_NONE);
        (void)founding_load(storage, &loaded, &failure);
    }
    memory_free(text);
    simulated_storage_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stored_comes_back),
        cmocka_unit_test(a_node_alone_has_its_uuid),
        cmocka_unit_test(damage_is_found_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
