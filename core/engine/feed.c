#include "core/engine/feed.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/feed_internal.h"

#include <string.h>

#define SWAPPED_MS        10u  /* two pushes may have changed places */
#define PATIENCE_MS       40u  /* a push may be on its way */
#define PATIENCE_MOST_MS  320u /* where it mostly was: all are slow */
#define RING_FIRST        8u   /* events held before the ring grows */
#define FORWARD_RANGE_MAX 16u  /* a longer range is caught up, not news: neighbours pull it */
#define ANSWER_EVENTS     64u  /* as many, and as long, are pushed to who pulls them */
#define ANSWER_BYTES      4096u

/* ---- setting up ---- */

void hm_feed_init(struct hm_feed *feed, const struct hm_feed_config *config, uint64_t seed)
{
    *feed = (struct hm_feed){.config = *config,
                             .patience_ms = PATIENCE_MS,
                             .pull_at = HM_NEVER,
                             .pull_until = HM_NEVER,
                             .settle_at = HM_NEVER,
                             .lead_at = HM_NEVER,
                             .tell_at = HM_NEVER};
    feed->config.ring_events = config->ring_events ? config->ring_events : 4096;
    feed->config.ring_bytes = config->ring_bytes ? config->ring_bytes : 4u << 20;
    feed->links = hm_alloc(1, sizeof *feed->links);
    hm_random_init(&feed->random, seed);
}

static void drop(struct hm_feed_held *held)
{
    if (held->bytes.data) { /* pages never used stay untouched */
        hm_bytes_free(held->bytes);
        *held = (struct hm_feed_held){0};
    }
}

static void drop_all(struct hm_feed *feed)
{
    for (size_t i = 0; i < feed->held_capacity; i++) {
        drop(&feed->held[i]);
    }
    for (size_t i = 0; feed->early && i < HM_FEED_EARLY_MAX; i++) {
        drop(&feed->early[i]);
    }
    feed->early_count = 0;
    feed->held_bytes = 0;
}

void hm_feed_fini(struct hm_feed *feed)
{
    drop_all(feed);
    hm_free(feed->held);
    hm_free(feed->early);
    hm_free(feed->links);
    hm_arena_fini(&feed->arena);
    hm_buf_fini(&feed->scratch);
    hm_outbox_fini(&feed->outbox);
    *feed = (struct hm_feed){0};
}

static void forget_tries(struct hm_feed *feed)
{
    for (size_t i = 0; i <= feed->count; i++) {
        feed->links[i].tried = false;
        feed->links[i].behind = false;
    }
}

void hm_feed_start(struct hm_feed *feed, struct hm_place place)
{
    drop_all(feed);
    feed->started = true;
    feed->gave_up = false;
    feed->place = place;
    feed->first_held = place.position + 1;
    feed->base_epoch = place.epoch;
    feed->history = (struct hm_id){0};
    feed->pull_at = 0; /* neighbours may have shown themselves already */
    feed->pull_until = HM_NEVER;
    forget_tries(feed);
}

void hm_feed_set_history(struct hm_feed *feed, const struct hm_id *history)
{
    feed->history = *history;
}

void hm_feed_set_neighbours(struct hm_feed *feed, hm_ms now, const struct hm_peer *peers,
                            size_t count)
{
    struct hm_feed_link *links = hm_alloc(count + 1, sizeof *links);
    for (size_t i = 0; i < count; i++) {
        const struct hm_feed_link *old = feed_link_of(feed, &peers[i].id);
        if (old) {
            links[i] = *old; /* with what it wished while it was a stranger */
        }
        links[i].id = peers[i].id;
    }
    hm_free(feed->links);
    feed->links = links;
    feed->count = count;
    if (feed->settle_at == HM_NEVER) {
        feed->settle_at = now + hm_random_between(&feed->random, SETTLE_MS, 2 * SETTLE_MS);
    }
}

/* The link of a sender; one that is no neighbour gets the last, shared one. */
static struct hm_feed_link *meet(struct hm_feed *feed, const struct hm_peer *from)
{
    struct hm_feed_link *link = feed_link_of(feed, &from->id);
    if (!link) {
        link = &feed->links[feed->count];
        *link = (struct hm_feed_link){.id = from->id};
        feed->stranger = from->addr;
    }
    return link;
}

