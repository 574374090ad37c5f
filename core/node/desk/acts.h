/* What a node wants done: queued here, popped by the adapter. */
#ifndef HM_NODE_ACTS_H
#define HM_NODE_ACTS_H

#include "core/engine/effect.h"
#include "core/node/node.h"

struct hm_queued_act {
    struct hm_act act;
    size_t offset;
};

/* All zero is a valid empty one. */
struct hm_act_queue {
    struct hm_queued_act *items;
    size_t first;
    size_t count;
    size_t capacity;
    struct hm_buf bytes;
};

void hm_node_log(struct hm_node *node, enum hm_log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
void hm_node_act(struct hm_node *node, const struct hm_act *act);
/* Pops what was queued first; false: there is nothing. */
bool hm_node_next_act(struct hm_node *node, struct hm_act *out);
/* Sends over what the message's class says; a datagram that is too large goes as a stream. To
 * ourselves it is delivered by the pump. An unknown address: nothing is sent. */
void hm_node_send(struct hm_node *node, const struct hm_peer *to, const struct hm_message *message);
void hm_node_send_bytes(struct hm_node *node, const struct hm_peer *to,
                        struct hm_bytes encoded_message);
/* In a brief frame: whoever does not know us cannot open it. */
void hm_node_send_brief(struct hm_node *node, const struct hm_peer *to,
                        struct hm_bytes encoded_message);

#endif
