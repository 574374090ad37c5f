/* Whom this node knows: its slice of the rings, the nodes of the roles that it needs, and on the
 * control plane everybody. Member events mend the slice; what they cannot mend is asked for. */
#include "core/node/member/slices.h"

#include "core/base/plant.h"
#include "core/node/consumer/keeping.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/roles.h"
#include "core/node/member/required.h"

#include <string.h>

/* ---- who is kept ---- */

static bool needs_role(const struct hm_node *node, const struct hm_member *member)
{
    size_t cursor = 0;
    for (const char *role; (role = hm_node_next_wanted_role(node, &cursor));) {
        if (hm_member_has_role(member, role)) {
            return true;
        }
    }
    return false;
}

/* Is it of use here whatever its place on the rings? Those who carry feed state, which are few,
 * know each other. */
static bool is_needed(const struct hm_node *node, const struct hm_member *member)
{
    return node->is_control || hm_id_equal(&member->id, &node->id) || needs_role(node, member) ||
           (node->carries_state && (member->feeds & HM_MEMBER_CARRIES_STATE));
}

/* Forgets the members that neither the slice nor a role has use for. */
static void forget_useless(struct hm_node *node)
{
    struct hm_members *members = &node->own_view.members;
    for (size_t i = node->is_control ? 0 : members->count; i > 0; i--) {
        const struct hm_member *member = members->items[i - 1];
        if (!hm_slice_holds(&node->slice, &member->id) && !is_needed(node, member)) {
            hm_members_remove(members, &member->id);
        }
    }
}

static void admit(struct hm_node *node, const struct hm_id *id)
{
    if (node->consumes && hm_members_find(&node->view->members, id)) {
        hm_reconcile_admit(&node->reconcile, node->now, id);
    }
}

/* ---- events ---- */

bool hm_node_member_came(struct hm_node *node, const struct hm_member *member, bool joined)
{
    struct hm_peer peer = {member->id, member->addr};
    bool needed = is_needed(node, member);
    if (joined) {
        hm_swim_forget(&node->swim, node->now, &member->id);
    }
    bool changed =
        joined ? hm_slice_join(&node->slice, node->now, &peer) : hm_slice_move(&node->slice, &peer);
    if (changed) {
        forget_useless(node);
    } else if (!needed && !hm_slice_holds(&node->slice, &member->id)) {
        hm_members_remove(&node->own_view.members, &member->id);
        return false;
    }
    admit(node, &member->id);
    node->slices->changed =
        node->slices->changed || changed || member->feeds || needs_role(node, member);
    return true;
}

void hm_node_member_went(struct hm_node *node, const struct hm_id *id)
{
    hm_slice_leave(&node->slice, node->now, id);
    if (node->consumes) {
        hm_reconcile_forget(&node->reconcile, id);
    }
    node->slices->changed = true;
}

void hm_node_slice_reach(struct hm_node *node, uint64_t position)
{
    if (hm_slice_reach(&node->slice, node->now, position)) {
        forget_useless(node);
        node->slices->changed = true;
    }
}

/* ---- all at once ---- */

static void start_slice(struct hm_node *node, const struct hm_members *members, bool whole)
{
    struct hm_peer *peers = hm_alloc(members->count, sizeof *peers);
    for (size_t i = 0; i < members->count; i++) {
        peers[i] = (struct hm_peer){members->items[i]->id, members->items[i]->addr};
    }
    bool in = hm_members_find(members, &node->id) != NULL;
    hm_slice_start(&node->slice, node->now, node->view->members_position,
                   node->view->total - (in && node->view->total > 0), peers, members->count, whole);
    hm_free(peers);
}

/* The control plane has the rings of all: what its own slice misses is looked up. */
static void look_up_slice(struct hm_node *node)
{
    const struct hm_members *members = &node->view->members;
    uint32_t numbers[HM_RINGS_SLICE_MAX];
    struct hm_peer peers[HM_RINGS_SLICE_MAX];
    size_t count = hm_rings_slice(&members->rings, &node->id, numbers);
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_at(members, numbers[i]);
        peers[i] = (struct hm_peer){member->id, member->addr};
    }
    bool in = hm_members_find(members, &node->id) != NULL;
    hm_slice_start(&node->slice, node->now, node->view->members_position,
                   members->count - (size_t)in, peers, count, true);
}

