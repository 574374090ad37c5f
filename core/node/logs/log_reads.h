/* Entries of named logs for those who ask. */
#ifndef HM_NODE_LOG_READS_H
#define HM_NODE_LOG_READS_H

#include "core/node/logs/named.h"

struct hm_log_wait; /* somebody waits for an entry of a named log */

/* All zero is a valid empty one. */
struct hm_log_waits {
    struct hm_log_wait *items;
    size_t count;
    size_t capacity;
};

void hm_node_serve_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                       const struct hm_log_read *read);
/* Answers now, or when there is something or the time is over. */
void hm_node_wait_for_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                          const struct hm_log_read *read);
void hm_node_answer_log_waits(struct hm_node *node);
hm_ms hm_node_log_waits_deadline(const struct hm_node *node);

#endif
