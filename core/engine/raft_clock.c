/* What time it is for the log, by the clocks of those who vote in it. */
#include "core/engine/raft_internal.h"

/* A leader whose clock is no further off goes by its own, so that time runs evenly. */
#define CLOCK_TRUST_MS 10000u

void hm_raft_set_wall(struct hm_raft *raft, hm_ms now, uint64_t wall_ms)
{
    raft->now = now > raft->now ? now : raft->now;
    raft->clock = (struct raft_clock){.known = wall_ms != 0, .offset = wall_ms - raft->now};
}

uint64_t raft_clock_read(const struct hm_raft *raft, const struct raft_clock *clock)
{
    return clock->known ? raft->now + clock->offset : 0;
}

void raft_clock_note(const struct hm_raft *raft, struct raft_clock *clock, uint64_t wall_ms)
{
    if (wall_ms != 0) {
        *clock = (struct raft_clock){.known = true, .offset = wall_ms - raft->now};
    }
}

/* The latest time that a majority of the voters' clocks have reached: their median where all are
 * known, and counted as commits are. While a majority goes right it is not ahead of every clock
 * that goes right, however wrong and however few the others are: one of the right ones is in any
 * majority. A clock that is not known has reached nothing. */
static uint64_t reached(const struct hm_raft *raft)
{
    uint64_t clocks[HM_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct raft_peer *peer = raft_peer_find(raft, &raft->voters[i].id);
        clocks[i] = raft_clock_read(raft, peer ? &peer->clock : &raft->clock);
    }
    return raft_voters_quorum(raft->voters, raft->voters_count, clocks);
}

uint64_t hm_raft_time(struct hm_raft *raft, hm_ms now)
{
    raft->now = now > raft->now ? now : raft->now;
    uint64_t median = reached(raft);
    uint64_t own = raft_clock_read(raft, &raft->clock);
    uint64_t apart = own > median ? own - median : median - own;
    return median != 0 && own != 0 && apart <= CLOCK_TRUST_MS ? own : median;
}
