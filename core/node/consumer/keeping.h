/* Lite hosts, as a node keeps them or follows how others do. */
#ifndef HM_NODE_KEEPING_H
#define HM_NODE_KEEPING_H

#include "core/node/desk/inside.h"

void hm_node_on_keepalive(struct hm_node *node, const struct hm_request *request);
/* The members that may keep lite hosts have changed. */
void hm_node_refresh_keepers(struct hm_node *node);
/* lite_kept, lite_gone. */
void hm_node_on_lite_event(struct hm_node *node, const struct hm_message *body);
/* All records were replaced. */
void hm_node_reload_lites(struct hm_node *node);
/* Hook of HM_CALL_KEEP: what became of a request of the keeper. */
void hm_node_keep_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer);
void hm_node_pump_keeper(struct hm_node *node);

#endif
