/* Whom of its neighbours a feed wishes to be pushed to by, and told by. */
#include "core/engine/feed_internal.h"

#include <string.h>

#define REPEATS_TO_QUIET 3u
#define LEAD_MS          4u /* who is so much earlier, again and again, is nearer to a source */
#define LEADS_TO_SWAP    3u
#define TELL_GAP_MS      400u /* those who wish places are told no oftener, but at once at first */
#define FLOOD_MS         10000u
#define TELLERS          2u /* neighbours that say how far they are: the one that pushes may fail */

struct hm_feed_link *feed_link_of(const struct hm_feed *feed, const struct hm_id *id)
{
    for (size_t i = 0; i <= feed->count; i++) {
        if (hm_id_equal(&feed->links[i].id, id)) {
            return &feed->links[i];
        }
    }
    return NULL;
}

struct hm_peer feed_peer_of(const struct hm_feed *feed, const struct hm_feed_link *link)
{
    struct hm_peer peer = {.id = link->id};
    if (link == &feed->links[feed->count]) {
        peer.addr = feed->stranger;
    }
    return peer;
}

/* ---- who pushes ----
 *
 * One neighbour pushes events to us, two more only say how far they are: events come once, and when
 * they do not come we know it soon. A neighbour is silent until it is told what we wish. */

static size_t count_ours(const struct hm_feed *feed, enum hm_feed_wished wish)
{
    size_t count = 0;
    for (size_t i = 0; i < feed->count; i++) {
        count += feed->links[i].ours == wish;
    }
    return count;
}

/* A neighbour of which nothing was wished, drawn evenly among those that are furthest. */
static struct hm_feed_link *choose_silent(struct hm_feed *feed)
{
    struct hm_feed_link *chosen = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < feed->count; i++) {
        struct hm_feed_link *link = &feed->links[i];
        if (link->ours != HM_FEED_NOTHING || link->refused ||
            (chosen && hm_feed_is_ahead(chosen->place, link->place))) {
            continue;
        }
        seen = chosen && hm_feed_is_ahead(link->place, chosen->place) ? 0 : seen;
        if (hm_random_below(&feed->random, ++seen) == 0) {
            chosen = link;
        }
    }
    return chosen;
}

static void wish(struct hm_feed *feed, struct hm_feed_link *link, enum hm_feed_wished wish)
{
    struct hm_message message = {.kind = HM_MSG_feed_wish};
    struct hm_peer peer = feed_peer_of(feed, link);
    message.feed_wish.feed = feed->config.feed;
    message.feed_wish.wish = (uint8_t)wish;
    message.feed_wish.after = feed->place;
    hm_outbox_send(&feed->outbox, &peer, &message);
    link->ours = (uint8_t)wish;
    link->repeats = 0;
}

void feed_settle(struct hm_feed *feed, hm_ms now)
{
    struct hm_feed_link *link = feed_link_of(feed, &feed->asked);
    feed->settle_at = HM_NEVER;
    if (feed->config.source) {
        return; /* Raft brings it */
    }
    if (link && !hm_id_is_none(&feed->asked)) { /* it did not answer */
        link->refused = true;
        link->ours = HM_FEED_NOTHING;
    }
    feed->asked = (struct hm_id){0};
    if (count_ours(feed, HM_FEED_EVENTS) == 0) {
        link = choose_silent(feed);
        if (link) {
            feed->asked = link->id;
            wish(feed, link, HM_FEED_EVENTS);
        }
        for (size_t i = 0; !link && i < feed->count; i++) {
            feed->links[i].refused = false;
        }
        feed->settle_at = feed->count ? now + PULL_TIMEOUT_MS : HM_NEVER;
    }
    while (count_ours(feed, HM_FEED_PLACES) < TELLERS && (link = choose_silent(feed))) {
        wish(feed, link, HM_FEED_PLACES);
    }
}

/* Whom we asked to push has answered. */
void feed_answered(struct hm_feed *feed, hm_ms now, struct hm_feed_link *link, bool pushes)
{
    if (hm_id_is_none(&feed->asked) || !hm_id_equal(&feed->asked, &link->id)) {
        return;
    }
    feed->asked = (struct hm_id){0};
    feed->settle_at = HM_NEVER;
    if (!pushes) { /* it does not know us yet */
        link->refused = true;
        link->ours = HM_FEED_NOTHING;
        feed->settle_at = now + SETTLE_MS;
    }
}