void hm_node_reload_slice(struct hm_node *node)
{
    if (node->is_control) {
        look_up_slice(node);
    }
    for (size_t i = 0; node->consumes && i < node->view->members.count; i++) {
        hm_reconcile_admit(&node->reconcile, node->now, &node->view->members.items[i]->id);
    }
    node->slices->changed = true;
}

/* Those who went while this node was not told of it. */
static void forget_absent(struct hm_node *node, const struct hm_id *before, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!hm_members_find(&node->view->members, &before[i])) {
            hm_reconcile_forget(&node->reconcile, &before[i]);
        }
    }
}

void hm_node_take_digest(struct hm_node *node, const struct hm_joined *digest)
{
    struct hm_view *view = &node->own_view;
    struct hm_records records = view->records;
    size_t before_count = view->members.count;
    struct hm_id *before = hm_alloc(before_count, sizeof *before);
    for (size_t i = 0; i < before_count; i++) {
        before[i] = view->members.items[i]->id;
    }
    uint64_t state_position = view->state_position;
    view->records = (struct hm_records){0};
    hm_view_clear(view);
    *view = (struct hm_view){.cluster = digest->cluster,
                             .epoch = digest->members_place.epoch,
                             .history = digest->history,
                             .index = digest->index,
                             .members_position = digest->members_place.position,
                             .state_position = state_position,
                             .total = digest->total,
                             .members = view->members,
                             .records = records};
    for (uint32_t i = 0; i < digest->members_count; i++) {
        hm_members_put(&view->members, &digest->members[i]);
    }
    if (node->consumes && digest->whole) { /* others do not know all hosts */
        forget_absent(node, before, before_count);
    }
    hm_free(before);
    start_slice(node, &view->members, digest->whole);
    forget_useless(node);
    hm_feed_start(&node->feeds[HM_FEED_MEMBERS], digest->members_place);
    hm_feed_set_history(&node->feeds[HM_FEED_MEMBERS], &digest->history);
    hm_node_reload_slice(node);
}

/* ---- what engines are told ---- */

/* The other consumers, with whom pushed configs are reconciled; and those whom we push to. */
static void refresh_consumers(struct hm_node *node)
{
    const struct hm_members *members = &node->view->members;
    struct hm_peer *peers = NULL;
    if (node->consumes) {
        peers = hm_alloc(members->state_rings.count, sizeof *peers);
        size_t count = hm_node_consumers(node, &node->id, peers, members->state_rings.count);
        hm_reconcile_set_peers(&node->reconcile, peers, count);
    }
    size_t cursor = 0;
    size_t role_number = 0;
    for (const char *role; (role = hm_node_next_bootstrap_role(node, &cursor)); role_number++) {
        size_t count = hm_members_count_role(members, role);
        peers = hm_resize(peers, count, sizeof *peers);
        hm_node_peers_with_role(node, role, peers, count);
        hm_push_set_consumers(&node->pusher, node->now, role_number, peers, count);
    }
    hm_free(peers);
    hm_node_refresh_keepers(node);
}

/* All who carry feed state know each other: they are few. Its links are of their own rings. */
static void refresh_state_links(struct hm_node *node)
{
    const struct hm_members *members = &node->view->members;
    struct hm_peer peers[2 * HM_RINGS_MAX];
    size_t count = 0;
    for (uint32_t side = 0; side < 2 * node->config.rings; side++) {
        uint32_t number;
        if (hm_rings_beside(&members->state_rings, side / 2, &node->id, side % 2 == 0, &number,
                            1) == 0) {
            continue;
        }
        const struct hm_member *member = hm_members_at(members, number);
        size_t at = 0;
        while (at < count && !hm_id_equal(&peers[at].id, &member->id)) {
            at++;
        }
        if (at == count) {
            peers[count++] = (struct hm_peer){member->id, member->addr};
        }
    }
    hm_feed_set_neighbours(&node->feeds[HM_FEED_STATE], peers, count);
}

static bool is_held(const struct hm_addr *held, const struct hm_addr *addr)
{
    for (size_t i = 0; i < HM_NODE_HELD; i++) {
        if (hm_addr_equal(&held[i], addr)) {
            return true;
        }
    }
    return false;
}

/* A process that ends closes its streams: those whose other end we hold tell at once what the next
 * probe would tell. Every node is held by its predecessors on the first rings. */
