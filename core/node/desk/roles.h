/* What the modules of this node say of roles. */
#ifndef HM_NODE_ROLES_H
#define HM_NODE_ROLES_H

#include "core/node/desk/inside.h"

/* Walks the roles that our modules bootstrap from, each once; NULL at the end. */
const char *hm_node_next_bootstrap_role(const struct hm_node *node, size_t *cursor);
/* Walks the roles whose nodes this node must know: those, what its modules require, `control`, and
 * for a consumer `host`. One may come twice. */
const char *hm_node_next_wanted_role(const struct hm_node *node, size_t *cursor);

#endif
