/* Those who ask to be let in. */
#ifndef HM_NODE_JOINS_H
#define HM_NODE_JOINS_H

#include "core/engine/crowd.h"
#include "core/node/desk/inside.h"

/* A node that waits at the leader to be let in. */
struct hm_waiting_join {
    struct hm_id id;
    uint64_t batch; /* 0: not in the log, as far as this node's leadership goes */
    bool alone;     /* refused in a batch: it is told why when it asks by itself */
    hm_ms asked_at;
    struct hm_bytes join; /* its message, owned */
};

/* Joins are let in together: the more there were lately, the longer one waits for others. */
struct hm_joins {
    struct hm_waiting_join *items;
    size_t count;
    size_t capacity;
    uint64_t batch; /* of the last one */
    hm_ms flush_at; /* HM_NEVER: nobody waits */
    struct hm_crowd crowd;
};

void hm_node_on_join(struct hm_node *node, const struct hm_request *request);
/* On the leader: those who wait go into the log together; what became of a batch. */
void hm_node_tick_joins(struct hm_node *node);
void hm_node_joins_decided(struct hm_node *node, uint64_t batch, const struct hm_outcome *outcome);
/* The leader is another one, or this node now. What was proposed before may be committed yet, by a
 * leader that knows of nobody who waits for it: so those who wait here stay, and are answered when
 * they come in. A new leader proposes them itself. */
void hm_node_rest_joins(struct hm_node *node);
void hm_node_join_committed(struct hm_node *node, const struct hm_id *id);
void hm_node_drop_joins(struct hm_node *node);

#endif
