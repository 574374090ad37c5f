/* What the program asked: submissions, reads and changes that go to whoever leads, are asked again
 * until they are answered, and then told to the program once.
 *
 * What became of a submission is learnt from the own copy of the log, where it is applied as it is
 * everywhere. The leader's answer only counts for who is not in the log (yet, or any more). */
#include "core/embed/internal.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <string.h>

#define RESEND_MS        1000u
#define RESEND_DOUBLINGS 3u
#define BACK_OFF_MS      20u
#define CONTACT_MS       200u
#define GIVE_UP_MS       (20u * 60u * 1000u)
#define TRANSFER_MS      10000u
#define QUEUE_BYTES_MAX  (64u << 20)
#define CALL_BYTES       256u /* what a call counts besides its data */
#define LANE_AGE_MS      (20u * 60u * 1000u)

/* ---- the queues ---- */

static struct embed_call *call_at(struct embed_queue *queue, size_t i)
{
    return &queue->items[queue->first + i];
}

static struct embed_call *find_call(struct embed_queue *queue, uint64_t number)
{
    size_t low = 0;
    size_t high = queue->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (call_at(queue, middle)->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool there = low < queue->count && call_at(queue, low)->number == number;
    return there ? call_at(queue, low) : NULL;
}

static void append_call(struct embed_queue *queue, const struct embed_call *call)
{
    size_t end = queue->first + queue->count;
    if (end == queue->capacity && queue->first > end / 2) {
        memmove(queue->items, queue->items + queue->first, queue->count * sizeof *queue->items);
        queue->first = 0;
        end = queue->count;
    }
    queue->items = hm_grow(queue->items, end, &queue->capacity, sizeof *queue->items);
    queue->items[end] = *call;
    queue->count++;
}

static void remove_call(struct embed_queue *queue, struct embed_call *call)
{
    size_t at = (size_t)(call - queue->items) - queue->first;
    if (at == 0) {
        queue->first++;
    } else {
        memmove(call, call + 1, (queue->count - at - 1) * sizeof *call);
    }
    queue->count--;
    queue->first = queue->count ? queue->first : 0;
}

static struct embed_queue *queue_of(struct hivemind_participant *participant,
                                    enum embed_call_kind kind)
{
    return kind == EMBED_SUBMIT ? &participant->submits : &participant->others;
}

static enum hm_status add_call(struct hivemind_participant *participant, struct embed_call *call)
{
    struct hivemind_server *server = participant->server;
    if (!participant->log_end) {
        return embed_fail(server, HM_NOT_STARTED, "log %s is not started", participant->name.text);
    }
    if (participant->submits.count + participant->others.count >= HIVEMIND_CALLS_MAX ||
        participant->queued_bytes + call->data.size > QUEUE_BYTES_MAX) {
        return embed_fail(server, HM_FULL, "%zu calls with %llu bytes wait for their answers",
                          participant->submits.count + participant->others.count,
                          (unsigned long long)participant->queued_bytes);
    }
    hm_ms patience = call->kind == EMBED_CHANGE_TRANSFER ? TRANSFER_MS : GIVE_UP_MS;
    call->number = ++participant->next_call;
    call->give_up_at = embed_now(server) + patience;
    call->data = hm_bytes_copy(call->data);
    participant->queued_bytes += call->data.size + CALL_BYTES;
    append_call(queue_of(participant, call->kind), call);
    participant->calls_at = 0;
    embed_wake(server);
    return HM_OK;
}

/* Takes a call out; the program hears of it in the next round. */
static void end_call(struct hivemind_participant *participant, struct embed_call *call,
                     enum hm_status status, uint64_t index, struct hm_bytes reason)
{
    if (call->done) {
        participant->ends = hm_grow(participant->ends, participant->end_count,
                                    &participant->end_capacity, sizeof *participant->ends);
        participant->ends[participant->end_count++] =
            (struct embed_end){call->done, call->context, status, index, hm_bytes_copy(reason)};
    }
    if (call->lane >= 0) {
        participant->lanes[call->lane].busy = false;
    }
    participant->queued_bytes -= call->data.size + CALL_BYTES;
    participant->calls_at = 0; /* another may have its lane */
    hm_bytes_free(call->data);
    hm_bytes_free(call->reason);
    remove_call(queue_of(participant, call->kind), call);
}

bool embed_calls_deliver(struct hivemind_participant *participant)
{
    size_t count = participant->end_count;
    struct embed_end *ends = participant->ends;
    participant->ends = NULL; /* callbacks may add more */
    participant->end_count = participant->end_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        char reason[sizeof((struct hm_outcome *)0)->reason];
        size_t size = ends[i].reason.size < sizeof reason ? ends[i].reason.size : sizeof reason - 1;
        memcpy(reason, ends[i].reason.data, size);
        reason[size] = 0;
        ends[i].done(ends[i].context, &(struct hivemind_outcome){.status = ends[i].status,
                                                                 .index = ends[i].index,
                                                                 .reason = reason});
        hm_bytes_free(ends[i].reason);
    }
    hm_free(ends);
    return count > 0;
}

