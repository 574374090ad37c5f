/* Where a node stands: its phase, and the generation of the log that it goes by; and what is told
 * to those who stand elsewhere. */
#include "core/node/desk/standing.h"

#include "core/base/plant.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/inside.h"

#define BACKOFF_FIRST_MS 100u
#define REFUSE_EVERY_MS  1000u

void hm_node_begin_joining(struct hm_node *node)
{
    node->phase = HM_PHASE_JOINING;
    node->joining.ask_at = node->now;
    node->joining.backoff_ms = BACKOFF_FIRST_MS;
    node->joining.hurried = 0;
    node->joining.call = 0;
}

uint64_t hm_node_mark(const struct hm_node *node)
{
    if (hm_plant("old_generation_counts")) {
        return node->cluster;
    }
    uint64_t mark = node->cluster ^ (node->generation * UINT64_C(0x9e3779b97f4a7c15));
    return mark ? mark : node->cluster; /* 0 is a node that is of no cluster */
}

void hm_node_take_generation(struct hm_node *node, uint64_t generation)
{
    node->generation = generation;
    hm_node_act(node, &(struct hm_act){.kind = HM_ACT_CLUSTER, .number = hm_node_mark(node)});
}

uint64_t hm_node_generation(const struct hm_node *node)
{
    return node->generation;
}

bool hm_node_is_fenced(const struct hm_node *node)
{
    return node->phase == HM_PHASE_FENCED;
}

const char *hm_node_fence_text(void)
{
    return "the control plane was recovered without this node, which serves nothing any more; "
           "`hivemind control rejoin` here puts its control data aside and joins";
}

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
