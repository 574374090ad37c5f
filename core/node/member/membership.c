/* Who is there, as this node follows it: members come and go by events, SWIM watches, and what it
 * finds is reported. */
#include "core/node/member/membership.h"

#include "core/node/consumer/consumer.h"
#include "core/node/control/joins.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/standing.h"
#include "core/node/member/joining.h"
#include "core/node/member/required.h"
#include "core/node/member/slices.h"

#define REPORT_AGAIN_MS 1000u
#define HINTED_MAX      8u
#define PEERS_MAX       64u

void hm_node_on_member_came(struct hm_node *node, const struct hm_member *member, bool joined)
{
    char addr[HM_ADDR_TEXT_BYTES];
    hm_node_join_committed(node, &member->id);
    if (!hm_node_member_came(node, member, joined)) {
        return;
    }
    hm_node_log(node, HM_LOG_INFO, joined ? "member joined" : "member changed", "name=%s addr=%s",
                member->name.text, hm_addr_format(&member->addr, addr));
    /* To a control node its own log says that it is in again; also when it reads at a start how it
     * once was out. */
    if (hm_id_equal(&member->id, &node->id) && node->is_control &&
        node->phase == HM_PHASE_JOINING && node->cluster) {
        hm_node_become_member(node);
    }
}

void hm_node_on_member_went(struct hm_node *node, const struct hm_id *id,
                            const struct hm_name *name, bool failed)
{
    bool knew = node->is_control || hm_slice_holds(&node->slice, id) || node->consumes;
    hm_node_log(node, knew ? HM_LOG_INFO : HM_LOG_DEBUG, failed ? "member failed" : "member left",
                "name=%s", name->text);
    if (!hm_id_equal(id, &node->id)) {
        hm_node_member_went(node, id);
    } else if (failed && (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_ADOPTING)) {
        hm_node_log(node, HM_LOG_WARN, "removed from the cluster",
                    "next=\"joins again by itself\"");
        hm_node_begin_joining(node);
    }
}

/* ---- failure detection ---- */

static void send_to_control(struct hm_node *node, const struct hm_message *message)
{
    struct hm_peer peers[PEERS_MAX];
    size_t count = hm_node_peers_with_role(node, "control", peers, PEERS_MAX);
    for (size_t i = 0; i < count; i++) {
        hm_node_send(node, &peers[i], message);
    }
}

static struct hm_message report_on(const struct hm_node *node, const struct hm_id *target,
                                   bool gone)
{
    return (struct hm_message){.kind = HM_MSG_report,
                               .report = {.target = *target,
                                          .incarnation = hm_swim_incarnation(&node->swim, target),
                                          .gone = gone}};
}

static void report(struct hm_node *node, const struct hm_id *target, bool gone)
{
    struct hm_message message = report_on(node, target, gone);
    send_to_control(node, &message);
}

/* An answer is for the leader that asked: another one asks for itself. */
static void answer_inquiry(struct hm_node *node, const struct hm_id *target)
{
    struct hm_message message = report_on(node, target, false);
    hm_node_send(node, &node->inquirer, &message);
}

void hm_node_repeat_reports(struct hm_node *node)
{
    if (node->now < node->report_at) {
        return;
    }
    node->report_at = node->now + REPORT_AGAIN_MS;
    struct hm_peer control;
    if (hm_swim_is_cut_off(&node->swim) && hm_node_pick_control(node, 0, &control)) {
        /* Its answer tells how far the others are. */
        hm_swim_inquire(&node->swim, node->now,
                        &(struct hm_suspect){.target = control.id, .target_addr = control.addr});
    }
    struct hm_peer subjects[HM_RINGS_MAX];
    size_t count = hm_slice_subjects(&node->slice, subjects);
    for (size_t i = 0; i < count; i++) {
        if (hm_swim_state(&node->swim, &subjects[i].id) == HM_SWIM_STATE_GONE) {
            report(node, &subjects[i].id, true);
        }
    }
}

/* Suspicion orders answers only, so a few consumers are told and the others stay as they are. */
static void hint(struct hm_node *node, const struct hm_id *target, uint64_t incarnation,
                 bool suspected)
{
    struct hm_message message = {
        .kind = HM_MSG_hint,
        .hint = {.target = *target, .incarnation = incarnation, .suspected = suspected}};
    struct hm_peer consumers[HINTED_MAX];
    size_t count = hm_node_consumers(node, target, consumers, HINTED_MAX);
    for (size_t i = 0; i < count; i++) {
        hm_node_send(node, &consumers[i], &message);
    }
}

/* Others who watch it are known to the control plane alone. */
static void tell_suspicion(struct hm_node *node, const struct hm_effect *effect, bool suspected)
{
    send_to_control(node, &(struct hm_message){.kind = HM_MSG_suspect,
                                               .suspect = {.target = effect->peer.id,
                                                           .target_addr = effect->peer.addr,
                                                           .incarnation = effect->number,
                                                           .suspected = suspected,
                                                           .by = node->id}});
}

static const char *name_of(const struct hm_node *node, const struct hm_id *id)
{
    const struct hm_member *member = hm_members_find(&node->view->members, id);
    return member ? member->name.text : "?";
}

