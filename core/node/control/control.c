/* A node of the control plane: a participant of log 0, with the replicated state as its machine. */
#include "core/node/control/control.h"

#include "core/base/assert.h"
#include "core/node/control/joins.h"
#include "core/node/control/proposals.h"
#include "core/node/control/recovery.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/logs/backup.h"
#include "core/node/logs/log_admin.h"
#include "core/node/logs/log_calls.h"
#include "core/node/logs/named.h"
#include "core/node/logs/voters.h"

#define SILENCE_MS 3000u

enum hm_status hm_node_open_control(struct hm_node *node, const struct hm_disk_file *files,
                                    size_t count, struct hm_buf *error)
{
    struct hm_control *control = &node->control;
    struct hm_buf report = {0};
    control->state = hm_state_new();
    hm_state_keep_rings(control->state, node->config.rings);
    hm_node_open_verdict(node);
    node->view = hm_state_view(control->state);
    control->logs = hm_logs_new(&(struct hm_logs_config){.self = {node->id, node->config.addr},
                                                         .seed = hm_random_u64(&node->random),
                                                         .durable = node->config.durable,
                                                         .sides = true});
    hm_logs_set_wall(control->logs, node->now, node->now + node->wall_offset);
    enum hm_status status = hm_logs_recover(control->logs, node->now, files, count, hm_node_use_log,
                                            node, error, &report);
    if (report.size) {
        hm_node_log(node, HM_LOG_WARN, "journal recovered", "report=\"%.*s\"", (int)report.size,
                    (const char *)report.data);
    }
    hm_buf_fini(&report);
    control->log = hm_logs_find(control->logs, 0);
    if (!control->log) {
        struct hm_participant_config config = {0};
        (void)hm_node_use_log(node, 0, &config);
        control->log = hm_logs_open(control->logs, node->now, &config);
    }
    control->raft = hm_participant_raft(control->log);
    node->carried->upkeep = (struct hm_upkeep){.raft = control->raft, .log = "events"};
    hm_node_adopt_logs(node);
    return status;
}

void hm_node_close_control(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    hm_logs_free(control->logs);
    hm_node_free_named(node);
    hm_state_free(control->state);
    hm_free(node->proposals->pending);
    hm_verdict_fini(&node->judge->verdict);
    hm_node_drop_joins(node);
    hm_free(node->joins->items);
}

/* A leader that has lost its place answers nothing more: the askers ask again. */
static void answer_pending(struct hm_node *node, uint64_t token, const struct hm_outcome *outcome)
{
    struct hm_pending pending;
    if (!hm_node_take_pending(node, token, &pending)) {
        return;
    }
    if (pending.is_join) {
        hm_node_joins_decided(node, pending.call, outcome);
    } else if (pending.call && outcome->status != HM_NOT_LEADER) {
        struct hm_peer to = {.id = pending.session, .addr = pending.joiner.addr};
        hm_node_send(node, &to,
                     &(struct hm_message){.kind = HM_MSG_submitted,
                                          .submitted = {.call = pending.call,
                                                        .status = (uint16_t)outcome->status,
                                                        .reason = hm_bytes_of_text(outcome->reason),
                                                        .index = outcome->index,
                                                        .data = outcome->data}});
    }
}

/* ---- what the log says ---- */

static void publish(struct hm_node *node, const struct hm_event *event)
{
    if (event->members_position) {
        hm_feed_publish(&node->feeds[HM_FEED_MEMBERS], node->now, event);
    }
    if (event->state_position) {
        hm_feed_publish(&node->feeds[HM_FEED_STATE], node->now, event);
    }
}

static void learn_cluster(struct hm_node *node)
{
    if (node->cluster == 0 && node->view->cluster) {
        node->cluster = node->view->cluster;
        hm_node_take_generation(node, hm_raft_generation(node->control.raft));
        hm_node_keep_identity(node);
        node->phase = HM_PHASE_ADOPTING;
    }
}

