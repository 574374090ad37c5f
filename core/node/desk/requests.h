/* Requests to this node, each with a token by which it is answered. */
#ifndef HM_NODE_REQUESTS_H
#define HM_NODE_REQUESTS_H

#include "core/base/arena.h"
#include "core/base/index.h"
#include "core/engine/effect.h"
#include "core/node/node.h"

/* Who asked. */
struct hm_origin {
    uint64_t token;
    bool local;
    uint64_t connection;
    struct hm_peer peer;
    uint64_t call; /* as the asker numbered it */
    hm_ms forget_at;
};

/* All zero is a valid empty one. */
struct hm_requests {
    struct hm_origin *origins;
    size_t count;
    size_t capacity;
    struct hm_index by_token; /* of the origins */
    uint64_t last_token;
};

/* Every request and every answer has its call; NULL: it is neither. */
uint64_t *hm_node_call_of(struct hm_message *message);
/* A new place to answer to; 0: there are too many. */
uint64_t hm_node_open_request(struct hm_node *node, const struct hm_origin *origin);
/* Answers it: fills in `call` and forgets the token. Unknown tokens are fine (asker gone). */
void hm_node_answer(struct hm_node *node, uint64_t token, struct hm_message *message);
/* A message `answer` with a status and a sentence. */
void hm_node_answer_status(struct hm_node *node, uint64_t token, enum hm_status status,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Forgets a token that will not be answered. */
void hm_node_close_request(struct hm_node *node, uint64_t token);
/* NULL: it was answered, or nobody waits for it any more. */
const struct hm_origin *hm_node_origin(const struct hm_node *node, uint64_t token);
/* This control connection is gone, and whoever waited there. */
void hm_node_forget_asker(struct hm_node *node, uint64_t connection);
void hm_node_expire_requests(struct hm_node *node);
/* A text for a wire field, out of `arena`. */
struct hm_bytes hm_node_text(struct hm_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
