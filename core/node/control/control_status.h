/* How the control plane is, for people. */
#ifndef HM_NODE_CONTROL_STATUS_H
#define HM_NODE_CONTROL_STATUS_H

#include "core/node/desk/inside.h"

void hm_node_on_control_query(struct hm_node *node, const struct hm_request *request);
/* A voter or learner of the event log, for people. */
struct hm_control_node hm_node_describe_voter(const struct hm_node *node,
                                              const struct hm_voter *voter);
/* How the disk of a control node is. */
const char *hm_node_disk_text(const struct hm_node *node);

#endif
