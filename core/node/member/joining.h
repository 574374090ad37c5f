/* Getting in. */
#ifndef HM_NODE_JOINING_H
#define HM_NODE_JOINING_H

#include "core/node/desk/inside.h"

/* Asks for a digest; returns the call. */
uint64_t hm_node_send_join(struct hm_node *node, const struct hm_peer *to);
void hm_node_tick_joining(struct hm_node *node);
void hm_node_on_joined(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message);
void hm_node_on_refusal(struct hm_node *node, const struct hm_peer *from,
                        const struct hm_message *message);
void hm_node_become_member(struct hm_node *node);
/* The stream to this address broke: if it was asked last, another is asked. */
void hm_node_join_peer_lost(struct hm_node *node, const struct hm_addr *addr);

#endif
