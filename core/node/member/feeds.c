/* The feeds: what is gossiped of the log, as this node follows it and passes it on. */
#include "core/node/member/feeds.h"

#include "core/node/consumer/consumer.h"
#include "core/node/desk/acts.h"
#include "core/node/member/slices.h"

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

void hm_node_pump_feeds(struct hm_node *node)
{
    for (unsigned feed = 0; feed < HM_FEED_COUNT; feed++) {
        struct hm_effect effect;
        while (hm_feed_output(&node->feeds[feed], &effect)) {
            if (effect.kind == HM_EFFECT_SEND) {
                hm_node_send_bytes(node, &effect.peer, effect.message);
            } else if (effect.kind == HM_EFFECT_APPLY) {
                apply_event(node, effect.message);
            } else if (effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_FEED_BEHIND) {
                feed_is_behind(node, feed);
            }
        }
    }
}
