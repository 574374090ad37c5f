#include "core/engine/feed.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

#define PULL_TIMEOUT_MS   300u
#define PULL_PATIENCE_MS  10u /* a push may be on its way, or two may have changed places */
#define REPEATS_TO_QUIET  3u
#define QUIET_AGAIN_MS    100u /* a neighbour that was told to be quiet hears it in that time */
#define LOUD_MIN          2u   /* neighbours never told to be quiet: one may fail */
#define RING_FIRST        8u   /* events held before the ring grows */
#define FORWARD_RANGE_MAX 16u  /* a longer range is caught up, not news: neighbours pull it */

/* ---- setting up ---- */

void hm_feed_init(struct hm_feed *feed, const struct hm_feed_config *config, uint64_t seed)
{
    *feed = (struct hm_feed){.config = *config, .pull_at = HM_NEVER, .pull_until = HM_NEVER};
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

static struct hm_feed_link *link_of(const struct hm_feed *feed, const struct hm_id *id)
{
    for (size_t i = 0; i <= feed->count; i++) {
        if (hm_id_equal(&feed->links[i].id, id)) {
            return &feed->links[i];
        }
    }
    return NULL;
}

void hm_feed_set_neighbours(struct hm_feed *feed, const struct hm_peer *peers, size_t count)
{
    struct hm_feed_link *links = hm_alloc(count + 1, sizeof *links);
    for (size_t i = 0; i < count; i++) {
        const struct hm_feed_link *old = link_of(feed, &peers[i].id);
        if (old) {
            links[i] = *old;
            links[i].lazy = old->lazy && old != &feed->links[feed->count];
        }
        links[i].id = peers[i].id;
    }
    hm_free(feed->links);
    feed->links = links;
    feed->count = count;
}

/* The link of a sender; one that is no neighbour gets the last, shared one. */
static struct hm_feed_link *meet(struct hm_feed *feed, const struct hm_peer *from)
{
    struct hm_feed_link *link = link_of(feed, &from->id);
    if (!link) {
        link = &feed->links[feed->count];
        *link = (struct hm_feed_link){.id = from->id, .lazy = true};
        feed->stranger = from->addr;
    }
    return link;
}

static struct hm_peer peer_of(const struct hm_feed *feed, const struct hm_feed_link *link)
{
    struct hm_peer peer = {.id = link->id};
    if (link == &feed->links[feed->count]) {
        peer.addr = feed->stranger;
    }
    return peer;
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

static void push_onward(struct hm_feed *feed, struct hm_place place, struct hm_bytes bytes,
                        const struct hm_id *except)
{
    for (size_t i = 0; i < feed->count; i++) {
        const struct hm_feed_link *link = &feed->links[i];
        bool has_it = !hm_feed_is_ahead(place, link->place);
        if (!link->lazy && !has_it && !(except && hm_id_equal(except, &link->id))) {
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
    if (forward) {
        push_onward(feed, place, bytes, except);
    }
}

void hm_feed_publish(struct hm_feed *feed, hm_ms now, const struct hm_event *event)
{
    (void)now;
    uint64_t position = place_of(feed, event).position;
    HM_ASSERT(feed->config.source && feed->started);
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
    struct hm_peer peer = peer_of(feed, link);
    hm_outbox_send(&feed->outbox, &peer, &message);
    link->quieted = false; /* a pull wakes the link */
    link->repeats = 0;
    feed->puller = link->id;
    feed->pull_until = now + PULL_TIMEOUT_MS;
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
    if (now >= feed->pull_until) {
        struct hm_feed_link *link = link_of(feed, &feed->puller);
        feed->pull_until = HM_NEVER;
        feed->pull_at = now;
        if (link) {
            link->tried = true;
        }
    }
    if (feed->started && feed->pull_until == HM_NEVER && now >= feed->pull_at) {
        pull(feed, now);
    }
}

hm_ms hm_feed_deadline(const struct hm_feed *feed)
{
    if (!feed->started) {
        return HM_NEVER;
    }
    return feed->pull_until != HM_NEVER ? feed->pull_until : feed->pull_at;
}

void hm_feed_peer_place(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                        struct hm_place place)
{
    if (place.position == 0) {
        return; /* it does not carry the feed */
    }
    struct hm_feed_link *link = link_of(feed, &from->id);
    if (!link && !hm_feed_is_ahead(place, feed->place)) {
        return;
    }
    link = link ? link : meet(feed, from);
    reach(link, place);
    if (feed->started && leaps(feed, place)) {
        return;
    }
    if (hm_feed_is_ahead(place, feed->place)) {
        want_pull(feed, now + PULL_PATIENCE_MS);
    }
}

/* ---- messages ---- */

static void send_range_start(const struct hm_feed *feed, struct hm_message *message,
                             struct hm_place after)
{
    *message = (struct hm_message){.kind = HM_MSG_feed_range};
    message->feed_range.feed = feed->config.feed;
    message->feed_range.after = after;
    message->feed_range.latest = feed->place;
}

/* An empty range: nothing but how far we are. */
static void send_place(struct hm_feed *feed, const struct hm_peer *to)
{
    struct hm_message message;
    send_range_start(feed, &message, feed->place);
    hm_outbox_send(&feed->outbox, to, &message);
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
    send_range_start(feed, &message, after);
    message.feed_range.events = events;
    message.feed_range.events_count = count;
    hm_outbox_send(&feed->outbox, to, &message);
}

static enum hm_status answer_pull(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                  struct hm_place after)
{
    struct hm_feed_link *link = link_of(feed, &from->id);
    if (link) {
        link->lazy = link == &feed->links[feed->count];
        reach(link, after);
    }
    bool ended = after.epoch < feed->place.epoch && after.position > feed->place.position;
    if (!ended && (after.epoch > feed->place.epoch || after.position > feed->place.position)) {
        send_place(feed, from); /* let it ask another */
        hm_feed_peer_place(feed, now, from, after);
        return HM_STALE;
    }
    bool ours = !ended && (after.position == 0 || after.epoch == epoch_at(feed, after.position));
    if (!ours || after.position + 1 < feed->first_held) {
        struct hm_message message = {.kind = HM_MSG_feed_behind};
        message.feed_behind.feed = feed->config.feed;
        message.feed_behind.oldest = (struct hm_place){feed->base_epoch, feed->first_held - 1};
        hm_outbox_send(&feed->outbox, from, &message);
        return HM_OK;
    }
    send_range(feed, from, after);
    return HM_OK;
}

/* A duplicate came over this link; one that brings nothing else is asked to stop. */
static void repeated(struct hm_feed *feed, hm_ms now, struct hm_feed_link *link)
{
    size_t loud = 0;
    for (size_t i = 0; i < feed->count; i++) {
        loud += !feed->links[i].quieted;
    }
    if (++link->repeats < REPEATS_TO_QUIET ||
        (loud <= LOUD_MIN && !link->quieted && !feed->config.source)) {
        return;
    }
    link->repeats = 0; /* said again after as many, in case it was lost */
    if (link->quieted && now < link->quieted_at + QUIET_AGAIN_MS) {
        return; /* what comes still was on its way, or waited here */
    }
    link->quieted = true;
    link->quieted_at = now;
    struct hm_message message = {.kind = HM_MSG_feed_quiet};
    message.feed_quiet.feed = feed->config.feed;
    struct hm_peer peer = peer_of(feed, link);
    hm_outbox_send(&feed->outbox, &peer, &message);
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
    if (place.position <= feed->place.position) {
        if (place.epoch > feed->place.epoch) {
            want_pull(feed, now); /* the answer tells whether our history is theirs */
        }
        repeated(feed, now, link);
        return HM_STALE;
    }
    if (feed->config.source) {
        repeated(feed, now, link); /* Raft brings it */
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
        want_pull(feed, now + PULL_PATIENCE_MS);
        if (keep_early(feed, event, place)) {
            link->repeats = 0;
        } else {
            repeated(feed, now, link);
        }
        return HM_OK;
    }
    if (!follows(feed, event)) {
        give_up(feed);
        return HM_STALE;
    }
    link->repeats = 0;
    take_next(feed, event, &from->id, true);
    take_early(feed);
    return HM_OK;
}

static enum hm_status take_range(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                                 const struct hm_feed_range *range)
{
    struct hm_feed_link *link = meet(feed, from);
    uint64_t before = feed->place.position;
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

static enum hm_status take_quiet(struct hm_feed *feed, const struct hm_peer *from)
{
    struct hm_feed_link *link = link_of(feed, &from->id);
    if (link) {
        link->lazy = true;
    }
    return link ? HM_OK : HM_STALE;
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
    case HM_MSG_feed_quiet:
        return message->feed_quiet.feed == feed->config.feed;
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
    hm_arena_clear(&feed->arena);
    switch (message->kind) {
    case HM_MSG_feed_event:
        return take_push(feed, now, from, &message->feed_event.event);
    case HM_MSG_feed_pull:
        return answer_pull(feed, now, from, message->feed_pull.after);
    case HM_MSG_feed_range:
        return take_range(feed, now, from, &message->feed_range);
    case HM_MSG_feed_quiet:
        return take_quiet(feed, from);
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
    return hm_outbox_pop(&feed->outbox, out);
}
