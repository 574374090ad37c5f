#include "core/engine/raft.h"

#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

/* Applied since the last snapshot (or the last time we asked) when one is wanted. */
#define WANTED_ENTRIES 8192u
#define WANTED_BYTES   (4u << 20)

static uint32_t clamp(uint32_t value, uint32_t preset, uint32_t most)
{
    value = value ? value : preset;
    return value < most ? value : most;
}

struct hm_raft *hm_raft_new(const struct hm_raft_config *config, hm_ms now)
{
    struct hm_raft *raft = hm_alloc(1, sizeof *raft);
    raft->config = *config;
    raft->config.election_ms = config->election_ms ? config->election_ms : 300;
    raft->config.heartbeat_ms = config->heartbeat_ms ? config->heartbeat_ms : 50;
    raft->config.batch_entries_max = clamp(config->batch_entries_max, 1024, 4096);
    raft->config.batch_bytes_max = clamp(config->batch_bytes_max, 1u << 20, 4u << 20);
    raft->config.inflight_max = clamp(config->inflight_max, 64, 1024);
    raft->config.queue_bytes_max = config->queue_bytes_max ? config->queue_bytes_max : 16u << 20;
    raft->config.trailing_entries = config->trailing_entries ? config->trailing_entries : 2048;
    hm_random_init(&raft->random, config->seed);
    raft->now = now;
    raft->unsaved = 1;
    raft->election_at = HM_NEVER;
    return raft;
}

void hm_raft_free(struct hm_raft *raft)
{
    if (!raft) {
        return;
    }
    raft_peers_clear(raft);
    raft_snapshot_drop(raft->snapshot);
    raft_snapshot_drop(raft->served);
    raft_log_fini(&raft->log);
    hm_outbox_fini(&raft->outbox);
    hm_arena_fini(&raft->arena);
    hm_buf_fini(&raft->incoming);
    hm_free(raft->peers);
    hm_free(raft->writes);
    hm_free(raft->reads);
    hm_free(raft);
}

static void found(struct hm_raft *raft, const struct hm_voter *voters, uint32_t count)
{
    struct hm_message message = {
        .kind = HM_MSG_log_voters,
        .log_voters = {.voters = (struct hm_voter *)voters, .voters_count = count}};
    struct hm_buf body = {0};
    hm_message_encode(&body, &message);
    raft->term = 1;
    raft->hard_dirty = true;
    raft_save_hard(raft);
    raft_append(raft, HM_RAFT_VOTERS, hm_buf_view(&body));
    hm_buf_fini(&body);
    raft_voters_reload(raft);
    raft_restart_timer(raft);
    hm_raft_tick(raft, raft->now);
}

enum hm_status hm_raft_found(struct hm_raft *raft, hm_ms now)
{
    struct hm_voter self = {
        .id = raft->config.self.id, .addr = raft->config.self.addr, .voting = true};
    raft->now = now > raft->now ? now : raft->now;
    if (raft->term || raft_log_last(&raft->log) || raft->voters_count) {
        return HM_EXISTS;
    }
    raft->vote = self.id;
    found(raft, &self, 1);
    return HM_OK;
}

/* Term 1 has no leader: every campaign is for a later one. So the entry is the same everywhere, and
 * counts as any entry of an older term does. */
enum hm_status hm_raft_found_with(struct hm_raft *raft, hm_ms now, uint64_t generation,
                                  const struct hm_voter *voters, size_t count)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->term || raft_log_last(&raft->log) || raft->voters_count) {
        return HM_EXISTS;
    }
    if (count > HM_RAFT_VOTERS_MAX || !raft_voters_valid(voters, (uint32_t)count) ||
        raft_voters_find(voters, (uint32_t)count, &raft->config.self.id) == count) {
        return HM_BAD_ARGUMENT;
    }
    raft->generation = generation;
    found(raft, voters, (uint32_t)count);
    return HM_OK;
}

/* ---- commit and apply ---- */

static void applied_voters(struct hm_raft *raft, uint64_t index)
{
    hm_outbox_notify(&raft->outbox, HM_RAFT_VOTERS_CHANGED, NULL, index);
    bool is_in = raft_voters_find(raft->voters, raft->voters_count, &raft->config.self.id) <
                 raft->voters_count;
    if (index < raft->voters_index) {
        return;
    }
    if (raft->campaigns && !raft_is_voter(raft)) {
        raft->campaigns = false;
        raft->election_at = HM_NEVER;
    }
    if (is_in || !raft->was_in) {
        return;
    }
    raft->was_in = false;
    if (raft->role == HM_RAFT_LEADER) {
        raft_replicate(raft);
        raft_hand_over(raft, raft_peer_best(raft));
        raft_step_down(raft, raft->term);
    }
    raft->removed_index = index;
    raft_tell_removed(raft);
}

