#include "core/log/participant.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/index.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

/* Askers of one request that is on its way; more than these are told to come back. */
#define ASKERS_MAX 8u
/* Applied entries that Raft's log may have in memory for nothing. */
#define FORGET_EVERY 512u
/* Slots of the index are places in the queue, counted without end. */
#define SLOT_MASK 0x7fffffffu

/* A request that waits in the log for its commit. */
struct pending {
    uint64_t index; /* Raft's */
    uint64_t term;
    struct hm_id session;
    uint64_t seq;
    uint64_t tokens[ASKERS_MAX];
    size_t token_count;
};

/* A snapshot without what is kept. It counts from when no entry before it is kept any more: then
 * all that are stand behind it in Raft's log. */
struct light {
    uint64_t index;         /* of the log's last entry */
    struct hm_buf snapshot; /* encoded log_snapshot */
};

struct answer {
    uint64_t token;
    struct hm_outcome outcome;
};

struct hm_participant {
    struct hm_participant_config config;
    struct hm_raft *raft;
    struct hm_replica replica;
    uint64_t applied; /* Raft index */
    bool broken;
    uint32_t forget_every;   /* entries */
    uint64_t snapshot_bytes; /* of the last one taken here */
    uint64_t applied_bytes;  /* since then */
    struct light *lights;    /* oldest first */
    size_t light_count;
    size_t light_capacity;

    struct pending *pending; /* by rising index; pending_first..pending_first+pending_count */
    size_t pending_first;
    size_t pending_count;
    size_t pending_capacity;
    uint32_t passed;        /* how many have left the queue, modulo SLOT_MASK + 1 */
    struct hm_index by_seq; /* of (session, seq); the slot is (passed + place) & SLOT_MASK */

    struct hm_arena arena;          /* of an entry that is being applied */
    struct hm_outcome outcome;      /* of the entry applied last */
    uint64_t answering[ASKERS_MAX]; /* tokens that wait for it */
    size_t answering_count;
    struct answer *answers; /* others that are ready: answer_first..answer_count */
    size_t answer_first;
    size_t answer_count;
    size_t answer_capacity;
};

static bool body_of(void *raft, uint64_t raft_index, struct hm_bytes *out)
{
    return hm_raft_body(raft, raft_index, out);
}

struct hm_participant *hm_participant_new(const struct hm_participant_config *config, hm_ms now)
{
    struct hm_participant *participant = hm_alloc(1, sizeof *participant);
    participant->config = *config;
    participant->raft = hm_raft_new(&config->raft, now);
    hm_replica_init(&participant->replica, config->machine, config->context);
    participant->forget_every =
        config->raft.trailing_entries ? config->raft.trailing_entries / 8 + 1 : FORGET_EVERY;
    hm_replica_look_up(&participant->replica, body_of, participant->raft);
    hm_kept_limit(&participant->replica.kept, config->keep);
    return participant;
}

static void drop_lights(struct hm_participant *participant, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hm_buf_fini(&participant->lights[i].snapshot);
    }
    participant->light_count -= count;
    if (participant->light_count) {
        memmove(participant->lights, participant->lights + count,
                participant->light_count * sizeof *participant->lights);
    }
}

void hm_participant_free(struct hm_participant *participant)
{
    if (!participant) {
        return;
    }
    hm_raft_free(participant->raft);
    hm_replica_fini(&participant->replica);
    hm_index_fini(&participant->by_seq);
    drop_lights(participant, participant->light_count);
    hm_free(participant->lights);
    hm_arena_fini(&participant->arena);
    hm_free(participant->pending);
    hm_free(participant->answers);
    hm_free(participant);
}

struct hm_raft *hm_participant_raft(const struct hm_participant *participant)
{
    return participant->raft;
}

const struct hm_replica *hm_participant_replica(const struct hm_participant *participant)
{
    return &participant->replica;
}

uint64_t hm_participant_applied(const struct hm_participant *participant)
{
    return participant->applied;
}

enum hm_status hm_participant_input(struct hm_participant *participant, hm_ms now,
                                    const struct hm_peer *from, const struct hm_message *message)
{
    return hm_raft_input(participant->raft, now, from, message);
}

/* ---- what waits for its commit ---- */

static uint64_t hash_of(const struct hm_id *session, uint64_t seq)
{
    return hm_hash_id(seq, session);
}

