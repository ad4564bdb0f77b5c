/* SPDX-License-Identifier: Apache-2.0 */
/* Headers and whole frames: the versions of headers, and hostile frames with the answer owed. */
#include "base/memory.h"
#include "wire/api_api_versions.h"
#include "wire/api_fetch.h"
#include "wire/api_metadata.h"
#include "wire/api_produce.h"
#include "wire/frame.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

enum { ARENA_BYTES = 1 << 20 };

static enum error decode(const uint8_t *bytes, size_t size, struct arena *arena, void **ret_body)
{
    struct reader reader;
    reader_init(&reader, slice_from(bytes, size));
    struct frame_request request;
    enum error error = frame_request_decode(&reader, &request);
    if (error != ERROR_NONE)
        return error;
    if (!request.supported)
        return ERROR_UNSUPPORTED_VERSION;
    return frame_body_decode(&reader, &request, arena, ret_body);
}

static void assert_refused(const uint8_t *bytes, size_t size, enum error expected)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *body = NULL;
    assert_int_equal(decode(bytes, size, &arena, &body), expected);
    assert_null(body);
    arena_done(&arena);
}

#define ASSERT_REFUSED(expected, ...)                                                              \
    assert_refused((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), expected)

/* Bytes as kcat and the Java client send them. */
static void headers_of_both_versions_are_decoded(void **state)
{
    (void)state;
    /* ApiVersions 0, header version 1. */
    const uint8_t old[] = {0, 18, 0, 0, 0, 0, 0, 9, 0, 2, 'm', 'e'};
    /* ApiVersions 3, header version 2: the client id still has a 2-byte length, then tags. */
    const uint8_t flexible[] = {0,   18, 0, 3,   0,   0,   0, 9,   0,   2,   'm',
                                'e', 0,  4, 'l', 'i', 'b', 4, '1', '.', '0', 0};
    struct reader reader;
    struct frame_request request;
    reader_init(&reader, slice_from(old, sizeof old));
    assert_int_equal(frame_request_decode(&reader, &request), ERROR_NONE);
    assert_int_equal(request.api->key, API_API_VERSIONS);
    assert_int_equal(request.version, 0);
    assert_int_equal(request.correlation_id, 9);
    assert_true(slice_equals_text(request.client_id, "me"));
    assert_int_equal(reader_left(&reader), 0);

    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *body;
    assert_int_equal(decode(flexible, sizeof flexible, &arena, &body), ERROR_NONE);
    struct api_versions_request *versions = body;
    assert_true(slice_equals_text(versions->client_software_name, "lib"));
    assert_true(slice_equals_text(versions->client_software_version, "1.0"));
    arena_done(&arena);
}

/* A null client id is a client without a name, not damage. */
static void a_null_client_id_is_accepted(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 18, 0, 0, 0, 0, 0, 9, 0xff, 0xff};
    struct reader reader;
    struct frame_request request;
    reader_init(&reader, slice_from(bytes, sizeof bytes));
    assert_int_equal(frame_request_decode(&reader, &request), ERROR_NONE);
    assert_true(slice_is_null(request.client_id));
}

/* Any bytes are a client id (entry 14). */
static void a_client_id_may_be_any_bytes(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 18, 0, 0, 0, 0, 0, 9, 0, 3, 0xff, 0x1b, 0x80};
    struct reader reader;
    struct frame_request request;
    reader_init(&reader, slice_from(bytes, sizeof bytes));
    assert_int_equal(frame_request_decode(&reader, &request), ERROR_NONE);
    assert_int_equal(request.client_id.size, 3);
}

/* The header tells enough to answer an ApiVersions of the future, with its own header version. */
static void a_future_version_is_known_but_not_supported(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 18, 0, 99, 0, 0, 0, 5, 0, 0, 0, 'x', 'y'};
    struct reader reader;
    struct frame_request request;
    reader_init(&reader, slice_from(bytes, sizeof bytes));
    assert_int_equal(frame_request_decode(&reader, &request), ERROR_NONE);
    assert_false(request.supported);
    assert_int_equal(request.correlation_id, 5);
    assert_int_equal(request.version, 99);
}

