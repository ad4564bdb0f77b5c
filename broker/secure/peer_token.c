/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the token file. */
#include "secure/peer_token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum error refuse(struct failure *failure, const char *path, const char *why)
{
    return failure_because(failure, ERROR_INVALID_CONFIG, "topicfs.token.file %s %s", path, why);
}

static enum error file_check(int descriptor, const char *path, struct failure *failure)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return refuse(failure, path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(failure, path, "is not a file");
    if ((status.st_mode & S_IRWXO) != 0)
        return refuse(failure, path, "is open to every user of this machine: chmod 600 it");
    return ERROR_NONE;
}

static bool is_space(uint8_t byte)
{
    return byte == '\n' || byte == '\r' || byte == ' ' || byte == '\t';
}

/* One byte more than may be, so that too much is noticed. */
static enum error file_read(int descriptor, const char *path, struct peer_token *token,
                            struct failure *failure)
{
    uint8_t bytes[PEER_TOKEN_BYTES_MAX + 1];
    size_t size = 0;
    ssize_t got = 0;
    do {
        got = read(descriptor, bytes + size, sizeof bytes - size);
        if (got > 0)
            size += (size_t)got;
    } while (size < sizeof bytes && (got > 0 || (got < 0 && errno == EINTR)));
    enum error error = ERROR_NONE;
    if (got < 0)
        error = refuse(failure, path, strerror(errno));
    while (size > 0 && is_space(bytes[size - 1]))
        size--;
    if (error == ERROR_NONE && size < PEER_TOKEN_BYTES_MIN)
        error = refuse(failure, path,
                       "holds fewer than 16 bytes: head -c 32 /dev/urandom | base64 makes a token");
    if (error == ERROR_NONE && size > PEER_TOKEN_BYTES_MAX)
        error = refuse(failure, path, "holds more than 4096 bytes");
    if (error == ERROR_NONE) {
        *token = (struct peer_token){.size = size};
        memcpy(token->bytes, bytes, size);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return error;
}

enum error peer_token_read(const char *path, struct peer_token *ret_token, struct failure *failure)
{
    /* Not to wait for whoever writes into a named pipe. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return refuse(failure, path, strerror(errno));
    enum error error = file_check(descriptor, path, failure);
    if (error == ERROR_NONE)
        error = file_read(descriptor, path, ret_token, failure);
    (void)close(descriptor);
    return error;
}

void peer_token_done(struct peer_token *token)
{
    OPENSSL_cleanse(token, sizeof *token);
}
