/* Failure detection: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey,
 * arXiv 1707.00788). It watches a few subjects and finds them suspect or gone; it removes nobody:
 * what it finds is a report to the control plane.
 *
 * Who watches the same subject does not know of the others, so two things differ from SWIM. The
 * subject spreads their probes over time: each ack says when the next one is wanted, so that one
 * comes every probe_interval_ms however many watch, and silence is noticed within one. And doubts
 * travel by way of the control plane, which knows all observers: they then probe at once, and count
 * as Lifeguard's independent confirmations.
 *
 * NOTIFY: `notice` is one of enum hm_swim_notice, `peer` the subject, `number` its incarnation. */
#ifndef HM_ENGINE_SWIM_H
#define HM_ENGINE_SWIM_H

#include "core/engine/effect.h"

#define HM_SWIM_CONFIRMERS_MAX 3u    /* independent suspicions that shorten ours (Lifeguard's K) */
#define HM_SWIM_ERRANDS_MAX    32u   /* probes for others at a time */
#define HM_SWIM_ERRANDS_EACH   4u    /* of those for one asker */
#define HM_SWIM_HEALTH_MAX     8u    /* Lifeguard's S */
#define HM_SWIM_GUESTS_MAX     1024u /* watched for a while, because somebody asked */

struct hm_swim_config {
    struct hm_peer self;
    uint64_t incarnation;    /* starts at boot * 2^32 */
    hm_ms probe_interval_ms; /* a node is probed once each; the same everywhere; 0 in any field: the
                                default */
    hm_ms probe_timeout_ms;  /* for a direct answer; as long again for an indirect one */
    hm_ms suspicion_min_ms;
    hm_ms suspicion_max_ms;
    hm_ms refusal_window_ms; /* three refused probes within it are a crash */
    hm_ms restart_grace_ms;  /* a subject that said `stopping` may be away so long */
    hm_ms silence_ms;        /* without answer or refusal the grace ends */
    uint32_t indirect;       /* helpers asked when a direct probe fails */
};

enum hm_swim_notice {
    HM_SWIM_DOUBT = 1, /* does not answer us: tell the control plane, others see for themselves */
    HM_SWIM_SUSPECT,   /* nor others whom we asked: tell it again, and consumers */
    HM_SWIM_ALIVE,     /* suspicion or stopping is over: it was heard of again */
    HM_SWIM_STOPPING,  /* it stops and means to come back */
    HM_SWIM_GONE,      /* report it to the control plane */
    HM_SWIM_BACK,      /* take the report back */
    HM_SWIM_WELL,      /* asked about it, we find it alive: for who asked */
};

enum hm_swim_state {
    HM_SWIM_STATE_UNKNOWN, /* not watched */
    HM_SWIM_STATE_ALIVE,
    HM_SWIM_STATE_SUSPECT,
    HM_SWIM_STATE_STOPPING,
    HM_SWIM_STATE_GONE, /* reported */
};

/* A probe under way: direct until `begun` + timeout, then as long again by helpers. */
struct hm_swim_probe {
    hm_ms begun;
    hm_ms try_at; /* next ping of this probe */
    uint32_t nonce;
    uint32_t timeout_ms;
    uint8_t tries;
    uint8_t asked;
    uint8_t nacked; /* nacked <= asked */
    bool active;
    bool regular;  /* in its turn, counts for one-way loss; else an urgent one */
    bool indirect; /* helpers have been asked */
};

struct hm_swim_member {
    struct hm_peer peer;
    uint64_t incarnation; /* highest heard */
    struct hm_swim_probe probe;
    hm_ms regular_at; /* next probe in its turn */
    hm_ms urgent_at;  /* an urgent probe is due; HM_NEVER: none */
    hm_ms since;      /* of suspicion or stopping; of a guest: when it came */
    hm_ms sign_at;    /* last answer or refusal, while stopping */
    hm_ms refused_at; /* first of `refusals` */
    uint32_t confirmers[HM_SWIM_CONFIRMERS_MAX]; /* hashes of their ids */
    uint16_t failures; /* bit i: the regular direct probe i ago failed; ten bits */
    uint8_t state;     /* enum hm_swim_state */
    uint8_t confirmed; /* <= HM_SWIM_CONFIRMERS_MAX */
    uint8_t refusals;
    bool refusable; /* a ping is out that no refusal has been counted for */
    bool knows;     /* it answered the last ping: each has heard the other in full */
    bool lossy;     /* reported for one-way loss */
    bool asked;     /* the control plane wants to know */
    bool guest;     /* not of the slice */
};

