/* What a joiner is handed: its slice, the nodes of the roles that it wants, and where the feeds
 * are. */
#include "core/node/control/digest.h"

#include "core/node/desk/acts.h"

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

static void fill_digest(const struct hm_node *node, const struct hm_join *join,
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
    digest->members_place = hm_feed_place(&node->feeds[HM_FEED_MEMBERS]);
    digest->state_place = hm_feed_place(&node->feeds[HM_FEED_STATE]);
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
        fill_digest(node, join, &arena, digest);
    }
    hm_node_send(node, &(struct hm_peer){join->member.id, join->member.addr}, &message);
    hm_arena_fini(&arena);
}
