/* SPDX-License-Identifier: Apache-2.0 */
/* Durations counted in buckets 1.6 % wide, so that percentiles of millions cost one small array.
 *
 *   value   0 .. 63  64 .. 127 by 1  128 .. 255 by 2  256 .. 511 by 4 ... */
#ifndef TESTS_BENCH_HISTOGRAM_H
#define TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 6,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t largest;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that `fraction` (0 to 1) of all values do not exceed, within 1.6 %. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

/* Prints p50, p99, p99.9 and the largest as JSON members, the unit being milliseconds of ns. */
void histogram_print_ms(const struct histogram *histogram);

#endif