/* Without the commit index on disk a restart would find the entry, not know that it is committed,
 * and ask for votes again. */
void raft_tell_removed(struct hm_raft *raft)
{
    uint64_t index = raft->removed_index;
    if (index == 0 || raft->failed || raft->durable_index < index) {
        return;
    }
    if (raft->commit_saved < index) {
        raft_save_commit(raft);
    }
    if (raft->commit_number <= raft->durable_number) {
        raft->removed_index = 0;
        hm_outbox_notify(&raft->outbox, HM_RAFT_REMOVED, NULL, index);
    }
}

static void count_for_snapshot(struct hm_raft *raft, size_t bytes)
{
    raft->wanted_entries++;
    raft->wanted_bytes += bytes;
    if (raft->wanted_entries >= WANTED_ENTRIES || raft->wanted_bytes >= WANTED_BYTES) {
        raft->wanted_entries = raft->wanted_bytes = 0;
        if (!raft->failed) {
            raft_save_commit(raft); /* a restart need not wait for a leader to tell it so much */
        }
        hm_outbox_notify(&raft->outbox, HM_RAFT_SNAPSHOT_WANTED, NULL, raft->applied);
    }
}

void raft_apply(struct hm_raft *raft)
{
    while (!raft->installing && raft->applied < raft->commit) {
        const struct hm_entry *entry = raft_log_at(&raft->log, ++raft->applied);
        size_t bytes = entry->body.size;
        struct hm_effect effect = {
            .kind = HM_EFFECT_APPLY, .number = raft->applied, .message = entry->body};
        hm_outbox_push(&raft->outbox, &effect, NULL);
        raft->queued_bytes -= bytes < raft->queued_bytes ? bytes : raft->queued_bytes;
        if (entry->kind == HM_RAFT_VOTERS) {
            applied_voters(raft, raft->applied);
        }
        count_for_snapshot(raft, bytes);
    }
}

void raft_commit_to(struct hm_raft *raft, uint64_t index)
{
    raft->commit = index;
    raft_apply(raft);
}

void raft_commit_restored(struct hm_raft *raft)
{
    uint64_t last = raft_log_last(&raft->log);
    uint64_t index = raft->commit_restored < last ? raft->commit_restored : last;
    if (hm_plant("commits_what_it_recovers")) {
        index = last;
    }
    raft->commit_saved = index;
    raft->commit_restored = 0;
    if (index > raft->commit) {
        raft_commit_to(raft, index);
    }
}

/* ---- generations ---- */

static uint64_t generation_of(const struct hm_message *message)
{
    switch ((int)message->kind) {
#define GENERATION_OF(name) \
    case HM_MSG_##name:     \
        return message->name.generation;
        GENERATION_OF(vote_request)
        GENERATION_OF(vote_reply)
        GENERATION_OF(append)
        GENERATION_OF(append_reply)
        GENERATION_OF(snapshot_chunk)
        GENERATION_OF(snapshot_reply)
        GENERATION_OF(timeout_now)
#undef GENERATION_OF
    default:
        return 0;
    }
}

/* A node without any log takes part in whatever recovery it is told of; also when those who are
 * left behind have asked for its vote before. */
static bool is_of_generation(struct hm_raft *raft, const struct hm_peer *from,
                             const struct hm_message *message)
{
    uint64_t theirs = generation_of(message);
    if (raft->voters_count == 0 && raft_log_last(&raft->log) == 0 && !raft->installing &&
        raft->generation == 0 && theirs) {
        raft->generation = theirs;
        raft->hard_dirty = true;
    }
    if (theirs == raft->generation || hm_plant("old_generation_counts")) {
        return true;
    }
    hm_outbox_notify(&raft->outbox, HM_RAFT_OTHER_GENERATION, from, theirs);
    return false;
}

