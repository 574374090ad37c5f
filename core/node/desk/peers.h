/* Who is reached where, and who is to be asked. */
#ifndef HM_NODE_PEERS_H
#define HM_NODE_PEERS_H

#include "core/node/desk/inside.h"

/* Our own member record as it should be. `roles` has room for HM_NODE_ROLES_MAX. */
struct hm_member hm_node_own_member(const struct hm_node *node, struct hm_label *roles);
/* The members with a role, as peers; returns how many of them were written. */
size_t hm_node_peers_with_role(const struct hm_node *node, const char *role, struct hm_peer *out,
                               size_t most);
/* Where a node is reached: by its member record, or as it was last heard. False: unknown. */
bool hm_node_find_peer(const struct hm_node *node, const struct hm_id *id, struct hm_peer *out);
/* The consumers that this node knows, but not the given one, in an order that depends on it;
 * returns how many were written. */
size_t hm_node_consumers(const struct hm_node *node, const struct hm_id *behind,
                         struct hm_peer *out, size_t most);
/* The leader as a node of the control plane knows it; one that has fallen silent is none. */
bool hm_node_find_leader(const struct hm_node *node, struct hm_peer *out);
/* A control node to ask, another at every try; false when none is known. */
bool hm_node_pick_control(struct hm_node *node, uint32_t attempt, struct hm_peer *out);
/* Another node with this role, another at every try; false when none is known. */
bool hm_node_pick_with_role(struct hm_node *node, const char *role, uint32_t attempt,
                            struct hm_peer *out);

#endif