static void free_queue(struct embed_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        hm_bytes_free(call_at(queue, i)->data);
        hm_bytes_free(call_at(queue, i)->reason);
    }
    hm_free(queue->items);
}

void embed_calls_fini(struct hivemind_participant *participant)
{
    free_queue(&participant->submits);
    free_queue(&participant->others);
    for (size_t i = 0; i < participant->end_count; i++) {
        hm_bytes_free(participant->ends[i].reason);
    }
    hm_free(participant->ends);
}

/* ---- what the program calls ---- */

static enum hm_status submit(struct hivemind_participant *participant, struct hm_id session,
                             uint64_t seq, const void *data, size_t size, hivemind_done *done,
                             void *context)
{
    if (size > HIVEMIND_ENTRY_BYTES_MAX) {
        return embed_fail(participant->server, HM_TOO_LARGE,
                          "an entry of %zu bytes; at most %u are taken", size,
                          HIVEMIND_ENTRY_BYTES_MAX);
    }
    struct embed_call call = {.kind = EMBED_SUBMIT,
                              .done = done,
                              .context = context,
                              .lane = -1,
                              .session = session,
                              .seq = seq,
                              .data = {data, size}};
    return add_call(participant, &call);
}

enum hm_status hivemind_submit(struct hivemind_participant *participant, const void *data,
                               size_t size, hivemind_done *done, void *context)
{
    return submit(participant, (struct hm_id){0}, 0, data, size, done, context);
}

/* A UUID of version 7 (RFC 9562): a log takes a session that it does not know only when it is young
 * (see core/log/replica.h). */
static struct hm_id draw_session(struct hivemind_server *server)
{
    uint64_t made_ms = embed_wall_ms(server);
    struct hm_id id = hm_random_id(&server->random);
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(made_ms >> (40 - 8 * i));
    }
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

struct hivemind_id hivemind_session(struct hivemind_participant *participant)
{
    struct hivemind_id out;
    struct hm_id id = draw_session(participant->server);
    memcpy(&out, &id, sizeof out);
    return out;
}

enum hm_status hivemind_submit_once(struct hivemind_participant *participant,
                                    struct hivemind_id session, uint64_t seq, const void *data,
                                    size_t size, hivemind_done *done, void *context)
{
    struct hm_id id;
    memcpy(&id, &session, sizeof id);
    if (participant->log_end && (hm_id_is_none(&id) || seq == 0)) {
        return embed_fail(participant->server, HM_BAD_ARGUMENT,
                          "a session is not zero, and its requests count from 1");
    }
    return submit(participant, id, seq, data, size, done, context);
}

enum hm_status hivemind_barrier(struct hivemind_participant *participant, hivemind_done *done,
                                void *context)
{
    struct embed_call call = {.kind = EMBED_BARRIER, .done = done, .context = context, .lane = -1};
    return add_call(participant, &call);
}

static enum hm_status ask_change(struct hivemind_participant *participant,
                                 enum embed_call_kind kind, struct hivemind_id id,
                                 const char *address, hivemind_done *done, void *context)
{
    struct embed_call call = {.kind = kind, .done = done, .context = context, .lane = -1};
    memcpy(&call.peer.id, &id, sizeof id);
    if (participant->log_end &&
        (hm_id_is_none(&call.peer.id) ||
         (kind == EMBED_CHANGE_ADD &&
          (!hm_addr_parse(address, 0, &call.peer.addr) || call.peer.addr.port == 0)))) {
        return embed_fail(participant->server, HM_BAD_ARGUMENT,
                          "a member has an id that is not zero and an address IP:PORT");
    }
    return add_call(participant, &call);
}

enum hm_status hivemind_add(struct hivemind_participant *participant,
                            const struct hivemind_peer *peer, hivemind_done *done, void *context)
{
    return ask_change(participant, EMBED_CHANGE_ADD, peer->id, peer->address, done, context);
}

