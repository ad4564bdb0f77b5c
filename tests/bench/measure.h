/* SPDX-License-Identifier: Apache-2.0 */
/* The two things every figure is made of: time passed and processor time of a process. */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* On the monotonic clock. */
uint64_t measure_now_ns(void);

/* User and system time of all threads of these processes so far, living and ended, to the clock
 * tick. Ends the program when there is no such process. */
double measure_cpu_seconds(const int *pids, size_t count);

/* Ends the program with a line that says what failed, and errno's text when it is not 0. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
