/* Up to 100,000 nodes in one process: membership alone. Each has the real engines swim, slice and
 * feed over real messages; the control plane is one sequencer, which applies the real state rules
 * and the real verdict, and whose events the control nodes (0 to 2) publish when they are
 * committed. No modules, no state feed, no disks; sealing and Raft are elsewhere. */
#ifndef TESTS_SIM_SCALE_H
#define TESTS_SIM_SCALE_H

#include "core/base/random.h"
#include "core/engine/crowd.h"
#include "core/engine/feed.h"
#include "core/engine/slice.h"
#include "core/engine/swim.h"
#include "core/engine/verdict.h"
#include "core/log/replica.h"
#include "core/state/state.h"

#define SCALE_CONTROLS 3u
#define SCALE_MOMENTS  2048u /* milliseconds ahead that events are filed under */

struct scale_event;

enum scale_life { SCALE_ABSENT, SCALE_JOINING, SCALE_IN };

struct scale_node {
    struct hm_swim swim;
    struct hm_feed feed;
    struct hm_slice slice;
    hm_ms wake_at;
    hm_ms filed_at; /* of the event that wakes it */
    hm_ms paused_until;
    hm_ms report_at;      /* what it found is said again */
    hm_ms event_at;       /* when it last learnt of an event */
    uint16_t in_permille; /* loss of what it is sent, and sends */
    uint16_t out_permille;
    uint8_t life; /* enum scale_life */
    bool dead;
    bool refuses; /* while dead, its kernel answers */
    bool fresh;   /* it has asked for a fresh slice */
};

/* What a run adds up to. */
struct scale_totals {
    uint64_t datagrams;
    uint64_t bytes; /* from IP up, sealed */
    uint64_t events;
    uint64_t fail_batches; /* commits that removed members, that let some in */
    uint64_t join_batches;
    uint64_t removed;
    uint64_t healthy_removed; /* that ran and were whole */
    uint64_t fresh_slices;
};

struct scale {
    hm_ms now;
    hm_ms delay_min;
    hm_ms delay_max;
    uint32_t loss_permille; /* of all datagrams */
    struct hm_random random;
    uint32_t count;
    struct scale_node *nodes;
    struct scale_event *moments[SCALE_MOMENTS];
    struct scale_event *last[SCALE_MOMENTS];
    struct scale_event *spare;
    struct hm_state *state;
    struct hm_replica replica; /* in which it stands */
    struct hm_verdict verdict;
    struct hm_crowd crowd;
    uint32_t *waiting; /* joiners */
    size_t waiting_count;
    size_t waiting_capacity;
    hm_ms flush_at;
    uint64_t published; /* events of the state that the control nodes have */
    size_t state_bytes; /* what the state took when all were in: list, last events */
    struct scale_totals totals;
    const char *wrong; /* what was acted on and should not have been; NULL: nothing */
};

/* `in` of `count` nodes are members from the start, and know their slices. */
void scale_init(struct scale *scale, uint64_t seed, uint32_t count, uint32_t in);
void scale_fini(struct scale *scale);
void scale_run(struct scale *scale, hm_ms until);
/* A silent one, or one whose machine refuses. */
void scale_kill(struct scale *scale, uint32_t node, bool refuses);
/* An absent one wants to be in. */
void scale_join(struct scale *scale, uint32_t node);
/* One asks to leave, and is silent when that is committed or lost. */
void scale_leave(struct scale *scale, uint32_t node);
/* Control node 0 goes on alone: a new epoch, without the other control nodes, which join again. */
void scale_raise_epoch(struct scale *scale);
/* A message of the epoch before comes to a node, and says of a member that it failed. */
void scale_send_stale(struct scale *scale, uint32_t to, uint32_t about);
void scale_pause(struct scale *scale, uint32_t node, hm_ms duration);
/* An event that concerns nobody's slice: its way shows how gossip travels. */
void scale_emit(struct scale *scale);

bool scale_is_member(const struct scale *scale, uint32_t node);
/* Compares the slice of a node with the rings of all, at the same position: 0 wrong; 1 right as far
 * as it goes; 2 whole. A node that is at another position counts as 1. */
int scale_check(const struct scale *scale, uint32_t node);
/* Bytes that the process has from the heap. */
size_t scale_heap_bytes(void);

#endif
