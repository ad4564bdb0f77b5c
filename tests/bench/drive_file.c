/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a partition file with system calls; prints one line of JSON.
 *
 *   drive_file append FILE COUNT [BYTES]   write(2) of lines on one open file (100 bytes each)
 *   drive_file reopen FILE COUNT [BYTES]   open, write, close for each line
 *   drive_file read FILE COUNT [BYTES]     read(2) of BYTES (1 MiB) from the beginning, COUNT times
 * or to the end */
#include "histogram.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 100, READ_BYTES = 1 << 20 };

struct run {
    const char *path;
    unsigned long count;
    size_t size;
    uint8_t *bytes;
    uint64_t moved;
    unsigned long done;
    struct histogram latencies;
};

static int open_for(const struct run *run, int flags)
{
    int fd = open(run->path, flags | O_CLOEXEC);
    if (fd < 0)
        fail("open %s", run->path);
    return fd;
}

static void write_line(struct run *run, int fd)
{
    ssize_t written = write(fd, run->bytes, run->size);
    if (written != (ssize_t)run->size)
        fail("write %s: %zd of %zu", run->path, written, run->size);
    run->moved += (uint64_t)written;
}

static void run_append(struct run *run)
{
    int fd = open_for(run, O_WRONLY | O_APPEND);
    for (; run->done < run->count; run->done++) {
        uint64_t before_ns = measure_now_ns();
        write_line(run, fd);
        histogram_add(&run->latencies, measure_now_ns() - before_ns);
    }
    (void)close(fd);
}

static void run_reopen(struct run *run)
{
    for (; run->done < run->count; run->done++) {
        uint64_t before_ns = measure_now_ns();
        int fd = open_for(run, O_WRONLY | O_APPEND);
        write_line(run, fd);
        if (close(fd) != 0)
            fail("close %s", run->path);
        histogram_add(&run->latencies, measure_now_ns() - before_ns);
    }
}

static void run_read(struct run *run)
{
    int fd = open_for(run, O_RDONLY);
    for (; run->done < run->count; run->done++) {
        uint64_t before_ns = measure_now_ns();
        ssize_t size = read(fd, run->bytes, run->size);
        if (size < 0)
            fail("read %s", run->path);
        if (size == 0)
            break;
        run->moved += (uint64_t)size;
        histogram_add(&run->latencies, measure_now_ns() - before_ns);
    }
    (void)close(fd);
}

int main(int argc, char **argv)
{
    static struct run run;
    if (argc < 4 || argc > 5)
        fail("usage: drive_file append|reopen|read FILE COUNT [BYTES]");
    bool reads = strcmp(argv[1], "read") == 0;
    run.path = argv[2];
    run.count = strtoul(argv[3], NULL, 10);
    run.size = argc == 5 ? strtoul(argv[4], NULL, 10) : reads ? READ_BYTES : LINE_BYTES;
    run.bytes = run.size == 0 ? NULL : malloc(run.size);
    if (run.bytes == NULL)
        fail("%zu bytes", run.size);
    memset(run.bytes, 'x', run.size);
    run.bytes[run.size - 1] = '\n';
    uint64_t start_ns = measure_now_ns();
    errno = 0;
    if (reads)
        run_read(&run);
    else if (strcmp(argv[1], "append") == 0)
        run_append(&run);
    else if (strcmp(argv[1], "reopen") == 0)
        run_reopen(&run);
    else
        fail("%s: append, reopen or read is wanted", argv[1]);
    printf("{\"requests\": %lu, \"bytes\": %lu, \"seconds\": %.6f, ", run.done,
           (unsigned long)run.moved, (double)(measure_now_ns() - start_ns) / 1e9);
    histogram_print_ms(&run.latencies);
    printf("}\n");
    free(run.bytes);
    return 0;
}
