#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#define PATIENCE_MS        10000u /* how long a late sign of life is remembered */
#define PATIENCE_ELECTIONS 4u     /* the most that it adds, in election times */

/* A sign of life that is due every heartbeat came, `after` so long: somebody on the way has not
 * enough processor, perhaps we. Who is late once is late again, and an election helps nobody then:
 * for a while silence has to last twice as much longer to mean anything. Where all is in time
 * nothing waits for this, and safety does not depend on it. */
void raft_note_gap(struct hm_raft *raft, hm_ms after)
{
    hm_ms most = PATIENCE_ELECTIONS * raft->config.election_ms;
    hm_ms more = after > 3 * raft->config.heartbeat_ms ? 2 * after : 0;
    more = more < most ? more : most;
    if (more && (more >= raft->patience || raft->now >= raft->patient_until)) {
        raft->patience = more;
        raft->patient_until = raft->now + PATIENCE_MS;
    }
}

hm_ms raft_silence_ms(const struct hm_raft *raft)
{
    return raft->config.election_ms + (raft->now < raft->patient_until ? raft->patience : 0);
}

void raft_restart_timer(struct hm_raft *raft)
{
    if (raft->failed || !raft->campaigns) {
        raft->election_at = HM_NEVER;
    } else if (raft->role == HM_RAFT_FOLLOWER && raft_is_sole_voter(raft)) {
        raft->election_at = raft->now;
    } else {
        raft->election_at = raft->now + raft_silence_ms(raft) +
                            hm_random_below(&raft->random, raft->config.election_ms);
    }
}

static void tell_role(struct hm_raft *raft)
{
    hm_outbox_notify(&raft->outbox, HM_RAFT_ROLE_CHANGED, &raft->leader, raft->term);
}

static void forget_leader(struct hm_raft *raft)
{
    raft->leader = (struct hm_peer){0};
    raft->hears_leader = false;
    raft->ack_match = raft->ack_sent = raft->ack_round = 0;
    raft->answer_due = false;
    hm_buf_fini(&raft->incoming);
    raft->incoming_index = 0;
}

static void end_leadership(struct hm_raft *raft)
{
    raft_reads_lose(raft);
    raft_peers_clear(raft);
    raft->transfer_to = (struct hm_id){{0}};
    raft->transfer_told = false;
}

void raft_step_down(struct hm_raft *raft, uint64_t term)
{
    if (term > raft->term) {
        raft->term = term;
        raft->vote = (struct hm_id){{0}};
        raft->hard_dirty = true;
        raft->vote_due = false;
    }
    enum hm_raft_role role = raft->role;
    bool told = role == HM_RAFT_FOLLOWER && hm_id_is_none(&raft->leader.id);
    if (role == HM_RAFT_LEADER) {
        end_leadership(raft);
    }
    raft->role = HM_RAFT_FOLLOWER;
    forget_leader(raft);
    if (role != HM_RAFT_FOLLOWER || raft->election_at == HM_NEVER) {
        raft_restart_timer(raft);
    }
    if (!told) {
        tell_role(raft);
    }
}

void raft_follow(struct hm_raft *raft, uint64_t term, const struct hm_peer *leader)
{
    if (term > raft->term || raft->role != HM_RAFT_FOLLOWER || hm_id_is_none(&raft->leader.id)) {
        raft_step_down(raft, term);
        raft->leader = *leader;
        tell_role(raft);
    } else if (raft->hears_leader) {
        raft_note_gap(raft, raft->now - raft->leader_heard);
    }
    raft->hears_leader = true;
    raft->leader_heard = raft->now;
    raft_restart_timer(raft);
}

/* While a leader is heard nobody helps to depose it: a node that was removed, or cut off for a
 * while, cannot disturb (dissertation, 4.2.3 and 6.4.1). */
bool raft_lease_holds(const struct hm_raft *raft)
{
    if (hm_plant("no_lease_check")) {
        return false;
    }
    if (raft->role == HM_RAFT_LEADER) {
        return raft->now < raft_quorum_heard(raft, raft->now) + raft->config.election_ms;
    }
    return raft->hears_leader && raft->now < raft->leader_heard + raft->config.election_ms;
}

/* ---- asking ---- */