static void hold_subjects(struct hm_node *node)
{
    struct hm_addr wanted[HM_NODE_HELD] = {{0}};
    struct hm_peer peers[HM_RINGS_DEPTH];
    for (uint32_t ring = 0; ring < HM_NODE_HELD && ring < node->config.rings; ring++) {
        if (hm_slice_beside(&node->slice, ring, true, peers) > 0) {
            wanted[ring] = peers[0].addr;
        }
    }
    for (size_t i = 0; i < HM_NODE_HELD; i++) {
        bool spare = !is_held(wanted, &node->slices->held[i]) || hm_plant("lets_go_of_a_subject");
        if (!hm_addr_is_none(&node->slices->held[i]) && spare && !hm_plant("never_lets_go")) {
            hm_node_act(node, &(struct hm_act){.kind = HM_ACT_HOLD, .addr = node->slices->held[i]});
        }
        if (!hm_addr_is_none(&wanted[i]) && !is_held(node->slices->held, &wanted[i])) {
            hm_node_act(node,
                        &(struct hm_act){.kind = HM_ACT_HOLD, .addr = wanted[i], .hold = true});
        }
    }
    memcpy(node->slices->held, wanted, sizeof wanted);
}

void hm_node_refresh_slices(struct hm_node *node)
{
    struct hm_peer peers[2 * HM_RINGS_MAX];
    if (!node->slices->changed) {
        return;
    }
    node->slices->changed = false;
    hm_node_look_for_required(node);
    if (node->is_control && node->view->cluster &&
        (!node->slice.started || !hm_slice_is_whole(&node->slice))) {
        look_up_slice(node);
    }
    size_t count = hm_slice_subjects(&node->slice, peers);
    hm_swim_watch(&node->swim, node->now, peers, count);
    count = hm_slice_neighbours(&node->slice, peers);
    hm_swim_set_helpers(&node->swim, peers, count);
    hm_feed_set_neighbours(&node->feeds[HM_FEED_MEMBERS], peers, count);
    hold_subjects(node);
    if (node->carries_state) {
        refresh_state_links(node);
    }
    refresh_consumers(node);
}

/* ---- gaps ---- */

void hm_node_on_slice(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message)
{
    if (node->is_control && message->kind == HM_MSG_slice_tell) {
        return; /* it looks things up */
    }
    if (message->kind == HM_MSG_slice_tell) {
        /* For their names; those that do not come in are forgotten again. Who is behind us may name
         * some that have gone. */
        bool behind = message->slice_tell.position < node->view->members_position;
        for (uint32_t i = 0; i < message->slice_tell.members_count && !behind; i++) {
            const struct hm_member *member = &message->slice_tell.members[i];
            if (!hm_members_find(&node->view->members, &member->id)) {
                hm_members_put(&node->own_view.members, member);
            }
        }
        bool changed = hm_slice_input(&node->slice, node->now, from, message);
        node->slices->changed = node->slices->changed || changed;
        forget_useless(node);
        return;
    }
    const struct hm_slice_ask *ask = &message->slice_ask;
    struct hm_peer peers[HM_RINGS_DEPTH];
    struct hm_member members[HM_RINGS_DEPTH];
    struct hm_message tell = {.kind = HM_MSG_slice_tell,
                              .slice_tell = {.ring = ask->ring,
                                             .forward = ask->forward,
                                             .position = node->slice.position,
                                             .members = members}};
    if (ask->ring >= node->config.rings || node->slice.position < ask->position) {
        return; /* it asks again, and then we may be as far */
    }
    size_t count = hm_slice_beside(&node->slice, ask->ring, ask->forward, peers);
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_find(&node->view->members, &peers[i].id);
        if (!member) {
            break;
        }
        members[tell.slice_tell.members_count++] = *member;
    }
    hm_node_send(node, from, &tell);
}

void hm_node_pump_slice(struct hm_node *node)
{
    struct hm_effect effect;
    while (hm_slice_output(&node->slice, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            hm_node_send_bytes(node, &effect.peer, effect.message);
        } else if (effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_SLICE_LOST) {
            hm_node_want_fresh_slice(node);
        }
    }
}

/* ---- a fresh slice ---- */

void hm_node_want_fresh_slice(struct hm_node *node)
{
    if (!node->is_control && node->slices->fresh_at == HM_NEVER && node->phase == HM_PHASE_MEMBER) {
        node->slices->fresh_tries = 0;
        node->slices->fresh_at = node->now;
    }
}