/* ---- places ---- */

bool hm_feed_is_ahead(struct hm_place a, struct hm_place b)
{
    return a.epoch != b.epoch ? a.epoch > b.epoch : a.position > b.position;
}

static void reach(struct hm_feed_link *link, struct hm_place place)
{
    if (hm_feed_is_ahead(place, link->place)) {
        link->place = place;
    }
}

static struct hm_place place_of(const struct hm_feed *feed, const struct hm_event *event)
{
    bool members = feed->config.feed == 0;
    return (struct hm_place){event->epoch,
                             members ? event->members_position : event->state_position};
}

static void give_up(struct hm_feed *feed)
{
    if (!feed->gave_up && !feed->config.source) {
        feed->gave_up = true;
        hm_outbox_notify(&feed->outbox, HM_FEED_BEHIND, NULL, feed->place.position);
    }
}

/* So far behind that a fresh start costs less than what was missed? */
static bool leaps(struct hm_feed *feed, struct hm_place place)
{
    bool far = feed->config.leap && place.position > feed->place.position + feed->config.leap;
    if (far) {
        give_up(feed);
    }
    return far;
}

/* The event that raises an epoch, when this is one: NULL otherwise. */
static const struct hm_epoch_raised *raising(struct hm_feed *feed, const struct hm_event *event,
                                             struct hm_message *body)
{
    if (hm_message_decode_only(event->body, HM_MSG_epoch_raised, &feed->arena, body) != HM_OK ||
        body->epoch_raised.epoch != event->epoch) {
        return NULL;
    }
    return &body->epoch_raised;
}

/* May this event, whose position is the next, follow our history? A new generation of history is
 * entered only through the event that raises it, and only from the one that it names. */
static bool follows(struct hm_feed *feed, const struct hm_event *event)
{
    struct hm_message body;
    if (event->epoch == feed->place.epoch || feed->place.position == 0 ||
        hm_plant("feed_takes_stale_epoch")) {
        return true;
    }
    const struct hm_epoch_raised *raised = raising(feed, event, &body);
    return event->epoch > feed->place.epoch && raised &&
           (hm_id_is_none(&feed->history) || hm_id_equal(&feed->history, &raised->last_history));
}

/* ---- what is held ---- */

static struct hm_feed_held *held_at(const struct hm_feed *feed, uint64_t position)
{
    return &feed->held[position % feed->held_capacity];
}

static uint64_t epoch_at(const struct hm_feed *feed, uint64_t position)
{
    return position >= feed->first_held ? held_at(feed, position)->epoch : feed->base_epoch;
}

static void drop_oldest(struct hm_feed *feed)
{
    struct hm_feed_held *oldest = held_at(feed, feed->first_held);
    HM_ASSERT(oldest->position == feed->first_held);
    feed->base_epoch = oldest->epoch;
    feed->held_bytes -= oldest->bytes.size;
    feed->first_held++;
    drop(oldest);
}

/* For one more at this position: the ring grows, or loses its oldest. */
static void make_room(struct hm_feed *feed, uint64_t position)
{
    uint32_t old = feed->held_capacity;
    if (position - feed->first_held < old) {
        return;
    }
    if (old == feed->config.ring_events) {
        drop_oldest(feed);
        return;
    }
    uint32_t more = old ? 2 * old : RING_FIRST;
    more = more < feed->config.ring_events ? more : feed->config.ring_events;
    struct hm_feed_held *held = hm_alloc(more, sizeof *held);
    for (uint64_t i = feed->first_held; i < position; i++) {
        held[i % more] = feed->held[i % old];
    }
    hm_free(feed->held);
    feed->held = held;
    feed->held_capacity = more;
}

static struct hm_bytes encode(struct hm_feed *feed, const struct hm_event *event)
{
    struct hm_message message = {.kind = HM_MSG_feed_event};
    message.feed_event.feed = feed->config.feed;
    message.feed_event.event = *event;
    hm_buf_clear(&feed->scratch);
    hm_message_encode(&feed->scratch, &message);
    return hm_buf_view(&feed->scratch);
}

