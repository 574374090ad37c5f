#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#include <string.h>

/* ---- the leader's side ---- */

/* What one gathering sends. It has one round: a read that comes later needs a later one, no more.
 * So followers at the same place, as they are while all goes well, share one encoded append. */
struct sent {
    bool has_round;
    bool has_append; /* the last thing sent was an append of `count` entries after `prev` */
    uint64_t prev;
    uint32_t count;
};

static void take_round(struct hm_raft *raft, struct sent *sent)
{
    raft->round += !sent->has_round;
    sent->has_round = true;
}

static void send_append(struct hm_raft *raft, struct raft_peer *peer, uint64_t prev, uint32_t count,
                        struct sent *sent)
{
    peer->commit_sent = raft->commit < prev + count ? raft->commit : prev + count;
    peer->heartbeat_due = false;
    if (sent->has_append && sent->prev == prev && sent->count == count) {
        hm_outbox_send_again(&raft->outbox, &peer->peer);
        return;
    }
    take_round(raft, sent);
    sent->has_append = true;
    sent->prev = prev;
    sent->count = count;
    struct hm_append append = {.log = raft->config.log,
                               .generation = raft->generation,
                               .term = raft->term,
                               .prev_index = prev,
                               .prev_term = raft_log_term_at(&raft->log, prev),
                               .commit = raft->commit,
                               .round = raft->round};
    if (count) {
        append.entries = (struct hm_entry *)raft_log_at(&raft->log, prev + 1);
        append.entries_count = count;
    }
    hm_outbox_send(&raft->outbox, &peer->peer,
                   &(struct hm_message){.kind = HM_MSG_append, .append = append});
}

/* Index 0 matches everywhere: a heartbeat that says nothing about logs. */
static void send_bare_heartbeat(struct hm_raft *raft, struct raft_peer *peer, struct sent *sent)
{
    take_round(raft, sent);
    struct hm_message message = {.kind = HM_MSG_append,
                                 .append = {.log = raft->config.log,
                                            .generation = raft->generation,
                                            .term = raft->term,
                                            .round = raft->round}};
    peer->heartbeat_due = false;
    sent->has_append = false;
    hm_outbox_send(&raft->outbox, &peer->peer, &message);
}

static void replicate_to(struct hm_raft *raft, struct raft_peer *peer, struct sent *sent)
{
    uint64_t last = raft_log_last(&raft->log);
    if (peer->next <= raft->log.base_index && peer->state != RAFT_SNAPSHOT) {
        peer->state = RAFT_SNAPSHOT;
        peer->chunk_at = HM_NEVER;
    }
    if (peer->state == RAFT_SNAPSHOT) {
        if (peer->heartbeat_due) {
            send_bare_heartbeat(raft, peer, sent);
        }
        if (peer->chunk_at == HM_NEVER) {
            sent->has_append = false; /* neither a chunk nor asking for one can be shared */
            if (raft_peer_has_snapshot(raft, peer)) {
                take_round(raft, sent);
                raft_peer_send_snapshot(raft, peer);
            }
        }
        return;
    }
    while (peer->state == RAFT_REPLICATE && peer->next <= last &&
           peer->flights_count < raft->config.inflight_max) {
        uint32_t count = raft_log_batch(&raft->log, peer->next, raft->config.batch_entries_max,
                                        raft->config.batch_bytes_max);
        send_append(raft, peer, peer->next - 1, count, sent);
        peer->next += count;
        peer->flights[(peer->flights_first + peer->flights_count++) % raft->config.inflight_max] =
            peer->next - 1;
    }
    uint64_t known = raft->commit < peer->next - 1 ? raft->commit : peer->next - 1;
    if (peer->heartbeat_due || (peer->state == RAFT_REPLICATE && peer->commit_sent < known)) {
        send_append(raft, peer, peer->next - 1, 0, sent);
    }
}

void raft_replicate(struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_LEADER) {
        return;
    }
    struct sent sent = {0};
    for (size_t i = 0; i < raft->peers_count; i++) {
        replicate_to(raft, &raft->peers[i], &sent);
    }
    const struct raft_peer *to = raft_peer_find(raft, &raft->transfer_to);
    if (to && !raft->transfer_told && to->match == raft_log_last(&raft->log)) {
        raft_hand_over(raft, to);
        raft->transfer_told = true;
    }
}

void raft_peer_reprobe(const struct hm_raft *raft, struct raft_peer *peer, uint64_t next)
{
    peer->state = RAFT_PROBE;
    peer->next = next > peer->match ? next : peer->match + 1;
    peer->probe_round = raft->round + 1;
    peer->flights_count = 0;
    peer->heartbeat_due = true;
    raft_snapshot_drop(peer->snapshot);
    peer->snapshot = NULL;
}

/* Only an entry of the leader's own term is committed by counting, those before it with it (paper,
 * 5.4.2 and figure 8). What counts is what is durable, the leader's own disk included. */
