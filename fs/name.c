/* SPDX-License-Identifier: Apache-2.0 */
/* File names and what they stand for: one-to-one in both directions. */
#include "fs/name.h"

#include <stdio.h>

static const char hex_digits[] = "0123456789ABCDEF";

void name_of_topic(const char *topic, char ret_name[FILE_NAME_BYTES_MAX + 1])
{
    const char *prefix = topic[0] == '.' ? "%2E" : "";
    (void)snprintf(ret_name, FILE_NAME_BYTES_MAX + 1, "%s%s", prefix,
                   topic[0] == '.' ? topic + 1 : topic);
}

bool name_to_topic(const char *name, char ret_topic[FILE_NAME_BYTES_MAX + 1])
{
    if (name[0] == '.' || strlen(name) > FILE_NAME_BYTES_MAX)
        return false;
    if (strncmp(name, "%2E", 3) == 0) {
        (void)snprintf(ret_topic, FILE_NAME_BYTES_MAX + 1, ".%s", name + 3);
        return strchr(name + 3, '%') == NULL;
    }
    memcpy(ret_topic, name, strlen(name) + 1);
    return strchr(name, '%') == NULL;
}

static bool is_plain(unsigned char byte, bool is_first)
{
    if (byte == '.')
        return !is_first;
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("_+:@=-", byte) != NULL);
}

bool name_of_group(struct slice id, char ret_name[FILE_NAME_BYTES_MAX + 1])
{
    if (id.size == 0) {
        memcpy(ret_name, "%~empty", sizeof "%~empty");
        return true;
    }
    size_t used = 0;
    for (size_t i = 0; i < id.size; i++) {
        bool plain = is_plain(id.data[i], i == 0);
        if (used + (plain ? 1 : 3) > NAME_ESCAPED_MAX)
            return false;
        if (plain) {
            ret_name[used++] = (char)id.data[i];
            continue;
        }
        ret_name[used++] = '%';
        ret_name[used++] = hex_digits[id.data[i] >> 4];
        ret_name[used++] = hex_digits[id.data[i] & 15];
    }
    ret_name[used] = '\0';
    return true;
}

/* -1 when it is not one of the digits that name_of_group writes. */
static int hex_value(char digit)
{
    const char *found = digit == '\0' ? NULL : strchr(hex_digits, digit);
    return found == NULL ? -1 : (int)(found - hex_digits);
}

bool name_to_group(const char *name, char ret_id[FILE_NAME_BYTES_MAX + 1], size_t *ret_size)
{
    size_t used = 0;
    if (strlen(name) > NAME_ESCAPED_MAX || name[0] == '\0')
        return false;
    if (strcmp(name, "%~empty") != 0) {
        for (const char *at = name; *at != '\0';) {
            unsigned char byte = (unsigned char)*at++;
            bool is_first = used == 0;
            if (byte == '%') {
                int high = hex_value(at[0]);
                int low = high < 0 ? -1 : hex_value(at[1]);
                if (low < 0 || is_plain((unsigned char)(high * 16 + low), is_first))
                    return false;
                byte = (unsigned char)(high * 16 + low);
                at += 2;
            } else if (!is_plain(byte, is_first)) {
                return false;
            }
            ret_id[used++] = (char)byte;
        }
    }
    ret_id[used] = '\0';
    *ret_size = used;
    return true;
}

bool name_to_partition(const char *name, int32_t *ret_index)
{
    int64_t index = 0;
    size_t size = strlen(name);
    if (size == 0 || size > 10 || (name[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        index = index * 10 + (name[i] - '0');
    }
    if (index > INT32_MAX)
        return false;
    *ret_index = (int32_t)index;
    return true;
}
