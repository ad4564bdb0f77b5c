/* SPDX-License-Identifier: Apache-2.0 */
/* A mount on a node that has no replica of anything: node 7 beside the broker of the fixture (node
 * 1, which leads), with calls that go through their bytes to that broker's handlers, and what may
 * become of calls. */
#ifndef TESTS_FS_ELSEWHERE_FIXTURE_H
#define TESTS_FS_ELSEWHERE_FIXTURE_H

#include "fs/kernel_fixture.h"
#include "wire/call.h"

enum calls_mode {
    CALLS_WORK,
    CALLS_REFUSED,      /* Not sent: LEADER_NOT_AVAILABLE. */
    CALLS_LOSE_ANSWERS, /* Carried out, and NETWORK. */
    CALLS_HANG          /* Neither sent nor answered until cancelled or timed out. */
};

struct elsewhere {
    struct broker_fixture *far;
    struct broker_fixture near; /* A copy with no partitions of its own. */
    struct kernel kernel;
    struct caller caller;
    enum calls_mode mode;
    int16_t losing; /* An API key: answers to it are lost, */
    int lose_count; /* so often. */
    int calls;
    struct list under_way;
    struct list over; /* Answers stay until the end. */
};

void elsewhere_start(struct elsewhere *e, struct broker_fixture *far, const char *options);
void elsewhere_end(struct elsewhere *e);

#endif
