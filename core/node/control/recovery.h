/* Generations of the event log: one survivor goes on, the others are fenced. */
#ifndef HM_NODE_RECOVERY_H
#define HM_NODE_RECOVERY_H

#include "core/node/desk/inside.h"

/* All zero is a valid one. */
struct hm_recovery {
    hm_ms tell_at;       /* next time that those who were left behind are told */
    uint64_t token;      /* of the command whose recovery is not durable yet; 0: none */
    uint64_t index;      /* Raft index of its last entry in the event log */
    struct hm_buf reply; /* encoded */
};

/* Somebody of our cluster spoke of another generation. A control node whose log is not the newest
 * is fenced; any other node bootstraps anew. */
void hm_node_meet_generation(struct hm_node *node, const struct hm_peer *from, uint64_t generation);
/* On the leader, from time to time. */
void hm_node_tell_generation(struct hm_node *node);
/* At the start: what file `fenced` says. */
void hm_node_recall_fence(struct hm_node *node, struct hm_bytes content);
void hm_node_on_recover(struct hm_node *node, const struct hm_request *request);
/* Answers a recovery that has become durable, or cannot. */
void hm_node_pump_recovery(struct hm_node *node);
void hm_node_on_rejoin(struct hm_node *node, const struct hm_request *request);

#endif
