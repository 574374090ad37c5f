#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#include <string.h>

bool raft_voters_valid(const struct hm_voter *voters, uint32_t count)
{
    uint32_t voting = 0;
    if (count > HM_RAFT_VOTERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        voting += voters[i].voting;
        if (hm_id_is_none(&voters[i].id) || raft_voters_find(voters, i, &voters[i].id) != i) {
            return false;
        }
    }
    return voting > 0;
}

uint32_t raft_voters_find(const struct hm_voter *voters, uint32_t count, const struct hm_id *id)
{
    uint32_t i = 0;
    while (i < count && !hm_id_equal(&voters[i].id, id)) {
        i++;
    }
    return i;
}

uint64_t raft_voters_quorum(const struct hm_voter *voters, uint32_t count, const uint64_t *values)
{
    uint64_t sorted[HM_RAFT_VOTERS_MAX]; /* of those that vote, highest first */
    uint32_t voting = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!voters[i].voting && !hm_plant("learner_counts")) {
            continue;
        }
        uint32_t at = voting++;
        while (at > 0 && sorted[at - 1] < values[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = values[i];
    }
    if (hm_plant("quorum_of_half") && voting > 1 && voting % 2 == 0) {
        return sorted[voting / 2 - 1];
    }
    return voting ? sorted[voting / 2] : 0;
}

bool raft_voters_won(const struct hm_voter *voters, uint32_t count, uint64_t granted)
{
    uint64_t values[HM_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        values[i] = granted >> i & 1;
    }
    return raft_voters_quorum(voters, count, values) == 1;
}

bool raft_voters_decode(struct hm_arena *arena, struct hm_bytes body, struct hm_log_voters *out)
{
    struct hm_message message;
    if (hm_message_decode_only(body, HM_MSG_log_voters, arena, &message) != HM_OK ||
        !raft_voters_valid(message.log_voters.voters, message.log_voters.voters_count)) {
        return false;
    }
    *out = message.log_voters;
    return true;
}

enum hm_status raft_voters_add(struct hm_voter *voters, uint32_t *count, const struct hm_peer *peer)
{
    uint32_t at = raft_voters_find(voters, *count, &peer->id);
    if (hm_id_is_none(&peer->id)) {
        return HM_BAD_ARGUMENT;
    }
    if (at < *count && hm_addr_equal(&voters[at].addr, &peer->addr)) {
        return HM_EXISTS;
    }
    if (at == HM_RAFT_VOTERS_MAX) {
        return HM_FULL;
    }
    if (at == *count) {
        voters[(*count)++] = (struct hm_voter){.id = peer->id};
    }
    voters[at].addr = peer->addr;
    return HM_OK;
}

enum hm_status raft_voters_promote(struct hm_voter *voters, uint32_t *count,
                                   const struct hm_peer *peer)
{
    uint32_t at = raft_voters_find(voters, *count, &peer->id);
    if (at == *count) {
        return HM_NOT_FOUND;
    }
    if (voters[at].voting) {
        return HM_EXISTS;
    }
    voters[at].voting = true;
    return HM_OK;
}

enum hm_status raft_voters_remove(struct hm_voter *voters, uint32_t *count,
                                  const struct hm_peer *peer)
{
    uint32_t at = raft_voters_find(voters, *count, &peer->id);
    if (at == *count) {
        return HM_NOT_FOUND;
    }
    struct hm_voter removed = voters[at];
    memmove(&voters[at], &voters[at + 1], (*count - at - 1) * sizeof *voters);
    if (raft_voters_valid(voters, *count - 1)) {
        (*count)--;
        return HM_OK;
    }
    memmove(&voters[at + 1], &voters[at], (*count - at - 1) * sizeof *voters);
    voters[at] = removed;
    return HM_BAD_ARGUMENT;
}

bool raft_is_voter(const struct hm_raft *raft)
{
    uint32_t i = raft_voters_find(raft->voters, raft->voters_count, &raft->config.self.id);
    return i < raft->voters_count && raft->voters[i].voting;
}

bool raft_is_sole_voter(const struct hm_raft *raft)
{
    uint32_t voting = 0;
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        voting += raft->voters[i].voting;
    }
    return voting == 1 && raft_is_voter(raft);
}