static void applied(struct hm_node *node, const struct hm_outcome *outcome)
{
    uint64_t newest = node->view->index;
    learn_cluster(node);
    for (uint64_t i = newest - outcome->events + 1; i <= newest; i++) {
        const struct hm_event *event = hm_state_event(node->control.state, i);
        HM_ASSERT(event != NULL);
        publish(node, event);
        node->upward->event(node, event);
    }
}

/* The feeds go on from the oldest event of this epoch that is held, so that those behind can pull.
 */
static void restart_feeds(struct hm_node *node)
{
    const struct hm_state *state = node->control.state;
    struct hm_place places[HM_FEED_COUNT] = {{node->view->epoch, node->view->members_position},
                                             {node->view->epoch, node->view->state_position}};
    uint64_t oldest;
    uint64_t newest;
    hm_state_events_held(state, &oldest, &newest);
    for (uint64_t i = newest; i >= oldest && i > 0; i--) {
        const struct hm_event *event = hm_state_event(state, i);
        if (event->epoch != node->view->epoch) {
            oldest = i + 1;
            break;
        }
        if (event->members_position) {
            places[HM_FEED_MEMBERS].position = event->members_position - 1;
        }
        if (event->state_position) {
            places[HM_FEED_STATE].position = event->state_position - 1;
        }
    }
    hm_feed_start(&node->feeds[HM_FEED_MEMBERS], places[HM_FEED_MEMBERS]);
    hm_feed_start(&node->feeds[HM_FEED_STATE], places[HM_FEED_STATE]);
    for (uint64_t i = oldest; i <= newest; i++) {
        publish(node, hm_state_event(state, i));
    }
}

static void installed(struct hm_node *node)
{
    learn_cluster(node);
    restart_feeds(node);
    node->upward->replaced(node);
}

static void broken(struct hm_node *node, uint64_t index)
{
    hm_node_log(node, HM_LOG_ERROR, "entry does not decode",
                "index=%llu consequence=\"this node stops rather than diverge\"",
                (unsigned long long)index);
    node->stop_status = HM_DAMAGED;
    node->phase = HM_PHASE_STOPPED;
}

static void role_changed(struct hm_node *node, const struct hm_log_effect *effect)
{
    struct hm_office *office = node->office;
    bool leads = hm_raft_role(node->control.raft) == HM_RAFT_LEADER;
    const struct hm_member *leader = hm_members_find(&node->view->members, &effect->peer.id);
    if (leads != office->was_leader || leader) {
        hm_node_log(node, HM_LOG_INFO, leads ? "leads" : "follows", "term=%llu leader=%s",
                    (unsigned long long)effect->number,
                    leads    ? node->config.name.text
                    : leader ? leader->name.text
                             : "none");
    }
    if (office->was_leader && !leads) {
        hm_verdict_clear(&node->judge->verdict);
    }
    if (office->was_leader != leads) {
        hm_node_rest_joins(node);
    }
    office->was_leader = leads;
}

static void notice(struct hm_node *node, const struct hm_log_effect *effect)
{
    switch (effect->notice) {
    case HM_RAFT_ROLE_CHANGED:
        role_changed(node, effect);
        break;
    case HM_RAFT_SNAPSHOT_WANTED:
        hm_node_log(node, HM_LOG_DEBUG, "snapshot", "index=%llu",
                    (unsigned long long)hm_raft_snapshot_index(node->control.raft));
        break;
    case HM_RAFT_OTHER_GENERATION:
        hm_node_meet_generation(node, &effect->peer, effect->number);
        break;
    case HM_RAFT_REMOVED:
        hm_node_log(node, HM_LOG_INFO, "no voter any more", "name=%s", node->config.name.text);
        if (node->phase == HM_PHASE_LEAVING && !hm_node_votes(node)) {
            node->stop_at = node->now;
        }
        break;
    default:
        break;
    }
}

/* An answer is for whoever appended; all else is about the log. */
static void on_named_effect(struct hm_node *node, const struct hm_log_effect *effect)
{
    if (effect->kind != HM_LOG_ANSWER) {
        hm_node_on_named_effect(node, effect);
    } else if (hm_node_named(node, effect->log)) {
        hm_node_log_outcome(node, effect->token, effect->outcome);
    }
}