static const struct hm_event *decode(struct hm_feed *feed, struct hm_bytes bytes,
                                     struct hm_message *message)
{
    enum hm_status status = hm_message_decode_only(bytes, HM_MSG_feed_event, &feed->arena, message);
    HM_ASSERT(status == HM_OK);
    return &message->feed_event.event;
}

/* Is there reason to doubt the tree? */
static bool floods(const struct hm_feed *feed)
{
    return feed->now < feed->flood_until;
}

static void push_onward(struct hm_feed *feed, struct hm_place place, struct hm_bytes bytes,
                        const struct hm_id *except)
{
    for (size_t i = 0; i < feed->count; i++) {
        const struct hm_feed_link *link = &feed->links[i];
        bool has_it = !hm_feed_is_ahead(place, link->place);
        bool wished = link->theirs == HM_FEED_EVENTS || floods(feed);
        if (wished && !has_it && !(except && hm_id_equal(except, &link->id))) {
            struct hm_effect effect = {
                .kind = HM_EFFECT_SEND, .peer = {.id = link->id}, .message = bytes};
            hm_outbox_push(&feed->outbox, &effect, NULL);
        }
    }
}

/* The next event: delivered, held, passed on. */
static void take_next(struct hm_feed *feed, const struct hm_event *event,
                      const struct hm_id *except, bool forward)
{
    struct hm_place place = place_of(feed, event);
    HM_ASSERT(place.position == feed->place.position + 1);
    struct hm_bytes bytes = encode(feed, event);
    make_room(feed, place.position);
    *held_at(feed, place.position) =
        (struct hm_feed_held){place.epoch, place.position, hm_bytes_copy(bytes)};
    feed->held_bytes += bytes.size;
    if (place.epoch != feed->place.epoch) {
        struct hm_message body;
        const struct hm_epoch_raised *raised = raising(feed, event, &body);
        feed->history = raised ? raised->history : (struct hm_id){0};
    }
    feed->place = place;
    while (feed->held_bytes > feed->config.ring_bytes && feed->first_held < place.position) {
        drop_oldest(feed);
    }
    if (!feed->config.source) {
        struct hm_effect effect = {
            .kind = HM_EFFECT_APPLY, .number = place.position, .message = bytes};
        hm_outbox_push(&feed->outbox, &effect, NULL);
    }
    if (feed->tell_at == HM_NEVER) {
        feed->tell_at = feed->tell_next;
    }
    forward = forward || floods(feed);
    feed->tells_all = feed->tells_all || !forward;
    if (forward) {
        push_onward(feed, place, bytes, except);
    }
}

void hm_feed_publish(struct hm_feed *feed, hm_ms now, const struct hm_event *event)
{
    uint64_t position = place_of(feed, event).position;
    HM_ASSERT(feed->config.source && feed->started);
    feed->now = now;
    hm_arena_clear(&feed->arena);
    if (position > feed->place.position + 1) { /* Raft began at a snapshot */
        hm_feed_start(feed, (struct hm_place){event->epoch, position - 1});
    }
    if (position > feed->place.position) {
        take_next(feed, event, NULL, true);
    }
}

/* ---- pulling ---- */

static void want_pull(struct hm_feed *feed, hm_ms at)
{
    bool idle = feed->pull_until == HM_NEVER;
    if (idle && (feed->pull_at == HM_NEVER || at < feed->pull_at)) {
        feed->pull_at = at;
    }
}

/* Someone of whom to pull: ahead of us and not tried in vain, drawn evenly; NULL: nobody. */
static struct hm_feed_link *choose(struct hm_feed *feed)
{
    struct hm_feed_link *chosen = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i <= feed->count; i++) {
        struct hm_feed_link *link = &feed->links[i];
        if (hm_feed_is_ahead(link->place, feed->place) && !link->tried && !link->behind &&
            hm_random_below(&feed->random, ++seen) == 0) {
            chosen = link;
        }
    }
    return chosen;
}

static bool is_behind(const struct hm_feed *feed)
{
    for (size_t i = 0; i <= feed->count; i++) {
        if (hm_feed_is_ahead(feed->links[i].place, feed->place)) {
            return true;
        }
    }
    return false;
}