/* Entries 9 to 13 of the hostile inputs. */
static void hostile_headers_are_refused(void **state)
{
    (void)state;
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 18, 0);                                 /* Cut. */
    ASSERT_REFUSED(ERROR_INVALID_REQUEST, 0x03, 0xe7, 0, 0, 0, 0, 0, 1, 0, 0); /* Key 999. */
    ASSERT_REFUSED(ERROR_INVALID_REQUEST, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0); /* Key -1. */
    ASSERT_REFUSED(ERROR_INVALID_REQUEST, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0);       /* Removed in 4.0. */
    ASSERT_REFUSED(ERROR_UNSUPPORTED_VERSION, 0, 3, 0, 14, 0, 0, 0, 1, 0, 0, 0);
    ASSERT_REFUSED(ERROR_UNSUPPORTED_VERSION, 0, 3, 0xff, 0xff, 0, 0, 0, 1, 0, 0);
    ASSERT_REFUSED(ERROR_UNSUPPORTED_VERSION, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0); /* Produce 2. */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xfe);    /* -2 */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 18, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 'a', 'b', 'c');
}

/* Entry 18: a header that promises 20 million tags, before any authentication. */
static void millions_of_header_tags_are_refused(void **state)
{
    (void)state;
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0x80, 0xda, 0xc4, 0x09, 0,
                   0, 1, 0, 2, 0);
}

/* Entries 15, 16, 19 and 20 in a body. */
static void hostile_bodies_are_refused(void **state)
{
    (void)state;
    /* Metadata 1: 2^31 - 1 topics; Metadata 12: 2^32 - 2 topics. */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1,
                   'a');
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f,
                   1);
    /* A varint of ten bytes. */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80,
                   0x80, 0x80, 0x80, 0x80, 1, 0, 0, 0);
    /* Metadata 0 does not know null topics. */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff);
    /* Null topic name in version 9, which version 10 would allow. */
    ASSERT_REFUSED(ERROR_MALFORMED, 0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0);
}

/* Entry 23, as Kafka does: Metadata 13 for all topics as librdkafka 2.16 sends it. */
static void bytes_behind_a_body_are_ignored(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 3, 0, 13, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *body = NULL;
    assert_int_equal(decode(bytes, sizeof bytes, &arena, &body), ERROR_NONE);
    const struct metadata_request *metadata = body;
    assert_null(metadata->topics);
    assert_false(metadata->allow_auto_topic_creation);
    arena_done(&arena);
}

/* Entry 17: nested arrays that each fit what is left stop at the arena's or the element limit. */
static void multiplying_arrays_stop_at_a_budget(void **state)
{
    (void)state;
    enum { FRAME_BYTES = 4 << 20 };
    uint8_t *bytes = memory_allocate(FRAME_BYTES);
    assert_non_null(bytes);
    const uint8_t head[] = {0,    0,    0, 3, 0, 0, 0,    1,    0,    0, /* Produce 3 */
                            0xff, 0xff, 0, 1, 0, 0, 0x10, 0x00, 0x00, 0x0a, 0xaa, 0xa0};
    memcpy(bytes, head, sizeof head); /* 699,040 topics of at least 6 bytes each. */
    for (size_t at = sizeof head; at + 6 <= FRAME_BYTES; at += 6)
        store_be32(bytes + at + 2, 20);                  /* Name of length 0, 20 partitions ... */
    assert_refused(bytes, FRAME_BYTES, ERROR_TOO_LARGE); /* 1 MiB arena. */

    struct reader reader;
    reader_init(&reader, slice_from(bytes, FRAME_BYTES));
    reader.elements_left = 1000;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct frame_request request;
    assert_int_equal(frame_request_decode(&reader, &request), ERROR_NONE);
    void *body;
    assert_int_equal(frame_body_decode(&reader, &request, &arena, &body), ERROR_TOO_LARGE);
    assert_true(arena.used_bytes < 1000);
    arena_done(&arena);
    memory_free(bytes);
}

/* The answer to ApiVersions has header version 0 in every version: no tag byte (KIP-511). */
static void api_versions_is_answered_with_header_0(void **state)
{
    (void)state;
    const struct api *api = api_find(API_API_VERSIONS);
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.error_code = 35;
    struct outgoing outgoing;
    assert_int_equal(frame_response_encode(api, 3, 77, &response, &outgoing), ERROR_NONE);
    const uint8_t version_3[] = {0, 0, 0, 12, 0, 0, 0, 77, 0, 35, 1, 0, 0, 0, 0, 0};
    assert_int_equal(outgoing.size_bytes, sizeof version_3);
    assert_memory_equal(outgoing.first->data, version_3, sizeof version_3);
    outgoing_done(&outgoing);

    assert_int_equal(frame_response_encode(api, 0, 77, &response, &outgoing), ERROR_NONE);
    const uint8_t version_0[] = {0, 0, 0, 10, 0, 0, 0, 77, 0, 35, 0, 0, 0, 0};
    assert_int_equal(outgoing.size_bytes, sizeof version_0);
    assert_memory_equal(outgoing.first->data, version_0, sizeof version_0);
    outgoing_done(&outgoing);
}

