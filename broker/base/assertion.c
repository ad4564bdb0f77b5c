/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the program when a belief is broken. */
#include "base/assertion.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assertion_failed(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "topicfs: %s:%d: broken belief: %s\n", file, line, expression);
    abort();
}
