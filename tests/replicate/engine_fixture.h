/* SPDX-License-Identifier: Apache-2.0 */
/* An engine on a real loop in a directory of its own. */
#ifndef TESTS_REPLICATE_ENGINE_FIXTURE_H
#define TESTS_REPLICATE_ENGINE_FIXTURE_H

#include "replicate/engine/engine.h"

#include <uv.h>

struct engine_fixture {
    char root[64];       /* A directory made by mkdtemp, removed at teardown. */
    char directory[100]; /* Of the engine. */
    uv_loop_t loop;
    struct monitor *monitor;
    struct catalog *catalog;
    struct engine *engine; /* NULL while closed. */
    bool no_bootstrap;
    int ready_count;
    enum error ready_error;
    struct failure failure; /* Of the last fixture_open. */
};

/* For cmocka_unit_test_setup_teardown; *state is the fixture, nothing open yet. */
int engine_fixture_setup(void **state);
int engine_fixture_teardown(void **state);

/* Makes a fresh catalog and opens the engine on it; runs until it is ready. */
enum error fixture_open(struct engine_fixture *f);
/* The same on a fixture that is not a test's own. */
void fixture_init(struct engine_fixture *f, const char *directory);
void fixture_close(struct engine_fixture *f);

/* One proposal; run the loop until `done` is 1. */
struct awaited {
    struct catalog_proposal proposal;
    int done;
};
void propose(struct engine_fixture *f, struct awaited *awaited,
             const struct catalog_command *command);
void await(struct engine_fixture *f, const struct awaited *awaited);
struct catalog_outcome propose_and_wait(struct engine_fixture *f,
                                        const struct catalog_command *command);

/* Commands: node 1, and topics named by a number. */
void register_node(struct engine_fixture *f);
enum error make_topic(struct engine_fixture *f, uint32_t number);
bool topic_exists(const struct engine_fixture *f, uint32_t number);

/* The files of the engine's directory whose names begin with `prefix`: how many, and the path of
 * the one that sorts last. */
int files_named(const struct engine_fixture *f, const char *prefix, char ret_path[300]);

#endif
