/* User events on their way into the log, and what of feed members is news. */
#ifndef HM_NODE_EMIT_H
#define HM_NODE_EMIT_H

#include "core/node/desk/inside.h"

/* All zero is a valid one. */
struct hm_news {
    bool caught_up;       /* a control node has applied what was committed before it came (back) */
    struct hm_place told; /* the last event of feed members that modules were told of */
};

/* Tells the modules of an event of feed members that was applied, unless they know it. */
void hm_node_tell_event(struct hm_node *node, const struct hm_event *event,
                        const struct hm_message *body);
/* From when on a control node takes what its log says for news. */
void hm_node_note_caught_up(struct hm_node *node);
void hm_node_on_emit(struct hm_node *node, const struct hm_request *request);
/* What became of a user event; NULL: nothing was heard in time. */
void hm_node_emit_submitted(struct hm_node *node, uint64_t token,
                            const struct hm_submitted *answer);

#endif
