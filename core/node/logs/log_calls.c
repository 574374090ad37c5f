/* What the leader of a log besides log 0 has to do, asked of any node: it is handed on until it
 * gets there, and tried again while the log has no leader. Appends carry a session, so that a
 * second try is the same entry. */
#include "core/node/logs/log_calls.h"

#include "core/base/assert.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"
#include "core/node/logs/log_admin.h"
#include "core/node/logs/log_reads.h"
#include "core/node/logs/named.h"

#include <stdio.h>

/* What the log adds to an entry fits beside it in HM_RAFT_ENTRY_BYTES_MAX. */
#define DATA_BYTES_MAX  (HM_RAFT_ENTRY_BYTES_MAX - 64u)
#define CALLS_MAX       8192u
#define CALLS_BYTES_MAX (64u << 20)
#define LANES_MAX       64u
#define LANE_AGE_MS     (20u * 60u * 1000u) /* well below what hm_list_machine takes for old */
#define ANSWER_MS       5000u
#define PASSED_ON_MS    4000u /* who passed it on hears of it before it gives up itself */
#define HOPS_MAX        3u
#define RETRY_MOST_MS   400u
#define REMOTE_MS       800u /* a leader that is alive has answered by then */
#define UNKNOWN_TRIES   4u   /* a log made just now on another node */

static const struct hm_name *name_of(const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_log_write:
        return &message->log_write.name;
    case HM_MSG_log_read:
        return &message->log_read.name;
    case HM_MSG_log_query:
        return &message->log_query.name;
    case HM_MSG_log_members:
        return &message->log_members.name;
    default:
        return &message->log_change.name;
    }
}

static uint8_t *hops_of(struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_log_write:
        return &message->log_write.hops;
    case HM_MSG_log_read:
        return &message->log_read.hops;
    case HM_MSG_log_query:
        return &message->log_query.hops;
    case HM_MSG_log_members:
        return &message->log_members.hops;
    default:
        return &message->log_change.hops;
    }
}

/* ---- sessions of this node ---- */

