/* Who is there, as this node follows it: members come and go by events, the slices follow, SWIM
 * watches, and what it finds is reported. */
#include "core/node/internal.h"

#include <string.h>

#define REPORT_AGAIN_MS 1000u
#define HINTED_MAX      8u
#define PEERS_MAX       64u

struct hm_member hm_node_own_member(const struct hm_node *node, struct hm_label *roles)
{
    struct hm_member member = {.id = node->id,
                               .name = node->config.name,
                               .addr = node->config.addr,
                               .roles = roles,
                               .roles_count = (uint32_t)node->config.role_count,
                               .boot = node->boot,
                               .feature = node->config.feature};
    for (size_t i = 0; i < node->config.role_count; i++) {
        roles[i].name = node->config.roles[i];
    }
    member.feeds = (uint8_t)((node->carries_state ? HM_MEMBER_CARRIES_STATE : 0) |
                             (node->consumes ? HM_MEMBER_CONSUMES : 0));
    return member;
}

size_t hm_node_peers_with_role(const struct hm_node *node, const char *role, struct hm_peer *out,
                               size_t most)
{
    struct hm_members_walk walk = {0};
    const struct hm_member *member;
    size_t count = 0;
    while (count < most && (member = hm_members_next(&node->view->members, role, &walk))) {
        out[count++] = (struct hm_peer){member->id, member->addr};
    }
    return count;
}

/* ---- events ---- */

static void member_came(struct hm_node *node, const struct hm_member *member, bool joined)
{
    char addr[HM_ADDR_TEXT_BYTES];
    if (!hm_node_member_came(node, member, joined)) {
        return;
    }
    hm_node_log(node, HM_LOG_INFO, joined ? "member joined" : "member changed", "name=%s addr=%s",
                member->name.text, hm_addr_format(&member->addr, addr));
    hm_verdict_forget(&node->control.verdict, &member->id);
    hm_node_forget_left(node, &member->id);
    /* To a control node its own log says that it is in again; also when it reads at a start how it
     * once was out. */
    if (hm_id_equal(&member->id, &node->id) && node->is_control &&
        node->phase == HM_PHASE_JOINING && node->cluster) {
        hm_node_become_member(node);
    }
}

static void member_went(struct hm_node *node, const struct hm_id *id, const struct hm_name *name,
                        bool failed)
{
    bool knew = node->is_control || hm_slice_holds(&node->slice, id) || node->consumes;
    hm_node_log(node, knew ? HM_LOG_INFO : HM_LOG_DEBUG, failed ? "member failed" : "member left",
                "name=%s", name->text);
    hm_verdict_forget(&node->control.verdict, id);
    if (!failed) {
        hm_node_note_left(node, id);
    }
    if (!hm_id_equal(id, &node->id)) {
        hm_node_member_went(node, id);
    } else if (failed && (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_ADOPTING)) {
        hm_node_log(node, HM_LOG_WARN, "removed from the cluster",
                    "next=\"joins again by itself\"");
        hm_node_begin_joining(node);
    }
}

static void refresh_host(struct hm_node *node, const struct hm_id *host)
{
    /* What a consumer has is served until its bootstrap has the whole of the new. */
    bool bootstraps = !node->is_control && node->bootstrap.retry_at != HM_NEVER;
    if (node->catalog && !bootstraps) {
        hm_catalog_refresh(node->catalog, host);
    }
}

/* The commit of a config that was pushed before changes no answer, but the zone's serial. */
static void host_record_changed(struct hm_node *node, const struct hm_id *host)
{
    char key[HM_ID_TEXT_BYTES];
    refresh_host(node, host);
    hm_node_catalog_changed(
        node, &(struct hm_change_note){.kind = HM_CHANGE_RECORD,
                                       .scope = hm_name_of(HM_SCOPE_HOSTS),
                                       .key = hm_bytes_of_text(hm_id_format(host, key))});
}

