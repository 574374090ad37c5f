/* Whom this node knows: its slice of the rings, the nodes of the roles that it needs, and on the
 * control plane everybody. Member events mend the slice; what they cannot mend is asked for. */
#include "core/node/internal.h"

#define FRESH_AGAIN_MS 500u
#define FRESH_TRIES    6u /* then it joins again, which asks more than the control plane */

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
    bool changed =
        joined ? hm_slice_join(&node->slice, node->now, &peer) : hm_slice_move(&node->slice, &peer);
    if (changed) {
        forget_useless(node);
    } else if (!needed && !hm_slice_holds(&node->slice, &member->id)) {
        hm_members_remove(&node->own_view.members, &member->id);
        return false;
    }
    admit(node, &member->id);
    node->slice_changed =
        node->slice_changed || changed || member->feeds || needs_role(node, member);
    return true;
}

void hm_node_member_went(struct hm_node *node, const struct hm_id *id)
{
    hm_slice_leave(&node->slice, node->now, id);
    if (node->consumes) {
        hm_reconcile_forget(&node->reconcile, id);
    }
    node->slice_changed = true;
}

void hm_node_slice_reach(struct hm_node *node, uint64_t position)
{
    if (hm_slice_reach(&node->slice, node->now, position)) {
        forget_useless(node);
        node->slice_changed = true;
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
    node->slice_changed = true;
}

void hm_node_take_digest(struct hm_node *node, const struct hm_joined *digest)
{
    struct hm_view *view = &node->own_view;
    struct hm_records records = view->records;
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
    start_slice(node, &view->members, digest->whole);
    forget_useless(node);
    hm_feed_start(&node->feeds[HM_FEED_MEMBERS], digest->members_place);
    hm_feed_set_history(&node->feeds[HM_FEED_MEMBERS], &digest->history);
    hm_node_reload_slice(node);
}

/* ---- the digest, for others ---- */

static bool is_in(const struct hm_joined *digest, const struct hm_id *id)
{
    for (uint32_t i = 0; i < digest->members_count; i++) {
        if (hm_id_equal(&digest->members[i].id, id)) {
            return true;
        }
    }
    return false;
}

static bool has_one_of(const struct hm_member *member, const struct hm_label *roles, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hm_member_has_role(member, roles[i].name.text)) {
            return true;
        }
    }
    return false;
}

void hm_node_fill_digest(const struct hm_node *node, const struct hm_join *join,
                         struct hm_arena *arena, struct hm_joined *digest)
{
    const struct hm_members *members = &node->view->members;
    uint32_t *numbers =
        hm_arena_alloc(arena, HM_RINGS_SLICE_MAX + members->state_rings.count, sizeof *numbers);
    size_t count =
        node->is_control ? hm_rings_slice(&members->rings, &join->member.id, numbers) : 0;
    if (join->member.feeds & HM_MEMBER_CARRIES_STATE) {
        count += hm_rings_beside(&members->state_rings, 0, &join->member.id, true, numbers + count,
                                 members->state_rings.count);
    }
    const struct hm_member *own = hm_members_find(members, &join->member.id);
    digest->members_place = hm_node_place(node, HM_FEED_MEMBERS);
    digest->state_place = hm_node_place(node, HM_FEED_STATE);
    digest->index = node->view->index;
    digest->total = node->view->total;
    digest->whole = node->is_control;
    size_t most = count + 1;
    for (uint32_t i = 0; i < join->wanted_count; i++) {
        most += hm_members_count_role(members, join->wanted[i].name.text);
    }
    digest->members = hm_arena_alloc(arena, most, sizeof *digest->members);
    if (own) {
        digest->members[digest->members_count++] = *own;
    }
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_at(members, numbers[i]);
        if (!is_in(digest, &member->id)) {
            digest->members[digest->members_count++] = *member;
        }
    }
    struct hm_joined slice = *digest;
    for (uint32_t i = 0; i < join->wanted_count; i++) {
        struct hm_members_walk walk = {0};
        const struct hm_member *member;
        while ((member = hm_members_next(members, join->wanted[i].name.text, &walk))) {
            if (!has_one_of(member, join->wanted, i) && !is_in(&slice, &member->id)) {
                digest->members[digest->members_count++] = *member;
            }
        }
    }
}

