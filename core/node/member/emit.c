/* User events on their way into the log, and what the roles see of feed members. */
#include "core/node/member/emit.h"

#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"

#define WAIT_DEFAULT_MS 5000u
#define WAIT_MOST_MS    50000u /* below what the node remembers an asker for */

/* ---- out of the log ---- */

/* A node outside the control plane begins with a digest. A control node reads its whole log again
 * when it starts: what was committed before its leader spoke to it is no news. */
void hm_node_note_caught_up(struct hm_node *node)
{
    const struct hm_control *control = &node->control;
    if (!node->caught_up && control->raft && node->phase == HM_PHASE_MEMBER &&
        node->view->cluster && hm_raft_has_quorum(control->raft, node->now) &&
        hm_participant_applied(control->log) >= hm_raft_commit(control->raft)) {
        node->caught_up = true;
    }
}

bool hm_node_is_news(struct hm_node *node, const struct hm_event *event)
{
    struct hm_place place = {event->epoch, event->members_position};
    bool news = place.epoch > node->news->told.epoch || place.position > node->news->told.position;
    /* An event that is in both feeds comes twice to those who carry both. */
    if (event->members_position == 0 || !news) {
        return false;
    }
    node->news->told = place;
    return !node->is_control || node->caught_up;
}

/* ---- into it ---- */

void hm_node_on_emit(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_emit *emit = &request->message->emit;
    uint32_t wait_ms = emit->timeout_ms ? emit->timeout_ms : WAIT_DEFAULT_MS;
    if (node->phase != HM_PHASE_MEMBER) {
        hm_node_answer_status(node, request->token, HM_NOT_READY,
                              "node %s is no member of a cluster yet; `hivemind status` tells",
                              node->config.name.text);
        return;
    }
    wait_ms = wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS;
    struct hm_message body = {.kind = HM_MSG_request_emit,
                              .request_emit = {.name = emit->name, .data = emit->data}};
    hm_node_submit(node, &body, HM_CALL_EMIT, request->token, node->now + wait_ms);
}

void hm_node_emit_expired(struct hm_node *node, const struct hm_call *call)
{
    hm_node_answer_status(node, call->user, HM_NO_QUORUM,
                          "not known to be committed: the control plane did not answer in "
                          "time, or has no quorum; `hivemind events` tells if it was");
}

void hm_node_emit_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer)
{
    hm_node_answer(node, call->user,
                   &(struct hm_message){.kind = HM_MSG_answer,
                                        .answer = {.status = answer->status,
                                                   .reason = answer->reason,
                                                   .index = answer->index}});
}