static void ask(struct hm_raft *raft)
{
    bool prevote = raft->role == HM_RAFT_PRECANDIDATE;
    uint64_t last = raft->durable_index;
    if (hm_plant("campaign_on_undurable")) {
        last = raft_log_last(&raft->log);
    }
    struct hm_message message = {.kind = HM_MSG_vote_request,
                                 .vote_request = {.log = raft->config.log,
                                                  .generation = raft->generation,
                                                  .term = raft->term + prevote,
                                                  .last_index = last,
                                                  .last_term = raft_log_term_at(&raft->log, last),
                                                  .prevote = prevote,
                                                  .transfer = raft->by_transfer}};
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        const struct hm_voter *voter = &raft->voters[i];
        if (hm_id_equal(&voter->id, &raft->config.self.id)) {
            raft->granted |= UINT64_C(1) << i;
        } else if (voter->voting) {
            struct hm_peer to = {.id = voter->id, .addr = voter->addr};
            hm_outbox_send(&raft->outbox, &to, &message);
        }
    }
}

/* With their votes a majority have told what time it is there: time goes on without a gap. */
static void take_clocks(const struct hm_raft *raft)
{
    for (uint32_t i = 0; i < raft->voters_count; i++) {
        struct raft_peer *peer = raft_peer_find(raft, &raft->voters[i].id);
        if (peer && raft->granted >> i & 1) {
            peer->clock = raft->clocks[i];
        }
    }
}

static void lead(struct hm_raft *raft)
{
    raft->role = HM_RAFT_LEADER;
    raft->leader = raft->config.self;
    raft->round = 0;
    raft->heartbeat_at = raft->now + raft->config.heartbeat_ms;
    raft->queued_bytes = 0;
    raft_peers_sync(raft);
    raft->quorum_heard = raft->now;
    take_clocks(raft);
    raft->first_of_term = raft_append(raft, HM_RAFT_NOOP, (struct hm_bytes){0});
    tell_role(raft);
}

static void count_votes(struct hm_raft *raft)
{
    if (!raft_voters_won(raft->voters, raft->voters_count, raft->granted)) {
        return;
    }
    if (raft->role == HM_RAFT_PRECANDIDATE) {
        raft_campaign(raft, false);
    } else {
        lead(raft);
    }
}

void raft_campaign(struct hm_raft *raft, bool prevote)
{
    uint64_t term;
    if (!raft->campaigns || raft->failed || raft->term >= RAFT_NUMBER_MAX ||
        !raft_log_term(&raft->log, raft->durable_index, &term)) {
        raft_restart_timer(raft);
        return;
    }
    bool told = raft->role != HM_RAFT_FOLLOWER;
    raft->role = prevote ? HM_RAFT_PRECANDIDATE : HM_RAFT_CANDIDATE;
    forget_leader(raft);
    raft->granted = 0;
    raft->asked = false;
    raft_restart_timer(raft);
    if (prevote) {
        ask(raft);
        if (!told) {
            tell_role(raft);
        }
        count_votes(raft);
        return;
    }
    raft->term++;
    raft->vote = raft->config.self.id;
    raft->vote_due = false;
    raft->hard_dirty = true;
    raft_save_hard(raft);
    tell_role(raft);
    raft_campaign_durable(raft);
}

/* The vote for ourselves is a promise like any other: nobody hears of the candidacy before it is on
 * disk, so that one term has one candidacy of ours even over a crash. */
void raft_campaign_durable(struct hm_raft *raft)
{
    if (raft->role == HM_RAFT_CANDIDATE && !raft->asked &&
        (raft_hard_is_durable(raft) || hm_plant("candidacy_not_persisted"))) {
        raft->asked = true;
        ask(raft);
        count_votes(raft);
    }
}

enum hm_status raft_on_vote_reply(struct hm_raft *raft, const struct hm_peer *from,
                                  const struct hm_vote_reply *reply)
{
    if (reply->term > RAFT_NUMBER_MAX) {
        return HM_BAD_BYTES;
    }
    bool granted_ahead = reply->prevote && reply->granted;
    if (reply->term > raft->term && !granted_ahead) {
        raft_step_down(raft, reply->term);
        return HM_OK;
    }
    enum hm_raft_role asking = reply->prevote ? HM_RAFT_PRECANDIDATE : HM_RAFT_CANDIDATE;
    bool fits = raft->role == asking && reply->term == raft->term + reply->prevote &&
                (reply->prevote || raft->asked);
    if (hm_plant("prevote_is_vote")) {
        fits = raft->role != HM_RAFT_FOLLOWER && reply->term >= raft->term;
    }
    uint32_t voter = raft_voters_find(raft->voters, raft->voters_count, &from->id);
    if (reply->granted && fits && voter < raft->voters_count) {
        raft->granted |= UINT64_C(1) << voter;
        raft->clocks[voter] = (struct raft_clock){0};
        raft_clock_note(raft, &raft->clocks[voter], reply->clock_ms);
        count_votes(raft);
    }
    return HM_OK;
}

