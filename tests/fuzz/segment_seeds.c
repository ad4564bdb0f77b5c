/* SPDX-License-Identifier: Apache-2.0 */
/* Writes inputs for segment_fuzz into the directory named by its argument: logs as the fixture
 * makes them, sound, torn, with a batch taken out. */
#include "log/fixture.h"

#include <stdio.h>

static void seed_write(const char *directory, int number, uint8_t choice, const uint8_t *bytes,
                       size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/segment-%d", directory, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fputc(choice, file) == EOF || fwrite(bytes, 1, size, file) != size ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 6; i++) {
        fixture_append(fixture.log, 1 + 3 * i, i / 2);
        (void)fixture_append_producer(fixture.log, 5, 0, 2 * i, 2);
    }
    fixture_close(&fixture, true);
    uint64_t size;
    const uint8_t *bytes = simulated_storage_contents(
        fixture.disk, FIXTURE_DIRECTORY "/00000000000000000000.log", &size);
    struct batch_header header;
    if (batch_header_read(bytes, size, &header) != ERROR_NONE)
        return 1;
    seed_write(argv[1], 0, 0, bytes, size);
    seed_write(argv[1], 1, 1, bytes, size - 17);
    seed_write(argv[1], 2, 1, bytes + header.size, size - header.size);
    seed_write(argv[1], 3, 1, bytes, header.size);
    fixture_done(&fixture);
    return 0;
}