enum hm_status hm_raft_recover(struct hm_raft *raft, hm_ms now, uint64_t generation,
                               struct hm_bytes body)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->failed) {
        return HM_IO;
    }
    if (generation >> 32 <= raft->generation >> 32) {
        return HM_STALE;
    }
    if (raft->voters_count == 0 || raft->installing || raft->term + 2 >= RAFT_NUMBER_MAX) {
        return HM_NOT_READY;
    }
    if (body.size > HM_RAFT_ENTRY_BYTES_MAX) {
        return HM_TOO_LARGE;
    }
    struct hm_voter self = {
        .id = raft->config.self.id, .addr = raft->config.self.addr, .voting = true};
    struct hm_buf voters = {0};
    hm_message_encode(&voters,
                      &(struct hm_message){.kind = HM_MSG_log_voters,
                                           .log_voters = {.voters = &self, .voters_count = 1}});
    raft_step_down(raft, raft->term + 1);
    raft->generation = generation;
    raft->vote = self.id;
    raft->hard_dirty = true;
    raft_save_hard(raft);
    raft_append(raft, HM_RAFT_VOTERS, hm_buf_view(&voters));
    if (body.size) {
        raft_append(raft, HM_RAFT_REQUEST, body);
    }
    hm_buf_fini(&voters);
    raft_voters_reload(raft);
    raft_restart_timer(raft);
    hm_raft_tick(raft, raft->now);
    return HM_OK;
}

uint64_t hm_raft_generation(const struct hm_raft *raft)
{
    return raft->generation;
}

/* ---- input, time, output ---- */

static enum hm_status dispatch(struct hm_raft *raft, const struct hm_peer *from,
                               const struct hm_message *message)
{
    uint32_t log = raft->config.log;
    switch ((int)message->kind) {
    case HM_MSG_vote_request:
        return message->vote_request.log != log
                   ? HM_BAD_BYTES
                   : raft_on_vote_request(raft, from, &message->vote_request);
    case HM_MSG_vote_reply:
        return message->vote_reply.log != log
                   ? HM_BAD_BYTES
                   : raft_on_vote_reply(raft, from, &message->vote_reply);
    case HM_MSG_append:
        return message->append.log != log ? HM_BAD_BYTES
                                          : raft_on_append(raft, from, &message->append);
    case HM_MSG_append_reply:
        return message->append_reply.log != log || message->append_reply.term > RAFT_NUMBER_MAX
                   ? HM_BAD_BYTES
                   : raft_on_append_reply(raft, from, &message->append_reply);
    case HM_MSG_snapshot_chunk:
        return message->snapshot_chunk.log != log
                   ? HM_BAD_BYTES
                   : raft_on_snapshot_chunk(raft, from, &message->snapshot_chunk);
    case HM_MSG_snapshot_reply:
        return message->snapshot_reply.log != log || message->snapshot_reply.term > RAFT_NUMBER_MAX
                   ? HM_BAD_BYTES
                   : raft_on_snapshot_reply(raft, from, &message->snapshot_reply);
    case HM_MSG_timeout_now:
        return message->timeout_now.log != log
                   ? HM_BAD_BYTES
                   : raft_on_timeout_now(raft, from, &message->timeout_now);
    }
    return HM_BAD_BYTES;
}

enum hm_status hm_raft_input(struct hm_raft *raft, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    raft->now = now > raft->now ? now : raft->now;
    if (hm_id_is_none(&from->id) || hm_id_equal(&from->id, &raft->config.self.id)) {
        return HM_BAD_BYTES;
    }
    if (raft->failed) {
        return HM_IO;
    }
    enum hm_status status =
        is_of_generation(raft, from, message) ? dispatch(raft, from, message) : HM_OK;
    raft_save_hard(raft);
    return status;
}

static void tick_leader(struct hm_raft *raft)
{
    if (!hm_id_is_none(&raft->transfer_to) && raft->now >= raft->transfer_until) {
        raft->transfer_to = (struct hm_id){{0}};
        raft->transfer_told = false;
    }
    if (raft->now < raft->heartbeat_at) {
        return;
    }
    hm_ms heard = raft_quorum_heard(raft, raft->now);
    if (heard + raft_silence_ms(raft) <= raft->now) {
        raft_step_down(raft, raft->term); /* quorum check (dissertation, 6.2) */
        return;
    }
    raft_note_gap(raft, heard - raft->quorum_heard);
    raft->quorum_heard = heard;
    raft->heartbeat_at = raft->now + raft->config.heartbeat_ms;
    raft->asked_to_serve = false;
    raft_peers_sync(raft);
    for (size_t i = 0; i < raft->peers_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        peer->heartbeat_due = true;
        if (peer->chunk_at != HM_NEVER && raft->now >= peer->chunk_at + raft->config.election_ms) {
            peer->chunk_at = HM_NEVER; /* lost: again */
        }
    }
}

