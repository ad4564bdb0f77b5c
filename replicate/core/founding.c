/* SPDX-License-Identifier: Apache-2.0 */
/* The founding file: writing, and reading line by line. */
#include "replicate/core/founding.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FOUNDING_NAME "topicfs.founding"

enum { FOUNDING_BYTES_MAX = 64 << 10 };

/* ---- writing ---- */

struct lines {
    char *text;
    size_t size;
    size_t capacity;
};

static void line_add(struct lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What FOUNDING_MEMBERS_MAX members take is far below the capacity. */
static void line_add(struct lines *lines, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf(lines->text + lines->size, lines->capacity - lines->size, format, arguments);
    va_end(arguments);
    ASSERT(size > 0 && (size_t)size < lines->capacity - lines->size);
    lines->size += (size_t)size;
}

static void uuid_add(struct lines *lines, const char *key, const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    uuid_to_text(uuid, text);
    line_add(lines, "%s=%s\n", key, text);
}

static void member_add(struct lines *lines, const struct founding_member *member)
{
    char text[UUID_TEXT_BYTES];
    uuid_to_text(&member->uuid, text);
    line_add(lines, "member=%" PRId32 " %s %" PRId32 " %s\n", member->node_id, text, member->port,
             member->host);
}

enum error founding_store(struct storage *storage, const struct founding *founding)
{
    struct lines lines = {.text = memory_allocate(FOUNDING_BYTES_MAX),
                          .capacity = FOUNDING_BYTES_MAX};
    if (lines.text == NULL)
        return ERROR_OUT_OF_MEMORY;
    line_add(&lines, "version=1\n");
    uuid_add(&lines, "node.uuid", &founding->node_uuid);
    if (founding->agreed) {
        uuid_add(&lines, "cluster.id", &founding->cluster_id);
        line_add(&lines, "node.id=%" PRId32 "\n", founding->node_id);
        line_add(&lines, "founder=%s\n", founding->founder ? "true" : "false");
        for (uint32_t i = 0; i < founding->member_count; i++)
            member_add(&lines, &founding->members[i]);
    }
    enum error error = storage_write_whole(storage, FOUNDING_NAME, lines.text, lines.size);
    memory_free(lines.text);
    return error;
}

/* ---- reading ---- */

static bool number_read(const char *text, int32_t maximum, int32_t *ret_number)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 0 || number > maximum)
        return false;
    *ret_number = (int32_t)number;
    return true;
}

/* "ID UUID PORT HOST" */
static bool member_read(char *text, struct founding *founding)
{
    if (founding->member_count == FOUNDING_MEMBERS_MAX)
        return false;
    struct founding_member *member = &founding->members[founding->member_count];
    char *id = strsep(&text, " ");
    char *uuid = strsep(&text, " ");
    char *port = strsep(&text, " ");
    if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof member->host ||
        !number_read(id, INT32_MAX, &member->node_id) || !uuid_from_text(uuid, &member->uuid) ||
        !number_read(port, UINT16_MAX, &member->port))
        return false;
    memcpy(member->host, text, strlen(text) + 1);
    founding->member_count++;
    return true;
}

static bool line_read(char *line, struct founding *founding)
{
    char *value = strchr(line, '=');
    if (value == NULL)
        return line[0] == '\0';
    *value++ = '\0';
    if (strcmp(line, "version") == 0)
        return strcmp(value, "1") == 0;
    if (strcmp(line, "node.uuid") == 0)
        return uuid_from_text(value, &founding->node_uuid);
    if (strcmp(line, "cluster.id") == 0) {
        founding->agreed = true;
        return uuid_from_text(value, &founding->cluster_id);
    }
    if (strcmp(line, "node.id") == 0)
        return number_read(value, INT32_MAX - 1, &founding->node_id);
    if (strcmp(line, "founder") == 0) {
        founding->founder = strcmp(value, "true") == 0;
        return founding->founder || strcmp(value, "false") == 0;
    }
    return strcmp(line, "member") == 0 && member_read(value, founding);
}

static bool text_read(char *text, size_t size, struct founding *founding)
{
    bool sound = strlen(text) == size;
    char *line;
    while (sound && (line = strsep(&text, "\n")) != NULL)
        sound = line_read(line, founding);
    return sound && !uuid_is_zero(&founding->node_uuid) &&
           (!founding->agreed || !uuid_is_zero(&founding->cluster_id));
}

enum error founding_load(struct storage *storage, struct founding *ret_founding,
                         struct failure *failure)
{
    char *text = NULL;
    size_t size = 0;
    enum error error = storage_read_whole(storage, FOUNDING_NAME, FOUNDING_BYTES_MAX, &text, &size);
    if (error == ERROR_NOT_FOUND)
        return error;
    if (error != ERROR_NONE)
        return failure_at(failure, error, "read %s", FOUNDING_NAME);
    *ret_founding = (struct founding){.node_id = -1};
    bool sound = text_read(text, size, ret_founding);
    memory_free(text);
    return sound ? ERROR_NONE
                 : failure_because(failure, ERROR_MALFORMED, "%s is damaged", FOUNDING_NAME);
}

const struct founding_member *founding_member_of(const struct founding *founding,
                                                 const struct uuid *uuid)
{
    for (uint32_t i = 0; i < founding->member_count; i++) {
        if (uuid_equals(&founding->members[i].uuid, uuid))
            return &founding->members[i];
    }
    return NULL;
}

const struct founding_member *founding_member_find(const struct founding *founding, int32_t node_id)
{
    for (uint32_t i = 0; i < founding->member_count; i++) {
        if (founding->members[i].node_id == node_id)
            return &founding->members[i];
    }
    return NULL;
}
