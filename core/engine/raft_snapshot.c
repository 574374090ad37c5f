#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#include <string.h>

/* Of what is compacted away this much stays in memory, for followers that lag a little. */
#define TRAILING_BYTES (512u << 10)
/* So much more for those that answer and lag. */
#define LAGGING_BYTES (16u << 20)
/* A follower answers if it did within so many election times. */
#define ANSWERS_ELECTIONS 3u

/* What the message around the state may take. */
#define ENVELOPE_BYTES 8192u

struct raft_snapshot *raft_snapshot_make(const struct hm_log_snapshot *message)
{
    struct raft_snapshot *snapshot = hm_alloc(1, sizeof *snapshot);
    snapshot->refs = 1;
    snapshot->last_index = message->last_index;
    snapshot->last_term = message->last_term;
    struct hm_buf blob = {0};
    hm_message_encode(&blob,
                      &(struct hm_message){.kind = HM_MSG_log_snapshot, .log_snapshot = *message});
    snapshot->blob = hm_buf_view(&blob);
    return snapshot;
}

void raft_snapshot_forget(struct hm_raft *raft)
{
    if (raft->snapshot && !raft->installing && raft->snapshot_number <= raft->durable_number) {
        hm_bytes_free(raft->snapshot->blob);
        raft->snapshot->blob = (struct hm_bytes){0};
    }
}

void raft_served_forget(struct hm_raft *raft)
{
    if (raft->served && raft->served->refs == 1) {
        raft_snapshot_drop(raft->served);
        raft->served = NULL;
    }
}

void raft_snapshot_drop(struct raft_snapshot *snapshot)
{
    if (snapshot && --snapshot->refs == 0) {
        hm_bytes_free(snapshot->blob);
        hm_free(snapshot);
    }
}

enum hm_status hm_raft_may_compact(const struct hm_raft *raft, uint64_t index)
{
    if (raft->failed) {
        return HM_IO;
    }
    if (index > raft->applied || index == 0) {
        return HM_BAD_ARGUMENT;
    }
    if (index <= hm_raft_snapshot_index(raft)) {
        return HM_STALE;
    }
    return index > raft->durable_index || raft->installing ? HM_NOT_READY : HM_OK;
}

enum hm_status hm_raft_may_snapshot(const struct hm_raft *raft, uint64_t index)
{
    if (index == 0 || index > raft->applied) {
        return HM_BAD_ARGUMENT;
    }
    return index < raft->log.base_index ? HM_STALE : HM_OK;
}

/* The message of a snapshot at `index`; `voters` has room for all. */
static enum hm_status describe(struct hm_raft *raft, uint64_t index, struct hm_bytes state,
                               struct hm_voter voters[HM_RAFT_VOTERS_MAX],
                               struct hm_log_snapshot *out)
{
    uint64_t entry_index;
    enum hm_status status = hm_raft_may_snapshot(raft, index);
    if (status != HM_OK) {
        return status;
    }
    if (state.size > HM_WIRE_STORED_BYTES_MAX - ENVELOPE_BYTES) {
        return HM_TOO_LARGE;
    }
    *out = (struct hm_log_snapshot){.log = raft->config.log,
                                    .last_index = index,
                                    .last_term = raft_log_term_at(&raft->log, index),
                                    .voters = voters,
                                    .state = state};
    raft_voters_at(raft, index, voters, &out->voters_count, &entry_index);
    return HM_OK;
}

/* ---- what leaves the memory ---- */

/* All followers that answer have what is up to here, or will. */
static uint64_t least_match(const struct hm_raft *raft)
{
    uint64_t least = raft->applied;
    for (size_t i = 0; raft->role == HM_RAFT_LEADER && i < raft->peers_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        uint64_t match = peer->snapshot ? peer->snapshot->last_index : peer->match;
        bool answers = raft->now < peer->heard + ANSWERS_ELECTIONS * raft->config.election_ms;
        if (answers && (peer->snapshot || peer->state != RAFT_SNAPSHOT) && match < least) {
            least = match;
        }
    }
    return least;
}

uint64_t hm_raft_unneeded(const struct hm_raft *raft, uint64_t index)
{
    if (raft->failed || raft->installing) {
        return raft->log.base_index;
    }
    uint64_t least = least_match(raft);
    uint64_t base = raft->applied;
    size_t bytes = 0;
    for (; base > raft->log.base_index; base--) {
        bytes += raft_log_at(&raft->log, base)->body.size;
        bool is_late =
            raft->applied - base < raft->config.trailing_entries && bytes <= TRAILING_BYTES;
        if (!is_late && (base <= least || bytes > LAGGING_BYTES)) {
            break;
        }
    }
    index = index < raft->durable_index ? index : raft->durable_index;
    base = base < index ? base : index;
    return base > raft->log.base_index ? base : raft->log.base_index;
}