/* A fenced node votes, leads and commits nothing, not even what it had begun, or could alone: its
 * logs stand still from the start on. */
static bool stands_still(const struct hm_node *node)
{
    return node->phase == HM_PHASE_FENCED || (node->phase == HM_PHASE_IDENTIFYING && node->met);
}

void hm_node_pump_logs(struct hm_node *node)
{
    struct hm_log_effect effect;
    while (node->control.logs && !stands_still(node) &&
           hm_logs_output(node->control.logs, node->now, &effect)) {
        if (effect.kind == HM_LOG_ANSWER && hm_node_backup_answered(node, &effect)) {
            continue;
        }
        if (effect.log != 0 && effect.kind != HM_LOG_SEND) {
            on_named_effect(node, &effect);
            continue;
        }
        switch (effect.kind) {
        case HM_LOG_SEND:
            hm_node_send_bytes(node, &effect.peer, effect.message);
            break;
        case HM_LOG_APPLIED:
            if (effect.outcome) {
                applied(node, effect.outcome);
            }
            break;
        case HM_LOG_INSTALLED:
            installed(node);
            break;
        case HM_LOG_ANSWER:
            answer_pending(node, effect.token, effect.outcome);
            break;
        case HM_LOG_NOTICE:
            notice(node, &effect);
            break;
        case HM_LOG_BROKEN:
            broken(node, effect.number);
            break;
        case HM_LOG_PERSIST:
            break; /* the logs' own */
        }
    }
    if (node->control.logs) {
        hm_node_sync_logs(node);
    }
}

void hm_node_on_log(struct hm_node *node, const struct hm_peer *from,
                    const struct hm_message *message)
{
    if (!node->control.logs || node->phase == HM_PHASE_FENCED ||
        hm_logs_input(node->control.logs, node->now, from, message) != HM_OK) {
        node->dropped++;
    }
}

/* ---- founding ---- */

void hm_node_found(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    node->joining.found_at = HM_NEVER;
    if (!control->raft || hm_raft_found(control->raft, node->now) != HM_OK) {
        hm_node_log(node, HM_LOG_ERROR, "cannot found a cluster",
                    "reason=\"only a node with role control and an empty data directory can\"");
        return;
    }
    hm_node_go_on_founding(node);
    hm_node_log(node, HM_LOG_INFO, "founding a cluster", "cluster=%016llx",
                (unsigned long long)node->office->founding_cluster);
}

void hm_node_go_on_founding(struct hm_node *node)
{
    struct hm_office *office = node->office;
    node->phase = HM_PHASE_FOUNDING;
    office->founding = true;
    do {
        office->founding_cluster = hm_random_u64(&node->random);
    } while (office->founding_cluster == 0);
}

static void propose_founding(struct hm_node *node)
{
    struct hm_office *office = node->office;
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_buf body = {0};
    struct hm_pending pending = {0};
    if (!office->founding || hm_raft_role(node->control.raft) != HM_RAFT_LEADER) {
        return;
    }
    hm_message_encode(
        &body, &(struct hm_message){.kind = HM_MSG_request_found,
                                    .request_found = {.cluster = office->founding_cluster,
                                                      .history = hm_random_id(&node->random),
                                                      .founder = hm_node_own_member(node, roles)}});
    if (hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending) == HM_OK) {
        office->founding = false;
    }
    hm_buf_fini(&body);
}

/* ---- after a restart ---- */

/* Tells the log where and what this node is now; nothing is committed when nothing has changed. */
static void tell_return(struct hm_node *node)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    if (node->office->returned || node->phase != HM_PHASE_MEMBER || node->view->cluster == 0 ||
        !hm_raft_has_quorum(node->control.raft, node->now)) {
        return;
    }
    node->office->returned = true;
    hm_node_submit(node,
                   &(struct hm_message){.kind = HM_MSG_request_join,
                                        .request_join = {.member = hm_node_own_member(node, roles),
                                                         .cluster = node->cluster}},
                   HM_CALL_RETURN, 0, HM_NEVER);
}

