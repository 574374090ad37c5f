/* What the engine verdict needs of a node: who is who, and the way into the log. */
#include "core/node/control/verdict.h"

#include "core/node/control/proposals.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"

#define BATCH_MAX    1024u
#define CONTROLS_MAX 8u /* more than enough eyes where observers are few */

#define RELEASE_EVERY_MS 500u

static struct hm_peer peer_at(const struct hm_members *members, uint32_t number)
{
    const struct hm_member *member = hm_members_at(members, number);
    return (struct hm_peer){member->id, member->addr};
}

static size_t observers(void *context, const struct hm_id *target,
                        bool (*is_live)(void *live_context, const struct hm_id *id),
                        void *live_context, struct hm_peer *out, size_t most)
{
    const struct hm_node *node = context;
    const struct hm_members *members = &node->view->members;
    uint32_t numbers[HM_RINGS_MAX];
    size_t count = hm_rings_observers(&members->rings, target, is_live, live_context, numbers,
                                      most < HM_RINGS_MAX ? most : HM_RINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        out[i] = peer_at(members, numbers[i]);
    }
    return count;
}

static size_t controls(void *context, struct hm_peer *out, size_t most)
{
    return hm_node_peers_with_role(context, "control", out,
                                   most < CONTROLS_MAX ? most : CONTROLS_MAX);
}

static bool member(void *context, const struct hm_id *id, struct hm_peer *out)
{
    const struct hm_node *node = context;
    const struct hm_member *found = hm_members_find(&node->view->members, id);
    if (found) {
        *out = (struct hm_peer){found->id, found->addr};
    }
    return found != NULL;
}

void hm_node_open_verdict(struct hm_node *node)
{
    hm_verdict_init(&node->judge->verdict, &(struct hm_verdict_config){.self = node->id,
                                                                       .context = node,
                                                                       .observers = observers,
                                                                       .controls = controls,
                                                                       .member = member});
}

void hm_node_on_report(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message)
{
    if (hm_node_is_leader(node)) {
        hm_verdict_input(&node->judge->verdict, node->now, from, message);
    }
}

void hm_node_pump_verdict(struct hm_node *node)
{
    struct hm_verdict *verdict = &node->judge->verdict;
    struct hm_effect effect;
    while (hm_verdict_output(verdict, &effect)) {
        hm_node_send_bytes(node, &effect.peer, effect.message);
    }
    if (!hm_node_is_leader(node) || node->now < hm_verdict_deadline(verdict)) {
        return;
    }
    struct hm_node_ref gone[BATCH_MAX];
    uint32_t count = (uint32_t)hm_verdict_gone(verdict, node->now, gone, BATCH_MAX);
    if (count == 0) {
        return;
    }
    struct hm_buf body = {0};
    struct hm_pending pending = {0};
    hm_message_encode(&body,
                      &(struct hm_message){
                          .kind = HM_MSG_request_fail,
                          .request_fail = {.nodes = gone,
                                           .nodes_count = count,
                                           .brake_ms = (uint32_t)node->config.removal_brake_ms}});
    /* If it is lost, they are told again. */
    (void)!hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending);
    hm_buf_fini(&body);
}

void hm_node_release_braked(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    struct hm_id host = {{0}};
    struct hm_braked braked;
    uint64_t time_ms = hm_raft_time(control->raft, node->now);
    bool due = false;
    if (node->now < node->judge->release_at) {
        return;
    }
    node->judge->release_at = node->now + RELEASE_EVERY_MS;
    while (!due && hm_view_next_braked(node->view, &host, &braked)) {
        due = time_ms >= braked.until_ms;
    }
    if (due) {
        struct hm_buf body = {0};
        struct hm_pending pending = {0};
        hm_message_encode(&body, &(struct hm_message){.kind = HM_MSG_request_release,
                                                      .request_release = {.until_ms = time_ms}});
        /* Whatever becomes of it, it is looked at again soon. */
        (void)!hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending);
        hm_buf_fini(&body);
    }
}
