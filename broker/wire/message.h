/* SPDX-License-Identifier: Apache-2.0 */
/* What every generated message struct has in common.
 *
 * One struct serves all versions of a message; the version is a parameter of decode and encode.
 * Decoding sets a field that the version lacks to its default; encoding leaves it out.
 *
 * Strings and bytes are slices into the decoded frame and arrays lie in the arena given to decode:
 * a message lives as long as the shorter-lived of the two. Nothing in it is freed on its own.
 *
 * Null and empty:
 *   - a string or bytes field is null when its `data` is NULL;
 *   - an array is null when its pointer is NULL (its count is 0 then), empty when the pointer is
 * not NULL and the count is 0: WIRE_EMPTY is such a pointer;
 *   - a nullable struct is a pointer, NULL for null.
 * Encoding a null where the version does not allow one writes it as empty, so a zero-filled message
 * is always valid. NAME_init sets every field to its default.
 *
 * A decoded array of elements may be changed by its owner; decode never shares one. */
#ifndef BROKER_WIRE_MESSAGE_H
#define BROKER_WIRE_MESSAGE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "wire/records.h"

#include <stdbool.h>
#include <stdint.h>

struct reader;
struct writer;

/* Never read or written through: only says "not null". */
extern const max_align_t wire_empty_array;
#define WIRE_EMPTY ((void *)(uintptr_t)&wire_empty_array)

#endif
