/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateFeatures: what there is may be asked for; all updates or none. */
#include "handle/broker_fixture.h"
#include "wire/api_update_features.h"

#include <cmocka.h>

struct update {
    const char *feature;
    int16_t level;
    int8_t type;
};

static const struct update_features_response *ask(struct broker_fixture *f,
                                                  struct exchange *exchange, int16_t version,
                                                  const struct update *updates, uint32_t count)
{
    struct update_features_request *body =
        exchange_begin(f, exchange, API_UPDATE_FEATURES, version);
    body->feature_updates =
        arena_allocate_array(&exchange->arena, count, sizeof *body->feature_updates);
    body->feature_updates_count = count;
    for (uint32_t i = 0; i < count; i++) {
        update_features_request_feature_update_key_init(&body->feature_updates[i]);
        body->feature_updates[i].feature = slice_of(updates[i].feature);
        body->feature_updates[i].max_version_level = updates[i].level;
        body->feature_updates[i].upgrade_type = updates[i].type;
    }
    return exchange_run(f, exchange);
}

/* Old versions hear of each, the newest of all in one. */
static void the_level_there_is_may_be_asked_for(void **state)
{
    struct broker_fixture *f = *state;
    static const struct update updates[] = {{"metadata.version", 30, 1},
                                            {"eligible.leader.replicas.version", 1, 1}};
    for (int16_t version = 0; version <= 2; version++) {
        struct exchange exchange;
        const struct update_features_response *answer = ask(f, &exchange, version, updates, 2);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_int_equal(answer->results_count, version < 2 ? 2 : 0);
        for (uint32_t i = 0; i < answer->results_count; i++) {
            assert_slice(answer->results[i].feature, updates[i].feature);
            assert_kafka_error(answer->results[i].error_code, ERROR_NONE);
        }
        exchange_done(&exchange);
    }
}

/* Each mistake has Kafka's answer. */
static void mistakes_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    static const struct {
        struct update update;
        enum error expected;
    } cases[] = {
        {{"metadata.version", 29, 2}, ERROR_INVALID_UPDATE_VERSION},
        {{"metadata.version", 31, 1}, ERROR_INVALID_UPDATE_VERSION},
        {{"metadata.version", -1, 1}, ERROR_INVALID_UPDATE_VERSION},
        {{"metadata.version", 30, 0}, ERROR_INVALID_REQUEST},
        {{"metadata.version", 30, 4}, ERROR_INVALID_REQUEST},
        {{"no.such.feature", 1, 1}, ERROR_INVALID_UPDATE_VERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct update both[] = {{"kraft.version", 1, 1}, cases[i].update};
        struct exchange exchange;
        const struct update_features_response *answer = ask(f, &exchange, 1, both, 2);
        assert_kafka_error(answer->error_code, cases[i].expected);
        assert_int_equal(answer->results_count, 0);
        assert_non_null(answer->error_message.data);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(the_level_there_is_may_be_asked_for),
        WITH_BROKER(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