enum hm_status hivemind_remove(struct hivemind_participant *participant, struct hivemind_id id,
                               hivemind_done *done, void *context)
{
    return ask_change(participant, EMBED_CHANGE_REMOVE, id, NULL, done, context);
}

enum hm_status hivemind_transfer(struct hivemind_participant *participant, struct hivemind_id id,
                                 hivemind_done *done, void *context)
{
    return ask_change(participant, EMBED_CHANGE_TRANSFER, id, NULL, done, context);
}

/* ---- on their way ---- */

/* Gives it a place in a session of ours; false: all are taken. */
static bool take_lane(struct hivemind_participant *participant, struct embed_call *call)
{
    for (int i = 0; i < (int)EMBED_LANES_MAX; i++) {
        struct embed_lane *lane = &participant->lanes[i];
        if (lane->busy) {
            continue;
        }
        uint64_t now_ms = embed_wall_ms(participant->server);
        if (lane->made_ms == 0 || now_ms - lane->made_ms > LANE_AGE_MS) {
            *lane = (struct embed_lane){.session = draw_session(participant->server),
                                        .made_ms = now_ms ? now_ms : 1};
        }
        lane->busy = true;
        call->lane = i;
        call->session = lane->session;
        call->seq = ++lane->seq;
        return true;
    }
    return false;
}

/* Whom to ask; false: nobody is known now. Ourselves when we lead. */
static bool target_of(struct hivemind_participant *participant, struct hm_peer *out)
{
    struct hm_id leader = hm_raft_leader(participant->raft);
    if (hm_raft_role(participant->raft) == HM_RAFT_LEADER) {
        *out = participant->server->self;
        return true;
    }
    if (!hm_id_is_none(&leader) && embed_find_peer(participant, &leader, out)) {
        return true;
    }
    if (embed_is_in(participant) || participant->removed) {
        return false;
    }
    if (!hm_id_is_none(&participant->hint.id)) {
        *out = participant->hint;
        return true;
    }
    for (size_t i = 0; i < participant->peer_count; i++) {
        *out = participant->peers[participant->turn++ % participant->peer_count];
        if (!hm_id_equal(&out->id, &participant->server->self.id)) {
            return true;
        }
    }
    return false;
}

static enum hm_status ask_ourselves(struct hivemind_participant *participant,
                                    const struct embed_call *call)
{
    struct hivemind_server *server = participant->server;
    uint64_t token = EMBED_TOKEN(call->number);
    switch (call->kind) {
    case EMBED_SUBMIT:
        return hm_participant_propose(
            participant->log_end, embed_now(server),
            &(struct hm_submission){
                .session = call->session, .seq = call->seq, .request = call->data, .token = token});
    case EMBED_BARRIER:
        return hm_participant_read(participant->log_end, embed_now(server), token);
    default:
        return embed_change(participant, call->kind, &call->peer, token);
    }
}

static void ask_other(struct hivemind_participant *participant, const struct embed_call *call,
                      const struct hm_peer *to)
{
    struct hm_message message;
    if (call->kind == EMBED_SUBMIT) {
        message = (struct hm_message){.kind = HM_MSG_submit,
                                      .submit = {.call = call->number,
                                                 .log = participant->log,
                                                 .session = call->session,
                                                 .seq = call->seq,
                                                 .request = call->data}};
    } else if (call->kind == EMBED_BARRIER) {
        message =
            (struct hm_message){.kind = HM_MSG_part_read, .part_read = {.call = call->number}};
    } else {
        message = (struct hm_message){.kind = HM_MSG_part_change,
                                      .part_change = {.call = call->number,
                                                      .what = (uint8_t)call->kind,
                                                      .id = call->peer.id,
                                                      .addr = call->peer.addr}};
    }
    embed_send_message(participant, to, &message);
}

/* HM_OK: it is on its way. */
static enum hm_status ask(struct hivemind_participant *participant, struct embed_call *call,
                          const struct hm_peer *to)
{
    enum hm_status status = HM_OK;
    bool ours = hm_id_equal(&to->id, &participant->server->self.id);
    if (call->kind == EMBED_SUBMIT && call->seq == 0 && !take_lane(participant, call)) {
        return HM_FULL;
    }
    if (ours) {
        status = ask_ourselves(participant, call);
    } else {
        ask_other(participant, call, to);
    }
    if (status == HM_OK) {
        uint32_t doublings = call->tries < RESEND_DOUBLINGS ? call->tries : RESEND_DOUBLINGS;
        hm_ms wait = embed_is_in(participant) ? (hm_ms)RESEND_MS << doublings : CONTACT_MS;
        call->sent = true;
        call->sent_to = to->id;
        call->tries++;
        /* What waits in our own log is answered, or disowned. */
        call->resend_at = ours ? HM_NEVER : embed_now(participant->server) + wait;
    }
    return status;
}

