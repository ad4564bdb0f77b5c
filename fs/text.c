/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text; its failure is sticky so that whoever writes twenty lines checks once. */
#include "fs/text.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Room for `size` more bytes and the NUL. */
static bool text_reserve(struct text *text, size_t size)
{
    if (text->failed)
        return false;
    size_t wanted = text->size + size + 1;
    if (wanted <= text->capacity)
        return true;
    size_t capacity = text->capacity == 0 ? 256 : text->capacity;
    while (capacity < wanted)
        capacity *= 2;
    char *bytes = memory_resize(text->bytes, capacity);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_add_bytes(struct text *text, const void *bytes, size_t size)
{
    if (!text_reserve(text, size))
        return;
    if (size > 0)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (needed < 0 || !text_reserve(text, (size_t)needed))
        return;
    va_start(arguments, format);
    (void)vsnprintf(text->bytes + text->size, (size_t)needed + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)needed;
}

void text_done(struct text *text)
{
    memory_free(text->bytes);
    *text = (struct text){0};
}

const char *text_time(int64_t wall_clock_ms, char out[TIME_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_clock_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(out, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(out, "-", sizeof "-");
    return out;
}
