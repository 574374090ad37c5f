/* Whom this node knows, and what its engines are told of it. */
#ifndef HM_NODE_SLICES_H
#define HM_NODE_SLICES_H

#include "core/node/desk/inside.h"

/* To so many of its subjects a node holds a stream, whose end says at once that they died. */
#define HM_NODE_HELD 2u

struct hm_slices {
    bool changed;                      /* the slice, or the nodes of roles that count here */
    struct hm_addr held[HM_NODE_HELD]; /* the streams that stand; no address: none */
    hm_ms fresh_at; /* a slice that cannot be mended is asked for (again) then; HM_NEVER: it can */
    uint64_t fresh_call;
    uint32_t fresh_tries;
};

/* A member joined, or changed: false when this node has no use for it, and forgot it. */
bool hm_node_member_came(struct hm_node *node, const struct hm_member *member, bool joined);
void hm_node_member_went(struct hm_node *node, const struct hm_id *id);
/* The event at this position of feed `members` is in. */
void hm_node_slice_reach(struct hm_node *node, uint64_t position);
/* The members of the view are others than events told. */
void hm_node_reload_slice(struct hm_node *node);
/* Outside the control plane: knows from now on what a digest says. */
void hm_node_take_digest(struct hm_node *node, const struct hm_joined *digest);
/* Engines follow the slice and the roles. */
void hm_node_refresh_slices(struct hm_node *node);
void hm_node_on_slice(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message);
void hm_node_pump_slice(struct hm_node *node);
void hm_node_want_fresh_slice(struct hm_node *node);

#endif
