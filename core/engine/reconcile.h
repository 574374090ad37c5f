/* Pushed host configs among those who consume them: the highest version of each host wins, and
 * peers compare what they have until it is the same (van Renesse et al., Scuttlebutt, LADIS 2008).
 *
 * Only configs of admitted members count; one that comes before its host's join event is held for
 * HM_RECONCILE_HOLD_MS. APPLY: `message` is a push, with a version above every earlier one of that
 * host, unless it is repeated; `number` is 0. */
#ifndef HM_ENGINE_RECONCILE_H
#define HM_ENGINE_RECONCILE_H

#include "core/base/index.h"
#include "core/engine/effect.h"

#define HM_RECONCILE_ROUND_MS         1000u
#define HM_RECONCILE_HOLD_MS          10000u
#define HM_RECONCILE_HELD_MAX         1000u
#define HM_RECONCILE_HELD_BYTES_MAX   (4u << 20)
#define HM_RECONCILE_CONFIG_BYTES_MAX (1u << 20)
#define HM_RECONCILE_DELTAS_BYTES_MAX (256u << 10) /* of a message, unless one config is larger */

struct hm_reconcile_host {
    struct hm_id id;
    struct hm_version version; /* zero: nothing yet */
    struct hm_bytes config;    /* owned */
    bool admitted;             /* a member; else held for a while */
    hm_ms held_until;
    uint64_t order; /* of its last change here: deltas go oldest first */
    uint64_t round; /* comparison in which the peer told its version */
    struct hm_version theirs;
};

struct hm_reconcile {
    struct hm_random random;
    struct hm_outbox outbox;
    struct hm_reconcile_host *hosts; /* dense */
    size_t count;
    size_t capacity;
    struct hm_index by_id; /* hm_hash_id(0, id) -> slot in `hosts` */
    uint64_t sum;          /* over admitted hosts with a config: exclusive or of their hashes */
    uint32_t known;        /* how many those are */
    size_t held;
    size_t held_bytes;
    uint64_t order;
    uint64_t round;
    struct hm_peer *peers; /* shuffled */
    size_t peer_count;
    size_t turn;    /* next in `peers` */
    hm_ms round_at; /* next summary */
    hm_ms soon_at;  /* an extra one after a change; HM_NEVER: none */
};

void hm_reconcile_init(struct hm_reconcile *reconcile, uint64_t seed);
void hm_reconcile_fini(struct hm_reconcile *reconcile);

/* A config from wherever. HM_OK: new, there is an APPLY for it; HM_STALE: not above what is known;
 * HM_NOT_READY: held until its host is a member; HM_FULL: too much is held; HM_TOO_LARGE;
 * HM_BAD_ARGUMENT: without config or version. Only HM_OK and HM_NOT_READY change anything. Copied.
 */
enum hm_status hm_reconcile_offer(struct hm_reconcile *reconcile, hm_ms now,
                                  const struct hm_host_state *state);

/* This host is a member: its configs count, a held one at once. Again is fine. */
void hm_reconcile_admit(struct hm_reconcile *reconcile, hm_ms now, const struct hm_id *id);
/* Whoever takes what is applied has begun anew: APPLY once more for every config that counts. */
void hm_reconcile_repeat(struct hm_reconcile *reconcile);
/* This host is no member any more. */
void hm_reconcile_forget(struct hm_reconcile *reconcile, const struct hm_id *id);

/* The other consumers. Copied. */
void hm_reconcile_set_peers(struct hm_reconcile *reconcile, const struct hm_peer *peers,
                            size_t count);

/* push, reconcile_summary, reconcile_versions, reconcile_deltas; as hm_reconcile_offer, or
 * HM_BAD_ARGUMENT for another message. Callers need not look. */
enum hm_status hm_reconcile_input(struct hm_reconcile *reconcile, hm_ms now,
                                  const struct hm_peer *from, const struct hm_message *message);

/* Zero when nothing counts for this host. It never goes back while the host is a member. */
struct hm_version hm_reconcile_version(const struct hm_reconcile *reconcile,
                                       const struct hm_id *id);

void hm_reconcile_tick(struct hm_reconcile *reconcile, hm_ms now);
hm_ms hm_reconcile_deadline(const struct hm_reconcile *reconcile);
bool hm_reconcile_output(struct hm_reconcile *reconcile, struct hm_effect *out);

#endif
