/* SPDX-License-Identifier: Apache-2.0 */
/* Disk, clock and network of one simulated libraft. */
#include "sim/simulated_raft_io.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "sim/raft_message.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 500, CAPACITY_KIB_MAX = UINT16_MAX };

enum item_kind { ITEM_APPEND, ITEM_TRUNCATE, ITEM_SNAPSHOT_PUT, ITEM_SNAPSHOT_GET };

/* One thing to be done on the disk, in its turn. */
struct item {
    struct list link;
    enum item_kind kind;
    struct raft_io_append *append;
    const struct raft_entry *entries;
    unsigned count;
    uint64_t index;
    struct raft_io_snapshot_put *put;
    const struct raft_snapshot *snapshot;
    unsigned trailing;
    struct raft_io_snapshot_get *get;
    struct raft_snapshot *got;
    enum error error;
};

/* A message was handed to the network. */
struct sent {
    struct task task;
    struct simulated_raft *raft;
    struct raft_io_send *request;
};

struct simulated_raft {
    struct raft_io io;
    struct engine_host host;
    struct simulated_raft_options options;
    struct engine *engine;
    struct raft_files files;
    char address[RAFT_PARCEL_ADDRESS_BYTES];
    uint64_t id;
    struct timer tick;
    unsigned tick_ms;
    raft_io_tick_cb tick_cb;
    raft_io_recv_cb receive_cb;
    struct list queue;    /* Of struct item. */
    struct item *running; /* Or waiting to be tried again. */
    struct work work;
    struct timer retry;
    struct task turn;
    bool turn_posted;
    size_t sends_pending;
    bool closing;
    raft_io_close_cb close_cb;
    struct task closed;
};

static struct simulated_raft *raft_of(struct raft_io *io)
{
    return io->impl;
}

/* ---- turns ---- */

/* libraft leaves it to its io to call back for what was completed: raft_uv does so at each turn of
 * the loop, by a function that the library keeps to itself. */
static void fire_completed(struct raft *raft)
{
    void **queue = raft->legacy.requests;
    while (queue[0] != (void *)queue) {
        void **head = queue[0];
        ((void **)head[1])[0] = head[0];
        ((void **)head[0])[1] = head[1];
        struct raft_apply *apply = (void *)((char *)head - offsetof(struct raft_apply, queue));
        if (apply->type == RAFT_COMMAND)
            apply->cb(apply, apply->status, apply->result);
        else if (apply->type == RAFT_BARRIER)
            ((struct raft_barrier *)apply)->cb((struct raft_barrier *)apply, apply->status);
        else if (apply->type == RAFT_CHANGE)
            ((struct raft_change *)apply)->cb((struct raft_change *)apply, apply->status);
        else
            ((struct raft_transfer *)apply)->cb((struct raft_transfer *)apply);
    }
}

static void turn_run(struct task *task)
{
    struct simulated_raft *raft = container_of(task, struct simulated_raft, turn);
    raft->turn_posted = false;
    if (*raft->options.dead)
        return;
    const struct raft *state = raft->io.data;
    if (state != NULL && !raft->closing) {
        /* An event whose consequences libraft dropped halfway. */
        ASSERT(state->legacy.prev_state == state->state);
        fire_completed(raft->io.data);
    }
    engine_turn(raft->engine);
}

static void turn_soon(struct simulated_raft *raft)
{
    if (raft->turn_posted)
        return;
    raft->turn_posted = true;
    raft->turn.run = turn_run;
    executor_post(raft->options.executor, &raft->turn);
}

static void capacity_look(struct simulated_raft *raft)
{
    struct storage_space space;
    if (storage_space(raft->options.storage, &space) != ERROR_NONE)
        return;
    uint64_t free_kib = space.free_bytes / 1024;
    raft->io.capacity = (uint16_t)(free_kib < CAPACITY_KIB_MAX ? free_kib : CAPACITY_KIB_MAX);
}

