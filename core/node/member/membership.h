/* Who is there, as this node follows it and watches its part of it. */
#ifndef HM_NODE_MEMBERSHIP_H
#define HM_NODE_MEMBERSHIP_H

#include "core/node/desk/inside.h"

/* What follows from an event about a member. */
void hm_node_on_member_came(struct hm_node *node, const struct hm_member *member, bool joined);
void hm_node_on_member_went(struct hm_node *node, const struct hm_id *id,
                            const struct hm_name *name, bool failed);
void hm_node_pump_swim(struct hm_node *node);
void hm_node_on_swim(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_repeat_reports(struct hm_node *node);
void hm_node_tell_stopping(struct hm_node *node);
void hm_node_check_ready(struct hm_node *node);

#endif