static struct pending *find_pending(struct hm_participant *participant, const struct hm_id *session,
                                    uint64_t seq)
{
    size_t cursor = 0;
    uint32_t slot;
    uint64_t hash = hash_of(session, seq);
    while ((slot = hm_index_next(&participant->by_seq, hash, &cursor)) != HM_INDEX_END) {
        size_t place = (slot - participant->passed) & SLOT_MASK;
        struct pending *pending = &participant->pending[participant->pending_first + place];
        if (pending->seq == seq && hm_id_equal(&pending->session, session)) {
            return pending;
        }
    }
    return NULL;
}

static void add_pending(struct hm_participant *participant, const struct hm_submission *submission,
                        uint64_t index, uint64_t term)
{
    size_t end = participant->pending_first + participant->pending_count;
    if (end == participant->pending_capacity && participant->pending_first > end / 2) {
        memmove(participant->pending, participant->pending + participant->pending_first,
                participant->pending_count * sizeof *participant->pending);
        participant->pending_first = 0;
        end = participant->pending_count;
    }
    participant->pending = hm_grow(participant->pending, end, &participant->pending_capacity,
                                   sizeof *participant->pending);
    participant->pending[end] = (struct pending){
        .index = index, .term = term, .session = submission->session, .seq = submission->seq};
    participant->pending[end].tokens[0] = submission->token;
    participant->pending[end].token_count = submission->token ? 1 : 0;
    if (submission->seq) {
        uint32_t slot = (participant->passed + (uint32_t)participant->pending_count) & SLOT_MASK;
        hm_index_add(&participant->by_seq, hash_of(&submission->session, submission->seq), slot);
    }
    participant->pending_count++;
}

/* The oldest; valid until the next add. */
static const struct pending *pop_pending(struct hm_participant *participant)
{
    HM_ASSERT(participant->pending_count > 0);
    const struct pending *oldest = &participant->pending[participant->pending_first++];
    if (oldest->seq) {
        hm_index_remove(&participant->by_seq, hash_of(&oldest->session, oldest->seq),
                        participant->passed);
    }
    participant->passed = (participant->passed + 1) & SLOT_MASK;
    if (--participant->pending_count == 0) {
        participant->pending_first = 0;
    }
    return oldest;
}

static void answer(struct hm_participant *participant, uint64_t token, enum hm_status status)
{
    participant->answers = hm_grow(participant->answers, participant->answer_count,
                                   &participant->answer_capacity, sizeof *participant->answers);
    participant->answers[participant->answer_count++] =
        (struct answer){token, {.status = status, .index = participant->replica.index}};
}

/* Only a leader knows that what it has appended will be committed, and only in its term. */
static void disown_pending(struct hm_participant *participant)
{
    bool leads = hm_raft_role(participant->raft) == HM_RAFT_LEADER;
    uint64_t term = hm_raft_term(participant->raft);
    while (participant->pending_count &&
           (!leads || participant->pending[participant->pending_first].term < term)) {
        const struct pending *pending = pop_pending(participant);
        for (size_t i = 0; i < pending->token_count; i++) {
            answer(participant, pending->tokens[i], HM_NOT_LEADER);
        }
    }
}

enum hm_status hm_participant_propose(struct hm_participant *participant, hm_ms now,
                                      const struct hm_submission *submission)
{
    struct pending *twin = submission->seq && hm_raft_role(participant->raft) == HM_RAFT_LEADER
                               ? find_pending(participant, &submission->session, submission->seq)
                               : NULL;
    if (twin && twin->token_count == ASKERS_MAX) {
        return HM_BUSY;
    }
    if (twin) {
        if (submission->token) {
            twin->tokens[twin->token_count++] = submission->token;
        }
        return HM_OK;
    }
    struct hm_buf body = {0};
    hm_message_encode(
        &body, &(struct hm_message){.kind = HM_MSG_log_request,
                                    .log_request = {.session = submission->session,
                                                    .seq = submission->seq,
                                                    .time_ms = hm_raft_time(participant->raft, now),
                                                    .request = submission->request}});
    uint64_t index;
    uint64_t term;
    enum hm_status status =
        hm_raft_propose(participant->raft, now, hm_buf_view(&body), &index, &term);
    hm_buf_fini(&body);
    if (status == HM_OK) {
        add_pending(participant, submission, index, term);
    }
    return status;
}

enum hm_status hm_participant_read(struct hm_participant *participant, hm_ms now, uint64_t token)
{
    return hm_raft_read(participant->raft, now, token);
}

void hm_participant_keep(struct hm_participant *participant, struct hm_keep keep)
{
    hm_kept_limit(&participant->replica.kept, keep);
}

