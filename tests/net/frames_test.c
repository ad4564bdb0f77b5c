/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, garbage, and frames that come in any pieces. */
#include "node.h"

#include "base/byteorder.h"
#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG_BYTES = 3 << 20 };

static struct node node;

static int start(void **state)
{
    (void)state;
    struct net_limits limits = node_limits();
    limits.receive_timeout_ms = 300;
    node_start(&node, &limits);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    node_wait(&node, node_connections, 0);
    node_stop(&node);
    return 0;
}

static void expect_close_after(const void *bytes, size_t size)
{
    int client = client_connect(&node);
    client_send(client, bytes, size);
    assert_true(client_is_closed(client));
    (void)close(client);
}

/* Reliability 1, 2, 3: a size that is negative, zero or beyond socket.request.max.bytes. */
static void impossible_sizes_close_the_connection(void **state)
{
    (void)state;
    const uint32_t sizes[] = {0xffffffff, 0x80000000, 0, (100 << 20) + 1, 0x7fffffff};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t bytes[4];
        store_be32(bytes, sizes[i]);
        expect_close_after(bytes, sizeof bytes);
    }
}

/* Reliability 7: other protocols on the port. */
static void other_protocols_close_the_connection(void **state)
{
    (void)state;
    expect_close_after("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    expect_close_after("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    expect_close_after("SSH-2.0-OpenSSH_9.2\r\n", 21);
}

static void expect_close_after_frame(const void *frame, size_t size)
{
    uint8_t bytes[256];
    store_be32(bytes, (uint32_t)size);
    memcpy(bytes + 4, frame, size);
    expect_close_after(bytes, 4 + size);
}

/* Reliability 9 to 13 and 23: unknown and negative keys, versions too high or too low, damaged
 * client ids, bytes behind the request, a frame too short for a header. */
static void damaged_headers_close_the_connection(void **state)
{
    (void)state;
    expect_close_after_frame("\x7f\x00\x00\x00\x00\x00\x00\x01\xff\xff", 10); /* Unknown key. */
    expect_close_after_frame("\xff\xfe\x00\x00\x00\x00\x00\x01\xff\xff", 10); /* Negative key. */
    expect_close_after_frame("\x00\x0c\x00\x63\x00\x00\x00\x01\xff\xff", 10); /* Version 99. */
    expect_close_after_frame("\x00\x0c\xff\xff\x00\x00\x00\x01\xff\xff", 10); /* Version -1. */
    expect_close_after_frame("\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff", 10); /* Not offered. */
    expect_close_after_frame("\x00\x0c\x00\x00\x00\x00\x00\x01\xff\xfe", 10); /* Length -2. */
    expect_close_after_frame("\x00\x0c\x00\x00\x00\x00\x00\x01\x7f\xff\x61\x62\x63", 13);
    expect_close_after_frame("\x00\x0c", 2);
}

/* Reliability 23: what is behind the body is ignored, as Kafka does; librdkafka sends such
 * requests. */
static void bytes_behind_a_body_are_ignored(void **state)
{
    (void)state;
    int client = client_connect(&node);
    uint8_t frame[128];
    size_t size = frame_heartbeat(1, 1, frame, sizeof frame);
    frame[size] = 7;
    frame[3]++;
    client_send(client, frame, size + 1);
    client_expect_heartbeat(client, 1, 1);
    (void)close(client);
}

/* Facts a.1 rule 5: ApiVersions of an unknown version is answered in version 0 with one row, its
 * body not looked at, and the connection goes on. */
static void unknown_api_versions_version_gets_the_version_0_answer(void **state)
{
    (void)state;
    int client = client_connect(&node);
    const uint8_t request[] = {0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0x00, 0xfe};
    client_send(client, request, sizeof request);
    uint8_t answer[4 + 4 + 2 + 4 + 6];
    assert_true(client_read(client, answer, sizeof answer));
    assert_int_equal(load_be32(answer), sizeof answer - 4);
    assert_int_equal(load_be32(answer + 4), 7);
    assert_int_equal(load_be16(answer + 8), 35);
    assert_int_equal(load_be32(answer + 10), 1);
    assert_int_equal(load_be16(answer + 14), 18);
    assert_int_equal(load_be16(answer + 16), api_find(18)->version_min);
    assert_int_equal(load_be16(answer + 18), api_find(18)->version_max);
    client_heartbeat(client, 8, 5);
    client_expect_heartbeat(client, 8, 5);
    (void)close(client);
}

/* What came whole before the damage is answered first. */
static void requests_before_garbage_are_answered(void **state)
{
    (void)state;
    int client = client_connect(&node);
    uint8_t bytes[256];
    size_t size = frame_heartbeat(1, 1, bytes, sizeof bytes);
    size += frame_heartbeat(2, 2, bytes + size, sizeof bytes - size);
    memcpy(bytes + size, "GET / HTTP/1.1\r\n\r\n", 18);
    client_send(client, bytes, size + 18);
    client_expect_heartbeat(client, 1, 1);
    client_expect_heartbeat(client, 2, 2);
    assert_true(client_is_closed(client));
    (void)close(client);
}

/* Frames of very different sizes behind one another, sent in pieces of every kind of size, are all
 * taken, in order. */
static void frames_in_any_pieces_are_taken(void **state)
{
    (void)state;
    static const size_t records[] = {10,    100000, 5,     70000, 70000, 70000, 1, 30000, BIG_BYTES,
                                     16384, 12,     65536, 1000,  1000,  1000,  3, 2,     200000};
    static const size_t pieces[] = {1, 3, 4, 5, 1000, 16385, 65536, 65537, 1 << 20};
    uint8_t *bytes = memory_allocate_raw(8 << 20);
    assert_non_null(bytes);
    int32_t number = 0;
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        size_t size = 0;
        for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
            if (pieces[p] < 100 && records[i] > 100000)
                continue;
            number++;
            size += frame_produce(number, 0, number, records[i], bytes + size, (8 << 20) - size);
        }
        size += frame_heartbeat(99, 9, bytes + size, (8 << 20) - size);
        int client = client_connect(&node);
        for (size_t at = 0; at < size; at += pieces[p])
            client_send(client, bytes + at, size - at < pieces[p] ? size - at : pieces[p]);
        client_expect_heartbeat(client, 99, 9);
        assert_int_equal(node_produced(&node), number);
        assert_true(node.produced_in_order);
        (void)close(client);
    }
    memory_free(bytes);
}