void hm_node_return_submitted(struct hm_node *node, const struct hm_call *call,
                              const struct hm_submitted *answer)
{
    (void)call;
    if (answer->status != HM_OK) {
        hm_node_log(node, HM_LOG_ERROR, "restart not accepted", "status=%s reason=\"%.*s\"",
                    hm_status_name((enum hm_status)answer->status), (int)answer->reason.size,
                    (const char *)answer->reason.data);
    }
}

static bool is_voter(const struct hm_node *node)
{
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(node->control.raft, &count);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, &node->id)) {
            return voters[i].voting;
        }
    }
    return false;
}

/* Who was removed while it was away, or between two starts, may be told nothing. Without a leader
 * that speaks to it (and only a voter can ask by itself who leads), or without a place among the
 * members that it knows, a node asks to be let in; for a member that is no join. */
static void notice_removal(struct hm_node *node)
{
    struct hm_id leader = hm_raft_leader(node->control.raft);
    bool heard = !hm_id_is_none(&leader);
    bool in = heard ? hm_members_find(&node->view->members, &node->id) != NULL : is_voter(node);
    if (node->phase != HM_PHASE_MEMBER || in || node->joining.silent_at == 0) {
        node->joining.silent_at = node->now + SILENCE_MS;
    } else if (node->now >= node->joining.silent_at) {
        node->joining.silent_at = node->now + SILENCE_MS;
        hm_node_begin_joining(node);
    }
}

/* An older release on the data of a newer one: what it would decide from here on may be wrong. */
static bool is_outgrown(struct hm_node *node)
{
    uint32_t level = hm_state_feature(node->control.state);
    if (level <= node->config.feature) {
        return false;
    }
    if (node->phase != HM_PHASE_STOPPED) {
        hm_node_log(node, HM_LOG_ERROR, "feature level not supported",
                    "level=%u supported=%u consequence=\"this node stops rather than diverge\" "
                    "hint=\"upgrade it\"",
                    level, node->config.feature);
        node->stop_status = HM_WRONG_FEATURE;
        node->phase = HM_PHASE_STOPPED;
    }
    return true;
}

void hm_node_tick_control(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    if (!control->raft || is_outgrown(node) || stands_still(node)) {
        return;
    }
    hm_logs_tick(control->logs, node->now);
    propose_founding(node);
    tell_return(node);
    notice_removal(node);
    if (hm_raft_role(control->raft) == HM_RAFT_LEADER) {
        hm_node_tick_voters(node, &node->carried->upkeep);
        hm_verdict_tick(&node->judge->verdict, node->now);
        hm_node_release_braked(node);
        hm_node_tell_generation(node);
        hm_node_tick_joins(node);
    }
    hm_node_tick_named(node);
    hm_node_found_role_logs(node);
}

hm_ms hm_node_control_deadline(const struct hm_node *node)
{
    const struct hm_control *control = &node->control;
    if (!control->raft || stands_still(node)) {
        return HM_NEVER;
    }
    hm_ms soonest = hm_logs_deadline(control->logs);
    hm_ms named = hm_node_named_deadline(node);
    soonest = named < soonest ? named : soonest;
    if (hm_raft_role(control->raft) == HM_RAFT_LEADER && node->carried->upkeep.look_at < soonest) {
        soonest = node->carried->upkeep.look_at;
    }
    hm_ms verdict_at = hm_verdict_deadline(&node->judge->verdict);
    if (hm_raft_role(control->raft) == HM_RAFT_LEADER && verdict_at < soonest) {
        soonest = verdict_at;
    }
    if (node->joins->flush_at < soonest) {
        soonest = node->joins->flush_at;
    }
    if (node->phase == HM_PHASE_MEMBER && node->joining.silent_at < soonest) {
        soonest = node->joining.silent_at;
    }
    return soonest;
}

uint32_t hm_node_feature(const struct hm_node *node)
{
    return node->control.state ? hm_state_feature(node->control.state) : 0;
}

uint64_t hm_node_term(const struct hm_node *node)
{
    return node->control.raft ? hm_raft_term(node->control.raft) : 0;
}