enum hm_status hm_participant_recover(struct hm_participant *participant, hm_ms now,
                                      uint64_t generation, const struct hm_submission *submission)
{
    struct hm_buf body = {0};
    if (participant->broken) {
        return HM_DAMAGED;
    }
    if (submission) {
        /* Without a time: nobody leads whom the clocks of others could correct, so it stands still.
         */
        hm_message_encode(&body,
                          &(struct hm_message){.kind = HM_MSG_log_request,
                                               .log_request = {.request = submission->request}});
    }
    enum hm_status status = hm_raft_recover(participant->raft, now, generation, hm_buf_view(&body));
    hm_buf_fini(&body);
    return status;
}

enum hm_status hm_participant_compact(struct hm_participant *participant)
{
    struct hm_buf state = {0};
    if (participant->broken) {
        return HM_DAMAGED;
    }
    enum hm_status status = hm_raft_may_compact(participant->raft, participant->applied);
    if (status != HM_OK) {
        return status;
    }
    hm_kept_pack(&participant->replica.kept, UINT64_MAX);
    hm_replica_snapshot(&participant->replica, true, &state);
    status = hm_raft_compact(participant->raft, participant->applied, hm_buf_view(&state));
    if (status == HM_OK) {
        participant->snapshot_bytes = state.size;
        participant->applied_bytes = 0;
        drop_lights(participant, participant->light_count);
    }
    hm_buf_fini(&state);
    return status;
}

enum hm_status hm_participant_snapshot(struct hm_participant *participant, struct hm_buf *out)
{
    struct hm_buf state = {0};
    if (participant->broken) {
        return HM_DAMAGED;
    }
    enum hm_status status = hm_raft_may_snapshot(participant->raft, participant->applied);
    if (status != HM_OK) {
        return status; /* of what is kept, some was in the log alone */
    }
    hm_replica_snapshot(&participant->replica, !hm_plant("backup_without_kept"), &state);
    status = hm_raft_snapshot(participant->raft, participant->applied, hm_buf_view(&state), out);
    hm_buf_fini(&state);
    return status;
}

/* For a follower that is too far behind for what Raft's log has. */
static void serve(struct hm_participant *participant)
{
    struct hm_buf state = {0};
    if (participant->broken) {
        return;
    }
    hm_replica_snapshot(&participant->replica, !hm_plant("serves_without_kept"), &state);
    enum hm_status status =
        hm_raft_serve(participant->raft, participant->applied, hm_buf_view(&state));
    (void)status; /* it asks again */
    hm_buf_fini(&state);
}

static void take_light(struct hm_participant *participant)
{
    struct hm_buf state = {0};
    struct light light = {.index = participant->replica.index};
    hm_replica_snapshot(&participant->replica, false, &state);
    enum hm_status status = hm_raft_snapshot(participant->raft, participant->applied,
                                             hm_buf_view(&state), &light.snapshot);
    participant->snapshot_bytes = state.size;
    participant->applied_bytes = 0;
    hm_buf_fini(&state);
    if (status == HM_OK) {
        participant->lights = hm_grow(participant->lights, participant->light_count,
                                      &participant->light_capacity, sizeof *participant->lights);
        participant->lights[participant->light_count++] = light;
    }
}

void hm_participant_shorten(struct hm_participant *participant)
{
    if (participant->broken || participant->applied == 0) {
        return;
    }
    take_light(participant);
    uint64_t oldest = hm_replica_oldest(&participant->replica);
    size_t good = participant->light_count;
    while (good > 0 && participant->lights[good - 1].index >= oldest &&
           !hm_plant("shortens_what_is_kept")) {
        good--;
    }
    if (good == 0) {
        return;
    }
    enum hm_status status =
        hm_raft_compact_with(participant->raft, &participant->lights[good - 1].snapshot);
    /* Not yet on disk that far: it counts the next time. */
    drop_lights(participant, status == HM_NOT_READY || status == HM_IO ? good - 1 : good);
}

/* ---- what Raft says ---- */

static void apply_request(struct hm_participant *participant, uint64_t index,
                          const struct hm_log_request *request, struct hm_log_effect *out)
{
    hm_replica_apply(&participant->replica, request, index, &participant->outcome);
    if (participant->pending_count &&
        participant->pending[participant->pending_first].index == index) {
        const struct pending *oldest = pop_pending(participant);
        participant->answering_count = oldest->token_count;
        memcpy(participant->answering, oldest->tokens, sizeof oldest->tokens);
    }
    out->outcome = &participant->outcome;
}

