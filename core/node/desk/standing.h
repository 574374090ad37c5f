/* Where a node stands: its phase, and the generation of the log that it goes by. */
#ifndef HM_NODE_STANDING_H
#define HM_NODE_STANDING_H

#include "core/engine/effect.h"
#include "core/node/node.h"

enum hm_node_phase {
    HM_PHASE_NEW,
    HM_PHASE_IDENTIFYING, /* its identity is being made durable, then it joins or goes on */
    HM_PHASE_JOINING,     /* asks to be let in, or, after a restart, for a digest */
    HM_PHASE_FOUNDING,    /* is making the cluster's first events */
    HM_PHASE_ADOPTING,    /* was let in; its cluster is being made durable */
    HM_PHASE_MEMBER,
    HM_PHASE_FENCED,   /* a control node that met another generation of its log: serves nothing */
    HM_PHASE_LEAVING,  /* has asked to go */
    HM_PHASE_STOPPING, /* has told its observers; lets what is queued go out */
    HM_PHASE_STOPPED,
};

/* Joining, as the joiner sees it. */
struct hm_joining {
    hm_ms ask_at;
    hm_ms found_at; /* founds a cluster then, unless somebody answered; HM_NEVER: never */
    hm_ms backoff_ms;
    size_t next;          /* in config.join */
    size_t hurried;       /* asked without waiting, since the last time that one waited */
    struct hm_addr asked; /* last */
    uint64_t call;
    bool answered;   /* somebody of the cluster spoke to us */
    hm_ms silent_at; /* until then a control node may not hear that it is in; then it asks */
};

/* From wherever it is found out that this node is no member, or may be none. */
void hm_node_begin_joining(struct hm_node *node);
/* What the clear header says from now on: the cluster, and the generation of its log. Between two
 * generations nothing passes but what is about joining, and refusals. */
uint64_t hm_node_mark(const struct hm_node *node);
void hm_node_take_generation(struct hm_node *node, uint64_t generation);
/* Why a fenced node serves nothing, as a sentence. */
const char *hm_node_fence_text(void);
/* Tells a stranger that it is not served. At most one a second. */
void hm_node_refuse_peer(struct hm_node *node, const struct hm_peer *peer, enum hm_status status,
                         const char *reason);

#endif