static void tick_fired(struct timer *timer)
{
    struct simulated_raft *raft = container_of(timer, struct simulated_raft, tick);
    if (*raft->options.dead)
        return;
    executor_timer_start(raft->options.executor, &raft->tick, raft->tick_ms);
    capacity_look(raft);
    raft->tick_cb(&raft->io);
    turn_soon(raft);
}

/* ---- the disk ---- */

static void queue_kick(struct simulated_raft *raft);

static void item_call_back(struct item *item, int status)
{
    if (item->kind == ITEM_APPEND)
        item->append->cb(item->append, status);
    else if (item->kind == ITEM_SNAPSHOT_PUT)
        item->put->cb(item->put, status);
    else if (item->kind == ITEM_SNAPSHOT_GET)
        item->get->cb(item->get, status == 0 ? item->got : NULL, status);
    memory_free(item);
}

static void closed_run(struct task *task)
{
    struct simulated_raft *raft = container_of(task, struct simulated_raft, closed);
    raft->close_cb(&raft->io);
}

static void close_look(struct simulated_raft *raft)
{
    if (!raft->closing || raft->running != NULL || raft->sends_pending > 0)
        return;
    raft->closed.run = closed_run;
    executor_post(raft->options.executor, &raft->closed);
}

static void retry_fired(struct timer *timer)
{
    struct simulated_raft *raft = container_of(timer, struct simulated_raft, retry);
    executor_work(raft->options.executor, &raft->work);
}

/* On the pool, if there were one. */
static void item_run(struct work *work)
{
    struct simulated_raft *raft = container_of(work, struct simulated_raft, work);
    struct item *item = raft->running;
    if (*raft->options.dead)
        return;
    raft->files.skip_sync = raft->options.plant_append_not_synced;
    if (item->kind == ITEM_APPEND)
        item->error = raft_files_append(&raft->files, item->entries, item->count);
    else if (item->kind == ITEM_TRUNCATE)
        item->error = raft_files_truncate(&raft->files, item->index);
    else if (item->kind == ITEM_SNAPSHOT_PUT)
        item->error = raft_files_snapshot_put(&raft->files, item->snapshot, item->trailing);
    else
        item->error = raft_files_snapshot_get(&raft->files, &item->got);
}

static void item_done(struct work *work)
{
    struct simulated_raft *raft = container_of(work, struct simulated_raft, work);
    struct item *item = raft->running;
    if (*raft->options.dead)
        return;
    if (item->error != ERROR_NONE && !raft->closing && item->kind != ITEM_SNAPSHOT_GET) {
        raft->retry.fire = retry_fired;
        executor_timer_start(raft->options.executor, &raft->retry, RETRY_MS);
        return;
    }
    raft->running = NULL;
    capacity_look(raft);
    item_call_back(item, raft->closing               ? RAFT_CANCELED
                         : item->error != ERROR_NONE ? RAFT_IOERR
                                                     : 0);
    turn_soon(raft);
    queue_kick(raft);
    close_look(raft);
}

static void queue_kick(struct simulated_raft *raft)
{
    if (raft->running != NULL || raft->closing)
        return;
    struct list *link = list_take(&raft->queue);
    if (link == NULL)
        return;
    raft->running = container_of(link, struct item, link);
    raft->work = (struct work){.run = item_run, .done = item_done};
    executor_work(raft->options.executor, &raft->work);
}

static struct item *item_new(enum item_kind kind)
{
    struct item *item = memory_allocate(sizeof *item);
    ASSERT(item != NULL);
    item->kind = kind;
    return item;
}

static int item_add(struct simulated_raft *raft, struct item *item)
{
    list_push(&raft->queue, &item->link);
    queue_kick(raft);
    return 0;
}

/* ---- struct raft_io ---- */

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct simulated_raft *raft = raft_of(io);
    *term = raft->files.term;
    *voted_for = raft->files.voted_for;
    *start_index = raft->files.first_index;
    enum error error = raft_files_load(&raft->files, snapshot, entries, n_entries);
    return error == ERROR_NONE ? 0 : RAFT_IOERR;
}