static void drop_up_to(struct hm_raft *raft, uint64_t base)
{
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    uint32_t count;
    uint64_t entry_index;
    if (base <= raft->log.base_index) {
        return;
    }
    raft_voters_at(raft, base, voters, &count, &entry_index);
    if (!hm_plant("forgets_voters")) {
        memcpy(raft->base_voters, voters, count * sizeof *voters);
        raft->base_voters_count = count;
    }
    raft_log_drop(&raft->log, base, raft_log_term_at(&raft->log, base));
}

void raft_log_begin(struct hm_raft *raft, const struct hm_log_snapshot *snapshot)
{
    raft_log_drop(&raft->log, snapshot->last_index, snapshot->last_term);
    raft->base_voters_count = snapshot->voters_count;
    memcpy(raft->base_voters, snapshot->voters, snapshot->voters_count * sizeof *snapshot->voters);
}

void hm_raft_forget(struct hm_raft *raft, uint64_t index)
{
    HM_ASSERT(index <= raft->applied || index == raft->log.base_index);
    drop_up_to(raft, index);
}

/* ---- snapshots of our own ---- */

static void compact_with(struct hm_raft *raft, struct raft_snapshot *snapshot)
{
    raft_snapshot_drop(raft->snapshot);
    raft->snapshot = snapshot;
    raft_save_snapshot(raft);
    raft->wanted_entries = raft->wanted_bytes = 0;
    drop_up_to(raft, hm_raft_unneeded(raft, snapshot->last_index));
}

enum hm_status hm_raft_compact(struct hm_raft *raft, uint64_t index, struct hm_bytes state)
{
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    struct hm_log_snapshot message;
    enum hm_status status = hm_raft_may_compact(raft, index);
    if (status == HM_OK) {
        status = describe(raft, index, state, voters, &message);
    }
    if (status == HM_OK) {
        compact_with(raft, raft_snapshot_make(&message));
    }
    return status;
}

enum hm_status hm_raft_compact_with(struct hm_raft *raft, struct hm_buf *snapshot)
{
    struct hm_message message;
    enum hm_status status =
        hm_message_decode_only(hm_buf_view(snapshot), HM_MSG_log_snapshot, &raft->arena, &message);
    HM_ASSERT(status == HM_OK && message.log_snapshot.log == raft->config.log);
    status = hm_raft_may_compact(raft, message.log_snapshot.last_index);
    if (status == HM_OK) {
        struct raft_snapshot *taken = hm_alloc(1, sizeof *taken);
        *taken = (struct raft_snapshot){.refs = 1,
                                        .last_index = message.log_snapshot.last_index,
                                        .last_term = message.log_snapshot.last_term,
                                        .blob = hm_buf_view(snapshot)};
        *snapshot = (struct hm_buf){0};
        compact_with(raft, taken);
    }
    hm_arena_clear(&raft->arena);
    return status;
}

bool hm_raft_body(const struct hm_raft *raft, uint64_t index, struct hm_bytes *out)
{
    if (index <= raft->log.base_index || index > raft_log_last(&raft->log)) {
        return false;
    }
    *out = raft_log_at(&raft->log, index)->body;
    return true;
}

enum hm_status hm_raft_snapshot(struct hm_raft *raft, uint64_t index, struct hm_bytes state,
                                struct hm_buf *out)
{
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    struct hm_message message = {.kind = HM_MSG_log_snapshot};
    enum hm_status status = describe(raft, index, state, voters, &message.log_snapshot);
    if (status == HM_OK) {
        hm_message_encode(out, &message);
    }
    return status;
}

/* ---- the leader's side: one chunk on its way, heartbeats pass beside it ---- */

enum hm_status hm_raft_serve(struct hm_raft *raft, uint64_t index, struct hm_bytes state)
{
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    struct hm_log_snapshot message;
    if (raft->role != HM_RAFT_LEADER) {
        return HM_NOT_LEADER;
    }
    enum hm_status status = describe(raft, index, state, voters, &message);
    if (status == HM_OK) {
        raft_snapshot_drop(raft->served);
        raft->served = raft_snapshot_make(&message);
    }
    return status;
}

