#include "core/base/random.h"

#include "core/base/assert.h"

#include <string.h>

/* splitmix64, which the authors of xoshiro name for seeding. */
static uint64_t splitmix(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void hm_random_init(struct hm_random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        random->state[i] = splitmix(&seed);
    }
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

uint64_t hm_random_u64(struct hm_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t hm_random_below(struct hm_random *random, uint64_t bound)
{
    HM_ASSERT(bound > 0);
    /* Draws from the uneven tail are thrown away, so every value is equally likely. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t draw = hm_random_u64(random);
    while (draw >= limit) {
        draw = hm_random_u64(random);
    }
    return draw % bound;
}

uint64_t hm_random_between(struct hm_random *random, uint64_t low, uint64_t high)
{
    HM_ASSERT(low <= high && high - low < UINT64_MAX);
    return low + hm_random_below(random, high - low + 1);
}

bool hm_random_chance(struct hm_random *random, uint32_t permille)
{
    return hm_random_below(random, 1000) < permille;
}

void hm_random_fill(struct hm_random *random, void *out, size_t size)
{
    uint8_t *bytes = out;
    while (size) {
        uint64_t draw = hm_random_u64(random);
        size_t part = size < sizeof draw ? size : sizeof draw;
        memcpy(bytes, &draw, part);
        bytes += part;
        size -= part;
    }
}

struct hm_id hm_random_id(struct hm_random *random)
{
    struct hm_id id;
    hm_random_fill(random, id.bytes, sizeof id.bytes);
    return id;
}
