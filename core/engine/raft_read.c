#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#include <string.h>

#define READS_MAX 65536u

static void demand_heartbeats(struct hm_raft *raft)
{
    for (size_t i = 0; i < raft->peers_count; i++) {
        raft->peers[i].heartbeat_due = true;
    }
}

/* The last round that a majority, this leader in it, answered. */
static uint64_t confirmed_round(const struct hm_raft *raft)
{
    uint64_t rounds[HM_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct raft_peer *peer = raft_peer_find(raft, &raft->voters[i].id);
        rounds[i] = peer ? peer->round_acked : raft->round;
    }
    return raft_voters_quorum(raft->voters, raft->voters_count, rounds);
}

/* Round numbers only rise, so any message sent after a read came confirms it once a quorum has
 * answered it. Reads that come while one round is on its way share the next. */
static void start_round(struct hm_raft *raft)
{
    for (size_t i = 0; i < raft->reads_count; i++) {
        raft->reads[i].round = raft->round + 1;
    }
    raft->round++;
    demand_heartbeats(raft);
}

void raft_reads_confirm(struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_LEADER || raft->reads_count == 0 ||
        (raft->commit < raft->first_of_term && !hm_plant("read_before_noop"))) {
        return;
    }
    uint64_t round = confirmed_round(raft);
    size_t done = 0;
    while (done < raft->reads_count && raft->reads[done].round &&
           (raft->reads[done].round <= round || hm_plant("stale_read"))) {
        hm_outbox_notify(&raft->outbox, HM_RAFT_READ_READY, NULL, raft->reads[done++].context);
    }
    raft->reads_count -= done;
    memmove(raft->reads, raft->reads + done, raft->reads_count * sizeof *raft->reads);
    if (raft->reads_count && raft->reads[0].round == 0) {
        start_round(raft);
    }
}

void raft_reads_lose(struct hm_raft *raft)
{
    for (size_t i = 0; i < raft->reads_count; i++) {
        hm_outbox_notify(&raft->outbox, HM_RAFT_READ_LOST, NULL, raft->reads[i].context);
    }
    raft->reads_count = 0;
}

enum hm_status hm_raft_read(struct hm_raft *raft, hm_ms now, uint64_t context)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->role != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    if (raft->reads_count == READS_MAX) {
        return HM_FULL;
    }
    raft->reads =
        hm_grow(raft->reads, raft->reads_count, &raft->reads_capacity, sizeof *raft->reads);
    raft->reads[raft->reads_count++] = (struct raft_read){.context = context};
    bool by_lease = hm_plant("read_by_lease") && raft_lease_holds(raft);
    if (by_lease && raft->commit >= raft->first_of_term) {
        raft->reads_count--;
        hm_outbox_notify(&raft->outbox, HM_RAFT_READ_READY, NULL, context);
        return HM_OK;
    }
    if (raft->reads_count == 1) {
        start_round(raft);
    }
    raft_reads_confirm(raft);
    return HM_OK;
}
