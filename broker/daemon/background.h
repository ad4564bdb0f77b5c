/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming a daemon, and telling whoever waits how it went.
 *
 *   parent: waits on a pipe -------------------------.
 *     '-- child: new session, starts the node, says ready or why not --> parent's exit status
 */
#ifndef BROKER_DAEMON_BACKGROUND_H
#define BROKER_DAEMON_BACKGROUND_H

#include "base/error.h"

#include <stdbool.h>

struct background {
    bool forked;
    int descriptor; /* Where the parent waits; -1: it does not, or not any more. */
};

/* Forks unless `foreground`; returns in the process that is to be the node. The parent prints the
 * refusal, if any, and exits: 0 when the node is ready, else 1. Before any thread is started. */
enum error background_begin(struct background *background, bool foreground,
                            struct failure *failure);

/* Standard error goes on to the end of `path`, input and output to nowhere; again after the file
 * was renamed away. Nothing in the foreground. */
enum error background_redirect(const struct background *background, const char *path,
                               struct failure *failure);

/* The node answers: the parent may go. Nothing in the foreground. */
void background_ready(struct background *background);

/* What it waits for, one line for the person who typed the command. Before it is ready. */
void background_note(const struct background *background, const char *line);

/* It cannot start: one line for the parent to print, or printed here in the foreground. */
void background_refuse(struct background *background, const char *line);

#endif
