/* The state machine under the event log, on voters and learners: it decides requests and emits
 * events. Deterministic: the same requests give the same events and the same bytes everywhere. */
#ifndef HM_STATE_STATE_H
#define HM_STATE_STATE_H

#include "core/state/view.h"

/* Recent events kept for those who pull and for `hivemind events`. */
#define HM_STATE_EVENTS_MAX 4096u
/* What one host may claim. With it no request emits more events than are held. */
#define HM_STATE_CLAIMS_MAX 1024u
/* The feature level of this release. What is decided depends on the committed level alone, so that
 * neighbouring releases decide alike. */
#define HM_FEATURE_LEVEL 1u
/* A session that wrote nothing for so long (of log time) is forgotten. */
#define HM_SESSION_IDLE_MS (3600u * 1000u)

struct hm_state;

/* What became of a request. */
struct hm_outcome {
    enum hm_status status;
    uint64_t index; /* of its last event; 0: it emitted none */
    size_t events;  /* how many it emitted: the newest ones of hm_state_event */
    char reason[256];
};

struct hm_state *hm_state_new(void);
void hm_state_free(struct hm_state *state);
const struct hm_view *hm_state_view(const struct hm_state *state);
/* The committed feature level: the lowest that a member has, as soon as that is higher than before;
 * it never falls. Who supports less cannot join. 0: no cluster yet. */
uint32_t hm_state_feature(const struct hm_state *state);

/* Decides one committed request. A refused one emits no event and changes no record; its session is
 * still brought forward. A request that does not decode is HM_BAD_BYTES. */
void hm_state_apply(struct hm_state *state, const struct hm_log_request *request,
                    struct hm_outcome *out);

/* The indexes of the events held: *oldest <= *newest, or oldest = newest + 1 when there is none. */
void hm_state_events_held(const struct hm_state *state, uint64_t *oldest, uint64_t *newest);
/* The event with this index, NULL when not held; valid until the next apply or install. */
const struct hm_event *hm_state_event(const struct hm_state *state, uint64_t index);

/* Appends the whole state as a message state_snapshot. */
void hm_state_snapshot(const struct hm_state *state, struct hm_buf *out);
/* Becomes what a snapshot says. HM_BAD_BYTES: the state is as before. */
HM_MUST_USE enum hm_status hm_state_install(struct hm_state *state, struct hm_bytes snapshot);

#endif
