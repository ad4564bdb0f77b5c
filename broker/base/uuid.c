/* SPDX-License-Identifier: Apache-2.0 */
/* Ids as 16 random bytes and as 22 characters of base64url (RFC 4648 section 5, no padding). */
#include "base/uuid.h"

#include "base/byteorder.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct uuid uuid_random(struct executor *executor)
{
    struct uuid uuid;
    do {
        store_be64(uuid.bytes, executor_random(executor));
        store_be64(uuid.bytes + 8, executor_random(executor));
        uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40); /* Version 4. */
        uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80); /* The RFC's variant. */
        /* A leading '-' would read as an option on a command line. */
    } while (alphabet[uuid.bytes[0] >> 2] == '-');
    return uuid;
}

void uuid_to_text(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES])
{
    uint32_t bits = 0;
    int held = 0;
    size_t used = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bits = bits << 8 | uuid->bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            ret_text[used++] = alphabet[(bits >> held) & 0x3f];
        }
    }
    ret_text[used++] = alphabet[(bits << (6 - held)) & 0x3f];
    ret_text[used] = '\0';
}

static int digit_of(char character)
{
    if (character == '\0')
        return -1;
    const char *found = strchr(alphabet, character);
    return found == NULL ? -1 : (int)(found - alphabet);
}

bool uuid_from_text(const char *text, struct uuid *ret_uuid)
{
    struct uuid uuid;
    uint32_t bits = 0;
    int held = 0;
    size_t used = 0;
    for (size_t i = 0; i < UUID_TEXT_BYTES - 1; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            uuid.bytes[used++] = (uint8_t)(bits >> held);
        }
    }
    /* The last character carries four bits too many: only zeros, so that an id has one text. */
    if (text[UUID_TEXT_BYTES - 1] != '\0' || (bits & 0x0f) != 0)
        return false;
    *ret_uuid = uuid;
    return true;
}
