/* The feeds: what is gossiped of the log, as this node follows it and passes it on. */
#include "core/node/member/feeds.h"

#include "core/node/consumer/consumer.h"
#include "core/node/desk/acts.h"
#include "core/node/member/slices.h"

#define PARCEL_BYTES (HM_WIRE_DATAGRAM_BYTES_MAX - 128u) /* with its envelope it is a datagram */

void hm_node_on_feed(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message)
{
    /* All feed messages start with the number of their feed. */
    uint8_t feed = message->feed_event.feed;
    if (feed < HM_FEED_COUNT && (feed == HM_FEED_MEMBERS || node->carries_state)) {
        (void)hm_feed_input(&node->feeds[feed], node->now, from, message);
    }
}

static void apply_event(struct hm_node *node, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    if (node->is_control ||
        hm_message_decode_only(bytes, HM_MSG_feed_event, &arena, &message) != HM_OK) {
        hm_arena_fini(&arena);
        return;
    }
    const struct hm_event *event = &message.feed_event.event;
    if (hm_view_evolve(&node->own_view, event) == HM_OK) {
        node->upward->event(node, event);
    } else {
        hm_node_log(node, HM_LOG_ERROR, "event of an unknown kind",
                    "index=%llu consequence=\"this node stops rather than diverge\" "
                    "hint=\"upgrade it\"",
                    (unsigned long long)event->index);
        node->stop_status = HM_WRONG_FEATURE;
        node->phase = HM_PHASE_STOPPED;
    }
    hm_arena_fini(&arena);
}

static void feed_is_behind(struct hm_node *node, unsigned feed)
{
    bool members = feed == HM_FEED_MEMBERS;
    hm_node_log(node, HM_LOG_INFO, "too far behind", "feed=%s next=\"%s\"",
                members ? "members" : "state", members ? "a fresh slice" : "bootstraps anew");
    if (node->is_control || node->phase != HM_PHASE_MEMBER) {
        return;
    }
    if (members) {
        hm_node_want_fresh_slice(node);
    } else {
        hm_node_start_bootstrap(node);
    }
}

/* ---- parcels ----
 *
 * When a crowd joins, many events go the same ways at once. What is sent to one neighbour in one
 * turn travels in as few datagrams as it fits in: sealing, sending and waking the other cost more
 * than its bytes. */

struct parcel {
    struct hm_peer to;
    struct hm_buf messages;
};

struct parcels {
    struct parcel *items;
    size_t count;
    size_t capacity;
};

static struct parcel *parcel_for(struct parcels *parcels, const struct hm_peer *to)
{
    for (size_t i = 0; i < parcels->count; i++) {
        if (hm_id_equal(&parcels->items[i].to.id, &to->id)) {
            return &parcels->items[i];
        }
    }
    parcels->items =
        hm_grow(parcels->items, parcels->count, &parcels->capacity, sizeof *parcels->items);
    parcels->items[parcels->count] = (struct parcel){.to = *to};
    return &parcels->items[parcels->count++];
}

static void post(struct hm_node *node, struct parcel *parcel)
{
    if (parcel->messages.size) {
        hm_node_send_bytes(node, &parcel->to, hm_buf_view(&parcel->messages));
        hm_buf_clear(&parcel->messages);
    }
}

static void pack(struct hm_node *node, struct parcels *parcels, const struct hm_effect *effect)
{
    struct hm_reader in = hm_reader_of(effect->message);
    if (hm_message_class((enum hm_message_kind)hm_get_varint(&in)) != HM_CLASS_DATAGRAM) {
        hm_node_send_bytes(node, &effect->peer, effect->message);
        return;
    }
    struct parcel *parcel = parcel_for(parcels, &effect->peer);
    if (parcel->messages.size + effect->message.size > PARCEL_BYTES) {
        post(node, parcel);
    }
    hm_buf_append(&parcel->messages, effect->message.data, effect->message.size);
}

static void post_all(struct hm_node *node, struct parcels *parcels)
{
    for (size_t i = 0; i < parcels->count; i++) {
        post(node, &parcels->items[i]);
        hm_buf_fini(&parcels->items[i].messages);
    }
    hm_free(parcels->items);
}

void hm_node_pump_feeds(struct hm_node *node)
{
    struct parcels parcels = {0};
    for (unsigned feed = 0; feed < HM_FEED_COUNT; feed++) {
        struct hm_effect effect;
        while (hm_feed_output(&node->feeds[feed], &effect)) {
            if (effect.kind == HM_EFFECT_SEND) {
                pack(node, &parcels, &effect);
            } else if (effect.kind == HM_EFFECT_APPLY) {
                apply_event(node, effect.message);
            } else if (effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_FEED_BEHIND) {
                feed_is_behind(node, feed);
            }
        }
    }
    post_all(node, &parcels);
}