/* RFC 9562, version 7: 48 bits of Unix milliseconds, then chance. */
static struct hm_id make_session(struct hm_node *node)
{
    struct hm_id id = hm_random_id(&node->random);
    uint64_t ms = node->now + node->wall_offset;
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

/* A lane with room for one more; NULL: too many are on their way. */
static struct hm_lane *find_lane(struct hm_node *node)
{
    struct hm_lane *stale = NULL;
    for (size_t i = 0; i < node->log_calls->lane_count; i++) {
        struct hm_lane *lane = &node->log_calls->lanes[i];
        bool old = node->now - lane->made_at >= LANE_AGE_MS;
        if (!old && !(lane->open >> 63)) {
            return lane;
        }
        stale = old && lane->open == 0 ? lane : stale;
    }
    if (!stale) {
        if (node->log_calls->lane_count >= LANES_MAX) {
            return NULL;
        }
        node->log_calls->lanes =
            hm_grow(node->log_calls->lanes, node->log_calls->lane_count,
                    &node->log_calls->lane_capacity, sizeof *node->log_calls->lanes);
        stale = &node->log_calls->lanes[node->log_calls->lane_count++];
    }
    *stale = (struct hm_lane){
        .session = make_session(node), .next_seq = 1, .open = 0, .made_at = node->now};
    return stale;
}

static void release_lane(struct hm_node *node, const struct hm_call *call)
{
    if (call->lane) {
        struct hm_lane *lane = &node->log_calls->lanes[call->lane - 1];
        lane->open &= ~(UINT64_C(1) << (lane->next_seq - 1 - call->lane_seq));
    }
}

/* ---- a call's end ---- */

static void end_call(struct hm_node *node, uint64_t id)
{
    const struct hm_call *call = hm_calls_find(&node->calls, id);
    if (call) {
        release_lane(node, call);
        node->log_calls->count--;
        node->log_calls->bytes -= call->message.size;
        hm_calls_remove(&node->calls, id);
    }
}

static void end_with_status(struct hm_node *node, const struct hm_call *call, enum hm_status status,
                            const char *reason)
{
    uint64_t token = call->user;
    end_call(node, call->id);
    hm_node_answer_status(node, token, status, "%s", reason);
}

void hm_node_log_call_expired(struct hm_node *node, const struct hm_call *call)
{
    struct hm_reader in = hm_reader_of(hm_buf_view(&call->message));
    bool writes = hm_get_varint(&in) == HM_MSG_log_write;
    hm_node_answer_status(node, call->user, HM_NO_QUORUM, "the log has no leader with a quorum%s",
                          writes ? "; the entry may still come to be in it: a retry in the same "
                                   "session with the same seq is the same entry"
                                 : "");
    end_call(node, call->id);
}

static bool try_again(unsigned status)
{
    return status == HM_NOT_LEADER || status == HM_NO_QUORUM || status == HM_BUSY ||
           status == HM_NOT_READY;
}

void hm_node_log_call_answered(struct hm_node *node, struct hm_call *call,
                               const struct hm_message *answer)
{
    if (answer->kind == HM_MSG_answer && try_again(answer->answer.status)) {
        hm_ms soon = node->now + HM_RETRY_STEP_MS;
        call->retry_at = soon < call->retry_at ? soon : call->retry_at;
        hm_calls_timed(&node->calls, call);
        return;
    }
    uint64_t token = call->user;
    struct hm_message copy = *answer;
    end_call(node, call->id);
    hm_node_answer(node, token, &copy);
}

/* ---- on the leader ---- */

static void change_here(struct hm_node *node, const struct hm_call *call,
                        const struct hm_named *named, const struct hm_log_change *change)
{
    struct hm_raft *raft = named->upkeep.raft;
    enum hm_status status;
    if (change->what == 3) {
        status = hm_participant_compact(named->participant);
        /* One that is newer than all else is what was asked for. */
        status = status == HM_STALE ? HM_OK : status;
        end_with_status(node, call, status,
                        status == HM_OK ? "the log has a snapshot of all that is in it"
                                        : hm_status_text(status));
        return;
    }
    const struct hm_member *to = hm_members_find_name(&node->view->members, &change->node);
    if (change->node.size && !to) {
        end_with_status(node, call, HM_NOT_FOUND, "there is no member of that name");
        return;
    }
    status = hm_raft_transfer(raft, node->now, to ? &to->id : NULL);
    end_with_status(node, call, status,
                    status == HM_OK          ? "leadership is being handed over"
                    : status == HM_NOT_FOUND ? "nobody there votes in this log"
                                             : hm_status_text(status));
}

static void do_here(struct hm_node *node, struct hm_call *call, const struct hm_named *named,
                    const struct hm_message *message)
{
    enum hm_status status = HM_OK;
    if (message->kind == HM_MSG_log_write) {
        status =
            hm_participant_propose(named->participant, node->now,
                                   &(struct hm_submission){.session = message->log_write.session,
                                                           .seq = message->log_write.seq,
                                                           .request = message->log_write.data,
                                                           .token = call->id});
    } else if (message->kind == HM_MSG_log_read || message->kind == HM_MSG_log_query) {
        status = hm_participant_read(named->participant, node->now, call->id);
    } else if (message->kind == HM_MSG_log_change) {
        change_here(node, call, named, &message->log_change);
        return;
    } else {
        uint64_t token = call->user;
        end_call(node, call->id);
        hm_node_reply_log_members(node, token, named);
        return;
    }
    if (status == HM_OK) {
        call->retry_at = HM_NEVER;
    } else if (!try_again(status)) {
        end_with_status(node, call, status,
                        status == HM_FULL ? "too much is on its way into this log; nothing of it "
                                            "is lost, try again later"
                                          : hm_status_text(status));
    }
}

static void end_with_outcome(struct hm_node *node, const struct hm_call *call,
                             const struct hm_outcome *outcome)
{
    uint64_t token = call->user;
    const char *reason = outcome->reason[0] ? outcome->reason : hm_status_text(outcome->status);
    end_call(node, call->id);
    hm_node_answer(node, token,
                   &(struct hm_message){.kind = HM_MSG_answer,
                                        .answer = {.status = (uint16_t)outcome->status,
                                                   .reason = hm_bytes_of_text(reason),
                                                   .index = outcome->index,
                                                   .data = outcome->data}});
}

static void query_here(struct hm_node *node, const struct hm_call *call,
                       const struct hm_named *named, struct hm_bytes question)
{
    const struct hm_replica *replica = hm_participant_replica(named->participant);
    struct hm_outcome outcome = {.status = HM_OK, .index = replica->index};
    if (replica->machine->query) {
        replica->machine->query(replica->context, question, &outcome);
        end_with_outcome(node, call, &outcome);
    } else {
        end_with_status(node, call, HM_BAD_ARGUMENT, "this log has entries, which are read");
    }
}

/* What this node has applied is up to date for this call. */
static void read_here(struct hm_node *node, const struct hm_call *call)
{
    struct hm_buf asked = call->message;
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(hm_buf_view(&asked));
    const struct hm_named *named = hm_message_decode(&in, &arena, &message) == HM_OK
                                       ? hm_node_find_named(node, name_of(&message))
                                       : NULL;
    if (!named) {
        end_with_status(node, call, HM_NOT_FOUND, "the log was deleted");
    } else if (message.kind == HM_MSG_log_query) {
        query_here(node, call, named, message.log_query.data);
    } else {
        uint64_t token = call->user;
        struct hm_log_read read = message.log_read;
        end_call(node, call->id);
        hm_node_serve_log(node, token, named, &read);
    }
    hm_arena_fini(&arena);
}

void hm_node_log_outcome(struct hm_node *node, uint64_t call_id, const struct hm_outcome *outcome)
{
    struct hm_call *call = hm_calls_find(&node->calls, call_id);
    if (!call || call->kind != HM_CALL_LOG) {
        return; /* it was answered in another way, or its time was over */
    }
    if (outcome->status == HM_NOT_LEADER) {
        call->retry_at = node->now + HM_RETRY_STEP_MS;
        hm_calls_timed(&node->calls, call);
        return;
    }
    struct hm_reader kind = hm_reader_of(hm_buf_view(&call->message));
    if (hm_get_varint(&kind) == HM_MSG_log_write) {
        end_with_outcome(node, call, outcome);
    } else {
        read_here(node, call);
    }
}

/* ---- on the way there ---- */

/* Where it goes from here: the leader, as far as this node knows; false: nobody. Who does not carry
 * the log asks one who does, or a control node, which knows those. */
static bool next_stop(struct hm_node *node, const struct hm_call *call, const char *role,
                      const struct hm_named *named, struct hm_peer *out)
{
    if (!named && role && hm_node_pick_with_role(node, role, call->attempt, out)) {
        return true;
    }
    if (!node->control.logs) {
        return hm_node_pick_control(node, call->attempt, out);
    }
    if (!named) {
        return false; /* it is not open here yet */
    }
    struct hm_id leader = hm_raft_leader(named->upkeep.raft);
    return !hm_id_is_none(&leader) && !hm_id_equal(&leader, &node->id) &&
           hm_node_find_peer(node, &leader, out);
}

static void send_on(struct hm_node *node, struct hm_call *call, struct hm_message *message)
{
    const struct hm_named *named = hm_node_find_named(node, name_of(message));
    const char *role = hm_node_role_of_log(name_of(message));
    struct hm_peer to;
    char reason[256];
    if (node->control.logs && !named && role && node->caught_up &&
        hm_members_count_role(&node->view->members, role) == 0) {
        snprintf(reason, sizeof reason, "no node of this cluster has role %s", role);
        end_with_status(node, call, HM_UNREACHABLE, reason);
    } else if (node->control.logs && !named && !role) {
        if (call->attempt >= UNKNOWN_TRIES) {
            snprintf(reason, sizeof reason,
                     "there is no log %s; `hivemind log list` shows those that there are",
                     name_of(message)->text);
            end_with_status(node, call, HM_NOT_FOUND, reason);
        }
    } else if (named && hm_raft_role(named->upkeep.raft) == HM_RAFT_LEADER) {
        do_here(node, call, named, message);
    } else if (*hops_of(message) > HOPS_MAX) {
        end_with_status(node, call, HM_NOT_LEADER, "this node does not lead the log");
    } else if (next_stop(node, call, role, named, &to)) {
        call->asked = to.addr;
        call->retry_at = node->now + REMOTE_MS;
        hm_node_send_bytes(node, &to, hm_buf_view(&call->message));
    }
}

/* `message` is what the call has encoded. */
static void try_call(struct hm_node *node, struct hm_call *call, struct hm_message *message)
{
    hm_ms wait = (hm_ms)HM_RETRY_STEP_MS * ++call->attempt;
    call->retry_at = node->now + (wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS);
    hm_calls_timed(&node->calls, call);
    send_on(node, call, message);
}

void hm_node_send_log_call(struct hm_node *node, struct hm_call *call)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(hm_buf_view(&call->message));
    enum hm_status status = hm_message_decode(&in, &arena, &message);
    HM_ASSERT(status == HM_OK);
    try_call(node, call, &message);
    hm_arena_fini(&arena);
}

