/* The voters of a log, as this node looks after them while it leads. */
#ifndef HM_NODE_VOTERS_H
#define HM_NODE_VOTERS_H

#include "core/node/desk/inside.h"

struct hm_upkeep {
    struct hm_raft *raft;
    const char *log;  /* its name, for people */
    const char *role; /* who carries it must have this besides `control`; NULL: nothing */
    hm_ms look_at;    /* next look at the voters */
    struct hm_id left[HM_RAFT_VOTERS_MAX]; /* voters that left: to be removed from the voters */
    size_t left_count;
    struct hm_id excluded[HM_RAFT_VOTERS_MAX]; /* control nodes that are not to carry it */
    size_t excluded_count;
};

/* Of the log that this node leads. */
void hm_node_tick_voters(struct hm_node *node, struct hm_upkeep *upkeep);
/* A member has left, or is one again. */
void hm_upkeep_note_left(struct hm_upkeep *upkeep, const struct hm_id *id);
void hm_upkeep_forget_left(struct hm_upkeep *upkeep, const struct hm_id *id);

#endif
