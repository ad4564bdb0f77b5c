/* SPDX-License-Identifier: Apache-2.0 */
/* Appends lines to a partition file until SIGTERM, however often the mount dies:
 * file_writer FILE PARTITION JOURNAL NAME */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LINES_MAX = 8, LONG_FILL_BYTES = 300000, LONGEST_FILL_BYTES = 1040000, PAUSE_MS = 2 };

struct writer {
    const char *path;
    const char *name;
    int partition;
    FILE *journal;
    int file; /* -1 while it cannot be opened */
    uint64_t sequence;
    uint64_t errors;
    char *lines;
    size_t ends[LINES_MAX]; /* where each line ends, newline included */
    int line_count;
};

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
    (void)number;
    stopping = 1;
}

/* Now and then a line longer than what the kernel hands over in one piece. */
static size_t fill_bytes(uint64_t sequence)
{
    if (sequence % 4999 == 996)
        return LONGEST_FILL_BYTES;
    return sequence % 1009 == 210 ? LONG_FILL_BYTES : (size_t)(sequence * 53 % 300);
}

static void lines_make(struct writer *writer)
{
    size_t size = 0;
    uint64_t first = writer->sequence;
    writer->line_count = 1 + (int)(first * 7 % LINES_MAX);
    for (int i = 0; i < writer->line_count; i++) {
        size_t fill = fill_bytes(first + (uint64_t)i);
        size += record_format(writer->lines + size, writer->name, first + (uint64_t)i, fill);
        writer->lines[size++] = '\n';
        writer->ends[i] = size;
    }
    writer->sequence += (uint64_t)writer->line_count;
}

/* Writes down what came of the lines made last, of which acknowledged_bytes were taken. */
static void lines_note(struct writer *writer, size_t acknowledged_bytes)
{
    uint64_t first = writer->sequence - (uint64_t)writer->line_count;
    for (int i = 0; i < writer->line_count; i++) {
        unsigned long long sequence = first + (uint64_t)i;
        if (writer->ends[i] <= acknowledged_bytes)
            fprintf(writer->journal, "ack %d %llu -1\n", writer->partition, sequence);
        else
            fprintf(writer->journal, "unknown %d %llu\n", writer->partition, sequence);
    }
}

static void lines_write(struct writer *writer)
{
    size_t size = writer->ends[writer->line_count - 1];
    size_t done = 0;
    while (done < size) {
        ssize_t count = write(writer->file, writer->lines + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            writer->errors++;
            close(writer->file);
            writer->file = -1;
            break;
        }
        done += (size_t)count;
    }
    lines_note(writer, done);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5)
        return 2;
    struct writer writer = {.path = arguments[1],
                            .partition = atoi(arguments[2]),
                            .name = arguments[4],
                            .file = -1,
                            .lines = malloc(LINES_MAX * (LONGEST_FILL_BYTES + 128))};
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* Not longer than its test. */
    writer.journal = journal_open(arguments[3], writer.name, "file");
    if (writer.journal == NULL || writer.lines == NULL)
        return 2;
    while (!stopping) {
        if (writer.file < 0)
            writer.file = open(writer.path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (writer.file >= 0) {
            lines_make(&writer);
            lines_write(&writer);
        }
        poll(NULL, 0, writer.file < 0 ? 10 : PAUSE_MS);
    }
    fprintf(writer.journal, "sent %d %llu\n", writer.partition,
            (unsigned long long)writer.sequence);
    fclose(writer.journal);
    free(writer.lines);
    return 0;
}