/* ---- answering ---- */

static void answer(struct hm_raft *raft, const struct hm_peer *to, uint64_t term, bool prevote,
                   bool granted)
{
    struct hm_message message = {.kind = HM_MSG_vote_reply,
                                 .vote_reply = {.log = raft->config.log,
                                                .generation = raft->generation,
                                                .term = term,
                                                .prevote = prevote,
                                                .granted = granted,
                                                .clock_ms = raft_clock_read(raft, &raft->clock)}};
    hm_outbox_send(&raft->outbox, to, &message);
}

/* The election restriction (paper, 5.4.1). */
static bool is_up_to_date(const struct hm_raft *raft, const struct hm_vote_request *request)
{
    uint64_t last = raft_log_last(&raft->log);
    uint64_t term = raft_log_term_at(&raft->log, last);
    if (hm_plant("longer_log_wins")) {
        return request->last_index >= last;
    }
    return hm_plant("no_election_restriction") || request->last_term > term ||
           (request->last_term == term && request->last_index >= last);
}

void raft_vote_durable(struct hm_raft *raft)
{
    if (raft->vote_due && raft_hard_is_durable(raft)) {
        raft->vote_due = false;
        answer(raft, &raft->vote_to, raft->term, false, true);
    }
}

static void vote(struct hm_raft *raft, const struct hm_peer *from,
                 const struct hm_vote_request *request)
{
    bool free = hm_id_is_none(&raft->vote) || hm_plant("votes_twice");
    bool grants = request->term == raft->term && raft->role == HM_RAFT_FOLLOWER &&
                  (free || hm_id_equal(&raft->vote, &from->id)) && is_up_to_date(raft, request);
    if (!grants) {
        answer(raft, from, raft->term, false, false);
        return;
    }
    if (!hm_id_equal(&raft->vote, &from->id)) {
        raft->vote = from->id;
        raft->hard_dirty = true;
        raft_restart_timer(raft);
    }
    raft_save_hard(raft);
    raft->vote_due = true;
    raft->vote_to = *from;
    if (hm_plant("vote_not_persisted")) {
        raft->vote_due = false;
        answer(raft, from, raft->term, false, true);
    }
    raft_vote_durable(raft);
}

/* A learner is asked only by a candidate that knows it as a voter already, from an entry that has
 * not reached it yet; without its answer such a configuration could be stuck. So it votes. */
enum hm_status raft_on_vote_request(struct hm_raft *raft, const struct hm_peer *from,
                                    const struct hm_vote_request *request)
{
    if (request->term == 0 || request->term > RAFT_NUMBER_MAX ||
        request->last_index > RAFT_NUMBER_MAX || request->last_term > request->term) {
        return HM_BAD_BYTES;
    }
    if (!request->transfer && raft_lease_holds(raft)) {
        return HM_OK;
    }
    if (request->prevote) {
        bool granted = request->term > raft->term && is_up_to_date(raft, request);
        answer(raft, from, granted ? request->term : raft->term, true, granted);
        return HM_OK;
    }
    if (request->term > raft->term) {
        raft_step_down(raft, request->term);
    }
    vote(raft, from, request);
    return HM_OK;
}

/* ---- handing over ---- */

void raft_hand_over(struct hm_raft *raft, const struct raft_peer *to)
{
    if (to) {
        struct hm_message message = {.kind = HM_MSG_timeout_now,
                                     .timeout_now = {.log = raft->config.log,
                                                     .generation = raft->generation,
                                                     .term = raft->term}};
        hm_outbox_send(&raft->outbox, &to->peer, &message);
    }
}

enum hm_status raft_on_timeout_now(struct hm_raft *raft, const struct hm_peer *from,
                                   const struct hm_timeout_now *message)
{
    if (message->term == raft->term && raft->role == HM_RAFT_FOLLOWER &&
        hm_id_equal(&raft->leader.id, &from->id)) {
        raft->by_transfer = true;
        raft_campaign(raft, false);
    }
    return HM_OK;
}

enum hm_status hm_raft_transfer(struct hm_raft *raft, hm_ms now, const struct hm_id *to)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->role != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    if (!hm_id_is_none(&raft->transfer_to)) {
        return HM_BUSY;
    }
    const struct raft_peer *peer = to ? raft_peer_find(raft, to) : raft_peer_best(raft);
    if (!peer || !peer->voting) {
        return HM_NOT_FOUND;
    }
    raft->transfer_to = peer->peer.id;
    raft->transfer_until = raft->now + raft->config.election_ms;
    raft->transfer_told = false;
    return HM_OK;
}
