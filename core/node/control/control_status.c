/* How the control plane is, for people: its voters and learners, how far each is, and the log and
 * disk of the node that tells. */
#include "core/node/control/control_status.h"

#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"

#include <stdio.h>
#include <string.h>

const char *hm_node_disk_text(const struct hm_node *node)
{
    return node->config.durable ? hm_status_text(node->disk.failure) : "memory only";
}

/* What the adapter counts under this name; 0 where it does not. */
static uint64_t counter(const struct hm_node *node, const char *name)
{
    for (size_t i = 0; i < node->config.counter_count; i++) {
        if (strcmp(node->config.counters[i].name, name) == 0) {
            return *node->config.counters[i].value;
        }
    }
    return 0;
}

struct hm_control_node hm_node_describe_voter(const struct hm_node *node,
                                              const struct hm_voter *voter)
{
    const struct hm_raft *raft = node->control.raft;
    const struct hm_member *member = hm_members_find(&node->view->members, &voter->id);
    struct hm_id leader = hm_raft_leader(raft);
    struct hm_control_node out = {.id = voter->id,
                                  .name = member ? member->name : (struct hm_name){0},
                                  .addr = voter->addr,
                                  .voting = voter->voting,
                                  .leads = hm_id_equal(&leader, &voter->id)};
    if (hm_id_equal(&voter->id, &node->id) && hm_node_is_leader(node)) {
        out.known = out.heard = true;
        out.match = hm_raft_last_index(raft);
    } else {
        out.known = hm_raft_progress(raft, node->now, &voter->id, &out.match, &out.heard);
    }
    out.lag = out.known ? hm_raft_last_index(raft) - out.match : 0;
    return out;
}

/* The leader may have lost its quorum and not noticed yet: then nobody but it knows how it is. */
static bool asks_leader(struct hm_node *node, const struct hm_control_query *query)
{
    const struct hm_raft *raft = node->control.raft;
    if (query->local || node->phase == HM_PHASE_FENCED) {
        return false;
    }
    return !raft || (!hm_node_is_leader(node) && hm_raft_has_quorum(raft, node->now));
}

static enum hm_status verdict(const struct hm_node *node, const struct hm_control_reply *reply,
                              char *text, size_t size)
{
    size_t voting = 0;
    size_t silent = 0;
    for (uint32_t i = 0; i < reply->nodes_count; i++) {
        const struct hm_control_node *one = &reply->nodes[i];
        voting += one->voting;
        silent += one->voting && one->known && !one->heard;
    }
    if (node->phase == HM_PHASE_FENCED) {
        snprintf(text, size, "fenced: %s", hm_node_fence_text());
        return HM_STALE;
    }
    if (!hm_raft_has_quorum(node->control.raft, node->now)) {
        snprintf(text, size,
                 "degraded: %s hears no quorum of the %zu voters; nothing is committed until a "
                 "majority is back",
                 node->config.name.text, voting);
        return HM_NO_QUORUM;
    }
    if (silent) {
        snprintf(text, size, "a quorum of %zu voters, %zu of them silent", voting, silent);
    } else {
        snprintf(text, size, "a quorum of %zu voter%s", voting, voting == 1 ? "" : "s");
    }
    return HM_OK;
}

void hm_node_on_control_query(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_control_query *query = &request->message->control_query;
    if (!node->control.raft && query->local) {
        hm_node_answer_status(node, request->token, HM_NOT_FOUND,
                              "node %s is not of the control plane; ask without --local",
                              node->config.name.text);
        return;
    }
    if (asks_leader(node, query)) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    const struct hm_raft *raft = node->control.raft;
    struct hm_control_node nodes[HM_RAFT_VOTERS_MAX];
    char text[256];
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(raft, &count);
    struct hm_message message = {
        .kind = HM_MSG_control_reply,
        .control_reply = {.teller = node->config.name,
                          .epoch = node->view->epoch,
                          .index = node->view->index,
                          .term = hm_raft_term(raft),
                          .last = hm_raft_last_index(raft),
                          .commit = hm_raft_commit(raft),
                          .applied = hm_participant_applied(node->control.log),
                          .snapshot = hm_raft_snapshot_index(raft),
                          .journal_bytes = hm_logs_journal_bytes(node->control.logs),
                          .disk = hm_bytes_of_text(hm_node_disk_text(node)),
                          .sync_p50_us = counter(node, HM_NODE_SYNC_P50),
                          .sync_p99_us = counter(node, HM_NODE_SYNC_P99),
                          .nodes = nodes,
                          .nodes_count = (uint32_t)count}};
    for (size_t i = 0; i < count; i++) {
        nodes[i] = hm_node_describe_voter(node, &voters[i]);
    }
    struct hm_control_reply *reply = &message.control_reply;
    reply->status = (uint16_t)verdict(node, reply, text, sizeof text);
    reply->verdict = hm_bytes_of_text(text);
    hm_node_answer(node, request->token, &message);
}
