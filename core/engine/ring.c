#include "core/engine/ring.h"

#include "core/base/hash.h"

uint64_t hm_ring_hash(const struct hm_id *id)
{
    return hm_hash_id(0, id);
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): one strong hash an id, a cheap one a ring.
 */
uint64_t hm_ring_place(uint32_t ring, uint64_t hash)
{
    uint64_t place = hash + (ring + 1) * 0x9e3779b97f4a7c15u;
    place = (place ^ place >> 30) * 0xbf58476d1ce4e5b9u;
    place = (place ^ place >> 27) * 0x94d049bb133111ebu;
    return place ^ place >> 31;
}
