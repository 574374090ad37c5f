/* What other participants ask of this one, which counts while it leads. */
#include "core/embed/internal.h"

#include "core/base/memory.h"

#include <string.h>

/* Between two looks at what cannot be done yet: a change, a learner that has not caught up. */
#define LOOK_MS 50u

/* ---- answers ---- */

static void refuse(struct hivemind_participant *participant, const struct hm_peer *to,
                   uint64_t call, enum hm_status status)
{
    struct hm_peer leader = {.id = hm_raft_leader(participant->raft)};
    if (hm_id_is_none(&leader.id) || !embed_find_peer(participant, &leader.id, &leader)) {
        leader = (struct hm_peer){0};
    }
    embed_send_message(participant, to,
                       &(struct hm_message){.kind = HM_MSG_part_untaken,
                                            .part_untaken = {.call = call,
                                                             .status = (uint16_t)status,
                                                             .leader = leader.id,
                                                             .addr = leader.addr}});
}

/* Notes who is to be answered; 0: too many wait. */
static uint64_t open_ask(struct hivemind_participant *participant, const struct hm_peer *from,
                         uint64_t call)
{
    if (participant->ask_count >= EMBED_ASKS_MAX) {
        return 0;
    }
    participant->asks = hm_grow(participant->asks, participant->ask_count,
                                &participant->ask_capacity, sizeof *participant->asks);
    uint64_t token = ++participant->next_ask << 1;
    participant->asks[participant->ask_count++] = (struct embed_ask){token, *from, call};
    return token;
}

/* They are answered about in the order in which they came. */
static bool close_ask(struct hivemind_participant *participant, uint64_t token,
                      struct embed_ask *out)
{
    for (size_t i = 0; i < participant->ask_count; i++) {
        if (participant->asks[i].token == token) {
            *out = participant->asks[i];
            participant->ask_count--;
            memmove(participant->asks + i, participant->asks + i + 1,
                    (participant->ask_count - i) * sizeof *participant->asks);
            return true;
        }
    }
    return false;
}

void embed_answer(struct hivemind_participant *participant, uint64_t token, enum hm_status status,
                  uint64_t index, struct hm_bytes reason)
{
    struct embed_ask ask;
    if (token & 1) {
        embed_calls_local(participant, token >> 1, status, index, reason);
    } else if (!close_ask(participant, token, &ask)) {
        return;
    } else if (status == HM_NOT_LEADER) {
        refuse(participant, &ask.peer, ask.call, status);
    } else {
        embed_send_message(participant, &ask.peer,
                           &(struct hm_message){.kind = HM_MSG_submitted,
                                                .submitted = {.call = ask.call,
                                                              .status = (uint16_t)status,
                                                              .reason = reason,
                                                              .index = index}});
    }
}

/* ---- requests ---- */

/* What was asked under `token` is under way, or was not taken. */
static void note_taken(struct hivemind_participant *participant, uint64_t token,
                       const struct hm_peer *from, uint64_t call, enum hm_status status)
{
    struct embed_ask ask;
    if (status != HM_OK) {
        (void)close_ask(participant, token, &ask);
        refuse(participant, from, call, status);
    }
}

void embed_on_submit(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_submit *submit)
{
    struct hivemind_server *server = participant->server;
    uint64_t token = open_ask(participant, from, submit->call);
    enum hm_status status = HM_FULL;
    if (submit->log != participant->log || submit->seq == 0 || hm_id_is_none(&submit->session)) {
        status = HM_BAD_ARGUMENT;
    } else if (token) {
        status = hm_participant_propose(participant->log_end, embed_now(server),
                                        &(struct hm_submission){.session = submit->session,
                                                                .seq = submit->seq,
                                                                .request = submit->request,
                                                                .token = token});
    }
    note_taken(participant, token, from, submit->call, status);
}

void embed_on_read(struct hivemind_participant *participant, const struct hm_peer *from,
                   const struct hm_part_read *read)
{
    uint64_t token = open_ask(participant, from, read->call);
    enum hm_status status =
        token ? hm_participant_read(participant->log_end, embed_now(participant->server), token)
              : HM_FULL;
    note_taken(participant, token, from, read->call, status);
}

/* The same change that waits already, for the same asker or another, is answered with it. */
static bool is_known(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_part_change *change)
{
    for (size_t i = 0; i < participant->ask_count; i++) {
        const struct embed_ask *ask = &participant->asks[i];
        if (ask->call == change->call && hm_id_equal(&ask->peer.id, &from->id)) {
            return true; /* it was asked again while it waits */
        }
    }
    return false;
}

