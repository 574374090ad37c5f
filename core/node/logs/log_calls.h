/* What the leader of a named log has to do, asked of any node. */
#ifndef HM_NODE_LOG_CALLS_H
#define HM_NODE_LOG_CALLS_H

#include "core/node/desk/inside.h"

/* A session of this node for named logs: at most 64 appends of it are on their way, so that
 * none falls out of the window whatever order they arrive in. */
struct hm_lane {
    struct hm_id session;
    uint64_t next_seq;
    uint64_t open; /* bit i: next_seq - 1 - i is on its way */
    hm_ms made_at;
};

/* Calls of kind HM_CALL_LOG. All zero is a valid empty one. */
struct hm_log_calls {
    size_t count;
    size_t bytes; /* in their messages */
    struct hm_lane *lanes;
    size_t lane_count;
    size_t lane_capacity;
};

void hm_node_on_log_call(struct hm_node *node, const struct hm_request *request);
/* Hooks of HM_CALL_LOG: does it here or sends it on; what another answered; its time is over. */
void hm_node_send_log_call(struct hm_node *node, struct hm_call *call);
void hm_node_log_call_answered(struct hm_node *node, struct hm_call *call,
                               const struct hm_message *answer);
void hm_node_log_call_expired(struct hm_node *node, const struct hm_call *call);
/* The call that a participant's ANSWER is about. */
void hm_node_log_outcome(struct hm_node *node, uint64_t call_id, const struct hm_outcome *outcome);

#endif
