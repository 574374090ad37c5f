/* Requests of this node: put into the log, or asked of the control plane, until they are answered.
 */
#ifndef HM_NODE_SUBMIT_H
#define HM_NODE_SUBMIT_H

#include "core/node/desk/inside.h"

/* The first tries to reach a leader come soon after each other. */
#define HM_RETRY_STEP_MS 50u

/* For a join that lets this node in again: requests from now on are above the seq that it tells,
 * with what it asked for before out of reach below it. 0: nothing was asked for before. */
uint64_t hm_node_begin_session(struct hm_node *node);
/* Puts a request into the log from any node: retried until it is answered. Returns the call. */
uint64_t hm_node_submit(struct hm_node *node, const struct hm_message *request,
                        enum hm_call_kind kind, uint64_t user, hm_ms deadline);
void hm_node_on_submitted(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message);
void hm_node_tick_calls(struct hm_node *node);
/* The stream to this address broke: what was asked there is asked elsewhere. */
void hm_node_call_lost(struct hm_node *node, const struct hm_addr *addr);
/* Asks a control node, another one when its stream breaks. Fills in the call of the question, and
 * returns it. */
uint64_t hm_node_ask(struct hm_node *node, enum hm_call_kind kind, uint64_t user, hm_ms deadline,
                     struct hm_message *question);
/* A question that is passed on waits at the control node shorter than its call lives. */
#define HM_FORWARD_WAIT_MS 2000u
/* Passes a command on to the control plane; what it answers goes to `token`. */
void hm_node_forward(struct hm_node *node, uint64_t token, const struct hm_message *command);
void hm_node_on_reply(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message);

/* Hooks of HM_CALL_FORWARD. */
void hm_node_forward_answered(struct hm_node *node, struct hm_call *call,
                              const struct hm_message *message);
void hm_node_forward_expired(struct hm_node *node, const struct hm_call *call);

#endif