void embed_on_change(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_part_change *change)
{
    struct hm_peer peer = {change->id, change->addr};
    if (is_known(participant, from, change)) {
        return;
    }
    uint64_t token = open_ask(participant, from, change->call);
    bool sound = change->what >= EMBED_CHANGE_ADD && change->what <= EMBED_CHANGE_TRANSFER &&
                 !hm_id_is_none(&peer.id) &&
                 (change->what != EMBED_CHANGE_ADD || !hm_addr_is_none(&peer.addr));
    enum hm_status status = HM_FULL;
    if (!sound) {
        status = HM_BAD_ARGUMENT;
    } else if (token) {
        status = embed_change(participant, (enum embed_call_kind)change->what, &peer, token);
    }
    note_taken(participant, token, from, change->call, status);
}

/* ---- changes of the members, one at a time ---- */

enum hm_status embed_change(struct hivemind_participant *participant, enum embed_call_kind what,
                            const struct hm_peer *peer, uint64_t token)
{
    if (hm_raft_role(participant->raft) != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    if (participant->change_count == EMBED_CHANGES_MAX) {
        return HM_BUSY;
    }
    participant->changes[participant->change_count++] =
        (struct embed_change){.token = token, .what = what, .peer = *peer};
    participant->changes_at = 0;
    return HM_OK;
}

static void pop_change(struct hivemind_participant *participant, enum hm_status status,
                       const char *reason)
{
    uint64_t token = participant->changes[0].token;
    participant->change_count--;
    participant->changes_at = 0; /* the next one's turn */
    memmove(participant->changes, participant->changes + 1,
            participant->change_count * sizeof *participant->changes);
    embed_answer(participant, token, status, 0, hm_bytes_of_text(reason));
}

static enum hm_status try_change(struct hivemind_participant *participant,
                                 const struct embed_change *change)
{
    hm_ms now = embed_now(participant->server);
    switch (change->what) {
    case EMBED_CHANGE_ADD:
        return hm_raft_add_learner(participant->raft, now, &change->peer);
    case EMBED_CHANGE_REMOVE:
        return hm_raft_remove(participant->raft, now, &change->peer);
    default:
        return hm_raft_transfer(participant->raft, now, &change->peer.id);
    }
}

/* Begins the oldest; true: the log has something new. */
static bool begin_change(struct hivemind_participant *participant)
{
    struct embed_change *change = &participant->changes[0];
    bool removes = change->what == EMBED_CHANGE_REMOVE;
    enum hm_status status = try_change(participant, change);
    if (status == HM_OK && change->what != EMBED_CHANGE_TRANSFER) {
        change->index = hm_raft_last_index(participant->raft);
    } else if (status == HM_OK) {
        pop_change(participant, HM_OK, "");
    } else if (status == HM_BUSY || status == HM_NOT_READY) {
        participant->changes_at = embed_now(participant->server) + LOOK_MS;
        return false;
    } else if (status == HM_EXISTS || (status == HM_NOT_FOUND && removes)) {
        pop_change(participant, HM_OK, "it was so already");
    } else {
        pop_change(participant, status,
                   status == HM_BAD_ARGUMENT ? "the last that votes cannot be removed"
                   : status == HM_FULL       ? "the log has as many members as it may"
                   : status == HM_NOT_FOUND  ? "it is no voter of this log"
                                             : "");
    }
    return true;
}

/* Learners vote as soon as they have what the leader has. True: one does now. */
static bool promote(struct hivemind_participant *participant)
{
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(participant->raft, &count);
    hm_ms now = embed_now(participant->server);
    bool learners = false;
    for (size_t i = 0; i < count; i++) {
        struct hm_peer peer = {voters[i].id, voters[i].addr};
        if (voters[i].voting) {
            continue;
        }
        learners = true;
        if (hm_raft_is_caught_up(participant->raft, &peer.id) &&
            hm_raft_promote(participant->raft, now, &peer) == HM_OK) {
            participant->changes_at = 0;
            return true;
        }
    }
    participant->changes_at = learners ? now + LOOK_MS : HM_NEVER;
    return false;
}

bool embed_changes_pump(struct hivemind_participant *participant)
{
    bool any = false;
    if (hm_raft_role(participant->raft) != HM_RAFT_LEADER) {
        while (participant->change_count) {
            /* What has begun may still be committed: whoever asked asks the next leader. */
            pop_change(participant, HM_NOT_LEADER, "");
        }
        participant->changes_at = HM_NEVER;
        return false;
    }
    while (participant->change_count && participant->changes[0].index &&
           hm_raft_commit(participant->raft) >= participant->changes[0].index) {
        pop_change(participant, HM_OK, "");
        any = true;
    }
    if (embed_now(participant->server) < participant->changes_at) {
        return any;
    }
    if (participant->change_count == 0) {
        return promote(participant) || any;
    }
    participant->changes_at = HM_NEVER;
    return (participant->changes[0].index == 0 && begin_change(participant)) || any;
}
