/* What an engine wants done: effects, in the order to do them, and the outbox that holds them. */
#ifndef HM_ENGINE_EFFECT_H
#define HM_ENGINE_EFFECT_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/wire/message.h"

/* A node as an engine addresses it. The address may be none where only the id is known; the node
 * layer then looks it up. */
struct hm_peer {
    struct hm_id id;
    struct hm_addr addr;
};

enum hm_effect_kind {
    HM_EFFECT_NONE,
    HM_EFFECT_SEND,    /* `message` to `peer`; its class in the table says datagram or stream;
                          `brief`: in a brief frame, which the peer may not be able to open */
    HM_EFFECT_PERSIST, /* make `message` durable, then tell the engine `number` */
    HM_EFFECT_APPLY,   /* `message` at index `number` is committed */
    HM_EFFECT_NOTIFY,  /* something that the node acts on: `notice`, about `peer` and `number` */
};

/* One effect. `message` is one encoded message (kind, length, body), valid until the next call on
 * the engine that gave it. What `notice` and `number` mean is in the header of each engine. */
struct hm_effect {
    enum hm_effect_kind kind;
    struct hm_peer peer;
    int notice;
    bool brief;
    uint64_t number;
    struct hm_bytes message;
};

/* A queue of effects that owns their bytes. All zero is a valid empty outbox. first <= count. */
struct hm_outbox {
    struct hm_effect
        *effects;    /* message.data is NULL while queued: bytes move as the queue grows */
    size_t *offsets; /* of each message in `bytes` */
    size_t first;    /* next to pop */
    size_t count;
    size_t capacity;
    struct hm_buf bytes;
};

/* Queues an effect with a message, encoded here; `message` may be NULL. */
void hm_outbox_push(struct hm_outbox *outbox, const struct hm_effect *effect,
                    const struct hm_message *message);
/* The common ones. */
void hm_outbox_send(struct hm_outbox *outbox, const struct hm_peer *to,
                    const struct hm_message *message);
void hm_outbox_send_brief(struct hm_outbox *outbox, const struct hm_peer *to,
                          const struct hm_message *message);
/* Sends what was pushed last to one more; the bytes are shared. */
void hm_outbox_send_again(struct hm_outbox *outbox, const struct hm_peer *to);
void hm_outbox_notify(struct hm_outbox *outbox, int notice, const struct hm_peer *about,
                      uint64_t number);
/* Takes the oldest; false when empty (the memory is then used again). What it points to lives
 * until the next push. */
bool hm_outbox_pop(struct hm_outbox *outbox, struct hm_effect *out);
bool hm_outbox_is_empty(const struct hm_outbox *outbox);
void hm_outbox_fini(struct hm_outbox *outbox);

#endif
