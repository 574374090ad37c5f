/* Who has failed, as the leader judges by what observers report. */
#ifndef HM_NODE_VERDICT_H
#define HM_NODE_VERDICT_H

#include "core/engine/verdict.h"
#include "core/node/desk/inside.h"

struct hm_judge {
    struct hm_verdict verdict; /* on the leader */
    hm_ms release_at;          /* next look at what the removal brake keeps */
};

void hm_node_on_report(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message);
void hm_node_open_verdict(struct hm_node *node);
/* What was asked goes out; what is decided goes into the log. */
void hm_node_pump_verdict(struct hm_node *node);
/* Commits the end of what the removal brake keeps, when it is due. */
void hm_node_release_braked(struct hm_node *node);

#endif