static void begin(struct hm_node *node, uint64_t token, const struct hm_message *message)
{
    struct hm_message onward = *message;
    struct hm_lane *lane = NULL;
    bool writes = message->kind == HM_MSG_log_write;
    bool own = writes && hm_id_is_none(&message->log_write.session);
    size_t bytes = writes                              ? message->log_write.data.size
                   : message->kind == HM_MSG_log_query ? message->log_query.data.size
                                                       : 0;
    if (node->log_calls->count >= CALLS_MAX || node->log_calls->bytes + bytes > CALLS_BYTES_MAX ||
        (own && !(lane = find_lane(node)))) {
        hm_node_answer_status(node, token, HM_FULL,
                              "node %s has too many entries on their way; this one was not taken",
                              node->config.name.text);
        return;
    }
    struct hm_call *call = hm_calls_add(&node->calls, HM_CALL_LOG, token);
    if (lane) {
        call->lane = (uint32_t)(lane - node->log_calls->lanes) + 1;
        call->lane_seq = lane->next_seq++;
        lane->open = lane->open << 1 | 1;
        onward.log_write.session = lane->session;
        onward.log_write.seq = call->lane_seq;
    }
    uint8_t *hops = hops_of(&onward);
    call->deadline = node->now + (*hops ? PASSED_ON_MS : ANSWER_MS);
    *hops = (uint8_t)(*hops < HOPS_MAX ? *hops + 1u : HOPS_MAX + 1);
    *hm_node_call_of(&onward) = call->id;
    hm_message_encode(&call->message, &onward);
    node->log_calls->count++;
    node->log_calls->bytes += call->message.size;
    try_call(node, call, &onward);
}

