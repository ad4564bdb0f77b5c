/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of a follower that catches up: asks for a part of a file over a socket, receives it,
 * writes it to another file, asks for the next.
 *
 *   request of 8 bytes --> sendfile --> recv into one buffer --> write
 *
 * `bare_copy FROM... TO` copies the files one behind the other and prints one line of JSON; the
 * processor time is the receiving side's. */
#include "measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PART_BYTES = 1 << 20 /* replica.fetch.max.bytes */ };

static void tcp_pair(int ret_sockets[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ret_sockets[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(ret_sockets[1], (struct sockaddr *)&address, size) != 0)
        fail("make a pair of sockets");
    ret_sockets[0] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ret_sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)close(listener);
}

static uint64_t size_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        fail("%s", path);
    return (uint64_t)status.st_size;
}

/* Each request is the size of the next part, which lies in one file. */
static void serve(int socket, char **paths, int count)
{
    for (int i = 0; i < count; i++) {
        int file = open(paths[i], O_RDONLY | O_CLOEXEC);
        off_t position = 0;
        uint64_t size = size_of(paths[i]);
        while ((uint64_t)position < size) {
            uint64_t wanted;
            if (recv(socket, &wanted, sizeof wanted, MSG_WAITALL) != sizeof wanted)
                fail("receive a request");
            while (wanted > 0) {
                ssize_t sent = sendfile(socket, file, &position, wanted);
                if (sent <= 0)
                    fail("sendfile");
                wanted -= (uint64_t)sent;
            }
        }
        (void)close(file);
    }
}

static void copy_part(int socket, uint8_t *buffer, uint64_t size, int to)
{
    if (send(socket, &size, sizeof size, MSG_NOSIGNAL) != sizeof size)
        fail("ask");
    for (uint64_t got = 0; got < size;) {
        ssize_t part = recv(socket, buffer + got, size - got, 0);
        if (part <= 0)
            fail("recv");
        got += (uint64_t)part;
    }
    if (write(to, buffer, size) != (ssize_t)size)
        fail("write");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: bare_copy FROM... TO");
    int sockets[2];
    tcp_pair(sockets);
    pid_t child = fork();
    if (child == 0) {
        (void)close(sockets[1]);
        serve(sockets[0], argv + 1, argc - 2);
        return 0;
    }
    (void)close(sockets[0]);
    int to = open(argv[argc - 1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *buffer = malloc(PART_BYTES);
    if (child < 0 || to < 0 || buffer == NULL)
        fail("begin");
    int self = (int)getpid();
    uint64_t bytes = 0, began_ns = measure_now_ns();
    double cpu = measure_cpu_seconds(&self, 1);
    for (int i = 1; i < argc - 1; i++) {
        for (uint64_t left = size_of(argv[i]); left > 0;) {
            uint64_t part = left < PART_BYTES ? left : PART_BYTES;
            copy_part(sockets[1], buffer, part, to);
            bytes += part;
            left -= part;
        }
    }
    printf("{\"bytes\": %lu, \"seconds\": %.6f, \"cpu_seconds\": %.3f}\n", (unsigned long)bytes,
           (double)(measure_now_ns() - began_ns) / 1e9, measure_cpu_seconds(&self, 1) - cpu);
    (void)waitpid(child, NULL, 0);
    free(buffer);
    return 0;
}
