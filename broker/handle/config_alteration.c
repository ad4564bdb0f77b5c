/* SPDX-License-Identifier: Apache-2.0 */
/* From key changes to pairs, checked and proposed. Kafka's ConfigAdminManager and
 * ConfigurationControlManager. */
#include "handle/config_alteration.h"

#include "handle/config_edit.h"
#include "handle/duplicates.h"
#include "handle/handlers.h"

struct alter_one {
    struct config_change change;
    struct config_edit edit;
    struct request *request;
    struct slice name; /* Type and name in one: a resource is named once. */
    struct config_key_change *changes;
    uint32_t change_count;
    struct config_answer answer;
};

struct config_alteration {
    struct request *request;
    bool replace;
    bool validate_only;
    struct alter_one *each;
    uint32_t count;
};

static void refuse(const struct alter_one *one, enum error error, struct slice reason)
{
    *one->answer.ret_error_code = error_to_kafka(error);
    *one->answer.ret_error_message = slice_is_null(reason) ? slice_of(error_text(error)) : reason;
}

static void one_done(struct config_change *change)
{
    struct alter_one *one = container_of(change, struct alter_one, change);
    if (change->error != ERROR_NONE)
        refuse(one, change->error, SLICE_NULL);
    request_release(one->request);
}

/* ---- append and subtract ---- */

static bool list_holds(const char *list, struct slice element)
{
    struct slice other;
    while (config_list_next(&list, &other)) {
        if (slice_equals(element, other))
            return true;
    }
    return false;
}

/* Adds those elements of `list` to `text` that `without` does not hold. */
static void add_elements(char *text, const char *list, const char *without)
{
    size_t used = strlen(text);
    struct slice element;
    while (config_list_next(&list, &element)) {
        if (list_holds(without, element))
            continue;
        if (used > 0)
            text[used++] = ',';
        memcpy(text + used, element.data, element.size);
        used += element.size;
        text[used] = '\0';
    }
}

/* What the list is without the change: the resource's own value, else what it falls back to. */
static const char *list_before(struct broker *broker, const struct config_edit *edit,
                               const char *key)
{
    const char *value = config_set_get(config_edit_present(broker, edit), key);
    if (value == NULL && config_edit_scope(edit) == CONFIG_TOPIC)
        value = config_topic_value(broker->config, NULL, key, NULL);
    if (value == NULL && config_edit_scope(edit) == CONFIG_NODE)
        value = config_node_value(broker->config, key, NULL);
    return value == NULL ? "" : value;
}