void raft_voters_at(struct hm_raft *raft, uint64_t index, struct hm_voter *out, uint32_t *count,
                    uint64_t *entry_index)
{
    *count = 0;
    *entry_index = 0;
    struct hm_log_voters found;
    for (uint64_t i = index; i > raft->log.base_index; i--) {
        const struct hm_entry *entry = raft_log_at(&raft->log, i);
        if (entry->kind != HM_RAFT_VOTERS) {
            continue;
        }
        if (raft_voters_decode(&raft->arena, entry->body, &found)) {
            memcpy(out, found.voters, found.voters_count * sizeof *out);
            *count = found.voters_count;
            *entry_index = i;
        }
        hm_arena_clear(&raft->arena);
        return;
    }
    *count = raft->base_voters_count;
    memcpy(out, raft->base_voters, *count * sizeof *out);
}

/* Until the entry that removes a node is committed, that node may be the only one whose log is good
 * enough to lead: it still campaigns, without a vote of its own (dissertation, 4.2.2). */
static bool may_campaign(struct hm_raft *raft)
{
    if (raft_is_voter(raft) || raft->voters_index <= raft->commit) {
        return raft_is_voter(raft);
    }
    struct hm_voter before[HM_RAFT_VOTERS_MAX];
    uint32_t count;
    uint64_t index;
    raft_voters_at(raft, raft->voters_index - 1, before, &count, &index);
    uint32_t at = raft_voters_find(before, count, &raft->config.self.id);
    raft->was_in = raft->was_in || at < count;
    return at < count && before[at].voting;
}

void raft_voters_reload(struct hm_raft *raft)
{
    raft_voters_at(raft, raft_log_last(&raft->log), raft->voters, &raft->voters_count,
                   &raft->voters_index);
    uint32_t at = raft_voters_find(raft->voters, raft->voters_count, &raft->config.self.id);
    raft->was_in = raft->was_in || at < raft->voters_count;
    raft->campaigns = may_campaign(raft);
    if (raft->role == HM_RAFT_LEADER) {
        raft_peers_sync(raft);
    } else if (raft->campaigns != (raft->election_at != HM_NEVER)) {
        raft_restart_timer(raft);
    }
}

/* ---- changes ---- */

static enum hm_status may_change(const struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    /* Without an entry of its own term committed, two leaders could each add a node to a different
     * majority (dissertation, 4.1, the bug found in 2015). */
    if (raft->commit < raft->first_of_term && !hm_plant("change_before_noop")) {
        return HM_NOT_READY;
    }
    if ((raft->voters_index > raft->commit && !hm_plant("two_changes")) ||
        !hm_id_is_none(&raft->transfer_to)) {
        return HM_BUSY;
    }
    return HM_OK;
}

static enum hm_status change(struct hm_raft *raft, hm_ms now, raft_voters_change *make,
                             const struct hm_peer *peer)
{
    enum hm_status status = may_change(raft);
    if (status != HM_OK) {
        return status;
    }
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    uint32_t count = raft->voters_count;
    memcpy(voters, raft->voters, count * sizeof *voters);
    status = make(voters, &count, peer);
    if (status != HM_OK) {
        return status;
    }
    raft->now = now > raft->now ? now : raft->now;
    struct hm_message message = {.kind = HM_MSG_log_voters,
                                 .log_voters = {.voters = voters, .voters_count = count}};
    struct hm_buf body = {0};
    hm_message_encode(&body, &message);
    raft_append(raft, HM_RAFT_VOTERS, hm_buf_view(&body));
    hm_buf_fini(&body);
    raft_voters_reload(raft);
    raft_count_commit(raft);
    return HM_OK;
}

enum hm_status hm_raft_add_learner(struct hm_raft *raft, hm_ms now, const struct hm_peer *peer)
{
    return change(raft, now, raft_voters_add, peer);
}

enum hm_status hm_raft_promote(struct hm_raft *raft, hm_ms now, const struct hm_peer *peer)
{
    uint32_t at = raft_voters_find(raft->voters, raft->voters_count, &peer->id);
    bool waits = at < raft->voters_count && !raft->voters[at].voting;
    if (may_change(raft) == HM_OK && waits && !hm_raft_is_caught_up(raft, &peer->id)) {
        return HM_NOT_READY;
    }
    return change(raft, now, raft_voters_promote, peer);
}

enum hm_status hm_raft_remove(struct hm_raft *raft, hm_ms now, const struct hm_peer *peer)
{
    return change(raft, now, raft_voters_remove, peer);
}
