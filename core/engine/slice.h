/* The few members that a node knows: K pseudo-random rings order all members, a node watches its
 * successors and is watched by its predecessors (Malkhi et al., Rapid, ATC'18, section 4.1). */
#ifndef HM_ENGINE_SLICE_H
#define HM_ENGINE_SLICE_H

#include "core/base/index.h"
#include "core/engine/effect.h"

#define HM_SLICE_RINGS_MAX     32u
#define HM_SLICE_RINGS_DEFAULT 8u

struct hm_slice_config {
    struct hm_id self; /* always on the rings, member or not */
    uint32_t rings;    /* 1..HM_SLICE_RINGS_MAX; 0: the default */
};

/* A member's place on one ring. A ring is sorted by (hash, id). */
struct hm_slice_seat {
    uint64_t hash;
    uint32_t slot; /* in `peers` */
};

/* A list of peers that is made anew when the rings have changed since. */
struct hm_slice_list {
    struct hm_peer *peers;
    size_t count;
    bool fresh;
};

struct hm_slice {
    struct hm_slice_config config;
    struct hm_peer *peers; /* [0] is self; dense */
    size_t count;
    size_t capacity;
    struct hm_index by_id;                           /* hm_hash_id(0, id) -> slot in `peers` */
    struct hm_slice_seat *rings[HM_SLICE_RINGS_MAX]; /* `count` seats each */
    size_t ring_capacity;
    struct hm_slice_list subjects;
    struct hm_slice_list observers;
    struct hm_slice_list neighbours;
};

void hm_slice_init(struct hm_slice *slice, const struct hm_slice_config *config);
void hm_slice_fini(struct hm_slice *slice);

/* A member came; true when the rings changed, false when it was there (its address is updated).
 * Moves the seats behind it, O(members) bytes a ring. */
bool hm_slice_add(struct hm_slice *slice, const struct hm_peer *peer);
/* A member went; false when it was not there. Self stays. */
bool hm_slice_remove(struct hm_slice *slice, const struct hm_id *id);
/* A member has another address; false when it is not there. */
bool hm_slice_move(struct hm_slice *slice, const struct hm_peer *peer);
/* Everyone but self goes. */
void hm_slice_clear(struct hm_slice *slice);

/* Those whom self watches: the distinct successors on the rings, never self. The array lives until
 * the next change of the slice. Order: by ring. */
const struct hm_peer *hm_slice_subjects(struct hm_slice *slice, size_t *count);
/* Those who watch self: the distinct predecessors. */
const struct hm_peer *hm_slice_observers(struct hm_slice *slice, size_t *count);
/* Both together, each once. */
const struct hm_peer *hm_slice_neighbours(struct hm_slice *slice, size_t *count);

/* Who watches `id` (which need not be on the rings any more): up to `max` peers to `out`, each
 * once; returns how many. */
size_t hm_slice_observers_of(const struct hm_slice *slice, const struct hm_id *id,
                             struct hm_peer *out, size_t max);
/* The same, but on each ring the next predecessor that `is_live` takes stands in for those that it
 * does not. */
size_t hm_slice_live_observers_of(const struct hm_slice *slice, const struct hm_id *id,
                                  bool (*is_live)(void *context, const struct hm_id *id),
                                  void *context, struct hm_peer *out, size_t max);

/* The peer with this id, self included; NULL when it is not there. Lives until the next change. */
const struct hm_peer *hm_slice_find(const struct hm_slice *slice, const struct hm_id *id);
/* Members on the rings, self included. */
size_t hm_slice_count(const struct hm_slice *slice);

#endif
