/* SPDX-License-Identifier: Apache-2.0 */
/* The secret that the nodes of a cluster share: whoever has it may join. */
#ifndef BROKER_SECURE_PEER_TOKEN_H
#define BROKER_SECURE_PEER_TOKEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_TOKEN_BYTES_MIN = 16, PEER_TOKEN_BYTES_MAX = 4096 };

struct peer_token {
    uint8_t bytes[PEER_TOKEN_BYTES_MAX];
    size_t size;
};

/* Reads the file (topicfs.token.file); white space at its end is not part of the token.
 * INVALID_CONFIG with one line that says what to do: not a file, not readable, shorter or longer
 * than the bounds, or open to users other than its owner and group. */
enum error peer_token_read(const char *path, struct peer_token *ret_token, struct failure *failure);

/* Wipes it. */
void peer_token_done(struct peer_token *token);

#endif
