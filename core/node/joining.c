/* Getting in: the joiner's side, the responder's side, and what both say when it does not work. */
#include "core/base/plant.h"
#include "core/node/internal.h"

#include <stdio.h>

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS  5000u
#define ANSWER_MS        1000u /* an address that has not answered by then is passed over */
#define HOPS_MAX         3u
#define REFUSE_EVERY_MS  1000u

/* ---- the joiner ---- */

void hm_node_begin_joining(struct hm_node *node)
{
    node->phase = HM_PHASE_JOINING;
    node->joining.ask_at = node->now;
    node->joining.backoff_ms = BACKOFF_FIRST_MS;
    node->joining.call = 0;
}

static void ask(struct hm_node *node, const struct hm_addr *addr)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_label wanted[HM_NODE_ROLES_MAX];
    struct hm_message join = {.kind = HM_MSG_join,
                              .join = {.member = hm_node_own_member(node, roles),
                                       .cluster = node->cluster,
                                       .bootstraps = wanted}};
    size_t cursor = 0;
    for (const char *role; (role = hm_node_next_bootstrap_role(node, &cursor)) &&
                           join.join.bootstraps_count < HM_NODE_ROLES_MAX;) {
        wanted[join.join.bootstraps_count++].name = hm_name_of(role);
    }
    node->joining.call = ++node->calls.last_id;
    join.join.call = node->joining.call;
    hm_node_send(node, &(struct hm_peer){.addr = *addr}, &join);
}

/* The one that was asked cannot help now: the next of the list is asked at once. After a whole
 * round the backoff counts. */