static int io_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb receive)
{
    struct simulated_raft *raft = raft_of(io);
    raft->tick_ms = ms;
    raft->tick_cb = tick;
    raft->receive_cb = receive;
    raft->tick.fire = tick_fired;
    executor_timer_start(raft->options.executor, &raft->tick, ms);
    return 0;
}

static int io_vote(struct simulated_raft *raft, uint64_t term, uint64_t voted_for)
{
    if (raft->options.plant_vote_not_synced) {
        raft->files.term = term;
        raft->files.voted_for = voted_for;
        return 0;
    }
    return raft_files_vote(&raft->files, term, voted_for) == ERROR_NONE ? 0 : RAFT_IOERR;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    return io_vote(raft_of(io), term, 0);
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    struct simulated_raft *raft = raft_of(io);
    return io_vote(raft, raft->files.term, id);
}

/* A founding that a crash cut off is done again: nothing but the first term was written. */
static int io_bootstrap(struct raft_io *io, const struct raft_configuration *members)
{
    struct simulated_raft *raft = raft_of(io);
    struct raft_files *files = &raft->files;
    if (files->term > 1 || files->voted_for != 0 || files->count > 0 || files->snapshot_index != 0)
        return RAFT_CANTBOOTSTRAP;
    struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE};
    int status = raft_configuration_encode(members, &entry.buf);
    if (status != 0)
        return status;
    enum error error = raft_files_vote(files, 1, 0);
    if (error == ERROR_NONE)
        error = raft_files_append(files, &entry, 1);
    raft_free(entry.buf.base);
    return error == ERROR_NONE ? 0 : RAFT_IOERR;
}

static int io_recover(struct raft_io *io, const struct raft_configuration *members)
{
    struct raft_files *files = &raft_of(io)->files;
    struct raft_entry entry = {.type = RAFT_CHANGE, .term = files->snapshot_term};
    if (files->count > 0)
        entry.term = files->entries[files->count - 1].term;
    int status = raft_configuration_encode(members, &entry.buf);
    if (status != 0)
        return status;
    enum error error = raft_files_append(files, &entry, 1);
    raft_free(entry.buf.base);
    return error == ERROR_NONE ? 0 : RAFT_IOERR;
}

static int io_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct item *item = item_new(ITEM_APPEND);
    request->cb = cb;
    item->append = request;
    item->entries = entries;
    item->count = n;
    return item_add(raft_of(io), item);
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct item *item = item_new(ITEM_TRUNCATE);
    item->index = index;
    return item_add(raft_of(io), item);
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct item *item = item_new(ITEM_SNAPSHOT_PUT);
    request->cb = cb;
    item->put = request;
    item->snapshot = snapshot;
    item->trailing = trailing;
    return item_add(raft_of(io), item);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb cb)
{
    struct item *item = item_new(ITEM_SNAPSHOT_GET);
    request->cb = cb;
    item->get = request;
    return item_add(raft_of(io), item);
}

static raft_time io_time(struct raft_io *io)
{
    return (raft_time)executor_monotonic_ms(raft_of(io)->options.executor);
}

static int io_random(struct raft_io *io, int min, int max)
{
    uint64_t span = (uint64_t)((int64_t)max - min) + 1;
    return min + (int)(executor_random(raft_of(io)->options.executor) % span);
}

/* ---- messages ---- */

static void sent_run(struct task *task)
{
    struct sent *sent = container_of(task, struct sent, task);
    struct simulated_raft *raft = sent->raft;
    raft->sends_pending--;
    sent->request->cb(sent->request, raft->closing ? RAFT_CANCELED : 0);
    memory_free(sent);
    close_look(raft);
}

