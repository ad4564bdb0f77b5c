/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes cut into any requests: the lines that come out are those of the bytes as a whole, as
 * long as none is too large; names and places never do more than be refused.
 *
 *   input: limit (1 byte), then requests: size (1 byte), that many bytes */
#include "base/assertion.h"
#include "base/memory.h"
#include "fs/lines.h"
#include "fs/name.h"
#include "fs/options.h"
#include "fs/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was written so far and not given out as a line. */
struct expected {
    uint8_t *bytes;
    size_t begin;
    size_t end;
};

static void take_line(struct expected *expected, struct slice line)
{
    ASSERT(expected->end - expected->begin > line.size);
    ASSERT(line.size == 0 || memcmp(expected->bytes + expected->begin, line.data, line.size) == 0);
    ASSERT(expected->bytes[expected->begin + line.size] == '\n');
    expected->begin += line.size + 1;
}

/* One request, stored or failed; false when a line was refused and the bytes no longer agree. */
static bool cut(struct lines *lines, struct expected *expected, struct slice request, size_t limit,
                bool fails)
{
    struct lines_cut state;
    struct lines previous;
    struct slice line;
    size_t begin = expected->begin, end = expected->end;
    memcpy(expected->bytes + end, request.data, request.size);
    expected->end += request.size;
    lines_cut_start(&state, lines, request, limit);
    enum error error;
    while ((error = lines_cut_next(&state, &line)) == ERROR_NONE)
        take_line(expected, line);
    ASSERT(error == ERROR_NOT_FOUND || error == ERROR_MESSAGE_TOO_LARGE);
    if (error == ERROR_MESSAGE_TOO_LARGE && state.taken == 0) {
        lines_cut_refuse(&state);
        ASSERT(lines_kept(lines).size == 0);
        return false;
    }
    bool whole = error == ERROR_NOT_FOUND;
    ASSERT(lines_cut_finish(&state, whole, &previous) == ERROR_NONE);
    if (fails && state.taken > 0) {
        lines_restore(lines, &previous);
        expected->begin = begin;
        expected->end = end;
    } else {
        lines_done(&previous);
        if (!whole)
            expected->begin = expected->end = 0;
    }
    ASSERT(lines_kept(lines).size == expected->end - expected->begin);
    ASSERT(expected->end == expected->begin ||
           memcmp(lines->kept, expected->bytes + expected->begin, lines->kept_size) == 0);
    return true;
}

static void parse_as_text(const uint8_t *data, size_t size)
{
    char *text = memory_copy_text(data, size);
    char name[FILE_NAME_BYTES_MAX + 1];
    struct selector from, to;
    struct mount_options options = mount_options_default(false);
    size_t id_size;
    int32_t index;
    bool has_end;
    if (text == NULL)
        return;
    (void)selector_parse(text, INT64_MAX / 4, &from);
    (void)selector_parse_range(text, 1795435200000, &from, &to, &has_end);
    (void)mount_options_parse(text, &options, NULL);
    (void)name_to_topic(text, name);
    (void)name_to_partition(text, &index);
    if (name_to_group(text, name, &id_size)) {
        char back[FILE_NAME_BYTES_MAX + 1];
        ASSERT(name_of_group(slice_from(name, id_size), back));
        ASSERT(strcmp(back, text) == 0);
    }
    memory_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_as_text(data, size);
    if (size < 1)
        return 0;
    struct lines lines = {0};
    struct expected expected = {.bytes = memory_allocate(size + 1)};
    size_t limit = data[0];
    for (size_t at = 1; at < size && expected.bytes != NULL;) {
        size_t wanted = data[at] >> 1, left = size - at - 1;
        struct slice request = {data + at + 1, wanted < left ? wanted : left};
        if (!cut(&lines, &expected, request, limit, data[at] & 1))
            break;
        at += 1 + request.size;
    }
    lines_done(&lines);
    memory_free(expected.bytes);
    return 0;
}
