/* SPDX-License-Identifier: Apache-2.0 */
/* Names and numbers, found, not found, cancelled, and left behind. */
#include "replicate/peer/lookup.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <time.h>

struct waiter {
    atomic_int woken;
    int done;
    struct lookup_result result;
};

static void woke(void *context)
{
    (void)atomic_fetch_add(&((struct waiter *)context)->woken, 1);
}

static void found(void *context, const struct lookup_result *result)
{
    struct waiter *waiter = context;
    waiter->done++;
    waiter->result = *result;
}

static void never(void *context, const struct lookup_result *result)
{
    (void)context;
    (void)result;
    fail_msg("a lookup that was cancelled is done");
}

static void wait_done(struct lookup_desk *desk, struct waiter *waiter, int done)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000 && waiter->done < done; i++) {
        (void)nanosleep(&pause, NULL);
        lookup_desk_deliver(desk);
    }
    assert_int_equal(waiter->done, done);
}

static void wait_a_little(long pause_ns)
{
    const struct timespec pause = {.tv_nsec = pause_ns};
    (void)nanosleep(&pause, NULL);
}

/* Numbers need no name server: the answer is there at once. */
static void numbers_are_found_at_once(void **state)
{
    (void)state;
    struct waiter waiter = {0};
    struct lookup_desk *desk;
    assert_int_equal(lookup_desk_new(woke, &waiter, &desk), ERROR_NONE);
    struct lookup *lookup;
    struct lookup_result result;
    static const struct {
        const char *host;
        int family;
    } hosts[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lookup_start(desk, hosts[i].host, 9092, never, NULL, &lookup, &result),
                         ERROR_NONE);
        assert_null(lookup);
        assert_int_equal(result.count, 1);
        assert_int_equal(result.addresses[0].ss_family, hosts[i].family);
        const struct sockaddr_in *address = (const struct sockaddr_in *)&result.addresses[0];
        assert_int_equal(ntohs(address->sin_port), 9092); /* At the same place in both. */
    }
    lookup_desk_free(desk);
    assert_int_equal(atomic_load(&waiter.woken), 0);
}

/* /etc/hosts, which the smallest of systems lack, has the one name there is everywhere. */
static void needs_a_name(void)
{
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        skip();
    freeaddrinfo(found);
}

/* More names at once than threads; those that do not exist come with a reason. */
static void names_are_found_or_not(void **state)
{
    (void)state;
    needs_a_name();
    enum { COUNT = 20 };
    static struct waiter waiters[COUNT];
    struct waiter desk_waiter = {0};
    struct lookup_desk *desk;
    assert_int_equal(lookup_desk_new(woke, &desk_waiter, &desk), ERROR_NONE);
    for (int i = 0; i < COUNT; i++) {
        struct lookup *lookup;
        struct lookup_result result;
        waiters[i] = (struct waiter){0};
        assert_int_equal(lookup_start(desk, i % 2 == 0 ? "localhost" : "a name no host has", 1,
                                      found, &waiters[i], &lookup, &result),
                         ERROR_NONE);
        assert_non_null(lookup);
        assert_int_equal(waiters[i].done, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_done(desk, &waiters[i], 1);
        assert_int_equal(waiters[i].result.count > 0, i % 2 == 0);
        assert_int_equal(waiters[i].result.reason[0] == '\0', i % 2 == 0);
    }
    assert_true(atomic_load(&desk_waiter.woken) > 0);
    lookup_desk_free(desk);
}

/* Cancelled while waiting, while a thread has it, when it is found; and the desk is closed over
 * those that are left. */
static void cancelled_lookups_are_never_done(void **state)
{
    (void)state;
    struct waiter waiter = {0};
    struct waiter last = {0};
    struct lookup_desk *desk;
    assert_int_equal(lookup_desk_new(woke, &waiter, &desk), ERROR_NONE);
    struct lookup_result result;
    for (int i = 0; i < 200; i++) {
        struct lookup *lookup;
        assert_int_equal(lookup_start(desk, "localhost", 1, never, NULL, &lookup, &result),
                         ERROR_NONE);
        if (i % 2 == 0)
            wait_a_little(i * 1000);
        lookup_cancel(lookup);
    }
    struct lookup *lookup;
    assert_int_equal(lookup_start(desk, "localhost", 1, found, &last, &lookup, &result),
                     ERROR_NONE);
    wait_done(desk, &last, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(lookup_start(desk, "localhost", 1, never, NULL, &lookup, &result),
                         ERROR_NONE);
    lookup_desk_free(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_at_once),
        cmocka_unit_test(names_are_found_or_not),
        cmocka_unit_test(cancelled_lookups_are_never_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