bool raft_peer_has_snapshot(struct hm_raft *raft, struct raft_peer *peer)
{
    if (peer->snapshot) {
        return true;
    }
    /* With one that is older than the log's base it would soon need the next. */
    if (raft->served && raft->served->last_index >= raft->log.base_index) {
        peer->snapshot = raft->served;
        peer->snapshot->refs++;
        peer->offset = 0;
        return true;
    }
    if (!raft->asked_to_serve) {
        raft->asked_to_serve = true;
        hm_outbox_notify(&raft->outbox, HM_RAFT_SNAPSHOT_LACKING, &peer->peer, raft->applied);
    }
    return false;
}

void raft_peer_send_snapshot(struct hm_raft *raft, struct raft_peer *peer)
{
    struct hm_bytes blob = peer->snapshot->blob;
    size_t left = blob.size - (size_t)peer->offset;
    struct hm_message message = {
        .kind = HM_MSG_snapshot_chunk,
        .snapshot_chunk = {.log = raft->config.log,
                           .generation = raft->generation,
                           .term = raft->term,
                           .last_index = peer->snapshot->last_index,
                           .last_term = peer->snapshot->last_term,
                           .offset = peer->offset,
                           .total = blob.size,
                           .data = {blob.data + peer->offset,
                                    left < HM_RAFT_CHUNK_BYTES ? left : HM_RAFT_CHUNK_BYTES},
                           .round = raft->round}};
    peer->chunk_at = raft->now;
    hm_outbox_send(&raft->outbox, &peer->peer, &message);
}

enum hm_status raft_on_snapshot_reply(struct hm_raft *raft, const struct hm_peer *from,
                                      const struct hm_snapshot_reply *reply)
{
    if (reply->term > raft->term) {
        raft_step_down(raft, reply->term);
        return HM_OK;
    }
    struct raft_peer *peer = raft_peer_find(raft, &from->id);
    if (raft->role != HM_RAFT_LEADER || reply->term < raft->term || !peer) {
        return HM_OK;
    }
    if (reply->round > raft->round) {
        return HM_BAD_BYTES;
    }
    peer->heard = raft->now;
    peer->round_acked = reply->round > peer->round_acked ? reply->round : peer->round_acked;
    if (peer->state != RAFT_SNAPSHOT || !peer->snapshot ||
        reply->last_index != peer->snapshot->last_index) {
        raft_reads_confirm(raft);
        return HM_OK;
    }
    if (reply->offset > peer->snapshot->blob.size) {
        return HM_BAD_BYTES;
    }
    peer->chunk_at = HM_NEVER;
    peer->offset = reply->offset;
    if (reply->offset == peer->snapshot->blob.size) {
        peer->match = reply->last_index > peer->match ? reply->last_index : peer->match;
        if (hm_plant("snapshot_counts_all")) {
            peer->match = raft_log_last(&raft->log);
        }
        raft_peer_reprobe(raft, peer, peer->match + 1);
        peer->state = RAFT_REPLICATE;
    }
    raft_count_commit(raft);
    return HM_OK;
}

/* ---- the follower's side ---- */

static void reply_to_chunk(struct hm_raft *raft, uint64_t index, uint64_t offset)
{
    if (!raft_hard_is_durable(raft) || hm_id_is_none(&raft->leader.id)) {
        return; /* the leader sends it again */
    }
    struct hm_message message = {.kind = HM_MSG_snapshot_reply,
                                 .snapshot_reply = {.log = raft->config.log,
                                                    .generation = raft->generation,
                                                    .term = raft->term,
                                                    .last_index = index,
                                                    .offset = offset,
                                                    .round = raft->ack_round}};
    hm_outbox_send(&raft->outbox, &raft->leader, &message);
}

static bool is_sound(const struct hm_snapshot_chunk *chunk)
{
    return chunk->term > 0 && chunk->term <= RAFT_NUMBER_MAX && chunk->last_index > 0 &&
           chunk->last_index <= RAFT_NUMBER_MAX && chunk->last_term > 0 &&
           chunk->last_term <= chunk->term && chunk->total > 0 &&
           chunk->total <= HM_WIRE_STORED_BYTES_MAX && chunk->offset < chunk->total &&
           chunk->data.size > 0 && chunk->data.size <= HM_RAFT_CHUNK_BYTES &&
           chunk->data.size <= chunk->total - chunk->offset;
}