/* What is applied and nobody lags behind need not be in Raft's memory: the journal has it. */
static void forget(struct hm_participant *participant)
{
    if (participant->applied % participant->forget_every == 0 && !participant->broken) {
        uint64_t index = hm_raft_unneeded(participant->raft, participant->applied);
        if (!hm_plant("forgets_what_is_kept")) {
            hm_kept_pack(&participant->replica.kept, index);
        }
        hm_raft_forget(participant->raft, index);
    }
}

/* False: nothing happened. */
static bool apply(struct hm_participant *participant, const struct hm_effect *effect,
                  struct hm_log_effect *out)
{
    struct hm_arena *arena = &participant->arena;
    struct hm_message entry = {0};
    struct hm_reader in = hm_reader_of(effect->message);
    if (participant->broken) {
        return false; /* what follows an entry that was not understood is not for this release */
    }
    enum hm_status status = effect->message.size ? hm_message_decode(&in, arena, &entry) : HM_OK;
    out->kind = HM_LOG_APPLIED;
    out->number = effect->number;
    out->message = effect->message;
    participant->applied_bytes += effect->message.size;
    if (status == HM_OK && entry.kind == HM_MSG_log_request) {
        apply_request(participant, effect->number, &entry.log_request, out);
    } else if (status == HM_OK && entry.kind == HM_MSG_log_snapshot) {
        status = hm_replica_install(&participant->replica, entry.log_snapshot.state);
        drop_lights(participant, participant->light_count);
        out->kind = HM_LOG_INSTALLED;
    }
    if (status != HM_OK) {
        participant->broken = true;
        out->kind = HM_LOG_BROKEN;
    } else {
        participant->applied = effect->number;
    }
    hm_arena_clear(arena);
    forget(participant);
    return true;
}

static bool notice(struct hm_participant *participant, const struct hm_effect *effect,
                   struct hm_log_effect *out)
{
    switch (effect->notice) {
    case HM_RAFT_ROLE_CHANGED:
        disown_pending(participant);
        break;
    case HM_RAFT_READ_READY:
    case HM_RAFT_READ_LOST:
        answer(participant, effect->number,
               effect->notice == HM_RAFT_READ_READY ? HM_OK : HM_NOT_LEADER);
        return false;
    case HM_RAFT_DROPPED:
        return false; /* whoever asked has been told that nobody knows */
    case HM_RAFT_SNAPSHOT_WANTED:
        /* A state that is large is written when as much has come to it: no byte twice as often. */
        if (participant->applied_bytes < participant->snapshot_bytes) {
            return false;
        }
        hm_participant_shorten(participant);
        break;
    case HM_RAFT_SNAPSHOT_LACKING:
        serve(participant);
        return false;
    default:
        break;
    }
    out->kind = HM_LOG_NOTICE;
    out->notice = effect->notice;
    out->peer = effect->peer;
    out->number = effect->number;
    return true;
}

static bool pop_answer(struct hm_participant *participant, struct hm_log_effect *out)
{
    out->kind = HM_LOG_ANSWER;
    if (participant->answering_count) {
        out->token = participant->answering[--participant->answering_count];
        out->outcome = &participant->outcome;
        return true;
    }
    if (participant->answer_first < participant->answer_count) {
        const struct answer *ready = &participant->answers[participant->answer_first++];
        out->token = ready->token;
        out->outcome = &ready->outcome;
        return true;
    }
    participant->answer_first = participant->answer_count = 0;
    return false;
}

bool hm_participant_output(struct hm_participant *participant, struct hm_log_effect *out)
{
    struct hm_effect effect;
    *out = (struct hm_log_effect){.log = participant->config.raft.log};
    if (pop_answer(participant, out)) {
        return true;
    }
    while (hm_raft_output(participant->raft, &effect)) {
        bool tells = true;
        *out = (struct hm_log_effect){.log = participant->config.raft.log};
        switch (effect.kind) {
        case HM_EFFECT_SEND:
        case HM_EFFECT_PERSIST:
            out->kind = effect.kind == HM_EFFECT_SEND ? HM_LOG_SEND : HM_LOG_PERSIST;
            out->peer = effect.peer;
            out->number = effect.number;
            out->message = effect.message;
            break;
        case HM_EFFECT_APPLY:
            tells = apply(participant, &effect, out);
            break;
        case HM_EFFECT_NOTIFY:
            tells = notice(participant, &effect, out);
            break;
        case HM_EFFECT_NONE:
            tells = false;
            break;
        }
        if (tells || pop_answer(participant, out)) {
            return true;
        }
    }
    return false;
}
