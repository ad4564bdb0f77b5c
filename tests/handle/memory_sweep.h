/* SPDX-License-Identifier: Apache-2.0 */
/* A request is sent again and again, each time to a new broker, and each time another of the
 * allocations that handling it takes is refused, until none is; then each time with a little more
 * room in its arena, until there is enough. Every time it is answered or its connection closed; an
 * answer that differs from the one with memory says an error; afterwards the same request is
 * answered. What is lost shows under the address sanitizer and in the teardown. */
#ifndef TESTS_HANDLE_MEMORY_SWEEP_H
#define TESTS_HANDLE_MEMORY_SWEEP_H

#include "handle/broker_fixture.h"

struct swept {
    enum api_key key;
    int16_t version;
    bool by_both_steps; /* handle_admit and handle_prepare first. */
    /* What the request needs to be there. May be NULL. */
    void (*prepare)(struct broker_fixture *f);
    void (*fill)(struct broker_fixture *f, struct arena *arena, void *body);
    /* The first error code an answer holds; 0: none. */
    int16_t (*error)(const void *answer);
};

void sweep_handler(const struct swept *swept);

#endif