/* All who are ahead have been tried: those that are silent get another chance, unless the others
 * say that what we miss is gone. */
static void start_over(struct hm_feed *feed, hm_ms now)
{
    for (size_t i = 0; i <= feed->count; i++) {
        if (feed->links[i].behind && hm_feed_is_ahead(feed->links[i].place, feed->place)) {
            give_up(feed);
            return;
        }
    }
    forget_tries(feed);
    feed->pull_at = now + PULL_TIMEOUT_MS;
}

static void pull(struct hm_feed *feed, hm_ms now)
{
    feed->pull_at = HM_NEVER;
    if (feed->config.source || feed->gave_up) {
        return;
    }
    if (!is_behind(feed)) {
        forget_tries(feed);
        return;
    }
    struct hm_feed_link *link = choose(feed);
    if (!link) {
        start_over(feed, now);
        return;
    }
    struct hm_message message = {.kind = HM_MSG_feed_pull};
    message.feed_pull.feed = feed->config.feed;
    message.feed_pull.after = feed->place;
    struct hm_peer peer = feed_peer_of(feed, link);
    hm_outbox_send(&feed->outbox, &peer, &message);
    link->ours = HM_FEED_EVENTS; /* a pull wakes the link */
    link->repeats = 0;
    feed->puller = link->id;
    feed->pull_until = now + PULL_TIMEOUT_MS;
}

/* Something came from whom we pull. Had it come meanwhile, those who push are slow, not gone. */
static void learn_patience(struct hm_feed *feed, const struct hm_peer *from, bool news)
{
    if (feed->pull_until == HM_NEVER || !hm_id_equal(&feed->puller, &from->id)) {
        return;
    }
    hm_ms more =
        2 * feed->patience_ms < PATIENCE_MOST_MS ? 2 * feed->patience_ms : PATIENCE_MOST_MS;
    feed->patience_ms = news ? PATIENCE_MS : more;
}

static bool pull_is_answered(struct hm_feed *feed, const struct hm_peer *by)
{
    if (feed->pull_until == HM_NEVER || !hm_id_equal(&feed->puller, &by->id)) {
        return false;
    }
    feed->pull_until = HM_NEVER;
    feed->pull_at = HM_NEVER;
    return true;
}

void hm_feed_tick(struct hm_feed *feed, hm_ms now)
{
    feed->now = now;
    if (now >= feed->pull_until) {
        struct hm_feed_link *link = feed_link_of(feed, &feed->puller);
        feed->pull_until = HM_NEVER;
        feed->pull_at = now;
        if (link) {
            link->tried = true;
        }
    }
    if (feed->started && feed->pull_until == HM_NEVER && now >= feed->pull_at) {
        pull(feed, now);
    }
    if (feed->started && now >= feed->settle_at) {
        feed_settle(feed, now);
    }
}

hm_ms hm_feed_deadline(const struct hm_feed *feed)
{
    if (!feed->started) {
        return HM_NEVER;
    }
    hm_ms at = feed->pull_until != HM_NEVER ? feed->pull_until : feed->pull_at;
    at = at < feed->settle_at ? at : feed->settle_at;
    return at < feed->tell_at ? at : feed->tell_at;
}

void hm_feed_peer_place(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                        struct hm_place place)
{
    if (place.position == 0) {
        return; /* it does not carry the feed */
    }
    struct hm_feed_link *link = feed_link_of(feed, &from->id);
    if (!link && !hm_feed_is_ahead(place, feed->place)) {
        return;
    }
    link = link ? link : meet(feed, from);
    reach(link, place);
    if (feed->started && leaps(feed, place)) {
        return;
    }
    if (hm_feed_is_ahead(place, feed->place)) {
        want_pull(feed, now + (floods(feed) ? SWAPPED_MS : feed->patience_ms));
    }
}

/* ---- messages ---- */

