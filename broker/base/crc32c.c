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

/* The product of two polynomials modulo Castagnoli's, lowest bit first: 1 is the highest bit. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ UINT32_C(0x82f63b78) : b >> 1;
    }
    return product;
}

/* A CRC is linear: what changed in the first bytes is multiplied by x^8 for each byte behind it. */
uint32_t crc32c_replaced(uint32_t whole, uint32_t first_before, uint32_t first_after,
                         size_t rest_size)
{
    uint32_t shift = UINT32_C(1) << 31;
    for (uint32_t power = UINT32_C(1) << 23; rest_size > 0; rest_size >>= 1) {
        if (rest_size & 1)
            shift = multiply(shift, power);
        power = multiply(power, power);
    }
    return whole ^ multiply(shift, first_before ^ first_after);
}