static void read_locally(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_log_read *read = &request->message->log_read;
    const struct hm_named *named = hm_node_find_named(node, &read->name);
    if (named) {
        hm_node_wait_for_log(node, request->token, named, read);
        return;
    }
    hm_node_answer_status(node, request->token, HM_NOT_FOUND,
                          "there is no log %s; `hivemind log list` shows those that there are",
                          read->name.text);
}

void hm_node_on_log_call(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_message *message = request->message;
    struct hm_message onward = *message;
    const struct hm_log_write *write =
        message->kind == HM_MSG_log_write ? &message->log_write : NULL;
    bool local = message->kind == HM_MSG_log_read && message->log_read.local;
    bool record = message->kind == HM_MSG_log_change && message->log_change.what < 2;
    if (write && write->data.size > DATA_BYTES_MAX) {
        hm_node_answer_status(node, request->token, HM_TOO_LARGE,
                              "an entry has at most %u bytes; this one has %zu", DATA_BYTES_MAX,
                              write->data.size);
    } else if (write && hm_id_is_none(&write->session) != (write->seq == 0)) {
        hm_node_answer_status(node, request->token, HM_BAD_ARGUMENT,
                              "a session and a seq, which counts from 1, come together");
    } else if (message->kind == HM_MSG_log_change && message->log_change.what > 3) {
        hm_node_answer_status(node, request->token, HM_BAD_ARGUMENT, "unknown change");
    } else if ((local || record) && !node->control.logs) {
        if (local && message->log_read.wait_ms > HM_FORWARD_WAIT_MS) {
            onward.log_read.wait_ms = HM_FORWARD_WAIT_MS;
        }
        hm_node_forward(node, request->token, &onward);
    } else if (local) {
        read_locally(node, request);
    } else if (record) {
        hm_node_change_log(node, request->token, &message->log_change);
    } else {
        begin(node, request->token, message);
    }
}
