/* Getting in: whom a joiner asks, and what it makes of the answers. */
#include "core/node/member/joining.h"

#include "core/base/plant.h"
#include "core/node/consumer/consumer.h"
#include "core/node/control/control.h"
#include "core/node/control/proposals.h"
#include "core/node/control/recovery.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/roles.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/member/slices.h"

#define BACKOFF_MOST_MS 5000u
#define ANSWER_MS       1000u /* an address that has not answered by then is passed over */
#define WANTED_MAX      32u

uint64_t hm_node_send_join(struct hm_node *node, const struct hm_peer *to)
{
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_label wanted[WANTED_MAX];
    struct hm_message join = {.kind = HM_MSG_join,
                              .join = {.call = ++node->calls.last_id,
                                       .member = hm_node_own_member(node, roles),
                                       .cluster = node->cluster,
                                       .seq = hm_node_begin_session(node),
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
                                                     .cluster = node->cluster,
                                                     .seq = hm_node_begin_session(node)}});
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
    node->slices->fresh_at = HM_NEVER;
    if (node->consumes) {
        hm_node_start_bootstrap(node);
    } else {
        node->bootstrap->done = true;
        node->stale = false;
    }
    /* A consumer that has not bootstrapped knows nothing yet, and says nothing. */
    if (node->bootstrap->done) {
        hm_node_reload_catalog(node);
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

/* Who answers may know less than we did; what we know never goes back. */
static bool is_behind_us(const struct hm_node *node, const struct hm_joined *digest)
{
    struct hm_place ours = hm_feed_place(&node->feeds[HM_FEED_MEMBERS]);
    return digest->status == HM_OK && !node->is_control && digest->cluster == node->cluster &&
           hm_feed_is_ahead(ours, digest->members_place);
}

void hm_node_on_joined(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message)
{
    const struct hm_joined *digest = &message->joined;
    if (node->phase != HM_PHASE_JOINING || digest->call == 0 ||
        digest->call > node->calls.last_id) {
        return;
    }
    if (digest->status == HM_NOT_READY || digest->generation >> 32 < node->met >> 32 ||
        is_behind_us(node, digest)) {
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
    /* To a control node the leader has the last word, where it has heard of one: it alone is
     * believed. A learner that the leader no longer counts hears nothing else from it. */
    struct hm_id leader =
        node->control.raft ? hm_raft_leader(node->control.raft) : (struct hm_id){{0}};
    char addr[HM_ADDR_TEXT_BYTES];
    hm_node_log(node, HM_LOG_WARN, "refused",
                "by=%s status=%s their_cluster=%016llx our_cluster=%016llx reason=\"%.*s\"",
                hm_addr_format(&from->addr, addr), hm_status_name((enum hm_status)refusal->status),
                (unsigned long long)refusal->cluster, (unsigned long long)node->cluster,
                (int)refusal->reason.size, (const char *)refusal->reason.data);
    if (refusal->status == HM_REMOVED && refusal->cluster == node->cluster &&
        node->phase == HM_PHASE_MEMBER &&
        (hm_id_is_none(&leader) || hm_id_equal(&leader, &from->id))) {
        /* Perhaps the other is only behind: asking costs nothing and changes nothing then. */
        hm_node_begin_joining(node);
    } else if (refusal->cluster != 0) {
        heard_of_cluster(node);
    }
}