/* How far we are, and whether we push to it. */
static void send_place(struct hm_feed *feed, const struct hm_peer *to)
{
    const struct hm_feed_link *link = feed_link_of(feed, &to->id);
    struct hm_message message = {.kind = HM_MSG_feed_place};
    message.feed_place.feed = feed->config.feed;
    message.feed_place.place = feed->place;
    message.feed_place.pushes =
        link && link != &feed->links[feed->count] && link->theirs == HM_FEED_EVENTS;
    hm_outbox_send(&feed->outbox, to, &message);
}

/* Little that was missed is pushed like news: no stream needs to be opened for it. */
static bool push_range(struct hm_feed *feed, const struct hm_peer *to, struct hm_place after)
{
    size_t bytes = 0;
    if (feed->place.position - after.position > ANSWER_EVENTS) {
        return false;
    }
    for (uint64_t position = after.position; position < feed->place.position;) {
        bytes += held_at(feed, ++position)->bytes.size;
    }
    if (bytes > ANSWER_BYTES) {
        return false;
    }
    for (uint64_t position = after.position; position < feed->place.position;) {
        struct hm_effect effect = {
            .kind = HM_EFFECT_SEND, .peer = *to, .message = held_at(feed, ++position)->bytes};
        hm_outbox_push(&feed->outbox, &effect, NULL);
    }
    send_place(feed, to);
    return true;
}

static void send_range(struct hm_feed *feed, const struct hm_peer *to, struct hm_place after)
{
    struct hm_message message;
    struct hm_message decoded;
    struct hm_event *events =
        hm_arena_alloc(&feed->arena, HM_FEED_RANGE_EVENTS_MAX, sizeof *events);
    uint32_t count = 0;
    size_t bytes = 0;
    uint64_t position = after.position;
    while (position < feed->place.position && count < HM_FEED_RANGE_EVENTS_MAX) {
        const struct hm_feed_held *held = held_at(feed, ++position);
        bytes += held->bytes.size;
        if (bytes > HM_FEED_RANGE_BYTES_MAX && count) {
            break;
        }
        events[count++] = *decode(feed, held->bytes, &decoded);
    }
    message = (struct hm_message){.kind = HM_MSG_feed_range};
    message.feed_range.feed = feed->config.feed;
    message.feed_range.after = after;
    message.feed_range.latest = feed->place;
    message.feed_range.events = events;
    message.feed_range.events_count = count;
    hm_outbox_send(&feed->outbox, to, &message);
}

/* Does it stand in our history, and do we hold all that follows there? */
static bool holds_after(const struct hm_feed *feed, struct hm_place after)
{
    return after.position <= feed->place.position && after.position + 1 >= feed->first_held &&
           (after.position == 0 || after.epoch == epoch_at(feed, after.position));
}

static enum hm_status answer_pull(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                  struct hm_place after)
{
    struct hm_feed_link *link = feed_link_of(feed, &from->id);
    if (link) {
        link->theirs = HM_FEED_EVENTS;
        reach(link, after);
    }
    bool ended = after.epoch < feed->place.epoch && after.position > feed->place.position;
    if (!ended && (after.epoch > feed->place.epoch || after.position > feed->place.position)) {
        send_place(feed, from); /* let it ask another */
        hm_feed_peer_place(feed, now, from, after);
        return HM_STALE;
    }
    if (ended || !holds_after(feed, after)) {
        struct hm_message message = {.kind = HM_MSG_feed_behind};
        message.feed_behind.feed = feed->config.feed;
        message.feed_behind.oldest = (struct hm_place){feed->base_epoch, feed->first_held - 1};
        hm_outbox_send(&feed->outbox, from, &message);
        return HM_OK;
    }
    if (!push_range(feed, from, after)) {
        send_range(feed, from, after);
    }
    return HM_OK;
}

/* Delivers what came early and has its turn now. */
static void take_early(struct hm_feed *feed)
{
    while (feed->early_count) {
        struct hm_feed_held early = feed->early[(feed->place.position + 1) % HM_FEED_EARLY_MAX];
        struct hm_message message;
        if (!early.bytes.data || early.position != feed->place.position + 1) {
            return;
        }
        feed->early[early.position % HM_FEED_EARLY_MAX] = (struct hm_feed_held){0};
        feed->early_count--;
        const struct hm_event *event = decode(feed, early.bytes, &message);
        bool good = follows(feed, event);
        if (good) {
            take_next(feed, event, NULL, true);
        }
        hm_bytes_free(early.bytes);
        if (!good) {
            return;
        }
    }
}

