/* From what the node knows of the cluster to the routing table. */
#ifndef HM_NGX_FOLLOW_H
#define HM_NGX_FOLLOW_H

#include "core/node/catalog/catalog.h"
#include "ngx_hivemind/snapshot.h"

/* Adds to an empty draft every service that is offered, and every virtual host that is committed.
 *
 * Instances whose check fails, or whose host is suspected, are SUSPECT: asked when all others have
 * failed, so that the cluster's own trouble, or a check's, empties no service. Those that are not
 * served (draining, not checked yet) are DRAINING. */
void hm_table_follow(struct hm_draft *draft, const struct hm_catalog *catalog,
                     const struct hm_view *view);

#endif
