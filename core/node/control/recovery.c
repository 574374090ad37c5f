/* When a majority of the control plane is lost for good: a survivor goes on alone in a new
 * generation of the log, and whoever was left behind is fenced when the two meet. DESIGN, 4 and 5;
 * docs/RECOVERY.md tells people. */
#include "core/node/control/recovery.h"

#include "core/base/assert.h"
#include "core/base/plant.h"
#include "core/node/control/control_status.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/logs/named.h"

#include <stdio.h>
#include <string.h>

#define TELL_EVERY_MS 2000u

static uint64_t number_of(uint64_t generation)
{
    return generation >> 32;
}

/* ---- two generations meet ---- */

static void keep_fence(struct hm_node *node, uint64_t generation)
{
    struct hm_buf bytes = {0};
    node->met = generation;
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_fenced_by,
                                                   .fenced_by = {.generation = generation}});
    hm_node_keep_file(node, HM_NODE_FENCED_FILE, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

/* A file that does not read fences: the node was fenced, or is about to be. */
void hm_node_recall_fence(struct hm_node *node, struct hm_bytes content)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    bool read = hm_message_decode_only(content, HM_MSG_fenced_by, &arena, &message) == HM_OK;
    node->met = read ? message.fenced_by.generation : 1;
    hm_arena_fini(&arena);
}

static void fence(struct hm_node *node, uint64_t generation)
{
    if (node->phase == HM_PHASE_FENCED || hm_plant("no_fence")) {
        return;
    }
    node->phase = HM_PHASE_FENCED;
    node->joining.found_at = HM_NEVER;
    keep_fence(node, generation);
    hm_node_log(node, HM_LOG_ERROR, "fenced", "epoch=%llu met_epoch=%llu reason=\"%s\"",
                (unsigned long long)node->view->epoch, (unsigned long long)number_of(generation),
                hm_node_fence_text());
    node->upward->fenced(node);
}

/* Bootstraps anew, from those who are further. */
static void follow(struct hm_node *node, uint64_t generation)
{
    node->met = generation;
    if (node->phase == HM_PHASE_MEMBER) {
        hm_node_log(node, HM_LOG_WARN, "control plane recovered",
                    "epoch=%llu next=\"bootstraps anew, serving what it has\"",
                    (unsigned long long)number_of(generation));
        node->stale = true;
        hm_node_begin_joining(node);
    }
}

void hm_node_meet_generation(struct hm_node *node, const struct hm_peer *from, uint64_t generation)
{
    bool has_log = node->control.raft && hm_raft_last_index(node->control.raft) > 0;
    if (generation == node->generation || node->cluster == 0 || node->phase < HM_PHASE_JOINING ||
        node->phase >= HM_PHASE_STOPPING) {
        return;
    }
    if (number_of(generation) <= number_of(node->generation) && node->phase != HM_PHASE_FENCED) {
        hm_node_refuse_peer(node, from, HM_STALE, hm_node_fence_text());
    }
    if (has_log) {
        /* Two recoveries of which neither knew fence each other: people say which one counts, by
         * recovering that one once more. */
        if (number_of(generation) >= number_of(node->generation)) {
            fence(node, generation);
        }
    } else if (number_of(generation) > number_of(node->generation) &&
               number_of(generation) >= number_of(node->met)) {
        follow(node, generation);
    }
}

/* Who was left behind may speak to nobody that is here: the leader of a recovered control plane
 * tells those of `join` who are no members. */
void hm_node_tell_generation(struct hm_node *node)
{
    if (node->generation == 0 || node->now < node->recovery->tell_at) {
        return;
    }
    node->recovery->tell_at = node->now + TELL_EVERY_MS;
    for (size_t i = 0; i < node->config.join_count; i++) {
        const struct hm_addr *addr = &node->config.join[i];
        if (hm_addr_is_none(addr) || hm_addr_equal(addr, &node->config.addr) ||
            hm_members_find_addr(&node->view->members, addr)) {
            continue;
        }
        hm_node_send(
            node, &(struct hm_peer){.addr = *addr},
            &(struct hm_message){.kind = HM_MSG_refusal,
                                 .refusal = {.status = HM_STALE,
                                             .reason = hm_bytes_of_text(hm_node_fence_text()),
                                             .cluster = node->cluster,
                                             .generation = node->generation}});
    }
}