void raft_count_commit(struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_LEADER) {
        return;
    }
    uint64_t durable[HM_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct raft_peer *peer = raft_peer_find(raft, &raft->voters[i].id);
        durable[i] = peer ? peer->match : raft->durable_index;
        if (!peer && hm_plant("leader_counts_undurable")) {
            durable[i] = raft_log_last(&raft->log);
        }
        if (peer && hm_plant("commit_beyond_match")) {
            durable[i] = peer->next - 1;
        }
    }
    uint64_t index = raft_voters_quorum(raft->voters, raft->voters_count, durable);
    if (index > raft->commit &&
        (raft_log_term_at(&raft->log, index) == raft->term || hm_plant("figure_8"))) {
        raft_commit_to(raft, index);
    }
    raft_reads_confirm(raft);
}

static void accepted(struct hm_raft *raft, struct raft_peer *peer,
                     const struct hm_append_reply *reply)
{
    if (reply->match > peer->match) {
        peer->match = reply->match;
        peer->next = peer->next > peer->match ? peer->next : peer->match + 1;
    }
    while (peer->flights_count && peer->flights[peer->flights_first] <= peer->match) {
        peer->flights_first = (peer->flights_first + 1) % raft->config.inflight_max;
        peer->flights_count--;
    }
    if (peer->state == RAFT_PROBE && reply->round >= peer->probe_round) {
        peer->state = RAFT_REPLICATE;
    } else if (peer->state == RAFT_SNAPSHOT && peer->match >= raft->log.base_index) {
        raft_peer_reprobe(raft, peer, peer->match + 1);
    }
}

static void refused(struct hm_raft *raft, struct raft_peer *peer,
                    const struct hm_append_reply *reply)
{
    if (peer->state == RAFT_SNAPSHOT || reply->round < peer->probe_round) {
        return;
    }
    /* Where both could agree: the follower named its last entry of a term that is not above ours at
     * the place in dispute; skip our entries of higher terms. Each probe goes back by one at least.
     */
    uint64_t below = peer->next > 2 ? peer->next - 2 : 0;
    uint64_t prev = raft_log_hint(&raft->log, reply->match, reply->hint_term);
    if (peer->state == RAFT_PROBE && prev > below) {
        prev = below;
    }
    if (prev == raft->log.base_index &&
        (reply->match < prev || reply->hint_term < raft->log.base_term)) {
        prev = prev ? prev - 1 : 0; /* they part before the base: only a snapshot helps */
    }
    raft_peer_reprobe(raft, peer, prev + 1);
}

enum hm_status raft_on_append_reply(struct hm_raft *raft, const struct hm_peer *from,
                                    const struct hm_append_reply *reply)
{
    if (reply->term > raft->term) {
        raft_step_down(raft, reply->term);
        return HM_OK;
    }
    struct raft_peer *peer = raft_peer_find(raft, &from->id);
    bool old = reply->term < raft->term && !hm_plant("reply_of_older_term");
    if (raft->role != HM_RAFT_LEADER || old || !peer || reply->round == 0) {
        return HM_OK;
    }
    if (reply->round > raft->round ||
        (reply->accepted && reply->match > raft_log_last(&raft->log))) {
        return HM_BAD_BYTES;
    }
    peer->heard = raft->now;
    raft_clock_note(raft, &peer->clock, reply->clock_ms);
    peer->round_acked = reply->round > peer->round_acked ? reply->round : peer->round_acked;
    if (reply->accepted) {
        accepted(raft, peer, reply);
        raft_count_commit(raft);
    } else {
        refused(raft, peer, reply);
        raft_reads_confirm(raft);
    }
    return HM_OK;
}

/* ---- the follower's side ---- */

static void send_answer(struct hm_raft *raft)
{
    struct hm_append_reply reply = {.log = raft->config.log,
                                    .generation = raft->generation,
                                    .term = raft->term,
                                    .round = raft->ack_round,
                                    .clock_ms = raft_clock_read(raft, &raft->clock)};
    if (raft->refuse) {
        reply.match = raft_log_hint(&raft->log, raft->refused_index, raft->refused_term);
        reply.hint_term = raft_log_term_at(&raft->log, reply.match);
    } else {
        reply.accepted = true;
        reply.match = raft->ack_match < raft->durable_index ? raft->ack_match : raft->durable_index;
        if (hm_plant("ack_before_durable")) {
            reply.match = raft->ack_match;
        }
        if (hm_plant("ack_unverified")) {
            reply.match = raft->durable_index;
        }
        raft->ack_sent = reply.match;
    }
    raft->answer_due = false;
    hm_outbox_send(&raft->outbox, &raft->leader,
                   &(struct hm_message){.kind = HM_MSG_append_reply, .append_reply = reply});
}

void raft_answer(struct hm_raft *raft)
{
    if (raft_hard_is_durable(raft) || hm_plant("term_not_durable")) {
        send_answer(raft);
    } else {
        raft->answer_due = true;
    }
}

