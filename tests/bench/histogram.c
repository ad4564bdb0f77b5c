/* SPDX-License-Identifier: Apache-2.0 */
/* Counting durations: the bucket of a value is its leading bits. */
#include "histogram.h"

#include <stdio.h>

static unsigned bucket_of(uint64_t value)
{
    if (value < (1u << HISTOGRAM_STEP_BITS))
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return ((shift + 1) << HISTOGRAM_STEP_BITS) +
           (unsigned)((value >> shift) & ((1u << HISTOGRAM_STEP_BITS) - 1));
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned group = bucket >> HISTOGRAM_STEP_BITS;
    uint64_t step = bucket & ((1u << HISTOGRAM_STEP_BITS) - 1);
    if (group == 0)
        return step;
    return ((((uint64_t)1 << HISTOGRAM_STEP_BITS) + step + 1) << (group - 1)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->largest)
        histogram->largest = value;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * fraction), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted)
            return bucket_end(i) < histogram->largest ? bucket_end(i) : histogram->largest;
    }
    return histogram->largest;
}

void histogram_print_ms(const struct histogram *histogram)
{
    printf("\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"p999_ms\": %.4f, \"max_ms\": %.4f",
           (double)histogram_quantile(histogram, 0.5) / 1e6,
           (double)histogram_quantile(histogram, 0.99) / 1e6,
           (double)histogram_quantile(histogram, 0.999) / 1e6, (double)histogram->largest / 1e6);
}
