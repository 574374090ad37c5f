/* Those who ask to be let in: the member that they ask, and the leader, where they wait for each
 * other and go into the log together. */
#include "core/node/control/joins.h"

#include "core/base/plant.h"
#include "core/node/control/digest.h"
#include "core/node/control/proposals.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/allowed.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"

#define HOPS_MAX  3u
#define BATCH_MAX 1024u
#define KEPT_MS   10000u /* who has not asked again is gone, or was answered elsewhere */

/* ---- the responder ---- */

/* Not the leader: the join goes on to a control node, and the answer comes straight from there. */
static void pass_on(struct hm_node *node, const struct hm_join *join)
{
    struct hm_peer control;
    struct hm_message message = {.kind = HM_MSG_join, .join = *join};
    message.join.hops++;
    if (join->hops >= HOPS_MAX || !hm_node_pick_control(node, join->hops, &control)) {
        hm_node_send_digest(node, join, HM_NO_QUORUM,
                            "the control plane has no leader; nobody can be let in");
        return;
    }
    hm_node_send(node, &control, &message);
}

/* Is it a member, as it says of itself? */
static bool is_as_known(const struct hm_node *node, const struct hm_member *asker)
{
    const struct hm_member *known = hm_members_find(&node->view->members, &asker->id);
    bool same = known && known->boot <= asker->boot && hm_addr_equal(&known->addr, &asker->addr) &&
                hm_name_equal(&known->name, &asker->name) &&
                known->roles_count == asker->roles_count && known->feature == asker->feature &&
                known->feeds == asker->feeds;
    for (uint32_t i = 0; same && i < known->roles_count; i++) {
        same = hm_name_equal(&known->roles[i].name, &asker->roles[i].name);
    }
    return same;
}

/* Any member that knows the asker can answer, with or without a quorum, as long as the log need not
 * learn anything: a restart with its disk while still a member is no join, and who was let in but
 * never heard so (the answer was lost, or the leader with it) is a member to all others already. */
static bool is_unchanged_member(const struct hm_node *node, const struct hm_join *join)
{
    const struct hm_member *known = hm_members_find(&node->view->members, &join->member.id);
    bool of_us = join->cluster == node->cluster ||
                 (join->cluster == 0 && known && known->boot == join->member.boot);
    return of_us && is_as_known(node, &join->member);
}

/* ---- the leader ---- */

/* The first one after a quiet time goes at once; in a crowd they go together. */
static void let_wait(struct hm_node *node, const struct hm_join *join)
{
    struct hm_joins *joins = node->joins;
    struct hm_waiting_join *waiting = NULL;
    for (size_t i = 0; i < joins->count; i++) {
        if (hm_id_equal(&joins->items[i].id, &join->member.id)) {
            waiting = &joins->items[i]; /* it asks again: its latest call is answered */
            hm_bytes_free(waiting->join);
        }
    }
    if (!waiting) {
        joins->items = hm_grow(joins->items, joins->count, &joins->capacity, sizeof *joins->items);
        waiting = &joins->items[joins->count++];
        *waiting = (struct hm_waiting_join){.id = join->member.id};
    }
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_join, .join = *join});
    waiting->asked_at = node->now;
    waiting->join = hm_buf_view(&bytes); /* taken over */
    if (waiting->batch == 0 && joins->flush_at == HM_NEVER) {
        joins->flush_at = node->now + hm_crowd_wait(&joins->crowd, node->now);
        hm_node_tick_joins(node);
    }
}

static bool read_join(const struct hm_waiting_join *waiting, struct hm_arena *arena,
                      struct hm_message *out)
{
    return hm_message_decode_only(waiting->join, HM_MSG_join, arena, out) == HM_OK;
}

/* Up to a batch of those who wait, as one entry. True when more are left. */
static bool propose_batch(struct hm_node *node)
{
    struct hm_joins *joins = node->joins;
    struct hm_arena arena = {0};
    struct hm_message request = {.kind = HM_MSG_request_joins};
    struct hm_request_joins *list = &request.request_joins;
    uint64_t batch = ++joins->batch;
    bool more = false;
    list->joiners = hm_arena_alloc(&arena, BATCH_MAX, sizeof *list->joiners);
    for (size_t i = 0; i < joins->count && !more; i++) {
        struct hm_message join;
        if (joins->items[i].batch) {
            continue;
        }
        more = list->joiners_count == BATCH_MAX || (joins->items[i].alone && list->joiners_count);
        if (!more && read_join(&joins->items[i], &arena, &join)) {
            more = joins->items[i].alone; /* it goes by itself */
            joins->items[i].batch = batch;
            list->joiners[list->joiners_count++] =
                (struct hm_joiner){join.join.member, join.join.cluster, join.join.seq};
        }
    }
    struct hm_buf body = {0};
    struct hm_pending pending = {.call = batch, .is_join = true};
    hm_crowd_add(&joins->crowd, list->joiners_count);
    hm_message_encode(&body, &request);
    if (list->joiners_count == 0 ||
        hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending) != HM_OK) {
        hm_node_joins_decided(node, batch, &(struct hm_outcome){.status = HM_NOT_LEADER});
    }
    hm_buf_fini(&body);
    hm_arena_fini(&arena);
    return more;
}

