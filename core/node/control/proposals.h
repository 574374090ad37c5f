/* Requests on their way into the event log. */
#ifndef HM_NODE_PROPOSALS_H
#define HM_NODE_PROPOSALS_H

#include "core/node/desk/inside.h"

/* Whom a request answers that waits in the log for its commit. */
struct hm_pending {
    uint64_t token; /* what the log calls it */
    struct hm_id session;
    uint64_t call;         /* of joins: their batch */
    struct hm_peer joiner; /* where the session is reached */
    bool is_join;
};

/* All zero is a valid empty one. */
struct hm_proposals {
    uint64_t next_token;
    struct hm_pending *pending; /* by rising token */
    size_t pending_count;
    size_t pending_capacity;
};

/* Into the event log, on the leader; HM_NOT_LEADER and so on where not. */
HM_MUST_USE enum hm_status hm_node_propose(struct hm_node *node, const struct hm_id *session,
                                           uint64_t seq, struct hm_bytes request,
                                           struct hm_pending *pending);
/* Whom the log's answer is for; false: nobody waits for it here. */
bool hm_node_take_pending(struct hm_node *node, uint64_t token, struct hm_pending *out);
void hm_node_on_submit(struct hm_node *node, const struct hm_request *request);

#endif
