/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a Fetch together, and looking at what came. */
#include "handle/fetch_fixture.h"

#include <cmocka.h>

void fetching_begin(struct broker_fixture *f, struct fetching *fetching, int16_t version)
{
    *fetching = (struct fetching){.f = f};
    fetching->body = exchange_begin(f, &fetching->exchange, API_FETCH, version);
    fetching->body->max_bytes = 1 << 20;
    fetching->body->min_bytes = 1;
    fetching->body->topics = fetching->topics;
    fetching->body->forgotten_topics_data = fetching->forgotten;
}

static struct uuid topic_id(const struct fetching *fetching, const char *topic)
{
    const struct catalog_topic *known =
        catalog_topic_find(fetching->f->broker.catalog, slice_of(topic));
    return known != NULL ? known->id : (struct uuid){{1, 2, 3}};
}

struct fetch_request_fetch_partition *fetching_add(struct fetching *fetching, const char *topic,
                                                   int32_t partition, int64_t offset)
{
    uint32_t at = fetching->body->topics_count++;
    assert_true(at < FETCH_PARTS_MAX);
    fetching->partitions[at] =
        (struct fetch_request_fetch_partition){.partition = partition,
                                               .current_leader_epoch = -1,
                                               .fetch_offset = offset,
                                               .last_fetched_epoch = -1,
                                               .log_start_offset = -1,
                                               .partition_max_bytes = 1 << 20,
                                               .high_watermark = INT64_MAX};
    fetching->topics[at] = (struct fetch_request_fetch_topic){
        slice_of(topic), topic_id(fetching, topic), &fetching->partitions[at], 1};
    return &fetching->partitions[at];
}

void fetching_forget(struct fetching *fetching, const char *topic, int32_t partition)
{
    uint32_t at = fetching->body->forgotten_topics_data_count++;
    assert_true(at < FETCH_PARTS_MAX);
    fetching->forgotten_partitions[at] = partition;
    fetching->forgotten[at] = (struct fetch_request_forgotten_topic){
        slice_of(topic), topic_id(fetching, topic), &fetching->forgotten_partitions[at], 1};
}

const struct fetch_response *fetching_run(struct fetching *fetching)
{
    fetching->answer = exchange_run(fetching->f, &fetching->exchange);
    return fetching->answer;
}

void fetching_done(struct fetching *fetching)
{
    exchange_done(&fetching->exchange);
}

const struct fetch_response_partition_data *fetching_find(const struct fetching *fetching,
                                                          const char *topic, int32_t partition)
{
    struct uuid id = topic_id(fetching, topic);
    bool by_id = fetching->exchange.request.version >= 13;
    for (uint32_t i = 0; i < fetching->answer->responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *found =
            &fetching->answer->responses[i];
        if (by_id ? !uuid_equals(&found->topic_id, &id) : !slice_equals_text(found->topic, topic))
            continue;
        for (uint32_t j = 0; j < found->partitions_count; j++) {
            if (found->partitions[j].partition_index == partition)
                return &found->partitions[j];
        }
    }
    return NULL;
}

uint32_t fetching_answer_count(const struct fetching *fetching)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fetching->answer->responses_count; i++)
        count += fetching->answer->responses[i].partitions_count;
    return count;
}

int record_count(const struct fetch_response_partition_data *data)
{
    struct slice left = data->records.data;
    int count = 0;
    struct batch_header header;
    while (batch_header_read(left.data, left.size, &header) == ERROR_NONE) {
        assert_true(batch_crc_valid(header.bytes, header.size));
        count += header.record_count;
        left = slice_from(left.data + header.size, left.size - header.size);
    }
    return count;
}