/* Keeps an event that came before its turn; false when it is kept already. */
static bool keep_early(struct hm_feed *feed, const struct hm_event *event, struct hm_place place)
{
    if (!feed->early) {
        feed->early = hm_alloc(HM_FEED_EARLY_MAX, sizeof *feed->early);
    }
    struct hm_feed_held *early = &feed->early[place.position % HM_FEED_EARLY_MAX];
    if (place.position - feed->place.position >= HM_FEED_EARLY_MAX ||
        event->body.size > HM_FEED_EARLY_BYTES_MAX) {
        return true; /* no room: it is pulled when its turn comes */
    }
    if (early->bytes.data && early->position == place.position && early->epoch == place.epoch) {
        return false;
    }
    feed->early_count += early->bytes.data == NULL;
    drop(early);
    *early = (struct hm_feed_held){place.epoch, place.position, hm_bytes_copy(encode(feed, event))};
    return true;
}

static enum hm_status take_push(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                const struct hm_event *event)
{
    struct hm_place place = place_of(feed, event);
    struct hm_feed_link *link = meet(feed, from);
    if (place.position == 0) {
        return HM_BAD_ARGUMENT;
    }
    reach(link, place);
    if (place.epoch < feed->place.epoch && place.position > feed->place.position &&
        !hm_plant("feed_takes_stale_epoch")) {
        send_place(feed, from); /* a history that ended before: it learns of ours */
        return HM_STALE;
    }
    learn_patience(feed, from, place.position > feed->place.position);
    if (place.position <= feed->place.position) {
        if (place.epoch > feed->place.epoch) {
            want_pull(feed, now); /* the answer tells whether our history is theirs */
        }
        feed_repeated(feed, link);
        return HM_STALE;
    }
    if (feed->config.source) {
        feed_repeated(feed, link); /* Raft brings it */
        return HM_STALE;
    }
    if (hm_plant("feed_skips_gap")) {
        feed->place.position = place.position - 1;
        feed->first_held = feed->held_capacity ? feed->first_held : place.position;
    }
    if (place.position > feed->place.position + 1) {
        if (leaps(feed, place)) {
            return HM_STALE;
        }
        want_pull(feed, now + SWAPPED_MS);
        if (keep_early(feed, event, place)) {
            link->repeats = 0;
        } else {
            feed_repeated(feed, link);
        }
        return HM_OK;
    }
    if (!follows(feed, event)) {
        give_up(feed);
        return HM_STALE;
    }
    link->repeats = 0;
    feed_compare_lead(feed, now);
    take_next(feed, event, &from->id, true);
    take_early(feed);
    return HM_OK;
}

static enum hm_status take_range(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                 const struct hm_feed_range *range)
{
    struct hm_feed_link *link = meet(feed, from);
    uint64_t before = feed->place.position;
    learn_patience(feed, from, range->latest.position > before);
    bool answer = pull_is_answered(feed, from);
    link->place = range->latest; /* its own word, even if we thought it further */
    if (feed->config.source) {
        return HM_STALE;
    }
    for (uint32_t i = 0; i < range->events_count; i++) {
        const struct hm_event *event = &range->events[i];
        if (place_of(feed, event).position != feed->place.position + 1) {
            continue;
        }
        if (!follows(feed, event)) {
            give_up(feed);
            return HM_STALE;
        }
        take_next(feed, event, &from->id, range->events_count <= FORWARD_RANGE_MAX);
    }
    take_early(feed);
    if (feed->place.position > before) {
        forget_tries(feed);
    } else if (answer) {
        link->tried = true;
    }
    if (is_behind(feed)) {
        want_pull(feed, now);
    }
    return feed->place.position > before ? HM_OK : HM_STALE;
}

