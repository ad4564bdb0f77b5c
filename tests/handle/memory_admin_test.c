/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out while topics, configurations and the cluster are looked at and changed. */
#include "handle/memory_sweep.h"
#include "wire/api_alter_configs.h"
#include "wire/api_api_versions.h"
#include "wire/api_create_partitions.h"
#include "wire/api_create_topics.h"
#include "wire/api_delete_topics.h"
#include "wire/api_describe_cluster.h"
#include "wire/api_describe_configs.h"
#include "wire/api_describe_topic_partitions.h"
#include "wire/api_incremental_alter_configs.h"
#include "wire/api_list_config_resources.h"
#include "wire/api_metadata.h"

#include <cmocka.h>

static void topics(struct broker_fixture *f)
{
    fixture_topic(f, "orders", 3);
    fixture_topic(f, "payments", 1);
}

/* ---- Metadata ---- */

static void fill_metadata_all(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    ((struct metadata_request *)body)->topics = NULL;
}

static int16_t metadata_error(const void *answer)
{
    const struct metadata_response *response = answer;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        if (response->topics[i].error_code != 0)
            return response->topics[i].error_code;
    }
    return 0;
}

static void metadata_of_all_topics_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_METADATA,
                                  .version = 12,
                                  .prepare = topics,
                                  .fill = fill_metadata_all,
                                  .error = metadata_error});
}

static void fill_metadata_new(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct metadata_request *request = body;
    (void)f;
    request->topics_count = 2;
    request->topics = arena_allocate_array(arena, 2, sizeof *request->topics);
    request->topics[0].name = slice_of("orders");
    request->topics[1].name = slice_of("new");
}

static void metadata_that_makes_a_topic_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_METADATA,
                                  .version = 12,
                                  .prepare = topics,
                                  .fill = fill_metadata_new,
                                  .error = metadata_error});
}

/* ---- topics ---- */

static void fill_create(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct create_topics_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topics_count = 2;
    request->topics = arena_allocate_array(arena, 2, sizeof *request->topics);
    for (int i = 0; i < 2; i++) {
        struct create_topics_request_creatable_topic *topic = &request->topics[i];
        create_topics_request_creatable_topic_init(topic);
        topic->name = slice_of(i == 0 ? "new" : "newer");
        topic->num_partitions = 2;
        topic->replication_factor = 1;
        topic->configs_count = 1;
        topic->configs = arena_allocate(arena, sizeof *topic->configs);
        topic->configs[0].name = slice_of("retention.ms");
        topic->configs[0].value = slice_of("60000");
    }
}

static int16_t create_error(const void *answer)
{
    const struct create_topics_response *response = answer;
    for (int i = 0; i < 2; i++) {
        if (response->topics[i].error_code != 0)
            return response->topics[i].error_code;
        if (response->topics[i].topic_config_error_code != 0)
            return response->topics[i].topic_config_error_code; /* Made; not described. */
    }
    return 0;
}

static void create_topics_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_CREATE_TOPICS,
                                  .version = 7,
                                  .prepare = topics,
                                  .fill = fill_create,
                                  .error = create_error});
}

static void fill_validate(struct broker_fixture *f, struct arena *arena, void *body)
{
    fill_create(f, arena, body);
    ((struct create_topics_request *)body)->validate_only = true;
}

static void a_validated_creation_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_CREATE_TOPICS,
                                  .version = 7,
                                  .prepare = topics,
                                  .fill = fill_validate,
                                  .error = create_error});
}

static void fill_delete(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct delete_topics_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topics_count = 2;
    request->topics = arena_allocate_array(arena, 2, sizeof *request->topics);
    request->topics[0].name = slice_of("orders");
    request->topics[1].name = slice_of("payments");
}

static int16_t delete_error(const void *answer)
{
    const struct delete_topics_response *response = answer;
    return response->responses[0].error_code != 0 ? response->responses[0].error_code
                                                  : response->responses[1].error_code;
}

static void delete_topics_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DELETE_TOPICS,
                                  .version = 6,
                                  .prepare = topics,
                                  .fill = fill_delete,
                                  .error = delete_error});
}

static void fill_create_partitions(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct create_partitions_request *request = body;
    (void)f;
    request->timeout_ms = 1000;
    request->topics_count = 2;
    request->topics = arena_allocate_array(arena, 2, sizeof *request->topics);
    request->topics[0].name = slice_of("orders");
    request->topics[0].count = 5;
    request->topics[1].name = slice_of("payments");
    request->topics[1].count = 2;
}

static int16_t create_partitions_error(const void *answer)
{
    const struct create_partitions_response *response = answer;
    return response->results[0].error_code != 0 ? response->results[0].error_code
                                                : response->results[1].error_code;
}

static void create_partitions_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_CREATE_PARTITIONS,
                                  .version = 3,
                                  .prepare = topics,
                                  .fill = fill_create_partitions,
                                  .error = create_partitions_error});
}

static void fill_describe_partitions(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct describe_topic_partitions_request *request = body;
    (void)f;
    request->topics_count = 2;
    request->topics = arena_allocate_array(arena, 2, sizeof *request->topics);
    request->topics[0].name = slice_of("orders");
    request->topics[1].name = slice_of("payments");
    request->response_partition_limit = 2;
}

static int16_t describe_partitions_error(const void *answer)
{
    const struct describe_topic_partitions_response *response = answer;
    return response->topics_count == 0 ? 0 : response->topics[0].error_code;
}

/* With a cursor to go on from. */
static void describe_topic_partitions_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_TOPIC_PARTITIONS,
                                  .version = 0,
                                  .prepare = topics,
                                  .fill = fill_describe_partitions,
                                  .error = describe_partitions_error});
}

