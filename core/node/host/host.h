/* This node's own host config: versioned, pushed to consumers, appended to the log. */
#ifndef HM_NODE_HOST_H
#define HM_NODE_HOST_H

#include "core/node/desk/inside.h"

/* The host config of this node, as its modules publish it. */
struct hm_own_host {
    struct hm_buf config; /* message host_config; empty: nothing was published */
    struct hm_version version;
    uint64_t submit_call;        /* 0: none under way */
    hm_ms submit_at;             /* not before: the last one was refused */
    bool unheard;                /* the control plane says that it has no quorum */
    struct hm_version submitted; /* what it carries */
    struct hm_version committed; /* highest that is */
    uint64_t committed_index;
    char refused[256];      /* what the commit refused within it */
    struct hm_buf refusals; /* the same, service by service: message refusals; or empty */
};

struct hm_version hm_node_publish(struct hm_node *node, const struct hm_host_config *config);
/* The same config under the next version: after a removal consumers have forgotten the old one. */
void hm_node_republish(struct hm_node *node);
void hm_node_pump_host(struct hm_node *node);
/* Hooks of HM_CALL_HOST. */
void hm_node_host_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer);
void hm_node_host_untaken(struct hm_node *node, const struct hm_call *call);

/* Pushes go out; a consumer has one, or asks for one. */
void hm_node_pump_push(struct hm_node *node);
void hm_node_on_pushed(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message);
void hm_node_on_config_pull(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message);

#endif
