/* Getting in: the joiner's side, the responder's side, and what both say when it does not work. */
#include "core/base/plant.h"
#include "core/node/internal.h"

#include <stdio.h>

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS  5000u
#define ANSWER_MS        1000u /* an address that has not answered by then is passed over */
#define HOPS_MAX         3u
#define REFUSE_EVERY_MS  1000u
#define WANTED_MAX       32u
#define BATCH_MAX        1024u

/* ---- the joiner ---- */

void hm_node_begin_joining(struct hm_node *node)
{
    node->phase = HM_PHASE_JOINING;
    node->joining.ask_at = node->now;
    node->joining.backoff_ms = BACKOFF_FIRST_MS;
    node->joining.hurried = 0;
    node->joining.call = 0;
}

uint64_t hm_node_send_join(struct hm_node *node, const struct hm_peer *to)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_label wanted[WANTED_MAX];
    struct hm_message join = {.kind = HM_MSG_join,
                              .join = {.call = ++node->calls.last_id,
                                       .member = hm_node_own_member(node, roles),
                                       .cluster = node->cluster,
                                       .wanted = wanted}};
    size_t cursor = 0;
    for (const char *role;
         (role = hm_node_next_wanted_role(node, &cursor)) && join.join.wanted_count < WANTED_MAX;) {
        struct hm_name name = hm_name_of(role);
        uint32_t at = 0;
        while (at < join.join.wanted_count && !hm_name_equal(&wanted[at].name, &name)) {
            at++;
        }
        if (at == join.join.wanted_count) {
            wanted[join.join.wanted_count++].name = name;
        }
    }
    hm_node_send(node, to, &join);
    return join.join.call;
}

/* The one that was asked cannot help now: the next of the list is asked at once. After as many as
 * the list has the backoff counts. */
static void ask_next_soon(struct hm_node *node)
{
    struct hm_joining *joining = &node->joining;
    joining->hurried++;
    if (joining->hurried < node->config.join_count) {
        joining->ask_at = node->now;
    } else {
        joining->hurried = 0;
    }
}

void hm_node_join_peer_lost(struct hm_node *node, const struct hm_addr *addr)
{
    if (node->phase == HM_PHASE_JOINING && hm_addr_equal(addr, &node->joining.asked)) {
        ask_next_soon(node);
    }
}

/* A leader that was removed while it was cut off asks nobody but the log. */
static void let_self_in(struct hm_node *node)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_buf body = {0};
    struct hm_pending pending = {0};
    hm_message_encode(
        &body, &(struct hm_message){.kind = HM_MSG_request_join,
                                    .request_join = {.member = hm_node_own_member(node, roles),
                                                     .cluster = node->cluster}});
    (void)!hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending);
    hm_buf_fini(&body);
}

/* The next address to ask: those of the configuration, then the members known of old. */
static bool next_address(struct hm_node *node, struct hm_addr *out)
{
    size_t known = node->config.join_count + node->view->members.count;
    for (size_t tries = 0; tries < known; tries++) {
        size_t at = node->joining.next++ % known;
        *out = at < node->config.join_count
                   ? node->config.join[at]
                   : node->view->members.items[at - node->config.join_count]->addr;
        if (!hm_addr_equal(out, &node->config.addr)) {
            return true;
        }
    }
    return false;
}

