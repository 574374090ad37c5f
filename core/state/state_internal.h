/* Inside the state machine: what its files share. */
#ifndef HM_STATE_STATE_INTERNAL_H
#define HM_STATE_STATE_INTERNAL_H

#include "core/log/sessions.h"
#include "core/state/claims.h"
#include "core/state/state.h"

struct hm_state {
    struct hm_view view;
    struct hm_claims claims;
    struct hm_sessions *sessions; /* of the log, while a request is decided */
    uint32_t feature;             /* committed level; <= that of every member */
    /* A ring: the event with index i stands at i % HM_STATE_EVENTS_MAX, bodies owned. */
    struct hm_event *events;
    struct hm_fallen *fallen; /* hosts that failed lately, oldest first; `host` is owned */
    size_t fallen_count;
    size_t fallen_capacity;
    struct hm_shares *shares; /* what they take of each service, as last counted; NULL: not yet */
    uint64_t oldest;          /* oldest <= view.index + 1 */
    uint64_t time_ms;         /* log time of the request that is decided */
    struct hm_id origin;
    struct hm_buf said; /* what outcomes say besides */
};

/* Emits an event with the next index, and evolves the view by it. */
void hm_state_emit(struct hm_state *state, const struct hm_message *body, struct hm_outcome *out);
/* Holds a copy of an event in the ring. */
void hm_state_hold(struct hm_state *state, const struct hm_event *event);
void hm_state_forget_events(struct hm_state *state);

/* snapshot.c: hooks of hm_state_machine. */
void hm_state_snapshot(void *state, struct hm_buf *out);
enum hm_status hm_state_install(void *state, struct hm_bytes snapshot);

/* Emits the change of a record in a scope of the core; a value of NULL deletes it. */
void hm_state_emit_record(struct hm_state *state, const char *scope, struct hm_bytes key,
                          const struct hm_bytes *value, struct hm_outcome *out);

/* ---- grants.c ---- */

/* A host asks for these keys from now on: releases what it no longer holds, grants what is free and
 * allowed, and tells by the outcome's reason of the first that is refused. A service of it that is
 * refused one keeps what it had been granted. */
void hm_state_change_claims(struct hm_state *state, const struct hm_id *host,
                            const struct hm_claim *claims, uint32_t count, struct hm_outcome *out);
/* The reasons alone: of each service the first one, and the first of all. `kept` are keys that stay
 * granted because of a refusal. */
void hm_state_tell_refused(struct hm_state *state, const struct hm_claim *claims, uint32_t count,
                           const struct hm_claim *kept, uint32_t kept_count,
                           struct hm_outcome *out);
/* More may be allowed than before: grants what hosts ask for and nobody has. */
void hm_state_grant_waiting(struct hm_state *state, struct hm_outcome *out);

/* ---- consumers.c ---- */

/* The record of a member that came or changed, if it consumes; else its name has none. */
void hm_state_place_consumer(struct hm_state *state, const struct hm_member *member,
                             struct hm_outcome *out);
/* A member with this name went. */
void hm_state_displace_consumer(struct hm_state *state, const struct hm_name *name, bool failed,
                                struct hm_outcome *out);

/* A refusal with its sentence. */
void hm_state_refuse(struct hm_outcome *out, enum hm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- decide_lite.c ---- */

void hm_decide_keep(struct hm_state *state, const struct hm_request_keep *request,
                    struct hm_outcome *out);
void hm_decide_lapse(struct hm_state *state, const struct hm_request_lapse *request,
                     struct hm_outcome *out);

/* ---- decide.c ---- */

/* What goes with a member: its host config, its place as a consumer, its claims, its session. */
enum hm_going {
    HM_GOING_LEFT,
    HM_GOING_FAILED,
    HM_GOING_HELD, /* failed; config and claims stay */
};
void hm_state_remove_member(struct hm_state *state, const struct hm_id *id, enum hm_going how,
                            struct hm_outcome *out);

/* ---- brake.c ---- */

void hm_decide_fail(struct hm_state *state, const struct hm_request_fail *request,
                    struct hm_outcome *out);
void hm_decide_release(struct hm_state *state, const struct hm_request_release *request,
                       struct hm_outcome *out);
/* This member is about to come in: what was kept of it is its own again, and what was kept of
 * another of its name goes. */
void hm_state_unbrake(struct hm_state *state, const struct hm_member *member,
                      struct hm_outcome *out);
/* The lease of a lite host is over. True: it stays for brake_ms (0: never), as suspect. What went
 * before in the same accident comes back. */
bool hm_state_brake_lapse(struct hm_state *state, const struct hm_lite *lite, uint32_t brake_ms,
                          struct hm_outcome *out);
/* A host was heard again, or went of its own will: that it failed does not count any more. */
void hm_state_forget_fallen(struct hm_state *state, const struct hm_id *id);
/* What was kept of a lite host is its own again, or goes. */
void hm_state_unbrake_lite(struct hm_state *state, const struct hm_id *id, struct hm_outcome *out);
/* For a snapshot, and back; copies. */
void hm_state_set_fallen(struct hm_state *state, const struct hm_fallen *fallen, size_t count);

/* ---- shares.c ---- */

/* What the fallen take of each service, and what there was; lives until the next change. */
const struct hm_shares *hm_shares_of(struct hm_state *state);
/* Is more than half of a service of this config (message host_config) lost? */
bool hm_shares_most_lost(const struct hm_shares *shares, struct hm_bytes config);
/* This one, with this config, is the latest of the fallen. */
void hm_shares_add(struct hm_state *state, const struct hm_id *id,
                   const struct hm_host_config *config);
/* The fallen are others, or what serves what is not as it was, because of this event. */
void hm_shares_count_anew(struct hm_state *state);
void hm_shares_note(struct hm_state *state, const struct hm_message *body);
void hm_shares_free(struct hm_state *state);
/* False: it is none of this release. Into the arena. */
bool hm_shares_read_config(struct hm_bytes config, struct hm_arena *arena,
                           struct hm_host_config *out);
bool hm_shares_read_fallen(const struct hm_fallen *fallen, struct hm_arena *arena,
                           struct hm_fallen_host *out);

/* Decides a request that is new; the rules of DESIGN section 4 and 5. */
void hm_state_decide(struct hm_state *state, const struct hm_message *request,
                     struct hm_outcome *out);

#endif
