/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses, on threads that come and go with the work. */
#include "replicate/peer/lookup.h"

#include "base/assertion.h"
#include "base/list.h"
#include "base/memory.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { THREAD_STACK_BYTES = 256 * 1024 }; /* The C library's resolver is not modest. */

struct lookup_desk {
    pthread_mutex_t mutex; /* Guards the rest. */
    struct list waiting;   /* struct lookup.link */
    struct list finished;  /* struct lookup.link */
    uint32_t threads;      /* They hold the desk, too. */
    bool closed;
    void (*wake)(void *context);
    void *context;
};

struct lookup {
    struct list link;
    struct lookup_desk *desk;
    void (*done)(void *context, const struct lookup_result *result); /* NULL: cancelled. */
    void *context;
    uint16_t port;
    struct lookup_result result;
    char host[];
};

static void result_fill(const char *host, uint16_t port, int flags, struct lookup_result *result)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    *result = (struct lookup_result){0};
    int refused = getaddrinfo(host, service, &hints, &found);
    if (refused != 0) {
        (void)snprintf(result->reason, sizeof result->reason, "its name is not found: %s",
                       gai_strerror(refused));
        return;
    }
    for (const struct addrinfo *one = found; one != NULL && result->count < LOOKUP_ADDRESSES_MAX;
         one = one->ai_next) {
        if (one->ai_addrlen > sizeof result->addresses[0])
            continue;
        memcpy(&result->addresses[result->count++], one->ai_addr, one->ai_addrlen);
    }
    freeaddrinfo(found);
}

/* With the mutex held, which it lets go of. */
static void desk_leave(struct lookup_desk *desk)
{
    bool last = desk->closed && desk->threads == 0;
    (void)pthread_mutex_unlock(&desk->mutex);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&desk->mutex);
    memory_free(desk);
}

static void *lookup_thread(void *argument)
{
    struct lookup_desk *desk = argument;
    (void)pthread_mutex_lock(&desk->mutex);
    for (struct list *link; !desk->closed && (link = list_take(&desk->waiting)) != NULL;) {
        struct lookup *lookup = container_of(link, struct lookup, link);
        (void)pthread_mutex_unlock(&desk->mutex);
        result_fill(lookup->host, lookup->port, AI_ADDRCONFIG, &lookup->result);
        (void)pthread_mutex_lock(&desk->mutex);
        if (desk->closed || lookup->done == NULL) {
            memory_free(lookup);
            continue;
        }
        list_push(&desk->finished, &lookup->link);
        desk->wake(desk->context);
    }
    desk->threads--;
    desk_leave(desk);
    return NULL;
}

/* With the mutex held. */
static enum error thread_start(struct lookup_desk *desk)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    desk->threads++;
    int refused = pthread_create(&thread, &attributes, lookup_thread, desk);
    if (refused != 0)
        desk->threads--;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return refused == 0 ? ERROR_NONE : ERROR_OUT_OF_MEMORY;
}

enum error lookup_desk_new(void (*wake)(void *context), void *context,
                           struct lookup_desk **ret_desk)
{
    struct lookup_desk *desk = memory_allocate(sizeof *desk);
    if (desk == NULL)
        return ERROR_OUT_OF_MEMORY;
    desk->wake = wake;
    desk->context = context;
    list_init(&desk->waiting);
    list_init(&desk->finished);
    (void)pthread_mutex_init(&desk->mutex, NULL);
    *ret_desk = desk;
    return ERROR_NONE;
}

static void lookups_free(struct list *lookups)
{
    for (struct list *link; (link = list_take(lookups)) != NULL;)
        memory_free(container_of(link, struct lookup, link));
}

void lookup_desk_free(struct lookup_desk *desk)
{
    if (desk == NULL)
        return;
    (void)pthread_mutex_lock(&desk->mutex);
    desk->closed = true;
    lookups_free(&desk->waiting);
    lookups_free(&desk->finished);
    desk_leave(desk);
}

enum error lookup_start(struct lookup_desk *desk, const char *host, uint16_t port,
                        void (*done)(void *context, const struct lookup_result *result),
                        void *context, struct lookup **ret_lookup, struct lookup_result *ret_result)
{
    result_fill(host, port, AI_NUMERICHOST, ret_result);
    *ret_lookup = NULL;
    if (ret_result->count > 0)
        return ERROR_NONE;
    size_t size = strlen(host) + 1;
    struct lookup *lookup = memory_allocate(sizeof *lookup + size);
    if (lookup == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(lookup->host, host, size);
    lookup->desk = desk;
    lookup->port = port;
    lookup->done = done;
    lookup->context = context;
    enum error error = ERROR_NONE;
    (void)pthread_mutex_lock(&desk->mutex);
    list_push(&desk->waiting, &lookup->link);
    if (desk->threads < LOOKUP_THREADS_MAX)
        error = thread_start(desk);
    if (error != ERROR_NONE && desk->threads > 0)
        error = ERROR_NONE; /* Another will come to it. */
    if (error != ERROR_NONE)
        list_remove(&lookup->link);
    (void)pthread_mutex_unlock(&desk->mutex);
    if (error != ERROR_NONE) {
        memory_free(lookup);
        return error;
    }
    *ret_lookup = lookup;
    return ERROR_NONE;
}

void lookup_cancel(struct lookup *lookup)
{
    struct lookup_desk *desk = lookup->desk;
    (void)pthread_mutex_lock(&desk->mutex);
    bool idle = !list_empty(&lookup->link); /* Otherwise a thread has it. */
    list_remove(&lookup->link);
    lookup->done = NULL;
    (void)pthread_mutex_unlock(&desk->mutex);
    if (idle)
        memory_free(lookup);
}

void lookup_desk_deliver(struct lookup_desk *desk)
{
    struct list finished;
    (void)pthread_mutex_lock(&desk->mutex);
    list_move(&desk->finished, &finished);
    (void)pthread_mutex_unlock(&desk->mutex);
    for (struct list *link; (link = list_take(&finished)) != NULL;) {
        struct lookup *lookup = container_of(link, struct lookup, link);
        lookup->done(lookup->context, &lookup->result);
        memory_free(lookup);
    }
}
