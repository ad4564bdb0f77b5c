/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for records with Fetch: for tests of fetch.c and fetch_session.c. */
#ifndef TESTS_HANDLE_FETCH_FIXTURE_H
#define TESTS_HANDLE_FETCH_FIXTURE_H

#include "handle/produce_fixture.h"
#include "wire/api_fetch.h"

enum { FETCH_PARTS_MAX = 8 };

/* One Fetch being put together; version 12 (topics by name) unless said otherwise. */
struct fetching {
    struct broker_fixture *f;
    struct exchange exchange;
    struct fetch_request *body;
    struct fetch_request_fetch_topic topics[FETCH_PARTS_MAX];
    struct fetch_request_fetch_partition partitions[FETCH_PARTS_MAX];
    struct fetch_request_forgotten_topic forgotten[FETCH_PARTS_MAX];
    int32_t forgotten_partitions[FETCH_PARTS_MAX];
    const struct fetch_response *answer; /* After fetching_run. */
};

/* Sessionless, no wait, at most 1 MiB. */
void fetching_begin(struct broker_fixture *f, struct fetching *fetching, int16_t version);

/* Adds a partition from `offset` on, at most 1 MiB; the struct may be changed before it is sent. */
struct fetch_request_fetch_partition *fetching_add(struct fetching *fetching, const char *topic,
                                                   int32_t partition, int64_t offset);

/* Takes a partition out of the session. */
void fetching_forget(struct fetching *fetching, const char *topic, int32_t partition);

const struct fetch_response *fetching_run(struct fetching *fetching);
void fetching_done(struct fetching *fetching);

/* The answer for one partition; NULL when it says nothing of it. By id from version 13 on. */
const struct fetch_response_partition_data *fetching_find(const struct fetching *fetching,
                                                          const char *topic, int32_t partition);

uint32_t fetching_answer_count(const struct fetching *fetching);

/* How many records of whole batches the answer's bytes hold; checks their CRC. */
int record_count(const struct fetch_response_partition_data *data);

#endif