static void ask_next_soon(struct hm_node *node)
{
    if (node->config.join_count && node->joining.next % node->config.join_count != 0) {
        node->joining.ask_at = node->now;
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
    ask(node, &addr);
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
    bool control = node->is_control;
    node->cluster = digest->cluster;
    hm_node_take_generation(node, digest->generation);
    hm_slice_clear(&node->slice);
    hm_slice_clear(&node->state_slice);
    node->slice_changed = true;
    if (!control) {
        struct hm_records records = node->own_view.records;
        node->own_view.records = (struct hm_records){0};
        hm_view_fini(&node->own_view);
        node->own_view = (struct hm_view){.cluster = digest->cluster,
                                          .epoch = digest->members_place.epoch,
                                          .history = digest->history,
                                          .index = digest->index,
                                          .members_position = digest->members_place.position,
                                          .records = records};
        hm_feed_start(&node->feeds[HM_FEED_MEMBERS], digest->members_place);
        hm_feed_set_history(&node->feeds[HM_FEED_MEMBERS], &digest->history);
    }
    for (uint32_t i = 0; i < digest->members_count; i++) {
        if (!control) {
            hm_members_put(&node->own_view.members, &digest->members[i]);
        }
        if (!hm_id_equal(&digest->members[i].id, &node->id)) {
            hm_node_add_peer(node, &digest->members[i]);
        }
    }
    hm_node_keep_identity(node);
    node->phase = HM_PHASE_ADOPTING;
}

void hm_node_become_member(struct hm_node *node)
{
    node->phase = HM_PHASE_MEMBER;
    node->joining.found_at = HM_NEVER;
    hm_node_log(node, HM_LOG_INFO, "member", "name=%s cluster=%016llx members=%zu",
                node->config.name.text, (unsigned long long)node->cluster,
                hm_slice_count(&node->slice));
    node->report_at = node->now;
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

void hm_node_send_digest(struct hm_node *node, const struct hm_peer *joiner, uint64_t call,
                         enum hm_status status, const char *reason)
{
    struct hm_message message = {.kind = HM_MSG_joined};
    struct hm_joined *digest = &message.joined;
    *digest = (struct hm_joined){.call = call,
                                 .status = (uint16_t)status,
                                 .reason = hm_bytes_of_text(reason),
                                 .cluster = node->cluster,
                                 .generation = node->generation,
                                 .history = node->view->history};
    struct hm_arena arena = {0};
    if (status == HM_OK) {
        const struct hm_members *members = &node->view->members;
        digest->members_place = hm_node_place(node, HM_FEED_MEMBERS);
        digest->state_place = hm_node_place(node, HM_FEED_STATE);
        digest->index = node->view->index;
        digest->members = hm_arena_alloc(&arena, members->count, sizeof *digest->members);
        for (size_t i = 0; i < members->count && i < 16384; i++) {
            digest->members[digest->members_count++] = *members->items[i];
        }
    }
    hm_node_send(node, joiner, &message);
    hm_arena_fini(&arena);
}

/* Not the leader: the join goes on to a control node, and the answer comes straight from there. */
static void pass_on(struct hm_node *node, const struct hm_join *join, const struct hm_peer *joiner)
{
    struct hm_peer control;
    struct hm_message message = {.kind = HM_MSG_join, .join = *join};
    message.join.hops++;
    if (join->hops >= HOPS_MAX || !hm_node_pick_control(node, join->hops, &control)) {
        hm_node_send_digest(node, joiner, join->call, HM_NO_QUORUM,
                            "the control plane has no leader; nobody can be let in");
        return;
    }
    hm_node_send(node, &control, &message);
}

/* A restart with its disk while still a member is no join: any member can answer it, with or
 * without a quorum, as long as the log need not learn anything. */
static bool is_unchanged_member(const struct hm_node *node, const struct hm_join *join)
{
    const struct hm_member *asker = &join->member;
    const struct hm_member *known = hm_members_find(&node->view->members, &asker->id);
    bool same = known && join->cluster == node->cluster && known->boot <= asker->boot &&
                hm_addr_equal(&known->addr, &asker->addr) &&
                hm_name_equal(&known->name, &asker->name) &&
                known->roles_count == asker->roles_count && known->feature == asker->feature &&
                known->feeds == asker->feeds;
    for (uint32_t i = 0; same && i < known->roles_count; i++) {
        same = hm_name_equal(&known->roles[i].name, &asker->roles[i].name);
    }
    return same;
}

void hm_node_on_join(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_join *join = &request->message->join;
    struct hm_peer joiner = {join->member.id, join->member.addr};
    /* A digest answers, from the leader, not from here. */
    hm_node_close_request(node, request->token);
    if (hm_id_equal(&joiner.id, &node->id) || hm_addr_is_none(&joiner.addr)) {
        return;
    }
    /* A leader that was removed itself still lets others in: there is nobody else who could. */
    bool serves = node->phase == HM_PHASE_MEMBER || hm_node_is_leader(node);
    if (!serves || node->cluster == 0) {
        hm_node_send_digest(node, &joiner, join->call, HM_NOT_READY, "not a member itself yet");
        return;
    }
    if (!node->config.serve_joins && join->hops == 0) {
        hm_node_send_digest(node, &joiner, join->call, HM_DENIED,
                            "this node does not serve joins (serve_joins: false)");
        return;
    }
    if (hm_node_may_join(node, &request->from, join) != HM_OK) {
        hm_node_send_digest(node, &joiner, join->call, HM_DENIED, "not asked for by the joiner");
        return;
    }
    if (is_unchanged_member(node, join)) {
        hm_node_send_digest(node, &joiner, join->call, HM_OK, "");
        return;
    }
    struct hm_buf body = {0};
    hm_message_encode(&body, &(struct hm_message){.kind = HM_MSG_request_join,
                                                  .request_join = {.member = join->member,
                                                                   .cluster = join->cluster}});
    struct hm_pending pending = {
        .session = joiner.id, .call = join->call, .joiner = joiner, .is_join = true};
    enum hm_status status = hm_node_propose(node, &joiner.id, 0, hm_buf_view(&body), &pending);
    hm_buf_fini(&body);
    if (status == HM_OK && hm_plant("join_before_commit")) {
        hm_node_send_digest(node, &joiner, join->call, HM_OK, "");
    }
    if (status == HM_NOT_LEADER) {
        pass_on(node, join, &joiner);
    } else if (status != HM_OK) {
        hm_node_send_digest(node, &joiner, join->call, status, hm_status_text(status));
    }
}
