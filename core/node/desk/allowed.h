/* What a node may ask of others. */
#ifndef HM_NODE_ALLOWED_H
#define HM_NODE_ALLOWED_H

#include "core/node/desk/inside.h"

/* HM_DENIED, and a line in the log: `from` may not ask that, or not for that session. HM_BAD_BYTES
 * what it submits is no message. */
HM_MUST_USE enum hm_status hm_node_may_submit(struct hm_node *node, const struct hm_id *from,
                                              const struct hm_submit *submit);
HM_MUST_USE enum hm_status hm_node_may_join(struct hm_node *node, const struct hm_id *from,
                                            const struct hm_join *join);

#endif
