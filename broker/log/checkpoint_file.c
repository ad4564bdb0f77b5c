/* SPDX-License-Identifier: Apache-2.0 */
/* Reading Kafka's checkpoint files without trusting them. */
#include "log/checkpoint_file.h"

#include "base/memory.h"

#include <string.h>

enum error checkpoint_open(struct storage *storage, const char *path, size_t size_max,
                           struct checkpoint_reader *ret_reader)
{
    char *text;
    size_t size;
    enum error error = storage_read_whole(storage, path, size_max, &text, &size);
    if (error != ERROR_NONE)
        return error;
    struct checkpoint_reader reader = {.text = text, .next = text, .end = text + size};
    int64_t version;
    if (!checkpoint_read_number(&reader, '\n', &version) || version != 0 ||
        !checkpoint_read_number(&reader, '\n', &reader.count) || reader.count < 0 ||
        reader.count > reader.end - reader.next) {
        memory_free(text);
        return ERROR_MALFORMED;
    }
    *ret_reader = reader;
    return ERROR_NONE;
}

void checkpoint_close(struct checkpoint_reader *reader)
{
    memory_free(reader->text);
    *reader = (struct checkpoint_reader){0};
}

bool checkpoint_read_number(struct checkpoint_reader *reader, char delimiter, int64_t *ret_number)
{
    const char *at = reader->next;
    bool negative = at < reader->end && *at == '-';
    if (negative)
        at++;
    const char *first = at;
    int64_t number = 0;
    while (at < reader->end && *at >= '0' && *at <= '9') {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number))
            return false;
        at++;
    }
    if (at == first || at == reader->end || *at != delimiter)
        return false;
    reader->next = at + 1;
    *ret_number = negative ? -number : number;
    return true;
}

bool checkpoint_read_word(struct checkpoint_reader *reader, char delimiter, char *ret_word,
                          size_t size)
{
    const char *stop = memchr(reader->next, delimiter, (size_t)(reader->end - reader->next));
    if (stop == NULL)
        return false;
    size_t length = (size_t)(stop - reader->next);
    if (length == 0 || length >= size || memchr(reader->next, '\n', length) != NULL ||
        memchr(reader->next, '\0', length) != NULL)
        return false;
    memcpy(ret_word, reader->next, length);
    ret_word[length] = '\0';
    reader->next = stop + 1;
    return true;
}

bool checkpoint_read_end(const struct checkpoint_reader *reader)
{
    return reader->next == reader->end;
}
