/* What every payload between nodes starts with. */
#ifndef HM_NODE_ENVELOPE_H
#define HM_NODE_ENVELOPE_H

#include "core/engine/effect.h"
#include "core/node/node.h"

void hm_node_put_envelope(const struct hm_node *node, bool stream, struct hm_buf *out);
/* False: it is none, and `from` is of no use. Its address is none when the payload does not say it.
 */
bool hm_node_get_envelope(struct hm_reader *in, struct hm_peer *from);

#endif
