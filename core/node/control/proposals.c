/* Requests on their way into the event log: proposed by its leader, passed on by everybody else. */
#include "core/node/control/proposals.h"

#include "core/node/desk/acts.h"
#include "core/node/desk/allowed.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"

#include <string.h>

#define HOPS_MAX 4u

bool hm_node_is_leader(const struct hm_node *node)
{
    return node->control.raft && hm_raft_role(node->control.raft) == HM_RAFT_LEADER;
}

enum hm_status hm_node_propose(struct hm_node *node, const struct hm_id *session, uint64_t seq,
                               struct hm_bytes request, struct hm_pending *pending)
{
    struct hm_control *control = &node->control;
    struct hm_proposals *proposals = node->proposals;
    if (!control->log || node->phase == HM_PHASE_FENCED) {
        return HM_NOT_LEADER;
    }
    pending->token = proposals->next_token + 1;
    enum hm_status status = hm_participant_propose(
        control->log, node->now,
        &(struct hm_submission){
            .session = *session, .seq = seq, .request = request, .token = pending->token});
    if (status == HM_OK) {
        proposals->next_token++;
        proposals->pending = hm_grow(proposals->pending, proposals->pending_count,
                                     &proposals->pending_capacity, sizeof *proposals->pending);
        proposals->pending[proposals->pending_count++] = *pending;
    }
    return status;
}

bool hm_node_take_pending(struct hm_node *node, uint64_t token, struct hm_pending *out)
{
    struct hm_proposals *proposals = node->proposals;
    for (size_t i = 0; i < proposals->pending_count; i++) {
        if (proposals->pending[i].token == token) {
            *out = proposals->pending[i];
            proposals->pending_count--;
            memmove(proposals->pending + i, proposals->pending + i + 1,
                    (proposals->pending_count - i) * sizeof *proposals->pending);
            return true;
        }
    }
    return false;
}

/* ---- those of others ---- */

/* Passes it on to the leader, if one is known; false: to nobody. */
static bool pass_on(struct hm_node *node, const struct hm_message *submit)
{
    struct hm_peer to;
    struct hm_message onward = *submit;
    bool known = node->control.raft ? hm_node_find_leader(node, &to)
                                    : hm_node_pick_control(node, submit->submit.hops, &to);
    if (!known || submit->submit.hops >= HOPS_MAX) {
        return false;
    }
    onward.submit.hops++;
    hm_node_send(node, &to, &onward);
    return true;
}

/* How long the brake holds is the leader's to say: a keeper does not know. */
static struct hm_bytes complete(const struct hm_node *node, struct hm_bytes request,
                                struct hm_buf *completed)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(request);
    if (hm_get_varint(&in) == HM_MSG_request_lapse &&
        hm_message_decode_only(request, HM_MSG_request_lapse, &arena, &message) == HM_OK) {
        message.request_lapse.brake_ms = (uint32_t)node->config.removal_brake_ms;
        hm_message_encode(completed, &message);
        request = hm_buf_view(completed);
    }
    hm_arena_fini(&arena);
    return request;
}

/* Whatever comes of it is told straight to the session: whoever passed it on has calls of its own.
 */
void hm_node_on_submit(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_submit *submit = &request->message->submit;
    const struct hm_origin *origin = hm_node_origin(node, request->token);
    struct hm_pending pending = {.session = submit->session, .call = submit->call};
    /* Looked up now: a leave takes the session's own address away. */
    if (origin && hm_id_equal(&submit->session, &origin->peer.id)) {
        pending.joiner = origin->peer;
    } else {
        (void)hm_node_find_peer(node, &submit->session, &pending.joiner);
    }
    hm_node_close_request(node, request->token);
    enum hm_status status = hm_node_may_submit(node, &request->from, submit);
    if (status == HM_OK) {
        struct hm_buf completed = {0};
        status = hm_node_propose(node, &submit->session, submit->seq,
                                 complete(node, submit->request, &completed), &pending);
        hm_buf_fini(&completed);
    }
    if (status == HM_OK || (status == HM_NOT_LEADER && pass_on(node, request->message))) {
        return;
    }
    status = status == HM_NOT_LEADER ? HM_NO_QUORUM : status;
    struct hm_peer to = {submit->session, pending.joiner.addr};
    hm_node_send(
        node, &to,
        &(struct hm_message){.kind = HM_MSG_submitted,
                             .submitted = {.call = submit->call,
                                           .status = (uint16_t)status,
                                           .reason = hm_bytes_of_text(hm_status_text(status))}});
}
