/* The rings: K pseudo-random orders of all members, by a hash of ring and node id (Malkhi et al.,
 * Rapid, ATC'18, section 4.1). Kept by those who know everybody; what one node needs of them is its
 * slice. A member is a small number of the caller's, who knows its id. */
#ifndef HM_ENGINE_RINGS_H
#define HM_ENGINE_RINGS_H

#include "core/engine/ring.h"

struct hm_rings_config {
    uint32_t rings; /* 1..HM_RINGS_MAX; 0: HM_RINGS_DEFAULT */
    /* The id of a member, while it is on the rings. */
    const struct hm_id *(*id_of)(const void *context, uint32_t member);
    const void *context;
};

/* A stretch of one ring. */
struct hm_rings_block {
    uint32_t *members;
    uint32_t count; /* 1 .. HM_RINGS_BLOCK */
};

#define HM_RINGS_BLOCK 256u

/* One ring: blocks in order, so that a change moves a block at most, not all members. */
struct hm_rings_ring {
    struct hm_rings_block *blocks;
    size_t count;
    size_t capacity;
};

/* All zero is a valid value that was not initialised: it has no members and takes none. */
struct hm_rings {
    struct hm_rings_config config;
    struct hm_rings_ring rings[HM_RINGS_MAX];
    size_t count; /* members */
};

void hm_rings_init(struct hm_rings *rings, const struct hm_rings_config *config);
void hm_rings_fini(struct hm_rings *rings);

/* A member that is not there yet; one that is. O(log members) comparisons a ring, and a block of
 * numbers moved. */
void hm_rings_add(struct hm_rings *rings, uint32_t member);
void hm_rings_remove(struct hm_rings *rings, uint32_t member);

/* What they take of memory. */
size_t hm_rings_bytes(const struct hm_rings *rings);

/* Up to `most` members that follow `id` on a ring (that precede it, nearest first), each once and
 * never `id` itself, which need not be on the rings. Returns how many were written. */
size_t hm_rings_beside(const struct hm_rings *rings, uint32_t ring, const struct hm_id *id,
                       bool forward, uint32_t *out, size_t most);
/* Who watches `id`: its predecessors, each once; on each ring the next one that `is_live` takes
 * stands in for those that it does not (NULL takes all). `id` need not be on the rings any more. */
size_t hm_rings_observers(const struct hm_rings *rings, const struct hm_id *id,
                          bool (*is_live)(void *context, const struct hm_id *id), void *context,
                          uint32_t *out, size_t most);
/* All whom the slice of `id` holds, each once; `out` has room for HM_RINGS_SLICE_MAX. */
size_t hm_rings_slice(const struct hm_rings *rings, const struct hm_id *id, uint32_t *out);

#endif
