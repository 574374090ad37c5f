/* Requests on their way into the log, from whichever node; and commands that others must answer. */
#include "core/node/internal.h"

#include <stdio.h>

#define RETRY_MS      300u
#define RETRIES_SOON  3u /* silence is most often a leader that has just died */
#define RETRY_MOST_MS 2000u
#define LEADERLESS_MS 50u /* the step of retries while an election may be going on */
#define FORWARD_MS    5000u
#define HOPS_MAX      4u
#define CONTROLS_MAX  64u

bool hm_node_pick_control(struct hm_node *node, uint32_t attempt, struct hm_peer *out)
{
    struct hm_peer controls[CONTROLS_MAX];
    struct hm_id leader = {{0}};
    if (node->control.raft) {
        leader = hm_raft_leader(node->control.raft);
        if (!hm_id_is_none(&leader) && hm_node_find_peer(node, &leader, out)) {
            return true;
        }
    }
    size_t count = hm_node_peers_with_role(node, "control", controls, CONTROLS_MAX);
    size_t start = attempt ? attempt : (size_t)hm_random_below(&node->random, CONTROLS_MAX);
    for (size_t i = 0; i < count; i++) {
        *out = controls[(start + i) % count];
        if (!hm_id_equal(&out->id, &node->id)) {
            return true;
        }
    }
    return false;
}

/* ---- our own requests ---- */

static void send_submit(struct hm_node *node, struct hm_call *call)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_peer to = {node->id, node->config.addr};
    if (hm_message_decode_only(hm_buf_view(&call->message), HM_MSG_submit, &arena, &message) ==
        HM_OK) {
        if (hm_node_is_leader(node) || hm_node_pick_control(node, call->attempt, &to)) {
            call->sent_to = to.addr;
            hm_node_send(node, &to, &message);
        }
    }
    hm_arena_fini(&arena);
    call->attempt++;
    hm_ms wait = call->attempt <= RETRIES_SOON ? RETRY_MS : RETRY_MS * call->attempt;
    call->retry_at = node->now + (wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS);
}

/* The one who was asked leads nobody or is gone, so nothing waits for it as it may after silence;
 * an election is short. */
static void retry_soon(struct hm_node *node, struct hm_call *call)
{
    hm_ms soon = node->now + LEADERLESS_MS * call->attempt;
    call->retry_at = soon < call->retry_at ? soon : call->retry_at;
}

void hm_node_submit_peer_lost(struct hm_node *node, const struct hm_addr *addr)
{
    for (size_t i = 0; i < node->calls.count; i++) {
        struct hm_call *call = &node->calls.items[i];
        if (call->retry_at != HM_NEVER && hm_addr_equal(&call->sent_to, addr)) {
            retry_soon(node, call);
        }
    }
}

uint64_t hm_node_submit(struct hm_node *node, const struct hm_message *request,
                        enum hm_call_kind kind, hm_ms deadline)
{
    struct hm_buf body = {0};
    struct hm_call *call = hm_calls_add(&node->calls, kind, 0);
    call->deadline = deadline;
    hm_message_encode(&body, request);
    /* seq rises over restarts too: a repeated one would be taken for a retry. */
    uint64_t seq = (node->boot << 32) + ++node->submit_seq;
    hm_message_encode(&call->message,
                      &(struct hm_message){.kind = HM_MSG_submit,
                                           .submit = {.call = call->id,
                                                      .session = node->id,
                                                      .seq = seq,
                                                      .request = hm_buf_view(&body)}});
    hm_buf_fini(&body);
    uint64_t id = call->id;
    send_submit(node, call);
    return id;
}

void hm_node_on_submitted(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message)
{
    const struct hm_submitted *answer = &message->submitted;
    struct hm_call *call = hm_calls_find(&node->calls, answer->call);
    (void)from;
    if (!call) {
        return;
    }
    bool leaderless = answer->status == HM_NOT_LEADER || answer->status == HM_NO_QUORUM;
    if (leaderless) {
        retry_soon(node, call);
    }
    if (leaderless || answer->status == HM_FULL || answer->status == HM_BUSY) {
        return; /* its retry_at stands */
    }
    enum hm_call_kind kind = call->kind;
    hm_calls_remove(&node->calls, answer->call);
    if (kind == HM_CALL_HOST) {
        hm_node_host_submitted(node, answer);
    } else if (kind == HM_CALL_RETURN && answer->status != HM_OK) {
        hm_node_log(node, HM_LOG_ERROR, "restart not accepted", "status=%s reason=\"%.*s\"",
                    hm_status_name((enum hm_status)answer->status), (int)answer->reason.size,
                    (const char *)answer->reason.data);
    } else if (kind == HM_CALL_LEAVE) {
        hm_node_answer_status(node, node->leave_token, (enum hm_status)answer->status, "%s left",
                              node->config.name.text);
        /* A voter stays until its removal from the voters is through, or for a while. */
        node->stop_at = node->is_control ? node->stop_at : node->now;
    }
}

