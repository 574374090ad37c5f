/* What a joiner is handed. */
#ifndef HM_NODE_DIGEST_H
#define HM_NODE_DIGEST_H

#include "core/node/desk/inside.h"

/* The digest for a joiner, or why it is refused. */
void hm_node_send_digest(struct hm_node *node, const struct hm_join *join, enum hm_status status,
                         const char *reason);

#endif
