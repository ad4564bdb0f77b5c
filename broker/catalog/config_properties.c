/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the properties format of java.util.Properties.load.
 *
 *   # comment            ! comment
 *   key = value          key:value          key value
 *   key = a,\            a line that ends in an odd number of backslashes goes on with the next
 *         b              one, whose leading blanks do not count
 *   k\u00e9y = \t\n\\    escapes, in keys too */
#include "base/memory.h"
#include "catalog/config.h"

struct properties {
    const char *at;
    const char *end;
    uint32_t line; /* Of `at`, from 1. */
    char *key;     /* Room for the longest key or value each. */
    char *value;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool at_end(const struct properties *in)
{
    return in->at == in->end;
}

static void skip_blanks(struct properties *in)
{
    while (!at_end(in) && is_blank(*in->at))
        in->at++;
}

/* One of \n, \r and \r\n. */
static void skip_line_end(struct properties *in)
{
    if (at_end(in))
        return;
    bool carriage = *in->at == '\r';
    in->at++;
    if (carriage && !at_end(in) && *in->at == '\n')
        in->at++;
    in->line++;
}

static void skip_line(struct properties *in)
{
    while (!at_end(in) && !is_line_end(*in->at))
        in->at++;
    skip_line_end(in);
}

/* Takes a backslash and the line end behind it, then the blanks of the next line. */
static bool skip_continuation(struct properties *in)
{
    if (in->end - in->at < 2 || in->at[0] != '\\' || !is_line_end(in->at[1]))
        return false;
    in->at++;
    skip_line_end(in);
    skip_blanks(in);
    return true;
}

/* Four hexadecimal digits; false when they are not. */
static bool read_unit(struct properties *in, uint32_t *ret_unit)
{
    if (in->end - in->at < 4)
        return false;
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        unit = unit << 4 | digit;
    }
    *ret_unit = unit;
    return true;
}

/* Behind "\u": one code point, of one UTF-16 unit or a pair, as UTF-8. Takes six bytes of text at
 * least for the three it gives, twelve for four. */
static bool read_code_point(struct properties *in, char **out)
{
    uint32_t point;
    if (!read_unit(in, &point) || point == 0 || (point >= 0xdc00 && point <= 0xdfff))
        return false;
    if (point >= 0xd800 && point <= 0xdbff) {
        uint32_t low;
        if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u')
            return false;
        in->at += 2;
        if (!read_unit(in, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    if (point < 0x80) {
        *(*out)++ = (char)point;
        return true;
    }
    if (point >= 0x10000) {
        *(*out)++ = (char)(0xf0 | point >> 18);
        *(*out)++ = (char)(0x80 | (point >> 12 & 0x3f));
    } else if (point >= 0x800) {
        *(*out)++ = (char)(0xe0 | point >> 12);
    } else {
        *(*out)++ = (char)(0xc0 | point >> 6);
        *(*out)++ = (char)(0x80 | (point & 0x3f));
        return true;
    }
    *(*out)++ = (char)(0x80 | (point >> 6 & 0x3f));
    *(*out)++ = (char)(0x80 | (point & 0x3f));
    return true;
}

/* At a backslash that is no continuation. */
static bool read_escape(struct properties *in, char **out)
{
    in->at++;
    if (at_end(in))
        return true; /* A lone backslash at the end of the text stands for nothing, as in Java. */
    char c = *in->at++;
    switch (c) {
    case 'u':
        return read_code_point(in, out);
    case 't':
        c = '\t';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 'f':
        c = '\f';
        break;
    default:
        break;
    }
    *(*out)++ = c;
    return c != '\0';
}

/* Reads up to the end of the logical line, a key also only up to its separator. */
static bool read_part(struct properties *in, bool is_key, char *out)
{
    while (!at_end(in) && !is_line_end(*in->at)) {
        char c = *in->at;
        if (is_key && (is_blank(c) || c == '=' || c == ':'))
            break;
        if (c == '\\') {
            if (!skip_continuation(in) && !read_escape(in, &out))
                return false;
            continue;
        }
        if (c == '\0')
            return false;
        *out++ = c;
        in->at++;
    }
    *out = '\0';
    return true;
}

static void skip_separator(struct properties *in)
{
    skip_blanks(in);
    while (skip_continuation(in))
        continue;
    if (!at_end(in) && (*in->at == '=' || *in->at == ':')) {
        in->at++;
        skip_blanks(in);
        while (skip_continuation(in))
            continue;
    }
}

static enum error read_lines(struct properties *in,
                             enum error (*each)(void *context, const char *key, const char *value),
                             void *context, uint32_t *ret_line)
{
    for (;;) {
        skip_blanks(in);
        if (at_end(in))
            return ERROR_NONE;
        uint32_t line = in->line;
        if (is_line_end(*in->at)) {
            skip_line_end(in);
            continue;
        }
        if (*in->at == '#' || *in->at == '!') {
            skip_line(in);
            continue;
        }
        bool good = read_part(in, true, in->key);
        if (good) {
            skip_separator(in);
            good = read_part(in, false, in->value);
        }
        enum error error = good ? each(context, in->key, in->value) : ERROR_MALFORMED;
        if (error != ERROR_NONE) {
            *ret_line = line;
            return error;
        }
        skip_line_end(in);
    }
}

enum error config_parse_properties(const char *text, size_t size,
                                   enum error (*each)(void *context, const char *key,
                                                      const char *value),
                                   void *context, uint32_t *ret_line)
{
    struct properties in = {.at = text, .end = text + size, .line = 1};
    in.key = memory_allocate_raw(size + 1);
    in.value = memory_allocate_raw(size + 1);
    enum error error = ERROR_OUT_OF_MEMORY;
    if (in.key != NULL && in.value != NULL)
        error = read_lines(&in, each, context, ret_line);
    else
        *ret_line = 0;
    memory_free(in.key);
    memory_free(in.value);
    return error;
}
