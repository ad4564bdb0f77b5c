/* SPDX-License-Identifier: Apache-2.0 */
/* Leader, follower, neither: what each change keeps, ends and tells. */
#include "pair_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

struct notes {
    struct partition_news news;
    unsigned kinds;
};

static void note(struct partition_news *news, unsigned kinds)
{
    container_of(news, struct notes, news)->kinds |= kinds;
}

/* A leader that is deposed tells those who wait, keeps its high watermark, and refuses from then
 * on. */
static void a_deposed_leader_ends_what_waits_and_keeps_its_high_watermark(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment led = fixture_assignment(0, 5, 10, "01");
    struct partition *partition = fixture_take(f, &led);
    struct fixture_append committed, waits, later;
    fixture_append_start(partition, &committed, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    fixture_progress(f, partition, 1, 1, 1);
    fixture_append_start(partition, &waits, 1, -1, FIXTURE_WAIT_MS);
    struct notes notes = {.news.changed = note};
    list_init(&notes.news.link);
    partition_news_add(partition, &notes.news);

    struct partition_assignment deposed = fixture_assignment(1, 6, 11, "01");
    (void)fixture_take(f, &deposed);
    fixture_append_start(partition, &later, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);

    assert_int_equal(committed.append.error, ERROR_NONE);
    assert_int_equal(waits.append.error, ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(later.append.error, ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(fixture_high_watermark(partition), 1);
    assert_int_equal(partition_role(partition), PARTITION_FOLLOWER);
    assert_int_equal(partition_leader(partition), 1);
    assert_true(notes.kinds & PARTITION_NEWS_ROLE);
    partition_news_remove(&notes.news);
    fixture_append_done(&committed);
    fixture_append_done(&waits);
    fixture_append_done(&later);
}

/* Led on in a new epoch: what waits goes on waiting, for votes of the new epoch. */
static void a_leader_reelected_goes_on_with_what_waits(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment led = fixture_assignment(0, 5, 10, "01");
    struct partition *partition = fixture_take(f, &led);
    struct fixture_append waits;
    fixture_append_start(partition, &waits, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    struct partition_assignment again = fixture_assignment(0, 6, 11, "01");
    (void)fixture_take(f, &again);
    fixture_run(f);
    assert_int_equal(waits.done, 0);

    fixture_progress(f, partition, 1, 1, 1);
    fixture_run(f);

    assert_int_equal(waits.append.error, ERROR_NONE);
    fixture_append_done(&waits);
}

/* Invariant 10: a new leader serves what it knew to be committed, and more only by the votes of its
 * own epoch. */
static void a_new_leader_moves_the_high_watermark_only_by_its_own_epochs_votes(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    pair_append(f, a, 4);
    struct partition_assignment follows = fixture_assignment(1, 1, 1, "012");
    struct partition *partition = fixture_take(f, &follows);
    (void)pair_replicate(f, a, partition);
    struct partition_assignment leads = fixture_assignment(0, 2, 2, "012");
    (void)fixture_take(f, &leads);
    int64_t before = fixture_high_watermark(partition);
    pair_append(f, partition, 2);
    assert_int_equal(fixture_high_watermark(partition), before);

    fixture_progress(f, partition, 1, 6, 6);
    assert_int_equal(fixture_high_watermark(partition), before);
    fixture_progress(f, partition, 2, 5, 5);

    assert_int_equal(fixture_high_watermark(partition), 5);
}

/* An assignment that came too late changes nothing (invariant 1). */
static void an_older_assignment_changes_nothing(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment led = fixture_assignment(0, 5, 10, "01");
    struct partition *partition = fixture_take(f, &led);
    struct partition_assignment older[] = {fixture_assignment(1, 4, 12, "01"),
                                           fixture_assignment(0, 5, 9, "012")};
    for (int i = 0; i < 2; i++)
        (void)fixture_take(f, &older[i]);

    assert_int_equal(partition_role(partition), PARTITION_LEADER);
    assert_int_equal(partition_leader_epoch(partition), 5);
    assert_int_equal(partition_epoch(partition), 10);
}

/* Without memory for its followers a leader does not lead; the next try does. */
static void leading_without_memory_is_refused_and_tried_again(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment follows = fixture_assignment(1, 1, 1, "012");
    struct partition *partition = fixture_take(f, &follows);
    struct partition_assignment leads = fixture_assignment(0, 2, 2, "012");
    struct uuid id = fixture_id(1);
    memory_fault_arm(0);
    enum error error =
        partition_table_assign(f->table, "orders", &id, 0, &f->config, &leads, NULL, NULL);
    memory_fault_arm(-1);
    assert_int_equal(error, ERROR_OUT_OF_MEMORY);
    assert_int_equal(partition_role(partition), PARTITION_FOLLOWER);

    (void)fixture_take(f, &leads);
    assert_int_equal(partition_role(partition), PARTITION_LEADER);

    struct partition_assignment other = fixture_assignment(2, 3, 3, "012");
    memory_fault_arm(0);
    error = partition_table_assign(f->table, "orders", &id, 0, &f->config, &other, NULL, NULL);
    memory_fault_arm(-1);
    assert_int_equal(error, ERROR_NONE); /* Stepping down needs none. */
    assert_int_equal(partition_role(partition), PARTITION_FOLLOWER);
}

struct feed {
    struct partition_feed feed;
    char said[200]; /* "+1@5 -" */
};

static enum error follow(struct partition_feed *feed, struct partition *partition, int32_t leader,
                         int32_t leader_epoch)
{
    struct feed *noted = container_of(feed, struct feed, feed);
    size_t used = strlen(noted->said);
    assert_int_equal(partition_role(partition), PARTITION_FOLLOWER);
    (void)snprintf(noted->said + used, sizeof noted->said - used, "+%d@%d ", (int)leader,
                   (int)leader_epoch);
    return ERROR_NONE;
}

static void unfollow(struct partition_feed *feed, struct partition *partition)
{
    struct feed *noted = container_of(feed, struct feed, feed);
    (void)partition;
    (void)strncat(noted->said, "- ", sizeof noted->said - strlen(noted->said) - 1);
}

/* The feed hears of every leader and epoch once, and of nothing that changes neither. */
static void the_feed_hears_of_each_leader_and_epoch_once(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment steps[] = {
        fixture_assignment(1, 1, 1, "012"), fixture_assignment(1, 1, 2, "12"),
        fixture_assignment(2, 2, 3, "12"),  fixture_assignment(-1, 3, 4, "2"),
        fixture_assignment(1, 4, 5, "12"),  fixture_assignment(0, 5, 6, "012"),
        fixture_assignment(1, 6, 7, "012"),
    };
    (void)fixture_take(f, &steps[0]);
    struct feed feed = {.feed = {.follow = follow, .unfollow = unfollow}};
    assert_int_equal(partition_table_feed(f->table, &feed.feed), ERROR_NONE);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        (void)fixture_take(f, &steps[i]);
    partition_table_remove(f->table, "orders", 0);

    assert_string_equal(feed.said, "+1@1 - +2@2 - +1@4 - +1@6 - ");
    assert_int_equal(partition_table_feed(f->table, NULL), ERROR_NONE);
}

#define ROLE_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROLE_TEST(a_deposed_leader_ends_what_waits_and_keeps_its_high_watermark),
        ROLE_TEST(a_leader_reelected_goes_on_with_what_waits),
        ROLE_TEST(a_new_leader_moves_the_high_watermark_only_by_its_own_epochs_votes),
        ROLE_TEST(an_older_assignment_changes_nothing),
        ROLE_TEST(leading_without_memory_is_refused_and_tried_again),
        ROLE_TEST(the_feed_hears_of_each_leader_and_epoch_once),
    };
    return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
