/* A fresh slice: asked of the control plane when member events cannot mend the one that is here. */
#include "core/node/member/fresh.h"

#include "core/node/consumer/consumer.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/standing.h"
#include "core/node/host/host.h"
#include "core/node/member/joining.h"
#include "core/node/member/slices.h"

#define FRESH_AGAIN_MS 500u
#define FRESH_TRIES    6u /* then it joins again, which asks more than the control plane */

void hm_node_tick_fresh_slice(struct hm_node *node)
{
    struct hm_peer control;
    if (node->now < node->slices->fresh_at || node->phase != HM_PHASE_MEMBER) {
        return;
    }
    if (node->slices->fresh_tries++ >= FRESH_TRIES) {
        node->slices->fresh_at = HM_NEVER;
        hm_node_begin_joining(node);
        return;
    }
    node->slices->fresh_at =
        node->now + FRESH_AGAIN_MS + hm_random_below(&node->random, FRESH_AGAIN_MS);
    if (hm_node_pick_control(node, 0, &control)) {
        node->slices->fresh_call = hm_node_send_join(node, &control);
    }
}

/* What the control plane says now takes the place of what this node knew, unless it is older. It
 * may have let us in anew, if we were out. */
bool hm_node_on_fresh_slice(struct hm_node *node, const struct hm_joined *digest)
{
    if (node->phase != HM_PHASE_MEMBER || node->slices->fresh_at == HM_NEVER ||
        digest->call != node->slices->fresh_call || digest->status != HM_OK || !digest->whole ||
        digest->cluster != node->cluster ||
        digest->members_place.position < node->view->members_position) {
        return false;
    }
    const struct hm_member *own = hm_members_find(&node->view->members, &node->id);
    uint64_t joined = own ? own->joined : 0;
    node->slices->fresh_at = HM_NEVER;
    hm_node_take_digest(node, digest);
    own = hm_members_find(&node->view->members, &node->id);
    if (own && own->joined != joined) {
        hm_node_republish(node);
    }
    if (node->bootstrap->done) {
        hm_node_reload_catalog(node);
    }
    return true;
}
