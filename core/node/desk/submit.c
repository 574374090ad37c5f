/* Requests of this node on their way into the log, and commands that others must answer. */
#include "core/node/desk/submit.h"

#include "core/log/sessions.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"

#define RETRY_MOST_MS 2000u
#define REFUSED_MS    5u /* longer after each try: the next control node is asked almost at once */
#define HASTY_TRIES   20u
#define FORWARD_MS    5000u

static const struct hm_call_hooks *hooks_of(const struct hm_node *node, const struct hm_call *call)
{
    return &node->upward->calls[call->kind];
}

static bool is_submit(const struct hm_node *node, const struct hm_call *call)
{
    return hooks_of(node, call)->submitted != NULL;
}

/* Sends it to the control plane, to another node at every try. A node of the control plane takes
 * what it would pass on itself: it knows best whether there is a leader. */
static void send_call(struct hm_node *node, struct hm_call *call)
{
    struct hm_peer to = {node->id, node->config.addr};
    if (hooks_of(node, call)->send) {
        hooks_of(node, call)->send(node, call);
        return;
    }
    bool own = is_submit(node, call) && node->control.raft;
    if (own || hm_node_pick_control(node, call->attempt, &to)) {
        hm_node_send_bytes(node, &to, hm_buf_view(&call->message));
    }
    call->asked = to.addr;
    call->attempt++;
    hm_ms wait = HM_RETRY_STEP_MS * call->attempt;
    call->retry_at = is_submit(node, call)
                         ? node->now + (wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS)
                         : HM_NEVER;
    hm_calls_timed(&node->calls, call);
}

static void hasten(struct hm_node *node, struct hm_call *call, hm_ms wait)
{
    if (call->attempt < HASTY_TRIES && node->now + wait < call->retry_at) {
        call->retry_at = node->now + wait;
        hm_calls_timed(&node->calls, call);
    }
}

void hm_node_call_lost(struct hm_node *node, const struct hm_addr *addr)
{
    for (size_t i = 0; i < node->calls.count; i++) {
        struct hm_call *call = &node->calls.items[i];
        if (call->message.size && hm_addr_equal(&call->asked, addr)) {
            hasten(node, call, (hm_ms)REFUSED_MS * call->attempt);
        }
    }
}

/* ---- our own requests ---- */

/* seq rises over restarts too: a repeated one would be taken for a retry. */
static uint64_t seq_of(const struct hm_node *node)
{
    return (node->boot << 32) + node->submit_seq;
}

uint64_t hm_node_begin_session(struct hm_node *node)
{
    if (node->submit_seq == 0) {
        return 0;
    }
    node->submit_seq += HM_SESSION_WINDOW;
    return seq_of(node);
}

uint64_t hm_node_submit(struct hm_node *node, const struct hm_message *request,
                        enum hm_call_kind kind, uint64_t user, hm_ms deadline)
{
    struct hm_buf body = {0};
    struct hm_call *call = hm_calls_add(&node->calls, kind, user);
    call->deadline = deadline;
    hm_message_encode(&body, request);
    node->submit_seq++;
    hm_message_encode(&call->message,
                      &(struct hm_message){.kind = HM_MSG_submit,
                                           .submit = {.call = call->id,
                                                      .session = node->id,
                                                      .seq = seq_of(node),
                                                      .request = hm_buf_view(&body)}});
    hm_buf_fini(&body);
    uint64_t id = call->id;
    send_call(node, call);
    return id;
}

void hm_node_on_submitted(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message)
{
    const struct hm_submitted *answer = &message->submitted;
    struct hm_call *call = hm_calls_find(&node->calls, answer->call);
    (void)from;
    if (!call || !is_submit(node, call)) {
        return;
    }
    const struct hm_call_hooks *hooks = hooks_of(node, call);
    bool try_again = answer->status == HM_NOT_LEADER || answer->status == HM_NO_QUORUM ||
                     answer->status == HM_FULL || answer->status == HM_BUSY;
    if (try_again) {
        hasten(node, call, HM_RETRY_STEP_MS);
        if (hooks->untaken) {
            hooks->untaken(node, call);
        }
        return;
    }
    struct hm_call over = hm_calls_take(&node->calls, call);
    hooks->submitted(node, &over, answer);
    hm_buf_fini(&over.message);
}

/* ---- commands passed on ---- */

uint64_t hm_node_ask(struct hm_node *node, enum hm_call_kind kind, uint64_t user, hm_ms deadline,
                     struct hm_message *question)
{
    struct hm_call *call = hm_calls_add(&node->calls, kind, user);
    call->deadline = deadline;
    *hm_node_call_of(question) = call->id;
    hm_message_encode(&call->message, question);
    uint64_t id = call->id;
    send_call(node, call);
    return id;
}

void hm_node_forward(struct hm_node *node, uint64_t token, const struct hm_message *command)
{
    struct hm_peer control;
    if (!hm_node_pick_control(node, 1, &control)) {
        hm_node_answer_status(node, token, HM_UNREACHABLE,
                              "no control node is known to node %s; is it a member yet? "
                              "`hivemind status` tells",
                              node->config.name.text);
        return;
    }
    struct hm_message onward = *command;
    hm_node_ask(node, HM_CALL_FORWARD, token, node->now + FORWARD_MS, &onward);
}

void hm_node_on_reply(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message)
{
    (void)from;
    struct hm_message reply = *message;
    struct hm_call *call = hm_calls_find(&node->calls, *hm_node_call_of(&reply));
    if (!call) {
        return;
    }
    const struct hm_call_hooks *hooks = hooks_of(node, call);
    if (hooks->answered) {
        hooks->answered(node, call, message);
    }
}

void hm_node_forward_answered(struct hm_node *node, struct hm_call *call,
                              const struct hm_message *message)
{
    uint64_t token = call->user;
    hm_calls_remove(&node->calls, call->id);
    struct hm_message answer = *message;
    hm_node_answer(node, token, &answer);
}

void hm_node_forward_expired(struct hm_node *node, const struct hm_call *call)
{
    hm_node_answer_status(node, call->user, HM_UNREACHABLE,
                          "the control plane did not answer within %u s", FORWARD_MS / 1000);
}

void hm_node_tick_calls(struct hm_node *node)
{
    if (node->now < hm_calls_deadline(&node->calls)) {
        return;
    }
    for (size_t i = node->calls.count; i > 0; i--) {
        struct hm_call *call = &node->calls.items[i - 1];
        if (node->now >= call->deadline) {
            struct hm_call expired = *call;
            if (hooks_of(node, call)->expired) {
                hooks_of(node, call)->expired(node, &expired);
            }
            hm_calls_remove(&node->calls, expired.id);
        } else if (node->now >= call->retry_at) {
            send_call(node, call);
        }
    }
    hm_calls_look(&node->calls);
}
