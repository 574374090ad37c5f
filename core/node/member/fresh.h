/* A fresh slice, asked of the control plane. */
#ifndef HM_NODE_FRESH_H
#define HM_NODE_FRESH_H

#include "core/node/desk/inside.h"

void hm_node_tick_fresh_slice(struct hm_node *node);
/* True when it was an answer to that. */
bool hm_node_on_fresh_slice(struct hm_node *node, const struct hm_joined *digest);

#endif
