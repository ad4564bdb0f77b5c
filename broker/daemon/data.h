/* SPDX-License-Identifier: Apache-2.0 */
/* The node's data directory: made, locked, identified.
 *
 *   log.dirs/  .lock  meta.properties  orders-0/ ...  raft/  topicfs.pid  topicfs.report
 *              topicfs.reserve
 */
#ifndef BROKER_DAEMON_DATA_H
#define BROKER_DAEMON_DATA_H

#include "daemon/settings.h"
#include "log/directory.h"

struct data {
    struct storage *storage;
    struct log_directory *directory;
    int lock;   /* Held while the node runs; -1: not. */
    bool fresh; /* Identified just now, or holds no partition: a cluster may be founded. */
};

/* Makes the directory and takes its lock: EXISTS when another node has it. */
enum error data_lock(const struct settings *settings, struct data *ret_data,
                     struct failure *failure);

/* Reads the rest; a fresh directory of a node alone gets a random cluster id and the configured
 * node id, that of a node in a cluster stays without until data_identify. A directory of another
 * node is refused. */
enum error data_open(const struct settings *settings, struct executor *executor, struct data *data,
                     struct failure *failure);

bool data_is_identified(const struct data *data);

/* Writes meta.properties; on stable storage when it returns. */
enum error data_identify(const struct settings *settings, struct data *data,
                         const struct log_identity *identity, struct failure *failure);

/* Accepts what data_lock or data_open left. */
void data_close(struct data *data);

/* Replaces the pid file's contents by this process's id. */
enum error pid_file_write(const char *path, struct failure *failure);

#endif
