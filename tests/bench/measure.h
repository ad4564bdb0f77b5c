/* SPDX-License-Identifier: Apache-2.0 */
/* The two things every figure is made of: time passed and processor time of a process. */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdint.h>

/* On the monotonic clock. */
uint64_t measure_now_ns(void);

/* User and system time of all threads of a process so far, living and ended, to the clock tick;
 * 0 for pid 0. Ends the program when there is no such process. */
double measure_cpu_seconds(int pid);

/* Ends the program with a line that says what failed, and errno's text when it is not 0. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
