/* SPDX-License-Identifier: Apache-2.0 */
/* ASSERT: a belief that only a bug can break. It stays on in release, prints where and what,
 * aborts. */
#ifndef BROKER_BASE_ASSERTION_H
#define BROKER_BASE_ASSERTION_H

_Noreturn void assertion_failed(const char *file, int line, const char *expression);

#define ASSERT(expression)                                                                         \
    ((expression) ? (void)0 : assertion_failed(__FILE__, __LINE__, #expression))

#endif
