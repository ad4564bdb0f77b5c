/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts what a socket gives into frames, and frames into exchanges.
 *
 *   small   recv -> loop's scratch | frame | frame | fra     each copied into a buffer of its own
 *   large   recv -> a frame buffer | size | frame ......     no copy; the next is expected alike
 *
 * A size is checked before anything is allocated for it, and the buffer of a large frame grows only
 * as its bytes come. */
#ifndef BROKER_NET_FRAMES_H
#define BROKER_NET_FRAMES_H

struct connection;

enum frames_result {
    FRAMES_MORE,     /* Taken what there was, or as much as is fair. */
    FRAMES_FINISHED, /* The peer sends no more. */
    FRAMES_DAMAGED,  /* It does not speak our protocol: reported, close after the answers. */
    FRAMES_FAILED    /* The socket failed, or memory ran out. */
};

/* Reads from the socket and adds what is complete to the loop's starting list. */
enum frames_result frames_read(struct connection *connection);

/* Takes what was read before but could not be taken then. */
enum frames_result frames_resume(struct connection *connection);

#endif
