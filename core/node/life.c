/* A node's life: fed, ticked, pumped, stopped. */
#include "core/node/catalog/catalog.h"
#include "core/node/commands.h"
#include "core/node/consumer/consumer.h"
#include "core/node/consumer/keeping.h"
#include "core/node/control/control.h"
#include "core/node/control/recovery.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/inside.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/dispatch.h"
#include "core/node/events.h"
#include "core/node/host/host.h"
#include "core/node/host/report.h"
#include "core/node/logs/backup.h"
#include "core/node/logs/log_reads.h"
#include "core/node/logs/named.h"
#include "core/node/member/emit.h"
#include "core/node/member/feeds.h"
#include "core/node/member/fresh.h"
#include "core/node/member/joining.h"
#include "core/node/member/membership.h"
#include "core/node/member/required.h"
#include "core/node/member/slices.h"
#include "core/node/modules.h"

#include <string.h>

#define STOP_MS 150u /* what is queued goes out, a leader hands over */

/* ---- fed ---- */

void hm_node_stream_up(struct hm_node *node, hm_ms now, const struct hm_addr *addr)
{
    (void)addr;
    node->now = now;
}

static void evidence(struct hm_node *node, const struct hm_addr *addr, bool reset)
{
    const struct hm_member *member = hm_members_find_addr(&node->view->members, addr);
    if (!member) {
        return;
    }
    hm_swim_refused(&node->swim, node->now, &member->id);
    if (reset && node->control.logs) {
        hm_logs_peer_reset(node->control.logs, node->now, &member->id);
    }
}

void hm_node_stream_down(struct hm_node *node, hm_ms now, const struct hm_addr *addr,
                         enum hm_status why)
{
    node->now = now;
    if (why == HM_IO || why == HM_UNREACHABLE) {
        evidence(node, addr, true);
        hm_node_join_peer_lost(node, addr);
        hm_node_call_lost(node, addr);
    }
    node->fed = true;
}

void hm_node_refused(struct hm_node *node, hm_ms now, const struct hm_addr *addr)
{
    node->now = now;
    evidence(node, addr, false);
    hm_node_call_lost(node, addr); /* what was asked there is asked elsewhere */
    node->fed = true;
}

void hm_node_disk_done(struct hm_node *node, hm_ms now, uint64_t number, enum hm_status status)
{
    node->now = now;
    hm_node_on_disk_done(node, number, status);
    node->fed = true;
}

void hm_node_set_wall(struct hm_node *node, hm_ms now, uint64_t wall_ms)
{
    node->wall_offset = wall_ms - now;
    if (node->control.logs) {
        hm_logs_set_wall(node->control.logs, now, wall_ms);
    }
}

void hm_node_set_log_level(struct hm_node *node, enum hm_log_level level)
{
    node->log_level = level;
}

void hm_node_set_join(struct hm_node *node, const struct hm_addr *join, size_t count)
{
    node->config.join_count = count < HM_NODE_JOIN_MAX ? count : HM_NODE_JOIN_MAX;
    memcpy(node->config.join, join, node->config.join_count * sizeof *join);
}

void hm_node_stop(struct hm_node *node, hm_ms now)
{
    node->now = now;
    if (node->phase >= HM_PHASE_STOPPING) {
        return;
    }
    hm_node_log(node, HM_LOG_INFO, "stopping", "name=%s", node->config.name.text);
    if (node->phase == HM_PHASE_MEMBER) {
        hm_node_tell_stopping(node);
        if (hm_node_is_leader(node) && hm_raft_transfer(node->control.raft, now, NULL) != HM_OK) {
            hm_node_log(node, HM_LOG_DEBUG, "leadership stays", "reason=\"nobody to hand it to\"");
        }
        hm_node_hand_over_logs(node);
        node->stop_at = now + STOP_MS;
    } else {
        node->stop_at = now;
    }
    node->phase = HM_PHASE_STOPPING;
    node->fed = true;
}

/* ---- driven ---- */

/* Its identity is durable: nobody will see two nodes of one boot. */
static void identified(struct hm_node *node)
{
    const struct hm_control *control = &node->control;
    bool has_log = control->raft && (hm_raft_last_index(control->raft) > 0 ||
                                     hm_raft_snapshot_index(control->raft) > 0);
    if (has_log && node->met) {
        node->phase = HM_PHASE_FENCED;
        hm_node_log(node, HM_LOG_ERROR, "fenced", "reason=\"%s\"", hm_node_fence_text());
        hm_node_on_fenced(node);
        return;
    }
    if (has_log && node->cluster) {
        hm_node_become_member(node);
        return;
    }
    if (has_log) {
        /* It stopped while founding. Either its log knows the cluster, and refuses another
         * founding, or the cluster is founded now. */
        hm_node_go_on_founding(node);
        return;
    }
    hm_node_begin_joining(node);
    if (node->config.bootstrap && node->is_control && node->cluster == 0) {
        node->joining.found_at = node->now + node->config.found_wait_ms;
    }
}

static void step_phase(struct hm_node *node)
{
    if (node->phase == HM_PHASE_IDENTIFYING && hm_node_files_are_kept(node)) {
        identified(node);
    } else if (node->phase == HM_PHASE_ADOPTING && hm_node_files_are_kept(node)) {
        hm_node_become_member(node);
        hm_node_republish(node);
    }
    bool ends = node->phase == HM_PHASE_STOPPING || node->phase == HM_PHASE_LEAVING;
    if (ends && node->now >= node->stop_at && hm_node_files_are_kept(node)) {
        node->phase = HM_PHASE_STOPPED;
    }
    if (node->phase == HM_PHASE_STOPPED && node->stop_at != 0) {
        node->stop_at = 0; /* said once */
        hm_node_act(node, &(struct hm_act){.kind = HM_ACT_STOPPED, .status = node->stop_status});
    }
}