/* A failed host is kept as suspect, or is not any more. */
static void brake_changed(struct hm_node *node, const struct hm_change *change)
{
    struct hm_id host;
    if (hm_name_is(&change->scope, HM_SCOPE_BRAKED) &&
        hm_id_parse((const char *)change->key.data, change->key.size, &host)) {
        refresh_host(node, &host);
    }
}

void hm_node_on_event(struct hm_node *node, const struct hm_event *event)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    if (hm_message_decode(&in, &arena, &body) != HM_OK) {
        hm_arena_fini(&arena);
        return; /* the view refused it before */
    }
    switch (body.kind) {
    case HM_MSG_member_joined:
        member_came(node, &body.member_joined.member, true);
        refresh_host(node, &body.member_joined.member.id);
        break;
    case HM_MSG_member_changed:
        member_came(node, &body.member_changed.member, false);
        refresh_host(node, &body.member_changed.member.id);
        break;
    case HM_MSG_member_left:
        member_went(node, &body.member_left.id, &body.member_left.name, false);
        refresh_host(node, &body.member_left.id);
        break;
    case HM_MSG_member_failed:
        member_went(node, &body.member_failed.id, &body.member_failed.name, true);
        refresh_host(node, &body.member_failed.id);
        break;
    case HM_MSG_host_changed:
        host_record_changed(node, &body.host_changed.state.host);
        break;
    case HM_MSG_host_removed:
        host_record_changed(node, &body.host_removed.host);
        break;
    case HM_MSG_lite_kept:
    case HM_MSG_lite_gone:
        hm_node_on_lite_event(node, &body);
        break;
    case HM_MSG_epoch_raised:
        if (node->catalog && node->phase == HM_PHASE_MEMBER) {
            hm_catalog_reload(node->catalog); /* versions of scopes have jumped */
        }
        break;
    case HM_MSG_record_changed:
        brake_changed(node, &body.record_changed.change);
        if (node->catalog) {
            hm_catalog_record(node->catalog, &body.record_changed.change.scope,
                              body.record_changed.change.key);
        }
        break;
    default:
        break;
    }
    hm_node_tell_event(node, event, &body);
    if (event->members_position) {
        hm_node_slice_reach(node, event->members_position);
    }
    hm_arena_fini(&arena);
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

static void report(struct hm_node *node, const struct hm_id *target, bool gone)
{
    send_to_control(node, &(struct hm_message){
                              .kind = HM_MSG_report,
                              .report = {.target = *target,
                                         .incarnation = hm_swim_incarnation(&node->swim, target),
                                         .gone = gone}});
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
    hm_node_doubt_keeper(node, id,
                         effect->notice != HM_SWIM_ALIVE && effect->notice != HM_SWIM_BACK);
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
    default:
        break;
    }
}

void hm_node_pump_swim(struct hm_node *node)
{
    struct hm_effect effect;
    hm_swim_set_places(&node->swim, hm_node_place(node, HM_FEED_MEMBERS),
                       node->carries_state ? hm_node_place(node, HM_FEED_STATE)
                                           : (struct hm_place){0, 0});
    while (hm_swim_output(&node->swim, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            hm_node_send_bytes(node, &effect.peer, effect.message);
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

void hm_node_on_hint(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message)
{
    (void)from;
    if (node->catalog) {
        hm_catalog_suspect(node->catalog, &message->hint.target,
                           message->hint.suspected ? node->now + HM_HINT_MS : 0);
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

static bool requirements_are_met(const struct hm_node *node)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        const char *const *role = node->modules[i].module->requires;
        for (; role && *role; role++) {
            if (hm_members_count_role(&node->view->members, *role) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool hm_node_is_ready(const struct hm_node *node)
{
    /* A control node that has only just joined has no log yet. */
    bool caught_up = node->view->cluster != 0 && (!node->consumes || node->bootstrap.done);
    return node->phase == HM_PHASE_MEMBER && caught_up && requirements_are_met(node);
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