static int io_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb cb)
{
    struct simulated_raft *raft = raft_of(io);
    int64_t to = (int64_t)message->server_id - 1;
    if (raft->options.place != NULL)
        to = raft->options.place(raft->options.context, message->server_address);
    if (raft->options.network != NULL && to >= 0 && to < NETWORK_NODES_MAX &&
        !*raft->options.dead) {
        struct raft_parcel *parcel = raft_parcel_new(message);
        parcel->parcel.from = raft->options.node;
        parcel->parcel.to = (uint32_t)to;
        parcel->sender_id = raft->id;
        parcel->receiver_id = message->server_id;
        (void)snprintf(parcel->sender_address, sizeof parcel->sender_address, "%s", raft->address);
        parcel->arrived = raft->options.arrived;
        parcel->context = raft->options.context;
        simulated_network_send(raft->options.network, &parcel->parcel);
    }
    struct sent *sent = memory_allocate(sizeof *sent);
    ASSERT(sent != NULL);
    request->cb = cb;
    sent->raft = raft;
    sent->request = request;
    sent->task.run = sent_run;
    raft->sends_pending++;
    executor_post(raft->options.executor, &sent->task);
    return 0;
}

void simulated_raft_receive(struct simulated_raft *raft, const struct raft_parcel *parcel)
{
    if (*raft->options.dead || raft->closing || raft->receive_cb == NULL)
        return;
    /* libraft keeps the address of who sent it by pointer as long as the call lasts. */
    struct raft_message message;
    raft_parcel_open(parcel, &message);
    raft->receive_cb(&raft->io, &message);
    turn_soon(raft);
}

/* ---- closing ---- */

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct simulated_raft *raft = raft_of(io);
    raft->closing = true;
    raft->close_cb = cb;
    executor_timer_stop(raft->options.executor, &raft->tick);
    for (struct list *link; (link = list_take(&raft->queue)) != NULL;)
        item_call_back(container_of(link, struct item, link), RAFT_CANCELED);
    if (timer_running(&raft->retry)) {
        executor_timer_stop(raft->options.executor, &raft->retry);
        struct item *item = raft->running;
        raft->running = NULL;
        item_call_back(item, RAFT_CANCELED);
    }
    close_look(raft);
}

/* ---- the engine's host ---- */

static struct simulated_raft *raft_of_host(struct engine_host *host)
{
    return container_of(host, struct simulated_raft, host);
}

static void host_wake(struct engine_host *host)
{
    turn_soon(raft_of_host(host));
}

static void host_fail(struct engine_host *host, const char *what)
{
    (void)what;
    *raft_of_host(host)->options.dead = true;
}

static void host_release(struct engine_host *host)
{
    struct simulated_raft *raft = raft_of_host(host);
    if (raft->turn_posted)
        list_remove(&raft->turn.link);
    raft_files_close(&raft->files);
    engine_released(raft->engine);
}

static void host_free(struct engine_host *host)
{
    memory_free(raft_of_host(host));
}

static void io_make(struct simulated_raft *raft)
{
    raft->io = (struct raft_io){
        .version = 2,
        .capacity = CAPACITY_KIB_MAX,
        .impl = raft,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .send = io_send,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
    };
}

enum error simulated_raft_open(const struct simulated_raft_options *options,
                               const struct engine_options *engine_options,
                               struct engine **ret_engine, struct simulated_raft **ret_raft)
{
    struct simulated_raft *raft = memory_allocate(sizeof *raft);
    ASSERT(raft != NULL);
    raft->options = *options;
    list_init(&raft->queue);
    raft->host = (struct engine_host){
        .wake = host_wake, .fail = host_fail, .release = host_release, .free = host_free};
    (void)snprintf(raft->address, sizeof raft->address, "%s", engine_options->address);
    raft->id = engine_options->node_id;
    io_make(raft);
    enum error error = raft_files_open(&raft->files, options->storage);
    if (error == ERROR_NONE)
        error = engine_new(engine_options, &raft->host, &raft->engine);
    struct failure failure = {.code = ERROR_NONE};
    if (error == ERROR_NONE)
        error = engine_begin(raft->engine, engine_options, &raft->io, &failure);
    if (error != ERROR_NONE)
        return error;
    turn_soon(raft);
    *ret_engine = raft->engine;
    *ret_raft = raft;
    return ERROR_NONE;
}