/* Is it over without being asked (again)? */
static bool is_over(struct hivemind_participant *participant, struct embed_call *call)
{
    struct hm_id leader = hm_raft_leader(participant->raft);
    bool in = embed_is_in(participant);
    if (embed_now(participant->server) >= call->give_up_at) {
        end_call(participant, call, HM_TIMEOUT, 0, hm_bytes_of_text("nobody answered"));
    } else if (call->kind == EMBED_CHANGE_TRANSFER && hm_id_equal(&leader, &call->peer.id)) {
        end_call(participant, call, HM_OK, 0, (struct hm_bytes){0});
    } else if (participant->removed) {
        /* An answer that the leader gave in time counts. */
        enum hm_status status = call->answered ? call->status : HM_REMOVED;
        end_call(participant, call, status, call->answered ? call->index : 0, call->reason);
    } else if (call->answered && call->kind == EMBED_BARRIER &&
               embed_index(participant) >= call->index) {
        end_call(participant, call, HM_OK, embed_index(participant), (struct hm_bytes){0});
    } else if (call->answered && call->kind == EMBED_SUBMIT &&
               (!in || (call->index > 0 && embed_index(participant) >= call->index))) {
        end_call(participant, call, call->status, call->index, call->reason);
    } else {
        return false;
    }
    return true;
}

static void note_deadline(struct hivemind_participant *participant, const struct embed_call *call)
{
    hm_ms at =
        call->sent && call->resend_at < call->give_up_at ? call->resend_at : call->give_up_at;
    participant->calls_at = at < participant->calls_at ? at : participant->calls_at;
}

/* In their order; what cannot go now holds up what is behind it, so that order is kept. */
static bool pump_queue(struct hivemind_participant *participant, struct embed_queue *queue)
{
    hm_ms now = embed_now(participant->server);
    bool asked = false;
    for (size_t i = 0; i < queue->count;) {
        struct embed_call *call = call_at(queue, i);
        struct hm_peer to;
        if (is_over(participant, call)) {
            continue;
        }
        bool waits = call->sent && (now < call->resend_at ||
                                    (call->answered && call->kind != EMBED_CHANGE_TRANSFER));
        if (!waits) {
            if (call->sent) {
                participant->hint = (struct hm_peer){0}; /* it did not answer in time */
            }
            enum hm_status status =
                target_of(participant, &to) ? ask(participant, call, &to) : HM_NOT_LEADER;
            if (status != HM_OK) {
                note_deadline(participant, call);
                bool lanes = call->kind == EMBED_SUBMIT && call->seq == 0;
                hm_ms again = now + (embed_is_in(participant) ? BACK_OFF_MS : CONTACT_MS);
                /* A lane is free when a call has ended, which is noticed by itself. */
                if (!lanes && again < participant->calls_at) {
                    participant->calls_at = again;
                }
                break;
            }
            asked = true;
        }
        note_deadline(participant, call);
        i++;
    }
    return asked;
}

bool embed_calls_pump(struct hivemind_participant *participant)
{
    if (!participant->raft || embed_now(participant->server) < participant->calls_at) {
        return false;
    }
    participant->calls_at = HM_NEVER;
    bool asked = pump_queue(participant, &participant->others);
    asked |= pump_queue(participant, &participant->submits);
    return asked;
}

void embed_calls_resend(struct hivemind_participant *participant, const struct hm_id *to)
{
    struct embed_queue *queues[] = {&participant->submits, &participant->others};
    for (size_t q = 0; q < 2; q++) {
        for (size_t i = 0; i < queues[q]->count; i++) {
            struct embed_call *call = call_at(queues[q], i);
            if (call->sent && !call->answered && (!to || hm_id_equal(&call->sent_to, to))) {
                call->sent = false;
                call->tries = 0;
            }
        }
    }
    participant->calls_at = 0;
}

