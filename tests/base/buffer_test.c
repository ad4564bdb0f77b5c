/* SPDX-License-Identifier: Apache-2.0 */
/* Counted buffers: freed with the last reference, from whichever thread. */
#include "base/buffer.h"
#include "base/memory.h"

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

/* A new buffer is empty and its own; each reference holds it. */
static void it_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct buffer *buffer = buffer_new(100);
    assert_non_null(buffer);
    assert_int_equal(buffer->size, 0);
    assert_true(buffer->capacity >= 100);
    memset(buffer->data, 'x', 100);

    assert_ptr_equal(buffer_ref(buffer), buffer);
    buffer_unref(buffer);
    assert_int_equal(buffer->data[99], 'x');
    buffer_unref(buffer);
    buffer_unref(NULL);
}

/* Sizes from outside are bounded by the caller, but an absurd one is refused, not wrapped. */
static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    assert_null(buffer_new(SIZE_MAX));
    memory_fault_arm(0);
    struct buffer *refused = buffer_new(1);
    memory_fault_arm(-1);
    assert_null(refused);
}

static void *ref_and_unref(void *argument)
{
    for (int i = 0; i < 10000; i++)
        buffer_unref(buffer_ref(argument));
    return NULL;
}

/* Threads that take and drop references leave exactly the first one. */
static void references_are_counted_between_threads(void **state)
{
    (void)state;
    struct buffer *buffer = buffer_new(1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, buffer), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&buffer->references), 1);
    buffer_unref(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_lives_until_its_last_reference),
        cmocka_unit_test(an_impossible_size_is_refused),
        cmocka_unit_test(references_are_counted_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