/* ---- what engines are told ---- */

size_t hm_node_consumers(const struct hm_node *node, const struct hm_id *behind,
                         struct hm_peer *out, size_t most)
{
    const struct hm_members *members = &node->view->members;
    size_t all = members->state_rings.count;
    uint32_t *numbers = hm_alloc(all, sizeof *numbers);
    size_t count = 0;
    all = hm_rings_beside(&members->state_rings, 0, behind, true, numbers, all);
    for (size_t i = 0; i < all && count < most; i++) {
        const struct hm_member *member = hm_members_at(members, numbers[i]);
        if (member->feeds & HM_MEMBER_CONSUMES) {
            out[count++] = (struct hm_peer){member->id, member->addr};
        }
    }
    hm_free(numbers);
    return count;
}

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

void hm_node_refresh_slices(struct hm_node *node)
{
    struct hm_peer peers[2 * HM_RINGS_MAX];
    if (!node->slice_changed) {
        return;
    }
    node->slice_changed = false;
    if (node->is_control && node->view->cluster &&
        (!node->slice.started || !hm_slice_is_whole(&node->slice))) {
        look_up_slice(node);
    }
    size_t count = hm_slice_subjects(&node->slice, peers);
    hm_swim_watch(&node->swim, node->now, peers, count);
    count = hm_slice_neighbours(&node->slice, peers);
    hm_swim_set_helpers(&node->swim, peers, count);
    hm_feed_set_neighbours(&node->feeds[HM_FEED_MEMBERS], peers, count);
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
        /* For their names; those that do not come in are forgotten again. */
        for (uint32_t i = 0; i < message->slice_tell.members_count; i++) {
            const struct hm_member *member = &message->slice_tell.members[i];
            if (!hm_members_find(&node->view->members, &member->id)) {
                hm_members_put(&node->own_view.members, member);
            }
        }
        bool changed = hm_slice_input(&node->slice, node->now, from, message);
        node->slice_changed = node->slice_changed || changed;
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
    if (!node->is_control && node->fresh.at == HM_NEVER && node->phase == HM_PHASE_MEMBER) {
        node->fresh.tries = 0;
        node->fresh.at = node->now;
    }
}

void hm_node_tick_fresh_slice(struct hm_node *node)
{
    struct hm_peer control;
    if (node->now < node->fresh.at || node->phase != HM_PHASE_MEMBER) {
        return;
    }
    if (node->fresh.tries++ >= FRESH_TRIES) {
        node->fresh.at = HM_NEVER;
        hm_node_begin_joining(node);
        return;
    }
    node->fresh.at = node->now + FRESH_AGAIN_MS + hm_random_below(&node->random, FRESH_AGAIN_MS);
    if (hm_node_pick_control(node, 0, &control)) {
        node->fresh.call = hm_node_send_join(node, &control);
    }
}

/* What the control plane says now takes the place of what this node knew, unless it is older. It
 * may have let us in anew, if we were out. */
bool hm_node_on_fresh_slice(struct hm_node *node, const struct hm_joined *digest)
{
    if (node->phase != HM_PHASE_MEMBER || node->fresh.at == HM_NEVER ||
        digest->call != node->fresh.call || digest->status != HM_OK || !digest->whole ||
        digest->cluster != node->cluster ||
        digest->members_place.position < node->view->members_position) {
        return false;
    }
    const struct hm_member *own = hm_members_find(&node->view->members, &node->id);
    uint64_t joined = own ? own->joined : 0;
    node->fresh.at = HM_NEVER;
    hm_node_take_digest(node, digest);
    own = hm_members_find(&node->view->members, &node->id);
    if (own && own->joined != joined) {
        hm_node_republish(node);
    }
    if (node->catalog && node->bootstrap.done) {
        hm_catalog_reload(node->catalog);
    }
    return true;
}