static enum hm_status install(struct hm_raft *raft)
{
    struct hm_arena arena = {0}; /* cutting the log uses the engine's */
    struct hm_message message;
    enum hm_status status =
        hm_message_decode_only(hm_buf_view(&raft->incoming), HM_MSG_log_snapshot, &arena, &message);
    const struct hm_log_snapshot *snapshot = &message.log_snapshot;
    if (status != HM_OK || snapshot->log != raft->config.log ||
        snapshot->last_index != raft->incoming_index ||
        snapshot->last_term != raft->incoming_term ||
        !raft_voters_valid(snapshot->voters, snapshot->voters_count)) {
        hm_arena_fini(&arena);
        hm_buf_fini(&raft->incoming);
        return HM_BAD_BYTES;
    }
    struct raft_snapshot *made = raft_snapshot_make(snapshot);
    if (raft_log_last(&raft->log) > raft->commit) {
        raft_cut(raft, raft->commit + 1);
    }
    raft_log_begin(raft, snapshot);
    hm_arena_fini(&arena);
    hm_buf_fini(&raft->incoming);
    raft_snapshot_drop(raft->snapshot);
    raft->snapshot = made;
    raft->installing = true;
    raft->commit = made->last_index;
    raft->unsaved = made->last_index + 1;
    raft->ack_match = made->last_index > raft->ack_match ? made->last_index : raft->ack_match;
    raft_save_hard(raft);
    raft_save_snapshot(raft);
    raft_voters_reload(raft);
    if (hm_plant("install_before_durable")) {
        raft->durable_index = made->last_index;
        raft_snapshot_installed(raft);
    }
    return HM_OK;
}

void raft_snapshot_installed(struct hm_raft *raft)
{
    if (!raft->installing ||
        (raft->snapshot_number > raft->durable_number && !hm_plant("install_before_durable"))) {
        return;
    }
    raft->installing = false;
    raft->applied = raft->snapshot->last_index;
    struct hm_effect effect = {
        .kind = HM_EFFECT_APPLY, .number = raft->applied, .message = raft->snapshot->blob};
    hm_outbox_push(&raft->outbox, &effect, NULL);
    hm_outbox_notify(&raft->outbox, HM_RAFT_VOTERS_CHANGED, NULL, raft->applied);
    reply_to_chunk(raft, raft->applied, raft->snapshot->blob.size);
    raft_snapshot_forget(raft);
    raft_apply(raft);
}

static void take_chunk(struct hm_raft *raft, const struct hm_snapshot_chunk *chunk)
{
    if (raft->incoming_index != chunk->last_index || raft->incoming_term != chunk->last_term ||
        raft->incoming_total != chunk->total) {
        hm_buf_clear(&raft->incoming);
        raft->incoming_index = chunk->last_index;
        raft->incoming_term = chunk->last_term;
        raft->incoming_total = chunk->total;
    }
    bool fits = raft->incoming.size + chunk->data.size <= raft->incoming_total;
    if (chunk->offset == raft->incoming.size || (hm_plant("chunk_out_of_place") && fits)) {
        hm_buf_append(&raft->incoming, chunk->data.data, chunk->data.size);
    }
}

enum hm_status raft_on_snapshot_chunk(struct hm_raft *raft, const struct hm_peer *from,
                                      const struct hm_snapshot_chunk *chunk)
{
    if (!is_sound(chunk)) {
        return HM_BAD_BYTES;
    }
    if (chunk->term < raft->term) {
        return HM_OK; /* the heartbeat beside it is answered */
    }
    if (chunk->term == raft->term &&
        (raft->role == HM_RAFT_LEADER ||
         (!hm_id_is_none(&raft->leader.id) && !hm_id_equal(&raft->leader.id, &from->id)))) {
        return HM_BAD_BYTES;
    }
    raft_follow(raft, chunk->term, from);
    raft_save_hard(raft);
    raft->ack_round = chunk->round > raft->ack_round ? chunk->round : raft->ack_round;
    uint64_t term;
    if (chunk->last_index > raft->commit && raft_log_term(&raft->log, chunk->last_index, &term) &&
        term == chunk->last_term) {
        raft_commit_to(raft, chunk->last_index); /* we hold all of it already */
    }
    if (chunk->last_index <= raft->commit) {
        if (raft->durable_index >= chunk->last_index) {
            reply_to_chunk(raft, chunk->last_index, chunk->total);
        }
        return HM_OK;
    }
    if (raft->installing) {
        return HM_OK;
    }
    take_chunk(raft, chunk);
    if (raft->incoming.size == raft->incoming_total) {
        return install(raft);
    }
    reply_to_chunk(raft, chunk->last_index, raft->incoming.size);
    return HM_OK;
}
