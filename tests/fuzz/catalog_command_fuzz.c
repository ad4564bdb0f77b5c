/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata commands and snapshots from anywhere. The first byte chooses: a row of commands, each
 * with its size in two bytes, applied to an image that then must survive a snapshot; or one
 * snapshot, with its CRC put right so that more than that is tried. */
#include "base/arena.h"
#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "catalog/catalog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { INDEX_MAX = 200, ARENA_BYTES = 64 << 20 };

static struct catalog *new_catalog(void)
{
    struct catalog *catalog;
    if (catalog_new(NULL, &catalog) != ERROR_NONE)
        abort();
    return catalog;
}

/* What decodes encodes to the same bytes, or, in an older version, to bytes of the present one that
 * do. */
static void check_round_trip(const uint8_t *bytes, size_t size)
{
    struct catalog_command command;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    if (catalog_command_decode(bytes, size, &arena, &command) == ERROR_NONE) {
        uint8_t *again = NULL;
        size_t again_size = 0;
        enum error error = catalog_command_encode(&command, &again, &again_size);
        ASSERT(error == ERROR_NONE);
        if (bytes[0] == again[0]) {
            ASSERT(again_size == size);
            ASSERT(memcmp(again, bytes, size) == 0);
        } else {
            ASSERT(again[0] > bytes[0]);
            check_round_trip(again, again_size);
        }
        memory_free(again);
    }
    arena_done(&arena);
}

static void check_snapshot(const struct catalog *catalog)
{
    struct catalog *copy = new_catalog();
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum error error = catalog_snapshot(catalog, &bytes, &size);
    ASSERT(error == ERROR_NONE);
    error = catalog_restore(copy, bytes, size);
    ASSERT(error == ERROR_NONE);
    ASSERT(catalog_hash(copy) == catalog_hash(catalog));
    ASSERT(catalog_partition_count(copy) == catalog_partition_count(catalog));
    memory_free(bytes);
    catalog_free(copy);
}

static void apply_all(struct catalog *catalog, const uint8_t *input, size_t size)
{
    for (int64_t index = 2; size >= 2 && index < INDEX_MAX; index++) {
        size_t length = load_be16(input) % 512u;
        input += 2;
        size -= 2;
        if (length > size)
            length = size;
        check_round_trip(input, length);
        uint64_t hash = catalog_hash(catalog);
        struct catalog_outcome outcome = catalog_apply(catalog, index, 1, input, length);
        ASSERT(outcome.error == ERROR_NONE || catalog_hash(catalog) == hash);
        input += length;
        size -= length;
    }
}

static void register_node(struct catalog *catalog)
{
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .node = {.id = 0, .host = "a"}};
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (catalog_command_encode(&command, &bytes, &size) != ERROR_NONE)
        abort();
    (void)catalog_apply(catalog, 1, 1, bytes, size);
    memory_free(bytes);
}

static void restore(struct catalog *catalog, const uint8_t *input, size_t size)
{
    uint8_t *bytes = memory_allocate(size + sizeof(uint32_t));
    if (bytes == NULL)
        abort();
    memcpy(bytes, input, size);
    store_be32(bytes + size, crc32c(0, input, size));
    (void)catalog_restore(catalog, bytes, size + sizeof(uint32_t));
    memory_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    struct catalog *catalog = new_catalog();
    if (input[0] % 2 == 0) {
        register_node(catalog);
        apply_all(catalog, input + 1, size - 1);
        check_snapshot(catalog);
    } else {
        restore(catalog, input + 1, size - 1);
    }
    catalog_free(catalog);
    return 0;
}