/* Every other flexible answer has header version 1: an empty tag section behind the id. */
static void flexible_answers_have_a_tag_section_in_the_header(void **state)
{
    (void)state;
    struct produce_response response;
    produce_response_init(&response);
    struct outgoing outgoing;
    assert_int_equal(frame_response_encode(api_find(API_PRODUCE), 9, 1, &response, &outgoing),
                     ERROR_NONE);
    const uint8_t flexible[] = {0, 0, 0, 11, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0};
    assert_int_equal(outgoing.size_bytes, sizeof flexible);
    assert_memory_equal(outgoing.first->data, flexible, sizeof flexible);
    outgoing_done(&outgoing);
    assert_int_equal(frame_response_encode(api_find(API_PRODUCE), 8, 1, &response, &outgoing),
                     ERROR_NONE);
    assert_int_equal(outgoing.size_bytes, 4 + 4 + 4 + 4);
    outgoing_done(&outgoing);
}

/* What we send another node, its decoder reads, in every version of every api. */
static void every_request_and_response_frame_comes_back(void **state)
{
    (void)state;
    int apis = 0;
    for (int16_t key = 0; key < API_KEY_END; key++) {
        const struct api *api = api_find(key);
        if (api == NULL)
            continue;
        apis++;
        for (int16_t version = api->version_min; version <= api->version_max; version++) {
            struct arena arena;
            arena_init(&arena, ARENA_BYTES);
            void *message = arena_allocate(&arena, api->request.size);
            api->request.init(message);
            struct outgoing outgoing;
            assert_int_equal(
                frame_request_encode(api, version, 3, slice_of("peer"), message, &outgoing),
                ERROR_NONE);
            void *body;
            assert_int_equal(
                decode(outgoing.first->data + 4, outgoing.first->size - 4, &arena, &body),
                ERROR_NONE);
            outgoing_done(&outgoing);

            message = arena_allocate(&arena, api->response.size);
            api->response.init(message);
            assert_int_equal(frame_response_encode(api, version, 4, message, &outgoing),
                             ERROR_NONE);
            struct reader reader;
            reader_init(&reader, slice_from(outgoing.first->data + 4, outgoing.first->size - 4));
            int32_t correlation_id = 0;
            assert_int_equal(frame_response_decode(&reader, api, version, &correlation_id),
                             ERROR_NONE);
            assert_int_equal(correlation_id, 4);
            assert_int_equal(api->response.decode(&reader, version, &arena, message), ERROR_NONE);
            assert_int_equal(reader_left(&reader), 0);
            outgoing_done(&outgoing);
            arena_done(&arena);
        }
    }
    assert_int_equal(apis, API_COUNT);
}

/* Records are a slice of the frame, not a copy. */
static void produced_records_stay_in_the_frame(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0,    0,    0,    3,    0,   0,   0,    1,    0, 0, /* Produce 3 */
                             0xff, 0xff, 0xff, 0xff, 0,   0,   0x75, 0x30,       /* acks -1, 30 s */
                             0,    0,    0,    1,    0,   1,   't',              /* One topic */
                             0,    0,    0,    1,    0,   0,   0,    7,          /* Partition 7 */
                             0,    0,    0,    4,    'd', 'a', 't',  'a'};
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *body;
    assert_int_equal(decode(bytes, sizeof bytes, &arena, &body), ERROR_NONE);
    struct produce_request *produce = body;
    assert_true(slice_is_null(produce->transactional_id));
    assert_int_equal(produce->acks, -1);
    assert_int_equal(produce->timeout_ms, 30000);
    assert_int_equal(produce->topic_data_count, 1);
    assert_true(slice_equals_text(produce->topic_data[0].name, "t"));
    assert_int_equal(produce->topic_data[0].partition_data_count, 1);
    assert_int_equal(produce->topic_data[0].partition_data[0].index, 7);
    struct slice data = produce->topic_data[0].partition_data[0].records.data;
    assert_ptr_equal(data.data, bytes + sizeof bytes - 4);
    assert_int_equal(data.size, 4);
    arena_done(&arena);
}

static void count_release(void *holder)
{
    (*(int *)holder)++;
}

enum { PARTITIONS = 2 };

