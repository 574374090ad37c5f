/* Which members are to carry a named log, as the event log says. */
#ifndef HM_NODE_CARRIERS_H
#define HM_NODE_CARRIERS_H

#include "core/node/desk/inside.h"

/* Is of the control plane, has the role whose log it is, and is not kept out. */
HM_MUST_USE bool hm_node_is_carrier(const struct hm_log_record *record, const struct hm_name *log,
                                    const struct hm_member *member);
/* The names of those who are to carry all of them, with commas, cut to fit; empty: nobody is. */
void hm_node_name_carriers(const struct hm_node *node, char *out, size_t size);

#endif
