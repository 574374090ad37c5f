/* Seeded randomness (xoshiro256**, Blackman and Vigna 2018): engines draw from here alone, so that
 * a run replays from its seed. Not for secrets. */
#ifndef HM_BASE_RANDOM_H
#define HM_BASE_RANDOM_H

#include "core/base/ids.h"

#include <stdint.h>

struct hm_random {
    uint64_t state[4]; /* never all zero */
};

void hm_random_init(struct hm_random *random, uint64_t seed);
uint64_t hm_random_u64(struct hm_random *random);
/* Even over 0 .. bound-1; bound must not be 0. */
uint64_t hm_random_below(struct hm_random *random, uint64_t bound);
/* Even over low .. high, both included. */
uint64_t hm_random_between(struct hm_random *random, uint64_t low, uint64_t high);
/* True in `permille` of 1,000 draws. */
bool hm_random_chance(struct hm_random *random, uint32_t permille);
void hm_random_fill(struct hm_random *random, void *out, size_t size);
struct hm_id hm_random_id(struct hm_random *random);

#endif