void hm_node_tick_joining(struct hm_node *node)
{
    struct hm_joining *joining = &node->joining;
    struct hm_addr addr;
    if (node->phase != HM_PHASE_JOINING) {
        return;
    }
    if (node->now >= joining->found_at) {
        hm_node_found(node);
        return;
    }
    if (node->now < joining->ask_at) {
        return;
    }
    if (hm_node_is_leader(node) && node->cluster) {
        if (hm_members_find(&node->view->members, &node->id)) {
            hm_node_become_member(node); /* who refused us was behind */
            return;
        }
        let_self_in(node);
        joining->ask_at = node->now + ANSWER_MS;
        return;
    }
    if (!next_address(node, &addr)) {
        joining->ask_at = HM_NEVER;
        if (joining->found_at != HM_NEVER) {
            hm_node_found(node);
        } else {
            hm_node_log(node, HM_LOG_ERROR, "nobody to join",
                        "hint=\"name a member under join:, or let the first control node found "
                        "the cluster with control: {bootstrap: true}\"");
        }
        return;
    }
    joining->asked = addr;
    joining->call = hm_node_send_join(node, &(struct hm_peer){.addr = addr});
    hm_ms wait = joining->backoff_ms + hm_random_below(&node->random, joining->backoff_ms);
    joining->ask_at = node->now + wait;
    joining->backoff_ms *= 2;
    if (joining->backoff_ms > BACKOFF_MOST_MS) {
        joining->backoff_ms = BACKOFF_MOST_MS;
    }
    /* With somebody still to be heard of, asking everybody at once helps nobody. */
    if (joining->ask_at > node->now + ANSWER_MS && joining->next < node->config.join_count) {
        joining->ask_at = node->now + ANSWER_MS;
    }
}

static void adopt(struct hm_node *node, const struct hm_joined *digest)
{
    node->cluster = digest->cluster;
    hm_node_take_generation(node, digest->generation);
    if (!node->is_control) { /* the log tells the control plane */
        hm_node_take_digest(node, digest);
    }
    hm_node_keep_identity(node);
    node->phase = HM_PHASE_ADOPTING;
}

void hm_node_become_member(struct hm_node *node)
{
    node->phase = HM_PHASE_MEMBER;
    node->joining.found_at = HM_NEVER;
    hm_node_log(node, HM_LOG_INFO, "member", "name=%s cluster=%016llx members=%llu",
                node->config.name.text, (unsigned long long)node->cluster,
                (unsigned long long)node->view->total);
    node->report_at = node->now;
    node->fresh.at = HM_NEVER;
    if (node->consumes) {
        hm_node_start_bootstrap(node);
    } else {
        node->bootstrap.done = true;
        node->stale = false;
    }
    /* A consumer that has not bootstrapped knows nothing yet, and says nothing. */
    if (node->catalog && node->bootstrap.done) {
        hm_catalog_reload(node->catalog);
    }
}

/* Somebody runs a cluster there: founding another beside it is not what was meant. */
static void heard_of_cluster(struct hm_node *node)
{
    node->joining.answered = true;
    if (!hm_plant("founds_beside")) {
        node->joining.found_at = HM_NEVER;
    }
}

void hm_node_on_joined(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message)
{
    const struct hm_joined *digest = &message->joined;
    if (hm_node_on_fresh_slice(node, digest)) {
        return;
    }
    if (node->phase != HM_PHASE_JOINING || digest->call == 0 ||
        digest->call > node->calls.last_id) {
        return;
    }
    if (digest->status == HM_NOT_READY || digest->generation >> 32 < node->met >> 32) {
        ask_next_soon(node);
        return;
    }
    heard_of_cluster(node);
    if (node->control.raft && digest->status == HM_OK && digest->cluster == node->cluster &&
        hm_raft_last_index(node->control.raft) > 0 && digest->generation != node->generation) {
        hm_node_meet_generation(node, from, digest->generation);
        return;
    }
    if (digest->status != HM_OK) {
        hm_node_log(node, HM_LOG_WARN, "not let in", "status=%s reason=\"%.*s\" next=\"retries\"",
                    hm_status_name((enum hm_status)digest->status), (int)digest->reason.size,
                    (const char *)digest->reason.data);
        return;
    }
    adopt(node, digest);
}