/* ---- those of others ---- */

/* A control node that waits for an election: passed on, a request would be lost or go in circles.
 */
static bool is_leaderless(const struct hm_node *node)
{
    struct hm_id leader = node->control.raft ? hm_raft_leader(node->control.raft) : node->id;
    return hm_id_is_none(&leader);
}

void hm_node_on_submit(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_submit *submit = &request->message->submit;
    const struct hm_origin *origin = hm_node_origin(node, request->token);
    struct hm_peer control;
    struct hm_pending pending = {.session = submit->session, .call = submit->call};
    struct hm_message answer = {.kind = HM_MSG_submitted};
    /* Looked up now: a leave takes the session's own address away. */
    if (origin && hm_id_equal(&submit->session, &origin->peer.id)) {
        pending.joiner = origin->peer;
    } else {
        (void)hm_node_find_peer(node, &submit->session, &pending.joiner);
    }
    enum hm_status status =
        hm_node_propose(node, &submit->session, submit->seq, submit->request, &pending);
    if (status == HM_OK) {
        /* Answered when it is applied, straight to the session. */
        hm_node_close_request(node, request->token);
        return;
    }
    if (status == HM_NOT_LEADER && submit->hops < HOPS_MAX && !is_leaderless(node) &&
        hm_node_pick_control(node, submit->hops, &control)) {
        struct hm_message onward = *request->message;
        onward.submit.hops++;
        hm_node_send(node, &control, &onward);
        hm_node_close_request(node, request->token);
        return;
    }
    answer.submitted.status = (uint16_t)(status == HM_NOT_LEADER ? HM_NO_QUORUM : status);
    answer.submitted.reason = hm_bytes_of_text(hm_status_text(status));
    hm_node_answer(node, request->token, &answer);
}

/* ---- commands passed on ---- */

void hm_node_forward(struct hm_node *node, uint64_t token, const struct hm_message *command,
                     uint64_t *call_field)
{
    struct hm_peer control;
    if (!hm_node_pick_control(node, 0, &control)) {
        hm_node_answer_status(node, token, HM_UNREACHABLE,
                              "no control node is known to node %s; is it a member yet? "
                              "`hivemind status` tells",
                              node->config.name.text);
        return;
    }
    struct hm_call *call = hm_calls_add(&node->calls, HM_CALL_FORWARD, token);
    call->deadline = node->now + FORWARD_MS;
    *call_field = call->id;
    hm_node_send(node, &control, command);
}

static uint64_t call_of_reply(const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_answer:
        return message->answer.call;
    case HM_MSG_status_reply:
        return message->status_reply.call;
    case HM_MSG_members_reply:
        return message->members_reply.call;
    case HM_MSG_services_reply:
        return message->services_reply.call;
    case HM_MSG_events_reply:
        return message->events_reply.call;
    default:
        return 0;
    }
}

void hm_node_on_reply(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message)
{
    (void)from;
    struct hm_call *call = hm_calls_find(&node->calls, call_of_reply(message));
    if (!call) {
        return;
    }
    if (call->kind == HM_CALL_MEMBERS && message->kind == HM_MSG_members_reply) {
        hm_node_report_members(node, call->id, &message->members_reply);
    } else if (call->kind == HM_CALL_FORWARD) {
        uint64_t token = call->user;
        hm_calls_remove(&node->calls, call->id);
        struct hm_message answer = *message;
        hm_node_answer(node, token, &answer);
    }
}

static void expire(struct hm_node *node, const struct hm_call *call)
{
    switch (call->kind) {
    case HM_CALL_MEMBERS:
        hm_node_report_members(node, call->id, NULL);
        break;
    case HM_CALL_FORWARD:
        hm_node_answer_status(node, call->user, HM_UNREACHABLE,
                              "the control plane did not answer within %u s", FORWARD_MS / 1000);
        break;
    case HM_CALL_LEAVE:
        hm_node_answer_status(node, node->leave_token, HM_NO_QUORUM,
                              "the leave is not committed: the control plane has no quorum; node "
                              "%s stays",
                              node->config.name.text);
        node->phase = HM_PHASE_MEMBER;
        node->stop_at = HM_NEVER;
        break;
    default:
        break;
    }
}

void hm_node_tick_calls(struct hm_node *node)
{
    for (size_t i = node->calls.count; i > 0; i--) {
        struct hm_call *call = &node->calls.items[i - 1];
        if (node->now >= call->deadline) {
            struct hm_call expired = *call;
            expire(node, &expired);
            hm_calls_remove(&node->calls, expired.id);
        } else if (node->now >= call->retry_at) {
            send_submit(node, call);
        }
    }
}