static enum error change_list(struct request *request, const struct config_edit *edit,
                              const struct config_key_change *change, struct slice *ret_value,
                              struct slice *ret_reason)
{
    struct arena *arena = &request->arena;
    struct slice key = arena_copy(arena, change->key);
    struct slice value = arena_copy(arena, change->value);
    if (key.data == NULL || value.data == NULL)
        return ERROR_OUT_OF_MEMORY;
    const struct config_row *row = config_find(config_edit_scope(edit), (const char *)key.data);
    if (row == NULL || row->type != CONFIG_LIST) {
        *ret_reason =
            arena_format(arena, "Can't %s to key %.*s because its type is not LIST.",
                         change->operation == CONFIG_APPEND_ELEMENTS ? "APPEND" : "SUBTRACT",
                         SLICE_PRINT(change->key));
        return ERROR_INVALID_CONFIG;
    }
    const char *before = list_before(request->broker, edit, row->key);
    const char *elements = (const char *)value.data;
    char *text = arena_allocate(arena, strlen(before) + strlen(elements) + 3);
    if (text == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (change->operation == CONFIG_APPEND_ELEMENTS) {
        add_elements(text, before, "");
        add_elements(text, elements, before);
    } else {
        add_elements(text, before, elements);
    }
    *ret_value = slice_of(text);
    return ERROR_NONE;
}

/* ---- from changes to pairs ---- */

static enum error pair_from(struct request *request, const struct config_edit *edit,
                            const struct config_key_change *change, struct catalog_pair *ret_pair,
                            struct slice *ret_reason)
{
    *ret_pair = (struct catalog_pair){change->key, change->value};
    if (change->operation == CONFIG_DELETE_KEY) {
        ret_pair->value = SLICE_NULL;
        return ERROR_NONE;
    }
    if (change->operation < CONFIG_SET_KEY || change->operation > CONFIG_SUBTRACT_ELEMENTS) {
        *ret_reason = arena_format(&request->arena, "Unknown operation %d.", change->operation);
        return ERROR_INVALID_REQUEST;
    }
    if (slice_is_null(change->value)) {
        *ret_reason = arena_format(&request->arena, "Null value not supported for : %.*s",
                                   SLICE_PRINT(change->key));
        return ERROR_INVALID_REQUEST;
    }
    if (change->operation == CONFIG_SET_KEY)
        return ERROR_NONE;
    return change_list(request, edit, change, &ret_pair->value, ret_reason);
}

struct removal {
    struct config_edit *edit;
    uint32_t named; /* Pairs from the request; behind them the removals. */
    struct arena *arena;
    bool refused;
};

static void remove_unnamed(void *context, const char *key, const char *value)
{
    (void)value;
    struct removal *removal = context;
    for (uint32_t i = 0; i < removal->named; i++) {
        if (slice_equals_text(removal->edit->pairs[i].key, key))
            return;
    }
    struct slice copy = arena_copy(removal->arena, slice_of(key));
    removal->refused = removal->refused || copy.data == NULL;
    removal->edit->pairs[removal->edit->pair_count++] = (struct catalog_pair){copy, SLICE_NULL};
}

static enum error check_keys(const struct alter_one *one, struct slice *ret_reason)
{
    const bool *duplicates =
        duplicates_mark(&one->request->arena, one->changes, one->change_count, sizeof *one->changes,
                        offsetof(struct config_key_change, key));
    if (duplicates == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < one->change_count; i++) {
        if (duplicates[i]) {
            *ret_reason = slice_of("Error due to duplicate config keys");
            return ERROR_INVALID_REQUEST;
        }
    }
    return ERROR_NONE;
}

/* The edit's pairs, checked. */
static enum error make_edit(const struct config_alteration *all, struct alter_one *one,
                            struct slice *ret_reason)
{
    struct request *request = all->request;
    struct config_edit *edit = &one->edit;
    enum error error = check_keys(one, ret_reason);
    if (error == ERROR_NONE)
        error = config_edit_check_resource(request->broker, &request->arena, edit, ret_reason);
    if (error != ERROR_NONE)
        return error;
    const struct config_set *present = config_edit_present(request->broker, edit);
    uint32_t room = one->change_count + (all->replace ? config_set_count(present) : 0);
    edit->pairs = arena_allocate_array(&request->arena, room, sizeof *edit->pairs);
    if (edit->pairs == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < one->change_count && error == ERROR_NONE; i++)
        error = pair_from(request, edit, &one->changes[i], &edit->pairs[edit->pair_count++],
                          ret_reason);
    if (error == ERROR_NONE)
        error = config_edit_check_pairs(request->broker, &request->arena, edit, all->replace,
                                        ret_reason);
    if (error != ERROR_NONE || !all->replace)
        return error;
    struct removal removal = {edit, edit->pair_count, &request->arena, false};
    config_set_each(present, remove_unnamed, &removal);
    return removal.refused ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
}

static void alter_start(const struct config_alteration *all, struct alter_one *one, bool duplicate)
{
    struct slice reason = SLICE_NULL;
    enum error error = ERROR_NONE;
    if (duplicate) {
        reason = slice_of("Each resource must appear at most once.");
        error = ERROR_INVALID_REQUEST;
    } else {
        error = make_edit(all, one, &reason);
    }
    if (error != ERROR_NONE) {
        refuse(one, error, reason);
        return;
    }
    if (all->validate_only || one->edit.pair_count == 0)
        return;
    one->change.done = one_done;
    request_hold(all->request);
    config_change_start(all->request->broker, &one->edit, &one->change);
}

struct config_alteration *config_alteration_new(struct request *request, uint32_t count,
                                                bool replace, bool validate_only)
{
    struct config_alteration *all = arena_allocate(&request->arena, sizeof *all);
    if (all == NULL)
        return NULL;
    *all = (struct config_alteration){
        .request = request, .replace = replace, .validate_only = validate_only};
    all->each = arena_allocate_array(&request->arena, count, sizeof *all->each);
    return all->each == NULL ? NULL : all;
}

struct config_key_change *config_alteration_add(struct config_alteration *all, int8_t resource_type,
                                                struct slice resource_name, uint32_t change_count,
                                                struct config_answer answer)
{
    struct arena *arena = &all->request->arena;
    struct alter_one *one = &all->each[all->count++];
    one->request = all->request;
    one->edit.resource_type = resource_type;
    one->edit.resource_name = resource_name;
    one->name = arena_format(arena, "%d %.*s", resource_type, SLICE_PRINT(resource_name));
    one->changes = arena_allocate_array(arena, change_count, sizeof *one->changes);
    one->change_count = change_count;
    one->answer = answer;
    return one->name.data == NULL ? NULL : one->changes;
}

void config_alteration_start(struct config_alteration *all)
{
    struct request *request = all->request;
    const bool *duplicates = duplicates_mark(&request->arena, all->each, all->count,
                                             sizeof *all->each, offsetof(struct alter_one, name));
    if (duplicates == NULL) {
        request_fail(request);
        return;
    }
    request_hold(request);
    for (uint32_t i = 0; i < all->count; i++)
        alter_start(all, &all->each[i], duplicates[i]);
    request_release(request);
}
