#include "core/engine/effect.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

/* What a snapshot that passed through, or a batch of many, made large is given back. */
#define KEEP_BYTES (256u << 10)

static void add(struct hm_outbox *outbox, const struct hm_effect *effect, size_t start, size_t size)
{
    if (outbox->count == outbox->capacity) {
        size_t capacity = outbox->capacity;
        outbox->effects =
            hm_grow(outbox->effects, outbox->count, &capacity, sizeof *outbox->effects);
        outbox->offsets = hm_resize(outbox->offsets, capacity, sizeof *outbox->offsets);
        outbox->capacity = capacity;
    }
    struct hm_effect *queued = &outbox->effects[outbox->count];
    *queued = *effect;
    queued->message = (struct hm_bytes){NULL, size};
    outbox->offsets[outbox->count++] = start;
}

void hm_outbox_push(struct hm_outbox *outbox, const struct hm_effect *effect,
                    const struct hm_message *message)
{
    if (outbox->first == outbox->count) {
        outbox->first = outbox->count = 0;
        hm_buf_reuse(&outbox->bytes, KEEP_BYTES);
    }
    size_t start = outbox->bytes.size;
    if (message) {
        hm_message_encode(&outbox->bytes, message);
    } else {
        hm_buf_append(&outbox->bytes, effect->message.data, effect->message.size);
    }
    add(outbox, effect, start, outbox->bytes.size - start);
}

void hm_outbox_send_again(struct hm_outbox *outbox, const struct hm_peer *to)
{
    HM_ASSERT(outbox->first < outbox->count);
    size_t last = outbox->count - 1;
    add(outbox, &(struct hm_effect){.kind = HM_EFFECT_SEND, .peer = *to}, outbox->offsets[last],
        outbox->effects[last].message.size);
}

void hm_outbox_send(struct hm_outbox *outbox, const struct hm_peer *to,
                    const struct hm_message *message)
{
    hm_outbox_push(outbox, &(struct hm_effect){.kind = HM_EFFECT_SEND, .peer = *to}, message);
}

void hm_outbox_send_brief(struct hm_outbox *outbox, const struct hm_peer *to,
                          const struct hm_message *message)
{
    hm_outbox_push(outbox, &(struct hm_effect){.kind = HM_EFFECT_SEND, .peer = *to, .brief = true},
                   message);
}

void hm_outbox_notify(struct hm_outbox *outbox, int notice, const struct hm_peer *about,
                      uint64_t number)
{
    struct hm_effect effect = {.kind = HM_EFFECT_NOTIFY, .notice = notice, .number = number};
    if (about) {
        effect.peer = *about;
    }
    hm_outbox_push(outbox, &effect, NULL);
}

bool hm_outbox_pop(struct hm_outbox *outbox, struct hm_effect *out)
{
    if (hm_outbox_is_empty(outbox)) {
        return false;
    }
    *out = outbox->effects[outbox->first];
    if (out->message.size) {
        out->message.data = outbox->bytes.data + outbox->offsets[outbox->first];
    }
    outbox->first++;
    return true;
}

bool hm_outbox_is_empty(const struct hm_outbox *outbox)
{
    return outbox->first == outbox->count;
}

void hm_outbox_fini(struct hm_outbox *outbox)
{
    hm_free(outbox->effects);
    hm_free(outbox->offsets);
    hm_buf_fini(&outbox->bytes);
    *outbox = (struct hm_outbox){0};
}