/* ---- the survivor ---- */

/* A survivor that has just started has a log, and may not have seen it to its end: then it is its
 * generation that tells the epoch, which is the first where nobody ever recovered. */
static uint64_t next_epoch(const struct hm_node *node)
{
    uint64_t epoch = HM_EPOCH_FIRST;
    uint64_t known[] = {node->view->epoch, number_of(node->generation), number_of(node->met)};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        epoch = known[i] > epoch ? known[i] : epoch;
    }
    return epoch + HM_EPOCH_RECOVERY;
}

static enum hm_status begin_generation(struct hm_node *node, uint64_t epoch)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_id history = hm_random_id(&node->random);
    struct hm_buf body = {0};
    uint32_t chance;
    memcpy(&chance, history.bytes, sizeof chance);
    uint64_t generation = epoch << 32 | chance;
    hm_message_encode(&body, &(struct hm_message){
                                 .kind = HM_MSG_request_recover,
                                 .request_recover = {.epoch = epoch,
                                                     .history = history,
                                                     .survivor = hm_node_own_member(node, roles)}});
    struct hm_submission submission = {.request = hm_buf_view(&body)};
    enum hm_status status =
        hm_participant_recover(node->control.log, node->now, generation,
                               hm_plant("epoch_not_raised") ? NULL : &submission);
    hm_buf_fini(&body);
    for (size_t i = 0; status == HM_OK && i < node->carried->named_count; i++) {
        struct hm_named *named = node->carried->named[i];
        enum hm_status one = hm_node_recover_named(node, named, generation);
        if (one != HM_OK) {
            hm_node_log(node, HM_LOG_ERROR, "log not recovered", "log=%s reason=\"%s\"",
                        named->name.text, hm_status_text(one));
        }
    }
    if (status == HM_OK) {
        if (node->met) {
            keep_fence(node, 0);
        }
        node->phase = HM_PHASE_MEMBER;
        node->joining.silent_at = 0;
        hm_node_take_generation(node, generation);
        hm_node_log(node, HM_LOG_WARN, "recovers the control plane",
                    "epoch=%llu last=%llu commit=%llu", (unsigned long long)epoch,
                    (unsigned long long)hm_raft_last_index(node->control.raft),
                    (unsigned long long)hm_raft_commit(node->control.raft));
    }
    return status;
}

static enum hm_status may_recover(const struct hm_node *node, char *reason, size_t size)
{
    const struct hm_raft *raft = node->control.raft;
    if (!raft || hm_raft_last_index(raft) == 0 || node->cluster == 0) {
        snprintf(reason, size, "node %s has no log to go on with; run it on a control node",
                 node->config.name.text);
        return HM_NOT_FOUND;
    }
    if (node->recovery->token) {
        snprintf(reason, size, "node %s recovers already; its disk has yet to have it",
                 node->config.name.text);
        return HM_BUSY;
    }
    if (node->phase != HM_PHASE_FENCED && hm_raft_has_quorum(raft, node->now)) {
        snprintf(
            reason, size,
            "the control plane has its quorum: there is nothing to recover, and doing it would "
            "fence those that serve; `hivemind control status` tells more");
        return HM_DENIED;
    }
    if (node->phase != HM_PHASE_MEMBER && node->phase != HM_PHASE_FENCED &&
        node->phase != HM_PHASE_JOINING) {
        snprintf(reason, size, "node %s is starting or stopping", node->config.name.text);
        return HM_NOT_READY;
    }
    return HM_OK;
}

