/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of a record that must be on stable storage: write a batch, fdatasync, again.
 * `bare_sync FILE BYTES COUNT` prints one line of JSON. */
#include "histogram.h"
#include "measure.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: bare_sync FILE BYTES COUNT");
    static struct histogram latencies;
    size_t size = strtoul(argv[2], NULL, 10);
    unsigned long count = strtoul(argv[3], NULL, 10);
    uint8_t *bytes = calloc(1, size + 1);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || bytes == NULL)
        fail("open %s", argv[1]);
    uint64_t start_ns = measure_now_ns(), before_ns = start_ns;
    for (unsigned long i = 0; i < count; i++) {
        if (write(fd, bytes, size) != (ssize_t)size || fdatasync(fd) != 0)
            fail("write and sync %s", argv[1]);
        uint64_t now_ns = measure_now_ns();
        histogram_add(&latencies, now_ns - before_ns);
        before_ns = now_ns;
    }
    printf("{\"requests\": %lu, \"seconds\": %.6f, ", count, (double)(before_ns - start_ns) / 1e9);
    histogram_print_ms(&latencies);
    printf("}\n");
    free(bytes);
    (void)close(fd);
    return 0;
}
