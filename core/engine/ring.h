/* Where a node stands on a ring: the one definition that everybody who orders nodes must share. */
#ifndef HM_ENGINE_RING_H
#define HM_ENGINE_RING_H

#include "core/base/ids.h"

#define HM_RINGS_MAX     32u
#define HM_RINGS_DEFAULT 8u
/* Members known in each direction: the nearest watches or is watched, the second stands ready. */
#define HM_RINGS_DEPTH     2u
#define HM_RINGS_SLICE_MAX (2u * HM_RINGS_DEPTH * HM_RINGS_MAX)

/* The hash of an id from which its place on every ring follows. */
uint64_t hm_ring_hash(const struct hm_id *id);
/* The place on one ring. A ring is sorted by place, then by id. */
uint64_t hm_ring_place(uint32_t ring, uint64_t hash);

#endif
