/* What arrives finds its handler. */
#ifndef HM_NODE_DISPATCH_H
#define HM_NODE_DISPATCH_H

#include "core/node/desk/inside.h"

/* What becomes of this node's own calls, by kind. */
extern const struct hm_call_hooks hm_node_call_hooks[HM_CALL_KIND_COUNT];

void hm_node_deliver(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_deliver_mail(struct hm_node *node);

#endif
