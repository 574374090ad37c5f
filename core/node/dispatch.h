/* What arrives finds its handler. */
#ifndef HM_NODE_DISPATCH_H
#define HM_NODE_DISPATCH_H

#include "core/node/desk/inside.h"

void hm_node_deliver(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_deliver_mail(struct hm_node *node);

#endif
