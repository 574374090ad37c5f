/* How a host brings its own config to those who consume it: to some of each role, chosen evenly
 * over all hosts (rendezvous hashing: Thaler, Ravishankar 1998), again and to more of them until
 * enough have acknowledged it. The consumers reconcile the rest among themselves.
 *
 * NOTIFY: enum hm_push_notice, `number` is the seq. */
#ifndef HM_ENGINE_PUSH_H
#define HM_ENGINE_PUSH_H

#include "core/engine/effect.h"

#define HM_PUSH_ROLES_MAX 16u

struct hm_push_config {
    struct hm_id self;
    uint32_t fanout; /* consumers of each role; 0: 2. Self, where it consumes, is one more */
    hm_ms retry_ms;  /* 0: 300 */
};

enum hm_push_notice {
    HM_PUSH_ACKED = 1, /* `fanout` of each role (all, where there are fewer) have this version */
};

struct hm_push_target {
    struct hm_peer peer;
    uint64_t score;          /* targets are sorted by it, highest first; self above all */
    struct hm_version acked; /* highest that it said to have */
    uint32_t tries;          /* of the present version */
    hm_ms retry_at;          /* HM_NEVER: nothing to do */
};

struct hm_push_role {
    struct hm_push_target *targets;
    size_t count;
    size_t reach; /* the first so many are pushed to; reach <= count */
};

/* Named so because a message is called push. */
struct hm_pusher {
    struct hm_push_config config;
    struct hm_random random;
    struct hm_outbox outbox;
    struct hm_version version; /* zero: nothing published */
    struct hm_bytes body;      /* the config, owned */
    bool acked;                /* said for this version */
    struct hm_push_role roles[HM_PUSH_ROLES_MAX];
};

void hm_push_init(struct hm_pusher *push, const struct hm_push_config *config, uint64_t seed);
void hm_push_fini(struct hm_pusher *push);

/* The members with a role that consumes host configs; `role` is the caller's number for it, below
 * HM_PUSH_ROLES_MAX. Those that stay keep what they acknowledged. Copied. */
void hm_push_set_consumers(struct hm_pusher *push, hm_ms now, size_t role,
                           const struct hm_peer *peers, size_t count);

/* Own config has changed. HM_STALE, nothing done: not above the version before. Copied. */
enum hm_status hm_push_publish(struct hm_pusher *push, hm_ms now,
                               const struct hm_host_state *state);

/* A consumer asked for the config (config_pull): it is pushed at once, if there is one. */
void hm_push_pulled(struct hm_pusher *push, hm_ms now, const struct hm_peer *from);

/* pushed. HM_STALE: not of our config, or not from whom we push to; HM_BAD_ARGUMENT: another
 * message. Callers need not look. */
enum hm_status hm_push_input(struct hm_pusher *push, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message);

void hm_push_tick(struct hm_pusher *push, hm_ms now);
hm_ms hm_push_deadline(const struct hm_pusher *push);
bool hm_push_output(struct hm_pusher *push, struct hm_effect *out);

#endif