void hm_node_on_refusal(struct hm_node *node, const struct hm_peer *from,
                        const struct hm_message *message)
{
    const struct hm_refusal *refusal = &message->refusal;
    if (refusal->cluster == node->cluster && node->cluster &&
        refusal->generation != node->generation) {
        hm_node_meet_generation(node, from, refusal->generation);
        return;
    }
    /* To a control node a leader has the last word, where it hears one. */
    struct hm_id leader =
        node->control.raft ? hm_raft_leader(node->control.raft) : (struct hm_id){{0}};
    char addr[HM_ADDR_TEXT_BYTES];
    hm_node_log(node, HM_LOG_WARN, "refused",
                "by=%s status=%s their_cluster=%016llx our_cluster=%016llx reason=\"%.*s\"",
                hm_addr_format(&from->addr, addr), hm_status_name((enum hm_status)refusal->status),
                (unsigned long long)refusal->cluster, (unsigned long long)node->cluster,
                (int)refusal->reason.size, (const char *)refusal->reason.data);
    if (refusal->status == HM_REMOVED && refusal->cluster == node->cluster &&
        node->phase == HM_PHASE_MEMBER && hm_id_is_none(&leader)) {
        /* Perhaps the other is only behind: asking costs nothing and changes nothing then. */
        hm_node_begin_joining(node);
    } else if (refusal->cluster != 0) {
        heard_of_cluster(node);
    }
}

/* ---- the responder ---- */

void hm_node_refuse_peer(struct hm_node *node, const struct hm_peer *peer, enum hm_status status,
                         const char *reason)
{
    if (node->now < node->refusal_at) {
        return;
    }
    node->refusal_at = node->now + REFUSE_EVERY_MS;
    hm_node_send(node, peer,
                 &(struct hm_message){.kind = HM_MSG_refusal,
                                      .refusal = {.status = (uint16_t)status,
                                                  .reason = hm_bytes_of_text(reason),
                                                  .cluster = node->cluster,
                                                  .generation = node->generation}});
}

void hm_node_send_digest(struct hm_node *node, const struct hm_join *join, enum hm_status status,
                         const char *reason)
{
    struct hm_message message = {.kind = HM_MSG_joined};
    struct hm_joined *digest = &message.joined;
    *digest = (struct hm_joined){.call = join->call,
                                 .status = (uint16_t)status,
                                 .reason = hm_bytes_of_text(reason),
                                 .cluster = node->cluster,
                                 .generation = node->generation,
                                 .history = node->view->history};
    struct hm_arena arena = {0};
    if (status == HM_OK) {
        hm_node_fill_digest(node, join, &arena, digest);
    }
    hm_node_send(node, &(struct hm_peer){join->member.id, join->member.addr}, &message);
    hm_arena_fini(&arena);
}

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

/* A restart with its disk while still a member is no join: any member that knows it can answer,
 * with or without a quorum, as long as the log need not learn anything. */
static bool is_unchanged_member(const struct hm_node *node, const struct hm_join *join)
{
    return join->cluster == node->cluster && is_as_known(node, &join->member);
}

/* ---- the leader ---- */

/* The first one after a quiet time goes at once; in a crowd they go together. */
static void let_wait(struct hm_node *node, const struct hm_join *join)
{
    struct hm_joins *joins = &node->control.joins;
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
    struct hm_joins *joins = &node->control.joins;
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
                (struct hm_joiner){join.join.member, join.join.cluster};
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
    struct hm_joins *joins = &node->control.joins;
    if (node->now < joins->flush_at) {
        return;
    }
    joins->flush_at = HM_NEVER;
    while (propose_batch(node)) {
    }
}

/* What one of a batch is told: false when it is to ask again by itself, to be told why not. */
static bool answer_join(struct hm_node *node, const struct hm_join *join, bool alone,
                        const struct hm_outcome *outcome)
{
    if (outcome->status == HM_NOT_LEADER || outcome->status == HM_NO_QUORUM) {
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
    struct hm_joins *joins = &node->control.joins;
    size_t together = 0;
    size_t kept = 0;
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

void hm_node_drop_joins(struct hm_node *node)
{
    struct hm_joins *joins = &node->control.joins;
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