/* After each event from those who are not to push it; or at the end of what we pulled. */
static enum hm_status take_place(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                 const struct hm_feed_place *told)
{
    struct hm_feed_link *link = feed_link_of(feed, &from->id);
    bool answer = pull_is_answered(feed, from);
    if (link) {
        feed_answered(feed, now, link, told->pushes);
    }
    if (answer && link) {
        link->place = told->place; /* its own word, even if we thought it further */
        link->tried = !hm_feed_is_ahead(told->place, feed->place);
    }
    hm_feed_peer_place(feed, now, from, told->place);
    if (link) {
        feed_note_lead(feed, now, link);
    }
    if (is_behind(feed)) {
        want_pull(feed, now + (answer || floods(feed) ? SWAPPED_MS : feed->patience_ms));
    }
    return HM_OK;
}

static enum hm_status take_behind(struct hm_feed *feed, hm_ms now, const struct hm_peer *from)
{
    if (!pull_is_answered(feed, from)) {
        return HM_STALE;
    }
    struct hm_feed_link *link = meet(feed, from);
    link->behind = true;
    want_pull(feed, now);
    return HM_OK;
}

static enum hm_status take_wish(struct hm_feed *feed, const struct hm_peer *from,
                                const struct hm_feed_wish *told)
{
    uint8_t wished = told->wish;
    if (wished > HM_FEED_EVENTS) {
        return HM_BAD_ARGUMENT;
    }
    struct hm_feed_link *link = meet(feed, from);
    /* Whoever is to push to us cannot live on what it would have of us. */
    bool circle = wished == HM_FEED_EVENTS && link->ours == HM_FEED_EVENTS && !feed->config.source;
    link->theirs = circle ? HM_FEED_PLACES : wished;
    reach(link, told->after);
    if (wished == HM_FEED_EVENTS &&
        !(holds_after(feed, told->after) && push_range(feed, from, told->after))) {
        send_place(feed, from);
    }
    return HM_OK;
}

static bool is_for(const struct hm_feed *feed, const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_feed_event:
        return message->feed_event.feed == feed->config.feed;
    case HM_MSG_feed_pull:
        return message->feed_pull.feed == feed->config.feed;
    case HM_MSG_feed_range:
        return message->feed_range.feed == feed->config.feed;
    case HM_MSG_feed_wish:
        return message->feed_wish.feed == feed->config.feed;
    case HM_MSG_feed_place:
        return message->feed_place.feed == feed->config.feed;
    case HM_MSG_feed_behind:
        return message->feed_behind.feed == feed->config.feed;
    default:
        return false;
    }
}

enum hm_status hm_feed_input(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    if (!is_for(feed, message)) {
        return HM_BAD_ARGUMENT;
    }
    if (!feed->started) {
        if (message->kind == HM_MSG_feed_event) { /* so that the start knows of whom to pull */
            reach(meet(feed, from), place_of(feed, &message->feed_event.event));
        }
        return HM_NOT_STARTED;
    }
    feed->now = now;
    hm_arena_clear(&feed->arena);
    switch (message->kind) {
    case HM_MSG_feed_event:
        return take_push(feed, now, from, &message->feed_event.event);
    case HM_MSG_feed_pull:
        return answer_pull(feed, now, from, message->feed_pull.after);
    case HM_MSG_feed_range:
        return take_range(feed, now, from, &message->feed_range);
    case HM_MSG_feed_wish:
        return take_wish(feed, from, &message->feed_wish);
    case HM_MSG_feed_place:
        return take_place(feed, now, from, &message->feed_place);
    default:
        return take_behind(feed, now, from);
    }
}

void hm_feed_rest(struct hm_feed *feed)
{
    hm_arena_fini(&feed->arena);
    hm_buf_fini(&feed->scratch);
    if (hm_outbox_is_empty(&feed->outbox)) {
        hm_outbox_fini(&feed->outbox);
    }
    if (feed->early && feed->early_count == 0) {
        hm_free(feed->early);
        feed->early = NULL;
    }
}

struct hm_place hm_feed_place(const struct hm_feed *feed)
{
    return feed->place;
}

bool hm_feed_output(struct hm_feed *feed, struct hm_effect *out)
{
    if (feed->now >= feed->tell_at && hm_outbox_is_empty(&feed->outbox)) {
        feed_tell_place(feed);
    }
    return hm_outbox_pop(&feed->outbox, out);
}
