/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C by ISA-L, which picks the machine's instructions at run time. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    /* ISA-L counts in int; it takes a non-const pointer but only reads. */
    while (size > 0) {
        int part = size > (1u << 30) ? 1 << 30 : (int)size;
        crc = ~crc32_iscsi((unsigned char *)at, part, ~crc);
        at += part;
        size -= (size_t)part;
    }
    return crc;
}
