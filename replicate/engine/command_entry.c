/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes with a length, padded: libraft takes only multiples of eight. The term is the proposer's
 * when it submitted, which is the entry's: libraft does not tell it to the state machine. */
#include "base/byteorder.h"
#include "replicate/engine/state.h"

#include <string.h>

bool entry_encode(const uint8_t *bytes, size_t size, uint64_t term, struct raft_buffer *ret_buffer)
{
    if (size > UINT32_MAX - ENTRY_HEADER_BYTES - 8)
        return false;
    size_t padded = (ENTRY_HEADER_BYTES + size + 7) & ~(size_t)7;
    uint8_t *base = raft_calloc(1, padded);
    if (base == NULL)
        return false;
    store_be32(base, (uint32_t)size);
    store_be64(base + 8, term);
    memcpy(base + ENTRY_HEADER_BYTES, bytes, size);
    ret_buffer->base = base;
    ret_buffer->len = padded;
    return true;
}

bool entry_decode(const struct raft_buffer *buffer, const uint8_t **ret_bytes, size_t *ret_size,
                  uint64_t *ret_term)
{
    const uint8_t *base = buffer->base;
    if (buffer->len < ENTRY_HEADER_BYTES)
        return false;
    size_t size = load_be32(base);
    if (size > buffer->len - ENTRY_HEADER_BYTES)
        return false;
    *ret_bytes = base + ENTRY_HEADER_BYTES;
    *ret_size = size;
    *ret_term = load_be64(base + 8);
    return true;
}
