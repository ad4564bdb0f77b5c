/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, and proposing to an engine in tests. */
#include "engine_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS_MAX = 20000 };

void fixture_init(struct engine_fixture *f, const char *directory)
{
    snprintf(f->directory, sizeof f->directory, "%s", directory);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(monitor_new(1, NULL, NULL, &f->monitor), ERROR_NONE);
}

int engine_fixture_setup(void **state)
{
    struct engine_fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    snprintf(f->root, sizeof f->root, "/tmp/engine_test.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    char directory[100];
    snprintf(directory, sizeof directory, "%s/metadata", f->root);
    fixture_init(f, directory);
    *state = f;
    return 0;
}

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char child[600];
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(child) != 0)
            remove_directory(child);
    }
    closedir(directory);
    rmdir(path);
}

int engine_fixture_teardown(void **state)
{
    struct engine_fixture *f = *state;
    fixture_close(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    monitor_free(f->monitor);
    remove_directory(f->root);
    memory_free(f);
    return 0;
}

static void became_ready(void *context, enum error error)
{
    struct engine_fixture *f = context;
    f->ready_count++;
    f->ready_error = error;
}

/* Turns the loop until `*flag` is not 0. libraft's own timer ends every wait of the loop. */
static void turn_until(struct engine_fixture *f, const int *flag)
{
    uint64_t deadline = uv_now(&f->loop) + WAIT_MS_MAX;
    while (*flag == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
        if (uv_now(&f->loop) > deadline)
            fail_msg("nothing happened in %d ms", WAIT_MS_MAX);
    }
}

enum error fixture_open(struct engine_fixture *f)
{
    assert_int_equal(catalog_new(monitor_executor(f->monitor), &f->catalog), ERROR_NONE);
    struct engine_options options = {.loop = &f->loop,
                                     .monitor = f->monitor,
                                     .catalog = f->catalog,
                                     .directory = f->directory,
                                     .node_id = 1,
                                     .address = "127.0.0.1:9092",
                                     .bootstrap = !f->no_bootstrap,
                                     .ready = became_ready,
                                     .context = f};
    f->ready_count = 0;
    f->failure = (struct failure){.code = ERROR_NONE};
    enum error error = engine_open(&options, &f->engine, &f->failure);
    if (error != ERROR_NONE) {
        assert_int_equal(f->ready_count, 0);
        catalog_free(f->catalog);
        f->catalog = NULL;
        return error;
    }
    catalog_set_proposer(f->catalog, engine_proposer(f->engine));
    turn_until(f, &f->ready_count);
    assert_int_equal(f->ready_error, ERROR_NONE);
    return ERROR_NONE;
}

static void set_closed(void *context)
{
    *(int *)context = 1;
}

void fixture_close(struct engine_fixture *f)
{
    if (f->engine == NULL)
        return;
    int closed = 0;
    engine_close(f->engine, set_closed, &closed);
    turn_until(f, &closed);
    engine_free(f->engine);
    f->engine = NULL;
    catalog_free(f->catalog);
    f->catalog = NULL;
}

static void awaited_done(struct catalog_proposal *proposal)
{
    container_of(proposal, struct awaited, proposal)->done++;
}

void propose(struct engine_fixture *f, struct awaited *awaited,
             const struct catalog_command *command)
{
    *awaited = (struct awaited){.proposal.done = awaited_done};
    monitor_enter(f->monitor);
    catalog_propose(f->catalog, command, &awaited->proposal);
    monitor_leave(f->monitor);
}

void await(struct engine_fixture *f, const struct awaited *awaited)
{
    turn_until(f, &awaited->done);
    assert_int_equal(awaited->done, 1);
}

struct catalog_outcome propose_and_wait(struct engine_fixture *f,
                                        const struct catalog_command *command)
{
    struct awaited awaited;
    propose(f, &awaited, command);
    await(f, &awaited);
    return awaited.proposal.outcome;
}

void register_node(struct engine_fixture *f)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .node = {.id = 1, .host = "localhost", .port = 9092},
    };
    assert_int_equal(propose_and_wait(f, &command).error, ERROR_NONE);
}

static void topic_name(uint32_t number, char ret_name[32])
{
    snprintf(ret_name, 32, "topic-%u", number);
}

enum error make_topic(struct engine_fixture *f, uint32_t number)
{
    static const struct catalog_assignment on_one = {.replicas = {1}, .replica_count = 1};
    char name[32];
    topic_name(number, name);
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .assignments = &on_one,
                                      .assignment_count = 1};
    memcpy(command.topic_id.bytes, &number, sizeof number);
    command.topic_id.bytes[15] = 1;
    return propose_and_wait(f, &command).error;
}

bool topic_exists(const struct engine_fixture *f, uint32_t number)
{
    char name[32];
    topic_name(number, name);
    return catalog_topic_find(f->catalog, slice_of(name)) != NULL;
}

int files_named(const struct engine_fixture *f, const char *prefix, char ret_path[300])
{
    int count = 0;
    char last[256] = "";
    DIR *directory = opendir(f->directory);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        count++;
        if (strcmp(entry->d_name, last) > 0)
            snprintf(last, sizeof last, "%s", entry->d_name);
    }
    closedir(directory);
    snprintf(ret_path, 300, "%s/%.180s", f->directory, last);
    return count;
}