/* Reliability 6: a frame cut off by the end of input is dropped. */
static void a_truncated_frame_is_dropped(void **state)
{
    (void)state;
    uint8_t frame[128];
    size_t size = frame_produce(1, 0, 1, 20, frame, sizeof frame);
    int client = client_connect(&node);
    client_send(client, frame, size - 1);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_true(client_is_closed(client));
    assert_int_equal(node_produced(&node), 0);
    (void)close(client);
}

/* Reliability 5: 100 MiB are claimed and hardly any come: closed at the deadline. */
static void a_frame_that_does_not_grow_is_closed(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    store_be32(bytes, 100 << 20);
    expect_close_after(bytes, sizeof bytes);
    expect_close_after(bytes, 1);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    long total = 0;
    long resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
    (void)fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Claims of 100 MiB by fifty connections take memory only for what has come. */
static void claims_take_no_memory(void **state)
{
    (void)state;
    uint8_t bytes[1000] = {0};
    store_be32(bytes, 100 << 20);
    int clients[50];
    long before = resident_kib();
    for (int i = 0; i < 50; i++) {
        clients[i] = client_connect(&node);
        client_send(clients[i], bytes, sizeof bytes);
    }
    node_wait(&node, node_connections, 50);
    assert_true(resident_kib() - before < 8192);
    for (int i = 0; i < 50; i++) {
        assert_true(client_is_closed(clients[i]));
        (void)close(clients[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(impossible_sizes_close_the_connection, start, stop),
        cmocka_unit_test_setup_teardown(other_protocols_close_the_connection, start, stop),
        cmocka_unit_test_setup_teardown(damaged_headers_close_the_connection, start, stop),
        cmocka_unit_test_setup_teardown(bytes_behind_a_body_are_ignored, start, stop),
        cmocka_unit_test_setup_teardown(unknown_api_versions_version_gets_the_version_0_answer,
                                        start, stop),
        cmocka_unit_test_setup_teardown(requests_before_garbage_are_answered, start, stop),
        cmocka_unit_test_setup_teardown(frames_in_any_pieces_are_taken, start, stop),
        cmocka_unit_test_setup_teardown(a_truncated_frame_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(a_frame_that_does_not_grow_is_closed, start, stop),
        cmocka_unit_test_setup_teardown(claims_take_no_memory, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