/* ---- configurations ---- */

static void fill_describe_configs(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct describe_configs_request *request = body;
    (void)f;
    request->include_synonyms = true;
    request->include_documentation = true;
    request->resources_count = 2;
    request->resources = arena_allocate_array(arena, 2, sizeof *request->resources);
    request->resources[0].resource_type = 2;
    request->resources[0].resource_name = slice_of("orders");
    request->resources[0].configuration_keys = NULL;
    request->resources[1].resource_type = 4;
    request->resources[1].resource_name = slice_of("1");
    request->resources[1].configuration_keys = NULL;
}

static int16_t describe_configs_error(const void *answer)
{
    const struct describe_configs_response *response = answer;
    return response->results[0].error_code != 0 ? response->results[0].error_code
                                                : response->results[1].error_code;
}

static void describe_configs_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_CONFIGS,
                                  .version = 4,
                                  .prepare = topics,
                                  .fill = fill_describe_configs,
                                  .error = describe_configs_error});
}

static void fill_alter(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct alter_configs_request *request = body;
    (void)f;
    request->resources_count = 2;
    request->resources = arena_allocate_array(arena, 2, sizeof *request->resources);
    for (int i = 0; i < 2; i++) {
        struct alter_configs_request_alter_configs_resource *resource = &request->resources[i];
        resource->resource_type = i == 0 ? 2 : 4;
        resource->resource_name = slice_of(i == 0 ? "orders" : "1");
        resource->configs_count = 1;
        resource->configs = arena_allocate(arena, sizeof *resource->configs);
        resource->configs[0].name = slice_of(i == 0 ? "retention.ms" : "log.retention.ms");
        resource->configs[0].value = slice_of("60000");
    }
}

static int16_t alter_error(const void *answer)
{
    const struct alter_configs_response *response = answer;
    return response->responses[0].error_code != 0 ? response->responses[0].error_code
                                                  : response->responses[1].error_code;
}

static void alter_configs_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_ALTER_CONFIGS,
                                  .version = 2,
                                  .prepare = topics,
                                  .fill = fill_alter,
                                  .error = alter_error});
}

static void fill_incremental(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct incremental_alter_configs_request *request = body;
    (void)f;
    request->resources_count = 2;
    request->resources = arena_allocate_array(arena, 2, sizeof *request->resources);
    for (int i = 0; i < 2; i++) {
        struct incremental_alter_configs_request_alter_configs_resource *resource =
            &request->resources[i];
        resource->resource_type = i == 0 ? 2 : 4;
        resource->resource_name = slice_of(i == 0 ? "orders" : "1");
        resource->configs_count = 1;
        resource->configs = arena_allocate(arena, sizeof *resource->configs);
        resource->configs[0].name = slice_of(i == 0 ? "cleanup.policy" : "log.cleanup.policy");
        resource->configs[0].config_operation = 2;
        resource->configs[0].value = slice_of("compact");
    }
}

static int16_t incremental_error(const void *answer)
{
    const struct incremental_alter_configs_response *response = answer;
    return response->responses[0].error_code != 0 ? response->responses[0].error_code
                                                  : response->responses[1].error_code;
}

static void incremental_alter_configs_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_INCREMENTAL_ALTER_CONFIGS,
                                  .version = 1,
                                  .prepare = topics,
                                  .fill = fill_incremental,
                                  .error = incremental_error});
}

static void fill_list_resources(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    (void)body;
}

static int16_t list_resources_error(const void *answer)
{
    const struct list_config_resources_response *response = answer;
    return response->error_code;
}

static void list_config_resources_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LIST_CONFIG_RESOURCES,
                                  .version = 1,
                                  .prepare = topics,
                                  .fill = fill_list_resources,
                                  .error = list_resources_error});
}

/* ---- the cluster ---- */

static void nodes(struct broker_fixture *f)
{
    fixture_add_node(f, 2);
    fixture_add_node(f, 3);
}

static void fill_cluster(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    (void)body;
}

static int16_t cluster_error(const void *answer)
{
    const struct describe_cluster_response *response = answer;
    return response->error_code;
}

static void describe_cluster_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_DESCRIBE_CLUSTER,
                                  .version = 2,
                                  .prepare = nodes,
                                  .fill = fill_cluster,
                                  .error = cluster_error});
}

static void fill_versions(struct broker_fixture *f, struct arena *arena, void *body)
{
    struct api_versions_request *request = body;
    (void)f;
    (void)arena;
    request->client_software_name = slice_of("client");
    request->client_software_version = slice_of("1");
}

static int16_t versions_error(const void *answer)
{
    const struct api_versions_response *response = answer;
    return response->error_code;
}

static void api_versions_survives(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){
        .key = API_API_VERSIONS, .version = 3, .fill = fill_versions, .error = versions_error});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_of_all_topics_survives),
        cmocka_unit_test(metadata_that_makes_a_topic_survives),
        cmocka_unit_test(create_topics_survives),
        cmocka_unit_test(a_validated_creation_survives),
        cmocka_unit_test(delete_topics_survives),
        cmocka_unit_test(create_partitions_survives),
        cmocka_unit_test(describe_topic_partitions_survives),
        cmocka_unit_test(describe_configs_survives),
        cmocka_unit_test(alter_configs_survives),
        cmocka_unit_test(incremental_alter_configs_survives),
        cmocka_unit_test(list_config_resources_survives),
        cmocka_unit_test(describe_cluster_survives),
        cmocka_unit_test(api_versions_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
