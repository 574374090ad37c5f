/* The few members that a node knows: on each of K rings those next to it in both directions. It
 * watches its successors and is watched by its predecessors (Rapid, ATC'18, section 4.1). Member
 * events mend it: who comes is placed by comparing ring places; behind who goes, the second in line
 * steps up, and the neighbour now last on that side is asked who follows.
 *
 * At every position of feed `members`, what is known of a side is the beginning of what the full
 * list would give. SEND: slice_ask. NOTIFY: enum hm_slice_notice. */
#ifndef HM_ENGINE_SLICE_H
#define HM_ENGINE_SLICE_H

#include "core/engine/effect.h"
#include "core/engine/ring.h"

struct hm_slice_config {
    struct hm_id self; /* never in its own slice; need not be a member */
    uint32_t rings;    /* 1..HM_RINGS_MAX; 0: HM_RINGS_DEFAULT */
};

enum hm_slice_notice {
    /* No neighbour can tell what is missing: somebody who knows everybody is to be asked, and the
     * slice started again. Said again from time to time until then. */
    HM_SLICE_LOST = 1,
};

/* One direction on one ring. */
struct hm_slice_side {
    uint8_t known; /* <= HM_RINGS_DEPTH: so many are known from self on, without a gap */
    uint8_t peers[HM_RINGS_DEPTH]; /* in `peers`, nearest first */
};

/* An answer from a position that this node has not reached yet. */
struct hm_slice_told {
    uint64_t position;
    uint8_t side;
    uint8_t count;
    struct hm_id after;
    struct hm_peer peers[HM_RINGS_DEPTH];
};

struct hm_slice {
    struct hm_slice_config config;
    struct hm_random random;
    struct hm_outbox outbox;
    uint64_t self_hash;
    uint64_t position;     /* of feed `members`: all events up to it are in */
    uint64_t others;       /* members besides self */
    struct hm_peer *peers; /* each stands on some side */
    uint8_t count;
    uint8_t capacity;
    bool started;
    uint8_t told_count;
    struct hm_slice_side *sides; /* 2 * ring, then 2 * ring + 1: backward */
    struct hm_slice_told *told;
    hm_ms ask_at;   /* HM_NEVER: nothing is missing */
    uint32_t tries; /* since something came */
};

void hm_slice_init(struct hm_slice *slice, const struct hm_slice_config *config, uint64_t seed);
void hm_slice_fini(struct hm_slice *slice);

/* Starts at a position from a list in which all neighbours of self are (others may be there too,
 * and self, which is skipped). `others`: how many members there are besides self. `whole` false:
 * nobody vouches for that, so nothing counts as known. */
void hm_slice_start(struct hm_slice *slice, hm_ms now, uint64_t position, uint64_t others,
                    const struct hm_peer *peers, size_t count, bool whole);

/* The member events, in order. True when the slice has changed. About self they change nothing. */
bool hm_slice_join(struct hm_slice *slice, hm_ms now, const struct hm_peer *peer);
bool hm_slice_leave(struct hm_slice *slice, hm_ms now, const struct hm_id *id);
bool hm_slice_move(struct hm_slice *slice, const struct hm_peer *peer);
/* The event at this position is in: answers that waited for it count now. True as above. */
bool hm_slice_reach(struct hm_slice *slice, hm_ms now, uint64_t position);

/* slice_tell. True when the slice has changed. What does not fit is ignored. */
bool hm_slice_input(struct hm_slice *slice, hm_ms now, const struct hm_peer *from,
                    const struct hm_message *message);

void hm_slice_tick(struct hm_slice *slice, hm_ms now);
hm_ms hm_slice_deadline(const struct hm_slice *slice);
bool hm_slice_output(struct hm_slice *slice, struct hm_effect *out);

/* Those whom self watches: the distinct successors; those who watch self: the distinct
 * predecessors; both, each once, the former first. By ring. `out` has room for HM_RINGS_MAX, for
 * the neighbours twice that. */
size_t hm_slice_subjects(const struct hm_slice *slice, struct hm_peer *out);
size_t hm_slice_observers(const struct hm_slice *slice, struct hm_peer *out);
size_t hm_slice_neighbours(const struct hm_slice *slice, struct hm_peer *out);
/* What is known of one side, nearest first; `out` has room for HM_RINGS_DEPTH. */
size_t hm_slice_beside(const struct hm_slice *slice, uint32_t ring, bool forward,
                       struct hm_peer *out);

/* Is it in the slice, or in an answer that waits? */
bool hm_slice_holds(const struct hm_slice *slice, const struct hm_id *id);
/* Is every side known as far as it goes? */
bool hm_slice_is_whole(const struct hm_slice *slice);

#endif