static void notice(struct hm_node *node, const struct hm_effect *effect)
{
    const struct hm_id *id = &effect->peer.id;
    hm_node_look_for_required(node);
    switch (effect->notice) {
    case HM_SWIM_DOUBT:
        tell_suspicion(node, effect, false);
        break;
    case HM_SWIM_SUSPECT:
        tell_suspicion(node, effect, true);
        hm_node_log(node, HM_LOG_INFO, "suspect", "name=%s", name_of(node, id));
        hint(node, id, effect->number, true);
        break;
    case HM_SWIM_ALIVE:
        hm_node_log(node, HM_LOG_INFO, "alive again", "name=%s", name_of(node, id));
        hint(node, id, effect->number, false);
        break;
    case HM_SWIM_STOPPING:
        hm_node_log(node, HM_LOG_INFO, "member stops", "name=%s grace_ms=%llu", name_of(node, id),
                    (unsigned long long)node->config.restart_grace_ms);
        break;
    case HM_SWIM_GONE:
        hm_node_log(node, HM_LOG_INFO, "reported gone", "name=%s", name_of(node, id));
        report(node, id, true);
        break;
    case HM_SWIM_BACK:
        hm_node_log(node, HM_LOG_INFO, "report taken back", "name=%s", name_of(node, id));
        report(node, id, false);
        break;
    case HM_SWIM_WELL:
        answer_inquiry(node, id);
        break;
    default:
        break;
    }
}

void hm_node_pump_swim(struct hm_node *node)
{
    struct hm_effect effect;
    hm_swim_set_places(&node->swim, hm_feed_place(&node->feeds[HM_FEED_MEMBERS]),
                       node->carries_state ? hm_feed_place(&node->feeds[HM_FEED_STATE])
                                           : (struct hm_place){0, 0});
    while (hm_swim_output(&node->swim, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            if (effect.brief) {
                hm_node_send_brief(node, &effect.peer, effect.message);
            } else {
                hm_node_send_bytes(node, &effect.peer, effect.message);
            }
        } else if (effect.kind == HM_EFFECT_NOTIFY) {
            notice(node, &effect);
        }
    }
}

/* Pings and acks tell how far the sender knows the feeds. */
static void note_places(struct hm_node *node, const struct hm_peer *from,
                        const struct hm_place *members, const struct hm_place *state)
{
    if (node->phase != HM_PHASE_MEMBER) {
        return;
    }
    hm_feed_peer_place(&node->feeds[HM_FEED_MEMBERS], node->now, from, *members);
    if (node->carries_state && state->epoch) {
        hm_feed_peer_place(&node->feeds[HM_FEED_STATE], node->now, from, *state);
    }
}

/* From an observer to the leader; from the leader to the observers. */
static void on_suspect(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_suspect *suspect)
{
    const struct hm_member *teller = hm_members_find(&node->view->members, &from->id);
    bool asked = teller && hm_member_has_role(teller, "control");
    bool own = hm_id_equal(&from->id, &node->id);
    if (node->control.raft) { /* control nodes observe, too: only the leader passes suspicions on */
        struct hm_id leader = hm_raft_leader(node->control.raft);
        asked = hm_id_equal(&leader, &from->id);
    }
    if (asked && (!own || !hm_id_equal(&suspect->by, &node->id))) {
        node->inquirer = *from;
        hm_swim_inquire(&node->swim, node->now, suspect);
    }
    if (!own || hm_id_equal(&suspect->by, &node->id)) {
        hm_node_on_report(node, from,
                          &(struct hm_message){.kind = HM_MSG_suspect, .suspect = *suspect});
    }
}

void hm_node_on_swim(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message)
{
    if (message->kind == HM_MSG_suspect && !hm_id_equal(&message->suspect.target, &node->id)) {
        on_suspect(node, from, &message->suspect);
        return;
    }
    (void)hm_swim_input(&node->swim, node->now, from, message);
    if (message->kind == HM_MSG_ping) {
        note_places(node, from, &message->ping.members, &message->ping.state);
    } else if (message->kind == HM_MSG_ack) {
        note_places(node, from, &message->ack.members, &message->ack.state);
    }
}

void hm_node_tell_stopping(struct hm_node *node)
{
    struct hm_message message = {.kind = HM_MSG_stopping,
                                 .stopping = {.incarnation = node->incarnation}};
    struct hm_peer observers[HM_RINGS_MAX];
    size_t count = hm_slice_observers(&node->slice, observers);
    for (size_t i = 0; i < count; i++) {
        hm_node_send(node, &observers[i], &message);
    }
    send_to_control(node, &message);
}

/* ---- readiness ---- */

bool hm_node_is_ready(const struct hm_node *node)
{
    /* A control node that has only just joined has no log yet. */
    bool caught_up = node->view->cluster != 0 && (!node->consumes || node->bootstrap->done);
    return node->phase == HM_PHASE_MEMBER && caught_up && !hm_node_missing_role(node);
}

void hm_node_check_ready(struct hm_node *node)
{
    if (!node->ready_told && hm_node_is_ready(node)) {
        node->ready_told = true;
        hm_node_log(node, HM_LOG_INFO, "ready", "name=%s members=%llu", node->config.name.text,
                    (unsigned long long)node->view->total);
        hm_node_act(node, &(struct hm_act){.kind = HM_ACT_READY});
    }
}