void hm_raft_tick(struct hm_raft *raft, hm_ms now)
{
    raft->now = now > raft->now ? now : raft->now;
    raft_served_forget(raft);
    if (raft->role == HM_RAFT_LEADER) {
        tick_leader(raft);
    } else if (raft->now >= raft->election_at) {
        raft->by_transfer = false;
        raft_campaign(raft, !hm_plant("no_prevote"));
    }
    raft_save_hard(raft);
}

hm_ms hm_raft_deadline(const struct hm_raft *raft)
{
    if (raft->role != HM_RAFT_LEADER) {
        return raft->election_at;
    }
    return raft->peers_count ? raft->heartbeat_at : HM_NEVER;
}

bool hm_raft_output(struct hm_raft *raft, struct hm_effect *out)
{
    if (raft->commit_restored) {
        raft_commit_restored(raft);
    }
    if (hm_outbox_is_empty(&raft->outbox)) {
        raft_replicate(raft); /* first: the followers' disks work while ours does */
        raft_save_log(raft);
    }
    return hm_outbox_pop(&raft->outbox, out);
}

enum hm_status hm_raft_propose(struct hm_raft *raft, hm_ms now, struct hm_bytes body,
                               uint64_t *index, uint64_t *term)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->role != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    if (body.size > HM_RAFT_ENTRY_BYTES_MAX) {
        return HM_TOO_LARGE;
    }
    if (!hm_id_is_none(&raft->transfer_to)) {
        return HM_BUSY;
    }
    if (body.size > raft->config.queue_bytes_max - raft->queued_bytes) {
        return HM_FULL;
    }
    raft->queued_bytes += body.size;
    *index = raft_append(raft, HM_RAFT_REQUEST, body);
    *term = raft->term;
    return HM_OK;
}

void hm_raft_peer_reset(struct hm_raft *raft, hm_ms now, const struct hm_id *peer)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->role == HM_RAFT_FOLLOWER && hm_id_equal(&raft->leader.id, peer) &&
        raft->election_at != HM_NEVER) {
        raft->hears_leader = false;
        raft->election_at =
            raft->now + 1 + hm_random_below(&raft->random, raft->config.heartbeat_ms);
    }
}

/* ---- asked ---- */

enum hm_raft_role hm_raft_role(const struct hm_raft *raft)
{
    return raft->role;
}

struct hm_id hm_raft_leader(const struct hm_raft *raft)
{
    return raft->leader.id;
}

uint64_t hm_raft_term(const struct hm_raft *raft)
{
    return raft->term;
}

uint64_t hm_raft_commit(const struct hm_raft *raft)
{
    return raft->commit;
}

uint64_t hm_raft_last_index(const struct hm_raft *raft)
{
    return raft_log_last(&raft->log);
}

uint64_t hm_raft_snapshot_index(const struct hm_raft *raft)
{
    return raft->snapshot ? raft->snapshot->last_index : 0;
}

bool hm_raft_is_caught_up(const struct hm_raft *raft, const struct hm_id *learner)
{
    const struct raft_peer *peer = raft_peer_find(raft, learner);
    return peer && peer->state == RAFT_REPLICATE && peer->match > 0 &&
           raft->now < peer->heard + raft->config.election_ms &&
           raft_log_last(&raft->log) - peer->match <= raft->config.batch_entries_max;
}

bool hm_raft_progress(const struct hm_raft *raft, hm_ms now, const struct hm_id *id,
                      uint64_t *match, bool *heard)
{
    const struct raft_peer *peer = raft->role == HM_RAFT_LEADER ? raft_peer_find(raft, id) : NULL;
    if (!peer) {
        return false;
    }
    *match = peer->match;
    *heard = now < peer->heard + raft->config.election_ms;
    return true;
}

bool hm_raft_has_quorum(const struct hm_raft *raft, hm_ms now)
{
    now = now > raft->now ? now : raft->now;
    if (raft->role == HM_RAFT_LEADER) {
        return now < raft_quorum_heard(raft, now) + raft_silence_ms(raft);
    }
    return raft->hears_leader && now < raft->leader_heard + raft_silence_ms(raft);
}

const struct hm_voter *hm_raft_voters(const struct hm_raft *raft, size_t *count)
{
    *count = raft->voters_count;
    return raft->voters;
}
