/* Who serves a change of a host config. */
#ifndef HM_NODE_REPORT_H
#define HM_NODE_REPORT_H

#include "core/node/desk/inside.h"

struct hm_change_wait;  /* a change report under way */
struct hm_version_wait; /* somebody waits for version[host] here */

/* All zero is a valid empty one. */
struct hm_reports {
    struct hm_change_wait *change_waits;
    size_t change_wait_count;
    size_t change_wait_capacity;
    struct hm_version_wait *version_waits;
    size_t version_wait_count;
    size_t version_wait_capacity;
};

/* Answers `token` with a change report: when all serve this version of our config, or the time is
 * over. `addr` is what people are told it is reached at; of what was refused they are told what
 * concerns `service` (empty: all). */
void hm_node_report_change(struct hm_node *node, uint64_t token, struct hm_version version,
                           const struct hm_name *service, const struct hm_addr *addr,
                           uint32_t timeout_ms);
void hm_node_on_version_query(struct hm_node *node, const struct hm_request *request);
void hm_node_report_version(struct hm_node *node, uint64_t call, const struct hm_version *version);
/* Hooks of HM_CALL_MEMBERS: who the consumers are, or that nobody tells. */
void hm_node_report_members(struct hm_node *node, struct hm_call *call,
                            const struct hm_message *answer);
void hm_node_report_nobody(struct hm_node *node, const struct hm_call *call);
void hm_node_check_reports(struct hm_node *node);
hm_ms hm_node_reports_deadline(const struct hm_node *node);
void hm_node_free_reports(struct hm_node *node);

#endif
