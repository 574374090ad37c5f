/* What the rooms of a node tell those above them, whom they do not know. The top owns the one table
 * of it (core/node/dispatch.c, core/node/events.c) and hands it over when the node is made. */
#ifndef HM_NODE_UPWARD_H
#define HM_NODE_UPWARD_H

#include "core/node/desk/calls.h"
#include "core/wire/message.h"

struct hm_node;

/* What becomes of the calls of one kind. Each may be NULL. What a hook is given lives during the
 * hook; `answered` has the call as it stands, and ends it if that is its end. */
struct hm_call_hooks {
    /* Tries it (again). NULL: it goes to a control node, to another at every try. */
    void (*send)(struct hm_node *node, struct hm_call *call);
    /* Of a submit, and of nothing else: the log has decided, the call is over. */
    void (*submitted)(struct hm_node *node, const struct hm_call *call,
                      const struct hm_submitted *answer);
    /* Of a submit: there is no leader that could take it; it is tried again. */
    void (*untaken)(struct hm_node *node, const struct hm_call *call);
    /* Another node answered. */
    void (*answered)(struct hm_node *node, struct hm_call *call, const struct hm_message *answer);
    /* Its deadline has come; it is removed after this. */
    void (*expired)(struct hm_node *node, const struct hm_call *call);
};

struct hm_upward {
    const struct hm_call_hooks *calls; /* HM_CALL_KIND_COUNT of them, by kind */
    /* An event was applied to the view. */
    void (*event)(struct hm_node *node, const struct hm_event *event);
    /* The view of a control node was replaced by a snapshot. */
    void (*replaced)(struct hm_node *node);
    /* This node is fenced: what its roles know counts no more. */
    void (*fenced)(struct hm_node *node);
};

#endif
