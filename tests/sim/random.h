/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that repeat with their seed: xoshiro256** (Blackman and Vigna 2018), seeded by
 * splitmix64. Every choice of a simulation comes from one of these, so that its seed is the whole
 * story. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include "base/assertion.h"

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

static inline void random_seed(struct random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        random->state[i] = random_mix(seed);
    }
}

static inline uint64_t random_rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state;
    uint64_t result = random_rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = random_rotate(state[3], 45);
    return result;
}

/* 0 .. end - 1. The bias of the modulo is of no matter here. */
static inline uint64_t random_below(struct random *random, uint64_t end)
{
    ASSERT(end > 0);
    return random_next(random) % end;
}

/* first .. last, both included. */
static inline int64_t random_between(struct random *random, int64_t first, int64_t last)
{
    ASSERT(first <= last);
    return first + (int64_t)random_below(random, (uint64_t)(last - first) + 1);
}

/* True `wins` times out of `of`. */
static inline bool random_chance(struct random *random, uint64_t wins, uint64_t of)
{
    return random_below(random, of) < wins;
}

static inline void random_fill(struct random *random, void *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)random_next(random);
}

#endif
