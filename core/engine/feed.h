/* One feed of events, carried by gossip: eager push along the links that bring news first, pull of
 * gaps (after Leitao, Pereira, Rodrigues, Epidemic Broadcast Trees, SRDS 2007; there is one order,
 * so a place says all that a node knows). Every event is delivered once, in order, without gaps.
 *
 * SEND: neighbours are named by their ids alone. APPLY: `number` is the position, `message` a
 * feed_event. A source gets none: it learns events from Raft and only passes them on. NOTIFY: enum
 * hm_feed_notice. */
#ifndef HM_ENGINE_FEED_H
#define HM_ENGINE_FEED_H

#include "core/engine/effect.h"

#define HM_FEED_EARLY_MAX        64u          /* pushes kept that came before their turn */
#define HM_FEED_EARLY_BYTES_MAX  (64u << 10)  /* of one of them */
#define HM_FEED_RANGE_EVENTS_MAX 256u         /* as the table says */
#define HM_FEED_RANGE_BYTES_MAX  (256u << 10) /* of a range, unless a single event is larger */

struct hm_feed_config {
    uint8_t feed;         /* 0 members, 1 state: as on the wire */
    uint32_t ring_events; /* held for those who pull; 0: 4,096 */
    uint32_t ring_bytes;  /* of those together, the newest is always held; 0: 4 MiB */
    bool source;          /* a voter */
    uint32_t leap;        /* further behind, one bootstraps anew instead of pulling; 0: never */
};

enum hm_feed_notice {
    /* Nobody can bring us up to date, or our history is not theirs: bootstrap anew, then start
     * again. `number` is our position. Said once per start. */
    HM_FEED_BEHIND = 1,
};

/* A neighbour, as this feed sees it. */
struct hm_feed_link {
    struct hm_place place; /* at least so far */
    struct hm_id id;       /* where a neighbour is reached, the node knows */
    bool lazy;             /* it told us to be quiet: no pushes to it */
    bool quieted;          /* we told it to be quiet */
    hm_ms quieted_at;      /* when, last */
    uint8_t repeats;       /* duplicates in a row */
    bool tried;            /* did not answer our last pull */
    bool behind;           /* answered that it no longer holds what we miss */
};

/* An event with its place, as an encoded feed_event; data is NULL when there is none. */
struct hm_feed_held {
    uint64_t epoch;
    uint64_t position;
    struct hm_bytes bytes;
};

struct hm_feed {
    struct hm_feed_config config;
    struct hm_random random;
    struct hm_outbox outbox;
    struct hm_arena arena;
    struct hm_buf scratch;
    bool started;
    bool gave_up;              /* HM_FEED_BEHIND was said */
    struct hm_place place;     /* all up to here are delivered */
    struct hm_id history;      /* of place.epoch; none: not known */
    struct hm_feed_held *held; /* at position % held_capacity: first_held .. place.position */
    uint32_t held_capacity;    /* grows to ring_events */
    uint64_t first_held;       /* place.position + 1 when none is */
    uint64_t base_epoch;       /* at first_held - 1 */
    size_t held_bytes;
    struct hm_feed_held *early; /* at position % HM_FEED_EARLY_MAX; NULL: none */
    uint32_t early_count;
    struct hm_feed_link *links; /* `count` neighbours, then one for the last other sender */
    size_t count;
    struct hm_addr stranger; /* where that one is reached */
    struct hm_id puller;     /* of whom we pull */
    hm_ms pull_at;           /* when to pull, once we know that we are behind */
    hm_ms pull_until;        /* a pull is out until then; HM_NEVER: none is */
};

void hm_feed_init(struct hm_feed *feed, const struct hm_feed_config *config, uint64_t seed);
void hm_feed_fini(struct hm_feed *feed);

/* Everything up to `place` is known (from a digest, a snapshot, the journal); nothing is held. Also
 * to start again after HM_FEED_BEHIND. Before the first start input is refused; only how far
 * others are is noted. */
void hm_feed_start(struct hm_feed *feed, struct hm_place place);

/* The history id of the epoch that the feed was started in, where it is known: an epoch that names
 * another predecessor is then not entered. Crossing into an epoch keeps it up to date. */
void hm_feed_set_history(struct hm_feed *feed, const struct hm_id *history);

/* A source has applied this event: held and pushed. One that is known already is ignored; after a
 * gap (a snapshot came between) the feed starts anew before this event. */
void hm_feed_publish(struct hm_feed *feed, hm_ms now, const struct hm_event *event);

/* The neighbours that carry this feed; those that stay keep their links. Copied. */
void hm_feed_set_neighbours(struct hm_feed *feed, const struct hm_peer *peers, size_t count);

/* feed_event, feed_pull, feed_range, feed_quiet, feed_behind. HM_NOT_STARTED; HM_BAD_ARGUMENT: not
 * for this feed; HM_STALE: nothing new. Callers need not look. */
enum hm_status hm_feed_input(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message);
/* `from` showed how far it is (in a ping or ack). */
void hm_feed_peer_place(struct hm_feed *feed, hm_ms now, const struct hm_peer *from,
                        struct hm_place place);

/* Does `a` lie beyond `b`? Any place of a later epoch does. */
bool hm_feed_is_ahead(struct hm_place a, struct hm_place b);

/* How far this node knows the feed; zero before the start. */
struct hm_place hm_feed_place(const struct hm_feed *feed);

/* Gives back the memory that only makes the next call faster; after its effects were popped. */
void hm_feed_rest(struct hm_feed *feed);

void hm_feed_tick(struct hm_feed *feed, hm_ms now);
hm_ms hm_feed_deadline(const struct hm_feed *feed);
bool hm_feed_output(struct hm_feed *feed, struct hm_effect *out);

#endif
