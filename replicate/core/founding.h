/* SPDX-License-Identifier: Apache-2.0 */
/* What a node has agreed about its cluster before there is a metadata log to ask: kept in
 * `topicfs.founding` in the data directory, one key=value a line.
 *
 *   no file --first start--> a uuid --founders agree, or taken in by a cluster--> agreed, for good
 *
 * A directory that lost the file has another uuid at its next start: it is another node, and joins
 * as one. So a wiped founder never founds again (replication.md 3). */
#ifndef REPLICATE_CORE_FOUNDING_H
#define REPLICATE_CORE_FOUNDING_H

#include "base/storage.h"
#include "base/uuid.h"

enum { FOUNDING_MEMBERS_MAX = 64, FOUNDING_HOST_BYTES = 256 };

struct founding_member {
    int32_t node_id;
    int32_t port;
    char host[FOUNDING_HOST_BYTES];
    struct uuid uuid;
};

struct founding {
    struct uuid node_uuid; /* Becomes the directory id of meta.properties. */
    bool agreed;
    bool founder; /* Agreed with the other founders: the Raft log begins with `members`. */
    int32_t node_id;
    struct uuid cluster_id;
    uint32_t member_count; /* The founders, or those known when the node was taken in. */
    struct founding_member members[FOUNDING_MEMBERS_MAX];
};

/* NOT_FOUND: there is none. MALFORMED: it cannot be read; the failure names it. */
enum error founding_load(struct storage *storage, struct founding *ret_founding,
                         struct failure *failure);

/* Replaces the file; on stable storage when it returns. */
enum error founding_store(struct storage *storage, const struct founding *founding);

/* The member with this uuid or id; NULL. */
const struct founding_member *founding_member_of(const struct founding *founding,
                                                 const struct uuid *uuid);
const struct founding_member *founding_member_find(const struct founding *founding,
                                                   int32_t node_id);

#endif
