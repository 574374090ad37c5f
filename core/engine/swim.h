/* Failure detection: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey,
 * arXiv 1707.00788). It watches a few subjects and finds them suspect or gone; it removes nobody:
 * what it finds is a report to the control plane.
 *
 * NOTIFY: `notice` is one of enum hm_swim_notice, `peer` the subject, `number` its incarnation. */
#ifndef HM_ENGINE_SWIM_H
#define HM_ENGINE_SWIM_H

#include "core/engine/effect.h"

#define HM_SWIM_CONFIRMERS_MAX 3u  /* independent suspicions that shorten ours (Lifeguard's K) */
#define HM_SWIM_ERRANDS_MAX    32u /* probes for others at a time */
#define HM_SWIM_ERRANDS_EACH   4u  /* of those for one asker */
#define HM_SWIM_HEALTH_MAX     8u  /* Lifeguard's S */

struct hm_swim_config {
    struct hm_peer self;
    uint64_t incarnation;    /* starts at boot * 2^32 */
    hm_ms probe_interval_ms; /* one subject is probed each; 0 in any field: the default */
    hm_ms probe_timeout_ms;  /* for a direct answer; as long again for an indirect one */
    hm_ms suspicion_min_ms;
    hm_ms suspicion_max_ms;
    hm_ms refusal_window_ms; /* three refused probes within it are a crash */
    hm_ms restart_grace_ms;  /* a subject that said `stopping` may be away so long */
    hm_ms silence_ms;        /* without answer or refusal the grace ends */
    uint32_t indirect;       /* helpers asked when a direct probe fails */
};

enum hm_swim_notice {
    HM_SWIM_SUSPECT = 1, /* does not answer: tell consumers */
    HM_SWIM_ALIVE,       /* suspicion or stopping is over: it was heard of again */
    HM_SWIM_STOPPING,    /* it stops and means to come back */
    HM_SWIM_GONE,        /* report it to the control plane */
    HM_SWIM_BACK,        /* take the report back */
};

enum hm_swim_state {
    HM_SWIM_STATE_UNKNOWN, /* not watched */
    HM_SWIM_STATE_ALIVE,
    HM_SWIM_STATE_SUSPECT,
    HM_SWIM_STATE_STOPPING,
    HM_SWIM_STATE_GONE, /* reported */
};

/* A probe under way. */
struct hm_swim_probe {
    bool active;
    bool regular;  /* of the round, counts for one-way loss; else an urgent one */
    bool indirect; /* helpers have been asked */
    uint32_t nonce;
    uint32_t tries;
    hm_ms try_at;       /* next ping of this probe */
    hm_ms direct_until; /* then helpers are asked */
    hm_ms until;        /* then it has failed */
    uint32_t asked;
    uint32_t nacked; /* nacked <= asked */
};

struct hm_swim_member {
    struct hm_peer peer;
    enum hm_swim_state state;
    uint64_t incarnation; /* highest heard */
    struct hm_swim_probe probe;
    hm_ms urgent_at; /* an urgent probe is due; HM_NEVER: none */
    hm_ms since;     /* of suspicion or stopping */
    hm_ms sign_at;   /* last answer or refusal, while stopping */
    struct hm_id confirmers[HM_SWIM_CONFIRMERS_MAX];
    uint32_t confirmed; /* <= HM_SWIM_CONFIRMERS_MAX */
    bool refusable;     /* a ping is out that no refusal has been counted for */
    uint32_t refusals;
    hm_ms refused_at;  /* first of `refusals` */
    uint32_t failures; /* bit i: the regular direct probe i ago failed; ten bits */
    bool lossy;        /* reported for one-way loss */
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
    uint64_t incarnation; /* own */
    uint32_t health;      /* Lifeguard's local health multiplier less one: 0 is good */
    struct hm_swim_member *members;
    uint32_t *order; /* shuffled indices of `members` */
    size_t count;
    size_t turn; /* next in `order` */
    struct hm_peer *helpers;
    size_t helper_count;
    struct hm_swim_errand errands[HM_SWIM_ERRANDS_MAX];
    size_t errand_count;
    hm_ms round_at; /* next regular probe */
};

void hm_swim_init(struct hm_swim *swim, const struct hm_swim_config *config, uint64_t seed);
void hm_swim_fini(struct hm_swim *swim);

/* Whom to watch from now on; those that stay keep their state, those that go are forgotten. Self is
 * left out. `subjects` is copied. */
void hm_swim_watch(struct hm_swim *swim, const struct hm_peer *subjects, size_t count);
/* Who may be asked for indirect probes and is told of suspicions. Copied. */
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

/* Probe this subject now (another observer reported it). Unknown ids are ignored. */
void hm_swim_probe_now(struct hm_swim *swim, hm_ms now, const struct hm_id *id);

void hm_swim_tick(struct hm_swim *swim, hm_ms now);
hm_ms hm_swim_deadline(const struct hm_swim *swim);
bool hm_swim_output(struct hm_swim *swim, struct hm_effect *out);

enum hm_swim_state hm_swim_state(const struct hm_swim *swim, const struct hm_id *id);
/* Highest incarnation heard of a subject, own for self, else 0. */
uint64_t hm_swim_incarnation(const struct hm_swim *swim, const struct hm_id *id);

#endif
