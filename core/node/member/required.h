/* The roles that this node's own roles require: is a live node of each there? */
#ifndef HM_NODE_REQUIRED_H
#define HM_NODE_REQUIRED_H

#include "core/node/desk/inside.h"

struct hm_required_role {
    const char *role;
    /* A member that has it was heard by this node, and since then there was no time of two seconds
     * in which it found all of them gone, nor were all of them removed. So neither a suspicion ends
     * it, nor a quick restart. */
    bool live;
    hm_ms gone_at; /* all of them were found gone then; HM_NEVER: some are not */
};

struct hm_required {
    struct hm_required_role *roles;
    size_t count;
    bool changed;  /* what was found, or who has the roles */
    hm_ms look_at; /* HM_NEVER: nothing is required */
};

void hm_node_open_required(struct hm_node *node);
void hm_node_close_required(struct hm_node *node);
/* Somebody was found gone or alive, or others have the roles: it is looked at anew. */
void hm_node_look_for_required(struct hm_node *node);
/* Who is not watched anyway is asked now and then whether he lives. */
void hm_node_tick_required(struct hm_node *node);
hm_ms hm_node_required_deadline(const struct hm_node *node);
/* After whatever was found. */
void hm_node_pump_required(struct hm_node *node);
/* A required role without a live node; NULL: nothing is missing. */
const char *hm_node_missing_role(const struct hm_node *node);

#endif
