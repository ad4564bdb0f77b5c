/* SPDX-License-Identifier: Apache-2.0 */
/* Copying libraft's messages. */
#include "sim/raft_message.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <stdlib.h>
#include <string.h>

static void *simulation_copy(const void *bytes, size_t size)
{
    void *copy = simulation_allocate(size == 0 ? 1 : size);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* ---- out of the sender's memory ---- */

static void entries_copy(const struct raft_append_entries *from, struct raft_append_entries *to)
{
    to->entries = simulation_allocate((from->n_entries + 1) * sizeof *to->entries);
    for (unsigned i = 0; i < from->n_entries; i++) {
        to->entries[i] = from->entries[i];
        to->entries[i].batch = NULL;
        to->entries[i].buf.base =
            simulation_copy(from->entries[i].buf.base, from->entries[i].buf.len);
    }
}

static void install_copy(const struct raft_install_snapshot *from, struct raft_install_snapshot *to)
{
    to->data.base = simulation_copy(from->data.base, from->data.len);
    to->conf.servers = simulation_allocate((from->conf.n + 1) * sizeof *to->conf.servers);
    for (unsigned i = 0; i < from->conf.n; i++) {
        to->conf.servers[i] = from->conf.servers[i];
        to->conf.servers[i].address = simulation_copy_text(from->conf.servers[i].address);
    }
}

static void parcel_free(struct parcel *base)
{
    struct raft_parcel *parcel = container_of(base, struct raft_parcel, parcel);
    if (parcel->message.type == RAFT_APPEND_ENTRIES) {
        struct raft_append_entries *append = &parcel->message.append_entries;
        for (unsigned i = 0; i < append->n_entries; i++)
            free(append->entries[i].buf.base);
        free(append->entries);
    } else if (parcel->message.type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_install_snapshot *install = &parcel->message.install_snapshot;
        for (unsigned i = 0; i < install->conf.n; i++)
            free(install->conf.servers[i].address);
        free(install->conf.servers);
        free(install->data.base);
    }
    free(parcel);
}

static void parcel_deliver(struct parcel *base)
{
    struct raft_parcel *parcel = container_of(base, struct raft_parcel, parcel);
    parcel->arrived(parcel->context, parcel);
    parcel_free(base);
}

static struct parcel *parcel_copy(const struct parcel *base)
{
    const struct raft_parcel *parcel = container_of(base, struct raft_parcel, parcel);
    struct raft_parcel *copy = raft_parcel_new(&parcel->message);
    copy->parcel.from = base->from;
    copy->parcel.to = base->to;
    copy->sender_id = parcel->sender_id;
    memcpy(copy->sender_address, parcel->sender_address, sizeof copy->sender_address);
    copy->arrived = parcel->arrived;
    copy->context = parcel->context;
    return &copy->parcel;
}

struct raft_parcel *raft_parcel_new(const struct raft_message *message)
{
    struct raft_parcel *parcel = simulation_allocate(sizeof *parcel);
    parcel->parcel =
        (struct parcel){.deliver = parcel_deliver, .drop = parcel_free, .copy = parcel_copy};
    parcel->message = *message;
    parcel->message.server_address = NULL;
    if (message->type == RAFT_APPEND_ENTRIES)
        entries_copy(&message->append_entries, &parcel->message.append_entries);
    else if (message->type == RAFT_INSTALL_SNAPSHOT)
        install_copy(&message->install_snapshot, &parcel->message.install_snapshot);
    return parcel;
}

/* ---- into the receiver's memory ---- */

static void *take(size_t size)
{
    void *bytes = raft_malloc(size == 0 ? 1 : size);
    ASSERT(bytes != NULL);
    return bytes;
}

static void entries_open(const struct raft_append_entries *from, struct raft_append_entries *to)
{
    to->entries = NULL;
    if (from->n_entries == 0)
        return;
    size_t size = 0;
    for (unsigned i = 0; i < from->n_entries; i++)
        size += from->entries[i].buf.len;
    uint8_t *batch = take(size);
    to->entries = take(from->n_entries * sizeof *to->entries);
    size_t at = 0;
    for (unsigned i = 0; i < from->n_entries; i++) {
        size_t length = from->entries[i].buf.len;
        to->entries[i] = from->entries[i];
        to->entries[i].batch = batch;
        to->entries[i].buf.base = batch + at;
        memcpy(batch + at, from->entries[i].buf.base, length);
        at += length;
    }
}

static void install_open(const struct raft_install_snapshot *from, struct raft_install_snapshot *to)
{
    to->data.base = take(from->data.len);
    memcpy(to->data.base, from->data.base, from->data.len);
    raft_configuration_init(&to->conf);
    for (unsigned i = 0; i < from->conf.n; i++) {
        int status =
            raft_configuration_add(&to->conf, from->conf.servers[i].id,
                                   from->conf.servers[i].address, from->conf.servers[i].role);
        ASSERT(status == 0);
    }
}

void raft_parcel_open(const struct raft_parcel *parcel, struct raft_message *ret_message)
{
    *ret_message = parcel->message;
    ret_message->server_id = parcel->sender_id;
    ret_message->server_address = parcel->sender_address;
    if (parcel->message.type == RAFT_APPEND_ENTRIES)
        entries_open(&parcel->message.append_entries, &ret_message->append_entries);
    else if (parcel->message.type == RAFT_INSTALL_SNAPSHOT)
        install_open(&parcel->message.install_snapshot, &ret_message->install_snapshot);
}
