/* The feeds, as this node follows them and passes them on. */
#ifndef HM_NODE_FEEDS_H
#define HM_NODE_FEEDS_H

#include "core/node/desk/inside.h"

void hm_node_on_feed(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_pump_feeds(struct hm_node *node);

#endif
