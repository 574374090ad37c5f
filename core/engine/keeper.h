/* Keepers of lite hosts: devices and containers that are no members, but tell one member from time
 * to time that they are there. Who keeps whom is chosen by rendezvous hashing over the candidates
 * (Thaler, Ravishankar 1998): the load is even, and only a lost keeper's share moves.
 *
 * A keeper owns the lease. It pushes what the lite host serves, and asks the log to record it with
 * itself as keeper. Versions of a lite host have an even seq; the odd one above it says that it is
 * gone, which a keepalive above that beats, with or without quorum. One that withdraws is gone at
 * once. Of one that has fallen silent the log is asked first, which may keep it for a while when
 * too many fall silent together (the removal brake); without an answer it is gone after a second,
 * unless it is one of three that make up more than half of those that are kept here: then after the
 * time of the brake. The log's record tells the others whose the lease is; when that keeper is no
 * candidate any more, the next in rank goes on with it for a whole lease.
 *
 * SEND: kept. APPLY: `message` is a push (for the other consumers), or a request_keep or
 * request_lapse (for the log, answered by hm_keeper_submitted). NOTIFY: enum hm_keeper_notice. */
#ifndef HM_ENGINE_KEEPER_H
#define HM_ENGINE_KEEPER_H

#include "core/base/index.h"
#include "core/engine/effect.h"

#define HM_KEEPER_LITES_MAX    65536u
#define HM_KEEPER_LEASE_MS_MIN 1000u
#define HM_KEEPER_LEASE_MS_MAX (24u * 3600u * 1000u)
#define HM_KEEPER_RANKED_MAX   8u
#define HM_KEEPER_RETRY_MS     1000u
#define HM_KEEPER_ANSWER_MS    1000u  /* so long the log is waited for, when a lease is over */
#define HM_KEEPER_BRAKE_MS     30000u /* without it, when too many are over: held so long */

enum hm_keeper_notice {
    HM_KEEPER_ADOPT = 1, /* peer.id is without a keeper and ours now: hm_keeper_adopt is wanted */
    HM_KEEPER_EXPIRED,   /* peer.id was silent for its lease */
};

struct hm_keeper_candidate {
    struct hm_peer peer;
    bool doubtful; /* suspect: lite hosts are sent to it last */
};

/* A lease of ours. */
struct hm_lease {
    struct hm_lite lite;         /* as the log shall have it: kept by us */
    struct hm_version version;   /* seq even: alive, odd: it ends */
    struct hm_bytes config;      /* message host_config; owned */
    uint64_t call;               /* of its last keepalive; 0: it has not spoken to us yet */
    hm_ms expires_at;            /* counts while it is alive */
    bool withdrawn;              /* ends of its own will */
    bool held;                   /* too many ended with it, and no quorum to judge it */
    hm_ms push_at;               /* it ends: pushed then unless the log has answered */
    struct hm_version committed; /* what the log has with us as keeper; zero: nothing */
    bool submitted;              /* a request is under way */
    hm_ms submit_at;             /* of the next one; HM_NEVER: nothing to say */
};

struct hm_keeper_entry {
    struct hm_id id;
    bool recorded;           /* in the log, */
    struct hm_lite record;   /* so */
    bool braked;             /* as silent; the log is to hear of the next word from it */
    struct hm_version known; /* the highest heard of, committed or pushed */
    struct hm_lease *lease;  /* NULL: not ours */
    bool wanted;             /* an ADOPT is out */
};

struct hm_keeper {
    struct hm_id self;
    uint64_t seed; /* of challenges */
    uint64_t cluster;
    struct hm_outbox outbox;
    struct hm_keeper_candidate *candidates;
    size_t candidate_count;
    struct hm_keeper_entry *entries; /* dense */
    size_t count;
    size_t capacity;
    struct hm_index by_id; /* hm_hash_id(0, id) -> slot in `entries` */
    size_t leases;
    hm_ms next_at; /* nothing is due before */
};

/* `seed` differs at every start: a keepalive counts that repeats the challenge made of it, so that
 * one that was recorded before brings nobody back. */
void hm_keeper_init(struct hm_keeper *keeper, const struct hm_id *self, uint64_t seed);
void hm_keeper_fini(struct hm_keeper *keeper);
/* Told to lite hosts; 0: none yet. */
void hm_keeper_set_cluster(struct hm_keeper *keeper, uint64_t cluster);

/* The members that may keep, self among them if it may. Copied; doubts about those that stay are
 * kept. */
void hm_keeper_set_candidates(struct hm_keeper *keeper, hm_ms now, const struct hm_peer *peers,
                              size_t count);
/* These are suspect, and no others. */
void hm_keeper_set_doubts(struct hm_keeper *keeper, const struct hm_id *ids, size_t count);

/* keepalive. HM_OK: kept; otherwise it was told why not. HM_BAD_ARGUMENT: another message, or one
 * that makes no sense. */
enum hm_status hm_keeper_input(struct hm_keeper *keeper, hm_ms now, const struct hm_peer *from,
                               const struct hm_message *message);

/* The log has it so. */
void hm_keeper_recorded(struct hm_keeper *keeper, hm_ms now, const struct hm_lite *lite,
                        const struct hm_version *version);
/* The log keeps it though it was silent, or does so no more. */
void hm_keeper_braked(struct hm_keeper *keeper, const struct hm_id *id, bool braked);
/* The log has it no more. */
void hm_keeper_gone(struct hm_keeper *keeper, hm_ms now, const struct hm_id *id);
/* A version that somebody pushed. */
void hm_keeper_pushed(struct hm_keeper *keeper, hm_ms now, const struct hm_host_state *state);
/* Goes on with a lease that nobody has: `state` is the highest that is known, of which the log has
 * `committed`. Copied. */
void hm_keeper_adopt(struct hm_keeper *keeper, hm_ms now, const struct hm_host_state *state,
                     const struct hm_version *committed);
/* The outcome of a request for this version. */
void hm_keeper_submitted(struct hm_keeper *keeper, hm_ms now, const struct hm_id *id,
                         const struct hm_version *version, enum hm_status status,
                         struct hm_bytes reason);

void hm_keeper_tick(struct hm_keeper *keeper, hm_ms now);
hm_ms hm_keeper_deadline(const struct hm_keeper *keeper);
bool hm_keeper_output(struct hm_keeper *keeper, struct hm_effect *out);

/* The candidates for a lite host, best first, those in doubt behind all others; returns how many
 * were written. `most` <= HM_KEEPER_RANKED_MAX. */
size_t hm_keeper_rank(const struct hm_keeper *keeper, const struct hm_id *lite, struct hm_peer *out,
                      size_t most);

#endif
