/* An event was applied to the view: who follows. */
#ifndef HM_NODE_EVENTS_H
#define HM_NODE_EVENTS_H

#include "core/node/desk/inside.h"

/* An event was applied to the view: engines and catalog follow. */
void hm_node_on_event(struct hm_node *node, const struct hm_event *event);
/* The view of a control node was replaced by a snapshot. */
void hm_node_on_replaced(struct hm_node *node);
/* This node is fenced: its roles are told. */
void hm_node_on_fenced(struct hm_node *node);

#endif