void hm_node_tick_joins(struct hm_node *node)
{
    struct hm_joins *joins = node->joins;
    if (node->now < joins->flush_at) {
        return;
    }
    joins->flush_at = HM_NEVER;
    while (propose_batch(node)) {
    }
}

/* What was proposed may be committed yet, or not. */
static bool is_unsettled(const struct hm_outcome *outcome)
{
    return outcome->status == HM_NOT_LEADER || outcome->status == HM_NO_QUORUM;
}

/* What one of a batch is told: false when it is to ask again by itself, to be told why not. */
static bool answer_join(struct hm_node *node, const struct hm_join *join, bool alone,
                        const struct hm_outcome *outcome)
{
    if (is_unsettled(outcome)) {
        hm_node_send_digest(node, join, HM_NO_QUORUM, hm_status_text(HM_NO_QUORUM));
    } else if (is_as_known(node, &join->member)) {
        hm_node_send_digest(node, join, HM_OK, "");
    } else if (alone) {
        enum hm_status status = outcome->status == HM_OK ? HM_BUSY : outcome->status;
        hm_node_send_digest(node, join, status, outcome->reason);
    } else {
        return false;
    }
    return true;
}

void hm_node_joins_decided(struct hm_node *node, uint64_t batch, const struct hm_outcome *outcome)
{
    struct hm_joins *joins = node->joins;
    size_t together = 0;
    size_t kept = 0;
    if (is_unsettled(outcome) && !hm_node_is_leader(node)) {
        hm_node_rest_joins(node);
        return;
    }
    for (size_t i = 0; i < joins->count; i++) {
        together += joins->items[i].batch == batch;
    }
    for (size_t i = 0; i < joins->count; i++) {
        struct hm_waiting_join waiting = joins->items[i];
        struct hm_arena arena = {0};
        struct hm_message join;
        bool ours = waiting.batch == batch && read_join(&waiting, &arena, &join);
        if (ours && answer_join(node, &join.join, together == 1, outcome)) {
            hm_bytes_free(waiting.join);
        } else {
            if (ours) {
                waiting.batch = 0;
                waiting.alone = true;
                joins->flush_at = node->now;
            }
            joins->items[kept++] = waiting;
        }
        hm_arena_fini(&arena);
    }
    joins->count = kept;
}

/* ---- between leaders ---- */

void hm_node_rest_joins(struct hm_node *node)
{
    struct hm_joins *joins = node->joins;
    size_t kept = 0;
    for (size_t i = 0; i < joins->count; i++) {
        struct hm_waiting_join waiting = joins->items[i];
        waiting.batch = 0;
        if (node->now < waiting.asked_at + KEPT_MS) {
            joins->items[kept++] = waiting;
        } else {
            hm_bytes_free(waiting.join);
        }
    }
    joins->count = kept;
    joins->flush_at = kept && hm_node_is_leader(node) ? node->now : HM_NEVER;
}

void hm_node_join_committed(struct hm_node *node, const struct hm_id *id)
{
    struct hm_joins *joins = node->joins;
    for (size_t i = 0; i < joins->count; i++) {
        struct hm_waiting_join waiting = joins->items[i];
        struct hm_arena arena = {0};
        struct hm_message join;
        if (waiting.batch == 0 && hm_id_equal(&waiting.id, id) &&
            read_join(&waiting, &arena, &join) && is_as_known(node, &join.join.member)) {
            hm_node_send_digest(node, &join.join, HM_OK, "");
            hm_bytes_free(waiting.join);
            joins->items[i--] = joins->items[--joins->count];
        }
        hm_arena_fini(&arena);
    }
}

void hm_node_drop_joins(struct hm_node *node)
{
    struct hm_joins *joins = node->joins;
    for (size_t i = 0; i < joins->count; i++) {
        hm_bytes_free(joins->items[i].join);
    }
    joins->count = 0;
    joins->flush_at = HM_NEVER;
}

/* ---- the responder, at last ---- */

void hm_node_on_join(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_join *join = &request->message->join;
    /* A digest answers, from the leader, not from here. */
    hm_node_close_request(node, request->token);
    if (hm_id_equal(&join->member.id, &node->id) || hm_addr_is_none(&join->member.addr)) {
        return;
    }
    /* A leader that was removed itself still lets others in: there is nobody else who could. */
    bool serves = node->phase == HM_PHASE_MEMBER || hm_node_is_leader(node);
    if (!serves || node->cluster == 0) {
        hm_node_send_digest(node, join, HM_NOT_READY, "not a member itself yet");
    } else if (!node->config.serve_joins && join->hops == 0) {
        hm_node_send_digest(node, join, HM_DENIED,
                            "this node does not serve joins (serve_joins: false)");
    } else if (hm_node_may_join(node, &request->from, join) != HM_OK) {
        hm_node_send_digest(node, join, HM_DENIED, "not asked for by the joiner");
    } else if (is_unchanged_member(node, join)) {
        hm_node_send_digest(node, join, HM_OK, "");
    } else if (!hm_node_is_leader(node)) {
        pass_on(node, join);
    } else {
        if (hm_plant("join_before_commit")) {
            hm_node_send_digest(node, join, HM_OK, "");
        }
        let_wait(node, join);
    }
}
