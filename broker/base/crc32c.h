/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 B.4) as record batches carry it: initial and final value inverted.
 */
#ifndef BROKER_BASE_CRC32C_H
#define BROKER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of one run of bytes. Continue a run by passing the previous result as `crc`; start with 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* Of a run whose first bytes were replaced by as many others, from the CRC of the whole run before,
 * those of the first bytes alone before and after, and the size of the rest, which is not read. */
uint32_t crc32c_replaced(uint32_t whole, uint32_t first_before, uint32_t first_after,
                         size_t rest_size);

#endif
