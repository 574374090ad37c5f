/* User events on their way into the log, and what of feed members is news. */
#ifndef HM_NODE_EMIT_H
#define HM_NODE_EMIT_H

#include "core/node/desk/inside.h"

/* All zero is a valid one. */
struct hm_news {
    struct hm_place told; /* the last event of feed members that modules were told of */
};

/* True when the modules are to be told of an event that was applied: it is of feed members, and
 * they do not know it. From then on they do. */
bool hm_node_is_news(struct hm_node *node, const struct hm_event *event);
/* From when on a control node takes what its log says for news. */
void hm_node_note_caught_up(struct hm_node *node);
void hm_node_on_emit(struct hm_node *node, const struct hm_request *request);
/* Hooks of HM_CALL_EMIT. */
void hm_node_emit_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer);
void hm_node_emit_expired(struct hm_node *node, const struct hm_call *call);

#endif
