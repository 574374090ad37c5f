/* Which named logs there are, and who carries them: asked for, and changed. */
#ifndef HM_NODE_LOG_ADMIN_H
#define HM_NODE_LOG_ADMIN_H

#include "core/node/logs/named.h"

/* All zero is a valid one. */
struct hm_log_admin {
    hm_ms role_logs_at; /* the logs of roles are founded, or asked for again, not before */
};

/* Makes the logs of this node's roles, if there is none yet. */
void hm_node_found_role_logs(struct hm_node *node);
void hm_node_on_log_create(struct hm_node *node, const struct hm_request *request);
void hm_node_on_log_delete(struct hm_node *node, const struct hm_request *request);
void hm_node_on_log_list(struct hm_node *node, const struct hm_request *request);
/* Adds a node to those that carry a log, or takes it out: a change of the record. */
void hm_node_change_log(struct hm_node *node, uint64_t token, const struct hm_log_change *change);
void hm_node_reply_log_members(struct hm_node *node, uint64_t token, const struct hm_named *named);

/* Hooks of HM_CALL_LOGS. */
void hm_node_log_record_submitted(struct hm_node *node, const struct hm_call *call,
                                  const struct hm_submitted *answer);
void hm_node_log_record_expired(struct hm_node *node, const struct hm_call *call);

#endif