/* All may push until repeats tell who need not: one that is chosen alone may itself be fed by us.
 */
static void wish_of_all(struct hm_feed *feed)
{
    for (size_t i = 0; i < feed->count; i++) {
        struct hm_feed_link *link = &feed->links[i];
        if (link->ours != HM_FEED_EVENTS && !link->refused) {
            wish(feed, link, HM_FEED_EVENTS);
        }
    }
}

void hm_feed_doubt(struct hm_feed *feed, hm_ms now, const struct hm_id *neighbour)
{
    struct hm_feed_link *link = feed_link_of(feed, neighbour);
    if (!link || link == &feed->links[feed->count]) {
        return;
    }
    bool pushed = link->ours == HM_FEED_EVENTS;
    feed->now = now;
    feed->flood_until = now + FLOOD_MS;
    feed->asked = hm_id_equal(&feed->asked, neighbour) ? (struct hm_id){0} : feed->asked;
    link->ours = HM_FEED_NOTHING;
    link->refused = true;
    if (pushed && !feed->config.source) {
        wish_of_all(feed);
    }
    feed->settle_at = now;
}

/* One of those who tell knew of the next event before it was pushed to us. */
void feed_note_lead(struct hm_feed *feed, hm_ms now, const struct hm_feed_link *link)
{
    if (link->ours == HM_FEED_PLACES && feed->lead_at == HM_NEVER &&
        hm_feed_is_ahead(link->place, feed->place)) {
        feed->lead = link->id;
        feed->lead_at = now;
    }
}

/* The next event was pushed. The tree stays low: whoever is nearer to a source takes over. */
void feed_compare_lead(struct hm_feed *feed, hm_ms now)
{
    bool led = feed->lead_at != HM_NEVER && now - feed->lead_at >= LEAD_MS;
    feed->leads = led ? (uint8_t)(feed->leads + 1) : 0;
    feed->lead_at = HM_NEVER;
    if (feed->leads >= LEADS_TO_SWAP) {
        struct hm_feed_link *link = feed_link_of(feed, &feed->lead);
        feed->leads = 0;
        if (link && link->ours == HM_FEED_PLACES) {
            wish(feed, link, HM_FEED_EVENTS); /* the other brings only repeats then */
        }
    }
}

/* Says how far we are to those who wished to know, once for all that has come. */
void feed_tell_place(struct hm_feed *feed)
{
    struct hm_message message = {.kind = HM_MSG_feed_place};
    message.feed_place.feed = feed->config.feed;
    message.feed_place.place = feed->place;
    for (size_t i = 0; i < feed->count; i++) {
        const struct hm_feed_link *link = &feed->links[i];
        bool wished =
            link->theirs == HM_FEED_PLACES || (feed->tells_all && link->theirs == HM_FEED_EVENTS);
        if (wished && hm_feed_is_ahead(feed->place, link->place)) {
            struct hm_peer peer = feed_peer_of(feed, link);
            message.feed_place.pushes = link->theirs == HM_FEED_EVENTS;
            hm_outbox_send(&feed->outbox, &peer, &message);
        }
    }
    feed->tell_at = HM_NEVER;
    feed->tell_next = feed->now + TELL_GAP_MS;
    feed->tells_all = false;
}

/* A duplicate came over this link; one that brings nothing else is asked to stop. */
void feed_repeated(struct hm_feed *feed, struct hm_feed_link *link)
{
    bool needed = link->ours == HM_FEED_EVENTS && count_ours(feed, HM_FEED_EVENTS) == 1;
    if (++link->repeats < REPEATS_TO_QUIET || (needed && !feed->config.source)) {
        return;
    }
    bool tells = link->ours == HM_FEED_PLACES || count_ours(feed, HM_FEED_PLACES) < TELLERS;
    bool neighbour = link != &feed->links[feed->count];
    wish(feed, link, tells && neighbour && !feed->config.source ? HM_FEED_PLACES : HM_FEED_NOTHING);
}