/* A probe on behalf of another node. */
struct hm_swim_errand {
    struct hm_peer asker;
    struct hm_peer target;
    uint32_t asker_nonce;
    uint32_t nonce;
    hm_ms again_at; /* second ping; HM_NEVER when sent */
    hm_ms until;
};

struct hm_swim {
    struct hm_swim_config config;
    struct hm_random random;
    struct hm_outbox outbox;
    struct hm_place members_place;
    struct hm_place state_place;
    uint64_t incarnation;           /* own */
    uint32_t health;                /* Lifeguard's local health multiplier less one: 0 is good */
    struct hm_swim_member *members; /* subjects, then guests */
    size_t count;
    size_t capacity;
    struct hm_peer *helpers; /* that are no subjects: those can be asked, too */
    size_t helper_count;
    struct hm_swim_errand *errands;
    size_t errand_count;
    size_t errand_capacity;
    hm_ms turn_at;       /* given to the last observer that probed us in its turn */
    hm_ms given_at;      /* when */
    uint32_t turn_nonce; /* of its ping */
    uint32_t seen_nonce; /* of the last ping */
    uint32_t seen_count; /* copies of it at once: they waited in a queue while we stood still */
    hm_ms seen_at;
    hm_ms stalled_until; /* till then others are told that we stood still */
};

void hm_swim_init(struct hm_swim *swim, const struct hm_swim_config *config, uint64_t seed);
void hm_swim_fini(struct hm_swim *swim);

/* Whom to watch from now on; those that stay keep their state, those that go are forgotten. Self is
 * left out. `subjects` is copied. */
void hm_swim_watch(struct hm_swim *swim, hm_ms now, const struct hm_peer *subjects, size_t count);
/* Who, besides the subjects, may be asked for indirect probes; where those are few, some are kept.
 * Copied. */
void hm_swim_set_helpers(struct hm_swim *swim, const struct hm_peer *helpers, size_t count);
/* How far this node knows the feeds: carried in pings and acks. */
void hm_swim_set_places(struct hm_swim *swim, struct hm_place members, struct hm_place state);

/* A message that was sealed by `from`: ping, ack, probe_request, probe_result, suspect, alive,
 * stopping. HM_STALE: it answers nothing or is outdated; HM_NOT_FOUND: it is about a node that is
 * not watched; HM_FULL: too many requests; HM_BAD_ARGUMENT: not a message for this engine. Nothing
 * changed then; callers need not look. */
enum hm_status hm_swim_input(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message);

/* Unsealed evidence (ICMP port unreachable, a reset connection): it makes us probe at once. A
 * refusal counts once for each ping that was out; three within the window are a crash. */
void hm_swim_refused(struct hm_swim *swim, hm_ms now, const struct hm_id *id);

/* The control plane passes on that somebody (`by`) suspects a node, or asks about one: it is probed
 * at once, and what is found is told (GONE or WELL). A node that is not watched is, for a while. */
void hm_swim_inquire(struct hm_swim *swim, hm_ms now, const struct hm_suspect *suspicion);

/* Watched for ten seconds from now on though it is no subject, and probed at once; for those whom
 * this node needs. A subject is watched anyway: it is only probed soon if it was not yet heard. */
void hm_swim_attend(struct hm_swim *swim, hm_ms now, const struct hm_peer *peer);

/* Are most of its subjects away? Then news may pass it by, and others must be asked. */
bool hm_swim_is_cut_off(const struct hm_swim *swim);

void hm_swim_tick(struct hm_swim *swim, hm_ms now);
hm_ms hm_swim_deadline(const struct hm_swim *swim);
bool hm_swim_output(struct hm_swim *swim, struct hm_effect *out);

enum hm_swim_state hm_swim_state(const struct hm_swim *swim, const struct hm_id *id);
/* It has joined anew: what was seen of its life before is void. */
void hm_swim_forget(struct hm_swim *swim, hm_ms now, const struct hm_id *id);
/* Those that it watches or was asked about and that are not well: suspect, stopping, reported;
 * returns how many were written. */
size_t hm_swim_unwell(const struct hm_swim *swim, struct hm_id *out, size_t most);
/* Highest incarnation heard of a subject, own for self, else 0. */
uint64_t hm_swim_incarnation(const struct hm_swim *swim, const struct hm_id *id);

#endif
