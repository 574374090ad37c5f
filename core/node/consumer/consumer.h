/* What a node consumes: the records at its bootstrap, and what hosts push. */
#ifndef HM_NODE_CONSUMER_H
#define HM_NODE_CONSUMER_H

#include "core/node/desk/inside.h"

/* A consumer's bootstrap: the records, page by page, then every host's own word. */
struct hm_bootstrap {
    bool done;
    bool asked_peer; /* the first try goes to a peer, later ones to the control plane */
    uint64_t call;
    hm_ms retry_at;
    struct hm_name after_scope;
    struct hm_buf after_key;
};

void hm_node_start_bootstrap(struct hm_node *node);
/* Members or records were replaced: what is served follows, and keeps what was pushed. */
void hm_node_reload_catalog(struct hm_node *node);
void hm_node_tick_bootstrap(struct hm_node *node);
void hm_node_on_records_pull(struct hm_node *node, const struct hm_request *request);
void hm_node_on_records_page(struct hm_node *node, const struct hm_peer *from,
                             const struct hm_message *message);
void hm_node_on_reconcile(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message);
void hm_node_pump_reconcile(struct hm_node *node);
void hm_node_on_hint(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);

#endif