void raft_answer_durable(struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_FOLLOWER || hm_id_is_none(&raft->leader.id) ||
        !raft_hard_is_durable(raft)) {
        return;
    }
    uint64_t match = raft->ack_match < raft->durable_index ? raft->ack_match : raft->durable_index;
    if (raft->answer_due) {
        send_answer(raft);
    }
    if (match > raft->ack_sent) {
        raft->refuse = false;
        send_answer(raft);
    }
}

static bool is_sound(struct hm_raft *raft, const struct hm_append *append)
{
    uint64_t term = append->prev_term;
    if (append->term == 0 || append->term > RAFT_NUMBER_MAX || append->commit > RAFT_NUMBER_MAX ||
        append->prev_index > RAFT_NUMBER_MAX || append->prev_term > append->term ||
        (append->prev_index == 0) != (append->prev_term == 0)) {
        return false;
    }
    for (uint32_t i = 0; i < append->entries_count; i++) {
        const struct hm_entry *entry = &append->entries[i];
        if (entry->term < term || entry->term == 0 || entry->term > append->term ||
            entry->kind > HM_RAFT_REQUEST || entry->body.size > HM_RAFT_ENTRY_BYTES_MAX ||
            (entry->kind == HM_RAFT_NOOP && entry->body.size)) {
            return false;
        }
        term = entry->term;
        struct hm_log_voters voters;
        if (entry->kind == HM_RAFT_VOTERS) {
            bool valid = raft_voters_decode(&raft->arena, entry->body, &voters);
            hm_arena_clear(&raft->arena);
            if (!valid) {
                return false;
            }
        }
    }
    return true;
}

/* Appends what is new. Entries that we hold already are left alone: the message may be old, and
 * what follows them may be newer (paper, figure 2). */
static enum hm_status take_entries(struct hm_raft *raft, const struct hm_append *append)
{
    for (uint32_t i = 0; i < append->entries_count; i++) {
        const struct hm_entry *entry = &append->entries[i];
        uint64_t index = append->prev_index + 1 + i;
        uint64_t term;
        if (index <= raft->log.base_index) {
            continue;
        }
        if (raft_log_term(&raft->log, index, &term)) {
            if (term == entry->term && !hm_plant("cut_always")) {
                continue;
            }
            if (index <= raft->commit && !hm_plant("cut_always")) {
                return HM_BAD_BYTES;
            }
            raft_cut(raft, index);
        }
        if (index != raft_log_last(&raft->log) + 1 ||
            entry->term < raft_log_term_at(&raft->log, index - 1)) {
            return HM_BAD_BYTES; /* terms never fall along a log */
        }
        raft_log_append(&raft->log, entry);
        if (entry->kind == HM_RAFT_VOTERS) {
            raft_voters_reload(raft);
        }
    }
    return HM_OK;
}

enum hm_status raft_on_append(struct hm_raft *raft, const struct hm_peer *from,
                              const struct hm_append *append)
{
    if (!is_sound(raft, append)) {
        return HM_BAD_BYTES;
    }
    if (append->term < raft->term) {
        /* Only our term counts. The round is another leader's: echoed, it would confirm a read of
         * the leader of our term. */
        struct hm_append_reply no = {
            .log = raft->config.log, .generation = raft->generation, .term = raft->term};
        if (hm_plant("round_of_older_term")) {
            no.round = append->round;
        }
        hm_outbox_send(&raft->outbox, from,
                       &(struct hm_message){.kind = HM_MSG_append_reply, .append_reply = no});
        return HM_OK;
    }
    if (append->term == raft->term &&
        (raft->role == HM_RAFT_LEADER ||
         (!hm_id_is_none(&raft->leader.id) && !hm_id_equal(&raft->leader.id, &from->id)))) {
        return HM_BAD_BYTES; /* a second leader in one term */
    }
    raft_follow(raft, append->term, from);
    raft->ack_round = append->round > raft->ack_round ? append->round : raft->ack_round;
    uint64_t term;
    bool known = raft_log_term(&raft->log, append->prev_index, &term);
    raft->refuse = append->prev_index > raft->log.base_index &&
                   (!known || (term != append->prev_term && !hm_plant("no_prev_check")));
    if (raft->refuse) {
        raft->refused_index = append->prev_index;
        raft->refused_term = append->prev_term;
        raft_save_hard(raft);
        raft_answer(raft);
        return HM_OK;
    }
    enum hm_status status = take_entries(raft, append);
    if (status != HM_OK) {
        return status;
    }
    uint64_t verified = append->prev_index + append->entries_count;
    raft->ack_match = verified > raft->ack_match ? verified : raft->ack_match;
    uint64_t commit = append->commit < verified ? append->commit : verified;
    if (hm_plant("commit_unverified")) {
        commit =
            append->commit < raft_log_last(&raft->log) ? append->commit : raft_log_last(&raft->log);
    }
    if (commit > raft->commit) {
        raft_commit_to(raft, commit);
    }
    raft_save_hard(raft);
    if (append->entries_count == 0 || raft->durable_index >= verified ||
        hm_plant("ack_before_durable")) {
        raft_answer(raft);
    }
    return HM_OK;
}
