#include "core/base/memory.h"
#include "core/engine/raft_internal.h"

#include <string.h>

/* How long a removed node is still told about its removal, in election times. */
#define LEAVING_ELECTIONS 10u

struct raft_peer *raft_peer_find(const struct hm_raft *raft, const struct hm_id *id)
{
    for (size_t i = 0; i < raft->peers_count; i++) {
        if (hm_id_equal(&raft->peers[i].peer.id, id)) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

static void fini(struct raft_peer *peer)
{
    hm_free(peer->flights);
    raft_snapshot_drop(peer->snapshot);
}

void raft_peers_clear(struct hm_raft *raft)
{
    for (size_t i = 0; i < raft->peers_count; i++) {
        fini(&raft->peers[i]);
    }
    raft->peers_count = 0;
}

static struct raft_peer *add(struct hm_raft *raft)
{
    raft->peers =
        hm_grow(raft->peers, raft->peers_count, &raft->peers_capacity, sizeof *raft->peers);
    struct raft_peer *peer = &raft->peers[raft->peers_count++];
    *peer = (struct raft_peer){.state = RAFT_REPLICATE,
                               .next = raft_log_last(&raft->log) + 1,
                               .heard = raft->now,
                               .heartbeat_due = true,
                               .chunk_at = HM_NEVER};
    peer->flights = hm_alloc(raft->config.inflight_max, sizeof *peer->flights);
    return peer;
}

void raft_peers_sync(struct hm_raft *raft)
{
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct hm_voter *voter = &raft->voters[i];
        if (hm_id_equal(&voter->id, &raft->config.self.id)) {
            continue;
        }
        struct raft_peer *peer = raft_peer_find(raft, &voter->id);
        if (!peer) {
            peer = add(raft);
        }
        peer->peer = (struct hm_peer){.id = voter->id, .addr = voter->addr};
        peer->voting = voter->voting;
        peer->leaving_until = 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < raft->peers_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        bool stays =
            raft_voters_find(raft->voters, raft->voters_count, &peer->peer.id) < raft->voters_count;
        if (!stays && !peer->leaving_until) {
            peer->voting = false;
            peer->leaving_until = raft->now + LEAVING_ELECTIONS * raft->config.election_ms;
        }
        bool told =
            !stays && peer->match >= raft->voters_index && peer->commit_sent >= raft->voters_index;
        if (!stays && (told || raft->now >= peer->leaving_until)) {
            fini(peer);
        } else {
            raft->peers[kept++] = *peer;
        }
    }
    raft->peers_count = kept;
}

const struct raft_peer *raft_peer_best(const struct hm_raft *raft)
{
    const struct raft_peer *best = NULL;
    for (size_t i = 0; i < raft->peers_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        bool later = best && (peer->match > best->match ||
                              (peer->match == best->match && peer->heard > best->heard));
        if (peer->voting && (!best || later)) {
            best = peer;
        }
    }
    return best;
}

hm_ms raft_quorum_heard(const struct hm_raft *raft, hm_ms now)
{
    uint64_t heard[HM_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct raft_peer *peer = raft_peer_find(raft, &raft->voters[i].id);
        heard[i] = peer ? peer->heard : now;
    }
    return raft_voters_quorum(raft->voters, raft->voters_count, heard);
}