static void list_fenced(const struct hm_node *node, struct hm_recover_reply *reply)
{
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(node->control.raft, &count);
    for (size_t i = 0; i < count; i++) {
        if (!hm_id_equal(&voters[i].id, &node->id)) {
            reply->fenced[reply->fenced_count++] = hm_node_describe_voter(node, &voters[i]);
        }
    }
}

/* Said of a recovery that a power cut could take back, it would be no answer. The survivor is the
 * only voter: what is committed is on its disk. With the event log come those of its other logs
 * that are found by their records alone (see hm_node_sync_logs), and all of them are waited for. */
static void answer_when_durable(struct hm_node *node, uint64_t token, struct hm_message *message)
{
    struct hm_recovery *recovery = node->recovery;
    recovery->token = token;
    recovery->index = hm_raft_last_index(node->control.raft);
    hm_buf_clear(&recovery->reply);
    hm_message_encode(&recovery->reply, message);
}

void hm_node_pump_recovery(struct hm_node *node)
{
    struct hm_recovery *recovery = node->recovery;
    struct hm_arena arena = {0};
    struct hm_message message;
    bool failed = recovery->token && hm_logs_disk_failed(node->control.logs);
    bool durable = recovery->token && hm_raft_commit(node->control.raft) >= recovery->index &&
                   hm_node_named_are_recovered(node);
    if (!recovery->token || (!failed && !durable)) {
        return;
    }
    enum hm_status status = hm_message_decode_only(hm_buf_view(&recovery->reply),
                                                   HM_MSG_recover_reply, &arena, &message);
    HM_ASSERT(status == HM_OK);
    if (failed) {
        message.recover_reply.status = HM_IO;
        message.recover_reply.reason = hm_bytes_of_text(
            "the disk does not take it: the recovery has begun, and counts when the disk works "
            "again; a restart before that takes it back");
    }
    hm_node_answer(node, recovery->token, &message);
    recovery->token = 0;
    hm_buf_fini(&recovery->reply);
    hm_arena_fini(&arena);
}

void hm_node_on_recover(struct hm_node *node, const struct hm_request *request)
{
    char reason[256] = "";
    struct hm_control_node fenced[HM_RAFT_VOTERS_MAX];
    struct hm_message message = {.kind = HM_MSG_recover_reply,
                                 .recover_reply = {.epoch = node->view->epoch, .fenced = fenced}};
    struct hm_recover_reply *reply = &message.recover_reply;
    enum hm_status status = may_recover(node, reason, sizeof reason);
    if (status == HM_OK) {
        reply->next_epoch = next_epoch(node);
        reply->index = node->view->index;
        reply->last = hm_raft_last_index(node->control.raft);
        reply->commit = hm_raft_commit(node->control.raft);
        reply->logs = (uint32_t)node->carried->named_count;
        list_fenced(node, reply);
    }
    if (status == HM_OK && request->message->recover.now) {
        status = begin_generation(node, reply->next_epoch);
        if (status != HM_OK) {
            snprintf(reason, sizeof reason, "the log of node %s cannot go on: %s",
                     node->config.name.text, hm_status_text(status));
        }
    }
    reply->status = (uint16_t)status;
    reply->reason = hm_bytes_of_text(reason);
    if (status == HM_OK && request->message->recover.now) {
        answer_when_durable(node, request->token, &message);
    } else {
        hm_node_answer(node, request->token, &message);
    }
}

/* ---- the others ---- */

void hm_node_on_rejoin(struct hm_node *node, const struct hm_request *request)
{
    if (node->phase != HM_PHASE_FENCED) {
        hm_node_answer_status(node, request->token, HM_DENIED,
                              "node %s is not fenced: there is nothing to put aside",
                              node->config.name.text);
        return;
    }
    hm_node_answer_status(node, request->token, HM_OK, "%s starts anew", node->config.name.text);
    node->phase = HM_PHASE_STOPPING;
    node->stop_status = HM_STALE;
    node->stop_at = node->now;
}