static void pump(struct hm_node *node)
{
    if (node->phase == HM_PHASE_NEW) {
        return;
    }
    do {
        hm_node_deliver_mail(node);
        step_phase(node);
        hm_node_tick_joining(node);
        hm_node_pump_logs(node);
        hm_node_note_caught_up(node);
        hm_node_refresh_slices(node);
        hm_node_pump_feeds(node);
        hm_node_pump_slice(node);
        hm_node_pump_swim(node);
        hm_node_pump_required(node);
        hm_node_pump_keeper(node);
        hm_node_pump_verdict(node);
        hm_node_pump_reconcile(node);
        hm_node_pump_host(node);
        hm_node_pump_push(node);
        hm_node_check_reports(node);
    } while (node->mail.size || node->slices->changed);
    hm_node_answer_event_waits(node);
    hm_node_answer_log_waits(node);
    hm_node_pump_backup(node);
    hm_node_pump_recovery(node);
    hm_node_pump_disk(node);
    hm_node_check_ready(node);
}

bool hm_node_output(struct hm_node *node, struct hm_act *out)
{
    if (hm_node_next_act(node, out)) {
        return true;
    }
    if (node->fed) {
        node->fed = false;
        pump(node);
    }
    return hm_node_next_act(node, out);
}

void hm_node_tick(struct hm_node *node, hm_ms now)
{
    node->now = now;
    if (node->phase == HM_PHASE_STOPPED || node->phase == HM_PHASE_NEW) {
        return;
    }
    hm_node_tick_disk(node);
    hm_node_tick_control(node);
    if (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_LEAVING) {
        hm_slice_tick(&node->slice, now);
        hm_swim_tick(&node->swim, now);
        hm_node_tick_required(node);
        hm_node_tick_fresh_slice(node);
        hm_feed_tick(&node->feeds[HM_FEED_MEMBERS], now);
        hm_feed_tick(&node->feeds[HM_FEED_STATE], now);
        hm_reconcile_tick(&node->reconcile, now);
        hm_push_tick(&node->pusher, now);
        hm_keeper_tick(&node->keeper, now);
        hm_node_repeat_reports(node);
        hm_node_tick_bootstrap(node);
    }
    if (node->catalog) {
        hm_catalog_tick(node->catalog, now);
    }
    hm_node_tick_calls(node);
    hm_node_tick_modules(node);
    hm_node_tick_backup(node);
    hm_node_expire_requests(node);
    node->fed = true;
}

static hm_ms sooner(hm_ms a, hm_ms b)
{
    return a < b ? a : b;
}

/* Past it, only the disk is waited for, which will tell. */
static hm_ms stop_deadline(const struct hm_node *node)
{
    return node->stop_at > node->now ? node->stop_at : HM_NEVER;
}

hm_ms hm_node_deadline(const struct hm_node *node)
{
    hm_ms at = HM_NEVER;
    if (node->phase == HM_PHASE_STOPPED || node->phase == HM_PHASE_NEW) {
        return at;
    }
    if (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_LEAVING) {
        at = sooner(at, hm_swim_deadline(&node->swim));
        at = sooner(at, hm_slice_deadline(&node->slice));
        at = sooner(at, hm_node_required_deadline(node));
        at = sooner(at, node->phase == HM_PHASE_MEMBER ? node->slices->fresh_at : HM_NEVER);
        at = sooner(at, hm_feed_deadline(&node->feeds[HM_FEED_MEMBERS]));
        at = sooner(at, hm_feed_deadline(&node->feeds[HM_FEED_STATE]));
        at = sooner(at, hm_reconcile_deadline(&node->reconcile));
        at = sooner(at, hm_push_deadline(&node->pusher));
        at = sooner(at, hm_keeper_deadline(&node->keeper));
        at = sooner(at, node->report_at);
        at = sooner(at, node->own->submit_at > node->now ? node->own->submit_at : HM_NEVER);
        /* Only a member pulls: a time that has come would be a loop while it leaves. */
        at = sooner(at, node->phase == HM_PHASE_MEMBER ? node->bootstrap->retry_at : HM_NEVER);
    } else if (node->phase == HM_PHASE_JOINING) {
        at = sooner(at, sooner(node->joining.ask_at, node->joining.found_at));
    }
    at = sooner(at, stop_deadline(node));
    at = sooner(at, hm_node_control_deadline(node));
    at = sooner(at, hm_calls_deadline(&node->calls));
    at = sooner(at, hm_node_reports_deadline(node));
    at = sooner(at, hm_node_event_waits_deadline(node));
    at = sooner(at, hm_node_log_waits_deadline(node));
    at = sooner(at, hm_node_modules_deadline(node));
    at = sooner(at, hm_node_backup_deadline(node));
    at = sooner(at, node->disk.busy ? HM_NEVER : node->disk.retry_at);
    at = sooner(at, node->disk.side_retry_at);
    return node->catalog ? sooner(at, hm_catalog_deadline(node->catalog)) : at;
}

/* ---- looked at ---- */

const struct hm_view *hm_node_view(const struct hm_node *node)
{
    return node->view;
}

const struct hm_catalog *hm_node_catalog(const struct hm_node *node)
{
    return node->catalog;
}

const struct hm_slice *hm_node_slice(const struct hm_node *node)
{
    return &node->slice;
}

const struct hm_keeper *hm_node_keeper(const struct hm_node *node)
{
    return &node->keeper;
}

struct hm_id hm_node_id(const struct hm_node *node)
{
    return node->id;
}
