/* User events on their way into the log, and what the roles see of feed members. */
#include "core/node/member/emit.h"

#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"
#include "core/node/modules.h"

#define WAIT_DEFAULT_MS 5000u
#define WAIT_MOST_MS    50000u /* below what the node remembers an asker for */

/* ---- out of the log ---- */

/* A node outside the control plane begins with a digest. A control node reads its whole log again
 * when it starts: what was committed before its leader spoke to it is no news. */
void hm_node_note_caught_up(struct hm_node *node)
{
    const struct hm_control *control = &node->control;
    if (!node->news->caught_up && control->raft && node->phase == HM_PHASE_MEMBER &&
        node->view->cluster && hm_raft_has_quorum(control->raft, node->now) &&
        hm_participant_applied(control->log) >= hm_raft_commit(control->raft)) {
        node->news->caught_up = true;
    }
}

void hm_node_tell_event(struct hm_node *node, const struct hm_event *event,
                        const struct hm_message *body)
{
    struct hm_place place = {event->epoch, event->members_position};
    bool news = place.epoch > node->news->told.epoch || place.position > node->news->told.position;
    /* An event that is in both feeds comes twice to those who carry both. */
    if (event->members_position == 0 || !news) {
        return;
    }
    node->news->told = place;
    if (!node->is_control || node->news->caught_up) {
        hm_node_run_event(node, event, body);
    }
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

void hm_node_emit_submitted(struct hm_node *node, uint64_t token, const struct hm_submitted *answer)
{
    if (!answer) {
        hm_node_answer_status(node, token, HM_NO_QUORUM,
                              "not known to be committed: the control plane did not answer in "
                              "time, or has no quorum; `hivemind events` tells if it was");
        return;
    }
    hm_node_answer(node, token,
                   &(struct hm_message){.kind = HM_MSG_answer,
                                        .answer = {.status = answer->status,
                                                   .reason = answer->reason,
                                                   .index = answer->index}});
}