void embed_calls_again(struct hivemind_participant *participant)
{
    struct embed_queue *queues[] = {&participant->submits, &participant->others};
    for (size_t q = 0; q < 2; q++) {
        for (size_t i = 0; i < queues[q]->count; i++) {
            struct embed_call *call = call_at(queues[q], i);
            bool known =
                call->answered && call->index > 0 && embed_index(participant) >= call->index;
            if (call->answered && !known) {
                call->answered = false;
                hm_bytes_free(call->reason);
                call->reason = (struct hm_bytes){0};
            }
        }
    }
    embed_calls_resend(participant, NULL);
}

/* ---- answers ---- */

void embed_calls_applied(struct hivemind_participant *participant, const struct hm_id *session,
                         uint64_t seq, const struct hm_outcome *outcome)
{
    struct embed_queue *queue = &participant->submits;
    if (participant->others.count) {
        participant->calls_at = 0; /* a barrier may have been reached */
    }
    for (size_t i = 0; i < queue->count; i++) {
        struct embed_call *call = call_at(queue, i);
        if (call->seq == 0) {
            return; /* neither this nor what follows was ever sent */
        }
        if (call->seq == seq && hm_id_equal(&call->session, session)) {
            end_call(participant, call, outcome->status, outcome->index,
                     hm_bytes_of_text(outcome->reason));
            return;
        }
    }
}

static struct embed_call *find_any(struct hivemind_participant *participant, uint64_t number)
{
    struct embed_call *call = find_call(&participant->submits, number);
    return call ? call : find_call(&participant->others, number);
}

/* To be asked again, soon. */
static void take_back(struct hivemind_participant *participant, struct embed_call *call)
{
    hm_ms at = embed_now(participant->server) + BACK_OFF_MS;
    call->sent = true;
    call->resend_at = at;
    participant->calls_at = at < participant->calls_at ? at : participant->calls_at;
}

static void answered(struct hivemind_participant *participant, struct embed_call *call,
                     enum hm_status status, uint64_t index, struct hm_bytes reason)
{
    if (call->kind == EMBED_CHANGE_TRANSFER && status == HM_OK) {
        call->answered = true; /* it has begun; over when the other leads */
    } else if (call->kind == EMBED_SUBMIT || call->kind == EMBED_BARRIER) {
        if (!call->answered) {
            call->answered = true;
            call->status = status;
            call->index = index;
            call->reason = hm_bytes_copy(reason);
        }
        participant->calls_at = 0;
    } else {
        end_call(participant, call, status, index, reason);
    }
}

void embed_calls_local(struct hivemind_participant *participant, uint64_t number,
                       enum hm_status status, uint64_t index, struct hm_bytes reason)
{
    struct embed_call *call = find_any(participant, number);
    if (!call) {
        return;
    }
    if (status == HM_NOT_LEADER) {
        call->sent = false;
        participant->calls_at = 0;
    } else if (call->kind != EMBED_SUBMIT) {
        answered(participant, call, status, index, reason);
    }
}

void embed_calls_submitted(struct hivemind_participant *participant, const struct hm_peer *from,
                           const struct hm_submitted *answer)
{
    struct embed_call *call = find_any(participant, answer->call);
    if (call && call->sent && hm_id_equal(&call->sent_to, &from->id)) {
        answered(participant, call, (enum hm_status)answer->status, answer->index, answer->reason);
    }
}

void embed_calls_untaken(struct hivemind_participant *participant, const struct hm_peer *from,
                         const struct hm_part_untaken *answer)
{
    struct embed_call *call = find_any(participant, answer->call);
    if (!call || !call->sent || !hm_id_equal(&call->sent_to, &from->id)) {
        return;
    }
    if (answer->status == HM_NOT_LEADER && !embed_is_in(participant)) {
        participant->hint = (struct hm_peer){answer->leader, answer->addr};
        if (!hm_id_is_none(&answer->leader)) {
            call->sent = false;
            participant->calls_at = 0;
            return;
        }
    }
    take_back(participant, call);
}

void embed_calls_removed(struct hivemind_participant *participant)
{
    struct embed_queue *queue = &participant->others;
    for (size_t i = 0; i < queue->count;) {
        struct embed_call *call = call_at(queue, i);
        if (call->kind == EMBED_CHANGE_REMOVE &&
            hm_id_equal(&call->peer.id, &participant->server->self.id)) {
            end_call(participant, call, HM_OK, 0, (struct hm_bytes){0});
        } else {
            i++;
        }
    }
    participant->calls_at = 0;
}
