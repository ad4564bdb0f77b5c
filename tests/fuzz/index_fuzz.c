/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as one of the side files of a log that was cleanly stopped: every record is still read,
 * or an error says why not. The first byte chooses the file. */
#include "base/assertion.h"
#include "log/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const names[] = {
    FIXTURE_DIRECTORY "/00000000000000000000.index",
    FIXTURE_DIRECTORY "/00000000000000000000.timeindex",
    FIXTURE_DIRECTORY "/00000000000000000000.lineindex",
    FIXTURE_DIRECTORY "/00000000000000000060.snapshot",
    FIXTURE_DIRECTORY "/leader-epoch-checkpoint",
    FIXTURE_DIRECTORY "/00000000000000000000.txnindex",
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture.config.index_interval_bytes = 200;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 30; i++)
        fixture_append(fixture.log, 2, i / 10);
    fixture_close(&fixture, true);
    struct storage_file *file;
    const char *name = names[bytes[0] % (sizeof names / sizeof names[0])];
    ASSERT(storage_open(fixture.storage, name, STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE,
                        &file) == ERROR_NONE);
    ASSERT(storage_write(file, 0, bytes + 2, size - 2) == ERROR_NONE);
    storage_close(file);

    bool clean = bytes[1] % 2 == 0;
    ASSERT(fixture_try_open(&fixture, clean, clean ? 60 : 0) == ERROR_NONE);
    ASSERT(fixture_verify(fixture.log, 0) == 60);
    log_visible_advance(fixture.log, 60);
    struct log_found found;
    (void)log_find_timestamp(fixture.log, fixture_timestamp(33), &found);
    (void)log_find_max_timestamp(fixture.log, &found);
    struct log_text_location location;
    if (log_text_locate(fixture.log, 500, &location) == ERROR_NONE)
        log_slice_release(&location.slice);
    uint64_t text;
    (void)log_text_of_offset(fixture.log, 30, &text);
    fixture_done(&fixture);
    return 0;
}
