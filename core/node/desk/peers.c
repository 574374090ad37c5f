/* Who is reached where, and who is to be asked: as the members and the logs of this node say. */
#include "core/node/desk/peers.h"

#define PEERS_MAX 64u

struct hm_member hm_node_own_member(const struct hm_node *node, struct hm_label *roles)
{
    struct hm_member member = {.id = node->id,
                               .name = node->config.name,
                               .addr = node->config.addr,
                               .roles = roles,
                               .roles_count = (uint32_t)node->config.role_count,
                               .boot = node->boot,
                               .feature = node->config.feature};
    for (size_t i = 0; i < node->config.role_count; i++) {
        roles[i].name = node->config.roles[i];
    }
    member.feeds = (uint8_t)((node->carries_state ? HM_MEMBER_CARRIES_STATE : 0) |
                             (node->consumes ? HM_MEMBER_CONSUMES : 0));
    return member;
}

size_t hm_node_peers_with_role(const struct hm_node *node, const char *role, struct hm_peer *out,
                               size_t most)
{
    struct hm_members_walk walk = {0};
    const struct hm_member *member;
    size_t count = 0;
    while (count < most && (member = hm_members_next(&node->view->members, role, &walk))) {
        out[count++] = (struct hm_peer){member->id, member->addr};
    }
    return count;
}

bool hm_node_find_peer(const struct hm_node *node, const struct hm_id *id, struct hm_peer *out)
{
    const struct hm_member *member = hm_members_find(&node->view->members, id);
    if (member) {
        *out = (struct hm_peer){member->id, member->addr};
        return true;
    }
    size_t count = 0;
    const struct hm_voter *voters =
        node->control.raft ? hm_raft_voters(node->control.raft, &count) : NULL;
    for (size_t i = 0; i < count; i++) { /* before the log has come */
        if (hm_id_equal(&voters[i].id, id) && !hm_addr_is_none(&voters[i].addr)) {
            *out = (struct hm_peer){voters[i].id, voters[i].addr};
            return true;
        }
    }
    return false;
}

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

/* The leader as a node of the control plane knows it; one that has fallen silent is none. */
bool hm_node_find_leader(const struct hm_node *node, struct hm_peer *out)
{
    struct hm_id leader = hm_raft_leader(node->control.raft);
    return hm_raft_has_quorum(node->control.raft, node->now) && !hm_id_is_none(&leader) &&
           hm_node_find_peer(node, &leader, out);
}

/* Its observers would not ask it. */
static bool is_doubtful(const struct hm_node *node, const struct hm_id *id)
{
    enum hm_swim_state state = hm_swim_state(&node->swim, id);
    return state == HM_SWIM_STATE_SUSPECT || state == HM_SWIM_STATE_STOPPING ||
           state == HM_SWIM_STATE_GONE;
}

bool hm_node_pick_control(struct hm_node *node, uint32_t attempt, struct hm_peer *out)
{
    if (node->control.raft && hm_node_find_leader(node, out)) {
        return true;
    }
    return hm_node_pick_with_role(node, "control", attempt, out);
}

bool hm_node_pick_with_role(struct hm_node *node, const char *role, uint32_t attempt,
                            struct hm_peer *out)
{
    struct hm_peer peers[PEERS_MAX];
    size_t count = hm_node_peers_with_role(node, role, peers, PEERS_MAX);
    size_t start = attempt ? attempt : (size_t)hm_random_below(&node->random, PEERS_MAX);
    /* At first only those in good health, then whoever there is. */
    for (size_t i = 0; i < 2 * count; i++) {
        *out = peers[(start + i) % count];
        if (!hm_id_equal(&out->id, &node->id) && (i >= count || !is_doubtful(node, &out->id))) {
            return true;
        }
    }
    return false;
}
