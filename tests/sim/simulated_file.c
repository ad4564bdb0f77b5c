/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds now, what it holds after a power cut, and how the two come apart. */
#include "sim/simulated_file.h"

#include "base/assertion.h"
#include "sim/simulated_storage.h"

#include <stdlib.h>
#include <string.h>

/* A write, or (bytes NULL) the file's size being set. */
struct simulated_change {
    struct list link;
    uint64_t at;   /* A truncation: the new size. */
    uint64_t size; /* Of bytes. */
    uint8_t *bytes;
    /* Only the sizes of a failed sync: the size grows to `at`, never shrinks. */
    bool grows_only;
};

void *simulation_allocate(size_t size)
{
    void *block = calloc(1, size == 0 ? 1 : size);
    ASSERT(block != NULL);
    return block;
}

void *simulation_resize(void *block, size_t size)
{
    void *resized = realloc(block, size == 0 ? 1 : size);
    ASSERT(resized != NULL);
    return resized;
}

char *simulation_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = simulation_allocate(size);
    memcpy(copy, text, size);
    return copy;
}

uint64_t simulated_hash(uint64_t hash, const void *bytes, uint64_t size)
{
    const uint8_t *at = bytes;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = random_mix(hash ^ word) + 0x9e3779b97f4a7c15;
    }
    uint64_t rest = 0;
    if (size > 0)
        memcpy(&rest, at, size);
    return random_mix(hash ^ rest) + size + 1;
}

static void bytes_resize(struct simulated_bytes *bytes, uint64_t size)
{
    if (size > bytes->capacity) {
        uint64_t capacity = bytes->capacity * 2 > size ? bytes->capacity * 2 : size;
        bytes->data = simulation_resize(bytes->data, capacity);
        bytes->capacity = capacity;
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void bytes_write(struct simulated_bytes *bytes, uint64_t at, const uint8_t *from,
                        uint64_t size)
{
    if (size == 0)
        return;
    if (at + size > bytes->size)
        bytes_resize(bytes, at + size);
    memcpy(bytes->data + at, from, size);
}

static void bytes_copy(struct simulated_bytes *to, const struct simulated_bytes *from)
{
    bytes_resize(to, from->size);
    if (from->size > 0)
        memcpy(to->data, from->data, from->size);
}

static void change_apply(const struct simulated_change *change, struct simulated_bytes *bytes)
{
    if (change->bytes != NULL)
        bytes_write(bytes, change->at, change->bytes, change->size);
    else if (!change->grows_only || change->at > bytes->size)
        bytes_resize(bytes, change->at);
}

static void change_free(struct simulated_change *change)
{
    list_remove(&change->link);
    free(change->bytes);
    free(change);
}

/* The sectors `random` picks reach the disk; the size may have grown without the bytes. */
static void change_tear(const struct simulated_change *change, struct simulated_bytes *bytes,
                        struct random *random)
{
    uint64_t end = change->at + change->size;
    /* Mostly a prefix or suffix is what hardware leaves; any subset is what it may. */
    uint64_t shape = random_below(random, 3);
    uint64_t cut = change->at + random_below(random, change->size + 1);
    for (uint64_t at = change->at; at < end;) {
        uint64_t sector_end = (at / SIMULATED_SECTOR_BYTES + 1) * SIMULATED_SECTOR_BYTES;
        uint64_t stop = sector_end < end ? sector_end : end;
        bool kept = shape == 0 ? stop <= cut : shape == 1 ? at >= cut : random_chance(random, 1, 2);
        if (kept)
            bytes_write(bytes, at, change->bytes + (at - change->at), stop - at);
        at = stop;
    }
    if (bytes->size < end && random_chance(random, 1, 2))
        bytes_resize(bytes, end);
}

void simulated_contents_init(struct simulated_contents *contents)
{
    *contents = (struct simulated_contents){.current = {.data = NULL}};
    list_init(&contents->changes);
}

static void changes_forget(struct simulated_contents *contents)
{
    list_for_each_safe(link, &contents->changes)
        change_free(container_of(link, struct simulated_change, link));
}

void simulated_contents_done(struct simulated_contents *contents)
{
    changes_forget(contents);
    free(contents->current.data);
    free(contents->synced.data);
}

static struct simulated_change *change_new(struct simulated_contents *contents, uint64_t at)
{
    struct simulated_change *change = simulation_allocate(sizeof *change);
    change->at = at;
    list_push(&contents->changes, &change->link);
    return change;
}

void simulated_contents_write(struct simulated_contents *contents, uint64_t at, const void *bytes,
                              uint64_t size)
{
    if (size == 0)
        return;
    struct simulated_change *change = change_new(contents, at);
    change->size = size;
    change->bytes = simulation_allocate(size);
    memcpy(change->bytes, bytes, size);
    change_apply(change, &contents->current);
}

void simulated_contents_truncate(struct simulated_contents *contents, uint64_t size)
{
    if (size == contents->current.size)
        return;
    change_apply(change_new(contents, size), &contents->current);
}

void simulated_contents_sync(struct simulated_contents *contents)
{
    list_for_each(link, &contents->changes)
        change_apply(container_of(link, struct simulated_change, link), &contents->synced);
    changes_forget(contents);
}

void simulated_contents_sync_failed(struct simulated_contents *contents, struct random *random)
{
    list_for_each_safe(link, &contents->changes)
    {
        struct simulated_change *change = container_of(link, struct simulated_change, link);
        if (change->bytes == NULL || random_chance(random, 1, 3))
            continue; /* Waits for the next sync. */
        /* Marked clean in the page cache though the disk does not have it. The size lasts. */
        uint64_t end = change->at + change->size;
        free(change->bytes);
        change->bytes = NULL;
        change->size = 0;
        change->at = end;
        change->grows_only = true;
    }
}

void simulated_contents_crash(struct simulated_contents *contents, struct random *random)
{
    list_for_each(link, &contents->changes)
    {
        struct simulated_change *change = container_of(link, struct simulated_change, link);
        uint64_t fate = random == NULL ? 0 : random_below(random, 3);
        if (fate == 1 || (fate == 2 && change->bytes == NULL))
            change_apply(change, &contents->synced);
        else if (fate == 2)
            change_tear(change, &contents->synced, random);
    }
    changes_forget(contents);
    contents->write_failed = false;
    bytes_copy(&contents->current, &contents->synced);
}

void simulated_contents_flip(struct simulated_contents *contents, uint64_t position, unsigned bit)
{
    ASSERT(position < contents->current.size);
    ASSERT(bit < 8);
    uint8_t mask = (uint8_t)(1u << bit);
    contents->current.data[position] ^= mask;
    /* A change still under way would bring the old bit back at its sync. */
    if (position < contents->synced.size)
        contents->synced.data[position] ^= mask;
    list_for_each(link, &contents->changes)
    {
        struct simulated_change *change = container_of(link, struct simulated_change, link);
        if (change->bytes != NULL && position >= change->at && position - change->at < change->size)
            change->bytes[position - change->at] ^= mask;
    }
}

uint64_t simulated_contents_hash(const struct simulated_contents *contents, uint64_t hash)
{
    hash = simulated_hash(hash, contents->current.data, contents->current.size);
    hash = simulated_hash(hash, contents->synced.data, contents->synced.size);
    list_for_each(link, &contents->changes)
    {
        const struct simulated_change *change = container_of(link, struct simulated_change, link);
        hash = simulated_hash(hash, &change->at, sizeof change->at);
        hash = simulated_hash(hash, change->bytes, change->size);
    }
    return hash;
}
