/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes and encodes messages again, for tests that make bytes in another language.
 *
 * A line in: NAME VERSION HEX. A line out: HEX, or what was wrong. */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES_MAX = 1 << 16 };

static const struct sample_message *find(const char *name)
{
    for (size_t i = 0; i < sample_messages_count; i++) {
        if (strcmp(sample_messages[i].name, name) == 0)
            return &sample_messages[i];
    }
    return NULL;
}

static size_t parse_hex(const char *text, uint8_t *bytes)
{
    size_t size = 0;
    while (size < MESSAGE_BYTES_MAX && sscanf(text + 2 * size, "%2hhx", &bytes[size]) == 1)
        size++;
    return size;
}

static void echo(const struct sample_message *kind, int16_t version, struct slice bytes)
{
    struct arena arena;
    arena_init(&arena, 1 << 24);
    void *message = arena_allocate(&arena, kind->size);
    struct reader reader;
    reader_init(&reader, bytes);
    enum error error = kind->decode(&reader, version, &arena, message);
    if (error != ERROR_NONE) {
        printf("decode: %s\n", error_text(error));
    } else if (reader_left(&reader) != 0) {
        printf("%zu bytes left\n", reader_left(&reader));
    } else {
        struct writer writer;
        writer_init(&writer);
        kind->encode(&writer, version, message);
        struct slice again = SLICE_EMPTY;
        error = writer_finish_slice(&writer, &arena, &again);
        for (size_t i = 0; i < again.size; i++)
            printf("%02x", again.data[i]);
        printf("%s\n", error == ERROR_NONE ? "" : error_text(error));
    }
    arena_done(&arena);
}

int main(void)
{
    static char line[2 * MESSAGE_BYTES_MAX + 100];
    static char hex[2 * MESSAGE_BYTES_MAX + 1];
    static uint8_t bytes[MESSAGE_BYTES_MAX];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char name[80];
        int version;
        hex[0] = '\0';
        const struct sample_message *kind = NULL;
        if (sscanf(line, "%79s %d %131072s", name, &version, hex) >= 2)
            kind = find(name);
        if (kind == NULL || version < kind->version_min || version > kind->version_max)
            printf("no such message or version\n");
        else
            echo(kind, (int16_t)version, slice_from(bytes, parse_hex(hex, bytes)));
    }
    return EXIT_SUCCESS;
}