/* A Fetch answer of two partitions, each with a file range that counts its releases. */
static enum error encode_fetch(struct storage_file *file, int16_t version, int *released,
                               struct outgoing *ret_outgoing)
{
    struct records_part parts[PARTITIONS];
    struct fetch_response_partition_data partitions[PARTITIONS];
    for (int i = 0; i < PARTITIONS; i++) {
        released[i] = 0;
        parts[i] = (struct records_part){file, (uint64_t)i * 100, 1000, &released[i]};
        fetch_response_partition_data_init(&partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].aborted_transactions = NULL;
        partitions[i].records = (struct records){
            .parts = &parts[i],
            .parts_count = 1,
            .release = count_release,
        };
    }
    struct fetch_response_fetchable_topic_response topic;
    fetch_response_fetchable_topic_response_init(&topic);
    topic.topic = slice_of("orders");
    topic.partitions = partitions;
    topic.partitions_count = PARTITIONS;
    struct fetch_response response;
    fetch_response_init(&response);
    response.responses = &topic;
    response.responses_count = 1;
    return frame_response_encode(api_find(API_FETCH), version, 5, &response, ret_outgoing);
}

/* Headers in memory, records from the file, nothing copied; the size covers both. */
static void a_fetch_answer_is_headers_and_file_ranges(void **state)
{
    (void)state;
    struct storage_file file;
    int released[PARTITIONS];
    for (int16_t version = 4; version <= 18; version++) {
        struct outgoing outgoing;
        assert_int_equal(encode_fetch(&file, version, released, &outgoing), ERROR_NONE);
        int ranges = 0;
        uint64_t bytes = 0;
        for (struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
            bytes += chunk->size;
            ranges += chunk->data == NULL;
            assert_true(chunk->data != NULL ? chunk->size < 100 : chunk->size == 1000);
        }
        assert_int_equal(ranges, PARTITIONS);
        assert_int_equal(bytes, outgoing.size_bytes);
        assert_int_equal(load_be32(outgoing.first->data), bytes - 4);
        assert_int_equal(released[0] + released[1], 0);
        outgoing_done(&outgoing);
        assert_int_equal(released[0], 1);
        assert_int_equal(released[1], 1);
    }
}

/* With the Nth allocation refused, the segments are let go of all the same. */
static void a_refused_fetch_answer_lets_go_of_the_files(void **state)
{
    (void)state;
    for (long countdown = 0;; countdown++) {
        assert_true(countdown < 20);
        struct storage_file file;
        int released[PARTITIONS];
        struct outgoing outgoing = {0};
        memory_fault_arm(countdown);
        enum error error = encode_fetch(&file, 12, released, &outgoing);
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
        outgoing_done(&outgoing);
        assert_int_equal(released[0], 1);
        assert_int_equal(released[1], 1);
        if (!fired)
            break;
    }
}

/* Metadata: null topics are all of them, no topics are none, and the two stay apart. */
static void null_and_no_topics_are_told_apart(void **state)
{
    (void)state;
    const uint8_t all[] = {0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff};
    const uint8_t none[] = {0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *body;
    assert_int_equal(decode(all, sizeof all, &arena, &body), ERROR_NONE);
    assert_null(((struct metadata_request *)body)->topics);
    assert_true(((struct metadata_request *)body)->allow_auto_topic_creation);
    assert_int_equal(decode(none, sizeof none, &arena, &body), ERROR_NONE);
    assert_non_null(((struct metadata_request *)body)->topics);
    assert_int_equal(((struct metadata_request *)body)->topics_count, 0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_both_versions_are_decoded),
        cmocka_unit_test(a_null_client_id_is_accepted),
        cmocka_unit_test(a_client_id_may_be_any_bytes),
        cmocka_unit_test(a_future_version_is_known_but_not_supported),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(millions_of_header_tags_are_refused),
        cmocka_unit_test(hostile_bodies_are_refused),
        cmocka_unit_test(bytes_behind_a_body_are_ignored),
        cmocka_unit_test(multiplying_arrays_stop_at_a_budget),
        cmocka_unit_test(api_versions_is_answered_with_header_0),
        cmocka_unit_test(flexible_answers_have_a_tag_section_in_the_header),
        cmocka_unit_test(every_request_and_response_frame_comes_back),
        cmocka_unit_test(produced_records_stay_in_the_frame),
        cmocka_unit_test(a_fetch_answer_is_headers_and_file_ranges),
        cmocka_unit_test(a_refused_fetch_answer_lets_go_of_the_files),
        cmocka_unit_test(null_and_no_topics_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
