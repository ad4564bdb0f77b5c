/* SPDX-License-Identifier: Apache-2.0 */
/* What a producer of the crash tests sends and writes down, outside the node:
 *
 *     record    NAME SEQUENCE FILL            FILL follows from NAME and SEQUENCE:
 *                                             record_fill in check_records.py
 *     journal   producer NAME KIND            KIND: idempotent, plain, unordered or file
 *               ack PARTITION SEQUENCE OFFSET the node acknowledged it (OFFSET -1: not told)
 *               unknown PARTITION SEQUENCE    an error: it may be in the log or not
 *               sent PARTITION COUNT          at the end: sequences 0..COUNT-1 were tried
 *
 * Unordered is a plain one that may be left hanging by a leader: librdkafka counts requests in
 * flight by broker, so that what a hung broker kept is sent again behind what the next one took
 * meanwhile.
 */
#ifndef CRASH_JOURNAL_H
#define CRASH_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Writes the record of this sequence, without a newline; returns its size. The room must do for the
 * name, a number, two spaces and fill_bytes. */
static inline size_t record_format(char *record, const char *name, uint64_t sequence,
                                   size_t fill_bytes)
{
    size_t size = (size_t)sprintf(record, "%s %llu ", name, (unsigned long long)sequence);
    char pattern[9];
    sprintf(pattern, "%08x", (uint32_t)(sequence * 2654435761U));
    for (size_t i = 0; i < fill_bytes; i++)
        record[size + i] = pattern[i % 8];
    return size + fill_bytes;
}

/* A journal, written out line by line; NULL when it cannot be made. */
static inline FILE *journal_open(const char *path, const char *name, const char *kind)
{
    FILE *journal = fopen(path, "we");
    if (journal == NULL)
        return NULL;
    setvbuf(journal, NULL, _IOLBF, BUFSIZ);
    fprintf(journal, "producer %s %s\n", name, kind);
    return journal;
}

#endif
