/* A node of the control plane: its part in the event log. */
#ifndef HM_NODE_CONTROL_H
#define HM_NODE_CONTROL_H

#include "core/node/desk/inside.h"

/* All zero is a valid one. */
struct hm_office {
    bool was_leader;
    bool returned; /* it has told the log of its restart */
    bool founding;
    uint64_t founding_cluster;
};

HM_MUST_USE enum hm_status hm_node_open_control(struct hm_node *node,
                                                const struct hm_disk_file *files, size_t count,
                                                struct hm_buf *error);
void hm_node_close_control(struct hm_node *node);
void hm_node_found(struct hm_node *node);
/* The same, for a log that was begun before a restart. */
void hm_node_go_on_founding(struct hm_node *node);
void hm_node_pump_logs(struct hm_node *node);
void hm_node_tick_control(struct hm_node *node);
hm_ms hm_node_control_deadline(const struct hm_node *node);
/* Hook of HM_CALL_RETURN. */
void hm_node_return_submitted(struct hm_node *node, const struct hm_call *call,
                              const struct hm_submitted *answer);
void hm_node_on_log(struct hm_node *node, const struct hm_peer *from,
                    const struct hm_message *message);

#endif
