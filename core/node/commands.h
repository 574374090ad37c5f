/* Commands about the node and the cluster. */
#ifndef HM_NODE_COMMANDS_H
#define HM_NODE_COMMANDS_H

#include "core/node/desk/inside.h"

struct hm_event_wait; /* somebody waits for an event */

/* All zero is a valid empty one. */
struct hm_commands {
    struct hm_event_wait *event_waits;
    size_t event_wait_count;
    size_t event_wait_capacity;
    uint64_t leave_token;
};

void hm_node_on_status_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_members_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_services_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_events_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_leave(struct hm_node *node, const struct hm_request *request);
/* Hooks of HM_CALL_LEAVE. */
void hm_node_leave_submitted(struct hm_node *node, const struct hm_call *call,
                             const struct hm_submitted *answer);
void hm_node_leave_expired(struct hm_node *node, const struct hm_call *call);
void hm_node_answer_event_waits(struct hm_node *node);
hm_ms hm_node_event_waits_deadline(const struct hm_node *node);

#endif
